"""
What builders are told: the closed world of all pools, and what one namespace may hold in it.

A quota ignores what it does not list, so every quota names every pool, also those that give it nothing. ``World`` is
that list; ``NamespaceTarget`` is the decision for one namespace, already settled by the planner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bitgoeul.api import names
from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec
from bitgoeul.api.pod_security import DEFAULT_LEVEL, PodSecurityLevel
from bitgoeul.api.storage_pool import StoragePoolSpec

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """
    Every pool there is, by name.

    Attributes:
        lingering: Resource names of pools that are gone while a node still shows them; they stay listed with 0.
        unpooled_classes: Storage classes of the cluster that no pool has; listed with 0, or what is granted of one
            class could be claimed in another.
    """

    accelerators: Mapping[str, AcceleratorPoolSpec]
    storage: Mapping[str, StoragePoolSpec]
    lingering: frozenset[str] = frozenset()
    unpooled_classes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NamespaceTarget:
    """
    What one namespace may hold right now.

    Attributes:
        allocation, uid: Name and UID of the TenantAllocation that it belongs to.
        devices: Accelerator pool to whole devices; a pool that is absent gives none.
        storage: Storage pool to bytes; a pool that is absent gives none.
        cpu_millis, memory_bytes: Caps on requests; None: not capped.
        retained: The allocation is gone and its data kept: nothing may be created any more.
        closed: Draining: devices and storage as given, but no new pod.
        pod_security: The level that is enforced on new pods.
    """

    name: str
    allocation: str
    uid: str
    devices: Mapping[str, int] = field(default_factory=dict)
    storage: Mapping[str, int] = field(default_factory=dict)
    cpu_millis: int | None = None
    memory_bytes: int | None = None
    retained: bool = False
    closed: bool = False
    pod_security: PodSecurityLevel = DEFAULT_LEVEL


def owned_labels(allocation: str) -> dict[str, str]:
    """Labels on everything that exists because of one allocation."""
    return {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.ALLOCATION_LABEL: allocation}


def child_metadata(target: NamespaceTarget, name: str) -> Manifest:
    """
    Metadata of an object inside the target's namespace.

    There are no owner references: the owner would be the allocation, and the garbage collector would delete kept data
    with it.
    """
    return {"name": name, "namespace": target.name, "labels": owned_labels(target.allocation)}
