"""When those who ask may start, and what they are told: by example. Hours after START; now is hour 24, 15:00 in UTC."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.life import Course
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import (
    NO_DATE,
    NO_GRACE,
    Manifest,
    decide,
    hour,
    in_hours,
    make_accelerator_pool,
    make_allocation,
    make_node,
    make_record,
    make_storage_pool,
    plan_of,
    time,
    written_back,
)

A100, NPU, LUSTRE = accelerator("a100"), accelerator("npu"), storage("lustre")
CLUSTER = [make_accelerator_pool(), make_node(devices=8)]


def holder(name: str, devices: int, end: float | None = None, **fields: Any) -> Manifest:
    """One that has had its devices since hour 20."""
    window = {"end": hour(end)} if end is not None else {}
    fields.setdefault("expiry", NO_GRACE)
    record = make_record(20, end)
    return make_allocation(
        name, {"a100": devices}, grant={"accelerators": {"a100": devices}}, window=window, status=record, **fields
    )


def asker(name: str = "blue", devices: int = 4, created: int = 5, **window: Any) -> Manifest:
    """One that asks; start and end in hours."""
    given = {key: value if key == "duration" else hour(value) for key, value in window.items()}
    return make_allocation(name, {"a100": devices}, created=created, window=given, expiry=NO_GRACE)


def earliest(objects: list[Manifest], name: str = "blue") -> float | None:
    """The forecast of one that waits."""
    queue = decide(objects, name).queue
    assert queue is not None
    return in_hours(queue.earliest)


# -- forecasts


def test_who_waits_is_told_when_an_earlier_grant_ends() -> None:
    """The numbers, who is ahead, the moment and its cause, and what could start now."""
    decision = decide([*CLUSTER, holder("big", 6, end=57), asker(devices=4)])
    assert decision.reason is Reason.WAITING_FOR_CAPACITY
    assert decision.message == (
        "needs 4 of a100, 2 available; earliest start 2021-04-17 when an earlier grant ends, if nobody "
        "extends; 2 devices could start now"
    )
    assert decision.queue is not None
    assert (in_hours(decision.queue.earliest), decision.queue.blocked_by) == (57, {A100: 2})


def test_devices_are_occupied_until_the_grace_is_over() -> None:
    """Of holders, and of forecasts as well: the next in line comes after end + grace of both."""
    first = make_allocation("first", {"a100": 8}, created=1, window={"duration": "10h"}, expiry={"grace": "3h"})
    objects = [*CLUSTER, holder("big", 8, end=30, expiry={"grace": "2h"}), first, asker(devices=1, created=2)]
    assert earliest(objects, "first") == 32
    assert earliest(objects, "blue") == 45
    assert "earliest start 2021-04-16 12:00Z after those ahead, if nobody extends" in decide(objects).message


def test_a_later_request_starts_early_where_it_delays_nobody() -> None:
    """A short one fits before the start of the large one ahead, a long one does not."""
    large = asker("large", 8, created=1, duration="10h")
    objects = [*CLUSTER, holder("big", 6, end=30), large]
    assert decide([*objects, asker(devices=2, duration="6h")]).met
    late = decide([*objects, asker(devices=2, duration="7h")])
    assert (late.met, late.reason) == (False, Reason.BLOCKED_BY_EARLIER)
    assert late.message == (
        "would fit now (2 of a100 with 2 available), but would delay somebody ahead; 1 ahead; earliest start "
        "2021-04-16 07:00Z after those ahead, if nobody extends"
    )
    assert earliest([*objects, asker(devices=2, duration="7h")], "large") == 30


def test_what_fits_now_but_not_for_all_of_its_time_waits() -> None:
    """A promised start ahead is a wall; the message says when it comes."""
    promised = make_allocation(
        "promised",
        {"a100": 8},
        window={"start": hour(30)},
        status=make_record(30, admitted=False, promised={"a100": 8}),
    )
    decision = decide([*CLUSTER, promised, asker(devices=2, duration="7h")])
    assert decision.reason is Reason.WAITING_FOR_CAPACITY
    assert decision.message == (
        "would fit now (2 of a100 with 8 available), but not for all of its time: 0 of a100 available from 2021-04-15 "
        f"21:00Z on; {NO_DATE}"
    )
    assert decide([*CLUSTER, promised, asker(devices=2, duration="6h")]).met


def test_a_forecast_that_a_stage_brings_names_the_stage() -> None:
    """The plan counts from its date on, whatever the nodes show now."""
    stages = [{"name": "pilot", "from": hour(0), "devices": 8}, {"name": "full", "from": hour(57), "devices": 20}]
    pools = [make_accelerator_pool(stages=stages, reserve=2), make_node(devices=8)]
    decision = decide([*pools, asker(devices=18)])
    assert decision.message == (
        "needs 18 of a100, 6 available; earliest start 2021-04-17 when stage full of a100 begins; "
        "6 devices could start now"
    )
    assert decide([*pools, asker(devices=19)]).reason is Reason.EXCEEDS_POOL_CAPACITY


def test_nobody_may_span_a_later_smaller_stage() -> None:
    """It is a real limit: what ends before it may start, what does not has to be smaller."""
    stages = [{"name": "now", "from": hour(0), "devices": 8}, {"name": "less", "from": hour(40), "devices": 4}]
    pools = [make_accelerator_pool(stages=stages), make_node(devices=8)]
    assert decide([*pools, asker(devices=8, end=40)]).met
    assert not decide([*pools, asker(devices=8, end=41)]).met
    assert not decide([*pools, asker(devices=8)]).met
    assert decide([*pools, asker(devices=4)]).met


def test_before_the_first_stage_nothing_is_planned() -> None:
    """Nodes that are there early give nothing yet; the request waits for the stage."""
    stages = [{"name": "first", "from": hour(40), "devices": 8}]
    objects = [make_accelerator_pool(stages=stages), make_node(devices=8), asker(devices=8)]
    assert earliest(objects) == 40


def test_several_pools_have_to_be_free_together() -> None:
    """The start is where all of it fits, not where the first pool has room."""
    npu = [make_accelerator_pool("npu", "furiosa.ai/npu"), make_node("n", "npu", 4, "furiosa.ai/npu")]
    other = make_allocation(
        "other",
        {"npu": 4},
        grant={"accelerators": {"npu": 4}},
        window={"end": hour(35)},
        status=make_record(20, 35),
        expiry=NO_GRACE,
    )
    between = make_allocation(
        "between",
        {"a100": 8},
        window={"start": hour(31), "end": hour(50)},
        status=make_record(31, 50, admitted=False, promised={"a100": 8}),
        expiry=NO_GRACE,
    )
    wish = make_allocation("blue", {"a100": 2, "npu": 1}, created=5, window={"duration": "4h"}, expiry=NO_GRACE)
    assert earliest([*CLUSTER, *npu, holder("big", 8, end=30), other, wish]) == 35
    assert earliest([*CLUSTER, *npu, holder("big", 8, end=30), other, between, wish]) == 50


def test_who_has_no_room_before_the_end_is_told_so() -> None:
    """There is no earliest start, and the reason is its own end."""
    decision = decide([*CLUSTER, holder("big", 8, end=40), asker(devices=1, end=33)])
    assert decision.message == "needs 1 of a100, 0 available; no room before its end 2021-04-16"


# -- storage


@pytest.mark.parametrize(
    ("expiry", "expected"),
    [
        pytest.param({"deletionPolicy": "Retain"}, None, id="kept data is planned as never free"),
        pytest.param({"deletionPolicy": "Delete", "grace": "2h", "retention": "5h"}, 37, id="end, grace and retention"),
        pytest.param({"deletionPolicy": "Delete", "grace": "0s", "retention": "0s"}, 30, id="at the end"),
    ],
)
def test_storage_is_free_when_its_data_is_deleted(expiry: Manifest, expected: float | None) -> None:
    """Until then the data is there, whatever the window says."""
    full = make_allocation(
        "full",
        storage={"lustre": "8Ti"},
        window={"end": hour(30)},
        expiry=expiry,
        grant={"storage": {"lustre": "8Ti"}},
        status=make_record(20, 30),
    )
    objects = [make_storage_pool(capacity="8Ti"), full, make_allocation(storage={"lustre": "1Ti"}, created=5)]
    assert earliest(objects) == expected


# -- rule 5: behind those who never end


def test_only_an_open_ended_request_may_not_pass_one_without_a_forecast() -> None:
    """A dated one gives back what it takes; one without an end would take it for good."""
    objects = [*CLUSTER, holder("big", 4), asker("large", 8, created=1)]
    decision = decide([*objects, asker("open", 2)], "open")
    assert (decision.met, decision.reason) == (False, Reason.BLOCKED_BY_EARLIER)
    assert decision.message.endswith(f"but would delay somebody ahead; 1 ahead; {NO_DATE}")
    assert decide([*objects, asker("dated", 2, duration="87600h")], "dated").met
    assert decide(objects, "large").message == (f"needs 8 of a100, 4 available; {NO_DATE}; 4 devices could start now")


def test_one_that_finds_no_room_before_its_end_holds_back_only_until_then() -> None:
    """Its time is over by then: whoever has no end, and waits behind it, is told a start all the same."""
    late = asker("late", 4, created=1, end=33)
    full = [*CLUSTER, holder("big", 8, end=40), late]
    assert earliest([*full, asker("open", 4)], "open") == 40

    # What fits now goes past it only with an end.
    objects = [*CLUSTER, holder("big", 6, end=40), asker("late", 7, created=1, end=33)]
    assert decide([*objects, asker("dated", 2, duration="87600h")], "dated").met
    decision = decide([*objects, asker("open", 2)], "open")
    assert (decision.met, decision.reason) == (False, Reason.BLOCKED_BY_EARLIER)
    assert decision.message == (
        "would fit now (2 of a100 with 2 available), but would delay somebody ahead; 1 ahead; earliest start "
        "2021-04-16 after those ahead, if nobody extends; 1 device could start now"
    )


def test_several_that_find_no_room_hold_back_together() -> None:
    """Each until its own end, and as much as it asks for."""
    stuck = [asker(f"late-{end}", 4, created=end, end=end) for end in (30, 33)]
    objects = [*CLUSTER, holder("big", 5, end=40), *stuck]
    assert [earliest([*objects, asker("open", n, created=50)], "open") for n in (1, 2, 3)] == [30, 30, 30]
    assert earliest([*objects, asker("open", 5, created=50)], "open") == 40
    larger = [*CLUSTER, holder("big", 5, end=40), asker("late-30", 4, created=1, end=30), asker("late-33", 8, end=33)]
    assert earliest([*larger, asker("open", 1, created=50)], "open") == 33


def test_an_extension_without_an_end_goes_past_nobody_who_is_stuck() -> None:
    """It would keep for good what somebody ahead wants before its own end; one with an end may."""
    late = asker("late", 8, end=40)
    late["spec"]["priority"] = 500
    wishes = {"later": {"end": hour(38)}, "ever": {}}
    found = {}
    for name, window in wishes.items():
        extends = holder("big", 4, end=30)
        extends["spec"]["window"] = window
        found[name] = decide([*CLUSTER, extends, holder("rest", 4, end=45), late], "big")
    assert found["later"].window is not None
    assert in_hours(found["later"].window.end) == 38
    assert found["ever"].message == (
        "extension without an end does not fit: needs 4 of a100, 0 available from 2021-04-15 21:00Z on; 1 ahead; it "
        "stays asked for"
    )


# -- rule 2: overdue holders


def test_nothing_is_foreseen_behind_an_overdue_holder() -> None:
    """Past end and grace with devices still held: nobody knows, and the message says why, without a name."""
    late = holder("late-tenant", 8, end=22)
    decision = decide([*CLUSTER, late, asker(devices=4)])
    assert decision.message == (
        "needs 4 of a100, 0 available; no earliest start: overdue: 8 devices of a100 still held"
    )
    assert decision.queue is not None
    assert decision.queue.earliest is None
    one = decide([*CLUSTER, holder("late", 1, end=22), holder("rest", 7), asker(devices=4)])
    assert one.message.endswith("overdue: 1 device of a100 still held")


def test_who_waits_for_a_grant_is_not_passed_in_the_moments_in_which_it_is_given_back() -> None:
    """Devices are proved to be free a little after their time; small requests would else starve a large one."""
    objects = [*CLUSTER, holder("big", 6, end=24), asker("large", 8, created=1), asker("short", 2, duration="1h")]
    for minutes in (0, 9):
        plan = plan_of(objects, time(24 + minutes / 60))
        objects = written_back(objects, plan)
        large = plan.decisions["large"].queue
        assert large is not None
        assert large.earliest is None
        assert plan.decisions["short"].reason is Reason.BLOCKED_BY_EARLIER
    assert decide(objects, "short", time(24 + 10 / 60)).met, "nobody knows any more when it comes back"


def test_a_forecast_behind_somebody_else_is_kept_beside_the_hope_for_what_is_due() -> None:
    """Until it is given back, both the start that is hoped for and the one that is sure are kept from others."""
    objects = [
        *CLUSTER,
        holder("due", 4, end=24),
        holder("rest", 4, end=30),
        asker("large", 4, created=1, duration="9h"),
    ]
    assert earliest(objects, "large") == 30
    assert earliest([*objects, asker("blue", 4, duration="2h")]) == 39


def test_kept_storage_and_endless_grants_are_not_overdue() -> None:
    """Only what should have been given back is."""
    assert NO_DATE in decide([*CLUSTER, holder("ever", 8), asker()]).message
    kept = make_allocation(
        "kept",
        storage={"lustre": "8Ti"},
        window={"end": hour(22)},
        grant={"storage": {"lustre": "8Ti"}},
        status=make_record(20, 22),
    )
    wish = make_allocation(storage={"lustre": "1Ti"}, created=5)
    assert NO_DATE in decide([make_storage_pool(capacity="8Ti"), kept, wish]).message


def test_one_that_is_being_deleted_has_no_date() -> None:
    """It gives back when its pods are gone, and nobody knows when."""
    objects = [*CLUSTER, holder("leaving", 8, end=30, deleting=True), asker()]
    assert earliest(objects) is None


# -- windows


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        pytest.param({"duration": "10h"}, (24, 34), id="a duration begins with the real start"),
        pytest.param({"start": 20, "duration": "10h"}, (24, 34), id="also after the start that was asked for"),
        pytest.param({"end": 30}, (24, 30), id="an end is absolute"),
        pytest.param({"start": 20, "end": 30}, (24, 30), id="also after a late start"),
        pytest.param({}, (24, None), id="neither: open-ended"),
        pytest.param({"start": 24, "duration": "1h"}, (24, 25), id="a start that is now has come"),
    ],
)
def test_a_grant_has_an_absolute_window(window: dict[str, Any], expected: tuple[float, float | None]) -> None:
    """From the moment at which it is given, both ends stand in status and stay."""
    objects = [*CLUSTER, asker(**window)]
    plan = plan_of(objects)
    found = plan.decisions["blue"].window
    assert found is not None
    assert (in_hours(found.start), in_hours(found.end) if expected[1] else None) == expected
    assert plan_of(written_back(objects, plan)).decisions["blue"].window == found


def test_a_window_that_is_over_is_accepted_and_passed() -> None:
    """GitOps applies old files: nothing is wrong with one, nothing happens, and it says how to ask again."""
    decision = decide([*CLUSTER, asker(start=10, end=20)])
    assert (decision.reason, decision.passed, decision.course) == (Reason.WINDOW_PASSED, True, Course.NOTHING)
    assert decision.message == ("ended 2021-04-15 11:00Z; nothing was granted; a later spec.window.end asks again")
    assert decision.queue is None


def test_a_window_that_ends_at_this_moment_is_over() -> None:
    """The end is exclusive."""
    assert decide([*CLUSTER, asker(end=24)]).passed


def test_a_refusal_goes_before_a_passed_window() -> None:
    """The order of the reasons is the order of the enum."""
    decision = decide([make_allocation("blue", {"nowhere": 1}, window={"end": hour(20)})])
    assert decision.reason is Reason.POOL_NOT_FOUND


def test_forecasts_beyond_what_can_be_written_are_none() -> None:
    """Ten thousand years of waiting are told as such, and break nothing."""
    chain = [asker(f"t{n:04}", 8, created=n, duration="87600h") for n in range(900)]
    objects = [*CLUSTER, holder("big", 8, end=30), *chain]
    decision = plan_of(objects).decisions["t0899"]
    assert decision.queue is not None
    assert decision.queue.earliest is None
    assert "earliest start after 9997" in decision.message


def test_cpu_and_memory_alone_have_a_window_too() -> None:
    """No pool is asked, so a start ahead is promised, and now it begins at once."""
    compute = {"cpu": "4"}
    ahead = make_allocation(compute=compute, window={"start": hour(30), "duration": "10h"})
    first = plan_of([ahead])
    assert (first.decisions["blue"].promised, in_hours(first.due)) == ({}, 30)
    later = plan_of(written_back([ahead], first), now=time(30))
    decision = later.decisions["blue"]
    assert (decision.course, decision.promised) == (Course.OPEN, None)
    assert decision.window is not None
    assert in_hours(decision.window.end) == 40


# -- stopPolicy


@pytest.mark.parametrize("policy", ["Hold", "HoldAndDrain"])
def test_a_pool_on_hold_grants_nothing_new(policy: str) -> None:
    """It is not in line while it lasts, and keeps its age."""
    decision = decide([make_accelerator_pool(stopPolicy=policy), make_node(), asker(created=3)])
    assert (decision.met, decision.reason) == (False, Reason.POOL_ON_HOLD)
    assert decision.message == "a100 grants nothing new for now (stopPolicy); what is held and promised stays"
    assert decision.queue is not None
    assert decision.queue.position is None


def test_hold_keeps_what_is_held_and_stops_growth() -> None:
    """Only what is new is stopped."""
    grown = make_allocation(accelerators={"a100": 8}, grant={"accelerators": {"a100": 4}}, status=make_record(20))
    objects = [make_accelerator_pool(stopPolicy="Hold"), make_node(), grown, holder("calm", 2)]
    plan = plan_of(objects)
    assert plan.decisions["calm"].met
    blue = plan.decisions["blue"]
    assert (blue.admitted, blue.met, blue.reason, blue.grant) == (True, False, Reason.POOL_ON_HOLD, {A100: 4})


def test_a_storage_pool_on_hold_grants_nothing_new() -> None:
    """The same words hold for storage."""
    objects = [make_storage_pool(stopPolicy="Hold"), make_allocation(storage={"lustre": "1Ti"})]
    assert decide(objects).reason is Reason.POOL_ON_HOLD
