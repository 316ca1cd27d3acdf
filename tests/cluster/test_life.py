"""
The life of a grant with dates: promised, begun, extended, suspended, ended, drained, and its data deleted.

Ends are far away until everything before them has been looked at, and are then moved near: so it does not matter how
long a busy machine takes.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from bitgoeul.cluster.kinds import NAMESPACE, TENANT_ALLOCATION
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import History
from tests.cluster.scenario import World, condition, is_true, said
from tests.cluster.waiting import eventually

MEMBERS = [{"kind": "Group", "name": "blue", "role": "admin"}]
HOLD = "example.org/hold"


def soon(seconds: float) -> str:
    """A moment so many seconds ahead, as people write it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def lasting(since: datetime, ahead: int) -> tuple[str, datetime]:
    """A length in whole seconds from a moment until some seconds ahead, and when that is."""
    seconds = math.ceil((datetime.now(UTC) - since).total_seconds()) + ahead
    return f"{seconds}s", since + timedelta(seconds=seconds)


def test_a_start_ahead_is_promised_and_kept(world: World) -> None:
    """Scheduled holds its capacity against those who would collide with it, and not before."""
    pool = world.pool(devices=8)
    start, end = soon(20), soon(600)
    blue = world.allocate("blue", {pool: 8}, window={"start": start, "end": end})
    status = world.await_phase(blue, "Scheduled")
    assert said(status, "Admitted", "Ready", "Reconciling", "Stalled") == {
        "Admitted": ("False", "WindowNotOpen"),
        "Ready": ("False", "WindowNotOpen"),
        "Reconciling": ("False", "WindowNotOpen"),
        "Stalled": ("False", "WindowNotOpen"),
    }
    assert moment(status["window"]["start"]) == moment(start)
    assert status["promised"]["accelerators"] == {pool: 8}
    assert "grant" not in status
    assert "queue" not in status
    open_ended = world.allocate("green", {pool: 1})
    short = world.active("red", {pool: 1}, window={"end": soon(15)}, expiry={"grace": "0s"})
    green = world.await_phase(open_ended, "Waiting")
    assert condition(green, "Admitted")["reason"] == "WaitingForCapacity"
    world.await_phase(short, "Expired")
    status = world.await_phase(blue, "Active")
    assert status["grant"]["accelerators"] == {pool: 8}
    assert "promised" not in status
    assert moment(status["window"]["start"]) == moment(start)
    assert world.limit(blue, pool) == 8


def test_a_waiting_tenant_is_told_its_earliest_start_and_starts_then(world: World) -> None:
    """The end of the holder and its grace, to the second; it is the event that starts the next one."""
    pool = world.pool(devices=8)
    end = soon(600)
    blue = world.active("blue", {pool: 8}, window={"end": end}, expiry={"grace": "2s"})
    green = world.allocate("green", {pool: 4})
    status = world.await_status(green, lambda s: "earliestStart" in s.get("queue", {}), "knows its earliest start")
    assert moment(status["queue"]["earliestStart"]) == moment(end) + timedelta(seconds=2)
    assert status["queue"]["position"] == 1
    assert status["phase"] == "Waiting"
    end = soon(2)
    world.edit(blue, window={"end": end})
    started = world.await_phase(green, "Active")["window"]["start"]
    assert moment(started) >= moment(end)


def test_a_life_ends_in_order(world: World) -> None:
    """Notice, end, grace, eviction, data kept, data deleted: each at its time, each told."""
    pool, disk = world.pool(devices=8), world.storage_pool()
    storage = {disk: {"size": "10Ti", "claims": [{"name": "data", "size": "1Ti", "accessModes": ["ReadWriteMany"]}]}}
    blue = world.active(
        "blue",
        {pool: 8},
        storage,
        members=MEMBERS,
        window={"duration": "1h"},
        expiry={"notice": [], "grace": "10m", "retention": "720h", "deletionPolicy": "Delete"},
    )
    world.pod(blue, "train", pool, 4)
    window = world.status(blue)["window"]
    assert moment(window["drainAt"]) - moment(window["end"]) == timedelta(minutes=10)
    assert moment(window["dataDeleteAt"]) - moment(window["drainAt"]) == timedelta(hours=720)

    notice = int((moment(window["end"]) - datetime.now(UTC)).total_seconds()) - 2
    world.edit(blue, expiry={"notice": [f"{notice}s"]})
    status = world.await_phase(blue, "Expiring")
    assert datetime.now(UTC) >= moment(window["end"]) - timedelta(seconds=notice)
    assert said(status, "Admitted", "Ready", "Expiring") == {
        "Admitted": ("True", "Granted"),
        "Ready": ("True", "Enforced"),
        "Expiring": ("True", "NoticeGiven"),
    }
    end = soon(2)
    world.edit(blue, window={"duration": None, "end": end})
    world.await_limit(blue, pool, 0)
    assert datetime.now(UTC) >= moment(end)
    world.await_reason(blue, "Admitted", "WindowPassed")
    assert world.pods(blue) == {"train": False}
    assert world.bindings(blue) == {"bitgoeul:admin": ["blue"]}
    grace, drained_at = lasting(moment(end), 3)
    world.edit(blue, expiry={"grace": grace})
    status = world.await_phase(blue, "Expired")
    assert datetime.now(UTC) >= drained_at
    assert world.pods(blue) == {}
    assert status["grant"] == {"accelerators": {}, "storage": {disk: "1Ti"}}
    assert world.bindings(blue) == {"bitgoeul:view": ["blue"]}
    assert said(status, "Expiring", "Reconciling", "Stalled") == {
        "Expiring": ("False", "WindowEnded"),
        "Reconciling": ("False", "WindowPassed"),
        "Stalled": ("False", "WindowPassed"),
    }
    retention, deleted_at = lasting(drained_at, 3)
    world.edit(blue, expiry={"retention": retention})
    status = world.await_phase(blue, "Reclaimed")
    assert datetime.now(UTC) >= deleted_at
    world.await_gone(NAMESPACE, blue)
    assert "grant" not in status
    told = ["NoticeGiven", "WindowPassed", "WindowPassed", "DataDeleted"]  # the end, and when all is drained

    def all_told() -> bool:
        found = world.events(blue)
        assert [reason for _, reason, _ in found if reason in told] == told, found
        return True

    eventually(all_told, "each turn of its life is an Event")
    world.delete(TENANT_ALLOCATION, blue)
    world.await_gone(TENANT_ALLOCATION, blue)


