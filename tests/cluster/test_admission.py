"""Who gets what: requests are whole, in the order of the queue, and everybody is told why."""

from __future__ import annotations

from datetime import datetime

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.kinds import NAMESPACE, RESOURCE_QUOTA, TENANT_ALLOCATION
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import History
from tests.cluster.scenario import NO_DATE, World, condition, namespaces, resource_of, said
from tests.cluster.waiting import eventually


def test_a_request_that_fits_is_granted(world: World) -> None:
    """Status, quota and pool say the same."""
    pool = world.pool(devices=8, reserve=1)
    blue = world.active("blue", {pool: 4})
    status = world.status(blue)
    assert status["grant"] == {"accelerators": {pool: 4}, "storage": {}}
    assert status["summary"] == {"accelerators": f"{pool}×4", "namespaces": "1/1"}
    assert "queue" not in status
    assert said(status) == {
        "Admitted": ("True", "Granted"),
        "Provisioned": ("True", "Provisioned"),
        "Ready": ("True", "Enforced"),
        "Reconciling": ("False", "NothingToDo"),
        "Stalled": ("False", "NothingToDo"),
        "WithinGrant": ("True", "InUseFits"),
    }
    assert condition(status, "Admitted")["message"] == f"{pool}×4"
    assert world.limit(blue, pool) == 4
    world.await_devices(pool, effective=7, granted=4, available=3, waiting=0)


def test_a_request_that_does_not_fit_waits_and_says_what_is_short(world: World) -> None:
    """The message has the numbers and the way out; nothing is made for one that waits."""
    pool = world.pool(devices=8)
    world.active("blue", {pool: 4})
    green = world.allocate("green", {pool: 6})
    status = world.await_phase(green, "Waiting")
    message = f"needs 6 of {pool}, 4 available; {NO_DATE}; 4 devices could start now"
    assert "grant" not in status
    assert datetime.fromisoformat(status["queue"].pop("since")) == world.created(green)
    assert status["queue"] == {
        "position": 1,
        "asked": {"accelerators": {pool: 6}, "storage": {}},
        "blockedBy": [{"pool": pool, "devices": 2}],
    }
    assert said(status) == {
        "Admitted": ("False", "WaitingForCapacity"),
        "Provisioned": ("False", "WaitingForCapacity"),
        "Ready": ("False", "WaitingForCapacity"),
        "Reconciling": ("True", "WaitingForCapacity"),
        "Stalled": ("False", "WaitingForCapacity"),
    }
    assert {condition(status, kind)["message"] for kind in ("Admitted", "Ready", "Reconciling")} == {message}
    assert world.find(NAMESPACE, green) is None


def test_a_request_behind_another_one_is_blocked_by_it(world: World) -> None:
    """One that fits now still may not pass somebody who waits for the same devices."""
    pool = world.pool(devices=8)
    world.active("blue", {pool: 4})
    green = world.allocate("green", {pool: 6})
    world.await_phase(green, "Waiting")
    red = world.allocate("red", {pool: 3})
    status = world.await_phase(red, "Waiting")
    admitted = condition(status, "Admitted")
    assert (admitted["reason"], admitted["message"]) == (
        "BlockedByEarlier",
        f"would fit now (3 of {pool} with 4 available), but would delay somebody ahead; 1 ahead; {NO_DATE}",
    )
    assert (status["queue"]["position"], status["queue"]["blockedBy"]) == (2, [])


def test_a_later_request_may_have_what_nobody_ahead_needs(world: World) -> None:
    """What somebody ahead waits for is set aside, in every pool of the request; the rest is free for others."""
    short, wide = world.pool("short", devices=1), world.pool("wide", devices=8)
    world.active("blue", {short: 1})
    green = world.allocate("green", {short: 1, wide: 4})
    assert condition(world.await_phase(green, "Waiting"), "Admitted")["message"] == (
        f"needs 1 of {short}, 0 available; {NO_DATE}"
    )
    world.active("red", {wide: 3})
    white = world.allocate("white", {wide: 2})
    status = world.await_phase(white, "Waiting")
    assert condition(status, "Admitted")["message"] == (
        f"would fit now (2 of {wide} with 5 available), but would delay somebody ahead; 1 ahead; {NO_DATE}; "
        "1 device could start now"
    )
    assert world.find(NAMESPACE, green) is None


