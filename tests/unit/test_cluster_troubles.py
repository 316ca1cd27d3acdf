"""What fails is told when it has lasted, and is forgotten with the first success."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.cluster.troubles import LASTING_SECONDS, Troubles
from tests.unit.clocks import Clock


def test_what_passes_is_not_worth_a_word() -> None:
    """What fails once, or again after a success, has not lasted."""
    clock = Clock()
    troubles = Troubles(clock)
    assert troubles.failed("list nodes", "denied") == 0
    clock.now += LASTING_SECONDS - 1
    assert troubles.failed("list nodes", "denied") == LASTING_SECONDS - 1
    assert troubles.text() == ""
    troubles.succeeded("list nodes")
    clock.now += 1
    assert troubles.failed("list nodes", "denied") == 0
    assert troubles.lasting() == {}


def test_what_lasts_is_told_with_its_last_error() -> None:
    """In one line, each by its name."""
    clock = Clock()
    troubles = Troubles(clock)
    troubles.failed("list nodes", "no answer")
    clock.now += LASTING_SECONDS
    troubles.failed("list nodes", "denied\nby role")
    troubles.failed("watch nodes", "denied")
    assert troubles.text() == "list nodes has failed for 60 s: denied by role"


def test_of_many_troubles_the_first_is_told_and_the_others_are_counted() -> None:
    """Fifteen sentences about the same cause are read by nobody."""
    clock = Clock()
    troubles = Troubles(clock)
    assert (troubles.text(), troubles.brief()) == ("", "")
    for number in range(10, 25):
        troubles.failed(f"list kind{number}", "a long sentence")
    clock.now += LASTING_SECONDS
    assert troubles.text() == "list kind10 has failed for 60 s: a long sentence; 14 more"
    assert troubles.brief() == "list kind10 and 14 more"


@pytest.mark.parametrize(
    ("lasted", "patience"),
    [
        pytest.param(0, 60, id="once"),
        pytest.param(64, 96, id="for a minute"),
        pytest.param(1000, 420, id="for long"),
    ],
)
def test_what_has_not_failed_again_in_time_is_over(lasted: int, patience: float) -> None:
    """Where that is wanted: what nobody tries any more would fail for ever."""
    clock = Clock()
    troubles, others = Troubles(clock, fading=True), Troubles(clock)
    for moment in range(0, lasted + 1, 4):
        clock.now = moment
        for each in (troubles, others):
            each.failed("delete pods", "denied")
    clock.now += patience
    assert set(troubles.lasting()) == {"delete pods"}
    clock.now += 1
    assert troubles.text() == ""
    assert set(others.lasting()) == {"delete pods"}
    assert troubles.failed("delete pods", "denied") == 0


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=20))
def test_lasting_is_counted_from_the_first_failure_since_the_last_success(steps: list[tuple[float, bool]]) -> None:
    """However failures and successes follow each other."""
    clock = Clock()
    troubles = Troubles(clock)
    since: float | None = None
    for seconds, works in steps:
        clock.now += seconds
        if works:
            troubles.succeeded("one")
            since = None
        else:
            since = clock.now if since is None else since
            assert troubles.failed("one", "denied") == clock.now - since
        lasted = since is not None and clock.now - since >= LASTING_SECONDS
        assert ("one" in troubles.lasting()) == lasted
