"""Promised starts: how they form, are kept, slip and change. Hours after START; now is hour 24."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.life import Course
from bitgoeul.planning.pools import accelerator
from tests.unit.builders import (
    NO_GRACE,
    NOW,
    START,
    Manifest,
    decide,
    hour,
    in_hours,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_node,
    make_queue,
    make_record,
    make_storage_pool,
    plan_of,
    time,
    written_back,
)

A100, H100 = accelerator("a100"), accelerator("h100")
CLUSTER = [make_accelerator_pool(), make_node(devices=8)]


def wish(name: str = "blue", devices: int = 4, status: Manifest | None = None, **fields: Any) -> Manifest:
    """One that asks from hour 30 until hour 40, unless told otherwise."""
    given: Manifest = {"window": {"start": hour(30), "end": hour(40)}, "expiry": NO_GRACE, "created": 5}
    return make_allocation(name, {"a100": devices}, status=status, **given | fields)


def promised(
    name: str = "blue", devices: int = 4, start: float = 30, end: float | None = 40, **fields: Any
) -> Manifest:
    """One whose start is promised."""
    window = {"start": hour(start)} | ({"end": hour(end)} if end is not None else {})
    status = make_record(start, end, admitted=False, promised={"a100": fields.pop("had", devices)})
    return wish(name, devices, status, **({"window": window} | fields))


def holder(name: str, devices: int, end: float | None = None) -> Manifest:
    """One that has had its devices since hour 20."""
    window = {"end": hour(end)} if end is not None else {}
    grant = {"accelerators": {"a100": devices}}
    return make_allocation(
        name, {"a100": devices}, grant=grant, window=window, status=make_record(20, end), expiry=NO_GRACE
    )


# -- how they form


def test_a_start_ahead_that_fits_is_promised() -> None:
    """Its devices are held from then on, and not before."""
    objects = [*CLUSTER, wish()]
    decision = decide(objects)
    assert (decision.course, decision.reason, decision.promised) == (Course.NOTHING, Reason.WINDOW_NOT_OPEN, {A100: 4})
    assert decision.message == "promised for 2021-04-15 21:00Z"
    assert decision.window is not None
    assert (in_hours(decision.window.start), in_hours(decision.window.end)) == (30, 40)
    assert decision.queue is None
    assert decide([*objects, wish("short", 8, created=9, window={"duration": "6h"})], "short").met
    assert not decide([*objects, wish("long", 8, created=9, window={"duration": "7h"})], "long").met


def test_a_duration_becomes_absolute_when_it_is_promised() -> None:
    """It floats no longer: both ends stand in status.window."""
    objects = [*CLUSTER, wish(window={"start": hour(30), "duration": "10h"})]
    plan = plan_of(objects)
    window = plan.decisions["blue"].window
    assert window is not None
    assert in_hours(window.end) == 40
    late = plan_of([*written_back(objects, plan)], time(33)).decisions["blue"]
    assert late.window == window, "also after a late start"


def test_a_start_is_promised_only_beside_all_forecasts_ahead() -> None:
    """Not because it could be had now, but because nobody ahead needs it."""
    ahead = make_allocation("ahead", {"a100": 8}, created=1, window={"duration": "10h"}, expiry=NO_GRACE)
    objects = [*CLUSTER, holder("big", 8, end=28), ahead]
    decision = decide([*objects, wish()])
    assert decision.promised is None
    assert (decision.reason, decision.window) == (Reason.WINDOW_NOT_OPEN, None)
    assert decision.message == (
        "asks to start 2021-04-15 21:00Z and needs 4 of a100, 0 available then; 1 ahead; earliest start 2021-04-16 "
        "05:00Z after those ahead, if nobody extends"
    )
    assert decide([*objects, wish(priority=200)]).promised == {A100: 4}


def test_a_start_that_does_not_fit_is_told_what_would_fit() -> None:
    """The numbers are those of the asked start, not those of now."""
    decision = decide([*CLUSTER, holder("big", 6), wish()])
    assert "needs 4 of a100, 2 available then" in decision.message
    assert decision.message.endswith("no room before its end 2021-04-16 07:00Z; 2 devices could start then")


# -- kept


def test_a_promised_start_is_kept_against_everybody() -> None:
    """Neither a higher priority nor an extension takes from it."""
    rich = make_allocation("rich", {"a100": 8}, priority=1000)
    plan = plan_of([*CLUSTER, promised(), rich])
    assert plan.decisions["blue"].promised == {A100: 4}
    assert not plan.decisions["rich"].met
    extended = holder("long", 8, end=30)
    extended["spec"] |= {"window": {"end": hour(31)}, "priority": 1000}
    plan = plan_of([*CLUSTER, promised(), extended])
    assert in_hours(plan.decisions["long"].window.end if plan.decisions["long"].window else None) == 30


def test_a_promised_start_begins_on_time() -> None:
    """At its moment it is in force, with the window that was promised."""
    decision = decide([*CLUSTER, promised()], now=time(30))
    assert (decision.course, decision.met, decision.grant, decision.promised) == (Course.OPEN, True, {A100: 4}, None)
    assert decision.window is not None
    assert (in_hours(decision.window.start), in_hours(decision.window.end)) == (30, 40)
    assert decide([*CLUSTER, promised()], now=time(29.99)).course is Course.NOTHING


def test_hold_also_holds_promised_starts() -> None:
    """The promise stays, and its capacity is nobody else's."""
    for policy in ("Hold", "HoldAndDrain"):
        pools = [make_accelerator_pool(stopPolicy=policy), make_node(devices=8)]
        assert decide([*pools, promised()]).promised == {A100: 4}
        late = decide([*pools, promised()], now=time(31))
        assert (late.reason, late.promised, late.course) == (Reason.POOL_ON_HOLD, {A100: 4}, Course.NOTHING)
        assert decide([*CLUSTER, promised()], now=time(31)).met


