"""Figures of pools and allocations: what is shown of a state, what adds up, and what goes when its object goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitgoeul.metrics.collector import SOURCES, State
from bitgoeul.planning.allocations import total
from bitgoeul.planning.pools import PoolKind, accelerator, storage
from tests.unit.builders import (
    GPU,
    NOW,
    Manifest,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_node,
    make_nodes,
    make_storage_pool,
    plan_of,
    written_back,
)
from tests.unit.metrics_states import Labels, Shown, make_state, of, shown
from tests.unit.planning_clusters import clusters

TIB = 2**40

A100 = of(pool="a100", resource=GPU)
LUSTRE = of(pool="lustre", storage_class="lustre")
DEVICES = (
    "installed",
    "highest",
    "schedulable",
    "reserved",
    "effective",
    "granted",
    "scheduled",
    "available",
    "in_use",
    "waiting",
)
BYTES = ("installed", "reserved", "effective", "granted", "scheduled", "retained", "available", "in_use", "waiting")
PILOT = {"name": "pilot", "from": "2021-02-15T00:00:00Z", "devices": 12}
FULL = {"name": "full", "from": "2024-01-01T00:00:00Z", "devices": 80}


def pool_figures(series: Shown, prefix: str, words: tuple[str, ...], unit: str, pool: Labels) -> dict[str, float]:
    """Figures of one pool by their words."""
    return {word: series[f"{prefix}_{word}_{unit}"][pool] for word in words}


def test_a_pool_shows_where_its_devices_are() -> None:
    """Every figure of the status is there, under the status's own word."""
    nodes = [
        make_node("a"),
        make_node("b"),
        make_node("c", healthy=6),
        make_node("d", ready=False),
        make_node("e", cordoned=True, devices=4),
        make_node("f", taints=["sick:NoSchedule"], devices=3),
    ]
    tenants = [
        make_allocation("blue", {"a100": 16}),
        make_allocation("green", {"a100": 8}, created=1),
        *make_held("blue", {GPU: 16}, {GPU: 5}),
    ]
    series = shown(make_state([make_accelerator_pool(reserve=2), *nodes, *tenants]))
    assert pool_figures(series, "bitgoeul_pool", DEVICES, "devices", A100) == {
        "installed": 39,
        "highest": 39,
        "schedulable": 22,
        "reserved": 2,
        "effective": 20,
        "granted": 16,
        "scheduled": 0,
        "available": 4,
        "in_use": 5,
        "waiting": 8,
    }
    assert series["bitgoeul_pool_unavailable_devices"] == {
        of(pool="a100", resource=GPU, reason="NotReady"): 8,
        of(pool="a100", resource=GPU, reason="Cordoned"): 4,
        of(pool="a100", resource=GPU, reason="Tainted"): 3,
        of(pool="a100", resource=GPU, reason="Unhealthy"): 2,
    }
    assert series["bitgoeul_pool_nodes"] == {
        of(pool="a100", state="Ready"): 3,
        of(pool="a100", state="NotReady"): 1,
        of(pool="a100", state="Cordoned"): 1,
        of(pool="a100", state="Tainted"): 1,
    }


def test_a_pool_shows_what_it_is_made_of() -> None:
    """Labels for joins; what is not said is empty."""
    pools = [make_accelerator_pool("a100", vendor="NVIDIA", product="A100-SXM4-80GB"), make_accelerator_pool("h100")]
    info = shown(make_state(pools))["bitgoeul_pool_info"]
    assert info == {
        of(pool="a100", resource=GPU, type="GPU", vendor="NVIDIA", product="A100-SXM4-80GB", region=""): 1,
        of(pool="h100", resource=GPU, type="GPU", vendor="", product="", region=""): 1,
    }


def test_a_pool_shows_where_it_stands_in_its_plan() -> None:
    """The stage in force, what it plans, and when the next one begins; nothing of that without a plan."""
    stage = {"name": "late", "from": "2022-06-01T00:00:00Z", "capacity": "2Ti"}
    objects = [
        make_accelerator_pool(stages=[PILOT, FULL], reserve=2),
        make_accelerator_pool("npu", "furiosa.ai/npu"),
        make_storage_pool(stages=[stage], capacity="1Ti"),
        *make_nodes(3),
    ]
    series = shown(make_state(objects))
    assert series["bitgoeul_pool_stage_info"] == {of(pool="a100", stage="pilot"): 1}
    assert series["bitgoeul_pool_next_stage_timestamp_seconds"] == {
        of(pool="a100", stage="full"): seconds(FULL["from"])
    }
    assert series["bitgoeul_pool_planned_devices"] == {A100: 12}
    assert series["bitgoeul_pool_effective_devices"][A100] == 10
    assert "bitgoeul_storage_pool_stage_info" not in series
    assert series["bitgoeul_storage_pool_next_stage_timestamp_seconds"] == {
        of(pool="lustre", stage="late"): seconds(stage["from"])
    }
    assert series["bitgoeul_storage_pool_planned_bytes"] == {LUSTRE: TIB}


