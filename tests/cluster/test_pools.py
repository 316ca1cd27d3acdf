"""Pools follow their nodes, say what is wrong, and never promise more than there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bitgoeul.api.names import FINALIZER, QUOTA_NAME
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    NAMESPACE,
    NODE,
    RESOURCE_QUOTA,
    STORAGE_CLASS,
    STORAGE_POOL,
    TENANT_ALLOCATION,
)
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import History
from tests.cluster.api_objects import make
from tests.cluster.faults import paused
from tests.cluster.scenario import World, condition, is_true, resource_of, said
from tests.cluster.waiting import eventually

NOT_READY = "simulate.bitgoeul.dev/not-ready"


def cordon(world: World, node: str, closed: bool = True) -> None:
    world.admin.merge(NODE.path(node), {"spec": {"unschedulable": closed}})


def break_down(world: World, node: str) -> None:
    world.admin.merge(NODE.path(node), {"metadata": {"annotations": {NOT_READY: "broken fan"}}})


def lose_devices(world: World, node: str, resource: str, left: int, what: str = "allocatable") -> None:
    """The device plugin reports fewer devices."""
    body = {"status": {what: {resource: str(left)}}}
    world.admin.merge(NODE.path(node, subresource="status"), body)


def move_away(world: World, node: str) -> None:
    world.admin.merge(NODE.path(node), {"metadata": {"labels": {"example.org/pool": "elsewhere"}}})


def taint(world: World, node: str) -> None:
    taints = [{"key": "example.org/sick", "value": "fan", "effect": "NoSchedule"}]
    world.admin.merge(NODE.path(node), {"spec": {"taints": taints}})


def all_at_once(world: World, node: str) -> None:
    """Of several things that are wrong the first in the order NotReady, Cordoned, Tainted, Unhealthy counts."""
    taint(world, node)
    lose_devices(world, node, resource_of(world.name("gpu")), 1)
    cordon(world, node)
    break_down(world, node)


@pytest.mark.parametrize(
    ("change", "devices", "nodes"),
    [
        pytest.param(
            lambda world, node: world.nodes(world.name("gpu"), "third"),
            (24, 0, 0, 0, 0),
            (3, 0, 0, 0),
            id="a node comes",
        ),
        pytest.param(lambda world, node: world.delete(NODE, node), (8, 0, 0, 0, 0), (1, 0, 0, 0), id="a node goes"),
        pytest.param(move_away, (8, 0, 0, 0, 0), (1, 0, 0, 0), id="a node loses its label"),
        pytest.param(break_down, (16, 8, 0, 0, 0), (1, 1, 0, 0), id="a node becomes NotReady"),
        pytest.param(cordon, (16, 0, 8, 0, 0), (1, 0, 1, 0), id="a node is cordoned"),
        pytest.param(taint, (16, 0, 0, 8, 0), (1, 0, 0, 1), id="a node gets a taint"),
        pytest.param(
            lambda world, node: lose_devices(world, node, resource_of(world.name("gpu")), 5),
            (16, 0, 0, 0, 3),
            (2, 0, 0, 0),
            id="a node has unhealthy devices",
        ),
        pytest.param(
            lambda world, node: lose_devices(world, node, resource_of(world.name("gpu")), 6, "capacity"),
            (14, 0, 0, 0, 0),
            (2, 0, 0, 0),
            id="a node has fewer devices",
        ),
        pytest.param(all_at_once, (16, 8, 0, 0, 0), (1, 1, 0, 0), id="a node has several things wrong"),
    ],
)
def test_a_pool_follows_its_nodes(
    world: World,
    change: Callable[[World, str], Any],
    devices: tuple[int, int, int, int, int],
    nodes: tuple[int, int, int, int],
) -> None:
    """Every device is counted once: it can be scheduled, or there is one reason why it cannot."""
    pool = world.declare_pool(reserve=1, petaflopsPerDevice="0.5")
    _, node = world.nodes(pool, "first", "second")
    world.await_effective(pool, 15)
    change(world, node)
    installed, not_ready, cordoned, tainted, unhealthy = devices

    def followed() -> bool:
        status = world.pool_status(pool)
        figures, counts = status["devices"], status["nodes"]
        assert (figures["installed"], figures["unavailable"]) == (
            installed,
            {"notReady": not_ready, "cordoned": cordoned, "tainted": tainted, "unhealthy": unhealthy},
        )
        assert (counts["ready"], counts["notReady"], counts["cordoned"], counts["tainted"]) == nodes
        return True

    eventually(followed, "the pool has followed")
    status = world.pool_status(pool)
    schedulable = installed - not_ready - cordoned - tainted - unhealthy
    assert status["devices"]["schedulable"] == schedulable
    assert status["devices"]["effective"] == schedulable - 1
    assert float(status["petaflops"]["effective"]) == (schedulable - 1) / 2


def test_the_parts_add_up_at_every_moment(world: World, control_plane: ControlPlane) -> None:
    """Whoever reads a pool while nodes and grants come and go never sees devices twice, or lost."""
    with History(control_plane, ACCELERATOR_POOL.path(), STORAGE_POOL.path()) as history:
        pool = world.declare_pool(reserve=1)
        disk = world.storage_pool(capacity="20Ti", reserve="5Ti")
        first, second = world.nodes(pool, "first", "second")
        blue = world.active("blue", {pool: 8}, {disk: "4Ti"})
        cordon(world, first)
        green = world.allocate("green", {pool: 4})
        break_down(world, second)
        world.await_devices(pool, effective=0, granted=8, available=-8)
        cordon(world, first, closed=False)
        world.delete(TENANT_ALLOCATION, blue)
        world.await_phase(green, "Active")
        world.edit(green, storage=[{"pool": disk, "size": "15Ti"}])
        world.await_grant(green, {pool: 4})
    seen = 0
    for change in history.changes():
        status = change.obj.get("status")
        if not status or not change.name.endswith(world.suffix):
            continue
        seen += 1
        part = status.get("devices") or status["bytes"]
        unavailable = sum(part.get("unavailable", {}).values())
        assert part["installed"] == part.get("schedulable", part["installed"]) + unavailable
        assert part["installed"] - unavailable == part["reserved"] + part["effective"]
        assert part["effective"] == part["granted"] + part.get("retained", 0) + part["available"]
    assert seen >= 4


def test_lost_capacity_kills_nobody(world: World) -> None:
    """The pool says how much is missing and grants nothing new; what runs goes on."""
    pool = world.declare_pool()
    _, node = world.nodes(pool, "first", "second", devices=4)
    world.await_effective(pool, 8)
    blue = world.active("blue", {pool: 8})
    world.pod(blue, "one", pool, 4)
    world.pod(blue, "two", pool, 4)
    cordon(world, node)
    world.await_devices(pool, effective=4, granted=8, available=-4)
    green = world.allocate("green", {pool: 1})
    waiting = condition(world.await_phase(green, "Waiting"), "Admitted")
    assert waiting["message"].startswith(f"needs 1 of {pool}, 0 available, 4 overcommitted; no earliest start")
    world.await_devices(pool, waiting=1)
    status = world.pool_status(pool)
    assert said(status, "Ready", "Overcommitted", "Exhausted") == {
        "Ready": ("True", "Available"),
        "Overcommitted": ("True", "CapacityLost"),
        "Exhausted": ("True", "NothingAvailable"),
    }
    assert condition(status, "Overcommitted")["message"] == (
        "4 more granted than there is; nothing new is granted, nobody is stopped"
    )
    assert condition(status, "Exhausted")["message"] == "nothing available, 1 waiting for 1"
    assert world.status(blue)["phase"] == "Active"
    assert world.limit(blue, pool) == 8
    assert world.pods(blue) == {"one": False, "two": False}
    cordon(world, node, closed=False)
    eventually(
        lambda: said(world.pool_status(pool), "Overcommitted") == {"Overcommitted": ("False", "WithinCapacity")},
        "all is well again",
    )


def test_a_node_of_two_pools_counts_once(world: World) -> None:
    """It counts for the older pool, and both say which nodes they share."""
    older = world.declare_pool("older")
    world.await_younger(ACCELERATOR_POOL, older)
    also = {"example.org/also": world.suffix}
    younger = world.declare_pool("a-younger", resourceName=resource_of(older), nodeSelector=also)
    (shared,) = world.nodes(older, "shared", labels=also)
    world.nodes(younger, "own", resource=resource_of(older), labels=also)
    world.await_effective(older, 8)
    world.await_effective(younger, 8)
    overlaps = {
        pool: eventually(lambda: condition(world.pool_status(pool), "NodesOverlap"), f"{pool} tells")  # noqa: B023
        for pool in (older, younger)
    }
    rest = "; each node counts for the older pool only"
    assert {pool: one["message"] for pool, one in overlaps.items()} == {
        older: f"{shared} also match {younger}{rest}",
        younger: f"{shared} also match {older}{rest}",
    }
    world.delete(NODE, shared)
    world.await_devices(older, effective=0)
    eventually(lambda: "NodesOverlap" not in said(world.pool_status(younger)), "nothing is shared any more")


def test_a_new_pool_grants_when_every_quota_names_it(world: World, control_plane: ControlPlane) -> None:
    """Before that, its devices would be open to all who have a quota without its name."""
    old = world.pool("old")
    world.active("blue", {old: 1})
    with paused(control_plane.pid("kube-controller-manager")):
        late = world.declare_pool("late")
        world.nodes(late)
        green = world.allocate("green", {late: 2})
        world.await_status(
            green,
            lambda s: condition(s, "Admitted")["message"] == f"{late} grants nothing new before every quota names it",
            "waits for the quotas",
        )
        eventually(lambda: condition(world.pool_status(late), "Ready")["reason"] == "Preparing", "the pool says so")
    world.await_phase(green, "Active")
    eventually(lambda: is_true(world.pool_status(late), "Ready"), "the pool is Ready")


def test_a_dying_namespace_holds_no_pool_up(world: World) -> None:
    """Its quota is not written any more, and no pod can be made there: the new pool need not wait for its end."""
    old = world.pool("old")
    blue = world.active("blue", {old: 1})
    quota = RESOURCE_QUOTA.path(QUOTA_NAME, blue)
    world.admin.merge(quota, {"metadata": {"finalizers": ["example.org/hold"]}})
    world.delete(NAMESPACE, blue)
    try:
        late = world.pool("late")
        world.active("green", {late: 2})
        assert world.find(NAMESPACE, blue) is not None
    finally:
        world.admin.merge(quota, {"metadata": {"finalizers": None}})


def test_a_deleted_pool_waits_for_its_holders(world: World) -> None:
    """It grants nothing new, and goes when the last one has gone."""
    pool = world.pool()
    blue = world.active("blue", {pool: 4})
    world.delete(ACCELERATOR_POOL, pool)

    def held() -> bool:
        ready = condition(world.pool_status(pool), "Ready")
        assert (ready["status"], ready["reason"], ready["message"]) == (
            "False",
            "StillHeld",
            "being deleted; 4 still held, the pool goes when its holders are gone",
        )
        return True

    eventually(held, "the pool says by whom it is held up")
    green = world.allocate("green", {pool: 1})
    assert world.await_reason(green, "Stalled", "PoolNotFound")["message"] == (
        f"AcceleratorPool {pool} is being deleted and grants nothing new"
    )
    assert world.status(blue)["phase"] == "Active"
    assert world.limit(blue, pool) == 4
    assert FINALIZER in world.get(ACCELERATOR_POOL, pool)["metadata"]["finalizers"]
    world.delete(TENANT_ALLOCATION, blue)
    world.await_gone(ACCELERATOR_POOL, pool)
    world.await_status(
        green,
        lambda s: condition(s, "Stalled")["message"] == f"there is no AcceleratorPool {pool}",
        "is told that it is gone",
    )


def test_the_name_of_a_deleted_pool_stays_closed_while_nodes_show_it(world: World) -> None:
    """The devices are still there; without the key anybody could take them."""
    other, pool = world.pool("other"), world.pool()
    key = f"requests.{resource_of(pool)}"
    blue = world.active("blue", {other: 1})
    world.delete(ACCELERATOR_POOL, pool)
    world.await_gone(ACCELERATOR_POOL, pool)
    green = world.active("green", {other: 1})
    for name in (green, blue):
        eventually(lambda: world.quota(name)["status"]["hard"][key] == "0", f"closed in {name}")  # noqa: B023
    world.delete(NODE, f"node-{pool}")
    eventually(lambda: key not in world.quota(blue)["status"]["hard"], "the key goes with the last node")


def test_a_reserve_is_held_back(world: World) -> None:
    """Raising it later can at worst overcommit; it takes nothing from anybody."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 6})
    world.admin.merge(ACCELERATOR_POOL.path(pool), {"spec": {"reserve": 3}})
    world.await_devices(pool, reserved=3, effective=5, granted=6, available=-1)
    assert is_true(world.pool_status(pool), "Overcommitted")
    assert world.status(blue)["phase"] == "Active"
    assert world.limit(blue, pool) == 6


