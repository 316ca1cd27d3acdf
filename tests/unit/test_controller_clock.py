"""Two clocks compared: whatever one of them does, nothing is believed that the other denies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.controller.clock import MOST_SKEW_SECONDS, Clocks, ShiftedClock

START = datetime(2027, 3, 1, 12, 0, 0, tzinfo=UTC)


class Host:
    """A host whose two clocks a test turns."""

    def __init__(self) -> None:
        self.wall, self.monotonic = START, 1000.0

    def pass_time(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.monotonic += seconds


def header(moment: datetime) -> str:
    """A Date header, which has whole seconds."""
    return format_datetime(moment, usegmt=True)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def clocks(host: Host) -> Clocks:
    return Clocks(lambda: host.wall, lambda: host.monotonic)


def test_before_the_first_comparison_nothing_is_believed(clocks: Clocks) -> None:
    """And an answer without a date is no comparison."""
    assert (clocks.apart, clocks.skew_seconds, clocks.server()) == (True, None, None)
    clocks.hear("", 0.1)
    clocks.hear("yesterday", 0.1)
    assert clocks.apart
    assert "has not told its time" in clocks.problem()
    assert clocks.earlier() == START


def test_clocks_that_agree_are_the_hosts(clocks: Clocks, host: Host) -> None:
    """To the millisecond: what the API server tells is cut off to seconds."""
    clocks.hear(header(host.wall), 0.0)
    assert (clocks.apart, clocks.problem(), clocks.agreed_at) == (False, "", host.monotonic)
    host.pass_time(0.25)
    assert clocks.earlier() == host.wall


@pytest.mark.parametrize("jump", [
    pytest.param(3600, id="the host's clock jumps ahead"),
    pytest.param(-3600, id="the host's clock jumps back"),
    pytest.param(MOST_SKEW_SECONDS + 2, id="by little more than is believed"),
])  # fmt: skip
def test_a_jump_is_noticed_at_once_and_heals(clocks: Clocks, host: Host, jump: float) -> None:
    """Without another answer; and planning goes by the earlier clock meanwhile."""
    clocks.hear(header(host.wall), 0.0)
    right = host.wall
    host.wall += timedelta(seconds=jump)
    assert clocks.apart
    assert clocks.earlier() == min(host.wall, right + timedelta(milliseconds=500))
    assert clocks.later() == max(host.wall, right + timedelta(milliseconds=500))
    assert f"{abs(jump):.0f} s {'ahead of' if jump > 0 else 'behind'}" in clocks.problem()
    host.wall = right
    assert not clocks.apart


@given(skew=st.floats(-1e6, 1e6), took=st.floats(0, 3), passed=st.floats(0, 1e5))
def test_what_is_planned_by_is_never_ahead_of_a_clock_that_is_right(skew: float, took: float, passed: float) -> None:
    """Whichever of the two is wrong, in whichever direction, by more than is believed."""
    host = Host()
    clocks = Clocks(lambda: host.wall, lambda: host.monotonic)
    clocks.hear(header(host.wall + timedelta(seconds=skew)), took)
    host.pass_time(passed)
    assert clocks.skew_seconds is not None
    assert abs(clocks.skew_seconds - skew) <= 1 + took
    if clocks.apart:
        assert clocks.earlier() <= host.wall
        assert clocks.earlier() <= host.wall + timedelta(seconds=skew + 1 + took)
    else:
        assert clocks.earlier() == host.wall


def test_a_shift_comes_on_top(clocks: Clocks, host: Host) -> None:
    """It is deliberate, whatever the clocks say."""
    clocks.hear(header(host.wall), 0.0)
    host.wall += timedelta(days=365)
    assert ShiftedClock(clocks.earlier, timedelta(hours=24))() == START + timedelta(hours=24, milliseconds=500)


def test_what_differs_by_just_the_limit_does_not_change_sides_each_time(clocks: Clocks, host: Host) -> None:
    """The API server's time has whole seconds: the same difference looks like a little more or less."""
    changes, before = 0, None
    for _ in range(120):
        host.pass_time(5.27)
        clocks.hear(header(host.wall + timedelta(seconds=MOST_SKEW_SECONDS)), 0.0)
        changes, before = changes + (before is not None and before != clocks.apart), clocks.apart
    assert changes <= 1
