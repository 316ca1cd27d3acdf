"""
What a time does to the order of the line in which nobody planned: an outage, a weekend, a jump of the clock.

Hours after START; now is hour 24.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.life import Course
from bitgoeul.planning.moments import FOREVER
from bitgoeul.planning.plan import make_plan
from tests.unit.builders import (
    NO_GRACE,
    Manifest,
    decide,
    hour,
    in_hours,
    make_accelerator_pool,
    make_allocation,
    make_node,
    make_record,
    plan_of,
    snapshot_of,
    time,
    written_back,
)
from tests.unit.planning_timelines import cases, objects_of

CLUSTER = [make_accelerator_pool(), make_node(devices=8)]


def holder(name: str, devices: int, end: float, **fields: Any) -> Manifest:
    """One that has had its devices since hour 20."""
    given: Manifest = {"window": {"end": hour(end)}, "expiry": NO_GRACE, "grant": {"accelerators": {"a100": devices}}}
    return make_allocation(name, {"a100": devices}, status=make_record(20, end), **given | fields)


def asker(name: str, devices: int, created: int = 5, **window: Any) -> Manifest:
    """One that asks."""
    return make_allocation(name, {"a100": devices}, created=created, window=window, expiry=NO_GRACE)


@pytest.mark.parametrize("workload", ["Drain", "Keep"])
def test_the_moments_count_from_when_somebody_was_there_to_drain(workload: str) -> None:
    """After an outage of hours the large one stands where it stood, and patience with the holder begins."""
    expiry = {"grace": "1h", "workload": workload}
    objects = [*CLUSTER, holder("big", 6, end=24, expiry=expiry), asker("large", 8, created=1)]
    objects.append(asker("short", 2, duration="1h"))
    for moment in (70, 70 + 9 / 60):  # the second time after a restart
        plan = plan_of(objects, time(moment))
        objects = written_back(objects, plan)
        assert in_hours(plan.decisions["big"].drain_started) == 70
        assert plan.decisions["short"].reason is Reason.BLOCKED_BY_EARLIER
        assert in_hours(plan.due) == 70 + 1 / 6
    assert decide(objects, "short", time(70 + 10 / 60)).met


def test_a_clock_that_has_gone_back_does_not_keep_patience_going() -> None:
    """What was begun in times to come says nothing, and is begun anew."""
    record = make_record(20, 24, admitted=False, drain=24) | {"drainStartedAt": hour(9000)}
    late = make_allocation("big", {"a100": 6}, status=record, window={"end": hour(24)}, expiry=NO_GRACE)
    late["status"]["grant"] = {"accelerators": {"a100": 6}}
    assert in_hours(decide([*CLUSTER, late], "big", time(30)).drain_started) == 30
    assert decide([*CLUSTER, late], "big", time(22)).drain_started is None


def test_who_goes_on_has_begun_nothing() -> None:
    """A later end that is granted after the drain has begun leaves no trace of it."""
    objects = [*CLUSTER, holder("big", 6, end=24)]
    objects = written_back(objects, plan_of(objects, time(30)))
    assert objects[-1]["status"]["drainStartedAt"] == hour(30)
    objects[-1]["spec"]["window"]["end"] = hour(60)
    objects = written_back(objects, plan_of(objects, time(31)))
    assert "drainStartedAt" not in objects[-1]["status"]


def test_nobody_is_passed_while_one_that_is_deleted_gives_back() -> None:
    """A deletion takes moments, in which the date of the holder's end says nothing any more."""
    objects = [*CLUSTER, holder("big", 6, end=40, deleting=True), asker("large", 8, created=1)]
    objects.append(asker("short", 2, duration="30h"))
    plan = plan_of(objects)
    assert plan.decisions["short"].reason is Reason.BLOCKED_BY_EARLIER
    later = plan_of(written_back(objects, plan), time(24 + 10 / 60))
    assert later.decisions["short"].met


def test_a_promise_that_slipped_is_not_passed_by_a_later_one_while_its_devices_come_back() -> None:
    """Two were promised starts that came in the pause, nodes were lost in it, and what is due is not back yet."""
    objects = [make_accelerator_pool(), make_node(devices=6), holder("big", 2, end=24)]
    for name, devices, start in (("first", 6, 25), ("second", 2, 26)):
        window = {"start": hour(start), "end": hour(90)}
        record = make_record(start, 90, admitted=False, promised={"a100": devices})
        objects.append(make_allocation(name, {"a100": devices}, status=record, window=window, expiry=NO_GRACE))
    assert plan_of(objects, time(40)).decisions["second"].course is Course.NOTHING
    objects[2]["status"]["grant"] = {}
    plan = plan_of(objects, time(40))
    assert plan.decisions["first"].course is Course.OPEN
    assert plan.decisions["second"].course is Course.NOTHING


# -- whatever is held, promised and asked for