def seconds(text: object) -> float:
    """A moment in seconds since 1970."""
    return datetime.fromisoformat(str(text)).timestamp()


def test_petaflops_are_the_devices_times_their_worth() -> None:
    """Absent, not 0, for a pool that does not say what a device is worth."""
    objects = [
        make_accelerator_pool("a100", petaflopsPerDevice="0.0195"),
        make_accelerator_pool("npu", "furiosa.ai/npu"),
        *make_nodes(35),
        make_allocation("blue", {"a100": 8}),
    ]
    series = shown(make_state(objects))
    assert series["bitgoeul_pool_effective_petaflops"] == {of(pool="a100"): pytest.approx(5.46)}
    assert series["bitgoeul_pool_granted_petaflops"] == {of(pool="a100"): pytest.approx(0.156)}


def test_storage_shows_what_is_kept_of_the_deleted() -> None:
    """Retained bytes are neither granted nor available."""
    objects = [
        make_storage_pool(reserve="10Ti"),
        make_allocation("blue", storage={"lustre": "50Ti"}),
        make_allocation("green", storage={"lustre": "40Ti"}, created=1),
        *make_held("blue", {"lustre": 50 * TIB}, {"lustre": 12 * TIB}),
        *make_held("gone", {"lustre": 5 * TIB}, retained=True),
    ]
    figures = pool_figures(shown(make_state(objects)), "bitgoeul_storage_pool", BYTES, "bytes", LUSTRE)
    assert {word: number / TIB for word, number in figures.items()} == {
        "installed": 100,
        "reserved": 10,
        "effective": 90,
        "granted": 50,
        "scheduled": 0,
        "retained": 5,
        "available": 35,
        "in_use": 12,
        "waiting": 40,
    }


def test_lost_capacity_shows_as_less_than_nothing_available() -> None:
    """An alert can see over-commitment."""
    objects = [
        make_accelerator_pool(),
        make_node(ready=False),
        make_allocation("blue", {"a100": 8}, grant={"accelerators": {"a100": 8}}),
    ]
    assert shown(make_state(objects))["bitgoeul_pool_available_devices"][A100] == -8


def test_waiters_are_counted_by_reason() -> None:
    """Every reason is always there, also with 0, and one that is refused does not wait."""
    objects = [
        make_accelerator_pool(),
        make_storage_pool(),
        make_node(),
        make_allocation("first", {"a100": 6}),
        make_allocation("second", {"a100": 6}, created=1),
        make_allocation("third", {"a100": 1}, created=2),
        make_allocation("refused", {"a100": 9}, created=3),
        make_allocation("later", {"a100": 3}, created=4, window={"start": "2021-06-01T00:00:00Z"}),
    ]
    series = shown(make_state(objects))
    assert series["bitgoeul_pool_waiting_allocations"] == {
        of(pool="a100", reason="WindowNotOpen"): 1,
        of(pool="a100", reason="WaitingForCapacity"): 1,
        of(pool="a100", reason="BlockedByEarlier"): 1,
    }
    assert set(series["bitgoeul_storage_pool_waiting_allocations"].values()) == {0}


def test_a_pool_shows_what_will_be_available() -> None:
    """A day, a week and a month ahead: by ends, promised starts and stages, without those who wait."""
    late = {"name": "late", "from": "2021-05-10T00:00:00Z", "devices": 40}
    objects = [
        make_accelerator_pool(stages=[PILOT | {"devices": 16}, late], reserve=2),
        *make_nodes(2),
        make_allocation("blue", {"a100": 8}, window={"end": "2021-04-20T00:00:00Z"}, expiry={"grace": "0s"}),
        make_allocation("green", {"a100": 4}, created=1),
        make_allocation("red", {"a100": 3}, created=2, window={"start": "2021-05-05T00:00:00Z"}),
        make_allocation("waits", {"a100": 14}, created=3),
    ]
    series = shown(make_state(objects))
    assert series["bitgoeul_pool_available_devices"][A100] == 2
    assert series["bitgoeul_pool_forecast_available_devices"] == {
        of(pool="a100", resource=GPU, horizon="1d"): 2,
        of(pool="a100", resource=GPU, horizon="7d"): 10,
        of(pool="a100", resource=GPU, horizon="30d"): 31,
    }


