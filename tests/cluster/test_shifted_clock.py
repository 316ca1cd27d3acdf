"""Years in minutes: the operator is killed and started again with its clock shifted, in the middle of each stretch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bitgoeul.api.names import (
    CLOCK_OFFSET_ANNOTATION,
    CLOSED_ANNOTATION,
    LEASE_NAME,
    OPERATOR_NAMESPACE,
    RESUMED_ANNOTATION,
)
from bitgoeul.cluster.kinds import DEPLOYMENT, LEASE, NAMESPACE, POD
from tests.cluster.admin import Manifest
from tests.cluster.faults import Launch, forget_lease
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, condition, is_true, resource_of
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.fault_fixtures"]

MEMBERS = [{"kind": "Group", "name": "blue", "role": "admin"}]
DAY = 24
Shift = Callable[[int], OperatorProcess]


@pytest.fixture
def shift(launch: Launch, fault_world: World) -> Shift:
    """Kill the operator, and start it again with its clock so many hours ahead."""
    running: list[OperatorProcess] = []

    def start(hours: int) -> OperatorProcess:
        if running:
            running.pop().kill()
            forget_lease(fault_world.admin)
        process = launch(f"operator{hours}", None, f"--clock-offset={hours}h")
        running.append(process)
        return process

    return start


def ahead(days: float) -> str:
    """A moment so many days ahead, in whole seconds."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def notices(world: World, allocation: str) -> int:
    """How many notices were told as Events."""
    return [reason for _, reason, _ in world.events(allocation)].count("NoticeGiven")


def lease_annotations(world: World) -> Manifest:
    found: Manifest = world.get(LEASE, LEASE_NAME, OPERATOR_NAMESPACE)["metadata"].get("annotations") or {}
    return found


def test_a_whole_life_from_scheduled_to_reclaimed(fault_world: World, shift: Shift) -> None:
    """A promise, a start, two notices, the end, the grace, the retention: nothing is lost by a kill in between."""
    world = fault_world
    shift(0)
    assert CLOCK_OFFSET_ANNOTATION not in lease_annotations(world)
    pool = world.pool(devices=8)
    blue = world.allocate(
        "blue",
        {pool: 8},
        members=MEMBERS,
        window={"start": ahead(100), "end": ahead(200)},
        expiry={"notice": ["720h", "168h"], "grace": "72h", "retention": "2160h", "deletionPolicy": "Delete"},
    )
    world.await_phase(blue, "Scheduled")
    promised = world.status(blue)["window"]

    shift(101 * DAY)
    assert lease_annotations(world)[CLOCK_OFFSET_ANNOTATION] == f"{101 * DAY}h"
    world.await_phase(blue, "Active")
    world.pod(blue, "train", pool, 8)
    assert world.status(blue)["window"] == promised

    shift(171 * DAY)
    first = condition(world.await_phase(blue, "Expiring"), "Expiring")
    assert first["reason"] == "NoticeGiven"
    eventually(lambda: notices(world, blue) == 1, "the first notice is an Event")
    shift(194 * DAY)
    second = world.await_status(
        blue, lambda s: condition(s, "Expiring")["message"] != first["message"], "is given the second notice"
    )
    assert second["phase"] == "Expiring"
    eventually(lambda: notices(world, blue) == 2, "the second notice is an Event")
    assert world.limit(blue, pool) == 8

    shift(201 * DAY)
    world.await_limit(blue, pool, 0)
    world.await_reason(blue, "Admitted", "WindowPassed")
    assert world.pods(blue) == {"train": False}
    assert world.status(blue)["grant"]["accelerators"] == {pool: 8}
    shift(204 * DAY)
    world.await_phase(blue, "Expired")
    assert world.pods(blue) == {}
    shift(295 * DAY)
    world.await_phase(blue, "Reclaimed")
    world.await_gone(NAMESPACE, blue)


def test_the_next_stage_admits_who_waits_and_a_slip_revokes_nothing(fault_world: World, shift: Shift) -> None:
    """The plan counts when it is ahead, the nodes when its time has come."""
    world = fault_world
    shift(0)
    stages: list[Manifest] = [
        {"name": "pilot", "from": ahead(-10), "devices": 8},
        {"name": "full", "from": ahead(100), "devices": 16},
    ]
    pool = world.pool(devices=8, stages=stages)
    world.active("blue", {pool: 8})
    green = world.allocate("green", {pool: 4})
    status = world.await_status(green, lambda s: "earliestStart" in s.get("queue", {}), "knows its earliest start")
    assert datetime.fromisoformat(status["queue"]["earliestStart"]) == datetime.fromisoformat(stages[1]["from"])
    assert f"when stage full of {pool} begins" in condition(status, "Admitted")["message"]
    red = world.allocate("red", {pool: 4}, window={"start": ahead(110), "duration": "720h"})
    promised = world.await_phase(red, "Scheduled")["window"]

    later = [stages[0], stages[1] | {"from": ahead(120)}]
    world.admin.merge(f"/apis/bitgoeul.dev/v1alpha1/acceleratorpools/{pool}", {"spec": {"stages": later}})

    def hurt() -> bool:
        found = world.pool_status(pool)
        assert is_true(found, "Overcommitted")
        assert red in condition(found, "Overcommitted")["message"]
        return True

    eventually(hurt, "the pool names whom the slip hurts")
    assert world.status(red)["phase"] == "Scheduled"

    shift(111 * DAY)
    status = world.await_phase(red, "Waiting")
    assert status["promised"]["accelerators"] == {pool: 4}
    shift(121 * DAY)  # the stage has begun, but its nodes are not there
    world.await_devices(pool, planned=16, effective=8)
    assert world.status(red)["phase"] == "Waiting"
    world.nodes(pool, "more", devices=4)
    status = world.await_phase(red, "Active")  # a promise goes first, and its window is not moved
    assert status["window"]["start"] == promised["start"]
    assert status["window"]["end"] == promised["end"]
    assert world.status(green)["phase"] == "Waiting"
    world.nodes(pool, "rest", devices=4)
    world.await_phase(green, "Active")