# -- slipped


def test_a_slipped_start_goes_before_all_who_were_promised_nothing() -> None:
    """Whatever their priority: nothing that it waits for is given to anybody."""
    rich = make_allocation("rich", {"a100": 2}, priority=1000, window={"duration": "1h"}, expiry=NO_GRACE)
    objects = [*CLUSTER, holder("big", 5), promised(), rich]
    plan = plan_of(objects, time(30))
    slipped = plan.decisions["blue"]
    assert (slipped.course, slipped.reason, slipped.promised) == (
        Course.NOTHING,
        Reason.WAITING_FOR_CAPACITY,
        {A100: 4},
    )
    assert slipped.message == (
        "needs 4 of a100, 3 available; no room before its end 2021-04-16 07:00Z; 3 devices could start now"
    )
    assert slipped.window is not None
    assert in_hours(slipped.window.end) == 40, "the end does not move with the slip"
    assert slipped.queue is not None
    assert (slipped.queue.position, slipped.queue.blocked_by) == (1, {A100: 1})
    assert not plan.decisions["rich"].met


def test_slipped_starts_are_told_when_they_may_begin() -> None:
    """Among themselves by start, not by priority; each sees those that were to start before it."""
    objects = [
        *CLUSTER,
        holder("big", 6, end=35),
        promised("first", 6, start=28, end=50),
        promised("second", 4, start=29, end=60, priority=900),
    ]
    plan = plan_of(objects, time(30))
    queues = {name: plan.decisions[name].queue for name in ("first", "second")}
    assert {n: (q.position, in_hours(q.earliest)) for n, q in queues.items() if q} == {
        "first": (1, 35),
        "second": (2, 50),
    }


def test_a_smaller_promise_begins_where_it_delays_no_slipped_one() -> None:
    """What the one ahead cannot use before its own start may be used until then, and not longer."""
    objects = [*CLUSTER, holder("big", 6, end=35), promised("first", 8, start=28, end=50)]
    assert decide([*objects, promised("second", 2, start=29, end=34)], "second", time(30)).met
    assert not decide([*objects, promised("second", 2, start=29, end=36)], "second", time(30)).met


def test_a_promise_whose_window_went_by_is_over() -> None:
    """It is not begun after its end, and stays passed; also one with a duration, whose end was settled."""
    for window in ({"start": hour(30), "end": hour(40)}, {"start": hour(30), "duration": "10h"}):
        objects = [*CLUSTER, holder("big", 8), promised(window=window)]
        for _ in range(3):
            plan = plan_of(objects, time(40))
            decision = plan.decisions["blue"]
            assert (decision.reason, decision.passed, decision.promised) == (Reason.WINDOW_PASSED, True, None)
            objects = written_back(objects, plan)


def test_a_slipped_promise_that_was_to_last_longer_asks_anew_after_its_end() -> None:
    """The promised window is over, the one that is asked for is not."""
    objects = [*CLUSTER, promised(end=40, window={"start": hour(30), "end": hour(60)})]
    decision = decide(objects, now=time(41))
    assert (decision.course, decision.promised) == (Course.OPEN, None)
    assert decision.window is not None
    assert (in_hours(decision.window.start), in_hours(decision.window.end)) == (41, 60)


# -- changed


def test_more_than_was_promised_is_asked_anew_and_the_promise_stays() -> None:
    """It is as old as the change, and the old start is safe while it waits."""
    grown = promised(devices=8, had=4)
    older = make_allocation(
        "older", {"a100": 8}, created=7, window={"start": hour(35), "end": hour(50)}, expiry=NO_GRACE
    )
    objects = [*CLUSTER, grown, holder("big", 4, end=36)]
    decision = decide(objects)
    assert (decision.promised, decision.reason) == ({A100: 4}, Reason.WINDOW_NOT_OPEN)
    assert decision.message.startswith("promised for 2021-04-15 21:00Z, which stays; what is asked now waits: asks to")
    assert decision.queue is not None
    assert (decision.queue.since, in_hours(decision.queue.earliest)) == (NOW, 36)
    plan = plan_of([*CLUSTER, grown, older])
    assert plan.decisions["older"].promised is None
    assert plan.decisions["blue"].promised == {A100: 8}
    begun = decide(objects, now=time(30))
    assert (begun.course, begun.met, begun.grant) == (Course.OPEN, False, {A100: 4})
    assert begun.queue is not None


