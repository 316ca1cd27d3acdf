"""The queue and the calendar as they are printed: order, shape, and what is left out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bitgoeul.cli.calendar import as_json as calendar_as_json
from bitgoeul.cli.calendar import as_rows, read_calendars
from bitgoeul.cli.queue import as_json, as_row, line_up
from bitgoeul.planning.outlook import CALENDAR_LENGTH
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import (
    NOW,
    Manifest,
    make_accelerator_pool,
    make_allocation,
    make_nodes,
    make_storage_pool,
    snapshot_of,
)

A100, LUSTRE = accelerator("a100"), storage("lustre")
CLUSTER = [make_accelerator_pool(), *make_nodes(2), make_storage_pool()]


def moment(days: float) -> str:
    return (NOW + timedelta(days=days)).isoformat()


def dated(name: str, devices: int, days: float, created: int = 0, end: float | None = None) -> Manifest:
    """An allocation in force for some days; ``end`` is a later one that it asks for."""
    obj = make_allocation(
        name, {"a100": devices}, created=created, grant={"accelerators": {"a100": devices}},
        window={"end": moment(days if end is None else end)}, expiry={"grace": "0s"},
    )  # fmt: skip
    obj["status"] |= {
        "window": {"start": NOW.isoformat(), "end": moment(days)},
        "conditions": [{"type": "Admitted", "status": "True"}],
    }
    return obj


def queue_of(objects: list[Manifest]) -> Any:
    snapshot = snapshot_of(objects)
    return line_up(snapshot, make_plan(snapshot))


def calendars_of(objects: list[Manifest]) -> Any:
    snapshot = snapshot_of(objects)
    return {one.pool: one for one in read_calendars(snapshot, make_plan(snapshot))}, snapshot.now


def test_the_queue_stands_in_the_order_in_which_all_are_looked_at() -> None:
    """Priority, then age, then name; who is refused or suspended, or has all, is not in it."""
    objects = [
        *CLUSTER,
        dated("held", 15, 30),
        make_allocation("young", {"a100": 4}, created=3),
        make_allocation("old", {"a100": 4}, created=1),
        make_allocation("bravo", {"a100": 4}, created=2),
        make_allocation("alpha", {"a100": 4}, created=2),
        make_allocation("urgent", {"a100": 4}, created=9, priority=200),
        make_allocation("refused", {"a100": 99}),
        make_allocation("suspended", {"a100": 4}, suspend=True),
    ]
    assert [waiter.name for waiter in queue_of(objects)] == ["urgent", "old", "alpha", "bravo", "young"]
    assert [waiter.entry.position for waiter in queue_of(objects)] == [1, 2, 3, 4, 5]


def test_an_extension_stands_by_the_age_of_what_it_extends() -> None:
    """So its place in the list agrees with its position."""
    later = make_allocation("later", {"a100": 12}, window={"start": moment(30), "end": moment(60)}, created=5)
    later["status"] = {
        "promised": {"accelerators": {"a100": 12}},
        "window": {"start": moment(30), "end": moment(60)},
    }
    objects = [
        *CLUSTER,
        dated("held", 12, 30, created=1, end=50),
        later,
        make_allocation("new", {"a100": 8}, created=2),
    ]
    assert [(waiter.name, waiter.entry.position) for waiter in queue_of(objects)] == [("held", 1), ("new", 2)]


def test_one_whose_pool_is_on_hold_is_listed_without_a_position() -> None:
    """It waits, but nobody can say behind whom."""
    hold = make_accelerator_pool("npu", "furiosa.ai/npu", stopPolicy="Hold")
    nodes = make_nodes(1, "npu", resource="furiosa.ai/npu")
    [waiter] = queue_of([hold, *nodes, make_allocation("blue", {"npu": 1})])
    assert as_row(waiter) == [
        "-", "blue", "blue (example)", "100", "npu×1", "2021-04-14 15:00Z", "-", "PoolOnHold",
    ]  # fmt: skip


def test_the_queue_has_a_shape_for_programs() -> None:
    """As documented."""
    [waiter] = queue_of([*CLUSTER, dated("held", 12, 30), make_allocation("blue", {"a100": 8}, {"lustre": "1Ti"})])
    found = as_json(waiter)
    assert found.pop("message").startswith("needs 8 of a100, 4 available")
    assert found == {
        "position": 1,
        "name": "blue",
        "organization": "blue (example)",
        "priority": 100,
        "asks": {"accelerators": {"a100": 8}, "storage": {"lustre": "1Ti"}},
        "since": "2021-04-14T15:00:00Z",
        "earliestStart": "2021-05-15T15:00:00Z",
        "blockedBy": {"accelerators": {"a100": 4}, "storage": {}},
        "reason": "WaitingForCapacity",
    }


def test_a_calendar_has_all_steps() -> None:
    """Also those for which status has no room; after each stands what is available from then on."""
    holders = [dated(f"t{number}", 1, number + 1) for number in range(CALENDAR_LENGTH + 3)]
    calendars, now = calendars_of([*CLUSTER, *holders])
    steps = calendars[A100].steps
    assert len(steps) == CALENDAR_LENGTH + 3
    assert [step.available for step in steps] == list(range(4, 17))
    rows = as_rows(calendars[A100], now)
    assert rows[0] == ["a100", "2021-04-15 15:00Z (now)", "", "3", ""]
    assert rows[1] == ["a100", "2021-04-16 15:00Z", "+1", "4", "t0 is over (1)"]


def test_what_begins_at_once_is_in_the_calendar() -> None:
    """It is given by the same plan, though its status does not say so yet."""
    calendars, _ = calendars_of([*CLUSTER, make_allocation("blue", {"a100": 8}, window={"end": moment(5)})])
    assert calendars[A100].available == 8
    assert [step.change for step in calendars[A100].steps] == [8]


def test_storage_is_told_in_quantities() -> None:
    """Short for people, exact for programs."""
    stages = [{"name": "full", "from": moment(10), "capacity": "107000T"}]
    calendars, now = calendars_of([make_storage_pool(stages=stages)])
    assert as_rows(calendars[LUSTRE], now)[1] == [
        "lustre", "2021-04-25 15:00Z", "+94.9Pi", "107P", "stage full begins",
    ]  # fmt: skip
    assert calendar_as_json(calendars[LUSTRE]) == {
        "name": "lustre",
        "kind": "storage",
        "available": "100Ti",
        "steps": [
            {
                "at": "2021-04-25T15:00:00Z",
                "change": "104384813317600Ki",
                "available": "107P",
                "cause": "stage full begins",
            }
        ],
    }
