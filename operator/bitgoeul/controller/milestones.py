"""
Counts what becomes of allocations at the moment at which it is written down: decisions, phases, waits.

Everything is told from the status before and the status after a write, so that a restart counts nothing a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bitgoeul.desired.allocation_status import headline_condition
from bitgoeul.metrics.instruments import Instruments
from bitgoeul.planning.allocations import Amounts

Status = Mapping[str, Any]


class Milestones:
    """See the module's text; ``clock`` gives the real time."""

    def __init__(self, instruments: Instruments, clock: Callable[[], datetime]) -> None:
        self._instruments = instruments
        self._clock = clock

    def written(self, obj: Mapping[str, Any], before: Status, after: Status) -> None:
        """
        A status was written.

        Args:
            obj: The allocation.
            before: Its status until then; empty: there was none.
        """
        if not before:
            self._instruments.observe_decision(self._seconds_since(obj["metadata"]["creationTimestamp"]))
        if before.get("phase") != after.get("phase"):
            self._instruments.observe_transition(str(after.get("phase", "")), headline_condition(after)[0])

    def granted(self, before: Status, held: Amounts, grant: Amounts) -> None:
        """
        More than was held until now was granted, and written down.

        Args:
            before: The status until then; where it says since when was waited.
        """
        since = (before.get("queue") or {}).get("since")
        seconds = self._seconds_since(since) if since else 0.0
        for pool, amount in grant.items():
            if amount > held.get(pool, 0):
                self._instruments.observe_wait(pool, seconds)

    def _seconds_since(self, text: str) -> float:
        """How long ago a moment is; 0 where clocks differ so much that it lies ahead."""
        return max(0.0, (self._clock() - datetime.fromisoformat(text)).total_seconds())
