"""
Looks, once a minute, for pods of tenants that no node takes, and gives what it finds to the planner.

Reads and writes nothing else. Pods are listed, not watched: they come and go by thousands, and only those that are
Pending are sent by the API server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from bitgoeul.cluster.cache import Cache
from bitgoeul.cluster.client import Api
from bitgoeul.cluster.kinds import NAMESPACE, POD
from bitgoeul.controller.planner import Planner
from bitgoeul.controller.rounds import Round
from bitgoeul.errors import ClusterError
from bitgoeul.planning.allocations import devices_in
from bitgoeul.planning.pending import Pending, find_pending

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
FIRST_LOOK_SECONDS = 1.0  # until there is a plan, and after a look that did not succeed


class PendingWatch:
    """See the module's text."""

    def __init__(
        self, cache: Cache, api: Api, planner: Planner, clock: Callable[[], datetime], after: timedelta
    ) -> None:
        self._cache = cache
        self._api = api
        self._planner = planner
        self._clock = clock
        self._after = after

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            current = self._planner.round
            looked = current is not None and await self._look(current)
            # Where a pod is told after less than a look would take, looks are as frequent.
            pause = min(LOOK_SECONDS, max(FIRST_LOOK_SECONDS, self._after.total_seconds()))
            await asyncio.sleep(pause if looked else FIRST_LOOK_SECONDS)

    async def _look(self, current: Round) -> bool:
        """One look; False when it did not succeed."""
        found: Pending = {}
        if holds_devices(current):
            try:
                pods, _ = await self._api.list_all(POD.path(), field_selector="status.phase=Pending")
            except ClusterError as error:
                log.debug("listing pods that are Pending: %s", error)
                return False
            namespaces = {entry.view.name: entry.view for entry in self._cache.all(NAMESPACE)}
            found = find_pending(pods, namespaces, self._clock(), self._after)
        self._planner.set_pending(found)
        return True


def holds_devices(current: Round) -> bool:
    """Whether anybody holds devices by a grant that is in force; without that nobody can miss any."""
    return any(decision.admitted and devices_in(decision.grant) for decision in current.plan.decisions.values())
