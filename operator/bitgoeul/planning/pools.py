"""
Capacity of pools: which nodes count for which pool, and what of their devices may be granted.

The partition that status and metrics show holds by construction:
installed = schedulable + not ready + cordoned + unhealthy, and schedulable = reserved + effective.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.api.quantities import parse_bytes
from bitgoeul.api.storage_pool import StoragePoolSpec
from bitgoeul.errors import QuantityError
from bitgoeul.planning.observed import NodeView


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
    unhealthy: int = 0
    reserve: int = 0  # as the spec asks; what can be held back is ``reserved``

    @property
    def schedulable(self) -> int:
        return self.installed - self.not_ready - self.cordoned - self.unhealthy

    @property
    def reserved(self) -> int:
        return min(self.reserve, self.schedulable)

    @property
    def effective(self) -> int:
        return self.schedulable - self.reserved

    @property
    def attainable(self) -> int:
        """The most that could be granted if every installed device were healthy."""
        return max(0, self.installed - self.reserve)


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool as planning sees it."""

    key: PoolKey
    limit: str  # what a quota names: the resource, or the storage class
    capacity: Capacity
    ready_nodes: int = 0
    not_ready_nodes: int = 0
    cordoned_nodes: int = 0
    deleting: bool = False
    # Nodes that also match another pool of the same resource: pool name → node names.
    overlaps: Mapping[str, tuple[str, ...]] | None = None
    # Another, older storage pool has the same class, so that nothing is granted from this one; empty: none.
    shadowed_by: str = ""
    # Quotas that do not name this pool yet: nothing is granted before they do.
    unnamed_in: int = 0
    # What of the spec cannot be read, so that nothing is granted from this pool; empty: all can.
    problem: str = ""

    @property
    def nodes(self) -> int:
        return self.ready_nodes + self.not_ready_nodes + self.cordoned_nodes

    @property
    def bare(self) -> bool:
        """No node shows a device: nothing is known of what the pool could give."""
        return self.key.kind is PoolKind.ACCELERATORS and self.capacity.installed == 0


def age_order(pool: AcceleratorPool | StoragePool) -> tuple[float, str]:
    """Older first, then by name: who counts a node, or owns a class, that two pools claim."""
    created = pool.metadata.creation_timestamp
    return (created.timestamp() if created else float("inf"), pool.metadata.name)


def measure_accelerators(
    pools: Iterable[AcceleratorPool], nodes: Iterable[NodeView], unnamed_in: Mapping[str, int]
) -> dict[PoolKey, Pool]:
    """
    Count the devices of each pool.

    Args:
        pools, nodes: As last seen, in any order.
        unnamed_in: Resource name → number of quotas that lack its key.

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
            pool, members[pool.metadata.name], overlaps[pool.metadata.name], unnamed_in
        )
        for pool in ordered
    }


def measure(
    pool: AcceleratorPool, nodes: list[NodeView], overlaps: Mapping[str, list[str]], unnamed_in: Mapping[str, int]
) -> Pool:
    """Partition the devices of a pool's own nodes; NotReady goes before Cordoned, Cordoned before Unhealthy."""
    resource = pool.spec.resource_name
    installed = not_ready = cordoned = unhealthy = 0
    states = {"ready": 0, "not_ready": 0, "cordoned": 0}
    for node in nodes:
        devices = node.capacity.get(resource, 0)
        installed += devices
        if not node.ready:
            states["not_ready"] += 1
            not_ready += devices
        elif node.cordoned:
            states["cordoned"] += 1
            cordoned += devices
        else:
            states["ready"] += 1
            unhealthy += max(0, devices - node.allocatable.get(resource, 0))
    return Pool(
        key=accelerator(pool.metadata.name),
        limit=resource,
        capacity=Capacity(installed, not_ready, cordoned, unhealthy, pool.spec.reserve),
        ready_nodes=states["ready"],
        not_ready_nodes=states["not_ready"],
        cordoned_nodes=states["cordoned"],
        deleting=pool.metadata.deletion_timestamp is not None,
        overlaps={name: tuple(shared) for name, shared in overlaps.items()} or None,
        unnamed_in=unnamed_in.get(resource, 0),
    )


def measure_storage(pools: Iterable[StoragePool], unnamed_in: Mapping[str, int]) -> dict[PoolKey, Pool]:
    """Capacity of storage pools; of two with one class the older has it, since a quota cannot tell them apart."""
    result: dict[PoolKey, Pool] = {}
    owners: dict[str, str] = {}
    for pool in sorted(pools, key=age_order):
        name, storage_class = pool.metadata.name, pool.spec.storage_class_name
        owner = owners.setdefault(storage_class, name)
        capacity, problem = declared(pool.spec)
        result[storage(name)] = Pool(
            key=storage(name),
            limit=storage_class,
            capacity=capacity,
            deleting=pool.metadata.deletion_timestamp is not None,
            shadowed_by="" if owner == name else owner,
            unnamed_in=unnamed_in.get(storage_class, 0),
            problem=problem,
        )
    return result


def declared(spec: StoragePoolSpec) -> tuple[Capacity, str]:
    """The capacity that a storage pool declares, and what of it cannot be read; then it is 0."""
    try:
        installed, reserve = parse_bytes(spec.capacity), parse_bytes(spec.reserve or "0")
    except QuantityError as error:
        return Capacity(), str(error)
    return Capacity(max(0, installed), reserve=max(0, reserve)), ""


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
