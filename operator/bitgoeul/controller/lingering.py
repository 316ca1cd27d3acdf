"""
Remembers what pods hold that no quota counts: those past their deletion time whose processes still run.

Quota stops charging such a pod, also when its kubelet is away. A quota says that there are some by its two counts of
pods: ``count/pods`` has them all, ``pods`` only those that are charged. So pods are listed only where devices have
become fewer in a quota that counts more pods than it charges, once for each such fall, and again while some linger.
Memory only; a new leader begins with the namespaces whose quotas count more than they charge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import Api, Object
from bitgoeul.cluster.kinds import RESOURCE_QUOTA
from bitgoeul.controller.pods import unfinished_pods
from bitgoeul.planning.observed import QuotaView, whole
from bitgoeul.planning.pods import devices_of, summed

LOOK_SECONDS = 5.0


class Lingering:
    """See the module's text; ``on_change`` gets the namespace in which something else lingers than before."""

    def __init__(self, cache: Cache, api: Api, on_change: Callable[[str], None]) -> None:
        self._cache = cache
        self._api = api
        self._on_change = on_change
        self._held: dict[str, dict[str, int]] = {}  # namespace → resource → devices that no quota counts

    def suspects(self) -> list[str]:
        """Name the namespaces whose quotas count more pods than they charge: lingering ones, or finished ones."""
        return [entry.view.namespace for entry in self._cache.all(RESOURCE_QUOTA) if uncharged(entry.obj) > 0]

    async def look(self, namespace: str) -> float | None:
        """Find out what lingers in a namespace; returns in how many seconds to look again, if at all."""
        pods = await unfinished_pods(self._api, namespace)
        quota = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, namespace)
        held = hidden(pods, quota.view.used if quota else {})
        if held != self._held.get(namespace, {}):
            self._held[namespace] = held
            if not held:
                del self._held[namespace]
            self._on_change(namespace)
        return LOOK_SECONDS if held else None

    def of(self, namespace: str) -> Mapping[str, int]:
        """Return the devices that linger in a namespace, by resource."""
        return self._held.get(namespace, {})

    def counted(self, view: QuotaView) -> QuotaView:
        """Return what a quota says with what lingers added to what it has counted."""
        held = self._held.get(view.namespace)
        return view if not held else replace(view, used=summed(view.used, held))


def hidden(pods: Iterable[Object], used: Mapping[str, int]) -> dict[str, int]:
    """
    Return the devices that pods in termination hold beyond what is counted.

    Args:
        pods: All that may hold something in one namespace.
        used: What its quota has counted.
    """
    everything: dict[str, int] = {}
    ending: dict[str, int] = {}
    for pod in pods:
        devices = devices_of(pod)
        everything = summed(everything, devices)
        if pod["metadata"].get("deletionTimestamp"):
            ending = summed(ending, devices)
    found = {name: min(amount, everything[name] - used.get(name, 0)) for name, amount in ending.items()}
    return {name: amount for name, amount in found.items() if amount > 0}


def uncharged(quota: Mapping[str, Any]) -> int:
    """Return how many pods a quota counts that it does not charge."""
    used = (quota.get("status") or {}).get("used") or {}
    return whole(used.get("count/pods", 0)) - whole(used.get("pods", 0))


def may_linger(before: Entry | None, after: Entry | None) -> bool:
    """Tell whether a quota has stopped counting devices while it knows pods that it does not charge."""
    if before is None or after is None or uncharged(after.obj) <= 0:
        return False
    used: Mapping[str, int] = before.view.used
    return any(after.view.used.get(name, 0) < amount for name, amount in used.items())
