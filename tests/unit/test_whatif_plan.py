"""What would be: changed clusters, later times, and two plans beside each other."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bitgoeul.api.conditions import Phase, Reason
from bitgoeul.errors import UserError
from bitgoeul.planning.moments import day, moment
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import accelerator
from bitgoeul.planning.snapshot import Observed, Snapshot
from bitgoeul.whatif.changes import LAST_APPLIED, as_applied, change, made_up
from bitgoeul.whatif.comparison import Comparison, Shortage, compare, outcomes
from bitgoeul.whatif.future import carry_over, open_snapshot, play, settled
from bitgoeul.whatif.manifests import Manifest
from tests.unit.builders import (
    GPU,
    NOW,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_node,
    make_storage_pool,
    observe,
)
from tests.unit.builders import Manifest as Obj

A100 = accelerator("a100")
DAY = timedelta(days=1)
AT_ONCE = {"grace": "0s"}  # devices come free at the end
# 8 devices. ``held`` has 6 of them for 30 days from now on; ``waits`` wants 4 and has to wait for it.
POOL = make_accelerator_pool("a100")
NODE = make_node()


def window(start_days: float = 0, end_days: float | None = None) -> Obj:
    ends = {} if end_days is None else {"end": (NOW + end_days * DAY).isoformat()}
    return {"start": (NOW + start_days * DAY).isoformat(), **ends}


def active(name: str, devices: int, days: float, created: int = 0, **spec: Any) -> list[Obj]:
    """An allocation in force, with its namespace."""
    obj = make_allocation(
        name, {"a100": devices}, created=created, grant={"accelerators": {"a100": devices}},
        window=window(0, days), expiry=AT_ONCE, **spec,
    )  # fmt: skip
    obj["status"] |= {
        "window": {"start": NOW.isoformat(), "end": (NOW + days * DAY).isoformat()},
        "conditions": [{"type": "Admitted", "status": "True"}],
    }
    return [obj, *make_held(name, {GPU: devices}, pools=["a100"])]


def waiter(name: str, devices: int, created: int, **spec: Any) -> Obj:
    return make_allocation(name, {"a100": devices}, created=created, expiry=AT_ONCE, **spec)


CLUSTER = [
    POOL,
    NODE,
    *active("held", 6, 30),
    waiter("waits", 4, created=1, window={"duration": "240h"}),
    waiter("small", 2, created=2, window={"duration": "240h"}),
]


def manifest(obj: Obj, **spec: Any) -> Manifest:
    """The object as a file would have it, changed."""
    return Manifest("file", obj["kind"], obj["metadata"]["name"], {**obj["spec"], **spec})


def live(objects: Iterable[Obj]) -> dict[tuple[str, str], Obj]:
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}


def answer(objects: list[Obj], *manifests: Manifest) -> Comparison:
    """What the objects of files would change."""
    observed = observe(objects)
    changed = change(observed, manifests, live(objects), NOW)
    subjects = [one.name for one in manifests if one.kind == "TenantAllocation"]
    before, (snapshot, plan) = planned(observed), planned(changed)
    given_back = settled(snapshot, plan, before[0])
    return compare(before, (given_back, make_plan(given_back)), subjects, whole=changed == observed)


def planned(observed: Observed) -> Any:
    snapshot = open_snapshot(observed, NOW, NOW)
    return snapshot, make_plan(snapshot)


def told(comparison: Comparison) -> dict[str, tuple[str, str]]:
    """What stands before and after, by name."""
    return {row.name: (row.before.text if row.before else "new", row.after.text) for row in comparison.rows}


def date_in(days: float) -> str:
    return day(moment(NOW + days * DAY))


@pytest.mark.parametrize(
    ("noted", "wanted", "spec"),
    [
        pytest.param({"a": 1}, {"a": 2}, {"a": 2, "since": 1, "deep": {"b": 1, "c": 2}}, id="what others set stays"),
        pytest.param({"a": 1, "since": 0}, {"a": 1}, {"a": 1, "deep": {"b": 1, "c": 2}}, id="what was said goes"),
        pytest.param(
            {"deep": {"b": 1}}, {"deep": {"d": 3}}, {"a": 1, "since": 1, "deep": {"c": 2, "d": 3}}, id="below"
        ),
        pytest.param({"deep": [1, 2]}, {"deep": [3]}, {"a": 1, "since": 1, "deep": [3]}, id="a list as a whole"),
        pytest.param(None, {"a": 2}, {"a": 2}, id="never applied so"),
        pytest.param("nonsense", {"a": 2}, {"a": 2}, id="an annotation that says nothing"),
    ],
)
def test_a_file_is_merged_as_kubectl_merges_it(noted: Any, wanted: Obj, spec: Obj) -> None:
    """By what it said the last time, and what somebody has changed since."""
    annotations = {} if noted is None else {LAST_APPLIED: json.dumps({"spec": noted})}
    present = {"metadata": {"annotations": annotations}, "spec": {"a": 1, "since": 1, "deep": {"b": 1, "c": 2}}}
    file = Manifest("file", "TenantAllocation", "blue", wanted)
    assert as_applied(file, present).spec == spec
    assert as_applied(file, None) is file


def test_without_a_change_all_who_wait_are_shown() -> None:
    """And nobody is delayed; who has what it asks for, or gets it at once, is left out."""
    found = answer(CLUSTER)
    waits = f"waits until {date_in(30)}"
    assert told(found) == {"waits": (waits, waits)}
    assert found.summary == "nobody is delayed"


@pytest.mark.parametrize(
    ("spec", "starts"),
    [
        pytest.param({"suspend": True}, True, id="suspended"),
        pytest.param({"suspend": True, "expiry": {**AT_ONCE, "workload": "Keep"}}, False, id="suspended, pods stay"),
        pytest.param({"window": {"end": (NOW - DAY).isoformat()}}, True, id="ended"),
        pytest.param(
            {"window": {"end": (NOW - DAY).isoformat()}, "expiry": {"grace": "24h"}}, False, id="in its grace"
        ),
    ],
)
def test_what_a_change_takes_at_once_is_free(spec: Obj, starts: bool) -> None:
    """Nobody has tried to evict yet: pods that are asked go, and do not count as overdue."""
    found = answer(CLUSTER, manifest(CLUSTER[2], **spec))
    assert told(found).get("waits", ("", ""))[1].startswith("starts now") is starts
    assert found.later == 0


@pytest.mark.parametrize(("spec", "starts"), [({"suspend": True}, True), ({"window": window(-2, -1)}, False)])
def test_while_clocks_differ_no_end_gives_anything_back(spec: Obj, starts: bool) -> None:
    """A suspension is somebody's word, and is acted on."""
    observed = observe(CLUSTER)
    changed = change(observed, [manifest(CLUSTER[2], **spec)], live(CLUSTER), NOW)
    before, (snapshot, plan) = planned(observed), planned(replace(changed, clocks_differ=True))
    after = outcomes(snapshot, make_plan(settled(snapshot, plan, before[0])))
    assert (after["waits"].phase is Phase.ACTIVE) is starts


