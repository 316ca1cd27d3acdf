"""
A data center in which everything that dashboards and alerts show is going on at once.

``gpu`` is full and has stages, petaflops, spares, a cordoned, a broken and an unhealthy node; ``npu`` has lost a node;
``disk`` is full, with volumes of a deleted tenant. What its allocations are in stands in ``Center``.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bitgoeul.api.quantities import format_duration
from bitgoeul.cluster.kinds import NODE, TENANT_ALLOCATION
from tests.cluster.scenario import World, is_true, resource_of
from tests.cluster.waiting import eventually

BROKEN = {"metadata": {"annotations": {"simulate.bitgoeul.dev/not-ready": "broken fan"}}}
STAGES = [
    {"name": "pilot", "from": "2021-02-15T00:00:00Z", "devices": 20},
    {"name": "full", "from": "2124-01-01T00:00:00Z", "devices": 64},
]


class Center(NamedTuple):
    """Names of the pools, and of one allocation for each state."""

    gpu: str  # exhausted: 13 effective, all granted
    npu: str  # overcommitted: 12 granted, 8 there
    disk: str  # exhausted: 6Ti granted, 1Ti retained of 8Ti, less 1Ti reserved
    expiring: str  # 8 gpu, pods on 4; notice given, data goes after the end; 6Ti of disk
    shrinking: str  # asks for 2 gpu, holds 5 because its pods do
    overcommitted: str  # 12 npu
    waiting: str  # 4 gpu, with an earliest start
    patient: str  # 13 gpu, which only the next stage gives
    undated: str  # 4 npu, behind overcommitted, which is open-ended
    scheduled: str  # 4 gpu in 2124
    refused: str  # asks for a pool that is not
    suspended: str
    thirsty: str  # waits for 4Ti of disk


def open_center(world: World) -> Center:
    """Make the center, and wait until all of it is as described."""
    gpu, npu, disk = gpu_pool(world), npu_pool(world), storage_pool(world)
    expiring = expire(world, gpu, disk)
    shrinking = shrink(world, gpu)
    overcommitted = lose_a_node(world, npu)
    waiting = world.allocate("waiting", {gpu: 4}, window={"duration": "24h"}, priority=500)
    patient = world.allocate("patient", {gpu: 13})
    undated = world.allocate("undated", {npu: 4})
    start = {"start": "2124-06-01T00:00:00Z", "duration": "24h"}
    scheduled = world.allocate("scheduled", {gpu: 4}, window=start)
    refused = world.allocate("refused", {world.name("nowhere"): 1})
    suspended = world.allocate("suspended", {gpu: 1}, suspend=True)
    thirsty = world.allocate("thirsty", storage={disk: "4Ti"})
    for name in (waiting, patient):
        world.await_status(name, lambda s: "earliestStart" in s.get("queue", {}), "has an earliest start")
    for name, phase in (
        (expiring, "Expiring"),
        (patient, "Waiting"),
        (undated, "Waiting"),
        (scheduled, "Scheduled"),
        (refused, "Refused"),
        (suspended, "Suspended"),
        (thirsty, "Waiting"),
    ):
        world.await_phase(name, phase)
    for pool in (gpu, npu):
        condition = "Exhausted" if pool == gpu else "Overcommitted"
        eventually(lambda p=pool, c=condition: is_true(world.pool_status(p), c), f"{pool} is {condition}")  # type: ignore[misc]
    eventually(lambda: is_true(world.storage_status(disk), "Exhausted"), f"{disk} is exhausted")
    return Center(
        gpu,
        npu,
        disk,
        expiring,
        shrinking,
        overcommitted,
        waiting,
        patient,
        undated,
        scheduled,
        refused,
        suspended,
        thirsty,
    )


def gpu_pool(world: World) -> str:
    """Four nodes of 8: one is cordoned, one is broken, one has lost 2 devices; 14 are left, 13 without the spare."""
    pool = world.declare_pool(
        reserve=1, petaflopsPerDevice="0.5", vendor="Example", product="X1", region="honam", stages=STAGES
    )
    _, worn, closed, broken = world.nodes(pool, "good", "worn", "closed", "broken")
    fewer = {"status": {"allocatable": {resource_of(pool): "6"}}}
    world.admin.merge(NODE.path(worn, subresource="status"), fewer)
    world.admin.merge(NODE.path(closed), {"spec": {"unschedulable": True}})
    world.admin.merge(NODE.path(broken), BROKEN)
    world.await_effective(pool, 13)
    return pool


def npu_pool(world: World) -> str:
    """Two nodes of 8."""
    pool = world.declare_pool("npu", type="NPU")
    world.nodes(pool, "kept", "lost")
    world.await_effective(pool, 16)
    return pool


def storage_pool(world: World) -> str:
    """8Ti, of which 1Ti is reserved and 1Ti is held by a volume of a deleted tenant; more in the next stage."""
    stages = [
        {"name": "pilot", "from": "2021-02-15T00:00:00Z", "capacity": "8Ti"},
        {"name": "full", "from": "2124-01-01T00:00:00Z", "capacity": "64Ti"},
    ]
    disk = world.storage_pool(capacity="8Ti", reserve="1Ti", stages=stages)
    former = world.active("former", storage={disk: {"size": "2Ti", "claims": [claim("1Ti")]}})
    world.delete(TENANT_ALLOCATION, former)
    world.await_gone(TENANT_ALLOCATION, former)
    eventually(lambda: world.storage_status(disk)["bytes"]["retained"] == 2**40, "the volume is retained")
    return disk


def claim(size: str) -> dict[str, object]:
    return {"name": "data", "size": size, "accessModes": ["ReadWriteMany"]}


def expire(world: World, gpu: str, disk: str) -> str:
    """A tenant with twelve hours to go, a notice of which it has been told, and data that is deleted afterwards."""
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=12)
    name = world.active(
        "expiring",
        {gpu: 8},
        {disk: {"size": "6Ti", "claims": [claim("1Ti")]}},
        window={"end": end.isoformat()},
        expiry={"deletionPolicy": "Delete"},
        organization={"name": "Expiring", "class": "Startup", "sector": "Mobility", "region": "honam"},
        members=[{"kind": "User", "name": f"dain-{world.suffix}", "role": "edit", "clusterRoles": ["view"]}],
        podSecurity={"level": "privileged", "reason": "RDMA needs IPC_LOCK"},
    )
    # A notice counts if it is due after the start: this one is, by less than a second.
    length = end - datetime.fromisoformat(world.status(name)["window"]["start"])
    notice = format_duration(timedelta(seconds=math.ceil(length.total_seconds()) - 1))
    world.edit(name, expiry={"notice": [notice]})
    world.pod(name, "train", gpu, 4)
    world.await_phase(name, "Expiring")
    world.await_status(name, lambda s: s["inUse"]["accelerators"] == {gpu: 4}, "shows what is in use")
    return name


def shrink(world: World, gpu: str) -> str:
    """A tenant that gives back what its pod still holds."""
    name = world.active("shrinking", {gpu: 5})
    world.pod(name, "serve", gpu, 5)
    world.await_status(name, lambda s: s["inUse"]["accelerators"] == {gpu: 5}, "shows what is in use")
    world.ask(name, {gpu: 2})
    world.await_status(name, lambda s: s.get("excess"), "tells what is too much")
    return name


def lose_a_node(world: World, npu: str) -> str:
    """A tenant that was granted more than is left."""
    name = world.active("overcommitted", {npu: 12})
    world.delete(NODE, f"lost-{npu}")
    return name
