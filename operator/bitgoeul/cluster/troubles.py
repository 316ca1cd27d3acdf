"""
What has failed without a success since, and for how long: what lasts is told, what passes is not worth a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

LASTING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that fails: since when, by the monotonic clock, and what was said about it last."""

    since: float
    error: str


class Troubles:
    """Remembers, by a word or an object's UID, what fails."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Trouble] = {}

    def failed(self, what: str, error: object) -> float:
        """Note a failure; returns for how many seconds it has lasted."""
        now = self._clock()
        known = self._known.get(what)
        since = now if known is None else known.since
        self._known[what] = Trouble(since, " ".join(str(error).split()))
        return now - since

    def succeeded(self, what: str) -> None:
        """Note a success: whatever failed before is over."""
        self._known.pop(what, None)

    def lasting(self) -> dict[str, Trouble]:
        """Return what has failed for long, and still does."""
        now = self._clock()
        return {what: one for what, one in self._known.items() if now - one.since >= LASTING_SECONDS}

    def text(self) -> str:
        """Say what has failed for long; empty: nothing."""
        now = self._clock()
        found = sorted(self.lasting().items())
        return "; ".join(f"{what} has failed for {now - one.since:.0f} s: {one.error}" for what, one in found)