def test_what_hangs_already_stays_held() -> None:
    """Only what the change asks back is reckoned to come."""
    held, *rest = active("held", 6, -1)
    cluster = [POOL, NODE, held, *rest, waiter("waits", 4, created=1, window={"duration": "240h"})]
    found = answer(cluster, manifest(held, priority=1))
    assert "waits" not in told(found)


@pytest.mark.parametrize(("used", "starts"), [(3, True), (6, False)])
def test_a_shrink_gives_back_what_is_not_in_use(used: int, starts: bool) -> None:
    """What pods use goes after the grace, at a time that plans do not know."""
    [held, *_] = active("held", 6, 30)
    there = make_held("held", {GPU: 6}, {GPU: used}, pools=["a100"])
    cluster = [POOL, NODE, held, *there, waiter("waits", 4, created=1, window={"duration": "240h"})]
    found = answer(cluster, manifest(held, accelerators=[{"pool": "a100", "devices": 4}]))
    assert told(found).get("waits", ("", ""))[1].startswith("starts now") is starts


def test_a_new_allocation_that_goes_first_delays_those_behind() -> None:
    """The rows say by how much, and the last line how many."""
    big = manifest(waiter("big", 8, 0), priority=500, window={"duration": "240h"})
    found = answer(CLUSTER, big)
    assert told(found) == {
        "big": ("new", f"waits until {date_in(30)}"),
        "waits": (f"waits until {date_in(30)}", f"waits until {date_in(40)}"),
    }
    moved = found.rows[1]
    assert (moved.moves, moved.later, moved.earlier) == (10 * 86_400_000, True, False)
    assert found.summary == "1 starts later"