def test_nothing_is_granted_in_part(world: World) -> None:
    """Of a request for two pools nothing is given while one is short, and it is not charged either."""
    one, other = world.pool("one", devices=4), world.pool("other", devices=4)
    world.active("blue", {other: 2})
    green = world.allocate("green", {one: 2, other: 3})
    status = world.await_phase(green, "Waiting")
    assert status["queue"]["blockedBy"] == [{"pool": other, "devices": 1}]
    world.await_devices(one, effective=4, granted=0, available=4, waiting=2)


def test_two_requests_never_win_the_same_device(world: World) -> None:
    """Of five that come at once two fit, and the others stand in line by age, then by name."""
    pool = world.pool(devices=8)
    names = [world.allocate(word, {pool: 3}) for word in ("e", "d", "c", "b", "a")]
    for name in names:
        world.await_status(name, lambda status: status["phase"] in ("Active", "Waiting"), "is decided")

    def places() -> dict[str, int]:
        found = {name: world.status(name) for name in names}
        assert sorted(status["phase"] for status in found.values()) == ["Active"] * 2 + ["Waiting"] * 3
        return {name: status["queue"]["position"] for name, status in found.items() if "queue" in status}

    def settled() -> bool:
        waiting = places()
        in_order = sorted(waiting, key=lambda name: (world.created(name), name))
        return [waiting[name] for name in in_order] == [1, 2, 3]

    eventually(settled, "the rest waits in order")
    world.await_devices(pool, effective=8, granted=6, available=2, waiting=9)


def test_the_queue_goes_by_priority_then_age_then_name(world: World) -> None:
    """Whoever is first gets what comes free."""
    pool = world.pool(devices=4)
    holder = world.active("holder", {pool: 4})
    old = world.allocate("z-old", {pool: 4})
    world.await_younger(TENANT_ALLOCATION, old)
    twins = [world.allocate(word, {pool: 4}) for word in ("c-twin", "b-twin")]
    urgent = world.allocate("y-urgent", {pool: 4}, priority=101)
    in_order = [urgent, old, *sorted(twins, key=lambda name: (world.created(name), name))]

    def positions() -> list[int]:
        return [world.status(name)["queue"]["position"] for name in in_order]

    eventually(lambda: positions() == [1, 2, 3, 4], "the queue is in order")
    world.delete(TENANT_ALLOCATION, holder)
    world.await_phase(urgent, "Active")
    world.edit(in_order[3], priority=1000)
    eventually(
        lambda: [world.status(name)["queue"]["position"] for name in in_order[1:]] == [2, 3, 1],
        "a priority that is raised later counts as well",
    )


def test_growth_waits_while_what_is_held_stays(world: World) -> None:
    """Active and Ready stay True, Reconciling says why, and the whole difference comes when it fits."""
    pool = world.pool(devices=8)
    blue, green = world.active("blue", {pool: 4}), world.active("green", {pool: 3})
    world.ask(blue, {pool: 6})
    status = world.await_status(blue, lambda s: "queue" in s, "waits for more")
    assert status["phase"] == "Active"
    assert status["grant"]["accelerators"] == {pool: 4}
    assert said(status, "Admitted", "Ready", "Reconciling", "Stalled") == {
        "Admitted": ("True", "Granted"),
        "Ready": ("True", "Enforced"),
        "Reconciling": ("True", "WaitingForCapacity"),
        "Stalled": ("False", "WaitingForCapacity"),
    }
    assert condition(status, "Reconciling")["message"] == (
        f"needs 2 of {pool}, 1 available; {NO_DATE}; 1 device could start now"
    )
    assert status["queue"]["blockedBy"] == [{"pool": pool, "devices": 1}]
    assert world.limit(blue, pool) == 4
    world.delete(TENANT_ALLOCATION, green)
    assert "queue" not in world.await_grant(blue, {pool: 6})
    world.await_limit(blue, pool, 6)


