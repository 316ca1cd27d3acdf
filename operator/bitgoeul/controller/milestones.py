"""
Counts what becomes of allocations at the moment at which it is written down: decisions, phases, waits.

Everything is told from the status before and the status after a write, so that a restart counts nothing a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bitgoeul.api.conditions import ConditionType
from bitgoeul.desired.allocation_status import headline_condition
from bitgoeul.metrics.instruments import Instruments
from bitgoeul.planning.allocations import Amounts, in_utc

Status = Mapping[str, Any]
LONG_AGO = datetime.min.replace(tzinfo=UTC)


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
            self._instruments.observe_decision(self._seconds_since(read_time(obj["metadata"]["creationTimestamp"])))
        if before.get("phase") != after.get("phase"):
            self._instruments.observe_transition(str(after.get("phase", "")), headline_condition(after)[0])

    def granted(self, before: Status, held: Amounts, grant: Amounts) -> None:
        """
        More than was held until now was granted, and written down.

        Args:
            before: The status until then; where it says since when was waited.
        """
        queue = before.get("queue")
        seconds = self._seconds_since(max(read_time(queue.get("since")), asked_at(before))) if queue else 0.0
        for pool, amount in grant.items():
            if amount > held.get(pool, 0):
                self._instruments.observe_wait(pool, seconds)

    def _seconds_since(self, moment: datetime) -> float:
        """How long ago a moment is; 0 where clocks differ so much that it lies ahead, or nobody knows."""
        return max(0.0, (self._clock() - moment).total_seconds()) if moment > LONG_AGO else 0.0


def asked_at(status: Status) -> datetime:
    """
    Since when what waits is asked for; ages ago where status does not say.

    The queue's own time is an age in the order: one that was suspended, and asks again, keeps its old one.
    """
    rows = [row for row in status.get("conditions") or () if row.get("type") == ConditionType.RECONCILING]
    return max(
        (read_time(row.get("lastTransitionTime")) for row in rows if row.get("status") == "True"), default=LONG_AGO
    )


def read_time(raw: object) -> datetime:
    """A time as the API server writes it; ages ago where it is none."""
    try:
        return in_utc(datetime.fromisoformat(str(raw).upper()))
    except ValueError:
        return LONG_AGO
