"""
The two clocks: the real one, and the one by which is planned, which may be shifted.

Lease, Events and transition times go by the real one, whatever the other says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall_clock() -> datetime:
    """The real time, with zone, in whole milliseconds: what is written must read back equal."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class ShiftedClock:
    """The time by which is planned: another clock's, shifted; for demonstrations and tests of years in minutes."""

    def __init__(self, clock: Callable[[], datetime], offset: timedelta) -> None:
        self._clock = clock
        self.offset = offset

    def __call__(self) -> datetime:
        return self._clock() + self.offset