def test_growth_that_fits_is_given(world: World) -> None:
    """Status, quota and pool follow the spec."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 4})
    world.ask(blue, {pool: 8})
    world.await_grant(blue, {pool: 8})
    world.await_limit(blue, pool, 8)


def test_growth_takes_nothing_from_those_ahead(world: World) -> None:
    """A holder that wants more stands in line from the moment it asks."""
    pool = world.pool(devices=8)
    red, green = world.active("red", {pool: 2}), world.allocate("green", {pool: 7})
    world.await_phase(green, "Waiting")
    world.ask(red, {pool: 3})
    status = world.await_status(red, lambda s: "queue" in s, "waits for more")
    assert said(status, "Reconciling") == {"Reconciling": ("True", "BlockedByEarlier")}
    assert status["queue"]["position"] == 2


def test_a_change_that_waits_is_not_begun(world: World, control_plane: ControlPlane) -> None:
    """A larger grant and another namespace in one edit come together or not at all."""
    pool = world.pool(devices=4)
    blue, green = world.active("blue", {pool: 2}), world.active("green", {pool: 2})
    second = world.name("second")
    with History(control_plane, NAMESPACE.path(), RESOURCE_QUOTA.path("", blue)) as history:
        world.edit(
            blue,
            accelerators=[{"pool": pool, "devices": 4}],
            namespaces=[{"name": blue, "accelerators": {pool: 1}}, {"name": second, "accelerators": {pool: 3}}],
        )
        status = world.await_status(blue, lambda s: "queue" in s, "waits")
    assert namespaces(status) == {blue: True}
    assert not [change for change in history.changes() if change.name == second]
    quotas = [change.obj["spec"]["hard"] for change in history.changes() if change.name == QUOTA_NAME]
    assert {hard[f"requests.{resource_of(pool)}"] for hard in quotas} == {"2"}
    world.delete(TENANT_ALLOCATION, green)
    world.await_grant(blue, {pool: 4})
    assert [world.limit(name, pool) for name in (blue, second)] == [1, 3]


def test_asking_for_more_while_waiting_starts_again(world: World) -> None:
    """Enlarging goes behind those who came meanwhile; asking for less keeps the place."""
    pool = world.pool(devices=4)
    world.active("blue", {pool: 4})
    first = world.allocate("first", {pool: 3})
    since = datetime.fromisoformat(world.await_phase(first, "Waiting")["queue"]["since"])
    second = world.allocate("second", {pool: 3})
    world.await_status(second, lambda s: s["queue"]["position"] == 2, "waits behind")
    world.ask(first, {pool: 2})
    kept = world.await_status(first, lambda s: s["queue"]["asked"]["accelerators"] == {pool: 2}, "asks for less")
    assert datetime.fromisoformat(kept["queue"]["since"]) == since
    world.await_younger(TENANT_ALLOCATION, second)
    world.ask(first, {pool: 4})
    moved = world.await_status(first, lambda s: s["queue"]["asked"]["accelerators"] == {pool: 4}, "asks for more")
    assert datetime.fromisoformat(moved["queue"]["since"]) > since
    world.await_status(first, lambda s: s["queue"]["position"] == 2, "stands behind the second")
    world.await_status(second, lambda s: s["queue"]["position"] == 1, "has become the first")


def test_a_change_that_can_never_be_met_is_stalled(world: World) -> None:
    """What is held stays in force, waiting would not help, and taking the change back heals."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 4})
    world.ask(blue, {pool: 9})
    stalled = world.await_reason(blue, "Stalled", "ExceedsPoolCapacity")
    assert stalled["message"] == f"needs 9 of {pool}, which can never give more than 8; ask for at most that"
    status = world.status(blue)
    assert status["phase"] == "Active"
    assert status["grant"]["accelerators"] == {pool: 4}
    assert said(status, "Admitted", "Ready", "Reconciling", "Stalled") == {
        "Admitted": ("True", "Granted"),
        "Ready": ("True", "Enforced"),
        "Reconciling": ("False", "ExceedsPoolCapacity"),
        "Stalled": ("True", "ExceedsPoolCapacity"),
    }
    world.ask(blue, {pool: 4})
    assert said(world.await_grant(blue, {pool: 4}), "Stalled") == {"Stalled": ("False", "NothingToDo")}


def test_an_impossible_request_is_refused_with_the_way_out(world: World) -> None:
    """More than a pool could ever give is not worth waiting for."""
    pool = world.pool(devices=8, reserve=2)
    blue = world.allocate("blue", {pool: 7})
    status = world.await_phase(blue, "Refused")
    message = f"needs 7 of {pool}, which can never give more than 6 (8 less the reserve); ask for at most that"
    assert said(status) == {
        "Admitted": ("False", "ExceedsPoolCapacity"),
        "Provisioned": ("False", "ExceedsPoolCapacity"),
        "Ready": ("False", "ExceedsPoolCapacity"),
        "Reconciling": ("False", "ExceedsPoolCapacity"),
        "Stalled": ("True", "ExceedsPoolCapacity"),
    }
    assert condition(status, "Stalled")["message"] == message
    assert "queue" not in status
    world.await_devices(pool, granted=0, waiting=0)


