"""What the demo says about a cluster: what is open, in which order tenants stand, and lines that fit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.demo.board import TENANT_COLUMNS, Board, Row, count_phases, place
from bitgoeul.demo.cluster import listed
from bitgoeul.demo.samples import GENERATED_LABEL
from bitgoeul.demo.screen import WIDTH, Screen, format_table, render
from bitgoeul.planning.decisions import Decision, Plan, PoolPlan, QueueEntry
from bitgoeul.planning.pools import accelerator


def make_row(
    name: str = "blue",
    phase: str = "Active",
    *,
    ready: bool = True,
    reason: str = "Enforced",
    message: str = "",
    position: int = 0,
    seen: int = 1,
    labels: dict[str, str] | None = None,
) -> Row:
    """One tenant's row; ``seen`` is the generation that its status is about."""
    condition = {"type": "Ready", "status": str(ready), "reason": reason, "message": message}
    status: dict[str, Any] = {"phase": phase, "observedGeneration": seen, "conditions": [condition]}
    if position:
        status["queue"] = {"position": position}
    cells = dict.fromkeys(TENANT_COLUMNS, "x") | {"Name": name, "Phase": phase}
    return Row(cells, {"metadata": {"name": name, "generation": 1, "labels": labels or {}}, "status": status})


def make_board(*tenants: Row) -> Board:
    """A board without pools."""
    return Board((), (), tuple(sorted(tenants, key=place)))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(make_row(), [], id="active"),
        pytest.param(make_row(phase="Waiting", ready=False), [], id="waiting is settled"),
        pytest.param(make_row(phase="Refused", ready=False), [], id="refused is settled"),
        pytest.param(make_row(phase="Scheduled", ready=False), [], id="promised is settled"),
        pytest.param(make_row(phase="Expiring"), [], id="a notice is settled"),
        pytest.param(make_row(phase="Expired", ready=False), [], id="over is settled"),
        pytest.param(make_row(phase="Suspended", ready=False), [], id="suspended is settled"),
        pytest.param(
            make_row(phase="Expiring", ready=False, reason="WindowPassed", message="ended 2021-04-01"),
            ["blue (Expiring, WindowPassed: ended 2021-04-01)"],
            id="past its end and not drained",
        ),
        pytest.param(
            make_row(phase="Pending", reason="QuotaNotEnforced", message="the quota in blue is not enforced yet"),
            ["blue (Pending, QuotaNotEnforced: the quota in blue is not enforced yet)"],
            id="pending, with the reason",
        ),
        pytest.param(make_row(seen=0), ["blue (Active, Enforced)"], id="a status about an older spec"),
        pytest.param(
            Row({}, {"metadata": {"name": "blue", "generation": 1}}), ["blue (no phase, not seen yet)"], id="not seen"
        ),
    ],
)
def test_what_is_open_is_named(row: Row, expected: list[str]) -> None:
    """A tenant is settled when its newest spec has an answer, whatever the answer."""
    assert make_board(row).unsettled() == expected


@pytest.mark.parametrize(
    ("ready", "seen", "expected"),
    [
        pytest.param(True, 1, [], id="ready"),
        pytest.param(False, 1, ["pool a100 (NoNodesMatch: no node matches)"], id="not ready"),
        pytest.param(True, 0, ["pool a100 (NoNodesMatch: no node matches)"], id="a status about an older spec"),
    ],
)
def test_a_pool_has_to_be_ready(ready: bool, seen: int, expected: list[str]) -> None:
    """A pool that grants nothing is not settled."""
    pool = make_row("a100", ready=ready, seen=seen, reason="NoNodesMatch", message="no node matches")
    assert Board((pool,), (), ()).unsettled() == expected


def test_a_pool_before_its_first_stage_needs_no_nodes() -> None:
    """It is planned for later, and not ready is as it should be."""
    pool = make_row("h100", ready=False, reason="NoNodesMatch")
    pool.obj["status"]["nextStage"] = {"name": "full", "from": "2024-01-01T00:00:00Z", "devices": 8}
    assert Board((pool,), (), ()).unsettled() == []
    pool.obj["status"]["currentStage"] = "full"
    assert Board((pool,), (), ()).unsettled() == ["pool h100 (NoNodesMatch)"]


def test_tenants_stand_in_the_order_of_their_phases() -> None:
    """First those who have something, then those who will, then the queue, the refused, and who is through."""
    board = make_board(
        make_row("a-over", "Expired"),
        make_row("b-refused", "Refused"),
        make_row("c-second", "Waiting", position=2),
        make_row("d-first", "Waiting", position=1),
        make_row("e-promised", "Scheduled"),
        make_row("f-ending", "Expiring"),
        make_row("g-active"),
    )
    names = ["g-active", "f-ending", "e-promised", "d-first", "c-second", "b-refused", "a-over"]
    assert [row.name for row in board.tenants] == names
    assert [row.name for row in board.waiting] == ["d-first", "c-second", "b-refused"]
    assert count_phases(board.tenants) == "1 Active, 1 Expiring, 1 Scheduled, 2 Waiting, 1 Refused, 1 Expired"


