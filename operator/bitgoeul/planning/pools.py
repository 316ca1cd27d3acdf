"""
Capacity of pools: which nodes count for which pool, and what of their devices may be granted.

The partition that status and metrics show holds by construction:
installed = schedulable + not ready + cordoned + tainted + unhealthy, and effective + reserved = what of the
schedulable the present stage of the capacity plan admits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.api.accelerator_pool import StopPolicy, Toleration, TolerationOperator
from bitgoeul.api.quantities import parse_bytes
from bitgoeul.api.storage_pool import StoragePoolSpec
from bitgoeul.errors import QuantityError
from bitgoeul.planning.moments import moment
from bitgoeul.planning.observed import NodeView, Taint


class PoolKind(StrEnum):
    """What a pool hands out; the words are the field names in spec and status."""

    ACCELERATORS = "accelerators"
    STORAGE = "storage"


class PoolKey(NamedTuple):
    """A pool among both kinds; amounts are devices for accelerators and bytes for storage."""

    kind: PoolKind
    name: str


def accelerator(name: str) -> PoolKey:
    """The key of an accelerator pool."""
    return PoolKey(PoolKind.ACCELERATORS, name)


def storage(name: str) -> PoolKey:
    """The key of a storage pool."""
    return PoolKey(PoolKind.STORAGE, name)


@dataclass(frozen=True, slots=True)
class Capacity:
    """What one pool has, in devices or bytes; every figure is at least 0."""

    installed: int = 0
    not_ready: int = 0
    cordoned: int = 0
    tainted: int = 0
    unhealthy: int = 0
    reserve: int = 0  # as the spec asks; what can be held back is ``reserved``
    planned: int | None = None  # by the present stage; None: there is no plan

    @property
    def schedulable(self) -> int:
        return self.installed - self.not_ready - self.cordoned - self.tainted - self.unhealthy

    @property
    def usable(self) -> int:
        """What of the schedulable the plan admits."""
        return self.schedulable if self.planned is None else min(self.planned, self.schedulable)

    @property
    def reserved(self) -> int:
        return min(self.reserve, self.usable)

    @property
    def effective(self) -> int:
        return self.usable - self.reserved


class Stage(NamedTuple):
    """One dated step of a capacity plan."""

    at: int  # moment from which on it holds
    amount: int  # devices or bytes, reserve included
    name: str


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool as planning sees it."""

    key: PoolKey
    limit: str  # what a quota names: the resource, or the storage class
    capacity: Capacity
    ready_nodes: int = 0
    not_ready_nodes: int = 0
    cordoned_nodes: int = 0
    # Nodes that are Ready and open, but for taints that the pool does not tolerate: taint → node names.
    tainted: Mapping[Taint, tuple[str, ...]] = field(default_factory=dict)
    tainted_nodes: int = 0
    # Devices that are believed and not seen at this moment: they count, and nothing new is granted out of them.
    doubtful: int = 0
    highest: int = 0  # accelerators: the most that was ever installed at once
    deleting: bool = False
    leaving: bool = False  # deleted a moment ago: it grants nothing, and may be made anew
    # Nodes that also match another pool of the same resource: pool name → node names.
    overlaps: Mapping[str, tuple[str, ...]] | None = None
    # Another, older storage pool has the same class, so that nothing is granted from this one; empty: none.
    shadowed_by: str = ""
    # Quotas that do not name this pool yet: nothing is granted before they do.
    unnamed_in: int = 0
    # What of the spec cannot be read, so that nothing is granted from this pool; empty: all can.
    problem: str = ""
    stage: str = ""  # name of the present stage
    stages: tuple[Stage, ...] = ()  # those ahead, ascending
    stop: StopPolicy = StopPolicy.NONE
    # The most that could ever be granted; a field, because every allocation asks for it in every round.
    attainable: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attainable", max(0, self.largest - self.capacity.reserve))

    @property
    def largest(self) -> int:
        """
        The most that there could be: what the present stage or one ahead plans, else the most that there ever was.

        What is away now may come back, and says nothing of what could be.
        """
        if self.unplanned:
            return max(self.capacity.installed, self.highest)
        return max((self.capacity.planned or 0, *(stage.amount for stage in self.stages)))

    @property
    def unplanned(self) -> bool:
        return self.capacity.planned is None and not self.stages

    @property
    def away(self) -> int:
        """How many devices of those that there were are not installed now, where no plan says how many are to be."""
        return max(0, self.highest - self.capacity.installed) if self.unplanned else 0

    def steps(self, now: int) -> list[tuple[int, int]]:
        """What can be granted from when on: what there really is until the next stage begins, then the plan."""
        ahead = ((stage.at, max(0, stage.amount - self.capacity.reserve)) for stage in self.stages)
        return [(now, self.capacity.effective), *ahead]

    @property
    def nodes(self) -> int:
        return self.ready_nodes + self.not_ready_nodes + self.cordoned_nodes + self.tainted_nodes

    @property
    def bare(self) -> bool:
        """No node has ever shown a device and there is no plan: nothing is known of what the pool could give."""
        return self.key.kind is PoolKind.ACCELERATORS and self.unplanned and not self.largest


