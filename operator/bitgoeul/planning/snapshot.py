"""
The frozen picture that one round of planning looks at: pools with their capacity, allocations with their charge.

What an allocation is charged is the most of what status.grant promises and what its quotas ask, enforce or count. So a
lost status, a quota raised by hand or a crash between two writes can make too much count as taken, never too little.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.api.accelerator_pool import StopPolicy
from bitgoeul.planning.allocations import Allocation, Amounts, at_least, total
from bitgoeul.planning.moments import moment
from bitgoeul.planning.observed import NamespaceView, NodeView, QuotaView
from bitgoeul.planning.pending import Pending
from bitgoeul.planning.pools import Pool, PoolKey, measure_accelerators, measure_storage


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything of the cluster that planning looks at, as last seen."""

    accelerator_pools: tuple[AcceleratorPool, ...] = ()
    storage_pools: tuple[StoragePool, ...] = ()
    allocations: tuple[Allocation, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    namespaces: Mapping[str, NamespaceView] = field(default_factory=dict)
    quotas: tuple[QuotaView, ...] = ()
    pending: Pending | None = None  # None: nobody has looked yet
    allowed_roles: frozenset[str] = frozenset()  # ClusterRoles that members may be given
    leaving: frozenset[PoolKey] = frozenset()  # pools that were deleted a moment ago
    clocks_differ: bool = False  # of the operator's host and of the API server: no end is acted on
    seen: tuple[NodeView, ...] | None = None  # the nodes as they are, where more is believed; None: it is not


@dataclass(frozen=True, slots=True)
class Standing:
    """One allocation with what it is charged and what pods and claims of it use."""

    allocation: Allocation
    charged: Amounts = field(default_factory=dict)
    in_use: Amounts = field(default_factory=dict)
    # Retained data that this one takes over with restoreFrom: already charged to the pool, so it needs no room. What
    # its own promise covers already is left out.
    inherits: Amounts = field(default_factory=dict)
    # In namespaces of its own: pool → amount in use there, to see whether a pool can be swapped for another.
    used_in: Mapping[str, Amounts] = field(default_factory=dict)
    # In retained namespaces that it takes over: pool → amount held there.
    left_in: Mapping[str, Amounts] = field(default_factory=dict)
    # Has a namespace, so it was admitted before; one that asks for cpu and memory only has nothing else to show for it.
    housed: bool = False
    shut: bool = False  # all its namespaces are marked as closed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Input of ``make_plan``."""

    now: int  # moment by which is planned
    wall: datetime
    pools: Mapping[PoolKey, Pool]
    standings: tuple[Standing, ...]
    namespaces: Mapping[str, NamespaceView]
    # Held in namespaces whose allocation is gone: data kept, and devices until the quota there is closed.
    retained: Amounts
    # Namespace name → UID of the allocation that may have it.
    claimants: Mapping[str, str]
    # UID of an allocation, also of one that is gone → its namespaces, in the order of their names.
    owned: Mapping[str, tuple[NamespaceView, ...]] = field(default_factory=dict)
    # UIDs of the allocations that exist, also of those being deleted.
    live: frozenset[str] = frozenset()
    # Pools with stopPolicy HoldAndDrain.
    draining: frozenset[PoolKey] = frozenset()
    # Pools that grant nothing new: being deleted, not readable, or with the class of an older one.
    flawed: frozenset[PoolKey] = frozenset()
    # Pods that no node takes, by UID of the allocation; no decision depends on them. None: nobody has looked yet.
    pending: Pending | None = None
    # Nobody knows the time well enough to act on an end: what is due is not asked back yet.
    clocks_differ: bool = False
    # ClusterRoles that members may be given beside our own.
    allowed_roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """What one namespace holds, by its quota."""

    namespace: NamespaceView
    held: Amounts
    used: Amounts


def build_snapshot(observed: Observed, now: datetime, wall: datetime | None = None) -> Snapshot:
    """
    Put together what belongs together; pure, so that a what-if can change the input and ask again.

    Args:
        now: The time by which is planned, which may be shifted.
        wall: The real time, by which the age of requests goes, as that of objects does; None: the same.
    """
    unnamed = count_unnamed(observed)
    present = moment(now)
    pools = measure_accelerators(observed.accelerator_pools, observed.nodes, unnamed, present)
    pools.update(measure_storage(observed.storage_pools, unnamed, present))
    if observed.seen is not None:
        shown = measure_accelerators(observed.accelerator_pools, observed.seen, unnamed, present)
        pools.update({key: doubting(pools[key], pool) for key, pool in shown.items()})
    pools.update({key: replace(pools[key], leaving=True) for key in observed.leaving if key in pools})

    may_have = claimants(observed.allocations, observed.namespaces)
    owned = by_owner(observed.namespaces)
    places, left = find_places(observed, PoolFinder(pools))
    legacies = find_heirs(left, observed.allocations, may_have)

    retained = total(place.held for place in left)
    standings = []
    for allocation in observed.allocations:
        uid = allocation.uid
        own = [namespace for namespace in owned.get(uid, ()) if not namespace.retained]
        standing, covered = stand(allocation, places.get(uid, []), legacies.get(uid, []), own)
        standings.append(standing)
        for pool, amount in covered.items():
            retained[pool] -= amount
    return Snapshot(
        now=present,
        wall=wall or now,
        pools=pools,
        standings=tuple(standings),
        namespaces=observed.namespaces,
        retained={pool: amount for pool, amount in retained.items() if amount},
        claimants=may_have,
        owned=owned,
        live=frozenset(allocation.uid for allocation in observed.allocations),
        flawed=frozenset(key for key, pool in pools.items() if pool.deleting or pool.problem or pool.shadowed_by),
        draining=frozenset(key for key, pool in pools.items() if pool.stop is StopPolicy.HOLD_AND_DRAIN),
        pending=observed.pending,
        clocks_differ=observed.clocks_differ,
        allowed_roles=observed.allowed_roles,
    )


def doubting(believed: Pool, seen: Pool) -> Pool:
    """A pool as it is believed, with what of it is not seen; a node that has changed its name is no second node."""
    doubtful = max(0, believed.capacity.effective - seen.capacity.effective)
    return replace(believed, doubtful=doubtful, highest=seen.highest)


def find_places(observed: Observed, finder: PoolFinder) -> tuple[dict[str, list[Place]], list[Place]]:
    """What namespaces hold: by the UID of their allocation, and apart from that where the allocation is gone."""
    live = {allocation.uid: allocation for allocation in observed.allocations if allocation.uid}
    places: dict[str, list[Place]] = {}
    left: list[Place] = []
    for quota in observed.quotas:
        namespace = observed.namespaces.get(quota.namespace)
        if namespace is None:
            continue  # the namespace is gone, its quota's deletion is on the way
        owner = live.get(namespace.allocation_uid)
        place = look_at(quota, namespace, owner, finder)
        if owner is None:
            left.append(place)
        else:
            places.setdefault(owner.uid, []).append(place)
    return places, left


def look_at(quota: QuotaView, namespace: NamespaceView, owner: Allocation | None, finder: PoolFinder) -> Place:
    """What a quota says of the pools behind its limits."""
    held: dict[PoolKey, int] = {}
    used: dict[PoolKey, int] = {}
    for limit in quota.holding:
        pool = finder.find(limit, namespace, owner)
        if pool is None:
            continue
        held[pool] = held.get(pool, 0) + quota.held(limit)
        in_use = quota.used.get(limit, 0)
        if in_use:
            used[pool] = used.get(pool, 0) + in_use
    return Place(namespace, held, used)


def find_heirs(
    left: Iterable[Place], allocations: Iterable[Allocation], claimants: Mapping[str, str]
) -> dict[str, list[Place]]:
    """
    Retained namespaces by the UID of the allocation that takes them over.

    Namespace by namespace: what nobody names stays retained, even if its neighbours find an heir.
    """
    restoring = {a.uid: a.restore_from for a in allocations if a.restore_from and not a.deleting}
    heirs: dict[str, list[Place]] = {}
    for place in left:
        heir = claimants.get(place.namespace.name, "")
        if restoring.get(heir) == place.namespace.allocation_uid:
            heirs.setdefault(heir, []).append(place)
    return heirs


def stand(
    allocation: Allocation, places: Iterable[Place], legacy: Iterable[Place], own: Collection[NamespaceView]
) -> tuple[Standing, Amounts]:
    """
    Work out the standing of an allocation.

    Args:
        places: What its namespaces hold.
        legacy: Retained namespaces that it takes over.
        own: Its namespaces, without those that are retained.
    Returns:
        The standing, and what of the legacy is covered by its own promise already: the namespaces change hands after
        the promise is written, and in between their content must count once.
    """
    held = total(place.held for place in places)
    in_use = total(place.used for place in places)
    used_in = {place.namespace.name: place.used for place in places if place.used}
    charged = at_least(allocation.granted, held)
    left_in = {place.namespace.name: place.held for place in legacy}
    fitting = fit_into_shares(allocation, left_in)
    covered = {pool: min(n, charged.get(pool, 0) - held.get(pool, 0)) for pool, n in fitting.items()}
    inherits = {pool: n - covered[pool] for pool, n in fitting.items() if n > covered[pool]}
    shut = bool(own) and all(namespace.closed for namespace in own)
    return Standing(allocation, charged, in_use, inherits, used_in, left_in, bool(own), shut), covered


def fit_into_shares(allocation: Allocation, legacy: Mapping[str, Amounts]) -> dict[PoolKey, int]:
    """What of a legacy goes into the shares of the namespaces that hold it."""
    if not legacy:
        return {}
    return total(
        {pool: min(amount, share.amounts.get(pool, 0)) for pool, amount in legacy.get(share.namespace, {}).items()}
        for share in allocation.shares
    )


def count_unnamed(observed: Observed) -> dict[str, int]:
    """For each limit, how many quotas do not hold it closed yet; where a namespace is going, no pod can be made."""
    names = {pool.spec.resource_name for pool in observed.accelerator_pools}
    names |= {pool.spec.storage_class_name for pool in observed.storage_pools}
    counts: dict[str, int] = {}
    for quota in observed.quotas:
        namespace = observed.namespaces.get(quota.namespace)
        if namespace is not None and namespace.terminating:
            continue
        for name in names - quota.closed:
            counts[name] = counts.get(name, 0) + 1
    return counts


def claimants(allocations: Iterable[Allocation], namespaces: Mapping[str, NamespaceView]) -> dict[str, str]:
    """
    Who may have each namespace: its present owner, else the oldest that asks for it.

    A retained namespace is only for those that say ``restoreFrom``, whoever else asks for its name.
    """
    result: dict[str, str] = {}
    for allocation in sorted(allocations, key=lambda a: (a.created, a.name)):
        for share in allocation.shares:
            namespace = namespaces.get(share.namespace)
            if namespace is None or not namespace.retained or entitled(allocation, namespace):
                result.setdefault(share.namespace, allocation.uid)
    for namespace in namespaces.values():
        if namespace.allocation_uid and not namespace.retained:
            result[namespace.name] = namespace.allocation_uid
    return result


def entitled(allocation: Allocation, namespace: NamespaceView) -> bool:
    """Whether a retained namespace is this one's by its UID."""
    return namespace.allocation_uid in (allocation.uid, allocation.restore_from)


def by_owner(namespaces: Mapping[str, NamespaceView]) -> dict[str, tuple[NamespaceView, ...]]:
    """Namespaces by the UID of the allocation that they say they belong to."""
    result: dict[str, list[NamespaceView]] = {}
    for namespace in sorted(namespaces.values(), key=lambda n: n.name):
        if namespace.allocation_uid:
            result.setdefault(namespace.allocation_uid, []).append(namespace)
    return {uid: tuple(found) for uid, found in result.items()}


class PoolFinder:
    """
    Tells which pool a limit of a quota belongs to.

    Several pools may share a resource name; then the label of the namespace says which one is granted there, and where
    the label is lost or doubled, what the owner holds, and what it wants there.
    """

    def __init__(self, pools: Mapping[PoolKey, Pool]) -> None:
        self._by_limit: dict[str, list[PoolKey]] = {}
        for key, pool in pools.items():
            if not pool.shadowed_by:
                self._by_limit.setdefault(pool.limit, []).append(key)

    def find(self, limit: str, namespace: NamespaceView, owner: Allocation | None) -> PoolKey | None:
        """The pool, or None when no pool has this limit."""
        candidates = self._by_limit.get(limit)
        if not candidates:
            return None
        if len(candidates) == 1:
            return candidates[0]
        granted = owner.granted if owner else {}
        wanted = {pool for s in owner.shares if s.namespace == namespace.name for pool in s.amounts} if owner else ()

        def likely(key: PoolKey) -> tuple[bool, bool, bool]:
            return key.name in namespace.pools, key in granted, key in wanted

        return max(candidates, key=likely)  # of equals the first