def test_storage_that_is_kept_is_not_foreseen_to_come_back() -> None:
    """Nobody knows when somebody deletes it."""
    objects = [make_storage_pool(reserve="10Ti"), *make_held("gone", {"lustre": 5 * TIB}, retained=True)]
    forecast = shown(make_state(objects))["bitgoeul_storage_pool_forecast_available_bytes"]
    assert set(forecast.values()) == {85 * TIB}
    assert len(forecast) == 3


def test_an_allocation_shows_how_many_namespaces_it_has() -> None:
    """Those that there are, not those that are asked for."""
    objects = [
        make_accelerator_pool(),
        make_node(),
        make_allocation("blue", {"a100": 8}),
        make_allocation("green", {"a100": 8}, created=1),
        *make_held("blue", {GPU: 8}),
    ]
    namespaces = shown(make_state(objects))["bitgoeul_allocation_namespaces"]
    assert namespaces == {of(allocation="blue"): 1, of(allocation="green"): 0}


def test_an_allocation_shows_who_is_behind_it() -> None:
    """One series joins the name to the organisation."""
    organization = {"name": "Sarangbang Motors", "class": "Startup", "sector": "Automotive", "region": "honam"}
    info = shown(make_state([make_allocation("blue", organization=organization, priority=300)]))
    assert info["bitgoeul_allocation_info"] == {
        of(
            allocation="blue",
            organization="Sarangbang Motors",
            **{"class": "Startup"},
            sector="Automotive",
            region="honam",
            priority="300",
        ): 1
    }


def test_clusterroles_that_members_are_given_are_counted() -> None:
    """Of those that are allowed, and while the grant is in force."""
    members = [
        {"kind": "User", "name": "ara", "role": "edit", "clusterRoles": ["ray-user", "jobset-user"]},
        {"kind": "User", "name": "bom", "role": "view", "clusterRoles": ["ray-user"]},
        {"kind": "User", "name": "cho", "role": "admin"},
    ]
    objects = [
        make_accelerator_pool(),
        *make_nodes(1),
        make_allocation("blue", {"a100": 8}, members=members, grant={"accelerators": {"a100": 8}}),
        make_allocation("waits", {"a100": 8}, members=members),
    ]
    series = shown(make_state(objects, allowed_roles=frozenset({"ray-user"})))
    assert series["bitgoeul_allocation_cluster_role_members"] == {of(allocation="blue", cluster_role="ray-user"): 2}


def test_a_pod_security_level_other_than_the_default_is_shown() -> None:
    """With its reason, and only of those that are in force."""
    rdma = {"level": "privileged", "reason": "RDMA needs IPC_LOCK"}
    objects = [
        make_accelerator_pool(),
        *make_nodes(2),
        make_allocation("blue", {"a100": 8}, podSecurity=rdma, grant={"accelerators": {"a100": 8}}),
        make_allocation("green", {"a100": 4}, podSecurity={"level": "restricted"}, grant={"accelerators": {"a100": 4}}),
        make_allocation("plain", {"a100": 4}, grant={"accelerators": {"a100": 4}}),
        make_allocation("waits", {"a100": 8}, podSecurity=rdma),
    ]
    assert shown(make_state(objects))["bitgoeul_allocation_pod_security_info"] == {
        of(allocation="blue", level="privileged", reason="RDMA needs IPC_LOCK"): 1,
        of(allocation="green", level="restricted", reason=""): 1,
    }


