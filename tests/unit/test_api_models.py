"""Models read what the API server stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from bitgoeul.api import AcceleratorPool, StoragePool, TenantAllocation
from bitgoeul.api.accelerator_pool import DeviceType, StopPolicy, TaintEffect, TolerationOperator
from bitgoeul.api.tenant_allocation import (
    AccessMode,
    DeletionPolicy,
    Member,
    MemberKind,
    MemberRole,
    OrganizationClass,
    Window,
    WorkloadPolicy,
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
        "stages": [
            {"name": "pilot-2021", "from": "2021-02-15T00:00:00+09:00", "devices": 280},
            {"name": "full-2024", "from": "2024-01-01T00:00:00+09:00", "devices": 2800},
        ],
        "stopPolicy": "HoldAndDrain",
    },
}

KOREA = timezone(timedelta(hours=9))

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
        "window": {"start": "2021-04-15T00:00:00+09:00", "duration": "2160h"},
        "expiry": {
            "notice": ["720h", "168h"],
            "grace": "72h",
            "workload": "Keep",
            "retention": "2160h",
            "deletionPolicy": "Delete",
        },
        "suspend": True,
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
    assert [(stage.name, stage.from_, stage.devices) for stage in spec.stages] == [
        ("pilot-2021", datetime(2021, 2, 15, tzinfo=KOREA), 280),
        ("full-2024", datetime(2024, 1, 1, tzinfo=KOREA), 2800),
    ]
    assert spec.stop_policy is StopPolicy.HOLD_AND_DRAIN


def test_a_pool_without_a_plan_is_open_and_has_no_stages() -> None:
    """Both kinds of pools have the documented defaults."""
    devices = AcceleratorPool.model_validate(
        {"metadata": {"name": "p"}, "spec": {"type": "GPU", "nodeSelector": {"a": "b"}, "resourceName": "c/d"}}
    )
    storage = StoragePool.model_validate({"metadata": {"name": "p"}, "spec": {"storageClassName": "s"}})
    assert (devices.spec.stages, devices.spec.stop_policy) == ((), StopPolicy.NONE)
    assert (storage.spec.stages, storage.spec.stop_policy, storage.spec.capacity) == ((), StopPolicy.NONE, None)


def test_pool_status_reads_stage_and_calendar() -> None:
    """What stands ahead of a pool can be read back; without stages nothing is planned."""
    calendar = [{"at": "2021-12-31T00:00:00Z", "available": -2, "change": 8, "cause": "an allocation ends"}]
    status = AcceleratorPool.model_validate(
        {
            **POOL,
            "status": {
                "currentStage": "pilot-2021",
                "nextStage": POOL["spec"]["stages"][1],
                "devices": {"planned": 280, "scheduled": 16},
                "calendar": calendar,
            },
        }
    ).status
    assert status is not None
    assert status.current_stage == "pilot-2021"
    assert status.next_stage is not None
    assert (status.next_stage.from_, status.next_stage.devices) == (datetime(2024, 1, 1, tzinfo=KOREA), 2800)
    assert (status.devices.planned, status.devices.scheduled) == (280, 16)
    entry = status.calendar[0]
    assert (entry.at, entry.available, entry.change) == (datetime(2021, 12, 31, tzinfo=UTC), -2, 8)

    bare = AcceleratorPool.model_validate({**POOL, "status": {}}).status
    assert bare is not None
    assert (bare.current_stage, bare.next_stage, bare.devices.planned, bare.calendar) == (None, None, None, ())


def test_storage_pool_reads_its_plan() -> None:
    """Capacities of stages and of the calendar are quantities."""
    stage = {"name": "pilot", "from": "2021-02-15T00:00:00+09:00", "capacity": "10700T"}
    pool = StoragePool.model_validate(
        {
            "metadata": {"name": "lustre"},
            "spec": {"storageClassName": "lustre", "stages": [stage], "stopPolicy": "Hold"},
            "status": {
                "nextStage": stage,
                "bytes": {"planned": 0, "scheduled": 5},
                "calendar": [{"at": "2021-02-14T15:00:00Z", "available": "-1T", "change": "10700T", "cause": "pilot"}],
            },
        }
    )
    assert (pool.spec.capacity, pool.spec.stages[0].capacity) == (None, "10700T")
    assert pool.spec.stop_policy is StopPolicy.HOLD
    assert pool.status is not None
    assert pool.status.next_stage == pool.spec.stages[0]
    assert (pool.status.bytes.planned, pool.status.bytes.scheduled) == (0, 5)
    assert (pool.status.calendar[0].available, pool.status.calendar[0].change) == ("-1T", "10700T")


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
    assert spec.window == Window(start=datetime(2021, 4, 15, tzinfo=KOREA), duration="2160h")
    assert (spec.expiry.notice, spec.expiry.grace, spec.expiry.retention) == (("720h", "168h"), "72h", "2160h")
    assert spec.expiry.workload is WorkloadPolicy.KEEP
    assert spec.expiry.deletion_policy is DeletionPolicy.DELETE
    assert spec.suspend is True


def test_a_small_allocation_has_the_documented_defaults() -> None:
    """What is left out has the default that the description states."""
    spec = TenantAllocation.model_validate(
        {"metadata": {"name": "b"}, "spec": {"organization": {"name": "B", "class": "SME"}}}
    ).spec
    assert spec.priority == 100
    assert (spec.accelerators, spec.storage, spec.namespaces, spec.members) == ((), (), (), ())
    assert spec.compute is None
    assert spec.restore_from == ""
    assert spec.window == Window(start=None, end=None, duration=None)
    assert (spec.expiry.grace, spec.expiry.retention) == ("24h", "720h")
    assert spec.expiry.workload is WorkloadPolicy.DRAIN
    assert spec.expiry.deletion_policy is DeletionPolicy.RETAIN
    assert spec.suspend is False


def test_no_notice_is_not_the_same_as_nothing_said() -> None:
    """An empty list means no notice; absent, the operator's default holds."""
    base: dict[str, Any] = {"metadata": {"name": "b"}, "spec": {"organization": {"name": "B", "class": "SME"}}}
    assert TenantAllocation.model_validate(base).spec.expiry.notice is None
    silent = {**base, "spec": {**base["spec"], "expiry": {"notice": []}}}
    assert TenantAllocation.model_validate(silent).spec.expiry.notice == ()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2021-04-15T00:00:00Z", datetime(2021, 4, 15, tzinfo=UTC), id="UTC"),
        pytest.param("2021-04-15T09:00:00+09:00", datetime(2021, 4, 15, tzinfo=UTC), id="an offset"),
        pytest.param("2021-04-15T00:00:00.25Z", datetime(2021, 4, 15, 0, 0, 0, 250_000, tzinfo=UTC), id="a fraction"),
        pytest.param("2021-04-15T00:00:00,25Z", datetime(2021, 4, 15, 0, 0, 0, 250_000, tzinfo=UTC), id="a comma"),
        pytest.param(
            "2021-04-15T00:00:00.1234567891Z",
            datetime(2021, 4, 15, 0, 0, 0, 123_456, tzinfo=UTC),
            id="more digits than a microsecond has",
        ),
        pytest.param("2021-04-15T00:00:00+24:00", datetime(2021, 4, 14, tzinfo=UTC), id="an offset of a whole day"),
        pytest.param("2021-04-15T00:00:00-23:60", datetime(2021, 4, 16, tzinfo=UTC), id="an offset that carries"),
    ],
)
def test_moments_are_read_as_the_api_server_takes_them(text: str, moment: datetime) -> None:
    """Whatever passes the schema can be read, and is in UTC."""
    end = TenantAllocation.model_validate({**ALLOCATION, "spec": {**ALLOCATION["spec"], "window": {"end": text}}})
    assert end.spec.window.end == moment
    assert end.spec.window.end.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("2021-04-15T00:00:00", id="no zone"),
        pytest.param("2021-04-15", id="a day"),
        pytest.param("tomorrow", id="a word"),
        pytest.param("", id="nothing"),
        pytest.param("2021-04-15T00:00:00Z+09:00", id="two zones"),
        pytest.param("0001-01-01T00:00:00+09:00", id="before the calendar"),
        pytest.param("9999-12-31T23:59:59-09:00", id="after the calendar"),
    ],
)
def test_a_moment_that_cannot_be_placed_is_an_error(text: str) -> None:
    """Nothing is guessed about time."""
    with pytest.raises(ValidationError):
        Window.model_validate({"end": text})