def test_a_new_allocation_at_the_end_delays_nobody() -> None:
    """It takes its place behind all who ask already."""
    found = answer(CLUSTER, manifest(waiter("late", 8, 0)))
    assert told(found) == {"late": ("new", f"waits until {date_in(40)}")}
    assert found.summary == "nobody is delayed"


def test_a_changed_allocation_keeps_what_it_has() -> None:
    """Its status, age and identity are those of the live object: a later end goes before those who came later."""
    found = answer(CLUSTER, manifest(CLUSTER[2], window=window(0, 60)))
    assert told(found) == {
        "held": (f"Active until {date_in(30)}", f"Active until {date_in(60)}"),
        "waits": (f"waits until {date_in(30)}", f"waits until {date_in(60)}"),
    }
    assert found.summary == "1 starts later"


def test_growth_that_has_to_wait_is_told_beside_what_is_held() -> None:
    """One that has something keeps it, and moves for nobody."""
    found = answer(CLUSTER, manifest(CLUSTER[2], accelerators=[{"pool": "a100", "devices": 9}]))
    refused = f"Active until {date_in(30)}, change refused: ExceedsPoolCapacity"
    assert told(found) == {"held": (f"Active until {date_in(30)}", refused)}
    assert found.summary == "nobody is delayed, 1 is refused"
    grown = answer(
        [POOL, NODE, *active("held", 4, 30), *active("other", 4, 5)],
        manifest(CLUSTER[2], accelerators=[{"pool": "a100", "devices": 8}]),
    )
    assert told(grown)["held"][1] == f"Active until {date_in(30)}, more waits until {date_in(5)}"
    assert grown.summary == "nobody is delayed"


def test_an_edited_stage_moves_an_earliest_start() -> None:
    """More capacity from a date on lets somebody start then."""
    stages = [
        {"name": "now", "from": window(-1)["start"], "devices": 8},
        {"name": "more", "from": window(5)["start"], "devices": 16},
    ]
    found = answer(CLUSTER, manifest(POOL, stages=stages))
    assert told(found) == {"waits": (f"waits until {date_in(30)}", f"waits until {date_in(5)}")}
    assert (found.rows[0].moves, found.summary) == (-25 * 86_400_000, "nobody is delayed, 1 starts earlier")


def test_a_smaller_stage_names_the_pool_that_is_short() -> None:
    """What is held reaches into a time in which there is less."""
    stages = [
        {"name": "now", "from": window(-1)["start"], "devices": 8},
        {"name": "less", "from": window(5)["start"], "devices": 4},
    ]
    promised = waiter("later", 1, 0, window=window(3, 8))
    promised["status"] = {"promised": {"accelerators": {"a100": 1}}, "window": window(3, 8)}
    found = answer([*CLUSTER, promised], manifest(POOL, stages=stages))
    [short] = found.shortages
    assert (short.pool, short.since, short.amount) == (A100, moment(NOW + 5 * DAY), 3)
    assert short.hurts == ("later",)
    assert found.summary == "1 starts later, 1 promised start may be late, 1 pool is overcommitted"


def nodes_that_do_not_exist() -> Obj:
    return {"nodeSelector": {"example.org/none": "true"}}


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        pytest.param({"reserve": 6}, 2, id="a higher reserve"),
        pytest.param(nodes_that_do_not_exist(), 0, id="nodes that do not exist"),
    ],
)
def test_a_pool_that_leaves_more_granted_than_there_is_says_so(changes: Obj, there: int) -> None:
    """From now on, although nothing is promised and no stage is planned."""
    objects = [POOL, NODE, *active("held", 6, 30)]
    found = answer(objects, manifest(POOL, **changes))
    assert found.shortages == (Shortage(A100, moment(NOW), 6 - there, (), there),)
    assert found.summary == "nobody is delayed, 1 pool is overcommitted"


