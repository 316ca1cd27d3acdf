"""Pods of tenants that no node takes: which are counted, and what is told of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bitgoeul.desired.allocation_status import build_allocation_status, pending_message
from bitgoeul.planning.allocations import read_allocation
from bitgoeul.planning.observed import namespace_view
from bitgoeul.planning.pending import Pending, PendingPods, find_pending, pending_text
from tests.unit.builders import GPU, NOW, Manifest, make_namespace, plan_of
from tests.unit.lives import IN_FORCE, POOLS, holding, recorded

TEN = datetime(2026, 11, 30, 12, 10, tzinfo=UTC)
LATER = TEN + timedelta(minutes=10)
WHY = "0/3 nodes are available: 3 node(s) had untolerated taint(s)."
NAMESPACES = {
    name: namespace_view(make_namespace(name, owner))
    for name, owner in (("blue", "blue"), ("blue-2", "blue"), ("green", "green"), ("kube-system", ""))
}


def pod(
    name: str = "train", namespace: str = "blue", since: datetime = TEN, devices: int = 1, **fields: Any
) -> Manifest:
    """A pod that the scheduler could not place; more fields of spec, or ``condition`` and ``metadata``."""
    when = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": WHY}
    said |= {"lastTransitionTime": when} | fields.pop("condition", {})
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": when} | fields.pop("metadata", {})
    resources = {"limits": {GPU: str(devices)}} if devices else {"requests": {"cpu": "1"}}
    spec = {"containers": [{"name": "main", "resources": resources}]} | fields
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Pending", "conditions": [said]}}


def test_pods_that_no_node_takes_are_counted_by_allocation() -> None:
    """Since when and why is that of the one that has waited longest."""
    second = TEN + timedelta(seconds=30)
    pods = [
        pod("b", since=second, condition={"message": "another reason"}),
        pod("a", "blue-2"),
        pod("c", devices=0, since=second),
        pod("d", "green", since=second),
        pod("e", "kube-system"),
        pod("f", "elsewhere"),
    ]
    found = find_pending(pods, NAMESPACES, LATER + timedelta(minutes=1))
    assert found == {"uid-blue": PendingPods(3, 2, TEN, WHY), "uid-green": PendingPods(1, 1, second, WHY)}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(pod(since=TEN + timedelta(seconds=1)), id="for less than ten minutes"),
        pytest.param(pod(nodeName="node-1"), id="it has a node, and pulls its image"),
        pytest.param(pod(metadata={"deletionTimestamp": "2026-11-30T12:20:00Z"}), id="it is being deleted"),
        pytest.param(pod(condition={"reason": "SchedulingGated"}), id="its queue holds it back"),
        pytest.param(pod(condition={"status": "True"}), id="it was scheduled just now"),
        pytest.param(pod(condition={"lastTransitionTime": "yesterday"}, metadata={"name": "x"}), id="not readable"),
    ],
)
def test_what_does_not_wait_for_a_node_is_not_counted(other: Manifest) -> None:
    """Nobody can do anything about it, or somebody does already."""
    assert find_pending([other], NAMESPACES, LATER) == {}


def test_a_pod_that_no_scheduler_has_looked_at_counts_from_its_creation() -> None:
    """The name of its scheduler may be wrong."""
    lost = pod(schedulerName="volcano")
    lost["status"]["conditions"] = []
    (found,) = find_pending([lost], NAMESPACES, LATER).values()
    assert (found.since, found.why) == (TEN, "no scheduler has looked at it; it asks for volcano")


@pytest.mark.parametrize(
    ("pods", "devices", "text"),
    [
        pytest.param(8, 8, "8 pods have been Pending since 2026-11-30 12:10Z: ", id="all ask for devices"),
        pytest.param(8, 1, "8 pods have been Pending since 2026-11-30 12:10Z (1 of them asks for devices): ", id="one"),
        pytest.param(1, 0, "1 pod has been Pending since 2026-11-30 12:10Z (for no devices): ", id="none does"),
    ],
)
def test_what_is_told_counts_no_seconds(pods: int, devices: int, text: str) -> None:
    """As long as nothing changes, nothing is written."""
    assert pending_text(PendingPods(pods, devices, TEN, WHY)) == f"{text}{WHY}"


def status_with(pending: Pending | None, written: Manifest | None = None) -> Manifest:
    """The status of blue, which is in force."""
    objects = holding(recorded(-1) | (written or {}))
    decision = plan_of([*POOLS, *objects]).decisions["blue"]
    allocation = read_allocation(objects[0])
    return build_allocation_status(
        allocation, decision, allocation.granted, {}, IN_FORCE, objects[0]["status"], NOW, pending
    )


def test_the_condition_is_there_as_long_as_pods_are() -> None:
    """Ready stays True; after a restart what is written stays until somebody has looked."""
    told = status_with({"uid-blue": PendingPods(8, 8, TEN, WHY)})
    by_type = {row["type"]: (row["status"], row["reason"]) for row in told["conditions"]}
    assert by_type["PodsPending"] == ("True", "PodsUnschedulable")
    assert by_type["Ready"] == ("True", "Enforced")
    assert pending_message(told).startswith("8 pods have been Pending since")
    assert pending_message(status_with(None, told)) == pending_message(told)
    assert pending_message(status_with({}, told)) == ""
