"""A pool on hold grants nothing new; one that is drained suspends who holds it, with grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bitgoeul.cluster.kinds import ACCELERATOR_POOL
from tests.cluster.scenario import World, condition, said


def stop(world: World, pool: str, policy: str) -> None:
    """Edit the pool's stopPolicy."""
    world.admin.merge(ACCELERATOR_POOL.path(pool), {"spec": {"stopPolicy": policy}})


def test_hold_admits_nobody_and_takes_from_nobody(world: World) -> None:
    """Who asks is told that the pool is on hold, and has it when that is over; a promised start waits as well."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 2})
    start = (datetime.now(UTC) + timedelta(seconds=12)).isoformat()
    red = world.allocate("red", {pool: 2}, window={"start": start, "duration": "1h"})
    world.await_phase(red, "Scheduled")
    stop(world, pool, "Hold")
    green = world.allocate("green", {pool: 2})
    status = world.await_phase(green, "Pending")
    assert said(status, "Admitted", "Reconciling", "Stalled") == {
        "Admitted": ("False", "PoolOnHold"),
        "Reconciling": ("True", "PoolOnHold"),
        "Stalled": ("False", "PoolOnHold"),
    }
    assert pool in condition(status, "Admitted")["message"]
    held = world.await_reason(red, "Admitted", "PoolOnHold")
    assert held["status"] == "False"
    assert world.status(red)["promised"]["accelerators"] == {pool: 2}
    world.ask(blue, {pool: 4})
    growth = world.await_reason(blue, "Reconciling", "PoolOnHold")
    assert growth["status"] == "True"
    assert world.status(blue)["phase"] == "Active"
    assert world.limit(blue, pool) == 2
    stop(world, pool, "None")
    world.await_phase(green, "Active")
    world.await_phase(red, "Active")
    world.await_grant(blue, {pool: 4})


def test_drain_suspends_with_grace_and_lets_go_on_afterwards(world: World) -> None:
    """The whole allocation is drained, also what it holds of other pools; others are left alone."""
    pool, other = world.pool(devices=8), world.pool("npu", devices=4)
    grace = timedelta(seconds=10)
    blue = world.active("blue", {pool: 4, other: 2}, expiry={"grace": "10s"})
    green = world.active("green", {other: 2})
    world.pod(blue, "train", other, 2)
    stopped_at = datetime.now(UTC)
    stop(world, pool, "HoldAndDrain")
    status = world.await_phase(blue, "Suspended")
    told_at = datetime.now(UTC)
    assert said(status, "Admitted", "Suspended") == {
        "Admitted": ("False", "PoolOnHold"),
        "Suspended": ("True", "PoolOnHold"),
    }
    due = datetime.fromisoformat(status["window"]["drainAt"])
    assert stopped_at - timedelta(milliseconds=1) <= due - grace <= told_at
    world.await_limit(blue, other, 0)
    assert world.pods(blue) == {"train": False}
    world.await_status(blue, lambda s: s["grant"]["accelerators"] == {}, "has given all back")
    assert datetime.now(UTC) >= due
    assert world.pods(blue) == {}
    assert world.status(green)["phase"] == "Active"
    stop(world, pool, "None")
    world.await_grant(blue, {pool: 4, other: 2})
