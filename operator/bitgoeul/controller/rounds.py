"""
One round of planning, as values and pure functions: what it looks at, what it decides, and what differs from the last.

Reads the cache and nothing else, and writes nothing; so it can run beside the event loop, and commands that only look
do the same as the operator.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    NAMESPACE,
    NODE,
    RESOURCE_QUOTA,
    STORAGE_CLASS,
    STORAGE_POOL,
    TENANT_ALLOCATION,
)
from bitgoeul.desired.world import World
from bitgoeul.planning.allocations import Allocation
from bitgoeul.planning.decisions import Decision, Plan
from bitgoeul.planning.life import Course
from bitgoeul.planning.observed import QuotaView
from bitgoeul.planning.pending import PendingPods
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.snapshot import Observed, PoolFinder, Snapshot, Standing, build_snapshot
from bitgoeul.planning.succession import gives


@dataclass(frozen=True)
class Round:
    """What one round looked at and decided; metrics and appliers read it, nobody changes it."""

    snapshot: Snapshot
    plan: Plan
    world: World
    finder: PoolFinder
    standings: dict[str, Standing]  # by allocation name
    seconds: float  # how long deciding took


@dataclass(frozen=True)
class Changes:
    """What one round sees or decides otherwise than the one before."""

    allocations: tuple[str, ...]
    pools: tuple[PoolKey, ...]
    world: bool


def is_new_promise(allocation: Allocation, decision: Decision) -> bool:
    """Whether status, or the finalizer that guards it, has to be written before the decision may be acted on."""
    if allocation.deleting:
        return False
    if decision.course is Course.NOTHING:
        return decision.promised is not None and gives(allocation, allocation.granted, decision)
    return not allocation.guarded or (decision.admitted and gives(allocation, allocation.granted, decision))


def has_to_be_written(allocation: Allocation, decision: Decision) -> bool:
    """Whether status has to be written before the decision may be acted on: a promise, or that taking back begins."""
    return is_new_promise(allocation, decision) or not has_begun(allocation, decision)


def has_begun(allocation: Allocation, decision: Decision) -> bool:
    """Whether status says since when what is due is taken back: patience counts from there, whoever leads by then."""
    drains = decision.drain_started in (None, allocation.drain_started)
    return drains and decision.delete_started in (None, allocation.delete_started)


def make_round(
    observed: Observed, classes: frozenset[str], now: datetime, wall: datetime, previous: Round | None
) -> tuple[Round, Changes]:
    """
    Plan, and compare with the round before; pure, so that it can run beside the event loop.

    Args:
        classes: Names of the storage classes of the cluster.
        now: The time by which is planned.
        wall: The real time.
    """
    started = time.perf_counter()
    snapshot = build_snapshot(observed, now, wall)
    current = Round(
        snapshot=snapshot,
        plan=make_plan(snapshot),
        world=build_world(observed, classes),
        finder=PoolFinder(snapshot.pools),
        standings={standing.allocation.name: standing for standing in snapshot.standings},
        seconds=0.0,
    )
    changes = compare(previous, current)
    return replace(current, seconds=time.perf_counter() - started), changes


def compare(previous: Round | None, current: Round) -> Changes:
    """Find out who has to look again."""
    if previous is None:
        return Changes(tuple(current.plan.decisions), tuple(current.snapshot.pools), world=True)
    allocations = []
    for name, decision in current.plan.decisions.items():
        before, now = previous.standings.get(name), current.standings[name]
        same_spec = before is not None and before.allocation.generation == now.allocation.generation
        pends = pending_of(previous.snapshot, decision.uid) != pending_of(current.snapshot, decision.uid)
        if not same_spec or pends or previous.plan.decisions.get(name) != decision:
            allocations.append(name)
    pools = [
        key
        for key, pool in current.snapshot.pools.items()
        if previous.snapshot.pools.get(key) != pool or previous.plan.pools.get(key) != current.plan.pools[key]
    ]
    return Changes(tuple(allocations), tuple(pools), previous.world != current.world)


def pending_of(snapshot: Snapshot, uid: str) -> PendingPods | None:
    """The pods of one allocation that no node takes, as far as anybody has looked."""
    return (snapshot.pending or {}).get(uid)


def observe(
    cache: Cache, allowed_roles: frozenset[str], counted: Callable[[QuotaView], QuotaView] = lambda view: view
) -> tuple[Observed, dict[str, Entry]]:
    """
    The cache as planning looks at it, and the allocations' entries that it was made from.

    Args:
        allowed_roles: ClusterRoles that members may be given.
        counted: Gives a quota with what it does not count although pods still hold it.
    """
    allocations = {entry.view.name: entry for entry in cache.all(TENANT_ALLOCATION)}
    observed = Observed(
        accelerator_pools=tuple(e.view for e in cache.all(ACCELERATOR_POOL) if isinstance(e.view, AcceleratorPool)),
        storage_pools=tuple(e.view for e in cache.all(STORAGE_POOL) if isinstance(e.view, StoragePool)),
        allocations=tuple(entry.view for entry in allocations.values()),
        nodes=tuple(entry.view for entry in cache.all(NODE)),
        namespaces={entry.view.name: entry.view for entry in cache.all(NAMESPACE)},
        quotas=tuple(counted(entry.view) for entry in cache.all(RESOURCE_QUOTA)),
        allowed_roles=allowed_roles,
    )
    return observed, allocations


def storage_classes(cache: Cache) -> frozenset[str]:
    """The names of all storage classes of the cluster."""
    return frozenset(entry.obj["metadata"]["name"] for entry in cache.all(STORAGE_CLASS))


def build_world(observed: Observed, classes: frozenset[str]) -> World:
    """Everything that every quota has to name."""
    accelerators = {pool.metadata.name: pool.spec for pool in observed.accelerator_pools}
    pooled = {pool.metadata.name: pool.spec for pool in observed.storage_pools}
    named = {spec.resource_name for spec in accelerators.values()}
    shown = {resource for node in observed.nodes for resource in node.capacity}
    # Of a pool that is gone: its key stays while a node still shows the resource, or it would be free for all.
    lingering = {limit for quota in observed.quotas for limit in quota.hard if limit in shown and limit not in named}
    return World(
        accelerators=accelerators,
        storage=pooled,
        lingering=frozenset(lingering),
        unpooled_classes=classes - {spec.storage_class_name for spec in pooled.values()},
    )
