"""How pods are sent off when their time is over, and what they hold until their processes are gone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bitgoeul.cluster.kinds import BY_KIND, POD, TENANT_ALLOCATION
from bitgoeul.desired.tenant_policies import POLICY_NAME
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import History, Manifest
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, resource_of
from tests.cluster.waiting import eventually

HOLD = "example.org/hold"
Way = Callable[[World, str, str], object]


def soon(seconds: float) -> str:
    """A moment so many seconds ahead, as people write it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def admit(world: World, namespace: str, name: str, spec: Manifest, *finalizers: str) -> None:
    """Create a pod, once the API server admits it."""
    body = {"metadata": {"name": name, "finalizers": list(finalizers)}, "spec": spec}

    def admitted() -> bool:
        status, answer = world.admin.request("POST", POD.path("", namespace), body)
        assert status < 300, answer["message"]
        return True

    eventually(admitted, f"pod {name} is admitted")


def run(world: World, namespace: str, name: str, spec: Manifest) -> None:
    """A pod that runs on a node: one that no node has goes at once, whatever grace it has."""
    admit(world, namespace, name, spec)
    eventually(lambda: world.get(POD, name, namespace)["status"].get("phase") == "Running", f"{name} is running")


def container(pool: str, devices: int, **more: Any) -> Manifest:
    resources = {"limits": {resource_of(pool): str(devices)}}
    return {"name": f"c{devices}", "image": "example.org/train:1", "resources": resources, **more}


WAYS: list[tuple[str, Way]] = [
    ("the window ends", lambda world, blue, _: world.edit(blue, window={"end": soon(1)}, expiry={"grace": "0s"})),
    ("it is suspended", lambda world, blue, _: world.edit(blue, suspend=True)),
    ("its pool is drained", lambda world, _, pool: stop(world, pool)),
    ("it asks for less", lambda world, blue, pool: world.ask(blue, {pool: 1})),
    ("it is deleted", lambda world, blue, _: world.delete(TENANT_ALLOCATION, blue)),
    ("its finalizer is taken away", lambda world, blue, _: orphan(world, blue)),
    ("the namespace is left", lambda world, blue, pool: leave(world, blue, pool)),
]


def stop(world: World, pool: str) -> None:
    world.admin.merge(f"/apis/bitgoeul.dev/v1alpha1/acceleratorpools/{pool}", {"spec": {"stopPolicy": "HoldAndDrain"}})


def orphan(world: World, allocation: str) -> None:
    world.delete(TENANT_ALLOCATION, allocation)
    world.admin.merge(TENANT_ALLOCATION.path(allocation), {"metadata": {"finalizers": None}})


def leave(world: World, allocation: str, pool: str) -> None:
    other = {"name": world.name("other"), "accelerators": {pool: 8}}
    world.edit(allocation, namespaces=[other])


@pytest.mark.parametrize("way", [pytest.param(way, id=what) for what, way in WAYS])
def test_the_first_request_carries_the_grace(world: World, control_plane: ControlPlane, way: Way) -> None:
    """However its time is over: a kubelet takes no other grace once it stops a pod."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, expiry={"grace": "0s"})
    run(world, blue, "slow", {"containers": [container(pool, 8)], "terminationGracePeriodSeconds": 300})
    with History(control_plane, POD.path("", blue)) as history:
        way(world, blue, pool)
        eventually(lambda: world.pods(blue) == {}, "the pod is gone")
    given = [change.obj["metadata"] for change in history.changes() if "deletionTimestamp" in change.obj["metadata"]]
    assert given[0]["deletionGracePeriodSeconds"] == 300


def test_a_pod_from_before_the_policy_is_given_no_longer(
    world: World, control_plane: ControlPlane, operator: OperatorProcess
) -> None:
    """A year that it asks for would hold its devices for a year: the first request carries 5 minutes."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8})
    operator.stop()
    world.delete(BY_KIND["ValidatingAdmissionPolicyBinding"], POLICY_NAME)
    run(world, blue, "slow", {"containers": [container(pool, 8)], "terminationGracePeriodSeconds": 31_536_000})
    operator.start()
    with History(control_plane, POD.path("", blue)) as history:
        world.edit(blue, suspend=True)
        eventually(lambda: world.pods(blue) == {}, "the pod is gone")
    given = [change.obj["metadata"] for change in history.changes() if "deletionTimestamp" in change.obj["metadata"]]
    assert given[0]["deletionGracePeriodSeconds"] == 300


def test_a_pod_with_sidecars_is_seen_to_end(world: World) -> None:
    """A sidecar runs beside the containers, and beside an init container that comes after it."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, expiry={"grace": "0s"})
    init = [container(pool, 2, restartPolicy="Always"), container(pool, 5)]
    spec = {"containers": [container(pool, 1)], "initContainers": init, "terminationGracePeriodSeconds": 1}
    run(world, blue, "mixed", spec)
    eventually(lambda: world.used(blue, pool) == 7, "the quota counts 7")
    world.ask(blue, {pool: 7})
    world.await_grant(blue, {pool: 7})
    world.ask(blue, {pool: 6})
    world.await_grant(blue, {pool: 6})
    assert world.pods(blue) == {}


def test_a_pod_that_lingers_is_in_use(world: World, operator: OperatorProcess) -> None:
    """Quota counts it no more, and its devices are taken all the same: status, pool and metrics say so."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8})
    for name, devices in (("stuck", 3), ("works", 2)):
        world.pod(blue, name, pool, devices, *([HOLD] if name == "stuck" else []))
    await_in_use(world, blue, pool, 5)
    world.delete(POD, "stuck", blue)
    eventually(lambda: world.used(blue, pool) == 2, "the quota does not count the dying pod any more")
    await_in_use(world, blue, pool, 5)
    operator.stop()
    operator.start()
    world.pod(blue, "more", pool, 6)
    await_in_use(world, blue, pool, 11)
    world.await_devices(pool, granted=11, available=-3)
    world.release(blue, "stuck")
    await_in_use(world, blue, pool, 8)
    world.await_devices(pool, granted=8, available=0)


def test_a_pod_that_no_node_ever_had_holds_nothing(world: World) -> None:
    """A member cannot charge a pool to itself by pods that fit nowhere and stay, deleted, by a finalizer of its own."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 1}, window={"duration": "1h"}, expiry={"grace": "0s", "notice": []})
    nowhere = {"containers": [container(pool, 1)], "nodeSelector": {"example.org/nowhere": "true"}}
    for number in range(3):
        admit(world, blue, f"ghost{number}", nowhere, HOLD)
        world.delete(POD, f"ghost{number}", blue)
    world.ask(blue, {pool: 2})
    world.await_grant(blue, {pool: 2})
    world.await_devices(pool, granted=2, inUse=0)
    world.edit(blue, suspend=True)
    world.await_phase(blue, "Suspended")
    world.await_devices(pool, granted=0, available=8)
    assert world.pods(blue) == {f"ghost{number}": True for number in range(3)}


def await_in_use(world: World, allocation: str, pool: str, devices: int) -> None:
    """Wait until allocation and pool say that so many devices are in use."""

    def told() -> bool:
        assert world.status(allocation)["inUse"]["accelerators"] == {pool: devices}
        assert world.pool_status(pool)["devices"]["inUse"] == devices
        return True

    eventually(told, f"{devices} devices are in use")
