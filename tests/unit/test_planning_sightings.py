"""A fall of what nodes show is believed after it has lasted, a rise at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.api import AcceleratorPool
from bitgoeul.planning.observed import NodeView, node_view
from bitgoeul.planning.sightings import HOLD_SECONDS, Belief, Tracks, believe
from tests.unit.builders import GPU, PRODUCT_LABEL, make_accelerator_pool, make_node

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