def age_order(pool: AcceleratorPool | StoragePool) -> tuple[float, str]:
    """Older first, then by name: who counts a node, or owns a class, that two pools claim."""
    created = pool.metadata.creation_timestamp
    return (created.timestamp() if created else float("inf"), pool.metadata.name)


def measure_accelerators(
    pools: Iterable[AcceleratorPool], nodes: Iterable[NodeView], unnamed_in: Mapping[str, int], now: int
) -> dict[PoolKey, Pool]:
    """
    Count the devices of each pool.

    Args:
        pools, nodes: As last seen, in any order.
        unnamed_in: Resource name → number of quotas that lack its key.
        now: The moment that tells which stage of a plan is present.

    A node that matches two pools of one resource counts for the older pool only; both tell.
    """
    ordered = sorted(pools, key=age_order)
    selection = Selection(ordered)
    members: dict[str, list[NodeView]] = {pool.metadata.name: [] for pool in ordered}
    overlaps: dict[str, dict[str, list[str]]] = {pool.metadata.name: {} for pool in ordered}
    for node in sorted(nodes, key=lambda n: n.name):
        owners: dict[str, str] = {}
        for pool in selection.matching(node.labels):
            name = pool.metadata.name
            owner = owners.setdefault(pool.spec.resource_name, name)
            if owner == name:
                members[name].append(node)
                continue
            overlaps[name].setdefault(owner, []).append(node.name)
            overlaps[owner].setdefault(name, []).append(node.name)
    return {
        accelerator(pool.metadata.name): measure(
            pool, members[pool.metadata.name], overlaps[pool.metadata.name], unnamed_in, now
        )
        for pool in ordered
    }


def measure(
    pool: AcceleratorPool,
    nodes: list[NodeView],
    overlaps: Mapping[str, list[str]],
    unnamed_in: Mapping[str, int],
    now: int,
) -> Pool:
    """Partition the devices of a pool's own nodes; in the order NotReady, Cordoned, Tainted, Unhealthy."""
    resource = pool.spec.resource_name
    installed = not_ready = cordoned = tainted = unhealthy = 0
    states = {"ready": 0, "not_ready": 0, "cordoned": 0, "tainted": 0}
    keeps_off: dict[Taint, list[str]] = {}
    for node in nodes:
        devices = node.capacity.get(resource, 0)
        installed += devices
        if not node.ready:
            states["not_ready"] += 1
            not_ready += devices
        elif node.cordoned:
            states["cordoned"] += 1
            cordoned += devices
        elif node.taints and (repelled := untolerated(node.taints, pool.spec.tolerations)):
            states["tainted"] += 1
            tainted += devices
            for taint in repelled:
                keeps_off.setdefault(taint, []).append(node.name)
        else:
            states["ready"] += 1
            unhealthy += max(0, devices - node.allocatable.get(resource, 0))
    plan = [Stage(moment(stage.from_), stage.devices, stage.name) for stage in pool.spec.stages]
    present, ahead = divide_stages(plan, now)
    planned = present.amount if present else 0 if plan else None
    return Pool(
        key=accelerator(pool.metadata.name),
        limit=resource,
        capacity=Capacity(installed, not_ready, cordoned, tainted, unhealthy, pool.spec.reserve, planned),
        ready_nodes=states["ready"],
        not_ready_nodes=states["not_ready"],
        cordoned_nodes=states["cordoned"],
        tainted={taint: tuple(names) for taint, names in sorted(keeps_off.items())},
        tainted_nodes=states["tainted"],
        highest=max(installed, pool.status.devices.highest if pool.status else 0),
        deleting=pool.metadata.deletion_timestamp is not None,
        overlaps={name: tuple(shared) for name, shared in overlaps.items()} or None,
        unnamed_in=unnamed_in.get(resource, 0),
        stage=present.name if present else "",
        stages=ahead,
        stop=pool.spec.stop_policy,
    )


