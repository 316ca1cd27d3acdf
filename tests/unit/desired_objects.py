"""Pools, targets and members for tests of what is desired, with the ordinary filled in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec
from bitgoeul.api.storage_pool import StoragePoolSpec
from bitgoeul.api.tenant_allocation import Member
from bitgoeul.desired.world import NamespaceTarget, World

UID = "0e9f5f0e-1111-4222-8333-444455556666"


def make_pool(resource: str = "nvidia.com/gpu", **fields: Any) -> AcceleratorPoolSpec:
    """An accelerator pool; its nodes carry ``example.org/product=<last part of the resource name>``."""
    given = {"type": "GPU", "resourceName": resource, "nodeSelector": {"example.org/product": resource.split("/")[-1]}}
    return AcceleratorPoolSpec.model_validate(given | fields)


def make_storage(storage_class: str) -> StoragePoolSpec:
    """A storage pool of 1Pi."""
    return StoragePoolSpec.model_validate({"storageClassName": storage_class, "capacity": "1Pi"})


def make_world(**fields: Any) -> World:
    """A100 and H100 behind one resource name, an NPU, and two storage classes."""
    accelerators: Mapping[str, AcceleratorPoolSpec] = {
        "a100": make_pool(nodeSelector={"example.org/product": "a100"}),
        "h100": make_pool(nodeSelector={"example.org/product": "h100"}),
        "npu": make_pool("furiosa.ai/npu", type="NPU"),
    }
    storage = {"lustre": make_storage("lustre"), "nvme": make_storage("fast-nvme")}
    given: dict[str, Any] = {"accelerators": accelerators, "storage": storage}
    return World(**(given | fields))


def make_target(**fields: Any) -> NamespaceTarget:
    """A namespace ``blue`` of the allocation ``blue`` that holds nothing."""
    given: dict[str, Any] = {"name": "blue", "allocation": "blue", "uid": UID}
    return NamespaceTarget(**(given | fields))


def make_member(role: str, name: str = "ann@example.org", kind: str = "User", namespace: str = "") -> Member:
    """A member of an allocation."""
    return Member.model_validate({"kind": kind, "name": name, "namespace": namespace, "role": role})