@st.composite
def crowds(draw: st.DrawFn) -> list[Manifest]:
    """One pool that is nearly all held, until ends that come soon; and who waits asks for much or for little."""
    size = draw(st.integers(4, 8))
    objects = [make_accelerator_pool(), make_node(devices=size)]
    for number in range(draw(st.integers(1, 3))):
        free = size - sum(obj["spec"]["accelerators"][0]["devices"] for obj in objects[2:])
        if free:
            workload = draw(st.sampled_from(["Drain", "Keep"]))
            expiry = {"grace": f"{draw(st.integers(0, 2))}h", "workload": workload}
            objects.append(holder(f"h{number}", draw(st.integers(1, free)), draw(st.integers(25, 40)), expiry=expiry))
    for number in range(draw(st.integers(2, 4))):
        window: dict[str, str] = draw(st.sampled_from([{}, {"duration": "1h"}, {"duration": "30h"}, {"end": hour(90)}]))
        priority = draw(st.sampled_from([100, 100, 200]))
        ask = {"a100": draw(st.integers(1, size))}
        objects.append(
            make_allocation(f"w{number}", ask, created=number, window=window, expiry=NO_GRACE, priority=priority)
        )
    return objects


def begins(objects: list[Manifest], hours: int, order: list[str]) -> tuple[dict[str, int], Mapping[str, Decision]]:
    """
    Plan after a pause, once a minute, while one holder after the other gives back.

    Returns:
        At which step who began, and what is decided when all is given back.
    """
    begun: dict[str, int] = {}
    for step in range(len(order) + 1):
        plan = plan_of(objects, time(24 + hours + step / 60))
        objects = written_back(objects, plan)
        for name, decision in plan.decisions.items():
            if decision.course is Course.OPEN:
                begun.setdefault(name, step)
        for obj in objects:
            if obj["metadata"]["name"] in order[step : step + 1] and "grant" in obj["status"]:
                obj["status"]["grant"]["accelerators"] = {}
                if plan.decisions[order[step]].course is Course.ERASED:
                    del obj["status"]["grant"]
    return begun, plan.decisions


def start_of(name: str, begun: dict[str, int], decisions: Mapping[str, Decision]) -> tuple[int, int]:
    """When one begins: the step, else the forecast; later is more."""
    if name in begun:
        return (begun[name], 0)
    decision = decisions[name]
    if decision.promised is not None and decision.window is not None:
        return (1000, decision.window.start)
    return (1000, decision.queue.earliest if decision.queue and decision.queue.earliest else FOREVER)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(crowds() | cases(most=6).map(objects_of), st.integers(1, 40), st.randoms(use_true_random=False))
def test_after_a_pause_nobody_is_delayed_by_somebody_behind(
    objects: list[Manifest], hours: int, dice: random.Random
) -> None:
    """Until the last holder has given back, whoever waits begins no later than if nobody stood behind."""
    objects = written_back(objects, plan_of(objects))
    found = plan_of(objects, time(24 + hours)).decisions
    late = [name for name, decision in found.items() if decision.drain_started is not None]
    dice.shuffle(late)
    waiting = sorted((obj for obj in objects if "queue" in obj.get("status", ()) and not holds(obj)), key=turn)
    together = begins(objects, hours, late)
    for place, obj in enumerate(waiting[:-1]):
        name, behind = obj["metadata"]["name"], {one["metadata"]["name"] for one in waiting[place + 1 :]}
        alone = begins([one for one in objects if one["metadata"]["name"] not in behind], hours, late)
        assert start_of(name, *together) <= start_of(name, *alone), name


def holds(obj: Manifest) -> bool:
    """Whether one is in force, or was promised a start."""
    return "window" in obj["status"]


def turn(obj: Manifest) -> tuple[int, str, str]:
    """Priority, then age, then name."""
    return (-obj["spec"].get("priority", 100), obj["status"]["queue"]["since"], obj["metadata"]["name"])


def test_while_clocks_differ_nobody_is_asked_to_give_back_and_nobody_is_passed() -> None:
    """Patience begins when ends are acted on again, also where it had begun before; a suspension is somebody's word."""
    objects = [*CLUSTER, holder("big", 6, end=24), asker("large", 8, created=1), asker("short", 2, duration="1h")]
    objects = written_back(objects, plan_of(objects, time(24)))
    differing = replace(snapshot_of(objects, time(70)), clocks_differ=True)
    plan = make_plan(differing)
    assert plan.decisions["big"].drain_started is None
    assert plan.decisions["short"].reason is Reason.BLOCKED_BY_EARLIER
    healed = plan_of(written_back(objects, plan), time(71))
    assert in_hours(healed.decisions["big"].drain_started) == 71
    assert healed.decisions["short"].reason is Reason.BLOCKED_BY_EARLIER
    suspended = [*CLUSTER, holder("big", 6, end=90, suspend=True)]
    plan = make_plan(replace(snapshot_of(suspended, time(70)), clocks_differ=True))
    assert in_hours(plan.decisions["big"].drain_started) == 70
