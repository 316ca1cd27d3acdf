"""
What decisions leave in each pool, now and in the time to come, and when the clock changes something next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from heapq import nsmallest

from bitgoeul.planning.allocations import total
from bitgoeul.planning.board import Hold
from bitgoeul.planning.checks import amount_text
from bitgoeul.planning.decisions import HORIZONS, CalendarEntry, Decision, PoolPlan
from bitgoeul.planning.life import PATIENCE, Course, Life
from bitgoeul.planning.line import Request
from bitgoeul.planning.moments import FOREVER
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind
from bitgoeul.planning.profile import Profile
from bitgoeul.planning.snapshot import Snapshot

CALENDAR_LENGTH = 10
NAMED = 3  # allocations in the cause of a change; the rest is a number
MAX_CAUSE = 200


def summarize(
    snapshot: Snapshot, decisions: Mapping[str, Decision], holds: Iterable[Hold], waiting: Iterable[Request]
) -> dict[PoolKey, PoolPlan]:
    """
    Add up what the decisions leave in each pool.

    Args:
        holds: What was on the board before anybody asked; with the last decisions nothing is added to it.
    """
    waiting = list(waiting)
    granted = total(decision.grant for decision in decisions.values())
    in_use = total(standing.in_use for standing in snapshot.standings)
    wanted = total(request.need for request in waiting)
    waiters = total(dict.fromkeys(request.need, 1) for request in waiting)
    scheduled = total(decision.promised for decision in decisions.values() if decision.promised)
    by_pool: dict[PoolKey, list[Hold]] = {key: [] for key in snapshot.pools}
    for hold in holds:
        if hold.pool in by_pool:
            by_pool[hold.pool].append(hold)
    result = {}
    for key, pool in snapshot.pools.items():
        promised = granted.get(key, 0)
        retained = snapshot.retained.get(key, 0)
        if key.kind is PoolKind.ACCELERATORS:
            # Devices in namespaces whose allocation is gone are handed out until the quota there is closed.
            promised, retained = promised + retained, 0
        short_from, short_by, hurts = shortage(pool, by_pool[key], snapshot.now)
        result[key] = PoolPlan(
            granted=promised,
            retained=retained,
            available=pool.capacity.effective - promised - retained,
            in_use=in_use.get(key, 0),
            waiting=wanted.get(key, 0),
            waiters=waiters.get(key, 0),
            scheduled=scheduled.get(key, 0),
            calendar=calendar(pool, by_pool[key], snapshot.now, CALENDAR_LENGTH),
            forecast=tuple(available_at(pool, by_pool[key], snapshot.now, ahead) for ahead in HORIZONS.values()),
            short_from=short_from,
            short_by=short_by,
            hurts=hurts,
        )
    return result


def calendar(pool: Pool, holds: Iterable[Hold], now: int, most: int | None = None) -> tuple[CalendarEntry, ...]:
    """
    The changes of what is available that are known now, in order of time.

    Args:
        most: So many of them; None: all.
    """
    changes: dict[int, int] = {}
    causes: dict[int, list[tuple[str, int]]] = {}  # name and amount, which is negative at a start
    available = pool.capacity.effective
    capacity = available
    begins: dict[int, str] = {}
    for stage, (at, amount) in zip(pool.stages, pool.steps(now)[1:], strict=True):
        changes[at] = changes.get(at, 0) + amount - capacity
        begins[at] = f"stage {stage.name} begins"
        capacity = amount
    for hold in holds:
        if hold.start > now:
            changes[hold.start] = changes.get(hold.start, 0) - hold.amount
            causes.setdefault(hold.start, []).append((hold.name, -hold.amount))
        else:
            available -= hold.amount
        if hold.end < FOREVER:
            changes[hold.end] = changes.get(hold.end, 0) + hold.amount
            causes.setdefault(hold.end, []).append((hold.name, hold.amount))
    result = []
    for at in sorted(changes) if most is None else nsmallest(most, changes):
        available += changes[at]
        texts = [
            f"{name} {'is over' if amount > 0 else 'starts'} ({amount_text(pool.key, abs(amount))})"
            for name, amount in sorted(causes.get(at, ()))
        ]
        named = [begins[at], *texts] if at in begins else texts
        result.append(CalendarEntry(at, available, changes[at], cause_text(named)))
    return tuple(result)


def available_at(pool: Pool, holds: Iterable[Hold], now: int, ahead: int) -> int:
    """What is available so many milliseconds from now, if nobody extends: what the calendar says for that moment."""
    at = now + ahead
    capacity = [amount for begins, amount in pool.steps(now) if begins <= at][-1]
    return capacity - sum(hold.amount for hold in holds if hold.start <= at < hold.end)


def cause_text(causes: list[str]) -> str:
    """What happens at one moment: the first few, and how many more."""
    more = f" and {len(causes) - NAMED} more" if len(causes) > NAMED else ""
    return f"{', '.join(causes[:NAMED])}{more}"[:MAX_CAUSE]


def shortage(pool: Pool, holds: list[Hold], now: int) -> tuple[int | None, int, tuple[str, ...]]:
    """Since when more is held and promised than there will be, the most that is too much, and whose start it hurts."""
    promised = [hold for hold in holds if hold.promised]
    if not promised and len(pool.stages) == 0:
        return None, 0, ()  # what is held only shrinks, and what there is stays
    profile = Profile(pool.steps(now), ((hold.start, hold.end, hold.amount) for hold in holds))
    worst = min(profile.free)
    if worst >= 0:
        return None, 0, ()
    since = profile.lacks(now, FOREVER, 0)
    hurts = sorted(hold.name for hold in promised if profile.lowest(hold.start, hold.end) < 0)
    return since, -worst, tuple(hurts)


def next_due(snapshot: Snapshot, decisions: Mapping[str, Decision], lives: Mapping[str, Life]) -> int | None:
    """The next moment at which the clock alone changes a decision or a figure; None: there is none."""
    now = snapshot.now
    moments = [stage.at for pool in snapshot.pools.values() for stage in pool.stages]
    for standing in snapshot.standings:
        name, terms = standing.allocation.name, standing.allocation.terms
        decision, life = decisions[name], lives.get(name)
        if decision.queue is not None and decision.queue.earliest is not None:
            moments.append(decision.queue.earliest)
        window = decision.window
        if window is not None:
            moments += (window.start, window.end)
            if decision.course is Course.OPEN:
                if window.end < FOREVER:
                    moments += terms.notice_times(window.start, window.end)
            else:
                moments += [
                    at for at in (window.drain_at, window.delete_at, terms.drained(window.end)) if at is not None
                ]
        elif life is not None and life.end < FOREVER:
            moments.append(life.end)
        if terms.start is not None:
            moments.append(terms.start)
        if standing.allocation.excess_drain_at is not None:
            moments.append(standing.allocation.excess_drain_at)
        if standing.charged:
            begun = (decision.drain_started, decision.delete_started)
            moments += [since + PATIENCE for since in begun if since is not None]
    ahead = [at for at in moments if now < at < FOREVER]
    return min(ahead, default=None)
