"""
What a snapshot will be when the decisions made on it have been written down: the same objects, with what was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bitgoeul.planning.allocations import Allocation, Amounts, at_least
from bitgoeul.planning.decisions import Decision, Window
from bitgoeul.planning.life import Course
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.snapshot import Snapshot
from bitgoeul.planning.terms import Recorded


def advance(snapshot: Snapshot, decisions: Mapping[str, Decision]) -> Snapshot | None:
    """The next snapshot; None where nothing new was given, so that it would be the same."""
    given = {
        standing.allocation.name
        for standing in snapshot.standings
        if not standing.allocation.deleting
        and gives(standing.allocation, standing.charged, decisions[standing.allocation.name])
    }
    if not given:
        return None
    retained: dict[PoolKey, int] = dict(snapshot.retained)
    standings = []
    for standing in snapshot.standings:
        allocation, decision = standing.allocation, decisions[standing.allocation.name]
        if allocation.name not in given:
            standings.append(standing)
            continue
        covered = {
            pool: min(amount, decision.grant.get(pool, 0) - standing.charged.get(pool, 0))
            for pool, amount in standing.inherits.items()
        }
        for pool, amount in covered.items():
            retained[pool] -= amount
        standings.append(
            replace(
                standing,
                allocation=written(allocation, decision),
                charged=at_least(standing.charged, decision.grant),
                inherits={pool: n - covered[pool] for pool, n in standing.inherits.items() if n > covered[pool]},
            )
        )
    kept = {pool: amount for pool, amount in retained.items() if amount}
    return replace(snapshot, standings=tuple(standings), retained=kept)


def gives(allocation: Allocation, charged: Amounts, decision: Decision) -> bool:
    """Whether a decision gives anything that is not held or promised yet: devices, storage, access, or time."""
    if decision.course is Course.OPEN:
        if allocation.admitted is not True or not same_times(decision.window, allocation.recorded):
            return True
        return any(amount > charged.get(pool, 0) for pool, amount in decision.grant.items())
    if decision.promised != allocation.promised:
        return True
    return decision.promised is not None and not same_times(decision.window, allocation.recorded)


def written(allocation: Allocation, decision: Decision) -> Allocation:
    """The allocation as its next status makes it."""
    begun = decision.course is Course.OPEN
    return replace(
        allocation,
        recorded=recorded_of(decision),
        promised=None if begun else decision.promised,
        admitted=begun if begun else allocation.admitted,
        queued_since=decision.queue.since if decision.queue else None,
        queued_ask=decision.queue.asked if decision.queue else {},
        drain_started=decision.drain_started,
        delete_started=decision.delete_started,
    )


def recorded_of(decision: Decision) -> Recorded | None:
    window = decision.window
    return Recorded(window.start, window.end, window.drain_at, window.delete_at) if window else None


def same_times(window: Window | None, recorded: Recorded | None) -> bool:
    """Whether start and end stand in status; when pods have to go follows from them, and gives nothing."""
    if window is None or recorded is None:
        return window is None and recorded is None
    return window.start == recorded.start and window.end == recorded.end