def test_an_allocation_shows_what_it_asks_for_has_and_uses() -> None:
    """Also with 0 for one that waits, so that a ratio has both of its sides; of a pool that is gone too."""
    objects = [
        make_accelerator_pool(),
        make_storage_pool(),
        make_node(),
        make_allocation("blue", {"a100": 8}, {"lustre": "1Ti"}),
        make_allocation("green", {"a100": 2}, created=1),
        make_allocation("red", {"gone": 2}),
        *make_held("blue", {GPU: 8, "lustre": TIB}, {GPU: 3, "lustre": 5}),
    ]
    series = shown(make_state(objects))
    blue, green = of(allocation="blue", pool="a100", resource=GPU), of(allocation="green", pool="a100", resource=GPU)
    red = of(allocation="red", pool="gone", resource="")
    assert series["bitgoeul_allocation_requested_devices"] == {blue: 8, green: 2, red: 2}
    assert series["bitgoeul_allocation_granted_devices"] == {blue: 8, green: 0, red: 0}
    assert series["bitgoeul_allocation_in_use_devices"] == {blue: 3, green: 0, red: 0}
    blue = of(allocation="blue", pool="lustre", storage_class="lustre")
    assert series["bitgoeul_allocation_requested_storage_bytes"] == {blue: TIB}
    assert series["bitgoeul_allocation_granted_storage_bytes"] == {blue: TIB}
    assert series["bitgoeul_allocation_in_use_storage_bytes"] == {blue: 5}


def test_only_those_who_wait_have_a_place_in_the_queue() -> None:
    """Position and time are absent for everybody else."""
    objects = [
        make_accelerator_pool(),
        make_node(),
        make_allocation("blue", {"a100": 8}),
        make_allocation("green", {"a100": 8}, created=60),
    ]
    series = shown(make_state(objects))
    joined = NOW.timestamp() - 23 * 3600
    assert series["bitgoeul_allocation_queue_position"] == {of(allocation="green"): 1}
    assert series["bitgoeul_allocation_queued_timestamp_seconds"] == {of(allocation="green"): joined}


def test_who_waits_shows_the_forecast() -> None:
    """Absent for one that has started, and where nobody can say."""
    objects = [
        make_accelerator_pool(),
        make_node(),
        make_allocation("blue", {"a100": 8}, window={"end": "2021-12-31T00:00:00Z"}, expiry={"grace": "24h"}),
        make_allocation("green", {"a100": 8}, created=60),
        make_allocation("red", {"a100": 8}, created=61),
    ]
    series = shown(make_state(objects))
    assert series["bitgoeul_allocation_earliest_start_timestamp_seconds"] == {
        of(allocation="green"): seconds("2022-01-01T00:00:00Z")
    }


def test_a_window_is_shown_as_moments() -> None:
    """Of one that has started and of one that is promised; no end is shown of what has none."""
    ending = {"grace": "24h", "retention": "48h", "deletionPolicy": "Delete"}
    objects = [
        make_accelerator_pool(),
        *make_nodes(3),
        make_allocation("blue", {"a100": 8}, window={"end": "2021-12-31T00:00:00Z"}, expiry=ending),
        make_allocation("green", {"a100": 8}, created=1),
        make_allocation("red", {"a100": 8}, created=2, window={"start": "2021-06-01T00:00:00Z", "duration": "24h"}),
        make_allocation("waits", {"a100": 16}, created=3),
    ]
    series = shown(make_state(objects))
    blue, green, red = (of(allocation=name) for name in ("blue", "green", "red"))
    assert series["bitgoeul_allocation_start_timestamp_seconds"] == {
        blue: NOW.timestamp(),
        green: NOW.timestamp(),
        red: seconds("2021-06-01T00:00:00Z"),
    }
    assert series["bitgoeul_allocation_expiry_timestamp_seconds"] == {
        blue: seconds("2021-12-31T00:00:00Z"),
        red: seconds("2021-06-02T00:00:00Z"),
    }
    assert series["bitgoeul_allocation_drain_timestamp_seconds"][blue] == seconds("2022-01-01T00:00:00Z")
    assert green not in series["bitgoeul_allocation_drain_timestamp_seconds"]
    assert series["bitgoeul_allocation_data_delete_timestamp_seconds"] == {blue: seconds("2022-01-03T00:00:00Z")}


def test_what_is_in_use_beyond_what_is_asked_for_is_shown() -> None:
    """After a shrink, as long as it lasts."""
    objects = [
        make_accelerator_pool(),
        make_storage_pool(),
        make_node(),
        make_allocation("blue", {"a100": 2}, {"lustre": "1Ti"}, grant={"accelerators": {"a100": 8}}),
        *make_held("blue", {GPU: 2, "lustre": TIB}, {GPU: 5, "lustre": TIB}),
    ]
    series = shown(make_state(objects))
    assert series["bitgoeul_allocation_excess_devices"] == {of(allocation="blue", pool="a100", resource=GPU): 3}
    assert "bitgoeul_allocation_excess_storage_bytes" not in series