def test_a_storage_pool_says_when_its_class_is_missing(world: World) -> None:
    """Grants are promises about capacity; that claims would hang is told apart."""
    disk = world.storage_pool()
    world.delete(STORAGE_CLASS, disk)
    eventually(lambda: not is_true(world.storage_status(disk), "StorageClassFound"), "the pool notices")
    missing = world.storage_status(disk)
    assert condition(missing, "StorageClassFound")["message"] == (
        f"there is no StorageClass {disk}; claims stay Pending until it is created"
    )
    assert is_true(missing, "Ready")


def test_of_two_pools_of_one_class_the_older_has_it(world: World) -> None:
    """A quota cannot tell them apart, so the younger one grants nothing and says whom to ask."""
    older = world.storage_pool("disk")
    world.await_younger(STORAGE_POOL, older)
    younger = world.name("a-disk")
    world.create(make("StoragePool", younger, {"storageClassName": older, "capacity": "1Ti"}))
    whom = f"the older StoragePool {older} has the storage class {older}; nothing is granted here"
    eventually(
        lambda: condition(world.storage_status(younger), "Ready")["message"] == whom, "the younger one says whom to ask"
    )
    assert not is_true(world.storage_status(younger), "Ready")
    blue = world.allocate("blue", storage={younger: "1Ti"})
    assert world.await_reason(blue, "Stalled", "ResourceNameCollision")["message"] == (
        f"{younger} has the storage class {older} of the older StoragePool {older}; ask for that"
    )
    assert world.find(NAMESPACE, blue) is None


