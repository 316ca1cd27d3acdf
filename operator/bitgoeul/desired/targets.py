"""
Divides a grant among the namespaces of an allocation: what each quota may say right now.

Raising waits for proof of lowering. A namespace is raised only by what the grant leaves when everything that all its
namespaces may still hold is taken off, so that no order of events, and no crash between two writes, lets the namespaces
together hold more than the grant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec
from bitgoeul.api.quantities import parse_bytes, parse_cpu
from bitgoeul.desired.world import NamespaceTarget, World
from bitgoeul.planning.allocations import Allocation, Amounts
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind


@dataclass(frozen=True, slots=True)
class Holding:
    """
    What one namespace has.

    Attributes:
        hard: What stands in its quota.
        floor: The most that it may still hold in truth.
        closed_to: Pools that are not raised here yet.
    """

    hard: Amounts = field(default_factory=dict)
    floor: Amounts = field(default_factory=dict)
    quota_exists: bool = False
    closed_to: frozenset[PoolKey] = frozenset()


@dataclass(frozen=True, slots=True)
class Division:
    """Targets by namespace, and whether every share has its final size."""

    targets: Mapping[str, NamespaceTarget]
    complete: bool


def divide(
    allocation: Allocation,
    grant: Amounts,
    met: bool,
    holdings: Mapping[str, Holding],
    pools: Mapping[PoolKey, Pool],
    world: World,
    elsewhere: Amounts | None = None,
) -> Division:
    """
    Decide the quota of each namespace.

    Args:
        grant: What status.grant promises.
        met: Everything asked for is granted. While it is not, what is held stays as it is.
        holdings: What the allocation's own namespaces have now, by name; those to be created are absent.
        elsewhere: What is held in namespaces that an earlier change has left behind, with their data.
    Returns:
        Targets for the namespaces asked for and for those of ``holdings`` that are no longer asked for (these get 0,
        unless the change that drops them still waits).
    """
    wanted = wanted_shares(allocation, met, holdings)
    floors: dict[PoolKey, int] = dict(elsewhere or {})
    for holding in holdings.values():
        for pool, amount in holding.floor.items():
            floors[pool] = floors.get(pool, 0) + amount
    room = {pool: amount - floors.get(pool, 0) for pool, amount in grant.items()}
    complete = True
    amounts: dict[str, dict[PoolKey, int]] = {}
    for name, share in wanted.items():
        holding = holdings.get(name, Holding())
        amounts[name] = {}
        for pool in sorted(share.keys() | holding.hard.keys()):
            target = settle(pool, share.get(pool, 0), holding, room, pools)
            complete = complete and target == share.get(pool, 0)
            if target:
                amounts[name][pool] = target
    return Division(
        {name: build_target(allocation, name, amounts[name], index == 0, world) for index, name in enumerate(wanted)},
        complete,
    )


def wanted_shares(allocation: Allocation, met: bool, holdings: Mapping[str, Holding]) -> dict[str, Amounts]:
    """
    The final share of each namespace, in the order in which they are raised.

    While a change waits, that is what status remembers of the last spec that was met. Not what happens to stand: a
    namespace that somebody has deleted meanwhile comes back, and the others do not get its share.
    """
    shares = {share.namespace: share.amounts for share in allocation.shares}
    if met:
        return {**shares, **{name: {} for name in holdings if name not in shares}}
    if allocation.placed:
        others = {name: holding.hard for name, holding in holdings.items() if name not in allocation.placed}
        return {**allocation.placed, **others}
    if not holdings:  # nothing stands: whatever of the new shares the grant covers
        return shares
    return {name: holding.hard if holding.quota_exists else shares.get(name, {}) for name, holding in holdings.items()}


def settle(
    pool: PoolKey, wanted: int, holding: Holding, room: dict[PoolKey, int], pools: Mapping[PoolKey, Pool]
) -> int:
    """What one quota may say of one pool now; takes what it raises out of ``room``."""
    hard = holding.hard.get(pool, 0)
    if wanted <= hard:
        return wanted
    if pool in holding.closed_to:
        return hard
    known = pools.get(pool)
    limit = known.limit if known else ""
    if any(amount and other != pool and pools[other].limit == limit for other, amount in holding.floor.items()):
        return hard  # another pool behind the same resource name has to be given back first
    floor = max(hard, holding.floor.get(pool, 0))
    raised = min(wanted - floor, room.get(pool, 0))
    if raised <= 0:
        # What is held in truth may be written down at once: it takes nothing that is not taken already.
        return max(hard, min(wanted, floor)) if holding.quota_exists else hard
    room[pool] -= raised
    return floor + raised


def build_target(allocation: Allocation, name: str, amounts: Amounts, first: bool, world: World) -> NamespaceTarget:
    """One namespace's target; ``first`` also has the compute that is asked for beyond what comes with devices."""
    devices = {pool.name: amount for pool, amount in amounts.items() if pool.kind is PoolKind.ACCELERATORS}
    cpu, memory = caps(allocation, devices, first, world)
    return NamespaceTarget(
        name=name,
        allocation=allocation.name,
        uid=allocation.uid,
        devices=devices,
        storage={pool.name: amount for pool, amount in amounts.items() if pool.kind is PoolKind.STORAGE},
        cpu_millis=cpu,
        memory_bytes=memory,
        pod_security=allocation.pod_security,
    )


def caps(
    allocation: Allocation, devices: Mapping[str, int], first: bool, world: World
) -> tuple[int | None, int | None]:
    """
    cpu in millicores and memory in bytes; None where nothing says how much.

    A namespace without devices has what ``compute`` gives it, so 0 if that is another's, once anything of the
    allocation is capped: it would otherwise be the way around the cap. Devices of a pool that does not say what comes
    with them leave their namespace open, unless something else there is capped.
    """
    names = devices or {pool.name for pool in allocation.ask if pool.kind is PoolKind.ACCELERATORS}
    specs = [world.accelerators[pool] for pool in names if pool in world.accelerators]
    compute = allocation.spec.compute if allocation.spec else None
    theirs = compute if first or not devices else None
    cpu = memory = None
    if any(cpu_per_device(spec) for spec in specs) or (theirs and theirs.cpu):
        extra = parse_cpu(compute.cpu) if compute and compute.cpu and first else 0
        cpu = extra + sum(count * cpu_per_device(world.accelerators.get(pool)) for pool, count in devices.items())
    if any(memory_per_device(spec) for spec in specs) or (theirs and theirs.memory):
        extra = parse_bytes(compute.memory) if compute and compute.memory and first else 0
        memory = extra + sum(count * memory_per_device(world.accelerators.get(pool)) for pool, count in devices.items())
    return cpu, memory


def cpu_per_device(spec: AcceleratorPoolSpec | None) -> int:
    return parse_cpu(spec.per_device.cpu) if spec and spec.per_device and spec.per_device.cpu else 0


def memory_per_device(spec: AcceleratorPoolSpec | None) -> int:
    return parse_bytes(spec.per_device.memory) if spec and spec.per_device and spec.per_device.memory else 0