def test_what_cannot_be_read_is_not_taken_for_a_shrink() -> None:
    """Nobody knows what it asks for."""
    objects = [
        make_accelerator_pool(),
        make_node(),
        make_allocation("blue", {"a100": 8}, grant={"accelerators": {"a100": 8}}, priority="unreadable"),
        *make_held("blue", {GPU: 8}, {GPU: 5}),
    ]
    series = shown(make_state(objects))
    assert series["bitgoeul_allocation_in_use_devices"] == {of(allocation="blue", pool="a100", resource=GPU): 5}
    assert "bitgoeul_allocation_excess_devices" not in series


def test_conditions_are_shown_as_written_and_only_of_what_there_is() -> None:
    """One series for each condition; an object that the snapshot does not know has none."""
    state = make_state(
        [make_accelerator_pool(), make_storage_pool(), make_allocation("blue", {"a100": 8})],
        {"blue": (("Ready", "False", "WaitingForCapacity"),), "deleted": (("Ready", "True", "Enforced"),)},
        {
            accelerator("a100"): (("Ready", "False", "NoNodesMatch"), ("Exhausted", "True", "NothingAvailable")),
            storage("lustre"): (("StorageClassFound", "True", "ClassFound"),),
            accelerator("deleted"): (("Ready", "True", "Available"),),
        },
    )
    series = shown(state)
    assert series["bitgoeul_allocation_condition"] == {
        of(allocation="blue", type="Ready", status="False", reason="WaitingForCapacity"): 1
    }
    assert series["bitgoeul_pool_condition"] == {
        of(pool="a100", type="Ready", status="False", reason="NoNodesMatch"): 1,
        of(pool="a100", type="Exhausted", status="True", reason="NothingAvailable"): 1,
    }
    assert series["bitgoeul_storage_pool_condition"] == {
        of(pool="lustre", type="StorageClassFound", status="True", reason="ClassFound"): 1
    }


def test_the_time_of_the_snapshot_is_shown() -> None:
    """Who reads the figures can tell how old they are."""
    series = shown(make_state([]))
    assert series["bitgoeul_snapshot_timestamp_seconds"] == {(): NOW.timestamp()}
    assert series["bitgoeul_clock_offset_seconds"] == {(): 0}


@pytest.mark.parametrize("hours", [24, -24])
def test_a_shifted_clock_is_told_apart_from_the_age_of_the_figures(hours: int) -> None:
    """An alert on old figures must not go off because somebody plays with time."""
    series = shown(make_state([], now=NOW + timedelta(hours=hours)))
    assert series["bitgoeul_snapshot_timestamp_seconds"] == {(): NOW.timestamp()}
    assert series["bitgoeul_clock_offset_seconds"] == {(): hours * 3600}


def test_one_that_has_decided_nothing_shows_nothing() -> None:
    """A replica that stands by does not show zeros that would be summed up."""
    assert shown(None) == {}


def test_a_deleted_object_leaves_no_series_behind() -> None:
    """The next scrape does not know its name any more."""
    kept = [make_accelerator_pool(), make_node(), make_allocation("blue", {"a100": 8})]
    gone = [make_storage_pool("old"), make_allocation("green", {"a100": 8}, {"old": "1Ti"}, created=1)]
    names = {"blue": (("Ready", "True", "Enforced"),), "green": (("Ready", "False", "WaitingForCapacity"),)}
    before, after = shown(make_state([*kept, *gone], names)), shown(make_state(kept, names))
    assert {"green", "old"} <= values_of(before)
    assert {"green", "old"}.isdisjoint(values_of(after))


def values_of(series: Shown) -> set[str]:
    """All label values."""
    return {value for labelled in series.values() for labels in labelled for _, value in labels}


def test_the_cost_in_series_stays_small() -> None:
    """About 30 series for a pool and at most 20 for an allocation: a thousand allocations stay below 20,000."""
    all_conditions = tuple((f"type-{number}", "True", "Granted") for number in range(8))
    pool = [make_accelerator_pool(petaflopsPerDevice="0.0195", stages=[PILOT, FULL]), make_node()]
    window = {"end": "2021-12-31T00:00:00Z"}
    expiry = {"deletionPolicy": "Delete"}
    tenant = [
        make_allocation("blue", {"a100": 8}, {"lustre": "1Ti"}, window=window, expiry=expiry),
        make_storage_pool(),
    ]
    empty = count(make_state([]))
    assert count(make_state(pool, {}, {accelerator("a100"): all_conditions[:5]})) - empty <= 38
    with_tenant = make_state([*pool, *tenant], {"blue": all_conditions})
    assert count(with_tenant) - count(make_state([*pool, tenant[1]])) <= 20