def test_a_refused_request_holds_nobody_back(world: World) -> None:
    """Others pass by one that can never be met, whatever its priority."""
    pool = world.pool(devices=8)
    world.await_phase(world.allocate("blue", {pool: 9}, priority=1000), "Refused")
    world.active("green", {pool: 8})


def test_two_pools_of_one_resource_need_two_namespaces(world: World) -> None:
    """A quota cannot tell them apart; the message says what helps, and it does."""
    a100 = world.pool("a100", devices=4)
    h100 = world.pool("h100", devices=4, resourceName=f"{a100}.example.org/device")
    blue = world.allocate("blue", {a100: 1, h100: 2})
    world.await_phase(blue, "Refused")
    assert world.await_reason(blue, "Stalled", "ResourceNameCollision")["message"] == (
        f"{a100} and {h100} are both {a100}.example.org/device, which one namespace cannot tell apart; "
        "give them to two namespaces under spec.namespaces"
    )
    shares = [{a100: 1}, {h100: 2}]
    names = [world.name("blue-train"), world.name("blue-serve")]
    world.edit(blue, namespaces=[{"name": n, "accelerators": s} for n, s in zip(names, shares, strict=True)])
    world.await_grant(blue, {a100: 1, h100: 2})
    assert [world.limit(name, a100) for name in names] == [1, 2]


def test_an_unknown_pool_refuses_until_it_appears(world: World) -> None:
    """GitOps applies things in any order: what was refused heals by itself."""
    blue = world.allocate("blue", {world.name("gpu"): 4}, {world.name("disk"): "1Ti"})
    world.await_phase(blue, "Refused")
    reason = world.await_reason(blue, "Stalled", "PoolNotFound")
    assert reason["message"] == f"there is no AcceleratorPool {world.name('gpu')}"
    pool = world.pool(devices=8)
    world.await_status(
        blue,
        lambda s: condition(s, "Stalled")["message"] == f"there is no StoragePool {world.name('disk')}",
        "is told of the second pool",
    )
    disk = world.storage_pool()
    world.await_grant(blue, {pool: 4})
    assert world.status(blue)["grant"]["storage"] == {disk: "1Ti"}


def test_a_request_beyond_a_pool_is_granted_when_the_pool_grows(world: World) -> None:
    """A new node is all that it takes."""
    pool = world.pool(devices=8)
    blue = world.allocate("blue", {pool: 12})
    world.await_phase(blue, "Refused")
    world.nodes(pool, "second")
    world.await_grant(blue, {pool: 12})


def test_a_pool_without_nodes_makes_wait(world: World) -> None:
    """Before the first node nothing is known of what the pool could give: that is no reason to refuse."""
    pool = world.declare_pool()
    blue = world.allocate("blue", {pool: 4})
    status = world.await_phase(blue, "Waiting")
    assert condition(status, "Admitted")["message"] == f"needs 4 of {pool}, no node matches; {NO_DATE}"
    eventually(lambda: condition(world.pool_status(pool), "Ready")["reason"] == "NoNodesMatch", "the pool says so too")
    world.nodes(pool)
    world.await_phase(blue, "Active")


def test_storage_is_granted_to_the_byte(world: World) -> None:
    """Sizes are whole bytes: what is one byte too much waits."""
    disk = world.storage_pool(capacity="10Ti")
    world.active("blue", storage={disk: "4Ti"})
    green = world.allocate("green", storage={disk: str(6 * 2**40 + 1)})
    status = world.await_phase(green, "Waiting")
    assert status["queue"]["blockedBy"] == [{"pool": disk, "size": "1"}]
    assert condition(status, "Admitted")["message"] == (
        f"needs {6 * 2**40 + 1} of {disk}, 6Ti available; {NO_DATE}; 6Ti could start now"
    )
    world.edit(green, storage=[{"pool": disk, "size": "6Ti"}])
    world.await_phase(green, "Active")


def test_one_that_asks_for_compute_alone_is_granted(world: World) -> None:
    """No pool is needed for cpu and memory, and an empty grant is a grant."""
    blue = world.active("blue", compute={"cpu": "4", "memory": "8Gi"})
    status = world.status(blue)
    assert status["grant"] == {"accelerators": {}, "storage": {}}
    assert condition(status, "Admitted")["message"] == "compute only"
    hard = world.quota(blue)["status"]["hard"]
    assert (hard["requests.cpu"], hard["requests.memory"]) == ("4", "8Gi")