def test_what_a_changed_promise_waits_for_keeps_its_age_when_it_begins() -> None:
    """The rest of the ask does not go back to the end of the line."""
    grown = promised(devices=8, had=4, queue=make_queue(77, {"a100": 8}))
    decision = decide([*CLUSTER, holder("big", 4), grown], now=time(30))
    assert (decision.course, decision.grant) == (Course.OPEN, {A100: 4})
    assert decision.queue is not None
    assert (decision.queue.since.replace(tzinfo=None), decision.queue.asked) == (minutes(77), {A100: 8})


def minutes(count: int) -> datetime:
    """Minutes after START, in UTC without saying so."""
    return (START + timedelta(minutes=count)).astimezone(UTC).replace(tzinfo=None)


def test_less_than_was_promised_frees_the_rest_at_once() -> None:
    """Fewer devices, a later start, an earlier end: all of it is still promised."""
    narrower = promised(devices=2, had=4, window={"start": hour(32), "end": hour(38)})
    narrower["status"]["window"] = {"start": hour(30), "end": hour(40)}
    plan = plan_of(
        [*CLUSTER, narrower, wish("other", 6), wish("tight", 8, window={"start": hour(38), "end": hour(39)})]
    )
    blue = plan.decisions["blue"]
    assert blue.promised == {A100: 2}
    assert blue.window is not None
    assert (in_hours(blue.window.start), in_hours(blue.window.end)) == (32, 38)
    assert plan.decisions["other"].promised == {A100: 6}


def test_a_promise_of_which_nothing_is_asked_any_more_is_none() -> None:
    """Another pool is a new request; it does not begin with empty hands."""
    other = make_allocation(
        "blue",
        {"h100": 2},
        window={"start": hour(20), "end": hour(40)},
        expiry=NO_GRACE,
        status=make_record(20, 40, admitted=False, promised={"a100": 4}),
    )
    full = make_allocation("full", {"h100": 8}, grant={"accelerators": {"h100": 8}})
    h100 = [make_accelerator_pool("h100", "example.org/h"), make_node("h", "h100", 8, "example.org/h")]
    decision = decide([*CLUSTER, *h100, full, other])
    assert (decision.course, decision.promised, decision.window) == (Course.NOTHING, None, None)


def test_a_suspended_promise_is_given_up() -> None:
    """Suspending gives capacity back, also capacity that lies ahead."""
    objects = [*CLUSTER, promised(suspend=True), wish("other", 8)]
    plan = plan_of(objects)
    assert (plan.decisions["blue"].reason, plan.decisions["blue"].promised) == (Reason.SUSPENDED, None)
    assert plan.decisions["other"].promised == {A100: 8}


def test_a_promise_stays_while_the_spec_cannot_be_read_or_met() -> None:
    """A mistake in the spec does not cost the promised start."""
    broken = promised()
    broken["spec"]["priority"] = "high"
    for odd in (broken, promised(namespaces=[{"name": "kube"}], window={"start": hour(30), "end": hour(40)})):
        taken = make_held("kube", {"nvidia.com/gpu": 0}, owner="")
        plan = plan_of([*CLUSTER, *taken, odd, wish("other", 8)])
        assert plan.decisions["blue"].promised == {A100: 4}
        assert plan.decisions["other"].promised is None


def test_an_heir_is_promised_only_what_it_needs_beyond_its_inheritance() -> None:
    """What it inherits is charged already; asking for it again is no change of the promise."""
    pool = make_storage_pool(capacity="10Ti")
    kept = make_held("dead", {"lustre": "0"}, {"lustre": "6Ti"}, retained=True)
    heir = make_allocation(
        "heir",
        storage={"lustre": "8Ti"},
        restoreFrom="uid-dead",
        namespaces=[{"name": "dead"}],
        window={"start": hour(30)},
    )
    objects = [pool, *kept, heir]
    first = plan_of(objects)
    assert list((first.decisions["heir"].promised or {}).values()) == [2 * 2**40]
    rival = make_allocation("rival", storage={"lustre": "4Ti"}, priority=1000)
    after = plan_of([*written_back(objects, first), rival])
    assert after.decisions["heir"].promised == first.decisions["heir"].promised
    assert after.decisions["heir"].queue is None


@pytest.mark.parametrize("deleting", [True, False], ids=["deleted", "window moved to the past"])
def test_a_promise_is_over_with_its_allocation(deleting: bool) -> None:
    """Its capacity is free for others at once."""
    fields = {"deleting": True} if deleting else {"window": {"start": hour(1), "end": hour(2)}}
    plan = plan_of([*CLUSTER, promised(**fields), wish("other", 8)])
    assert plan.decisions["blue"].promised is None
    assert plan.decisions["other"].promised == {A100: 8}
