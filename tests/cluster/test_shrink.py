"""Asking for less: new work is blocked at once, nobody is killed, and others get what is really free."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bitgoeul.cluster.kinds import POD
from tests.cluster.scenario import World, condition, said
from tests.cluster.waiting import eventually

HOLD = "example.org/hold"


def test_capacity_moves_on_when_it_is_not_used_any_more(world: World) -> None:
    """The quota falls at once; the grant, and the next in line, follow the pods."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8})
    world.pod(blue, "one", pool, 4)
    world.pod(blue, "two", pool, 4)
    green = world.allocate("green", {pool: 4})
    world.await_phase(green, "Waiting")
    world.ask(blue, {pool: 4})
    world.await_limit(blue, pool, 4)
    within = world.await_reason(blue, "WithinGrant", "InUseExceedsGrant")
    assert (within["status"], within["message"]) == ("False", f"4 of {pool} in use beyond what is asked for")
    status = world.status(blue)
    assert status["phase"] == "Active"
    assert status["grant"]["accelerators"] == {pool: 8}
    assert said(status, "Admitted", "Ready", "Reconciling", "Stalled") == {
        "Admitted": ("True", "Granted"),
        "Ready": ("True", "Enforced"),
        "Reconciling": ("True", "Draining"),
        "Stalled": ("False", "Draining"),
    }
    assert condition(status, "Reconciling")["message"] == (f"4 devices of {pool} still in use beyond what is asked for")
    assert world.pods(blue) == {"one": False, "two": False}
    assert world.status(green)["phase"] == "Waiting"

    world.delete(POD, "two", blue)
    settled = world.await_grant(blue, {pool: 4})
    assert said(settled, "WithinGrant") == {"WithinGrant": ("True", "InUseFits")}
    world.await_phase(green, "Active")
    assert world.pods(blue) == {"one": False}


def test_a_pod_in_termination_still_holds_its_devices(world: World) -> None:
    """Quota stops counting it before it is gone."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8})
    world.pod(blue, "stuck", pool, 8, HOLD)
    green = world.allocate("green", {pool: 4})
    world.await_phase(green, "Waiting")
    world.ask(blue, {pool: 4})
    world.await_reason(blue, "WithinGrant", "InUseExceedsGrant")
    world.delete(POD, "stuck", blue)
    eventually(lambda: world.used(blue, pool) == 0, "the quota does not count the dying pod any more")
    world.await_status(blue, lambda s: s["inUse"]["accelerators"] == {pool: 8}, "shows what the pod still holds")
    assert said(world.status(blue), "WithinGrant") == {"WithinGrant": ("False", "InUseExceedsGrant")}
    assert world.grant(blue) == {pool: 8}
    assert world.status(green)["phase"] == "Waiting"
    world.release(blue, "stuck")
    world.await_grant(blue, {pool: 4})
    world.await_phase(green, "Active")


def test_what_is_not_in_use_is_given_back_at_once(world: World) -> None:
    """Without pods there is nothing to wait for."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8})
    green = world.allocate("green", {pool: 4})
    world.await_phase(green, "Waiting")
    world.ask(blue, {pool: 4})
    world.await_grant(blue, {pool: 4})
    world.await_limit(blue, pool, 4)
    world.await_phase(green, "Active")


def test_a_pool_that_is_no_longer_asked_for_is_given_back(world: World) -> None:
    """The last device of a pool goes like any other, and its label with it."""
    pool, other = world.pool("gpu"), world.pool("npu")
    blue = world.active("blue", {pool: 2, other: 2})
    world.ask(blue, {other: 2})
    world.await_grant(blue, {other: 2})
    world.await_limit(blue, pool, 0)
    world.await_devices(pool, granted=0)


def test_a_shrink_that_is_taken_back_leaves_everything_as_it_was(world: World) -> None:
    """While the excess is in use it is still the tenant's own."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8})
    world.pod(blue, "busy", pool, 8)
    green = world.allocate("green", {pool: 4})
    world.ask(blue, {pool: 4})
    world.await_reason(blue, "WithinGrant", "InUseExceedsGrant")
    world.ask(blue, {pool: 8})
    world.await_grant(blue, {pool: 8})
    world.await_limit(blue, pool, 8)
    assert world.status(green)["phase"] == "Waiting"


def test_storage_falls_to_what_claims_hold(world: World) -> None:
    """Claims are never deleted by an edit; a size below them is refused when it is written."""
    disk = world.storage_pool(capacity="10Ti")
    blue = world.active("blue", storage={disk: "10Ti"})
    green = world.allocate("green", storage={disk: "4Ti"})
    world.await_phase(green, "Waiting")
    world.edit(blue, storage=[{"pool": disk, "size": "6Ti"}])
    world.await_status(blue, lambda s: s["grant"]["storage"] == {disk: "6Ti"}, "gives 4Ti back")
    world.await_phase(green, "Active")


def test_after_the_grace_the_youngest_pods_go(world: World) -> None:
    """What is too much is told at once, with the moment at which it is taken; then just as much goes as needed."""
    pool = world.pool(devices=8)
    grace = timedelta(seconds=10)
    blue = world.active("blue", {pool: 8}, expiry={"grace": "10s"})
    world.pod(blue, "old", pool, 4)
    world.await_younger(POD, "old", blue)
    world.pod(blue, "new", pool, 2)
    world.pod(blue, "plain")
    green = world.allocate("green", {pool: 4})
    world.await_phase(green, "Waiting")
    asked_at = datetime.now(UTC)
    world.ask(blue, {pool: 4})
    status = world.await_status(blue, lambda s: s.get("excess"), "tells what is too much")
    told_at = datetime.now(UTC)
    assert status["excess"]["accelerators"] == {pool: 2}
    due = datetime.fromisoformat(status["excessDrainAt"])
    assert asked_at - timedelta(milliseconds=1) <= due - grace <= told_at
    settled = world.await_grant(blue, {pool: 4})
    assert datetime.now(UTC) >= due
    assert world.pods(blue) == {"old": False, "plain": False}
    assert "excess" not in settled
    assert "excessDrainAt" not in settled
    world.await_phase(green, "Active")


def test_with_workload_keep_nobody_is_evicted(world: World) -> None:
    """What is too much goes when the tenant ends it; then the next in line has it."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, expiry={"grace": "0s", "workload": "Keep"})
    world.pod(blue, "old", pool, 4)
    world.pod(blue, "new", pool, 4)
    world.ask(blue, {pool: 4})
    status = world.await_status(blue, lambda s: s.get("excess"), "tells what is too much")
    assert "excessDrainAt" not in status
    world.await_limit(blue, pool, 4)
    assert world.pods(blue) == {"old": False, "new": False}
    world.delete(POD, "old", blue)
    world.await_grant(blue, {pool: 4})
