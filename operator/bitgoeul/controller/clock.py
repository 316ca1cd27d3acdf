"""
The clocks: the host's, the API server's, and the one by which is planned, which may be shifted.

What the clock decides and nobody can take back, an eviction at an end and the deletion of data, is only done while host
and API server agree about the time. While they do not, planning goes by the earlier of the two: nothing begins to end
because one of them is ahead. Lease, Events and transition times go by the real time, whatever the shift says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# Clocks that differ by more are not believed.
MOST_SKEW_SECONDS = 30
# Clocks that differ agree again when they are closer than the limit by this much.
HYSTERESIS_SECONDS = 2
# The API server tells its time in whole seconds, cut off.
CUT_OFF = timedelta(milliseconds=500)

NOT_ACTED_ON = (
    "no end is acted on while the clocks of the operator's host and of the API server differ by more than "
    f"{MOST_SKEW_SECONDS} s"
)


def wall_clock() -> datetime:
    """The real time, with zone, in whole milliseconds: what is written must read back equal."""
    return whole_milliseconds(datetime.now(UTC))


def whole_milliseconds(moment: datetime) -> datetime:
    """Return a moment as finely as is planned."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Clocks:
    """
    The host's clock compared with the API server's.

    The last time that the API server told is carried on by the monotonic clock. So a host's clock that jumps is noticed
    at once, not with the next answer.
    """

    def __init__(
        self, host: Callable[[], datetime] = wall_clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._host = host
        self._monotonic = monotonic
        self._told: tuple[datetime, float] | None = None  # the API server's time, and when that was, monotonic
        # When the clocks last agreed, by the monotonic clock; None: they do not now, or were not compared yet.
        self.agreed_at: float | None = None
        self._differ = True

    def hear(self, date: str, seconds: float) -> None:
        """
        Take in the Date header of an answer.

        Args:
            date: Empty, or no date: it says nothing.
            seconds: From the request to the answer; the API server has looked at its clock in between.
        """
        try:
            told = parsedate_to_datetime(date)
        except ValueError:
            return
        if told.tzinfo is None:
            told = told.replace(tzinfo=UTC)
        now = self._monotonic()
        self._told = (told + CUT_OFF, now - seconds / 2)
        self.agreed_at = None if self.apart else now

    def server(self) -> datetime | None:
        """Return the time by the API server's clock; None: it has told none yet."""
        if self._told is None:
            return None
        told, at = self._told
        return told + timedelta(seconds=self._monotonic() - at)

    @property
    def skew_seconds(self) -> float | None:
        """By how much the API server's clock is ahead of the host's; None: not compared yet."""
        server = self.server()
        return None if server is None else (server - self._host()).total_seconds()

    @property
    def apart(self) -> bool:
        """Whether the clocks differ too much, or were never compared: then no end is acted on."""
        skew = self.skew_seconds
        # The API server's time comes in whole seconds: what differs by just the limit must not change sides each time.
        most = MOST_SKEW_SECONDS - HYSTERESIS_SECONDS if self._differ else MOST_SKEW_SECONDS
        self._differ = skew is None or abs(skew) > most
        return self._differ

    def earlier(self) -> datetime:
        """Return the real time, as far as it is known: of two clocks that differ, the earlier."""
        server = self.server()
        if server is None or not self.apart:
            return self._host()
        return min(self._host(), whole_milliseconds(server))

    def later(self) -> datetime:
        """Return the later of the two."""
        return max(self._host(), whole_milliseconds(self.server() or self._host()))

    def problem(self) -> str:
        """Say how far the clocks are apart; empty: they agree."""
        skew = self.skew_seconds
        if skew is None:
            return "the API server has not told its time yet; no end is acted on before"
        if not self.apart:
            return ""
        direction = "behind" if skew > 0 else "ahead of"
        return (
            f"this host's clock is {abs(skew):.0f} s {direction} the API server's, more than the {MOST_SKEW_SECONDS} s "
            "that are tolerated; no end is acted on meanwhile"
        )


class ShiftedClock:
    """The time by which is planned: another clock's, shifted; for demonstrations and tests of years in minutes."""

    def __init__(self, clock: Callable[[], datetime], offset: timedelta) -> None:
        self._clock = clock
        self.offset = offset

    def __call__(self) -> datetime:
        return self._clock() + self.offset
