"""A clock that stands still until a test moves it."""

from __future__ import annotations


class Clock:
    """Seconds, as of ``time.monotonic``; a test adds to ``now``."""

    now = 100.0

    def __call__(self) -> float:
        return self.now