def test_what_is_granted_beyond_what_there_is_already_is_not_told() -> None:
    """The edit has not brought it; what makes it worse has."""
    pool = manifest(POOL, reserve=6).spec
    objects = [{**POOL, "spec": pool}, NODE, *active("held", 6, 30)]
    assert answer(objects, manifest({**POOL, "spec": pool}, vendor="Example")).shortages == ()
    assert answer(objects, manifest(POOL, reserve=2)).shortages == ()
    [worse] = answer(objects, manifest(POOL, reserve=7)).shortages
    assert (worse.amount, worse.there) == (5, 1)


def test_promised_starts_that_a_pool_may_delay_are_no_reassurance() -> None:
    """Their dates stay, so that no row moves, and still nobody says that none is delayed."""
    promised = waiter("later", 1, 0, window=window(3, 8))
    promised["status"] = {"promised": {"accelerators": {"a100": 1}}, "window": window(3, 8)}
    objects = [POOL, NODE, *active("held", 6, 30), promised]
    now, then = answer(objects, manifest(POOL, reserve=6)).shortages
    assert now == Shortage(A100, moment(NOW), 4, ("later",), 2)
    assert then == Shortage(A100, moment(NOW), 5, ("later",))
    found = answer(objects, manifest(POOL, reserve=6))
    assert found.summary == "1 promised start may be late, 1 pool is overcommitted"


def test_a_pool_that_is_short_now_and_no_more_later_is_told_once() -> None:
    """What is promised for when the holder is gone adds nothing."""
    promised = waiter("later", 1, 0, window=window(31, 38))
    promised["status"] = {"promised": {"accelerators": {"a100": 1}}, "window": window(31, 38)}
    found = answer([POOL, NODE, *active("held", 6, 30), promised], manifest(POOL, reserve=6))
    assert found.shortages == (Shortage(A100, moment(NOW), 4, (), 2),)
    assert found.summary == "nobody is delayed, 1 pool is overcommitted"


def test_a_new_pool_is_not_held_back_by_quotas_that_do_not_name_it() -> None:
    """That passes within seconds of its being made, and is not what is asked about."""
    pool = make_accelerator_pool("npu", "furiosa.ai/npu")
    objects = [*CLUSTER, make_node("npu-1", "npu", 4, "furiosa.ai/npu")]
    found = answer(objects, manifest(pool), manifest(make_allocation("blue", {"npu": 4})))
    assert told(found)["blue"] == ("new", "starts now")


def test_what_would_be_refused_is_counted() -> None:
    """With the reason in the row."""
    found = answer(CLUSTER, manifest(waiter("huge", 99, 0)))
    assert told(found) == {"huge": ("new", f"refused: {Reason.EXCEEDS_POOL_CAPACITY}")}
    assert found.summary == "nobody is delayed, 1 is refused"


@pytest.mark.parametrize(
    ("others", "name"),
    [
        pytest.param([], "what-if", id="the name is free"),
        pytest.param([waiter("what-if", 1, 0)], "what-if-2", id="an allocation has it"),
        pytest.param(make_held("what-if", {}, owner=""), "what-if-2", id="a namespace has it"),
    ],
)
def test_a_made_up_allocation_takes_nobodys_name(others: list[Obj], name: str) -> None:
    """It must be new, or the question would be another one."""
    objects = [*CLUSTER, *others]
    made = made_up(observe(objects), "a100", 2, "24h")
    assert made.name == name
    found = answer(objects, made)
    assert found.rows[0].before is None
    assert found.rows[0].after.phase is not Phase.REFUSED


# -- a later time


def outcomes_at(objects: list[Obj], days: float) -> dict[str, str]:
    """What holds for everybody so many days from now."""
    snapshot = play(observe(objects), NOW, NOW + days * DAY, NOW)
    return {name: found.text for name, found in outcomes(snapshot, make_plan(snapshot)).items()}


