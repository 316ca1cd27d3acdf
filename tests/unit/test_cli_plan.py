"""What ``bitgoeul plan`` prints about a comparison, and which times it takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bitgoeul.api.conditions import Phase, Reason
from bitgoeul.cli.picture import Picture
from bitgoeul.cli.plan import read_time
from bitgoeul.cli.plan_output import Answer, as_json, as_row, print_answer, shortage_text
from bitgoeul.errors import UserError
from bitgoeul.planning.moments import moment
from bitgoeul.planning.pools import accelerator, storage
from bitgoeul.planning.snapshot import Observed
from bitgoeul.whatif.comparison import Comparison, Outcome, Row, Shortage

NOW = datetime(2027, 1, 1, tzinfo=UTC)
DAY = 86_400_000


def waits(days: float | None, **fields: object) -> Outcome:
    """One that waits until so many days from now."""
    begins = None if days is None else moment(NOW) + int(days * DAY)
    given = {"end": None, "fresh": False, "more": False, "message": "needs 8 of a100", "position": 2} | fields
    return Outcome(Phase.WAITING, begins, reason=Reason.WAITING_FOR_CAPACITY, **given)  # type: ignore[arg-type]


ACTIVE = Outcome(Phase.ACTIVE, moment(NOW) - DAY, None, False, False, Reason.GRANTED, "", None)
REFUSED = Outcome(Phase.REFUSED, None, None, False, False, Reason.EXCEEDS_POOL_CAPACITY, "needs 99", None)


def row(before: Outcome | None, after: Outcome, name: str = "blue", subject: bool = False) -> Row:
    return Row(name, f"{name} (example)", 100, {accelerator("a100"): 8}, subject, before, after)


@pytest.mark.parametrize(
    ("one", "cells"),
    [
        pytest.param(row(None, waits(3)), ["new", "waits until 2027-01-04", ""], id="new"),
        pytest.param(
            row(waits(3), waits(5)), ["waits until 2027-01-04", "waits until 2027-01-06", "+2d"], id="later"
        ),
        pytest.param(
            row(waits(3), waits(None)), ["waits until 2027-01-04", "waits, no start known", ""], id="lost its start"
        ),
        pytest.param(row(ACTIVE, ACTIVE), ["Active", "Active", ""], id="as it was"),
        pytest.param(
            row(waits(3), REFUSED), ["waits until 2027-01-04", "refused: ExceedsPoolCapacity", ""], id="refused"
        ),
    ],
)  # fmt: skip
def test_a_row_says_before_after_and_by_how_much(one: Row, cells: list[str]) -> None:
    """A shift stands only where there are two starts to compare."""
    assert as_row(one) == ["blue", "blue (example)", "100", "a100×8", *cells]


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        pytest.param([], "nobody is delayed", id="nothing changes"),
        pytest.param([row(waits(3), waits(5)), row(waits(1), waits(None))], "2 start later", id="later, or no more"),
        pytest.param([row(waits(3), waits(1))], "nobody is delayed, 1 starts earlier", id="earlier"),
        pytest.param([row(waits(None), waits(1))], "nobody is delayed, 1 starts earlier", id="a start is known now"),
        pytest.param([row(None, REFUSED), row(waits(1), REFUSED)], "nobody is delayed, 2 are refused", id="refused"),
        pytest.param([row(REFUSED, REFUSED)], "nobody is delayed", id="refused as before"),
        pytest.param([row(ACTIVE, waits(9))], "nobody is delayed", id="an edit that asks for more is no delay"),
    ],
)
def test_the_summary_counts(rows: list[Row], text: str) -> None:
    """One line for all."""
    assert Comparison(tuple(rows), ()).summary == text


def test_texts_follow_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Why those of interest do not start, which pool is short, and the summary as the last line."""
    short = Shortage(accelerator("a100"), moment(NOW), 4, ("red",))
    rows = (row(None, waits(3), subject=True), row(waits(1), waits(2), "late"), row(waits(2), waits(1), "early"))
    print_answer(Answer(Comparison(rows, (short,))), moment(NOW), "2027-02-01")
    assert capsys.readouterr().out.splitlines()[4:] == [
        "",
        "blue  WaitingForCapacity: needs 8 of a100",
        "late  WaitingForCapacity: needs 8 of a100",
        "a100  from 2027-01-01 on up to 4 more promised than there is; hurts the promised start of red",
        "at 2027-02-01: 1 starts later, 1 promised start may be late, 1 starts earlier, 1 pool is overcommitted",
    ]


