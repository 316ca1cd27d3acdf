"""A fall of what nodes show is believed after it has lasted, a rise at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.planning.observed import NodeView, node_view
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import accelerator
from bitgoeul.planning.sightings import HOLD_SECONDS, Belief, PoolBelief, PoolTracks, Tracks, believe, believe_pools
from bitgoeul.planning.snapshot import build_snapshot
from tests.unit.builders import (
    GPU,
    NOW,
    PRODUCT_LABEL,
    Manifest,
    make_accelerator_pool,
    make_allocation,
    make_node,
    make_storage_pool,
    observe,
)

POOLS = [AcceleratorPool.model_validate(make_accelerator_pool(name, f"{name}.example.org/gpu")) for name in ("a", "b")]


def node(devices: int = 8, product: str = "a", **fields: Any) -> NodeView:
    return node_view(make_node("node", product, devices, **fields))


def watch(*moments: tuple[float, NodeView | None]) -> Belief:
    """What is believed at the last of these moments; None: the node is not there."""
    tracks: Tracks = {}
    for now, view in moments:
        belief = believe(tracks, [view] if view is not None else [], POOLS, now)
        tracks = belief.tracks
    return belief


WORSE = [
    pytest.param(node(healthy=0), id="its devices are called unhealthy"),
    pytest.param(node(devices=0), id="its kubelet starts anew"),
    pytest.param(node(devices=5), id="some devices are missing"),
    pytest.param(node(product="nothing"), id="its label is rewritten"),
    pytest.param(node(product="b"), id="it moves to another pool"),
    pytest.param(node(ready=False), id="it is not Ready"),
    pytest.param(None, id="it is gone"),
]


@pytest.mark.parametrize("worse", WORSE)
def test_a_fall_is_believed_when_it_has_lasted(worse: NodeView | None) -> None:
    """Until then the node counts as it was, and the moment at which that ends is told."""
    for now in (100.0, 105.0, 109.9):
        held = watch((0.0, node()), (100.0, worse), (now, worse))
        assert (held.nodes, held.due) == ((node(),), 100.0 + HOLD_SECONDS)
    over = watch((0.0, node()), (100.0, worse), (110.0, worse))
    assert (over.nodes, over.due) == ((worse,) if worse else (), None)


@pytest.mark.parametrize("worse", WORSE)
def test_what_comes_back_in_time_was_never_away(worse: NodeView | None) -> None:
    """Nothing of it is remembered."""
    back = watch((0.0, node()), (100.0, worse), (102.0, node()))
    assert back == watch((0.0, node()))


@pytest.mark.parametrize("worse", [case for case in WORSE if case.id != "it moves to another pool"])
def test_what_is_seen_first_is_believed(worse: NodeView | None) -> None:
    """A restart knows of nothing better; and a rise counts at once."""
    assert watch((0.0, worse)).nodes == ((worse,) if worse else ())
    assert watch((0.0, worse), (1.0, node())).nodes == (node(),)


def test_what_people_set_counts_at_once() -> None:
    """A cordon takes the node out, whatever else it shows meanwhile."""
    (view,) = watch((0.0, node()), (100.0, node(cordoned=True, healthy=0))).nodes
    assert view == node(cordoned=True)


def test_a_dip_at_the_end_of_a_fall_is_no_longer_fall() -> None:
    """What was there within the last seconds counts: not the depth at which the time is over."""
    (view,) = watch((0.0, node(8)), (100.0, node(7)), (109.0, node(0)), (111.0, node(0))).nodes
    assert view.capacity == {GPU: 7}


def test_a_label_that_no_pool_looks_at_is_nothing_to_remember() -> None:
    """It changes, and nobody has to look again."""
    other = node_view(
        make_node("node", "a", 8) | {"metadata": {"name": "node", "labels": {PRODUCT_LABEL: "a", "x": "y"}}}
    )
    belief = watch((0.0, node()), (1.0, other))
    assert (belief.nodes, belief.due) == ((other,), None)


views = st.none() | st.builds(
    lambda devices, broken, product, ready: node(devices, product, healthy=max(0, devices - broken), ready=ready),
    st.integers(0, 3),
    st.integers(0, 2),
    st.sampled_from(["a", "b", "nothing"]),
    st.booleans(),
)


@given(st.lists(st.tuples(st.floats(0.1, 6.0), views), min_size=1, max_size=8))
def test_a_node_counts_with_the_best_of_the_last_seconds(steps: list[tuple[float, NodeView | None]]) -> None:
    """Never with less than it shows, never with more than it has shown, and with nothing older."""
    now, moments = 0.0, []
    for pause, view in steps:
        now += pause
        moments.append((now, view))
    belief = watch(*moments)
    # Each view counts from when it came until the hold after the next one came.
    ends = [at for at, _ in moments[1:]] + [now]
    recent = [
        view for (_, view), end in zip(moments, ends, strict=True) if view and (end == now or end + HOLD_SECONDS > now)
    ]
    present = moments[-1][1]
    if not belief.nodes:
        assert present is None
        return
    (found,) = belief.nodes
    shown = [view.capacity[GPU] for view in recent]
    assert found.capacity[GPU] <= max(shown)
    if present is not None:
        assert found.capacity[GPU] >= present.capacity[GPU]
        assert found.allocatable[GPU] >= present.allocatable[GPU]
        assert found.ready >= present.ready
    assert found.allocatable[GPU] <= found.capacity[GPU]
    later = believe(belief.tracks, [present] if present else [], POOLS, now + HOLD_SECONDS)
    assert later.nodes == ((present,) if present else ())
    assert later.due is None


def test_nothing_new_is_granted_out_of_what_is_not_seen() -> None:
    """It counts for those who have it; who asks anew gets it when it is back, or learns that it is gone."""
    objects: list[Manifest] = [make_accelerator_pool("a"), make_node("n1", "a"), make_node("n2", "a")]
    objects += [make_allocation("first", {"a": 8}), make_allocation("second", {"a": 1}, created=1)]
    believed = observe(objects)
    seen = tuple(view for view in believed.nodes if view.name == "n1")
    decisions = make_plan(build_snapshot(replace(believed, seen=seen), NOW)).decisions
    assert decisions["first"].met
    assert (decisions["second"].reason, decisions["second"].message) == (
        "WaitingForCapacity",
        "a shows fewer devices than a moment ago; what is there is granted when that is clear",
    )
    assert make_plan(build_snapshot(believed, NOW)).decisions["second"].met


# -- pools


def pool(deleting: bool = False) -> AcceleratorPool:
    return AcceleratorPool.model_validate(make_accelerator_pool("a", deleting=deleting))


def watch_pool(*moments: tuple[float, AcceleratorPool | None]) -> PoolBelief:
    """What is believed of one pool at the last of these moments; None: it is not there."""
    tracks: PoolTracks = {}
    for now, seen in moments:
        belief = believe_pools(tracks, [seen] if seen is not None else [], [], now)
        tracks = belief.tracks
    return belief


def test_a_pool_that_is_deleted_may_be_made_anew() -> None:
    """It counts as leaving from the first sight of its deletion on, whether it is still there or not."""
    for seen in ((pool(deleting=True), pool(deleting=True)), (pool(deleting=True), None), (None, None)):
        leaving = watch_pool((0.0, pool()), (100.0, seen[0]), (105.0, seen[1]))
        assert (leaving.leaving, leaving.due) == (frozenset({accelerator("a")}), 100.0 + HOLD_SECONDS)
        assert len(leaving.accelerator_pools) == 1
        over = watch_pool((0.0, pool()), (100.0, seen[0]), (105.0, seen[1]), (110.0, seen[1]))
        assert (over.leaving, over.due) == (frozenset(), None)
        assert over.accelerator_pools == ((seen[1],) if seen[1] else ())


def test_a_pool_that_is_made_anew_was_never_away() -> None:
    """Nothing of it is remembered."""
    assert watch_pool((0.0, pool()), (100.0, None), (101.0, pool())) == watch_pool((0.0, pool()))


def test_a_pool_that_leaves_after_long_leaves_at_once() -> None:
    """It waited for its holders, and everybody knew; a restart believes that as well."""
    gone = watch_pool((0.0, pool()), (100.0, pool(deleting=True)), (500.0, None))
    assert (gone.accelerator_pools, gone.leaving) == ((), frozenset())
    assert watch_pool((0.0, pool(deleting=True))).leaving == frozenset()


def test_nobody_loses_the_place_in_another_pool_for_a_pool_that_is_replaced() -> None:
    """Who waits for both is neither refused nor passed; nothing is granted from the one that is on its way out."""
    objects: list[Manifest] = [
        make_accelerator_pool("a", "a.example.org/gpu", deleting=True),
        make_node("n1", "a", 8, "a.example.org/gpu"),
        make_accelerator_pool("b", "b.example.org/gpu"),
        make_node("n2", "b", 8, "b.example.org/gpu"),
        make_allocation("head", {"a": 8, "b": 8}, created=1),
        make_allocation("small", {"b": 2}, created=2),
        make_allocation("other", {"a": 1}, created=3),
    ]
    observed = replace(observe(objects), leaving=frozenset({accelerator("a")}))
    decisions = make_plan(build_snapshot(observed, NOW)).decisions
    assert {name: decision.reason for name, decision in decisions.items()} == {
        "head": "WaitingForCapacity",
        "small": "BlockedByEarlier",
        "other": "BlockedByEarlier",
    }
    assert decisions["head"].message == (
        "a was deleted a moment ago; what waits for it is refused if it is not made anew at once"
    )
    later = make_plan(build_snapshot(observe(objects), NOW)).decisions
    assert (later["head"].reason, later["small"].met) == ("PoolNotFound", True)


def test_a_storage_pool_that_is_deleted_has_as_long() -> None:
    """Who waits for it is refused when the deletion has lasted."""
    stands, goes = make_storage_pool(), make_storage_pool(deleting=True)
    tracks = believe_pools({}, [], [StoragePool.model_validate(stands)], 0.0).tracks
    objects: list[Manifest] = [goes, make_allocation("blue", storage={"lustre": "1Ti"})]
    for now, reason in ((100.0, "WaitingForCapacity"), (100.0 + HOLD_SECONDS, "PoolNotFound")):
        belief = believe_pools(tracks, [], [StoragePool.model_validate(goes)], now)
        tracks = belief.tracks
        observed = replace(observe(objects), storage_pools=belief.storage_pools, leaving=belief.leaving)
        assert make_plan(build_snapshot(observed, NOW)).decisions["blue"].reason == reason


def test_a_promise_begins_out_of_what_is_seen() -> None:
    """What it was promised is not taken from what is there for it."""
    nodes = [make_node(f"n{number}", devices=8) for number in range(3)]
    promised = make_allocation("blue", {"a100": 16}, window={"start": NOW.isoformat(), "duration": "24h"})
    promised["status"] = {
        "promised": {"accelerators": {"a100": 16}},
        "window": {"start": NOW.isoformat(), "end": (NOW + timedelta(hours=24)).isoformat()},
    }
    observed = observe([make_accelerator_pool(), *nodes, promised])
    doubted = replace(observed, seen=observed.nodes[:2])
    assert make_plan(build_snapshot(doubted, NOW)).decisions["blue"].met
    fewer = replace(observed, seen=observed.nodes[:1])
    assert not make_plan(build_snapshot(fewer, NOW)).decisions["blue"].admitted


def test_a_node_that_changes_its_name_is_no_second_node() -> None:
    """What was ever installed at once is what was seen at once."""
    old, new = node_view(make_node("old", devices=8)), node_view(make_node("new", devices=8))
    observed = replace(observe([make_accelerator_pool()]), nodes=(old, new), seen=(new,))
    (pool,) = build_snapshot(observed, NOW).pools.values()
    assert (pool.capacity.installed, pool.highest, pool.doubtful) == (16, 8, 8)
