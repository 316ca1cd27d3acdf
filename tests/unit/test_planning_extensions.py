"""Later and earlier ends, and growth inside a window. Hours after START; now is hour 24."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.life import Course
from bitgoeul.planning.pools import accelerator
from tests.unit.builders import (
    NO_GRACE,
    NOW,
    Manifest,
    decide,
    hour,
    in_hours,
    make_accelerator_pool,
    make_allocation,
    make_node,
    make_queue,
    make_record,
    make_storage_pool,
    plan_of,
    time,
    written_back,
)

A100 = accelerator("a100")
CLUSTER = [make_accelerator_pool(), make_node(devices=8)]


def holder(
    name: str = "blue", devices: int = 4, end: float | None = 30, asks: Manifest | None = None, **fields: Any
) -> Manifest:
    """One in force from hour 20 until ``end``, that asks for the window ``asks``."""
    asks = ({"end": hour(end)} if end else {}) if asks is None else asks
    given: Manifest = {"expiry": NO_GRACE, "grant": {"accelerators": {"a100": fields.pop("has", devices)}}}
    return make_allocation(name, {"a100": devices}, window=asks, status=make_record(20, end), **given | fields)


def promised(devices: int, start: float, end: float | None = None) -> Manifest:
    """``wall``, which is promised a start."""
    window = {"start": hour(start)} | ({"end": hour(end)} if end else {})
    record = make_record(start, end, admitted=False, promised={"a100": devices})
    return make_allocation("wall", {"a100": devices}, window=window, status=record, expiry=NO_GRACE)


def end_of(decision: Decision) -> float | None:
    """The end that is given; 0 stands for none."""
    assert decision.window is not None
    return in_hours(decision.window.end) if decision.window.end < 1 << 60 else 0


# -- later


@pytest.mark.parametrize(
    ("asks", "end"),
    [
        pytest.param({"end": hour(50)}, 50, id="a later end"),
        pytest.param({"duration": "30h"}, 50, id="a longer duration, from the real start"),
        pytest.param({}, 0, id="no end any more"),
    ],
)
def test_an_extension_that_fits_is_given_at_once(asks: Manifest, end: float) -> None:
    """It is held against everybody from then on."""
    objects = [*CLUSTER, holder(asks=asks)]
    plan = plan_of([*objects, make_allocation("next", {"a100": 8}, created=9, expiry=NO_GRACE)])
    blue = plan.decisions["blue"]
    assert (blue.met, blue.reason, blue.queue, end_of(blue)) == (True, Reason.GRANTED, None, end)
    queue = plan.decisions["next"].queue
    assert queue is not None
    assert (in_hours(queue.earliest) or 0) == end


def test_an_extension_that_does_not_fit_stays_asked_for() -> None:
    """What is held stays until its end, and the message says what stands in the way."""
    decision = decide([*CLUSTER, holder(asks={"end": hour(50)}), promised(6, 35)])
    assert (decision.course, decision.met, decision.grant, end_of(decision)) == (Course.OPEN, True, {A100: 4}, 30)
    assert decision.reason is Reason.WAITING_FOR_CAPACITY
    assert decision.message == (
        "extension to 2021-04-16 17:00Z does not fit: needs 4 of a100, 2 available from 2021-04-16 02:00Z on; "
        "it stays asked for"
    )
    assert decision.queue is not None
    assert (decision.queue.position, decision.queue.blocked_by, decision.queue.earliest) == (1, {A100: 2}, None)


def test_the_grace_counts_in_an_extension() -> None:
    """Devices are free only after it."""
    grace = {"grace": "5h"}
    assert end_of(decide([*CLUSTER, holder(asks={"end": hour(35)}, expiry=grace), promised(6, 40)])) == 35
    assert end_of(decide([*CLUSTER, holder(asks={"end": hour(36)}, expiry=grace), promised(6, 40)])) == 30


def test_an_extension_yields_to_waiters_of_higher_priority_alone() -> None:
    """It has the place of its holder: priority, then creation."""
    objects = [*CLUSTER, holder(devices=8, asks={"end": hour(50)})]
    rich = make_allocation("rich", {"a100": 8}, priority=200, created=9, window={"duration": "5h"}, expiry=NO_GRACE)
    late = make_allocation("late", {"a100": 8}, created=9, window={"duration": "5h"}, expiry=NO_GRACE)
    older = make_allocation("older", {"a100": 8}, created=-9, window={"duration": "5h"}, expiry=NO_GRACE)
    assert end_of(decide([*objects, late])) == 50
    for ahead in (rich, older):
        decision = decide([*objects, ahead])
        assert (end_of(decision), decision.reason) == (30, Reason.BLOCKED_BY_EARLIER)
        assert decision.queue is not None
        assert decision.queue.position == 2


def test_an_extension_that_takes_up_no_capacity_for_longer_is_given() -> None:
    """Kept storage is never planned as free, and cpu and memory are nobody's."""
    kept = make_allocation(
        "blue", storage={"lustre": "8Ti"}, grant={"storage": {"lustre": "8Ti"}}, status=make_record(20, 30)
    )
    compute = make_allocation("blue", compute={"cpu": "4"}, status=make_record(20, 30))
    for allocation in (kept, compute):
        decision = decide([make_storage_pool(capacity="8Ti"), allocation])
        assert (decision.met, end_of(decision)) == (True, 0)


def test_what_is_to_be_given_back_is_not_extended_on_the_quiet() -> None:
    """A smaller ask until a later end waits while more is charged than there is room for; then it is given."""
    objects = [*CLUSTER, promised(4, 30)]
    waits = decide([*objects, holder(devices=4, has=8, asks={"end": hour(50)})])
    assert end_of(waits) == 30
    assert end_of(decide([*objects, holder(devices=4, asks={"end": hour(50)})])) == 50


