"""
What is believed of nodes and pools: a rise at once, a fall only after it has lasted.

A device plugin or a kubelet that restarts shows no devices for a second or two, labels are rewritten, node objects are
replaced. Each node counts with the best that it has shown in the last seconds, so that none of this moves anybody.
Cordons and taints are set on purpose and count at once. A pool object that is deleted may be created anew in the next
second: until then it grants nothing, and nobody is refused for it. Pure; the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.planning.observed import NodeView
from bitgoeul.planning.pools import PoolKey, Selection, accelerator, age_order, storage

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


@dataclass(frozen=True, slots=True)
class PoolTrack:
    """A pool as it was last seen; ``gone_since`` is when its deletion was first seen, None: it stands."""

    pool: AcceleratorPool | StoragePool
    gone_since: float | None = None


PoolTracks = Mapping[PoolKey, PoolTrack]


@dataclass(frozen=True, slots=True)
class PoolBelief:
    """The pools as they count; ``leaving`` are those that were deleted a moment ago, whether still there or not."""

    accelerator_pools: tuple[AcceleratorPool, ...]
    storage_pools: tuple[StoragePool, ...]
    leaving: frozenset[PoolKey]
    tracks: PoolTracks
    due: float | None  # when the next deletion is believed; None: none is held back


def believe_pools(
    before: PoolTracks,
    accelerator_pools: Iterable[AcceleratorPool],
    storage_pools: Iterable[StoragePool],
    now: float,
    hold: float = HOLD_SECONDS,
) -> PoolBelief:
    """Look at the pools once more; arguments as those of ``believe``."""
    seen: dict[PoolKey, AcceleratorPool | StoragePool] = {accelerator(p.metadata.name): p for p in accelerator_pools}
    seen.update({storage(pool.metadata.name): pool for pool in storage_pools})
    tracks: dict[PoolKey, PoolTrack] = {}
    ends: dict[PoolKey, float] = {}
    for key in (*seen, *(key for key in before if key not in seen)):
        pool, known = seen.get(key), before.get(key)
        if pool is not None and (known is None or pool.metadata.deletion_timestamp is None):
            # What is being deleted when it is seen first may have been so for long.
            deleted = pool.metadata.deletion_timestamp is not None
            tracks[key] = PoolTrack(pool, now - hold if deleted else None)
            continue
        assert known is not None  # noqa: S101 - it is in one of the two
        since = now if known.gone_since is None else known.gone_since
        if pool is not None or now < since + hold:
            tracks[key] = PoolTrack(pool or known.pool, since)
        if now < since + hold:
            ends[key] = since + hold
    believed = [track.pool for track in tracks.values()]
    return PoolBelief(
        accelerator_pools=tuple(pool for pool in believed if isinstance(pool, AcceleratorPool)),
        storage_pools=tuple(pool for pool in believed if isinstance(pool, StoragePool)),
        leaving=frozenset(ends),
        tracks=tracks,
        due=min(ends.values(), default=None),
    )
