"""
What has failed without a success since, and for how long: what lasts is told, what passes is not worth a word.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

LASTING_SECONDS = 60.0
# Longer than any pause between two tries.
FADING_SECONDS = 420.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that fails: since when and when last, by the monotonic clock, and what was said about it last."""

    since: float
    last: float
    error: str


class Troubles:
    """
    Remembers, by a word or an object's UID, what fails.

    Args:
        fading: Whether a failure is over that has not come again in time. Pauses between tries grow with the time that
            it has lasted; what is not tried again by then is not wanted any more, and would never succeed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, fading: bool = False) -> None:
        self._clock = clock
        self._fading = fading
        self._known: dict[str, Trouble] = {}

    def failed(self, what: str, error: object) -> float:
        """Note a failure; returns for how many seconds it has lasted."""
        now = self._clock()
        known = self._known.get(what)
        since = now if known is None or self._faded(known) else known.since
        self._known[what] = Trouble(since, now, " ".join(str(error).split()))
        return now - since

    def succeeded(self, what: str) -> None:
        """Note a success: whatever failed before is over."""
        self._known.pop(what, None)

    def lasting(self) -> dict[str, Trouble]:
        """Return what has failed for long, and still does."""
        now = self._clock()
        return {
            what: one
            for what, one in self._known.items()
            if now - one.since >= LASTING_SECONDS and not self._faded(one)
        }

    def _faded(self, one: Trouble) -> bool:
        # A pause is about as long as all before it together, give or take a fifth.
        patience = min(FADING_SECONDS, max(LASTING_SECONDS, 1.5 * (one.last - one.since)))
        return self._fading and self._clock() - one.last > patience

    def text(self) -> str:
        """Say what has failed for long: the first, with what was said about it, and how many more; empty: nothing."""
        found = self.lasting()
        if not found:
            return ""
        one = found[min(found)]
        more = f"; {len(found) - 1} more" if len(found) > 1 else ""
        return f"{min(found)} has failed for {self._clock() - one.since:.0f} s: {one.error}{more}"

    def brief(self) -> str:
        """Say what has failed for long, by its name alone, and how many more; empty: nothing."""
        found = self.lasting()
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return f"{min(found)}{more}" if found else ""