def test_time_passes_by_the_same_planner() -> None:
    """Who waits starts when an earlier grant ends, and what ends is given back."""
    day_31 = outcomes_at(CLUSTER, 31)
    assert day_31["held"] == Phase.EXPIRED
    assert day_31["waits"] == f"{Phase.ACTIVE} until {date_in(40)}"
    assert day_31["small"] == Phase.EXPIRED
    day_41 = outcomes_at(CLUSTER, 41)
    assert day_41["waits"] == Phase.EXPIRED


@pytest.mark.parametrize(
    "first",
    [
        pytest.param({"grant": {"storage": {"lustre": "60Ti"}}}, id="one in force today"),
        pytest.param({}, id="one that begins today"),
    ],
)
def test_data_is_deleted_on_the_way(first: dict[str, Any]) -> None:
    """With deletionPolicy Delete its storage is free again after the retention, and never before."""
    expiry = {"grace": "0s", "retention": "240h", "deletionPolicy": "Delete"}
    ends = make_allocation("ends", storage={"lustre": "60Ti"}, window={"duration": "240h"}, expiry=expiry, **first)
    if first:
        ends["status"] |= {
            "window": window(0, 10) | {"dataDeleteAt": (NOW + 20 * DAY).isoformat()},
            "conditions": [{"type": "Admitted", "status": "True"}],
        }
    objects = [make_storage_pool(), ends, make_allocation("next", storage={"lustre": "50Ti"}, created=1)]
    assert outcomes_at(objects, 19) == {"ends": Phase.EXPIRED, "next": f"waits until {date_in(20)}"}
    assert outcomes_at(objects, 21) == {"ends": Phase.RECLAIMED, "next": Phase.ACTIVE}


def test_what_is_overdue_stays_held() -> None:
    """As the planner reckons: nobody knows when it comes free."""
    overdue = [POOL, NODE, *active("held", 6, -1), waiter("waits", 4, created=1)]
    assert outcomes_at(overdue, 10)["waits"] == "waits, no start known"


def test_by_a_later_time_clocks_that_differ_are_set() -> None:
    """What is held up today goes, and patience does not last for ever."""
    observed = replace(observe([POOL, NODE, *active("blue", 8, 1)]), clocks_differ=True)
    until = NOW + 2 * DAY
    past = play(observed, NOW, until, NOW)
    assert not past.clocks_differ
    assert not carry_over(open_snapshot(observed, until, NOW), past).clocks_differ


def test_a_stage_begins_on_the_way() -> None:
    """With the nodes of today: a stage alone adds no device that can be granted."""
    stages = [
        {"name": "now", "from": window(-1)["start"], "devices": 2},
        {"name": "more", "from": window(5)["start"], "devices": 8},
    ]
    objects = [make_accelerator_pool("a100", stages=stages), NODE, waiter("waits", 4, created=1)]
    assert outcomes_at(objects, 4)["waits"] == f"waits until {date_in(5)}"
    assert outcomes_at(objects, 6)["waits"] == "Active"


def test_a_question_about_later_is_asked_then() -> None:
    """What was free by then is free for the new one."""
    observed = observe(CLUSTER)
    until = NOW + 50 * DAY
    past = play(observed, NOW, until, NOW)
    changed = change(observed, [made_up(observed, "a100", 8, None)], {}, NOW)
    asked = carry_over(open_snapshot(changed, until, NOW), past)
    assert outcomes(asked, make_plan(asked))["what-if"].text == "starts now"


def test_too_much_to_play_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with the time that was reached."""
    monkeypatch.setattr("bitgoeul.whatif.future.MAX_STEPS", 1)
    with pytest.raises(UserError, match="too much happens until then: 1 changes by"):
        play(observe(CLUSTER), NOW, NOW + 50 * DAY, NOW)


def test_playing_no_time_changes_nothing() -> None:
    """The snapshot of now is the one that the planner sees."""
    observed = observe(CLUSTER)
    snapshot: Snapshot = play(observed, NOW, NOW, NOW)
    assert outcomes(snapshot, make_plan(snapshot))["waits"].text == f"waits until {date_in(30)}"