def test_an_end_that_passes_while_a_later_one_is_asked_for_closes() -> None:
    """It asks to go on; what it holds is closed, and may be had again when there is room."""
    blue = holder(asks={"end": hour(50)}, expiry={"grace": "4h"}, devices=8)
    wall = promised(8, 34, 40)
    decision = decide([*CLUSTER, blue, wall], now=time(31))
    assert (decision.course, decision.passed, decision.evict) == (Course.CLOSED, False, False)
    assert decision.message == (
        "extension to 2021-04-16 17:00Z does not fit: needs 8 of a100, 0 available from 2021-04-16 01:00Z on; "
        "earliest start 2021-04-16 07:00Z when an earlier grant ends, if nobody extends; it stays asked for"
    )
    assert decision.queue is not None
    assert in_hours(decision.queue.earliest) == 40
    again = decide([*CLUSTER, blue], now=time(31))
    assert (again.course, again.met, end_of(again)) == (Course.OPEN, True, 50)
    assert plan_of([*CLUSTER, blue, wall], time(31)).pools[A100].waiting == 8


def test_being_late_is_no_way_to_a_later_end() -> None:
    """One that is overdue, with an end that was refused, does not go on because it still holds what it should not."""
    blue, wall = holder(asks={"end": hour(50)}, devices=8), promised(8, 30, 40)
    decision = decide([*CLUSTER, blue, wall], now=time(30))
    assert (decision.course, decision.evict, decision.met) == (Course.CLOSED, True, False)
    assert decide([*CLUSTER, blue], now=time(30)).met, "unless there is room"


# -- earlier


def test_a_shorter_window_holds_at_once() -> None:
    """What is given up is there for others in the same round."""
    wish = make_allocation("next", {"a100": 8}, created=9, window={"start": hour(27)})
    plan = plan_of([*CLUSTER, holder(asks={"end": hour(27)}), wish])
    assert end_of(plan.decisions["blue"]) == 27
    assert plan.decisions["next"].promised == {A100: 8}


def test_an_end_moved_to_the_past_is_over() -> None:
    """No new pods from now on."""
    decision = decide([*CLUSTER, holder(asks={"end": hour(22)})])
    assert (decision.course, decision.passed) == (Course.CLOSED, True)


def test_a_start_that_is_moved_after_it_came_changes_nothing() -> None:
    """What is in force is in force."""
    decision = decide([*CLUSTER, holder(asks={"start": hour(28), "end": hour(30)})])
    assert (decision.course, decision.met) == (Course.OPEN, True)
    assert decision.window is not None
    assert in_hours(decision.window.start) == 20


# -- growth


def test_growth_fits_into_the_rest_of_the_window() -> None:
    """The difference, from now until the end that was given."""
    blue = holder(devices=8, has=4)
    assert decide([*CLUSTER, blue, promised(8, 30)]).grant == {A100: 8}
    waits = decide([*CLUSTER, blue, promised(8, 29, 30)])
    assert (waits.met, waits.admitted, waits.grant) == (False, True, {A100: 4})
    other = holder("other", devices=4, end=28)
    later = decide([*CLUSTER, blue, other])
    assert later.queue is not None
    assert in_hours(later.queue.earliest) == 28
    assert "no room before its end 2021-04-15 21:00Z" in decide([*CLUSTER, blue, holder("other", end=30)]).message


@pytest.mark.parametrize(
    ("wall", "grant", "end"),
    [
        pytest.param([], 6, 50, id="both"),
        pytest.param([promised(5, 30)], 6, 30, id="growth alone"),
        pytest.param([promised(3, 30)], 4, 50, id="the extension alone, with which the growth does not fit"),
    ],
)
def test_growth_and_extension_are_asked_for_together(wall: list[Manifest], grant: int, end: float) -> None:
    """Each is given if it fits; the extension comes first, being as old as its holder."""
    blue = holder(devices=6, has=4, asks={"end": hour(50)})
    decision = decide([*CLUSTER, *wall, blue])
    assert (decision.grant, end_of(decision)) == ({A100: grant}, end)
    assert decision.met is (grant == 6)
    assert (decision.queue is None) is (grant == 6 and end == 50)


def test_two_open_wishes_of_one_allocation_are_one_place_in_line() -> None:
    """It is not ahead of itself, and the message speaks of both."""
    blue = holder(devices=8, has=4, asks={"end": hour(50)})
    plan = plan_of([*CLUSTER, promised(8, 29, 40), blue, make_allocation("next", {"a100": 8}, priority=50)])
    decision = plan.decisions["blue"]
    assert "; extension to 2021-04-16 17:00Z does not fit: " in decision.message
    assert decision.queue is not None
    assert decision.queue.position == 1
    queue = plan.decisions["next"].queue
    assert queue is not None
    assert queue.position == 2


def test_a_waiting_extension_keeps_its_age_and_its_text() -> None:
    """Written back, it is decided the same again."""
    objects = [*CLUSTER, holder(asks={"end": hour(50)}), promised(6, 35)]
    first = plan_of(objects)
    queue = first.decisions["blue"].queue
    assert queue is not None
    assert queue.since == NOW
    assert plan_of(written_back(objects, first), time(25)).decisions["blue"] == first.decisions["blue"]
    grown = holder(devices=8, has=4, asks={"end": hour(50)}, queue=make_queue(7, {"a100": 4}))
    after = decide([*CLUSTER, grown, promised(6, 29)]).queue
    assert after is not None
    assert after.since == NOW, "more devices are asked for only now"
