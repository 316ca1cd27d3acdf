"""What is free over time: a step function."""

from __future__ import annotations

import pytest

from bitgoeul.planning.moments import FOREVER, NEVER, date, day, moment, span
from bitgoeul.planning.profile import Profile
from tests.unit.builders import START


def profile() -> Profile:
    """8 from 10 on, 16 from 50 on; 6 taken until 20, and 3 from 30 to 40."""
    return Profile([(10, 8), (50, 16)], [(10, 20, 6), (30, 40, 3), (40, 40, 99)])


def test_steps_and_holds_add_up() -> None:
    """Each step begins at its moment, the last one at the end of all time; an empty hold is none."""
    found = profile()
    assert found.times == [10, 20, 30, 40, 50, NEVER]
    assert found.free == [2, 8, 5, 8, 16, 16]


@pytest.mark.parametrize(
    ("start", "end", "lowest"),
    [
        pytest.param(10, 20, 2, id="the end is not part of it"),
        pytest.param(10, 21, 2, id="across a step"),
        pytest.param(20, 30, 8, id="exactly one step"),
        pytest.param(25, 26, 8, id="within a step"),
        pytest.param(25, FOREVER, 5, id="for ever"),
    ],
)
def test_lowest_is_the_least_of_all_moments(start: int, end: int, lowest: int) -> None:
    """Start inclusive, end exclusive."""
    assert profile().lowest(start, end) == lowest


@pytest.mark.parametrize(
    ("start", "length", "amount", "found"),
    [
        pytest.param(10, 5, 2, 10, id="at once"),
        pytest.param(10, 5, 3, 20, id="when a hold ends"),
        pytest.param(10, 10, 8, 20, id="exactly in a gap"),
        pytest.param(10, 11, 8, 40, id="the gap is too short"),
        pytest.param(10, 1, 9, 50, id="with the next stage"),
        pytest.param(10, 1, 17, None, id="never"),
        pytest.param(23, 7, 8, 23, id="from a later moment on"),
        pytest.param(24, 7, 8, 40, id="from a later moment on, too long for the gap"),
        pytest.param(10, 10**15, 16, 50, id="very long"),
    ],
)
def test_a_slot_is_the_earliest_with_enough_for_its_length(
    start: int, length: int, amount: int, found: int | None
) -> None:
    """No earlier moment has this much for this long."""
    assert profile().slot(start, length, amount) == found


@pytest.mark.parametrize(
    ("start", "end", "amount", "found"),
    [
        pytest.param(10, 25, 2, 10, id="at once"),
        pytest.param(10, 25, 3, 20, id="after the last lack"),
        pytest.param(10, 35, 8, None, id="lacking up to the end"),
        pytest.param(10, 45, 8, 40, id="shortly before the end"),
        pytest.param(10, FOREVER, 9, 50, id="for ever from the next stage on"),
        pytest.param(10, FOREVER, 17, None, id="never"),
        pytest.param(10, 10, 99, 10, id="nothing of time needs nothing"),
    ],
)
def test_until_a_fixed_end_the_start_is_after_the_last_lack(
    start: int, end: int, amount: int, found: int | None
) -> None:
    """What is asked for until a date may begin late, but never has a hole."""
    assert profile().until(start, end, amount) == found


def test_lacks_finds_the_first_moment() -> None:
    """Not before the start that is asked about."""
    assert profile().lacks(12, 50, 3) == 12
    assert profile().lacks(22, 50, 6) == 30
    assert profile().lacks(22, 30, 8) is None


def test_what_is_taken_and_given_back_leaves_no_trace_in_the_sums() -> None:
    """Taking at moments between steps makes new ones; a copy stays as it was."""
    found = profile()
    before = found.copy()
    found.take(15, 33, 2)
    assert (found.lowest(15, 33), found.lowest(33, 40)) == (0, 5)
    found.take(5_000, FOREVER, 7)
    assert found.lowest(5_000, FOREVER) == 9
    found.take(15, 33, -2)
    found.take(5_000, FOREVER, -7)
    found.take(20, 20, 99)
    assert all(found.lowest(at, at + 1) == before.lowest(at, at + 1) for at in range(10, 60))
    assert before.times == profile().times


def test_a_rise_is_told_from_a_fall() -> None:
    """Only at the very moment of a step."""
    assert [at for at in range(5, 60) if profile().rises(at)] == [20, 40, 50]


def test_moments_are_written_for_people() -> None:
    """The date alone at midnight in UTC, else to the minute; nothing breaks at the far end."""
    assert day(moment(START)) == "2021-04-14 15:00Z"
    assert day(moment(START) + span("9h")) == "2021-04-15"
    assert day(NEVER) == "after 9997"
    assert moment(date(moment(START))) == moment(START)
    assert moment(START.replace(tzinfo=None)) == moment(START) + span("9h")
