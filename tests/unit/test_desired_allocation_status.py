"""The one word for people, and the conditions for programs, at each turn of an allocation's life."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.desired.allocation_status import Place, Progress, build_allocation_status, news
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


def status_of(objects: list[Manifest], progress: Progress = IN_FORCE) -> Manifest:
    """What the status of ``blue`` becomes."""
    plan = plan_of([*POOLS, *objects])
    (blue,) = (obj for obj in objects if obj["kind"] == "TenantAllocation" and obj["metadata"]["name"] == "blue")
    allocation = read_allocation(blue)
    decision = plan.decisions["blue"]
    return build_allocation_status(allocation, decision, allocation.granted, {}, progress, blue["status"], NOW)


def said(status: Manifest) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


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


@pytest.mark.parametrize(
    ("objects", "progress", "phase"), [pytest.param(*life, id=name) for name, life in LIVES.items()]
)
def test_each_turn_of_life_has_its_phase(objects: list[Manifest], progress: Progress, phase: str) -> None:
    """And one of Ready, Reconciling and Stalled tells programs the same."""
    status = status_of(objects, progress)
    assert status["phase"] == phase
    conditions = said(status)
    holds = phase in ("Active", "Expiring") and progress.ready
    assert conditions["Ready"][0] == str(holds)
    assert conditions["Stalled"][0] == str(phase == "Refused")
    assert conditions["Reconciling"][0] == str(phase in ("Pending", "Waiting"))


def test_the_window_stands_in_absolute_times() -> None:
    """With what follows the end; what does not come is left out."""
    window = {"end": ahead(48)}
    kept = status_of(holding(recorded(-1, 48), window=window, expiry={"grace": "2h"}))
    assert kept["window"] == {"start": ahead(-1), "end": ahead(48), "drainAt": ahead(50)}
    gone = {"grace": "0s", "workload": "Keep", "deletionPolicy": "Delete", "retention": "10h"}
    deleted = status_of(holding(recorded(-1, 48), window=window, expiry=gone))
    assert deleted["window"] == {"start": ahead(-1), "end": ahead(48), "dataDeleteAt": ahead(58)}
    assert "end" not in status_of(holding(recorded(-1)))["window"]


def test_a_suspension_that_is_over_is_told() -> None:
    """The condition stays, as False, so that a wait for it ends."""
    record = recorded(-1, suspended=True, admitted=True)
    assert said(status_of(holding(record)))["Suspended"] == ("False", "NotSuspended")
    assert "Suspended" not in said(status_of(holding({"window": {"start": ahead(-1)}})))


def test_each_notice_is_news() -> None:
    """The phase is the same as before, the notice is another one."""
    window, notices = {"end": ahead(10)}, ["24h", "12h"]
    record = recorded(-100, 10)
    first = status_of(holding(record, window=window, expiry={"notice": notices[:1]}))
    second = status_of(holding(record, window=window, expiry={"notice": notices}))
    told = news(first, second)
    assert told is not None
    assert told[0] == "NoticeGiven"
    assert news(second, second) is None
