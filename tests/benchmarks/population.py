"""
Whom planning is measured with: half of the allocations hold what they ask for, half wait, and nothing is new.

Made by chance, but the same for the same number: 50 accelerator pools of 10 resources, each with 4 stages ahead, and
one storage pool. Those who hold have a namespace and a quota; together they have every device that there is. The
statuses of all are what the operator writes after its first plan, so that every later one decides the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from bitgoeul.api.conditions import Reason
from bitgoeul.desired.allocation_status import Place, Progress, build_allocation_status
from bitgoeul.planning.allocations import Allocation, read_allocation
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import PoolKind
from bitgoeul.planning.snapshot import Observed, build_snapshot
from tests.unit.builders import (
    NOW,
    START,
    Manifest,
    at,
    holdings_of,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_node,
    make_storage_pool,
    observe,
)

POOLS = 50
RESOURCES = tuple(f"example.com/accelerator-{number}" for number in range(10))
STAGES_AHEAD = 4
DEVICES_PER_NODE = 8
STORAGE = "lustre"

# In minutes, as the builders have them.
HOUR, DAY = 60, 24 * 60
PRESENT = (NOW - START) // timedelta(minutes=1)
EARLIER = PRESENT - 400 * DAY

PRIORITIES = (100, 100, 100, 100, 100, 0, 50, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Population:
    """
    Everything that planning looks at.

    Attributes:
        newcomers: One who waits last, and one who needs no device.
        statuses: What stands in the status of each allocation, by its name.
    """

    observed: Observed
    newcomers: tuple[Allocation, Allocation]
    statuses: Mapping[str, Mapping[str, Any]]


def build_population(count: int) -> Population:
    """So many allocations at rest."""
    chance = Random(count)
    held = [build_holder(f"held-{number:05}", chance) for number in range(count // 2)]
    waiting = [build_asker(f"asks-{number:05}", chance) for number in range(count - count // 2)]
    around = [*build_pools(held), *(obj for holder in held for obj in build_rooms(holder))]
    first = observe([*around, *held, *waiting])
    plan = make_plan(build_snapshot(first, NOW))
    settled = [
        obj | {"status": write_status(obj, allocation, plan.decisions[allocation.name])}
        for obj, allocation in zip([*held, *waiting], first.allocations, strict=True)
    ]
    asks = make_allocation("newcomer", {pool_name(0): DEVICES_PER_NODE}, created=PRESENT, priority=0)
    computes = make_allocation("newcomer", created=PRESENT)
    statuses = {obj["metadata"]["name"]: obj["status"] for obj in settled}
    return Population(observe([*around, *settled]), (read_allocation(asks), read_allocation(computes)), statuses)


def build_holder(name: str, chance: Random) -> Manifest:
    """One that began some time ago; of four, one has no end, one a fixed end, and two a length."""
    created = PRESENT - chance.randrange(1, 90 * DAY)
    end = PRESENT + chance.randrange(1, 720) * DAY
    hours = (PRESENT - created) // HOUR + chance.randrange(1, 720 * 24)
    window, until = chance.choice(
        [
            ({}, None),
            ({"end": at(end)}, end),
            ({"duration": f"{hours}h"}, created + hours * HOUR),
            ({"duration": f"{hours}h"}, created + hours * HOUR),
        ]
    )
    allocation = make_allocation(name, created=created, **some_ask(chance), window=window)
    allocation["status"] = {
        "grant": holdings_of(read_allocation(allocation).ask),
        "window": {"start": at(created)} | ({"end": at(until)} if until is not None else {}),
        "conditions": [{"type": "Admitted", "status": "True"}],
    }
    return allocation


def build_asker(name: str, chance: Random) -> Manifest:
    """One that asks since some days; of eight, two have no end, one a fixed end, three a length, two a start, too."""
    end = PRESENT + chance.randrange(30, 900) * DAY
    length = {"duration": f"{chance.randrange(24, 180 * 24)}h"}
    start = {"start": at(PRESENT + chance.randrange(1, 600) * DAY)}
    windows: list[dict[str, str]] = [{}, {}, {"end": at(end)}, length, length, length, start | length, start | length]
    created = PRESENT - chance.randrange(1, 30 * DAY)
    return make_allocation(name, created=created, **some_ask(chance), window=chance.choice(windows))


def some_ask(chance: Random) -> dict[str, Any]:
    """Devices of one to three pools, for every fifth with storage, half of which is deleted a month after the end."""
    # A namespace can have one pool of each resource.
    resources = chance.sample(range(len(RESOURCES)), chance.randint(1, 3))
    pools = [chance.randrange(resource, POOLS, len(RESOURCES)) for resource in resources]
    ask: dict[str, Any] = {
        "accelerators": {pool_name(pool): chance.randint(1, DEVICES_PER_NODE) for pool in pools},
        "priority": chance.choice(PRIORITIES),
    }
    if chance.random() < 0.2:
        ask["storage"] = {STORAGE: f"{chance.randint(1, 50)}Ti"}
        deletes = {"deletionPolicy": "Delete", "retention": "720h"}
        ask["expiry"] = {"grace": "24h"} | (deletes if chance.random() < 0.5 else {})
    return ask


def build_pools(held: list[Manifest]) -> list[Manifest]:
    """Pools that have just what is held, each stage a tenth more; and storage for twice as much."""
    devices = dict.fromkeys(range(POOLS), 0)
    names = {pool_name(pool): pool for pool in devices}
    size = 0
    for allocation in map(read_allocation, held):
        for key, amount in allocation.ask.items():
            if key.kind is PoolKind.ACCELERATORS:
                devices[names[key.name]] += amount
            else:
                size += amount
    objects = [make_storage_pool(STORAGE, str(2 * size or 1), created=EARLIER)]
    for pool, installed in devices.items():
        begins = [EARLIER, *(PRESENT + (number * 150 + pool) * DAY for number in range(1, STAGES_AHEAD + 1))]
        stages = [
            {"name": f"stage-{number}", "from": at(begin), "devices": installed + number * installed // 10}
            for number, begin in enumerate(begins)
        ]
        resource = RESOURCES[pool % len(RESOURCES)]
        objects.append(make_accelerator_pool(pool_name(pool), resource, created=EARLIER, stages=stages))
        for number, first in enumerate(range(0, installed, DEVICES_PER_NODE)):
            there = min(DEVICES_PER_NODE, installed - first)
            objects.append(make_node(f"{pool_name(pool)}-{number}", pool_name(pool), there, resource))
    return objects


def pool_name(pool: int) -> str:
    return f"pool-{pool:02}"


def build_rooms(holder: Manifest) -> list[Manifest]:
    """The namespace of a holder with its quota, which names every resource and counts all that is granted as used."""
    allocation = read_allocation(holder)
    granted = {
        RESOURCES[int(key.name.removeprefix("pool-")) % len(RESOURCES)]
        if key.kind is PoolKind.ACCELERATORS
        else key.name: amount
        for key, amount in allocation.ask.items()
    }
    labels = [key.name for key in allocation.ask if key.kind is PoolKind.ACCELERATORS]
    closed = dict.fromkeys((*RESOURCES, STORAGE), 0)
    return make_held(allocation.name, closed | granted, granted, pools=labels)


def write_status(obj: Manifest, allocation: Allocation, decision: Decision) -> dict[str, Any]:
    """The status as the operator writes it when all is enforced."""
    progress = Progress()
    if decision.admitted:
        name = allocation.name
        places = {name: Place(f"uid-of-namespace-{name}", allocation.ask)}
        progress = Progress(True, Reason.ENFORCED, "", {name: True}, places)
    return build_allocation_status(allocation, decision, decision.grant, decision.grant, progress, obj["status"], NOW)