@pytest.mark.parametrize(
    ("shortage", "at", "text"),
    [
        pytest.param(
            Shortage(accelerator("a100"), moment(NOW), 6, (), 2),
            "",
            "a100  8 granted, 2 there from now on: 6 more granted than there is; nothing new is granted, nobody is "
            "stopped",
            id="devices, now",
        ),
        pytest.param(
            Shortage(accelerator("a100"), moment(NOW), 6, ("red",), 0),
            "2027-01-01",
            "a100  6 granted, 0 there from 2027-01-01 on: 6 more granted than there is; nothing new is granted, nobody "
            "is stopped; hurts the promised start of red",
            id="devices at a later time, with a promise",
        ),
        pytest.param(
            Shortage(storage("lustre"), moment(NOW), 2**41, (), 2**43),
            "",
            "lustre  10Ti granted, 8Ti there from now on: 2Ti more granted than there is; nothing new is granted, "
            "nobody is stopped",
            id="storage",
        ),
        pytest.param(
            Shortage(accelerator("a100"), moment(NOW), 6, ()),
            "",
            "a100  from now on up to 6 more promised than there is",
            id="promises, now",
        ),
    ],
)
def test_a_pool_that_is_short_has_a_line(shortage: Shortage, at: str, text: str) -> None:
    """With what is granted, what there is, and what becomes of those who hold it."""
    assert shortage_text(shortage, moment(NOW), at) == text


def test_a_pool_that_is_short_twice_is_counted_once() -> None:
    """For what is granted now, and for what is promised; and a promised start that has moved is late already."""
    now = Shortage(accelerator("a100"), moment(NOW), 6, ("red", "blue"), 2)
    shortages = (now, Shortage(accelerator("a100"), moment(NOW) + DAY, 9, ("red", "blue")))
    assert Comparison((), shortages).summary == "2 promised starts may be late, 1 pool is overcommitted"
    moved = Comparison((row(waits(1), waits(2), "red"),), shortages)
    assert moved.summary == "1 starts later, 1 promised start may be late, 1 pool is overcommitted"
    data = as_json(Answer(moved), Picture(Observed(), {}, NOW, timedelta()), NOW)
    assert [(one["reason"], one["amount"]) for one in data["overcommitted"]] == [
        ("CapacityLost", 6),
        ("PromisesExceedPlan", 9),
    ]
    assert (data["summary"]["later"], data["summary"]["mayBeLate"]) == (1, 1)


def test_programs_get_a_documented_shape() -> None:
    """Moments in UTC, shifts in seconds, what is not known as null."""
    picture = Picture(Observed(), {}, NOW, timedelta(hours=-72))
    found = as_json(Answer(Comparison((row(waits(3), waits(5)), row(None, waits(None))), ())), picture, NOW)
    assert list(found) == ["time", "clockOffset", "allocations", "notCounted", "overcommitted", "summary"]
    assert (found["time"], found["clockOffset"]) == ("2027-01-01T00:00:00Z", "-72h")
    assert found["summary"] == {"later": 1, "mayBeLate": 0, "earlier": 0, "refused": 0, "text": "1 starts later"}
    moved, new = found["allocations"]
    assert moved == {
        "name": "blue",
        "organization": "blue (example)",
        "priority": 100,
        "asks": {"accelerators": {"a100": 8}, "storage": {}},
        "subject": False,
        "before": moved["before"],
        "after": {
            "phase": "Waiting",
            "starts": "2027-01-06T00:00:00Z",
            "end": None,
            "pending": True,
            "position": 2,
            "reason": "WaitingForCapacity",
            "message": "needs 8 of a100",
        },
        "movesSeconds": 2 * 86_400,
        "later": True,
        "earlier": False,
        "consequences": {"evictions": [], "accessLost": [], "namespaces": [], "data": []},
    }
    assert (new["before"], new["after"]["starts"], new["movesSeconds"]) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("720h", NOW + timedelta(days=30), id="a duration from now"),
        pytest.param("1d12h", NOW + timedelta(hours=36), id="with days"),
        pytest.param("0s", NOW, id="now"),
        pytest.param("2027-02-01T00:00:00+09:00", datetime(2027, 1, 31, 15, tzinfo=UTC), id="with an offset"),
        pytest.param("2027-02-01t00:00:00.5z", datetime(2027, 2, 1, 0, 0, 0, 500_000, tzinfo=UTC), id="lower case"),
    ],
)
def test_times_are_moments_or_durations(text: str, expected: datetime) -> None:
    """In UTC, by the operator's clock."""
    assert read_time(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "soon", "2027-02-01", "2027-02-01T00:00Z", "2027-02-01T00:00:00", "1w", "-1h"])
def test_other_texts_are_no_times(text: str) -> None:
    """The line shows what would be right."""
    with pytest.raises(UserError, match="write RFC 3339 with seconds and offset"):
        read_time(text, NOW)
