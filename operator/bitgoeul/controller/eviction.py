"""
Sends pods off when their time is over: through the eviction API, and past disruption budgets when patience is.

Looks at real pods, not at the quota: that stops charging a pod which is stuck in termination, while its devices are
still taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from bitgoeul.cluster.client import Api, Object
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.pods import send_off, unfinished_pods
from bitgoeul.planning.pods import devices_of


class Eviction:
    """By the clock by which is planned: that is the one that the ends of grants go by."""

    def __init__(self, api: Api, writer: Writer, clock: Callable[[], datetime]) -> None:
        self._api = api
        self._writer = writer
        self._clock = clock

    async def all_of(self, namespace: str, since: datetime | None) -> int:
        """
        Evict every pod of a namespace.

        Args:
            since: From when on they have to go; None: they may stay.
        Returns:
            How many are still there.
        """
        pods = await unfinished_pods(self._api, namespace)
        if pods and since is not None:
            await send_off(self._writer, pods, since, self._clock)
        return len(pods)

    async def beyond(self, namespace: str, limits: dict[str, int], since: datetime) -> None:
        """Evict the youngest pods of a namespace that hold more of a resource than its limit; others do not matter."""
        pods = await unfinished_pods(self._api, namespace)
        await send_off(self._writer, youngest_beyond(pods, limits), since, self._clock)


def youngest_beyond(pods: Iterable[Object], limits: dict[str, int]) -> list[Object]:
    """
    The pods that have to go so that the rest fits, the youngest first.

    One that is on its way out already counts as gone only for the choice of others: it is not chosen instead of them.
    """
    held: dict[str, dict[str, int]] = {pod["metadata"]["uid"]: devices_of(pod) for pod in pods}
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    totals: dict[str, int] = {}
    for pod in staying:
        for resource, devices in held[pod["metadata"]["uid"]].items():
            totals[resource] = totals.get(resource, 0) + devices
    chosen = []
    for pod in sorted(staying, key=lambda p: (p["metadata"]["creationTimestamp"], p["metadata"]["name"]), reverse=True):
        taken = held[pod["metadata"]["uid"]]
        if any(totals[name] > limits[name] for name, count in taken.items() if count and name in limits):
            chosen.append(pod)
            for resource, count in taken.items():
                totals[resource] -= count
    return chosen
