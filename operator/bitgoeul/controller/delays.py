"""
What keeps an allocation from standing, or from going, for longer than that takes as a rule: told once.

The status says so at once, and is the same after a minute; that it has lasted is what an Event is worth. Memory only:
after a restart it is told once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bitgoeul.api.conditions import Phase, Reason
from bitgoeul.cluster.troubles import LASTING_SECONDS
from bitgoeul.desired.allocation_status import headline_condition, is_stalled

# These last moments, where nothing is wrong; what is stalled, and what is refused for good, is told at once.
MOMENTARY = frozenset(
    {Reason.POLICY_NOT_EFFECTIVE, Reason.QUOTA_NOT_ENFORCED, Reason.NAMESPACE_TERMINATING, Reason.DELETING}
)


@dataclass(slots=True)
class Delay:
    """Why one is held up, since when by the monotonic clock, and whether that was told."""

    reason: str
    since: float
    told: bool = False


class Delays:
    """See the module's text."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, Delay] = {}

    def news(self, name: str, status: Mapping[str, Any]) -> tuple[str, str, bool] | None:
        """Give the Event about what has held up an allocation for a minute: reason, message, and that it warns."""
        reason, message = headline_condition(status)
        if status.get("phase") != Phase.PENDING or is_stalled(status) or reason not in MOMENTARY:
            self.forget(name)
            return None
        known = self._known.get(name)
        if known is None or known.reason != reason:
            known = self._known[name] = Delay(reason, self._clock())
        if known.told or self._clock() < known.since + LASTING_SECONDS:
            return None
        known.told = True
        return reason, message, True

    def forget(self, name: str) -> None:
        """Drop what is remembered of an allocation that is not held up any more, or is gone."""
        self._known.pop(name, None)