def test_a_new_pool_tells_nothing_of_what_is_over(world: World, control_plane: ControlPlane) -> None:
    """Each quota gets a limit for it, also that of one that is Expired: no other phase meanwhile, and no Event."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, window={"end": soon(600)}, expiry={"grace": "0s"})
    world.edit(blue, window={"end": soon(1)})
    world.await_phase(blue, "Expired")
    with History(control_plane, TENANT_ALLOCATION.path()) as history:
        others = [world.pool(f"other-{number}", devices=1) for number in range(3)]
        for other in others:
            world.await_limit(blue, other, 0)
        world.await_phase(world.allocate("green", {pool: 8}), "Active")  # a pass later
    phases = {change.obj["status"]["phase"] for change in history.changes() if change.name == blue}
    assert phases <= {"Expired"}
    # At the end, and when all was drained, if that took a pass of its own.
    assert len([reason for _, reason, _ in world.events(blue) if reason == "WindowPassed"]) <= 2


def test_data_is_kept_where_the_policy_does_not_say_delete(world: World) -> None:
    """After the end only what claims hold stays charged; a later end takes it up again."""
    pool, disk = world.pool(devices=8), world.storage_pool(capacity="12Ti")
    storage = {disk: {"size": "10Ti", "claims": [{"name": "data", "size": "1Ti", "accessModes": ["ReadWriteMany"]}]}}
    blue = world.active("blue", {pool: 8}, storage, members=MEMBERS, window={"end": soon(600)}, expiry={"grace": "0s"})
    world.edit(blue, window={"end": soon(1)})
    status = world.await_phase(blue, "Expired")
    assert "dataDeleteAt" not in status["window"]
    assert status["grant"] == {"accelerators": {}, "storage": {disk: "1Ti"}}
    assert world.find(NAMESPACE, blue) is not None
    green = world.active("green", {pool: 8}, {disk: "11Ti"}, window={"end": soon(600)}, expiry={"grace": "0s"})
    world.edit(blue, window={"end": soon(3600)})
    world.await_reason(blue, "Admitted", "WaitingForCapacity")
    assert world.status(blue)["phase"] == "Waiting"
    world.edit(blue, storage=[{"pool": disk, "size": "1Ti", "claims": storage[disk]["claims"]}])
    world.edit(green, window={"end": soon(1)})
    status = world.await_phase(blue, "Active")
    assert status["grant"] == {"accelerators": {pool: 8}, "storage": {disk: "1Ti"}}
    assert world.bindings(blue) == {"bitgoeul:admin": ["blue"]}


def test_a_later_end_in_the_grace_goes_on_at_once(world: World) -> None:
    """What still runs goes on, new pods are admitted again, and members are as they were."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, members=MEMBERS, window={"end": soon(600)}, expiry={"grace": "10m"})
    world.pod(blue, "train", pool, 4)
    world.edit(blue, window={"end": soon(1)})
    world.await_reason(blue, "Admitted", "WindowPassed")
    world.await_limit(blue, pool, 0)
    end = soon(3600)
    world.edit(blue, window={"end": end})
    status = world.await_phase(blue, "Active")
    assert moment(status["window"]["end"]) == moment(end)
    world.await_limit(blue, pool, 8)
    world.pod(blue, "more", pool, 4)
    assert world.pods(blue) == {"train": False, "more": False}
    assert world.bindings(blue) == {"bitgoeul:admin": ["blue"]}


