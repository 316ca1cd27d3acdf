"""Models read what the API server stores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from bitgoeul.api import AcceleratorPool, StoragePool, TenantAllocation
from bitgoeul.api.accelerator_pool import DeviceType, TaintEffect, TolerationOperator
from bitgoeul.api.tenant_allocation import (
    AccessMode,
    DeletionPolicy,
    Member,
    MemberKind,
    MemberRole,
    OrganizationClass,
)

POOL: dict[str, Any] = {
    "metadata": {"name": "a100", "uid": "u-1", "generation": 3, "resourceVersion": "7", "managedFields": []},
    "spec": {
        "type": "GPU",
        "vendor": "NVIDIA",
        "nodeSelector": {"nvidia.com/gpu.product": "A100"},
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
        ],
        "resourceName": "nvidia.com/gpu",
        "petaflopsPerDevice": "0.0195",
        "perDevice": {"cpu": "16", "memory": "120Gi"},
        "reserve": 2,
    },
}

ALLOCATION: dict[str, Any] = {
    "metadata": {
        "name": "blue",
        "creationTimestamp": "2021-04-15T00:00:00Z",
        "deletionTimestamp": None,
        "finalizers": ["bitgoeul.dev/enforcement"],
    },
    "spec": {
        "organization": {"name": "Blue", "class": "Startup"},
        "accelerators": [{"pool": "a100", "devices": 8}],
        "storage": [
            {
                "pool": "lustre",
                "size": "50Ti",
                "claims": [{"name": "data", "namespace": "", "size": "10Ti", "accessModes": ["ReadWriteMany"]}],
            }
        ],
        "namespaces": [{"name": "blue-train", "accelerators": {"a100": 6}, "storage": {"lustre": "40Ti"}}],
        "members": [{"kind": "Group", "namespace": "", "name": "blue", "role": "admin"}],
        "expiry": {"deletionPolicy": "Delete"},
        "restoreFrom": "",
    },
}


def test_accelerator_pool_reads_its_spec() -> None:
    """Every field of the spec arrives under its snake_case name."""
    spec = AcceleratorPool.model_validate(POOL).spec
    assert (spec.type, spec.vendor, spec.product) == (DeviceType.GPU, "NVIDIA", None)
    assert spec.node_selector == {"nvidia.com/gpu.product": "A100"}
    assert spec.resource_name == "nvidia.com/gpu"
    assert spec.petaflops_per_device == "0.0195"
    assert spec.per_device is not None
    assert (spec.per_device.cpu, spec.per_device.memory, spec.reserve) == ("16", "120Gi", 2)
    toleration = spec.tolerations[0]
    assert (toleration.key, toleration.operator) == ("nvidia.com/gpu", TolerationOperator.EXISTS)
    assert (toleration.value, toleration.effect, toleration.toleration_seconds) == (None, TaintEffect.NO_EXECUTE, 60)


def test_storage_pool_reads_spec_and_status() -> None:
    """Status counts that were never written are 0."""
    pool = StoragePool.model_validate(
        {
            "metadata": {"name": "lustre"},
            "spec": {"storageClassName": "lustre", "capacity": "10700T"},
            "status": {"observedGeneration": 2, "bytes": {"installed": 10_700 * 10**12, "available": -5}},
        }
    )
    assert (pool.spec.storage_class_name, pool.spec.capacity, pool.spec.reserve) == ("lustre", "10700T", None)
    assert pool.status is not None
    assert (pool.status.bytes.installed, pool.status.bytes.available, pool.status.bytes.granted) == (
        10_700 * 10**12,
        -5,
        0,
    )


def test_tenant_allocation_reads_its_spec() -> None:
    """Every part of the spec arrives; an empty namespace of a claim is none."""
    allocation = TenantAllocation.model_validate(ALLOCATION)
    spec = allocation.spec
    assert allocation.metadata.creation_timestamp == datetime(2021, 4, 15, tzinfo=UTC)
    assert allocation.metadata.deletion_timestamp is None
    assert allocation.metadata.finalizers == ("bitgoeul.dev/enforcement",)
    assert spec.organization.class_ is OrganizationClass.STARTUP
    assert (spec.accelerators[0].pool, spec.accelerators[0].devices) == ("a100", 8)
    claim = spec.storage[0].claims[0]
    assert (claim.name, claim.namespace, claim.size) == ("data", None, "10Ti")
    assert claim.access_modes == (AccessMode.READ_WRITE_MANY,)
    assert spec.namespaces[0].accelerators == {"a100": 6}
    assert spec.members == (Member(kind=MemberKind.GROUP, name="blue", role=MemberRole.ADMIN),)
    assert spec.expiry.deletion_policy is DeletionPolicy.DELETE


def test_a_small_allocation_has_the_documented_defaults() -> None:
    """What is left out has the default that the description states."""
    spec = TenantAllocation.model_validate(
        {"metadata": {"name": "b"}, "spec": {"organization": {"name": "B", "class": "SME"}}}
    ).spec
    assert spec.priority == 100
    assert (spec.accelerators, spec.storage, spec.namespaces, spec.members) == ((), (), (), ())
    assert spec.compute is None
    assert spec.restore_from == ""
    assert spec.expiry.deletion_policy is DeletionPolicy.RETAIN


def test_status_reads_queue_and_grant() -> None:
    """What the operator wrote earlier can be read back."""
    status = TenantAllocation.model_validate(
        {
            **ALLOCATION,
            "status": {
                "phase": "Waiting",
                "grant": {"accelerators": {"a100": 4}},
                "queue": {
                    "position": 2,
                    "since": "2021-04-15T00:00:00+09:00",
                    "asked": {"accelerators": {"a100": 8}, "storage": {"lustre": "50Ti"}},
                    "blockedBy": [{"pool": "a100", "devices": 4}],
                },
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "False",
                        "reason": "WaitingForCapacity",
                        "lastTransitionTime": "2021-04-15T00:00:00Z",
                    }
                ],
            },
        }
    ).status
    assert status is not None
    assert status.queue is not None
    assert status.grant is not None
    assert status.grant.accelerators == {"a100": 4}
    assert status.grant.storage == {}
    assert status.queue.since == datetime(2021, 4, 14, 15, tzinfo=UTC)
    assert (status.queue.blocked_by[0].devices, status.queue.blocked_by[0].size) == (4, None)
    assert status.conditions[0].last_transition_time == "2021-04-15T00:00:00Z"


def test_fields_of_another_version_are_passed_over() -> None:
    """An object that a newer version wrote can still be read."""
    newer = {**POOL, "spec": {**POOL["spec"], "stages": []}, "status": {"ledger": {"epoch": 7}}}
    assert AcceleratorPool.model_validate(newer).spec.reserve == 2


def test_models_cannot_be_changed() -> None:
    """A snapshot stays what it was."""
    with pytest.raises(ValidationError, match="frozen"):
        AcceleratorPool.model_validate(POOL).spec.reserve = 3  # type: ignore[misc]


def test_written_objects_have_the_names_of_the_wire() -> None:
    """Dumping by alias gives what kubectl shows."""
    dumped = TenantAllocation.model_validate(ALLOCATION).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert dumped["organization"] == {"name": "Blue", "class": "Startup"}
    assert dumped["storage"][0]["claims"][0]["accessModes"] == ["ReadWriteMany"]
    assert dumped["restoreFrom"] == ""
