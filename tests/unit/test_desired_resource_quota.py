"""The quota: every pool has a key, sums are right, and what is not granted is 0."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.api.quantities import parse_quantity
from bitgoeul.desired.resource_quota import OBJECT_COUNTS, build_resource_quota, empty_hard
from bitgoeul.desired.world import World
from tests.unit.desired_objects import make_storage, make_target, make_world

LUSTRE = "lustre.storageclass.storage.k8s.io/requests.storage"
NVME = "fast-nvme.storageclass.storage.k8s.io/requests.storage"


def hard(world: World | None = None, **fields: Any) -> dict[str, str]:
    """What the quota of such a target says."""
    result: dict[str, str] = build_resource_quota(make_target(**fields), world or make_world())["spec"]["hard"]
    return result


def test_every_pool_is_listed() -> None:
    """Quota ignores what it does not list, so what is not granted stands there as 0."""
    quota = hard(devices={"a100": 8})
    assert quota["requests.nvidia.com/gpu"] == "8"
    assert quota["requests.furiosa.ai/npu"] == "0"


def test_lingering_resources_stay_closed() -> None:
    """A pool that is gone while nodes still show its devices keeps its 0, unless another pool has the same resource."""
    world = make_world(lingering=frozenset({"amd.com/gpu", "nvidia.com/gpu"}))
    quota = hard(world, devices={"a100": 8})
    assert quota["requests.amd.com/gpu"] == "0"
    assert quota["requests.nvidia.com/gpu"] == "8"


def test_device_of_an_unknown_pool_is_not_granted() -> None:
    """A pool outside the world has no key, and its devices land on no other one."""
    quota = hard(devices={"vanished": 8})
    assert {quota[key] for key in quota if key.startswith("requests.")} == {"0"}


def test_pools_of_one_resource_share_a_key() -> None:
    """The key holds the sum; where the pods may run is for the admission policies."""
    assert hard(devices={"a100": 8, "h100": 4})["requests.nvidia.com/gpu"] == "12"


def test_compute_is_capped_only_when_asked() -> None:
    """Without a figure cpu and memory have no key at all; a figure of 0 is a key with 0."""
    assert "requests.cpu" not in hard()
    assert "requests.memory" not in hard()
    quota = hard(cpu_millis=1500, memory_bytes=0)
    assert quota["requests.cpu"] == "1500m"
    assert quota["requests.memory"] == "0"


def test_limits_are_never_capped() -> None:
    """A cap on limits would refuse pods that state none."""
    quota = hard(cpu_millis=1500, memory_bytes=2**30, devices={"a100": 1})
    assert not [key for key in quota if key.startswith("limits.")]
    assert "cpu" not in quota
    assert "memory" not in quota


def test_storage_is_capped_by_class_and_in_total() -> None:
    """Other classes stand at 0, and the total bounds classes that no pool knows."""
    quota = hard(storage={"lustre": 50 * 2**40})
    assert (quota[LUSTRE], quota[NVME], quota["requests.storage"]) == ("50Ti", "0", "50Ti")


def test_storage_pools_of_one_class_share_a_key() -> None:
    """Two pools on one class add up."""
    world = make_world(storage={"one": make_storage("lustre"), "two": make_storage("lustre")})
    assert hard(world, storage={"one": 2**40, "two": 2**40})[LUSTRE] == "2Ti"


def test_total_closes_storage_when_nothing_is_granted() -> None:
    """Without any storage pool no claim of any class fits."""
    assert hard(make_world(storage={}))["requests.storage"] == "0"


@pytest.mark.parametrize(
    "key",
    ["services.nodeports", "services.loadbalancers", "count/resourceclaims.resource.k8s.io"],
)
def test_ways_out_are_closed(key: str) -> None:
    """Ports on every node, outside addresses, and devices by claim are not for tenants."""
    assert hard()[key] == "0"


def test_draining_namespace_admits_no_pod() -> None:
    """Draining keeps what is granted, and admits no new pod."""
    quota = hard(closed=True, devices={"a100": 8}, storage={"lustre": 2**40})
    assert quota["pods"] == "0"
    assert quota["requests.nvidia.com/gpu"] == "8"
    assert quota[LUSTRE] == "1Ti"


def test_retained_namespace_holds_nothing_new() -> None:
    """Every key is 0, whatever else the target says, and no key is missing."""
    fields: dict[str, Any] = {"devices": {"a100": 8}, "storage": {"lustre": 2**40}, "cpu_millis": 1000}
    quota = hard(retained=True, **fields)
    assert set(quota.values()) == {"0"}
    assert quota.keys() == hard(**fields).keys()


def test_creation_starts_with_no_capacity() -> None:
    """The first version has the same keys with 0 of every capacity, and leaves the input alone."""
    quota = build_resource_quota(
        make_target(devices={"a100": 8}, storage={"lustre": 2**40}, cpu_millis=1000, memory_bytes=2**30), make_world()
    )
    created = empty_hard(quota)["spec"]["hard"]
    assert created.keys() == quota["spec"]["hard"].keys()
    assert {key for key, value in created.items() if value != "0"} <= OBJECT_COUNTS.keys()
    assert created["configmaps"] != "0"
    assert quota["spec"]["hard"]["requests.nvidia.com/gpu"] == "8"


@given(st.integers(min_value=0, max_value=10**15))
def test_device_counts_keep_their_value(devices: int) -> None:
    """The spelling of the API server says the same number."""
    assert parse_quantity(hard(devices={"a100": devices})["requests.nvidia.com/gpu"]) == devices


@pytest.mark.parametrize(
    ("devices", "spelled"), [(999, "999"), (1000, "1k"), (1500, "1500"), (20000, "20k"), (3_000_000, "3M")]
)
def test_counts_are_canonical(devices: int, spelled: str) -> None:
    """Whole thousands are printed with a suffix by the API server, and a naive comparison would differ for ever."""
    assert hard(devices={"a100": devices})["requests.nvidia.com/gpu"] == spelled
