"""What a tenant was granted and cannot have is told, by the pods that no node takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bitgoeul.cluster.kinds import NODE, POD
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, condition, is_true, resource_of
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.fault_fixtures"]

# The same program, in which ten minutes are a second.
SOON = (
    "import functools, datetime, bitgoeul.cli.run as run; "
    "run.Options = functools.partial(run.Options, pending_after=datetime.timedelta(seconds=1)); "
)


@pytest.fixture
def impatient(plane: ControlPlane, tmp_path: Path) -> Iterator[OperatorProcess]:
    """An operator that tells of pods that have been Pending for a second."""
    with OperatorProcess(plane.kubeconfig, tmp_path / "log", prelude=SOON) as process:
        yield process


def taint(world: World, pool: str, *effects: str) -> None:
    taints = [{"key": "example.org/sick", "value": "fan", "effect": effect} for effect in effects]
    world.admin.merge(NODE.path(f"node-{pool}"), {"spec": {"taints": taints}})


def told(world: World, allocation: str) -> str:
    """What the allocation says of its pods; an AssertionError while it says nothing."""
    found = condition(world.status(allocation), "PodsPending")
    assert (found["status"], found["reason"]) == ("True", "PodsUnschedulable")
    return str(found["message"])


def times_told(world: World, allocation: str) -> int:
    return [reason for _, reason, _ in world.events(allocation)].count("PodsUnschedulable")


def test_granted_devices_that_cannot_be_had_are_told(fault_world: World, impatient: OperatorProcess) -> None:
    """The allocation stays Ready, and says since when and why; a restart tells nothing anew."""
    world = fault_world
    pool = world.pool(devices=8)
    blue, green = world.active("blue", {pool: 4}), world.active("green", {pool: 4})
    taint(world, pool, "NoSchedule")
    world.await_devices(pool, schedulable=0)
    world.pod(blue, "one", pool, 2)
    world.pod(blue, "two", pool, 2)
    message = eventually(lambda: told(world, blue) if told(world, blue).startswith("2 pods") else "", "blue tells")
    assert message.startswith("2 pods have been Pending since ")
    assert "untolerated taint" in message
    status = world.status(blue)
    assert status["phase"] == "Active"
    assert is_true(status, "Ready")
    assert times_told(world, blue) == 1
    assert "PodsPending" not in [one["type"] for one in world.status(green)["conditions"]]
    _, metrics = impatient.fetch("/metrics")
    assert f'bitgoeul_allocation_pending_pods{{allocation="{blue}"}} 2' in metrics

    impatient.stop()
    impatient.start()
    world.pod(green, "three", pool, 1)
    eventually(lambda: told(world, green), "green tells: the operator has looked again")
    assert told(world, blue) == message
    taint(world, pool)
    eventually(lambda: "PodsPending" not in [c["type"] for c in world.status(blue)["conditions"]], "it is over")
    assert times_told(world, blue) == 1


def test_pods_without_devices_count_and_gated_ones_do_not(fault_world: World, impatient: OperatorProcess) -> None:
    """Both are work that does not go on; what a queue holds back is meant to wait."""
    world = fault_world
    assert impatient.alive
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 4})
    world.pod(blue, "ready", pool, 1)  # what a pod needs in a new namespace is there
    container = {"name": "main", "image": "example.org/x:1", "resources": {}}
    spec = {"containers": [container], "nodeSelector": {"example.org/nowhere": world.suffix}}
    held = {
        "containers": [container | {"resources": {"limits": {resource_of(pool): "1"}}}],
        "schedulingGates": [{"name": "q"}],
    }
    world.admin.create(POD.path("", blue), {"metadata": {"name": "gated"}, "spec": held})
    world.admin.create(POD.path("", blue), {"metadata": {"name": "lost"}, "spec": spec})
    message = eventually(lambda: told(world, blue), "blue tells")
    assert message.startswith("1 pod has been Pending since ")
    assert " (for no devices): " in message
