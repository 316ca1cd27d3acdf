"""
What is believed of the nodes: a rise at once, a fall only after it has lasted.

A device plugin or a kubelet that restarts shows no devices for a second or two, labels are rewritten, node objects are
replaced. Each node counts with the best that it has shown in the last seconds, so that none of this moves anybody.
Cordons and taints are set on purpose and count at once. Pure; the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from bitgoeul.api import AcceleratorPool
from bitgoeul.planning.observed import NodeView
from bitgoeul.planning.pools import Selection, age_order

#: How long a fall has to last before it is believed.
HOLD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a node showed, and until when."""

    view: NodeView
    until: float  # on the monotonic clock


@dataclass(frozen=True, slots=True)
class Track:
    """
    What is known of one node.

    Attributes:
        present: What it shows now; None: it is gone.
        past: What it has shown before and was better in anything, the oldest first.
    """

    present: NodeView | None
    past: tuple[Sighting, ...] = ()


Tracks = Mapping[str, Track]  # by node name


@dataclass(frozen=True, slots=True)
class Belief:
    """The nodes as they count, and what has to be remembered for the next look."""

    nodes: tuple[NodeView, ...]
    tracks: Tracks
    due: float | None  # when the next fall is believed, on the monotonic clock; None: none is held back


def believe(
    before: Tracks, seen: Iterable[NodeView], pools: Iterable[AcceleratorPool], now: float, hold: float = HOLD_SECONDS
) -> Belief:
    """
    Look at the nodes once more.

    Args:
        before: What was remembered at the look before; empty: all that is seen is believed.
        seen: The nodes as they are.
        pools: Which labels matter.
        now: Monotonic time, in seconds.
        hold: How long a fall has to last.
    """
    selection: Selection | None = None
    present = {view.name: view for view in seen}
    nodes: list[NodeView] = []
    tracks: dict[str, Track] = {}
    ends: list[float] = []
    for name in chain(present, (name for name in before if name not in present)):
        view, known = present.get(name), before.get(name)
        if known is None or (known.present == view and not known.past):
            if view is not None:
                nodes.append(view)
                tracks[name] = known or Track(view)
            continue
        selection = selection or Selection(sorted(pools, key=age_order))
        past = [sighting for sighting in known.past if sighting.until + hold > now]
        if known.present is not None and known.present != view:
            past.append(Sighting(known.present, now))
        best = best_of(past, view, selection)
        if best is None:
            continue
        nodes.append(best)
        if best == view:  # what it was before adds nothing to what it is
            tracks[name] = Track(view)
            continue
        tracks[name] = Track(view, tuple(past))
        ends.append(min(sighting.until for sighting in past) + hold)
    return Belief(tuple(nodes), tracks, min(ends, default=None))


def best_of(past: Iterable[Sighting], present: NodeView | None, selection: Selection) -> NodeView | None:
    """
    The best that a node has shown: devices one by one, readiness, and the labels that no pool has lost.

    Cordon and taints are those of the newest view.
    """
    best: NodeView | None = None
    for view in (*(sighting.view for sighting in past), *((present,) if present is not None else ())):
        best = view if best is None else better(best, view, selection)
    return best


def better(before: NodeView, after: NodeView, selection: Selection) -> NodeView:
    """Two views of one node as one; the very later one where the earlier adds nothing."""
    labels = after.labels
    if labels != before.labels and not pools_of(before, selection) <= pools_of(after, selection):
        labels = before.labels
    merged = replace(
        after,
        labels=labels,
        ready=before.ready or after.ready,
        capacity=at_least(before.capacity, after.capacity),
        allocatable=at_least(before.allocatable, after.allocatable),
    )
    return after if merged == after else merged


def pools_of(view: NodeView, selection: Selection) -> frozenset[str]:
    """The names of the pools that a node matches."""
    return frozenset(pool.metadata.name for pool in selection.matching(view.labels))


def at_least(before: Mapping[str, int], after: Mapping[str, int]) -> Mapping[str, int]:
    """The larger of both, resource by resource."""
    if all(amount <= after.get(name, 0) for name, amount in before.items()):
        return after
    return {name: max(before.get(name, 0), after.get(name, 0)) for name in {**before, **after}}