def test_the_end_of_a_suspended_one_gives_nothing_back(world: World) -> None:
    """Who may only look may only look until the end and after it, and no grace begins for pods that were kept."""
    pool = world.pool(devices=8)
    blue = world.active(
        "blue", {pool: 8}, members=MEMBERS, window={"end": soon(600)}, expiry={"grace": "10m", "workload": "Keep"}
    )
    world.edit(blue, suspend=True)
    world.await_phase(blue, "Suspended")
    eventually(lambda: world.bindings(blue) == {"bitgoeul:view": ["blue"]}, "members may look")
    world.edit(blue, window={"end": soon(1)})
    status = world.await_phase(blue, "Expired")
    assert said(status, "Suspended") == {"Suspended": ("True", "Suspended")}
    assert world.bindings(blue) == {"bitgoeul:view": ["blue"]}
    assert world.limit(blue, pool) == 0


def test_an_extension_that_fits_is_given_and_one_that_does_not_is_explained(world: World) -> None:
    """The holder keeps what it has until its end; what others were promised moves for nobody."""
    pool = world.pool(devices=8)
    first, second = soon(600), soon(3600)
    blue = world.active("blue", {pool: 6}, window={"end": first}, expiry={"grace": "0s"})
    world.edit(blue, window={"end": second})
    status = world.await_status(blue, lambda s: moment(s["window"]["end"]) == moment(second), "is extended")
    assert status["phase"] == "Active"
    assert not is_true(status, "Reconciling")
    world.edit(blue, window={"end": first})
    world.await_status(blue, lambda s: moment(s["window"]["end"]) == moment(first), "is shortened")

    green = world.allocate("green", {pool: 8}, window={"start": soon(1200), "duration": "1h"})
    world.await_phase(green, "Scheduled")
    world.edit(blue, window={"end": second})
    status = world.await_status(blue, lambda s: is_true(s, "Reconciling"), "asks on")
    assert status["phase"] == "Active"
    assert moment(status["window"]["end"]) == moment(first)
    assert status["queue"]["position"] == 1
    assert said(status, "Admitted", "Ready", "Reconciling") == {
        "Admitted": ("True", "Granted"),
        "Ready": ("True", "Enforced"),
        "Reconciling": ("True", "WaitingForCapacity"),
    }
    assert "extension to" in condition(status, "Reconciling")["message"]
    assert world.status(green)["phase"] == "Scheduled"
    world.delete(TENANT_ALLOCATION, green)
    world.await_status(blue, lambda s: moment(s["window"]["end"]) == moment(second), "is extended after all")


def test_suspending_gives_capacity_back_and_resuming_asks_again(world: World) -> None:
    """Quota 0, pods gone, data and view access stay; the old place in the queue counts."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, members=MEMBERS, window={"duration": "24h"})
    world.pod(blue, "train", pool, 4)
    green = world.allocate("green", {pool: 8}, window={"duration": "1h"}, expiry={"grace": "0s"})
    world.await_phase(green, "Waiting")
    world.edit(blue, suspend=True)
    status = world.await_phase(blue, "Suspended")
    assert said(status, "Admitted", "Suspended", "Reconciling", "Stalled") == {
        "Admitted": ("False", "Suspended"),
        "Suspended": ("True", "Suspended"),
        "Reconciling": ("False", "Suspended"),
        "Stalled": ("False", "Suspended"),
    }
    world.await_phase(green, "Active")
    assert world.pods(blue) == {}
    assert world.limit(blue, pool) == 0
    eventually(lambda: world.bindings(blue) == {"bitgoeul:view": ["blue"]}, "members may look")
    world.edit(blue, suspend=False)
    status = world.await_phase(blue, "Waiting")
    assert moment(status["queue"]["since"]) == world.created(blue)
    world.edit(green, suspend=True)
    status = world.await_phase(blue, "Active")
    assert said(status, "Suspended") == {"Suspended": ("False", "NotSuspended")}
    assert world.limit(blue, pool) == 8
    eventually(lambda: world.bindings(blue) == {"bitgoeul:admin": ["blue"]}, "members are back")


def test_an_overdue_pod_holds_everybody_up_and_says_so(world: World) -> None:
    """A pod that hangs in termination is counted as held, and nobody is told a start behind it."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, window={"end": soon(600)}, expiry={"grace": "0s"})
    world.pod(blue, "stuck", pool, 8, HOLD)
    green = world.allocate("green", {pool: 8})
    world.edit(blue, window={"end": soon(1)})
    status = world.await_status(
        green, lambda s: "overdue" in condition(s, "Admitted")["message"], "is told who is overdue"
    )
    assert f"overdue: 8 devices of {pool} still held" in condition(status, "Admitted")["message"]
    assert "earliestStart" not in status["queue"]
    world.await_phase(blue, "Expiring")
    world.release(blue, "stuck")
    world.await_phase(green, "Active")
    world.await_phase(blue, "Expired")