def untolerated(taints: Iterable[Taint], tolerations: Sequence[Toleration]) -> list[Taint]:
    """The taints that keep off pods with just these tolerations."""
    return [taint for taint in taints if not any(tolerates(toleration, taint) for toleration in tolerations)]


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """
    Whether a toleration matches a taint, as the scheduler looks at it: seconds of a NoExecute do not matter to it.

    Source: Kubernetes, ``ToleratesTaint`` in component-helpers.
    """
    if toleration.effect is not None and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    return toleration.operator is TolerationOperator.EXISTS or (toleration.value or "") == taint.value


def divide_stages(plan: Iterable[Stage], now: int) -> tuple[Stage | None, tuple[Stage, ...]]:
    """The present stage, if one has begun, and those ahead; their order in the spec is not relied on."""
    ordered = sorted(plan)
    begun = [stage for stage in ordered if stage.at <= now]
    return begun[-1] if begun else None, tuple(ordered[len(begun) :])


def measure_storage(pools: Iterable[StoragePool], unnamed_in: Mapping[str, int], now: int) -> dict[PoolKey, Pool]:
    """
    Capacity of storage pools; of two with one class the older has it, since a quota cannot tell them apart.

    Kubernetes cannot measure storage, so what a stage plans is what there is once it has begun.
    """
    result: dict[PoolKey, Pool] = {}
    owners: dict[str, str] = {}
    for pool in sorted(pools, key=age_order):
        name, storage_class = pool.metadata.name, pool.spec.storage_class_name
        owner = owners.setdefault(storage_class, name)
        capacity, present, ahead, problem = declared(pool.spec, now)
        result[storage(name)] = Pool(
            key=storage(name),
            limit=storage_class,
            capacity=capacity,
            deleting=pool.metadata.deletion_timestamp is not None,
            shadowed_by="" if owner == name else owner,
            unnamed_in=unnamed_in.get(storage_class, 0),
            problem=problem,
            stage=present,
            stages=ahead,
            stop=pool.spec.stop_policy,
        )
    return result


def declared(spec: StoragePoolSpec, now: int) -> tuple[Capacity, str, tuple[Stage, ...], str]:
    """Capacity, present stage and stages ahead that a storage pool declares; or what cannot be read, and nothing."""
    try:
        first, reserve = parse_bytes(spec.capacity or "0"), parse_bytes(spec.reserve or "0")
        plan = [Stage(moment(stage.from_), max(0, parse_bytes(stage.capacity)), stage.name) for stage in spec.stages]
    except QuantityError as error:
        return Capacity(), "", (), str(error)
    present, ahead = divide_stages(plan, now)
    installed = present.amount if present else max(0, first)
    capacity = Capacity(installed, reserve=max(0, reserve), planned=installed if plan else None)
    return capacity, present.name if present else "", ahead, ""


class Selection:
    """Finds the pools that a node matches without trying them all: each is filed under one label that it requires."""

    def __init__(self, pools: Sequence[AcceleratorPool]) -> None:
        # Label key → value → (age, pool). A pool without labels matches nothing; the API refuses it.
        self._by_label: dict[str, dict[str, list[tuple[int, AcceleratorPool]]]] = {}
        for age, pool in enumerate(pools):
            for key, value in sorted(pool.spec.node_selector.items())[:1]:
                self._by_label.setdefault(key, {}).setdefault(value, []).append((age, pool))

    def matching(self, labels: Mapping[str, str]) -> Iterator[AcceleratorPool]:
        """The pools that a node with these labels matches, the oldest first."""
        found: list[tuple[int, AcceleratorPool]] = []
        for key, by_value in self._by_label.items():
            filed = by_value.get(labels.get(key, ""), ())
            found.extend(entry for entry in filed if matches(entry[1].spec.node_selector, labels))
        return (pool for _, pool in sorted(found, key=lambda entry: entry[0]))


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every label of the selector stands on the node."""
    return all(labels.get(key) == value for key, value in selector.items())
