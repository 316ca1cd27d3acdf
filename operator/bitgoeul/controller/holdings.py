"""
What an allocation's namespaces have in truth: by their quotas, and where something is taken away, by their pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import Api
from bitgoeul.cluster.kinds import RESOURCE_QUOTA, VOLUME_CLAIM
from bitgoeul.controller.lingering import Lingering
from bitgoeul.controller.pods import unfinished_pods
from bitgoeul.controller.rounds import Round
from bitgoeul.desired.targets import Holding
from bitgoeul.planning.allocations import Allocation, Amounts, at_least
from bitgoeul.planning.observed import whole
from bitgoeul.planning.pods import devices_of, summed
from bitgoeul.planning.pools import PoolKey, accelerator

NO_AMOUNTS: Amounts = MappingProxyType({})


class Holdings:
    """Reads, writes nothing."""

    def __init__(self, cache: Cache, api: Api, lingering: Lingering) -> None:
        self._cache = cache
        self._api = api
        self._lingering = lingering

    def of(
        self, namespace: Entry, allocation: Allocation, current: Round, closed_to: frozenset[PoolKey] = frozenset()
    ) -> Holding:
        """By the quota of one namespace."""
        quota = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, namespace.view.name)
        if quota is None:
            return Holding()
        hard: dict[PoolKey, int] = {}
        floor: dict[PoolKey, int] = {}
        for limit in quota.view.hard.keys() | quota.view.enforced.keys() | quota.view.used.keys():
            pool = current.finder.find(limit, namespace.view, allocation)
            if pool is not None:
                hard[pool] = quota.view.hard.get(limit, 0)
                floor[pool] = quota.view.held(limit)
        return Holding(positive(hard), positive(floor), quota_exists=True, closed_to=closed_to)

    def floors(self, namespaces: Iterable[Entry], allocation: Allocation, current: Round) -> dict[PoolKey, int]:
        """The most that several namespaces may hold together, by their quotas."""
        return added(self.of(namespace, allocation, current).floor for namespace in namespaces)

    async def by_pods(self, namespace: Entry, allocation: Allocation, current: Round) -> dict[PoolKey, int]:
        """Devices that pods of one namespace take, as the API server has them this moment."""
        amounts: dict[PoolKey, int] = {}
        for pod in await unfinished_pods(self._api, namespace.view.name):
            for resource, devices in devices_of(pod).items():
                pool = pool_of(pod, resource, current) or current.finder.find(resource, namespace.view, allocation)
                if pool is not None:
                    amounts[pool] = amounts.get(pool, 0) + devices
        return amounts

    async def by_claims(self, namespace: Entry, allocation: Allocation, current: Round) -> dict[PoolKey, int]:
        """Bytes that claims of one namespace hold, as the API server has them this moment."""
        amounts: dict[PoolKey, int] = {}
        claims, _ = await self._api.list_all(VOLUME_CLAIM.path("", namespace.view.name))
        for claim in claims:
            pool = current.finder.find(claim["spec"].get("storageClassName") or "", namespace.view, allocation)
            if pool is not None:
                amounts[pool] = amounts.get(pool, 0) + bytes_of(claim)
        return amounts

    async def in_truth(self, namespaces: Iterable[Entry], allocation: Allocation, current: Round) -> dict[PoolKey, int]:
        """
        The most that several namespaces hold together, by quotas and pods, whichever say more of each.

        The quota of a namespace that is being deleted goes before the claims; then the claims themselves are asked.
        """
        parts = []
        for namespace in namespaces:
            held = await self.by_pods(namespace, allocation, current)
            if self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, namespace.view.name) is None:
                held |= await self.by_claims(namespace, allocation, current)
            parts.append(at_least(self.of(namespace, allocation, current).floor, held))
        return added(parts)

    async def of_grant(
        self, namespaces: Iterable[Entry], allocation: Allocation, current: Round, ask: Amounts = NO_AMOUNTS
    ) -> dict[PoolKey, int]:
        """Return what of status.grant is asked for, or still held in truth, without the zeros."""
        held = await self.in_truth(namespaces, allocation, current)
        return positive(
            {pool: max(ask.get(pool, 0), min(amount, held.get(pool, 0))) for pool, amount in allocation.granted.items()}
        )

    def in_use(self, allocation: Allocation, current: Round) -> dict[PoolKey, int]:
        """What quotas have counted, and what pods hold beyond it, over all namespaces of an allocation."""
        used: dict[PoolKey, int] = {}
        for name, namespace in self._cache.owned_namespaces(allocation.uid).items():
            quota = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, name)
            counted = summed(quota.view.used if quota else {}, self._lingering.of(name))
            for limit, amount in counted.items():
                pool = current.finder.find(limit, namespace.view, allocation)
                if pool is not None and amount:
                    used[pool] = used.get(pool, 0) + amount
        return used


def bytes_of(claim: Mapping[str, Any]) -> int:
    """What a quota charges for a claim: what is asked for, or more where a larger volume is on its way."""
    asked = (claim["spec"].get("resources") or {}).get("requests") or {}
    allocated = (claim.get("status") or {}).get("allocatedResources") or {}
    return max(whole(asked.get("storage", 0)), whole(allocated.get("storage", 0)))


def pool_of(pod: Mapping[str, Any], resource: str, current: Round) -> PoolKey | None:
    """
    The pool whose nodes a pod is bound to by its own nodeSelector; None when that says nothing.

    The namespace's label says which pool new pods go to. A pod that is stuck in termination since before a switch is
    on nodes of the former one.
    """
    selector = (pod.get("spec") or {}).get("nodeSelector") or {}
    matching = [
        name
        for name, spec in current.world.accelerators.items()
        if spec.resource_name == resource
        and all(selector.get(key) == value for key, value in spec.node_selector.items())
    ]
    return accelerator(matching[0]) if len(matching) == 1 else None


def positive(amounts: Amounts) -> dict[PoolKey, int]:
    """Without the zeros."""
    return {pool: amount for pool, amount in amounts.items() if amount > 0}


def added(parts: Iterable[Amounts]) -> dict[PoolKey, int]:
    """The sum of amounts, pool by pool."""
    result: dict[PoolKey, int] = {}
    for part in parts:
        for pool, amount in part.items():
            result[pool] = result.get(pool, 0) + amount
    return result
