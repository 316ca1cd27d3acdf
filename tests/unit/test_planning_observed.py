"""What is read out of nodes, namespaces and quotas; odd content counts as nothing and disturbs nobody."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.planning.observed import QuotaView, namespace_view, node_view, quota_view, whole
from tests.unit.builders import GPU, make_namespace, make_node, make_quota, quota_keys


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("8", 8, id="a plain number"),
        pytest.param(8, 8, id="a number that is not quoted"),
        pytest.param("2k", 2000, id="a suffix"),
        pytest.param("1500m", 2, id="a fraction counts as a whole one, as the API server counts it"),
        pytest.param("10700T", 10_700 * 10**12, id="more bytes than a float can tell apart"),
        pytest.param("9007199254740993", 9_007_199_254_740_993, id="one byte more than floats can count"),
        pytest.param("-3", 0, id="less than nothing is nothing"),
        pytest.param("eight", 0, id="a word is nothing"),
        pytest.param("", 0, id="an empty text is nothing"),
        pytest.param(None, 0, id="null is nothing"),
        pytest.param("1e9999", 0, id="an absurd exponent is nothing"),
    ],
)
def test_whole_numbers_are_read_from_quantities(value: object, expected: int) -> None:
    """A quantity that nobody can read must not stop the plan."""
    assert whole(value) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"ready": True}, (True, False), id="a Ready node"),
        pytest.param({"ready": False}, (False, False), id="a node whose kubelet is silent"),
        pytest.param({"cordoned": True}, (True, True), id="a cordoned node"),
    ],
)
def test_a_node_is_read_with_its_state(change: dict[str, Any], expected: tuple[bool, bool]) -> None:
    """Ready and cordoned are two things: a cordoned node may be Ready."""
    view = node_view(make_node(**change))
    assert (view.ready, view.cordoned) == expected


def test_only_the_condition_ready_makes_a_node_ready() -> None:
    """A node under memory pressure has conditions that are True, too."""
    node = make_node(ready=False)
    node["status"]["conditions"].append({"type": "MemoryPressure", "status": "True"})
    assert not node_view(node).ready


def test_a_node_shows_extended_resources_only() -> None:
    """Cpu and memory are not handed out by pools."""
    view = node_view(make_node(devices=8, healthy=6))
    assert view.capacity == {GPU: 8}
    assert view.allocatable == {GPU: 6}


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="no status"),
        pytest.param({"status": {}}, id="an empty status"),
        pytest.param({"status": None, "spec": None}, id="nulls"),
        pytest.param({"status": {"capacity": None, "allocatable": None, "conditions": None}}, id="nulls inside"),
    ],
)
def test_a_node_that_says_nothing_has_nothing(status: dict[str, Any]) -> None:
    """A node that has just joined has no status yet."""
    view = node_view({"metadata": {"name": "new"}, **status})
    assert (view.ready, view.cordoned, view.labels, view.capacity, view.allocatable) == (False, False, {}, {}, {})


def test_a_namespace_belongs_to_whom_its_annotation_names() -> None:
    """The label is for people; only the annotation, which tenants cannot write, proves ownership."""
    view = namespace_view(make_namespace("blue-train", "blue", pools=["a100", "npu"]))
    assert (view.name, view.allocation, view.allocation_uid) == ("blue-train", "blue", "uid-blue")
    assert view.pools == {"a100", "npu"}
    assert not view.retained


def test_a_namespace_of_others_belongs_to_nobody() -> None:
    """A namespace without our annotation is not ours, whatever its labels say."""
    namespace = make_namespace("theirs", "blue", retained=True)
    del namespace["metadata"]["annotations"]
    view = namespace_view(namespace)
    assert view.allocation_uid == ""
    assert view.retained


def test_a_namespace_on_its_way_out_is_terminating() -> None:
    """A deletion timestamp is all that tells."""
    namespace = make_namespace()
    namespace["metadata"]["deletionTimestamp"] = "2021-04-15T00:00:00Z"
    assert namespace_view(namespace).terminating


def test_a_quota_is_read_by_what_it_limits() -> None:
    """Devices by resource name, storage by class; cpu, counts and totals are not capacity."""
    quota = make_quota("blue", {GPU: 8, "lustre": "10Ti"}, {GPU: 3, "lustre": "1Ti"})
    quota["spec"]["hard"] |= {"requests.cpu": "64", "pods": "1000", "requests.storage": "10Ti", "count/jobs.batch": "9"}
    view = quota_view(quota)
    assert view.namespace == "blue"
    assert view.hard == {GPU: 8, "lustre": 10 * 2**40}
    assert view.used == {GPU: 3, "lustre": 2**40}


@pytest.mark.parametrize(
    ("hard", "enforced", "expected"),
    [
        pytest.param({"pods": "5"}, {"pods": "5"}, True, id="equal is settled"),
        pytest.param({"cpu": "1500m"}, {"cpu": "1.5"}, True, id="another spelling is settled"),
        pytest.param({"pods": "5"}, {"pods": "4"}, False, id="another value is not settled"),
        pytest.param({"pods": "5", "cpu": "1"}, {"pods": "5", "cpu": "2"}, False, id="one other value is enough"),
        pytest.param({"pods": "5", "cpu": "1"}, {"pods": "5"}, False, id="a key that is not confirmed is not settled"),
        pytest.param({"pods": "5"}, {"pods": "5", "cpu": "1"}, False, id="a key that is still enforced is not settled"),
        pytest.param({"pods": "5"}, {}, False, id="an empty status is not settled"),
        pytest.param({"pods": "five"}, {"pods": "5"}, False, id="what cannot be read is not settled"),
    ],
)
def test_a_quota_is_settled_when_every_key_is_enforced(
    hard: dict[str, str], enforced: dict[str, str], expected: bool
) -> None:
    """What spec says is a wish; only what status says is enforced."""
    quota = {"metadata": {"namespace": "blue"}, "spec": {"hard": hard}, "status": {"hard": enforced}}
    assert quota_view(quota).settled is expected


def test_a_quota_without_content_holds_nothing() -> None:
    """A quota may be without spec.hard and status."""
    view = quota_view({"metadata": {"namespace": "blue"}})
    assert (view.hard, view.enforced, view.used, view.holding, view.closed) == ({}, {}, {}, frozenset(), frozenset())


@pytest.mark.parametrize(
    ("hard", "enforced", "used", "expected"),
    [
        pytest.param(8, 2, 1, 8, id="raised, but not yet enforced"),
        pytest.param(2, 8, 1, 8, id="lowered, but the old limit may still admit"),
        pytest.param(0, 0, 5, 5, id="in use beyond all limits"),
        pytest.param(0, 0, 0, 0, id="closed and empty"),
    ],
)
def test_a_quota_holds_the_most_of_asked_enforced_and_used(hard: int, enforced: int, used: int, expected: int) -> None:
    """A freshly lowered quota still admits pods for a moment, so the higher figure counts both ways."""
    view = QuotaView("blue", "blue", False, {GPU: hard}, {GPU: enforced}, {GPU: used})
    assert view.held(GPU) == expected
    assert view.held("another") == 0
    assert (GPU in view.holding) is bool(expected)


def test_a_limit_that_only_the_old_status_names_is_still_held() -> None:
    """A key taken out of spec.hard is enforced, and in use, until the quota controller has looked."""
    view = quota_view(make_quota("blue", {}, {}, {GPU: 4}))
    assert view.held(GPU) == 4
    assert view.holding == {GPU}


@pytest.mark.parametrize(
    ("hard", "enforced", "expected"),
    [
        pytest.param({GPU: 0}, {GPU: 0}, {GPU}, id="asked for and enforced is closed"),
        pytest.param({GPU: 0}, {"lustre": "0"}, set(), id="asked for but not enforced is open"),
        pytest.param({"lustre": "0"}, {GPU: 0}, set(), id="enforced but no longer asked for is open"),
        pytest.param({GPU: 0}, {}, {GPU}, id="a new quota closes what it asks for, as nobody has access yet"),
    ],
)
def test_a_limit_is_closed_when_asked_for_and_enforced(
    hard: dict[str, Any], enforced: dict[str, Any], expected: set[str]
) -> None:
    """What a quota does not name is not limited at all."""
    assert quota_view(make_quota("blue", hard, {}, enforced)).closed == expected


def test_keys_of_a_quota_are_told_apart() -> None:
    """A storage class may have dots, a resource a domain; the builders spell them as the API server does."""
    keys = quota_keys({"furiosa.ai/npu": 1, "fast.nvme": "1Ti"})
    assert set(keys) == {"requests.furiosa.ai/npu", "fast.nvme.storageclass.storage.k8s.io/requests.storage"}
    quota = {"metadata": {"namespace": "blue"}, "spec": {"hard": keys}}
    assert quota_view(quota).hard == {"furiosa.ai/npu": 1, "fast.nvme": 2**40}
