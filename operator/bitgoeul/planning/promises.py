"""
Promised starts: what status says was promised, as far as the spec still asks for it.

A promise moves for nobody. It gets smaller when less is asked for, and is over when its window is, when the allocation
is suspended, or when nothing of it is asked for any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitgoeul.planning.allocations import Amounts
from bitgoeul.planning.board import Hold
from bitgoeul.planning.life import Course, Halt, Life
from bitgoeul.planning.snapshot import Standing


@dataclass(frozen=True, slots=True)
class Promise:
    """A promised start; it may have come, and could not be kept yet."""

    start: int
    end: int
    amounts: Amounts
    holds: tuple[Hold, ...]  # from its start on, or from now on if that is over


def promise_of(standing: Standing, life: Life | None, now: int) -> Promise | None:
    """The promise that an allocation has, if any; ``life`` is None for one that is being deleted."""
    allocation, recorded = standing.allocation, standing.allocation.recorded
    if allocation.promised is None or recorded is None or life is None:
        return None
    if life.course is not Course.NOTHING or life.passed or life.halt is not Halt.NO:
        return None
    start, end, amounts, terms = recorded.start, recorded.end, allocation.promised, allocation.terms
    if not allocation.problem:
        start = max(start, terms.start or start)
        end = min(end, terms.end_from(start))
        amounts = {pool: min(n, allocation.ask[pool]) for pool, n in amounts.items() if allocation.ask.get(pool)}
    if max(start, now) >= end or (allocation.promised and not amounts):
        return None
    begin = max(start, now)
    holds = (
        Hold(pool, begin, terms.released(pool.kind, end), amount, allocation.name, promised=True)
        for pool, amount in amounts.items()
        if amount
    )
    return Promise(start, end, amounts, tuple(holds))


def covers(promise: Promise, standing: Standing, need: Amounts) -> bool:
    """Whether a promised start is all that is asked for."""
    terms = standing.allocation.terms
    start = terms.start
    if start is None or start < promise.start or terms.end_from(start) > promise.end:
        return False
    return all(amount <= promise.amounts.get(pool, 0) for pool, amount in need.items())
