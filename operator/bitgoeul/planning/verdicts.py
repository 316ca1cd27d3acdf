"""
Turns what was found out about one allocation into its decision, with the window that status is to show.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.allocations import Allocation, Amounts, at_least
from bitgoeul.planning.decisions import Decision, QueueEntry, Window
from bitgoeul.planning.life import Course, Halt, Life
from bitgoeul.planning.moments import FOREVER, day
from bitgoeul.planning.promises import Promise
from bitgoeul.planning.snapshot import Standing


def fulfil(standing: Standing, life: Life, now: int) -> Decision:
    """All that is asked; what is charged beyond that stays until it is proved to be free."""
    ask, charged = standing.allocation.ask, standing.charged
    return in_force(standing, life, now, ask if ask == charged else at_least(ask, charged))


def begin_with(standing: Standing, life: Life, now: int, need: Amounts, queue: QueueEntry) -> Decision:
    """What was promised, of one that asks for more by now; the rest keeps its place in the queue."""
    charged = standing.charged
    grant = {pool: charged.get(pool, 0) + need.get(pool, 0) for pool in {**charged, **need}}
    decision = in_force(standing, life, now, grant)
    return replace(decision, met=False, reason=Reason.WAITING_FOR_CAPACITY, queue=queue)


def in_force(standing: Standing, life: Life, now: int, grant: Amounts) -> Decision:
    """A grant that holds from now on."""
    allocation = standing.allocation
    return Decision(
        allocation.name,
        allocation.uid,
        grant,
        met=True,
        reason=Reason.GRANTED,
        course=Course.OPEN,
        window=window_of(standing, life),
        notice=notice_of(standing, life, now),
    )


def keep(
    standing: Standing,
    life: Life,
    now: int,
    why: tuple[Reason, str],
    queue: QueueEntry | None = None,
    promise: Promise | None = None,
) -> Decision:
    """
    What is charged or promised now, and no more.

    Args:
        why: Reason and message.
        promise: That stays.
    """
    allocation = standing.allocation
    reason, message = why
    window = None
    if promise is not None:
        window = window_of(standing, Life(life.course, promise.start, promise.end))
    elif life.course is not Course.NOTHING or allocation.placed or (life.passed and was_settled(allocation, life)):
        window = window_of(standing, life)
    closed = life.course is Course.CLOSED and not allocation.problem
    return Decision(
        allocation.name,
        allocation.uid,
        standing.charged,
        met=False,
        reason=reason,
        message=message,
        queue=queue,
        course=life.course,
        window=window,
        promised=promise.amounts if promise is not None else None,
        notice=notice_of(standing, life, now) if life.course is Course.OPEN else None,
        evict=closed and allocation.terms.drain and life.drain_at <= now,
        view_only=closed and (life.halt is not Halt.NO or life.drain_at <= now),
        halt=life.halt,
        passed=life.passed,
        reclaimed=life.reclaimed,
    )


def was_settled(allocation: Allocation, life: Life) -> bool:
    """Whether status has a window that is worth keeping; a promise whose end was moved before its start has none."""
    return allocation.recorded is not None and life.start <= life.end


def leave(standing: Standing) -> Decision:
    """One that is being deleted keeps its charge until it is gone."""
    allocation = standing.allocation
    return Decision(
        allocation.name,
        allocation.uid,
        standing.charged,
        met=False,
        reason=Reason.DELETING,
        message="the allocation is being deleted",
        course=Course.OPEN if standing.housed or standing.charged else Course.NOTHING,
    )


def with_extension(decision: Decision, extension: Decision | None) -> Decision:
    """One decision out of two where a later end and more devices are asked for together."""
    if extension is None or extension.queue is None:
        return decision
    if decision.queue is None:
        return replace(extension, grant=decision.grant, met=True)
    return replace(decision, message=f"{decision.message}; {extension.message}")


def window_of(standing: Standing, life: Life) -> Window:
    """The window with what follows its end."""
    terms, recorded = standing.allocation.terms, standing.allocation.recorded
    if life.reclaimed and recorded is not None:  # a record of what was
        return Window(life.start, life.end, recorded.drain_at)
    drain_at = life.drain_at if life.course is Course.CLOSED else terms.drained(life.end)
    if standing.allocation.problem:  # nothing says what follows; what was said stays
        drain_at = recorded.drain_at if recorded and recorded.drain_at is not None else FOREVER
    if life.passed:
        erased = life.erase_at
    else:
        erased = terms.erased(life.extend_to if life.asks and life.extend_to is not None else life.end)
    return Window(
        life.start,
        life.end,
        drain_at if terms.drain and drain_at < FOREVER else None,
        erased if erased < FOREVER else None,
    )


def notice_of(standing: Standing, life: Life, now: int) -> int | None:
    """The last notice that is due."""
    if life.end >= FOREVER:
        return None
    times = standing.allocation.terms.notice_times(life.start, life.end)
    return max((at for at in times if at <= now), default=None)


def remembered(standing: Standing) -> QueueEntry | None:
    """The wait of one that is refused now: it keeps its age, and may not lose the memory of what it had asked for."""
    allocation = standing.allocation
    if allocation.queued_since is None:
        return None
    return QueueEntry(None, allocation.queued_since, dict(allocation.queued_ask), {})


def on_hold_text(pools: Iterable[str]) -> str:
    return f"{', '.join(pools)} grants nothing new for now (stopPolicy); what is held and promised stays"


def suspended_text() -> str:
    return "suspended by spec.suspend; set it to false to ask again"


def drained_text(pools: Iterable[str]) -> str:
    return f"{', '.join(pools)} is being drained (stopPolicy HoldAndDrain); it goes on by itself after that"


def promised_text(start: int) -> str:
    return f"promised for {day(start)}"


def ended_text(standing: Standing, life: Life, *, held_up: bool) -> str:
    """
    What is over, and what comes next.

    Args:
        held_up: Nothing is done about it at this moment, because clocks differ.
    """
    terms = standing.allocation.terms
    text = f"ended {day(life.end)}"
    if life.reclaimed:
        return f"{text}; namespaces and data were deleted, as deletionPolicy Delete says"
    way_out = f"a {'longer spec.window.duration' if terms.length is not None else 'later spec.window.end'} asks again"
    if life.course is Course.NOTHING and not standing.allocation.placed:
        return f"{text}; nothing was granted; {way_out}"
    erased = life.erase_at if life.course is Course.CLOSED else terms.erased(life.end)
    if life.course is Course.ERASED:
        done = "are due to be deleted" if held_up else "are being deleted"
        return f"{text}; namespaces and data {done}, as deletionPolicy Delete says"
    kept = f"data is deleted {day(erased)}" if erased < FOREVER else "data is kept (deletionPolicy Retain)"
    return f"{text}; {kept}; {way_out}"
