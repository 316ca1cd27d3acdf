"""What the clock, suspend and HoldAndDrain make of an allocation. Hours after START; now is hour 24."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.api.names import CLOSED_ANNOTATION
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.life import Course, Halt
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import (
    GPU,
    NO_GRACE,
    Manifest,
    decide,
    hour,
    in_hours,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_namespace,
    make_node,
    make_nodes,
    make_queue,
    make_record,
    make_storage_pool,
    plan_of,
    time,
    written_back,
)

A100, NPU, LUSTRE = accelerator("a100"), accelerator("npu"), storage("lustre")
CLUSTER = [make_accelerator_pool(), make_node(devices=8)]


def holder(devices: int = 4, end: float | None = 40, record: Manifest | None = None, **fields: Any) -> Manifest:
    """``blue``, in force since hour 20."""
    window = {"end": hour(end)} if end is not None else {}
    given: Manifest = {"window": window, "grant": {"accelerators": {"a100": devices}}, "expiry": NO_GRACE}
    record = record or make_record(20, end, a100=devices)
    return make_allocation("blue", {"a100": devices}, status=record, **given | fields)


def other(devices: int = 8, **fields: Any) -> Manifest:
    """Somebody who asks after ``blue``."""
    return make_allocation("other", {"a100": devices}, created=9, **fields)


def times(decision: Decision) -> dict[str, float | None]:
    """The window in hours, as far as it has an end."""
    window = decision.window
    assert window is not None
    found = {"start": window.start, "end": window.end, "drain": window.drain_at, "delete": window.delete_at}
    return {name: in_hours(at) for name, at in found.items() if at is not None}


# -- to the end and after it

DELETING = {"grace": "3h", "retention": "10h", "deletionPolicy": "Delete"}


@pytest.mark.parametrize(
    ("now", "course", "evict", "passed"),
    [
        pytest.param(39.9, Course.OPEN, False, False, id="before the end"),
        pytest.param(40, Course.CLOSED, False, True, id="at the end no new pods, those that run stay"),
        pytest.param(42.9, Course.CLOSED, False, True, id="in the grace"),
        pytest.param(43, Course.CLOSED, True, True, id="after the grace pods go"),
        pytest.param(52.9, Course.CLOSED, True, True, id="data is kept for the retention"),
        pytest.param(53, Course.ERASED, False, True, id="then it is deleted"),
    ],
)
def test_an_allocation_ends_step_by_step(now: float, course: Course, evict: bool, passed: bool) -> None:
    """End, grace, retention: each at its moment."""
    record = make_record(20, 40, drain=43, delete=53, a100=4)
    decision = decide([*CLUSTER, *make_held("blue", {}), holder(expiry=DELETING, record=record)], now=time(now))
    assert (decision.course, decision.evict, decision.passed) == (course, evict, passed)
    assert times(decision) == {"start": 20, "end": 40, "drain": 43, "delete": 53}
    assert decision.grant == {A100: 4}, "charged until it is proved to be free"


@pytest.mark.parametrize(
    ("expiry", "now", "message"),
    [
        pytest.param(
            NO_GRACE,
            41,
            "ended 2021-04-16 07:00Z; data is kept (deletionPolicy Retain); a later spec.window.end asks again",
            id="kept",
        ),
        pytest.param(
            DELETING,
            41,
            "ended 2021-04-16 07:00Z; data is deleted 2021-04-16 20:00Z; a later spec.window.end asks again",
            id="to be deleted",
        ),
        pytest.param(
            DELETING,
            60,
            "ended 2021-04-16 07:00Z; namespaces and data are being deleted, as deletionPolicy Delete says",
            id="being deleted",
        ),
    ],
)
def test_what_is_over_says_what_becomes_of_the_data(expiry: Manifest, now: float, message: str) -> None:
    """And how to go on."""
    record = make_record(20, 40, drain=43, delete=53, a100=4)
    decision = decide([*CLUSTER, *make_held("blue", {}), holder(expiry=expiry, record=record)], now=time(now))
    assert (decision.reason, decision.message) == (Reason.WINDOW_PASSED, message)


def test_with_workload_keep_nothing_is_evicted() -> None:
    """Pods end by themselves, and there is no moment at which they go."""
    decision = decide([*CLUSTER, holder(expiry={"grace": "1h", "workload": "Keep"})], now=time(50))
    assert (decision.course, decision.evict) == (Course.CLOSED, False)
    assert "drain" not in times(decision)


def test_with_retain_data_is_never_deleted() -> None:
    """However long the end is over."""
    decision = decide([*CLUSTER, holder(expiry={"grace": "0s", "retention": "0s"})], now=time(10_000))
    assert decision.course is Course.CLOSED
    assert "delete" not in times(decision)


def test_data_goes_only_at_a_moment_that_was_announced() -> None:
    """Where the date is over before status has named it, it is announced a day ahead, or as long as data is kept."""
    expiry = {"grace": "0s", "retention": "100h", "deletionPolicy": "Delete"}
    long_over = holder(end=40, expiry=expiry, record=make_record(20, 40, admitted=False, drain=40, a100=4))
    decision = decide([*CLUSTER, *make_held("blue", {}), long_over], now=time(500))
    assert decision.course is Course.CLOSED
    assert times(decision)["delete"] == 524
    announced = make_record(20, 40, admitted=False, drain=40, delete=524, a100=4)
    long_over = holder(end=40, expiry=expiry, record=announced)
    decision = decide([*CLUSTER, *make_held("blue", {}), long_over], now=time(501))
    assert (decision.course, times(decision)["delete"]) == (Course.CLOSED, 524)
    assert decide([*CLUSTER, *make_held("blue", {}), long_over], now=time(524)).course is Course.ERASED
    lost = holder(end=40, expiry=expiry, record={"shares": []})
    decision = decide([*CLUSTER, *make_held("blue", {}), lost], now=time(500))
    assert decision.course is Course.CLOSED
    assert times(decision)["delete"] == 600


def test_an_end_that_was_asked_for_in_vain_counts_for_the_data() -> None:
    """Suspended, then asked for longer: grace and retention begin at the end that the spec says."""
    record = make_record(20, 40, admitted=False, suspended=True, drain=30, delete=53, a100=4)
    extended = holder(end=90, expiry=DELETING, record=record, suspend=True)
    decision = decide([*CLUSTER, *make_held("blue", {}), extended], now=time(90))
    assert (decision.course, decision.view_only) == (Course.CLOSED, True)
    assert times(decision)["delete"] == 103


def test_a_lost_status_opens_nothing_that_is_marked_as_closed() -> None:
    """The namespaces say that it was closed, so it asks to go on."""
    namespace, quota = make_held("blue", {GPU: 0})
    namespace["metadata"]["annotations"][CLOSED_ANNOTATION] = "true"
    lost = make_allocation("blue", {"a100": 4}, window={"end": hour(90)})
    taken = [other(8, grant={"accelerators": {"a100": 8}}), lost, namespace, quota]
    decision = decide([*CLUSTER, *taken], now=time(30))
    assert (decision.course, decision.reason) == (Course.CLOSED, Reason.WAITING_FOR_CAPACITY)


def test_a_place_in_the_queue_survives_a_suspension() -> None:
    """Growth that waits is remembered, so that resuming does not put the whole ask at the end."""
    queue = make_queue(700, {"a100": 8})
    status, grant = make_record(20, 40, a100=4), {"accelerators": {"a100": 4}}
    window = {"end": hour(40)}
    grows = make_allocation("blue", {"a100": 8}, status=status, grant=grant, queue=queue, suspend=True, window=window)
    decision = decide([*CLUSTER, *make_held("blue", {GPU: 4}, pools=["a100"]), grows], now=time(30))
    assert decision.queue is not None
    assert (decision.queue.position, decision.queue.asked) == (None, {A100: 8})


def test_an_end_that_is_moved_into_the_past_takes_effect_now() -> None:
    """A slip of the pen in the date deletes nothing at once: grace and retention begin when it is noticed."""
    moved = holder(end=1, expiry=DELETING, record=make_record(20, 40, a100=4))
    decision = decide([*CLUSTER, moved], now=time(30))
    assert decision.course is Course.CLOSED
    assert times(decision) == {"start": 20, "end": 30, "drain": 33, "delete": 43}
    over = holder(end=1, expiry=DELETING, record=make_record(20, 30, admitted=False, a100=4))
    assert times(decide([*CLUSTER, over], now=time(31))) == {"start": 20, "end": 30, "drain": 33, "delete": 43}


@pytest.mark.parametrize("window", [{"end": hour(40)}, {"duration": "20h"}], ids=["end", "duration"])
def test_what_was_reclaimed_stays_reclaimed(window: Manifest) -> None:
    """One with a duration does not begin anew just because nothing of it is left; a later end asks again."""
    gone = holder(window=window, expiry=DELETING, grant={}, record=make_record(20, 40, admitted=False, a100=4))
    objects = [*CLUSTER, gone]
    for _ in range(3):
        plan = plan_of(objects, time(60))
        decision = plan.decisions["blue"]
        assert (decision.reclaimed, decision.course, decision.reason) == (True, Course.NOTHING, Reason.DATA_DELETED)
        assert times(decision)["end"] == 40
        assert plan.due is None
        objects = written_back(objects, plan)
    objects[-1]["spec"]["window"] = {"end": hour(90)} if "end" in window else {"duration": "70h"}
    again = plan_of(objects, time(60)).decisions["blue"]
    assert (again.met, again.reclaimed) == (True, False)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param({}, id="nothing more"),
        pytest.param({"window": {"end": hour(10)}}, id="an end before the start"),
        pytest.param({"window": {"end": hour(50)}}, id="a later end that is over as well"),
        pytest.param({"window": {"start": hour(45), "end": hour(50)}}, id="another start"),
        pytest.param({"expiry": {"grace": "9h", "retention": "0s", "deletionPolicy": "Delete"}}, id="another grace"),
        pytest.param({"expiry": {**DELETING, "workload": "Keep"}}, id="another treatment of pods"),
    ],
)
def test_the_window_of_what_was_reclaimed_says_what_was(edit: Manifest) -> None:
    """An end that was moved into the past took effect when it was seen; what is edited afterwards moves nothing."""
    record = make_record(20, 30, admitted=False, drain=33, delete=43, a100=4)
    objects = [*CLUSTER, holder(end=1, expiry=DELETING, grant={}, record=record)]
    for _ in range(3):
        plan = plan_of(objects, time(60))
        decision = plan.decisions["blue"]
        assert (decision.reclaimed, times(decision)) == (True, {"start": 20, "end": 30, "drain": 33})
        assert decision.message.startswith("ended 2021-04-15 21:00Z; namespaces and data were deleted")
        objects = written_back(objects, plan)
        objects[-1]["spec"] |= edit


def test_what_was_in_force_and_lost_its_namespaces_keeps_its_times() -> None:
    """Somebody deleted them; the end was moved before the start."""
    record = make_record(20, 30, admitted=False, drain=33, a100=4)
    gone = holder(end=1, expiry={"grace": "3h"}, grant={}, record=record)
    decision = decide([*CLUSTER, gone], now=time(60))
    assert (decision.passed, decision.reclaimed) == (True, False)
    assert times(decision) == {"start": 20, "end": 30, "drain": 33}


def test_a_promise_whose_end_is_moved_before_its_start_has_no_window() -> None:
    """It never was; a later end asks anew."""
    record = make_record(70, 90, admitted=False, promised={"a100": 4})
    objects = [*CLUSTER, holder(end=40, grant={}, record=record)]
    for _ in range(2):
        plan = plan_of(objects, time(60))
        decision = plan.decisions["blue"]
        assert (decision.passed, decision.window, decision.promised) == (True, None, None)
        assert decision.message == "ended 2021-04-16 07:00Z; nothing was granted; a later spec.window.end asks again"
        objects = written_back(objects, plan)
    objects[-1]["spec"]["window"] = {"end": hour(90)}
    assert plan_of(objects, time(60)).decisions["blue"].met


# -- notices


@pytest.mark.parametrize(
    ("notice", "now", "due"),
    [
        pytest.param(["10h", "2h"], 29.9, None, id="before the first"),
        pytest.param(["10h", "2h"], 30, 30, id="at the first"),
        pytest.param(["10h", "2h"], 39, 38, id="the last that is due counts"),
        pytest.param([], 39.9, None, id="an empty list is no notice"),
        pytest.param(None, 39.9, None, id="the defaults are longer than this window"),
        pytest.param(["20h"], 39, None, id="a notice as long as the window is none"),
    ],
)
def test_notices_are_given_before_the_end(notice: list[str] | None, now: float, due: float | None) -> None:
    """Each at its time before the end that was given."""
    expiry = NO_GRACE | ({"notice": notice} if notice is not None else {})
    assert in_hours(decide([*CLUSTER, holder(expiry=expiry)], now=time(now)).notice) == due


def test_default_notices_are_a_week_and_a_day() -> None:
    """As far as they are shorter than the window."""
    objects = [*CLUSTER, holder(end=400)]
    assert in_hours(decide(objects, now=time(300)).notice) == 400 - 168
    assert in_hours(decide(objects, now=time(376)).notice) == 376
    assert in_hours(decide([*CLUSTER, holder(end=120)], now=time(119)).notice) == 96
    assert plan_of(objects, time(300)).due == decide(objects, now=time(376)).notice


def test_an_extension_takes_a_notice_back() -> None:
    """The end is far again; while the extension waits, the notice stands."""
    extended = holder(window={"end": hour(90)}, expiry={"grace": "0s", "notice": ["20h"]})
    assert decide([*CLUSTER, extended]).notice is None
    wall = make_allocation(
        "wall", {"a100": 8}, window={"start": hour(40)}, status=make_record(40, admitted=False, promised={"a100": 8})
    )
    near = holder(window={"end": hour(90)}, expiry={"grace": "0s", "notice": ["18h"]})
    assert in_hours(decide([*CLUSTER, near, wall]).notice) == 22


# -- suspend and resume


def test_suspend_closes_and_gives_capacity_back() -> None:
    """Pods go at once, data stays; others get the devices when they are free, and the window runs on."""
    objects = [*CLUSTER, holder(suspend=True), other()]
    decision = decide(objects)
    assert (decision.course, decision.halt, decision.reason) == (Course.CLOSED, Halt.SUSPEND, Reason.SUSPENDED)
    assert (decision.evict, decision.grant) == (True, {A100: 4})
    assert decision.message == "suspended by spec.suspend; set it to false to ask again"
    assert times(decision) == {"start": 20, "end": 40, "drain": 24}
    assert "overdue" in decide(objects, "other").message
    drained = holder(suspend=True, grant={}, record=make_record(20, 40, drain=24, admitted=False, suspended=True))
    assert decide([*CLUSTER, drained, make_namespace(), other()], "other").met
    assert decide([*CLUSTER, drained, make_namespace()], now=time(41)).passed


def test_the_moment_of_suspension_stays() -> None:
    """Each round would move it otherwise, and the grace would never be over."""
    objects = [*CLUSTER, holder(suspend=True, expiry={"grace": "5h"})]
    first = plan_of(objects)
    later = plan_of(written_back(objects, first), time(26))
    assert times(later.decisions["blue"]) == times(first.decisions["blue"])


RESUMED = make_record(20, 40, drain=22, admitted=False, a100=4)


def test_a_resumed_allocation_asks_with_its_old_place() -> None:
    """Its creation counts, as long as it asks for no more than it had; its window is the old one."""
    objects = [*CLUSTER, holder(grant={}, record=RESUMED), make_namespace(), other()]
    plan = plan_of(objects)
    blue = plan.decisions["blue"]
    assert (blue.course, blue.met, blue.grant) == (Course.OPEN, True, {A100: 4})
    assert times(blue) == {"start": 20, "end": 40, "drain": 40}
    assert not plan.decisions["other"].met
    more = holder(devices=5, grant={}, record=RESUMED)
    assert plan_of([*CLUSTER, more, make_namespace(), other()]).decisions["other"].met


def test_a_resumed_allocation_waits_if_its_capacity_went_to_others() -> None:
    """It stays closed, and what it still holds goes on draining."""
    full = make_allocation(
        "full",
        {"a100": 6},
        grant={"accelerators": {"a100": 6}},
        window={"end": hour(30)},
        status=make_record(20, 30),
        expiry=NO_GRACE,
    )
    objects = [*CLUSTER, full, holder(grant={"accelerators": {"a100": 1}}, record=RESUMED)]
    objects[-1]["spec"]["accelerators"][0]["devices"] = 4
    first = plan_of(objects)
    decision = first.decisions["blue"]
    assert (decision.course, decision.met, decision.evict, decision.halt) == (Course.CLOSED, False, True, Halt.NO)
    assert decision.queue is not None
    assert in_hours(decision.queue.earliest) == 30
    assert plan_of(written_back(objects, first)).decisions["blue"].evict, "also after it was written"


def test_a_suspended_allocation_takes_no_more_time_by_asking_for_a_later_end() -> None:
    """The later end is asked for when it is resumed, as a whole; until then nothing is held beyond the old one."""
    stored = make_allocation(
        "blue",
        {"a100": 1},
        {"lustre": "8Ti"},
        suspend=True,
        window={"end": hour(90)},
        expiry={"grace": "0s", "retention": "0s", "deletionPolicy": "Delete"},
        grant={"storage": {"lustre": "8Ti"}},
        status=make_record(20, 40, drain=22, admitted=False, suspended=True),
    )
    promised = make_allocation(
        "next",
        storage={"lustre": "8Ti"},
        window={"start": hour(40)},
        status=make_record(40, admitted=False) | {"promised": {"storage": {"lustre": "8Ti"}}},
    )
    objects = [*CLUSTER, make_storage_pool(capacity="8Ti"), stored, promised]
    plan = plan_of(objects)
    assert times(plan.decisions["blue"])["end"] == 40
    assert plan.pools[LUSTRE].short_from is None
    stored["spec"]["suspend"] = False
    resumed = plan_of(objects).decisions["blue"]
    assert not resumed.met
    assert resumed.message.startswith("extension to 2021-04-18 09:00Z does not fit: needs 8Ti of lustre, 0 available")


def test_a_new_request_that_is_suspended_is_not_in_line() -> None:
    """It takes nothing from anybody, and is told how to ask."""
    objects = [*CLUSTER, make_allocation("blue", {"a100": 8}, suspend=True), other()]
    plan = plan_of(objects)
    assert (plan.decisions["blue"].reason, plan.decisions["blue"].course) == (Reason.SUSPENDED, Course.NOTHING)
    assert plan.decisions["other"].met


def test_compute_alone_can_be_suspended_and_resumed() -> None:
    """Its namespace shows that it was in force, and it needs no capacity to go on."""
    fields: Manifest = {"compute": {"cpu": "4"}, "status": make_record(20, admitted=False, drain=22)}
    assert decide([make_allocation(suspend=True, **fields), make_namespace()]).course is Course.CLOSED
    assert decide([make_allocation(**fields), make_namespace()]).met


# -- HoldAndDrain

DRAINING = [make_accelerator_pool(stopPolicy="HoldAndDrain"), make_node(devices=8)]


def test_hold_and_drain_suspends_with_the_grace() -> None:
    """As at the end: no new pods, eviction after the grace; the message says that it goes on by itself."""
    objects = [*DRAINING, holder(expiry={"grace": "3h"})]
    decision = decide(objects)
    assert (decision.course, decision.halt, decision.reason) == (Course.CLOSED, Halt.POOL, Reason.POOL_ON_HOLD)
    assert decision.message == "a100 is being drained (stopPolicy HoldAndDrain); it goes on by itself after that"
    assert (decision.evict, times(decision)["drain"]) == (False, 27)
    written = written_back(objects, plan_of(objects))
    assert not decide(written, now=time(26.9)).evict
    assert decide(written, now=time(27)).evict


def test_one_that_was_drained_stays_suspended_until_the_pool_is_open() -> None:
    """Also when nothing is charged any more; then it has its devices again."""
    gone = holder(grant={}, record=make_record(20, 40, drain=22, admitted=False, suspended=True, a100=4))
    held = decide([*DRAINING, gone, make_namespace()])
    assert (held.halt, held.course) == (Halt.POOL, Course.CLOSED)
    assert decide([*CLUSTER, gone, make_namespace()]).met


def test_asking_for_a_pool_that_is_drained_costs_nothing_that_is_held() -> None:
    """A first share of it waits; what is held of another pool runs on."""
    npu = [make_accelerator_pool("npu", "furiosa.ai/npu", stopPolicy="HoldAndDrain")]
    npu += make_nodes(1, "npu", devices=4, resource="furiosa.ai/npu")
    wish = make_allocation("blue", {"a100": 4, "npu": 1}, grant={"accelerators": {"a100": 4}}, status=make_record(20))
    decision = decide([*CLUSTER, *npu, wish])
    assert (decision.course, decision.halt, decision.reason) == (Course.OPEN, Halt.NO, Reason.POOL_ON_HOLD)


# -- what cannot be read


def test_what_is_held_stays_while_the_spec_cannot_be_read() -> None:
    """Nothing says when it ends, so nothing is foreseen behind it; nobody is evicted."""
    broken = holder(end=30)
    broken["spec"]["priority"] = "high"
    for now in (24, 50):
        plan = plan_of([*CLUSTER, broken, other()], time(now))
        blue = plan.decisions["blue"]
        assert (blue.course, blue.reason, blue.grant) == (Course.OPEN, Reason.MISCONFIGURED, {A100: 4})
        queue = plan.decisions["other"].queue
        assert queue is not None
        assert queue.earliest is None
        assert "overdue" not in plan.decisions["other"].message


def test_what_is_closed_stays_closed_while_the_spec_cannot_be_read() -> None:
    """An unreadable spec opens no namespace again, and deletes no data."""
    broken = holder(record=make_record(10, 20, admitted=False, drain=20), expiry=DELETING)
    broken["spec"]["priority"] = "high"
    decision = decide([*CLUSTER, broken], now=time(9_999))
    assert (decision.course, decision.reason, decision.evict) == (Course.CLOSED, Reason.MISCONFIGURED, False)
    assert times(decision) == {"start": 10, "end": 20, "drain": 20}


def test_a_lost_window_is_read_from_the_spec() -> None:
    """Status is gone, quotas tell what is held: it goes on, and its end is that of the spec."""
    lost = make_allocation("blue", {"a100": 4}, window={"end": hour(40)}, expiry=NO_GRACE)
    decision = decide([*CLUSTER, lost, *make_held("blue", {GPU: 4})])
    assert (decision.course, decision.met, times(decision)["end"]) == (Course.OPEN, True, 40)
