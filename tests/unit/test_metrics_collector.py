"""Figures of pools and allocations: what is shown of a state, what adds up, and what goes when its object goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

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
)
from tests.unit.metrics_states import Labels, Shown, make_state, of, shown
from tests.unit.planning_clusters import clusters

TIB = 2**40

A100 = of(pool="a100", resource=GPU)
LUSTRE = of(pool="lustre", storage_class="lustre")
DEVICES = ("installed", "schedulable", "reserved", "effective", "granted", "available", "in_use", "waiting")
BYTES = ("installed", "reserved", "effective", "granted", "retained", "available", "in_use", "waiting")


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
    ]
    tenants = [
        make_allocation("blue", {"a100": 16}),
        make_allocation("green", {"a100": 8}, created=1),
        *make_held("blue", {GPU: 16}, {GPU: 5}),
    ]
    series = shown(make_state([make_accelerator_pool(reserve=2), *nodes, *tenants]))
    assert pool_figures(series, "bitgoeul_pool", DEVICES, "devices", A100) == {
        "installed": 36,
        "schedulable": 22,
        "reserved": 2,
        "effective": 20,
        "granted": 16,
        "available": 4,
        "in_use": 5,
        "waiting": 8,
    }
    assert series["bitgoeul_pool_unavailable_devices"] == {
        of(pool="a100", resource=GPU, reason="NotReady"): 8,
        of(pool="a100", resource=GPU, reason="Cordoned"): 4,
        of(pool="a100", resource=GPU, reason="Unhealthy"): 2,
    }
    assert series["bitgoeul_pool_nodes"] == {
        of(pool="a100", state="Ready"): 3,
        of(pool="a100", state="NotReady"): 1,
        of(pool="a100", state="Cordoned"): 1,
    }


def test_a_pool_shows_what_it_is_made_of() -> None:
    """Labels for joins; what is not said is empty."""
    pools = [make_accelerator_pool("a100", vendor="NVIDIA", product="A100-SXM4-80GB"), make_accelerator_pool("h100")]
    info = shown(make_state(pools))["bitgoeul_pool_info"]
    assert info == {
        of(pool="a100", resource=GPU, type="GPU", vendor="NVIDIA", product="A100-SXM4-80GB", region=""): 1,
        of(pool="h100", resource=GPU, type="GPU", vendor="", product="", region=""): 1,
    }


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
    """Both reasons are always there, also with 0, and one that is refused does not wait."""
    objects = [
        make_accelerator_pool(),
        make_storage_pool(),
        make_node(),
        make_allocation("first", {"a100": 6}),
        make_allocation("second", {"a100": 6}, created=1),
        make_allocation("third", {"a100": 1}, created=2),
        make_allocation("refused", {"a100": 9}, created=3),
    ]
    series = shown(make_state(objects))
    assert series["bitgoeul_pool_waiting_allocations"] == {
        of(pool="a100", reason="WaitingForCapacity"): 1,
        of(pool="a100", reason="BlockedByEarlier"): 1,
    }
    assert set(series["bitgoeul_storage_pool_waiting_allocations"].values()) == {0}


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
    assert shown(make_state([]))["bitgoeul_snapshot_timestamp_seconds"] == {(): NOW.timestamp()}


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
    """About 25 series for a pool and 14 for an allocation: a thousand allocations stay below 20,000."""
    all_conditions = tuple((f"type-{number}", "True", "Granted") for number in range(6))
    pool = [make_accelerator_pool(petaflopsPerDevice="0.0195")]
    tenant = [make_allocation("blue", {"a100": 8}, {"lustre": "1Ti"}), make_storage_pool()]
    empty = count(make_state([]))
    assert count(make_state(pool, {}, {accelerator("a100"): all_conditions[:4]})) - empty <= 30
    with_tenant = make_state([*pool, *tenant], {"blue": all_conditions})
    assert count(with_tenant) - count(make_state([*pool, tenant[1]])) <= 15


def count(state: State) -> int:
    return sum(len(labelled) for labelled in shown(state).values())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(clusters())
def test_the_partitions_add_up_whatever_the_cluster_looks_like(objects: list[Manifest]) -> None:
    """In one scrape nothing is counted twice and nothing is missing."""
    state = make_state(objects)
    series = shown(state)
    allocated = total(decision.grant for decision in state.plan.decisions.values())
    for key, pool in state.snapshot.pools.items():
        if key.kind is PoolKind.STORAGE:
            labels = of(pool=key.name, storage_class=pool.limit)
            f = pool_figures(series, "bitgoeul_storage_pool", BYTES, "bytes", labels)
            assert f["installed"] == f["reserved"] + f["effective"]
            assert f["effective"] == f["granted"] + f["retained"] + f["available"]
            assert f["granted"] == allocated.get(key, 0) == granted_to_all(series, "storage_bytes", key.name)
            continue
        f = pool_figures(series, "bitgoeul_pool", DEVICES, "devices", of(pool=key.name, resource=pool.limit))
        lost = sum(
            n for labels, n in series["bitgoeul_pool_unavailable_devices"].items() if ("pool", key.name) in labels
        )
        assert f["installed"] == f["schedulable"] + lost
        assert f["schedulable"] == f["reserved"] + f["effective"]
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
@given(clusters())
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
