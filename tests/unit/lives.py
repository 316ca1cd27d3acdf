"""An allocation at each turn of its life, and the status that the operator writes of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bitgoeul.desired.allocation_status import Place, Progress, build_allocation_status
from bitgoeul.planning.allocations import read_allocation
from tests.unit.builders import (
    GPU,
    NOW,
    Manifest,
    hour,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_nodes,
    make_record,
    plan_of,
)

NOW_HOUR = 24  # of the builders' time


def ahead(hours: int) -> str:
    """A moment so many hours ahead."""
    return hour(NOW_HOUR + hours)


def recorded(start: int, end: int | None = None, **said: Any) -> Manifest:
    """What status says of time, in hours from now."""
    return make_record(NOW_HOUR + start, None if end is None else NOW_HOUR + end, **said)


POOLS = [make_accelerator_pool(), *make_nodes(2)]
IN_FORCE = Progress(ready=True, namespaces={"blue": True}, places={"blue": Place("uid", {})})
GRANT = {"accelerators": {"a100": 8}, "storage": {}}


def status_of(objects: list[Manifest], progress: Progress = IN_FORCE, now: datetime = NOW) -> Manifest:
    """What the status of ``blue`` becomes."""
    plan = plan_of([*POOLS, *objects], now)
    (blue,) = (obj for obj in objects if obj["kind"] == "TenantAllocation" and obj["metadata"]["name"] == "blue")
    allocation = read_allocation(blue)
    decision = plan.decisions["blue"]
    return build_allocation_status(allocation, decision, allocation.granted, {}, progress, blue["status"], now)


def holding(record: Manifest, **spec: Any) -> list[Manifest]:
    """Blue holds all 16 devices of its namespace."""
    return [
        make_allocation("blue", {"a100": 8}, grant=GRANT, status=record, **spec),
        *make_held("blue", {GPU: 8}, pools=["a100"]),
    ]


ENDED = {"window": {"end": ahead(-2)}, "expiry": {"grace": "1h"}}
LIVES: dict[str, tuple[list[Manifest], Progress, str]] = {
    "in force": (holding(recorded(-1)), IN_FORCE, "Active"),
    "being provisioned": (holding(recorded(-1)), Progress(), "Pending"),
    "after a notice": (
        holding(recorded(-100, 10), window={"end": ahead(10)}, expiry={"notice": ["24h"]}),
        IN_FORCE,
        "Expiring",
    ),
    "past its end, not yet drained": (holding(recorded(-100, -2), **ENDED), Progress(), "Expiring"),
    "past its end and drained": (holding(recorded(-100, -2), **ENDED), Progress(drained=True), "Expired"),
    "never admitted, and over": (
        [make_allocation("blue", {"a100": 8}, window={"end": ahead(-1)})],
        Progress(),
        "Expired",
    ),
    "over, and its data deleted": (
        [
            make_allocation(
                "blue",
                {"a100": 8},
                grant={},
                status=recorded(-200, -100, admitted=False, a100=8),
                window={"end": ahead(-100)},
                expiry={"grace": "0s", "retention": "0s", "deletionPolicy": "Delete"},
            )
        ],
        Progress(),
        "Reclaimed",
    ),
    "suspended": (holding(recorded(-1), suspend=True), Progress(drained=True), "Suspended"),
    "suspended before it began": ([make_allocation("blue", {"a100": 8}, suspend=True)], Progress(), "Suspended"),
    "promised": (
        [
            make_allocation(
                "blue",
                {"a100": 8},
                status=recorded(5, 9, admitted=False, promised={"a100": 8}),
                window={"start": ahead(5), "end": ahead(9)},
            )
        ],
        Progress(),
        "Scheduled",
    ),
    "asking for what is not there": (
        [
            make_allocation("blue", {"a100": 8}),
            make_allocation("red", {"a100": 16}, grant={"accelerators": {"a100": 16}}),
        ],
        Progress(),
        "Waiting",
    ),
    "asking for what will never be there": ([make_allocation("blue", {"a100": 99})], Progress(), "Refused"),
    "being deleted": ([make_allocation("blue", {"a100": 8}, deleting=True)], Progress(), "Pending"),
}
