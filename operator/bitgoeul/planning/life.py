"""
Where the clock has brought an allocation: before its start, in force, past its end, suspended, or its data deleted.

Says nothing of capacity: that is the queue's matter. Takes a standing and the moment, gives a frozen value.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from bitgoeul.planning.moments import FOREVER, span
from bitgoeul.planning.pools import PoolKey, PoolKind
from bitgoeul.planning.snapshot import Snapshot, Standing
from bitgoeul.planning.terms import Recorded

#: How long a holder is expected to give back at any moment, from when it was first asked to: eviction that is blocked
#: ends after this.
PATIENCE = span("10m")
#: How long before it is deleted data is announced to be, where the date is found to be over already.
SHORTEST_NOTICE = span("24h")


class Course(StrEnum):
    """What is done with the namespaces of an allocation."""

    NOTHING = "nothing"  # there are none, and none are made
    OPEN = "open"  # the grant is in force
    CLOSED = "closed"  # quota 0; pods go when it is time; data stays
    ERASED = "erased"  # namespaces and data are deleted


class Halt(StrEnum):
    """Why an allocation may not run although its window is open."""

    NO = "no"
    SUSPEND = "suspend"  # spec.suspend
    POOL = "pool"  # a pool of it has stopPolicy HoldAndDrain


class Life(NamedTuple):
    """
    One allocation at one moment.

    Attributes:
        course: What holds as long as nothing new is granted.
        start, end: Of what is or was held or promised; of one that only asks, ``start`` is now and ``end`` what is
            asked for.
        asks: Nothing is in force, and it wants to begin: new, resumed, or its end was moved after it had passed.
        extend_to: The end that is asked for beyond what was given; None: no later one.
        passed: The end is over, and no later one is asked for.
        drain_at: When pods of one that is closed have to be gone.
        erase_at: When the data of one that is over is deleted.
        reclaimed: The data was deleted after the end.
    """

    course: Course
    start: int
    end: int
    asks: bool = False
    extend_to: int | None = None
    passed: bool = False
    halt: Halt = Halt.NO
    drain_at: int = FOREVER
    erase_at: int = FOREVER
    reclaimed: bool = False


def look(standing: Standing, snapshot: Snapshot) -> Life:
    """Tell the time of an allocation that is not being deleted."""
    allocation, now = standing.allocation, snapshot.now
    terms, recorded = allocation.terms, allocation.recorded
    start = recorded.start if recorded else now
    if not holds(standing):
        return outside(standing, now)
    if allocation.problem:  # nothing says what was agreed on; what is held stays, and what is closed stays closed
        course = Course.OPEN if in_force(standing) else Course.CLOSED
        return Life(course, start, recorded.end if recorded else FOREVER)
    wanted = terms.end_from(start)
    end = min(wanted, recorded.end) if recorded else wanted
    if wanted <= now:
        return over(standing, snapshot, start, wanted)
    halt = halted(standing, snapshot)
    if halt is not Halt.NO:
        return Life(Course.CLOSED, start, end, halt=halt, drain_at=halted_drain(standing, halt, end, now))
    if end > now and in_force(standing):
        return Life(Course.OPEN, start, end, extend_to=wanted if wanted > end else None)
    # Suspended and let go again, or its end has come while a later one was asked for in vain: it asks to go on.
    drain_at = terms.drained(end) if end <= now else recorded.drain_at if recorded and recorded.drain_at else now
    return Life(Course.CLOSED, start, end, asks=True, extend_to=wanted, drain_at=min(drain_at, terms.drained(end)))


def over(standing: Standing, snapshot: Snapshot, start: int, wanted: int) -> Life:
    """
    The life of one with namespaces whose end, as asked for, is over.

    An end that is moved into the past takes effect now, and one that was asked for in vain counts all the same: grace
    and retention are what a reader of the spec expects. Data goes only at a moment that status has announced.
    """
    allocation, now = standing.allocation, snapshot.now
    terms, recorded = allocation.terms, allocation.recorded
    end = over_at(recorded, wanted, now) if recorded else now
    halt = halted(standing, snapshot)
    drain_at = terms.drained(end) if halt is Halt.NO else halted_drain(standing, halt, end, now)
    if not in_force(standing) and recorded and recorded.drain_at is not None:
        drain_at = min(drain_at, recorded.drain_at)
    erase_at = terms.erased(end)
    announced = recorded.delete_at if recorded else None
    due = announced is not None and announced <= now
    if erase_at <= now and not due:
        erase_at = now + min(terms.retention, SHORTEST_NOTICE)
        erase_at = erase_at if announced is None else min(erase_at, announced)
    if due and erase_at <= now:
        if not standing.housed:  # nothing is left of it but what an earlier change has left behind
            return Life(Course.NOTHING, start, end, passed=True, reclaimed=True)
        return Life(Course.ERASED, start, end, passed=True, halt=halt, drain_at=drain_at, erase_at=erase_at)
    return Life(Course.CLOSED, start, end, passed=True, halt=halt, drain_at=drain_at, erase_at=erase_at)


def over_at(recorded: Recorded, wanted: int, now: int) -> int:
    """When one was over that was in force, and whose end as asked for is over: an edit takes nothing back."""
    return min(max(recorded.end, wanted), now)


def in_force(standing: Standing) -> bool:
    """Whether what it has is in force, by its status; where that is lost, by the marks on its namespaces."""
    admitted = standing.allocation.admitted
    return not standing.shut if admitted is None else admitted


def holds(standing: Standing) -> bool:
    """Whether it has, or was promised for now, anything at all; one with cpu and memory only has a namespace."""
    return standing.housed or bool(standing.charged) or standing.allocation.admitted is True


def outside(standing: Standing, now: int) -> Life:
    """The life of one that holds nothing."""
    allocation = standing.allocation
    terms, recorded = allocation.terms, allocation.recorded
    halt = Halt.SUSPEND if terms.suspend else Halt.NO
    if recorded:  # it was in force, or its start was promised: its times are fixed
        start = max(recorded.start, terms.start or recorded.start)
        end = terms.end_from(start)
        if end <= now:
            if allocation.placed or allocation.reclaimed:  # it was in force: what is edited by now moves nothing of it
                start = recorded.start
                end = recorded.end if allocation.reclaimed else over_at(recorded, end, now)
            reclaimed = allocation.reclaimed or (bool(allocation.placed) and terms.erased(end) <= now)
            return Life(Course.NOTHING, start, end, passed=True, reclaimed=reclaimed)
        if not allocation.reclaimed:  # of one that is reclaimed nothing is left, it starts afresh
            return Life(Course.NOTHING, start, end, asks=True, halt=halt)
    end = FOREVER if terms.end is None else terms.end  # a length begins with the real start
    if end <= now:
        return Life(Course.NOTHING, now, end, passed=True, reclaimed=allocation.reclaimed)
    return Life(Course.NOTHING, now, end, asks=True, halt=halt)


def halted(standing: Standing, snapshot: Snapshot) -> Halt:
    """Why one with namespaces may not run, whatever its window says."""
    if standing.allocation.terms.suspend:
        return Halt.SUSPEND
    return Halt.POOL if snapshot.draining and draining_pools(standing, snapshot) else Halt.NO


def draining_pools(standing: Standing, snapshot: Snapshot) -> list[PoolKey]:
    """
    The pools with stopPolicy HoldAndDrain that concern it.

    One that is in force and asks for a first share of such a pool only waits for that; it loses nothing.
    """
    allocation, charged = standing.allocation, standing.charged
    concerned = charged if in_force(standing) else {**charged, **allocation.ask}
    return sorted(snapshot.draining.intersection(concerned))


def halted_drain(standing: Standing, halt: Halt, end: int, now: int) -> int:
    """When pods of a halted one have to be gone: at once if it was suspended itself, else after its grace."""
    allocation = standing.allocation
    recorded = allocation.recorded
    if allocation.suspended and recorded and recorded.drain_at is not None:
        return recorded.drain_at if halt is Halt.POOL else min(recorded.drain_at, now)
    grace = allocation.terms.grace if halt is Halt.POOL else 0
    return min(now + grace, allocation.terms.drained(end))


def due_back(standing: Standing, life: Life, kind: PoolKind) -> int:
    """When what is charged should come free, which may be over; FOREVER where nobody can say."""
    terms = standing.allocation.terms
    if standing.allocation.problem:
        return FOREVER
    until = terms.released(kind, life.end)
    if life.halt is not Halt.NO and kind is PoolKind.ACCELERATORS and terms.drain:
        until = min(until, life.drain_at)
    if life.passed and kind is PoolKind.STORAGE and life.erase_at < FOREVER:
        until = life.erase_at  # as announced, which may be later than the terms say
    return until


class Taking(NamedTuple):
    """Since when what is due is taken back; None: nothing of the kind is due."""

    drain: int | None = None
    delete: int | None = None

    def since(self, kind: PoolKind) -> int | None:
        """The moment that counts for pools of one kind."""
        return self.drain if kind is PoolKind.ACCELERATORS or self.delete is None else self.delete


def taking_back(standing: Standing, life: Life | None, snapshot: Snapshot) -> Taking:
    """
    Tell since when what is due is taken back: as status remembers it, or now, where nobody has begun.

    While clocks differ nothing is asked back because a date has come, and what was is asked back anew afterwards.

    Args:
        life: None for an allocation that is being deleted.
    """
    allocation, now = standing.allocation, snapshot.now
    if snapshot.clocks_differ and life is not None and life.halt is not Halt.SUSPEND:
        return Taking()
    erasing = life is not None and life.course is Course.ERASED
    return Taking(
        begun(allocation.drain_started, now) if drain_is_due(standing, life, now) else None,
        begun(allocation.delete_started, now) if erasing else None,
    )


def begun(recorded: int | None, now: int) -> int:
    """A moment as recorded; one that is ahead was written by a clock that has gone back, and tells nothing."""
    return now if recorded is None or recorded > now else recorded


def drain_is_due(standing: Standing, life: Life | None, now: int) -> bool:
    """Whether devices are to be given back by now, whoever evicts the pods that hold them."""
    allocation = standing.allocation
    if life is None:
        return bool(standing.charged)
    if allocation.problem:
        return False
    match life.course:
        case Course.OPEN:
            return allocation.excess_drain_at is not None and allocation.excess_drain_at <= now
        case Course.CLOSED:
            evicts = allocation.terms.drain and life.drain_at <= now
            return evicts or due_back(standing, life, PoolKind.ACCELERATORS) <= now
        case Course.ERASED:
            return True
        case _:
            return False