@pytest.mark.parametrize(
    ("figures", "position", "message", "expected"),
    [
        pytest.param({}, 1, "needs 8 of a100", True, id="all as decided"),
        pytest.param({"granted": 3}, 1, "needs 8 of a100", False, id="an old sum of what is granted"),
        pytest.param({"scheduled": 3}, 1, "needs 8 of a100", False, id="an old sum of what is promised"),
        pytest.param({"waiting": 3}, 1, "needs 8 of a100", False, id="an old sum of what waits"),
        pytest.param({"inUse": 3}, 1, "needs 8 of a100", False, id="an old sum of what is in use"),
        pytest.param({}, 2, "needs 8 of a100", False, id="an old position"),
        pytest.param({}, 1, "needs 9 of a100", False, id="an old message"),
        pytest.param(None, 1, "needs 8 of a100", False, id="a pool without a status"),
    ],
)
def test_what_was_decided_may_be_written_later(
    figures: dict[str, int] | None, position: int, message: str, expected: bool
) -> None:
    """Figures are written now and then; what is told has to be the newest."""
    queue = QueueEntry(1, datetime(2021, 2, 15, tzinfo=UTC), {}, {})
    decision = Decision(
        "blue", "", {}, met=False, reason=Reason.WAITING_FOR_CAPACITY, message="needs 8 of a100", queue=queue
    )
    pool = PoolPlan(granted=4, in_use=1, waiting=8, scheduled=2)
    decided = {"granted": 4, "scheduled": 2, "waiting": 8, "inUse": 1}
    status = {} if figures is None else {"devices": decided | figures}
    row = make_row(phase="Waiting", position=position, ready=False, reason=decision.reason, message=message)
    board = Board((Row({}, {"metadata": {"name": "a100"}, "status": status}),), (), (row,))
    assert board.says(Plan({"blue": decision}, {accelerator("a100"): pool}, due=None)) is expected


def test_generated_tenants_are_only_counted() -> None:
    """A thousand of them would push the model case off the screen."""
    board = make_board(make_row("blue"), make_row("tenant-0001", labels={GENERATED_LABEL: "true"}))
    assert [row.name for row in board.shown] == ["blue"]
    assert board.summary() == "2 tenants: 2 Active"


def test_columns_line_up() -> None:
    """As kubectl prints them, with nothing behind the last word."""
    rows = [
        Row({"Name": "blue", "Phase": "Active", "Position": ""}, {}),
        Row({"Name": "x", "Phase": "", "Position": "1"}, {}),
    ]
    assert format_table(rows, ("Name", "Phase", "Position")) == [
        "NAME  PHASE   POSITION",
        "blue  Active",
        "x             1",
    ]


def test_lines_fit(capsys: pytest.CaptureFixture[str]) -> None:
    """Long text is broken between words, with the rest under the first word."""
    Screen().say("word " * 40, first="1  ")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(len(line) <= WIDTH for line in lines)
    assert [line[:4] for line in lines] == ["1  w", "   w", "   w"]


def test_changes_are_not_told_between_lines_of_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    """Elsewhere than on a terminal the board is told only when nothing else was said for a while."""
    screen = Screen()
    screen.say("a step")
    screen.show(make_board(make_row()))
    assert capsys.readouterr().out == "a step\n"


@pytest.mark.parametrize(
    ("height", "expected"),
    [
        pytest.param(60, "", id="all fit"),
        pytest.param(26, "and 3 more: 3 Expired", id="some do not: first who is through"),
        pytest.param(20, "and 9 more: 4 Active, 5 Expired", id="still fewer"),
        pytest.param(5, "and 15 more: 10 Active, 5 Expired", id="nobody does"),
    ],
)
def test_a_small_terminal_leaves_out_who_has_all(height: int, expected: str) -> None:
    """Those who wait are always shown, with their reasons."""
    others = [make_row(f"active-{number}") for number in range(10)]
    others += [make_row(f"over-{number}", "Expired") for number in range(5)]
    waiting = make_row("green", "Waiting", position=1, reason="WaitingForCapacity")
    text = [str(part) for part in render(make_board(*others, waiting), height).renderables]
    assert [line for line in text if line.startswith("and ")] == ([expected] if expected else [])
    assert "green  WaitingForCapacity" in text


def test_the_date_of_the_story_stands_above() -> None:
    """On a terminal, where the story scrolls away."""
    assert str(render(make_board(), 60, "1 January 2024").renderables[0]) == "1 January 2024"


def test_a_long_list_is_cut() -> None:
    """An error stays one readable line."""
    assert listed(["a", "b"]) == "a; b"
    assert listed([str(number) for number in range(7)]) == "0; 1; 2; 3; 4; and 2 more"