def test_suspension_and_extension_survive_a_kill(fault_world: World, shift: Shift) -> None:
    """What was given stays, what was taken stays taken; the window runs on meanwhile."""
    world = fault_world
    shift(0)
    pool = world.pool(devices=8)
    end = ahead(30)
    blue = world.active("blue", {pool: 8}, members=MEMBERS, window={"duration": f"{20 * DAY}h"})
    world.pod(blue, "train", pool, 4, "example.org/hold")
    world.admin.create(DEPLOYMENT.path("", blue), make_deployment(blue, resource_of(pool)))
    world.edit(blue, window={"duration": None, "end": end})
    world.await_status(blue, lambda s: s["window"]["end"] == end, "is extended")
    world.edit(blue, suspend=True)
    world.await_limit(blue, pool, 0)
    shift(1)
    world.release(blue, "train")
    world.await_status(blue, lambda s: s.get("grant", {}).get("accelerators") == {}, "has given all back")
    assert world.status(blue)["phase"] == "Suspended"
    shift(20 * DAY)
    world.edit(blue, suspend=False)
    status = world.await_phase(blue, "Active")
    assert status["window"]["end"] == end

    def nudged() -> bool:
        found = world.get(DEPLOYMENT, "serve", blue)
        ready = found["status"].get("readyReplicas") == 1
        return ready and RESUMED_ANNOTATION in found["metadata"]["annotations"]

    eventually(nudged, "the Deployment is told, and has its pod")
    assert CLOSED_ANNOTATION not in world.get(NAMESPACE, blue)["metadata"]["annotations"]
    shift(32 * DAY)
    world.await_phase(blue, "Expired")


def test_the_grace_of_a_shrink_survives_a_kill(fault_world: World, shift: Shift) -> None:
    """It counts from the moment at which less was asked for, whoever leads meanwhile."""
    world = fault_world
    shift(0)
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, expiry={"grace": "72h"})
    world.pod(blue, "old", pool, 4)
    world.await_younger(POD, "old", blue)
    world.pod(blue, "new", pool, 4)
    world.ask(blue, {pool: 4})
    due = world.await_status(blue, lambda s: s.get("excessDrainAt"), "says when pods go")["excessDrainAt"]
    shift(71)
    world.await_status(blue, lambda s: s["excess"]["accelerators"] == {pool: 4}, "is still beyond")
    assert world.status(blue)["excessDrainAt"] == due
    assert world.pods(blue) == {"old": False, "new": False}
    shift(73)
    world.await_grant(blue, {pool: 4})
    assert world.pods(blue) == {"old": False}


def test_a_pause_lets_nobody_pass(fault_world: World, shift: Shift) -> None:
    """An end passes while nobody is there: who waits for it keeps the place until all is given back."""
    world = fault_world
    shift(0)
    pool = world.pool(devices=8)
    big = world.active("big", {pool: 6}, window={"end": ahead(1)}, expiry={"grace": "1h"})
    world.pod(big, "train", pool, 6, "example.org/hold")
    large = world.allocate("large", {pool: 8})
    world.await_status(large, lambda s: "earliestStart" in s.get("queue", {}), "knows its earliest start")
    short = world.allocate("short", {pool: 2}, window={"duration": f"{30 * DAY}h"})
    world.await_reason(short, "Admitted", "BlockedByEarlier")

    shift(3 * DAY)
    status = world.await_status(big, lambda s: "drainStartedAt" in s, "is being drained")
    eventually(lambda: world.pods(big) == {"train": True}, "the pod is sent off")
    shift(3 * DAY)
    world.await_reason(large, "Admitted", "WaitingForCapacity")
    assert world.status(big)["drainStartedAt"] == status["drainStartedAt"]
    assert world.status(short)["phase"] == "Waiting"
    world.release(big, "train")
    world.await_phase(large, "Active")
    assert "Granted" not in [reason for _, reason, _ in world.events(short)]
    assert world.status(short)["phase"] == "Waiting"


def test_the_clock_goes_back_too(fault_world: World, shift: Shift) -> None:
    """Shifted to a year ago, what is in the past is ahead."""
    world = fault_world
    shift(-365 * DAY)
    assert lease_annotations(world)[CLOCK_OFFSET_ANNOTATION] == f"-{365 * DAY}h"
    pool = world.pool(devices=8)
    blue = world.allocate("blue", {pool: 8}, window={"start": ahead(-200), "end": ahead(-100)})
    world.await_phase(blue, "Scheduled")
    shift(-150 * DAY)
    world.await_phase(blue, "Active")
    shift(0)
    world.await_phase(blue, "Expired")


def make_deployment(namespace: str, resource: str) -> Manifest:
    """A workload of one pod with one device."""
    pod = {
        "containers": [{"name": "main", "image": "example.org/serve:1", "resources": {"limits": {resource: "1"}}}],
        "terminationGracePeriodSeconds": 0,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "serve", "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "serve"}},
            "template": {"metadata": {"labels": {"app": "serve"}}, "spec": pod},
        },
    }
