"""What pools foresee, and when the clock changes something next. Hours after START; now is hour 24."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.planning.decisions import PoolPlan
from bitgoeul.planning.pools import accelerator
from tests.unit.builders import (
    NO_GRACE,
    Manifest,
    hour,
    in_hours,
    make_accelerator_pool,
    make_allocation,
    make_node,
    make_record,
    plan_of,
    time,
)

A100 = accelerator("a100")
CLUSTER = [make_accelerator_pool(), make_node(devices=8)]


def holder(name: str, devices: int, end: float | None = None, **fields: Any) -> Manifest:
    """One in force since hour 20."""
    window = {"end": hour(end)} if end else {}
    grant = {"accelerators": {"a100": devices}}
    fields.setdefault("expiry", {"grace": "0s", "notice": []})
    return make_allocation(name, {"a100": devices}, grant=grant, window=window, status=make_record(20, end), **fields)


def promised(name: str, devices: int, start: float, end: float | None = None) -> Manifest:
    """One whose start is promised."""
    window = {"start": hour(start)} | ({"end": hour(end)} if end else {})
    record = make_record(start, end, admitted=False, promised={"a100": devices})
    return make_allocation(name, {"a100": devices}, window=window, status=record, expiry=NO_GRACE)


def pool_of(objects: list[Manifest], now: float = 24) -> PoolPlan:
    """What is said of the only pool."""
    return plan_of(objects, time(now)).pools[A100]


def steps(objects: list[Manifest]) -> list[tuple[float | None, int, int, str]]:
    """The calendar in hours."""
    return [(in_hours(e.at), e.available, e.change, e.cause) for e in pool_of(objects).calendar]


# -- the calendar


def test_the_calendar_lists_every_change_that_is_promised() -> None:
    """Ends, promised starts and stages in order, with what is available from then on; forecasts are not in it."""
    stages = [{"name": "s1", "from": hour(0), "devices": 8}, {"name": "s2", "from": hour(50), "devices": 20}]
    pools = [make_accelerator_pool(stages=stages, reserve=1), make_node(devices=8)]
    objects = [
        *pools,
        holder("a", 3, end=30),
        promised("b", 4, 35, 40),
        holder("c", 1),
        make_allocation("w", {"a100": 7}),
    ]
    assert steps(objects) == [
        (30, 6, 3, "a is over (3)"),
        (35, 2, -4, "b starts (4)"),
        (40, 6, 4, "b is over (4)"),
        (50, 18, 12, "stage s2 begins"),
    ]
    assert pool_of(objects).available == 3
    assert pool_of(objects).scheduled == 4


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(24, (10, 2, 2), id="a day ahead everything is still as it is"),
        pytest.param(25, (10, 2, 2), id="what begins at that very moment counts"),
        pytest.param(167, (2, 2, 32), id="a stage counts from its beginning on"),
    ],
)
def test_the_forecast_is_what_the_calendar_says_for_a_moment(now: float, expected: tuple[int, ...]) -> None:
    """After 1, 7 and 30 days; who waits is not reckoned with."""
    stages = [{"name": "s1", "from": hour(0), "devices": 16}, {"name": "s2", "from": hour(887), "devices": 46}]
    objects = [
        make_accelerator_pool(stages=stages),
        make_node("a", devices=8),
        make_node("b", devices=8),
        holder("c", 6),
        promised("d", 8, 50),
        make_allocation("w", {"a100": 11}),
    ]
    assert pool_of(objects, now).forecast == expected


def test_several_changes_at_one_moment_are_one_entry() -> None:
    """Stages first, then the first names, and how many more there are."""
    stages = [{"name": "s1", "from": hour(0), "devices": 8}, {"name": "s2", "from": hour(30), "devices": 9}]
    pools = [make_accelerator_pool(stages=stages), make_node(devices=8)]
    crowd = [holder(f"t{number}", 1, end=30) for number in range(4)]
    assert steps([*pools, *crowd, promised("z", 4, 30)]) == [
        (30, 5, 1, "stage s2 begins, t0 is over (1), t1 is over (1) and 3 more"),
    ]


def test_an_overdue_holder_is_in_no_calendar() -> None:
    """Nobody knows when it gives back."""
    assert steps([*CLUSTER, holder("late", 8, end=22)]) == []


def test_a_calendar_is_short() -> None:
    """The next ten changes."""
    crowd = [holder(f"t{number}", 0 + 1, end=30 + number) for number in range(8)]
    crowd += [promised(f"p{number}", 1, 50 + number) for number in range(8)]
    assert len(steps([*CLUSTER, *crowd])) == 10


# -- stages that slip


def test_a_slip_names_whose_promised_starts_it_hurts() -> None:
    """Since when, how much is missing, and whose; nothing is revoked."""
    stages = [{"name": "s1", "from": hour(0), "devices": 8}, {"name": "s2", "from": hour(60), "devices": 20}]
    pools = [make_accelerator_pool(stages=stages), make_node(devices=8)]
    objects = [*pools, holder("old", 6, end=70), promised("early", 10, 50, 80), promised("late", 8, 90, 95)]
    plan = plan_of(objects)
    found = plan.pools[A100]
    assert (in_hours(found.short_from), found.short_by, found.hurts) == (50, 8, ("early",))
    assert plan.decisions["early"].promised == {A100: 10}


def test_what_fits_is_not_short() -> None:
    """Also with a smaller stage ahead, if all that spans it fits."""
    stages = [{"name": "s1", "from": hour(0), "devices": 8}, {"name": "s2", "from": hour(60), "devices": 4}]
    pools = [make_accelerator_pool(stages=stages), make_node(devices=8)]
    fits = pool_of([*pools, holder("a", 8, end=60), promised("b", 4, 60)])
    assert (fits.short_from, fits.short_by, fits.hurts) == (None, 0, ())
    over = pool_of([*pools, holder("a", 5)])
    assert (in_hours(over.short_from), over.short_by, over.hurts) == (60, 1, ())


# -- the next due moment


def draining(name: str, since: float) -> Manifest:
    """One that has ended at hour 40, keeps its data until hour 52, and is drained since an hour."""
    expiry = {"grace": "3h", "retention": "9h", "deletionPolicy": "Delete"}
    ended = holder(name, 4, end=40, expiry=expiry)
    ended["status"]["drainStartedAt"] = hour(since)
    return ended


@pytest.mark.parametrize(
    ("objects", "now", "due"),
    [
        pytest.param([holder("a", 4)], 24, None, id="nothing ends"),
        pytest.param([holder("a", 4, end=40)], 24, 40, id="an end"),
        pytest.param([holder("a", 4, end=40, expiry={"grace": "0s", "notice": ["5h"]})], 24, 35, id="a notice"),
        pytest.param([holder("a", 4, end=40, expiry={"grace": "3h"})], 40, 43, id="the end of the grace"),
        pytest.param(
            [holder("a", 4, end=40, expiry={"grace": "3h", "workload": "Keep"})],
            40,
            43,
            id="from when on it is overdue",
        ),
        pytest.param(
            [holder("a", 4, end=40, expiry={"grace": "3h", "retention": "9h", "deletionPolicy": "Delete"})],
            43.5,
            43.5 + 1 / 6,
            id="ten minutes after a drain that began late",
        ),
        pytest.param([draining("a", since=43)], 43.5, 52, id="the deletion of data"),
        pytest.param(
            [holder("a", 4, end=40)],
            40,
            40 + 1 / 6,
            id="ten minutes later nobody expects any more that it is given back",
        ),
        pytest.param([promised("a", 4, 33)], 24, 33, id="a promised start"),
        pytest.param([holder("a", 8, end=50), promised("b", 8, 33)], 33, 50, id="a slipped start waits for an end"),
        pytest.param(
            [holder("a", 8), make_allocation("w", {"a100": 1}, window={"end": hour(37)})],
            24,
            37,
            id="the end of one that only waits",
        ),
        pytest.param(
            [holder("a", 8), make_allocation("w", {"a100": 1}, window={"start": hour(37)})],
            24,
            37,
            id="the start that one asks for",
        ),
        pytest.param(
            [holder("a", 4, suspend=True, expiry={"grace": "3h"}, end=40)],
            24,
            24 + 1 / 6,
            id="ten minutes after a suspension",
        ),
        pytest.param([holder("a", 4, end=20)], 24, 24 + 1 / 6, id="over while nobody was there"),
        pytest.param([holder("a", 4, end=40, deleting=True)], 24, 24 + 1 / 6, id="ten minutes after a deletion"),
    ],
)
def test_the_clock_is_asked_for_the_next_moment_that_changes_anything(
    objects: list[Manifest], now: float, due: float | None
) -> None:
    """One timer is enough."""
    assert in_hours(plan_of([*CLUSTER, *objects], time(now)).due) == due


def test_stages_ahead_are_due() -> None:
    """Capacity changes with them."""
    stages = [{"name": "s1", "from": hour(0), "devices": 8}, {"name": "s2", "from": hour(60), "devices": 4}]
    assert in_hours(plan_of([make_accelerator_pool(stages=stages)]).due) == 60


def test_a_forecast_is_due() -> None:
    """Behind a forecast of somebody else nothing but it tells the moment."""
    first = make_allocation("first", {"a100": 8}, created=1, window={"duration": "5h"}, expiry=NO_GRACE)
    second = make_allocation("second", {"a100": 8}, created=2, window={"duration": "5h"}, expiry=NO_GRACE)
    plan = plan_of([*CLUSTER, holder("a", 1, end=30), first, second])
    queue = plan.decisions["second"].queue
    assert queue is not None
    assert (in_hours(plan.due), in_hours(queue.earliest)) == (30, 35)