def test_a_smaller_storage_pool_is_overcommitted(world: World) -> None:
    """Capacity that is taken away stops new grants only."""
    disk = world.storage_pool(capacity="10Ti")
    blue = world.active("blue", storage={disk: "8Ti"})
    world.admin.merge(STORAGE_POOL.path(disk), {"spec": {"capacity": "6Ti"}})
    eventually(lambda: is_true(world.storage_status(disk), "Overcommitted"), "the pool notices")
    lost = world.storage_status(disk)
    assert lost["bytes"]["available"] == -2 * 2**40
    assert lost["summary"] == {"capacity": "6Ti", "granted": "8Ti", "available": "-2Ti"}
    assert world.status(blue)["phase"] == "Active"


# -- stages and stops

PILOT = {"name": "pilot-2021", "from": "2021-02-15T00:00:00+09:00", "devices": 8}
FULL = {"name": "full-2124", "from": "2124-01-01T00:00:00+09:00", "devices": 24}


def from_now(seconds: int) -> str:
    """A moment as people write it, in whole seconds."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def restage(world: World, pool: str, *stages: dict[str, Any]) -> None:
    """Give a pool another plan."""
    world.admin.merge(ACCELERATOR_POOL.path(pool), {"spec": {"stages": list(stages)}})


def test_a_pool_shows_its_stages(world: World) -> None:
    """What is planned now, what comes next, and what changes when; a stage caps what more nodes could give."""
    pool = world.declare_pool(reserve=2, stages=[PILOT, FULL])
    world.nodes(pool, "first", "second")
    world.await_devices(pool, installed=16, effective=6)
    status = world.await_effective(pool, 6)
    assert status["currentStage"] == "pilot-2021"
    assert status["nextStage"] == {"name": "full-2124", "from": "2123-12-31T15:00:00Z", "devices": 24}
    assert (status["devices"]["planned"], status["devices"]["installed"]) == (8, 16)
    assert status["calendar"] == [
        {"at": "2123-12-31T15:00:00Z", "available": 22, "change": 16, "cause": "stage full-2124 begins"}
    ]
    told = condition(status, "CapacityMatched")
    assert (told["status"], told["reason"]) == ("False", "DiffersFromPlan")
    assert told["message"] == "stage pilot-2021 plans 8, 16 installed"
    eventually(
        lambda: any(event[:2] == ("Warning", "DiffersFromPlan") for event in world.events(pool)),
        "an Event says that it differs",
    )


def test_a_stage_opens_by_itself(world: World) -> None:
    """Nobody touches anything when it begins: the pool takes it up, and who waited for it is granted."""
    pool = world.declare_pool(stages=[PILOT, FULL])
    world.nodes(pool, "first", "second", "third")
    world.await_effective(pool, 8)
    blue = world.allocate("blue", {pool: 12})
    waiting = world.await_status(
        blue,
        lambda s: s["phase"] == "Waiting" and s["queue"]["earliestStart"] == "2123-12-31T15:00:00Z",
        "is told that it starts with the next stage",
    )
    assert condition(waiting, "Admitted")["reason"] == "WaitingForCapacity"
    begins = from_now(3)
    restage(world, pool, PILOT, FULL | {"from": begins})

    def opened() -> bool:
        status = world.pool_status(pool)
        assert status.get("currentStage") == "full-2124", status
        assert said(status, "CapacityMatched") == {"CapacityMatched": ("True", "AsPlanned")}
        assert (status["devices"]["planned"], status["devices"]["effective"]) == (24, 24)
        return True

    eventually(opened, "the stage is in force")
    assert datetime.now(UTC) >= datetime.fromisoformat(begins)
    status = world.pool_status(pool)
    assert "nextStage" not in status
    assert status["calendar"] == []
    world.await_phase(blue, "Active")


def test_a_stage_that_slips_names_whom_it_hurts(world: World) -> None:
    """The promise stays, and the pool says from when on more is promised than there will be."""
    pool = world.declare_pool(stages=[PILOT, FULL | {"from": "2123-01-01T00:00:00Z"}])
    world.nodes(pool)
    world.await_effective(pool, 8)
    blue = world.allocate("blue", {pool: 20}, window={"start": "2123-06-01T00:00:00Z"})
    world.await_phase(blue, "Scheduled")
    world.await_devices(pool, scheduled=20, granted=0, available=8)
    restage(world, pool, PILOT, FULL)

    def hurt() -> bool:
        told = condition(world.pool_status(pool), "Overcommitted")
        assert (told["status"], told["reason"]) == ("True", "PromisesExceedPlan")
        assert told["message"] == (
            "from 2123-06-01 on up to 12 more granted and promised than there will be; promised starts that it may "
            f"delay: {blue}"
        )
        return True

    eventually(hurt, "the pool says whom the slip hurts")
    assert world.status(blue)["phase"] == "Scheduled"


def test_a_pool_on_hold_grants_nothing_new(world: World) -> None:
    """Who has something keeps it; who asks is told; and all goes on when the hold is lifted."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 2})
    world.admin.merge(ACCELERATOR_POOL.path(pool), {"spec": {"stopPolicy": "Hold"}})

    def held() -> bool:
        return said(world.pool_status(pool), "Ready") == {"Ready": ("False", "OnHold")}

    eventually(held, "the pool is on hold")
    green = world.allocate("green", {pool: 2})
    stopped = world.await_reason(green, "Admitted", "PoolOnHold")
    assert world.status(green)["phase"] == "Pending"
    assert "stopPolicy" in stopped["message"]
    assert world.status(blue)["phase"] == "Active"
    assert world.limit(blue, pool) == 2
    world.admin.merge(ACCELERATOR_POOL.path(pool), {"spec": {"stopPolicy": "None"}})
    world.await_phase(green, "Active")
    eventually(lambda: is_true(world.pool_status(pool), "Ready"), "the pool is open again")
