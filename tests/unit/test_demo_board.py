"""What the demo says about a cluster: what is open, in which order tenants stand, and lines that fit."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.demo.board import TENANT_COLUMNS, Board, Row, count_phases, place
from bitgoeul.demo.cluster import listed
from bitgoeul.demo.samples import GENERATED_LABEL
from bitgoeul.demo.screen import WIDTH, Screen, format_table, render


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


def test_tenants_stand_in_the_order_of_the_queue() -> None:
    """First those who have what they asked for, then the queue, then the refused."""
    board = make_board(
        make_row("a-refused", "Refused"),
        make_row("b-second", "Waiting", position=2),
        make_row("c-first", "Waiting", position=1),
        make_row("d-active"),
    )
    assert [row.name for row in board.tenants] == ["d-active", "c-first", "b-second", "a-refused"]
    assert [row.name for row in board.waiting] == ["c-first", "b-second", "a-refused"]
    assert count_phases(board.tenants) == "1 Active, 2 Waiting, 1 Refused"


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
    [pytest.param(60, 0, id="all fit"), pytest.param(20, 4, id="some do not"), pytest.param(5, 10, id="nobody does")],
)
def test_a_small_terminal_leaves_out_who_has_all(height: int, expected: int) -> None:
    """Those who wait are always shown, with their reasons."""
    active = [make_row(f"active-{number}") for number in range(10)]
    waiting = make_row("green", "Waiting", position=1, reason="WaitingForCapacity")
    group = render(make_board(*active, waiting), height)
    text = [str(part) for part in group.renderables]
    assert (f"and {expected} more that are Active" in text) == bool(expected)
    assert "green  WaitingForCapacity" in text


def test_a_long_list_is_cut() -> None:
    """An error stays one readable line."""
    assert listed(["a", "b"]) == "a; b"
    assert listed([str(number) for number in range(7)]) == "0; 1; 2; 3; 4; and 2 more"