def count(state: State) -> int:
    return sum(len(labelled) for labelled in shown(state).values())


@st.composite
def staged(draw: st.DrawFn) -> list[Manifest]:
    """Clusters in which pools may have stages and allocations may ask for a start ahead, promised where it fits."""
    objects = draw(clusters())
    for obj in objects:
        if obj["kind"] == "AcceleratorPool" and draw(st.booleans()):
            obj["spec"]["stages"] = [stage | {"devices": draw(st.integers(0, 20))} for stage in (PILOT, FULL)]
        elif obj["kind"] == "StoragePool" and draw(st.booleans()):
            stage = {"name": "pilot", "from": PILOT["from"], "capacity": f"{draw(st.integers(0, 15))}Ti"}
            obj["spec"]["stages"] = [stage]
        elif obj["kind"] == "TenantAllocation" and draw(st.booleans()):
            obj["spec"]["window"] = {"start": draw(st.sampled_from(["2021-06-01T00:00:00Z", "2024-06-01T00:00:00Z"]))}
    return written_back(objects, plan_of(objects)) if draw(st.booleans()) else objects


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(staged())
def test_the_partitions_add_up_whatever_the_cluster_looks_like(objects: list[Manifest]) -> None:
    """In one scrape nothing is counted twice and nothing is missing."""
    state = make_state(objects)
    series = shown(state)
    allocated = total(decision.grant for decision in state.plan.decisions.values())
    promised = total(decision.promised for decision in state.plan.decisions.values() if decision.promised)
    for key, pool in state.snapshot.pools.items():
        if key.kind is PoolKind.STORAGE:
            labels = of(pool=key.name, storage_class=pool.limit)
            f = pool_figures(series, "bitgoeul_storage_pool", BYTES, "bytes", labels)
            assert f["installed"] == f["reserved"] + f["effective"]
            assert f["installed"] == series.get("bitgoeul_storage_pool_planned_bytes", {}).get(labels, f["installed"])
            assert f["scheduled"] == promised.get(key, 0)
            assert f["effective"] == f["granted"] + f["retained"] + f["available"]
            assert f["granted"] == allocated.get(key, 0) == granted_to_all(series, "storage_bytes", key.name)
            continue
        labels = of(pool=key.name, resource=pool.limit)
        f = pool_figures(series, "bitgoeul_pool", DEVICES, "devices", labels)
        planned = series.get("bitgoeul_pool_planned_devices", {}).get(labels, f["schedulable"])
        lost = sum(
            n for labels, n in series["bitgoeul_pool_unavailable_devices"].items() if ("pool", key.name) in labels
        )
        assert f["installed"] == f["schedulable"] + lost
        assert min(planned, f["schedulable"]) == f["reserved"] + f["effective"]
        assert f["scheduled"] == promised.get(key, 0)
        assert f["effective"] == f["granted"] + f["available"]
        # What the pool has granted beyond its allocations is still held where the allocation is gone.
        assert f["granted"] >= granted_to_all(series, "devices", key.name)
        if key not in state.snapshot.retained:
            assert f["granted"] == granted_to_all(series, "devices", key.name)
        assert min(f["installed"], f["schedulable"], f["reserved"], f["effective"]) >= 0


def granted_to_all(series: Shown, unit: str, pool: str) -> float:
    """What allocations together are granted of a pool."""
    granted = series.get(f"bitgoeul_allocation_granted_{unit}", {})
    return sum(number for labels, number in granted.items() if ("pool", pool) in labels)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(staged())
def test_labels_are_those_that_are_declared(objects: list[Manifest]) -> None:
    """No series has a label, or a value of a closed label, that the reference does not name."""
    state = make_state(objects)
    families = {source.family.name: source.family for source in SOURCES}
    for name, labels in all_series(shown(state)):
        family = families[name]
        assert sorted(family.labels) == [label for label, _ in labels]
        for label, value in labels:
            assert value in (*family.values.get(label, (value,)), ""), f"{name} {label}"


def all_series(series: Shown) -> Iterator[tuple[str, Labels]]:
    for name, labelled in series.items():
        for labels in labelled:
            yield name, labels