def test_status_reads_queue_and_grant() -> None:
    """What the operator wrote earlier can be read back."""
    status = TenantAllocation.model_validate(
        {
            **ALLOCATION,
            "status": {
                "phase": "Waiting",
                "grant": {"accelerators": {"a100": 4}},
                "promised": {"accelerators": {"a100": 2}},
                "excess": {"storage": {"lustre": "1Ti"}},
                "window": {"end": "2021-12-30T15:00:00Z", "dataDeleteAt": "2022-03-30T15:00:00Z"},
                "summary": {"earliest": "2021-06-01", "end": "2021-12-31"},
                "reclaimed": True,
                "queue": {
                    "position": 2,
                    "since": "2021-04-15T00:00:00+09:00",
                    "asked": {"accelerators": {"a100": 8}, "storage": {"lustre": "50Ti"}},
                    "earliestStart": "2021-06-01T00:00:00Z",
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
    assert status.promised is not None
    assert status.promised.accelerators == {"a100": 2}
    assert status.excess is not None
    assert status.excess.storage == {"lustre": "1Ti"}
    assert status.window is not None
    assert (status.window.start, status.window.end) == (None, datetime(2021, 12, 31, tzinfo=KOREA))
    assert (status.window.drain_at, status.window.data_delete_at) == (None, datetime(2022, 3, 31, tzinfo=KOREA))
    assert (status.summary.earliest, status.summary.end, status.reclaimed) == ("2021-06-01", "2021-12-31", True)
    assert status.queue.earliest_start == datetime(2021, 6, 1, tzinfo=UTC)
    assert status.queue.since == datetime(2021, 4, 14, 15, tzinfo=UTC)
    assert (status.queue.blocked_by[0].devices, status.queue.blocked_by[0].size) == (4, None)
    assert status.conditions[0].last_transition_time == "2021-04-15T00:00:00Z"


def test_fields_of_another_version_are_passed_over() -> None:
    """An object that a newer version wrote can still be read."""
    newer = {**POOL, "spec": {**POOL["spec"], "deviceClassName": "gpu.nvidia.com"}, "status": {"ledger": {"epoch": 7}}}
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
