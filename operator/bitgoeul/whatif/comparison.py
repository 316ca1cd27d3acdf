"""
Two plans beside each other: who starts when in each of them, who moves and by how much, and what is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bitgoeul.api.conditions import REFUSALS, Phase, Reason
from bitgoeul.desired.allocation_status import Progress, phase_of
from bitgoeul.planning.allocations import Amounts
from bitgoeul.planning.decisions import Decision, Plan, PoolPlan
from bitgoeul.planning.life import holds
from bitgoeul.planning.moments import FOREVER, LATEST, NEVER, day
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.snapshot import Snapshot, Standing

# Of one whose every pod is made or gone: what will be when all is settled.
SETTLED = Progress(ready=True, drained=True)
# In which something is asked for that is not there.
UNMET = frozenset({Phase.PENDING, Phase.WAITING, Phase.SCHEDULED, Phase.SUSPENDED, Phase.REFUSED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What a plan has for one allocation.

    Attributes:
        begins: When all that is asked for is there; None: nobody can say, or never.
        end: Of the window; None: it has none, or none is known.
        fresh: It has nothing yet, and begins at once.
        more: It is in force, and asks for more than it has, or for a later end.
        reason, message: Why it is so, as in the conditions.
    """

    phase: Phase
    begins: int | None
    end: int | None
    fresh: bool
    more: bool
    reason: Reason
    message: str
    position: int | None

    @property
    def pending(self) -> bool:
        """Whether something asked for is still to come."""
        return self.more or self.phase in UNMET

    @property
    def refused(self) -> bool:
        """Whether what is asked for cannot work as written; what is held is not touched by it."""
        return self.reason in REFUSALS

    @property
    def text(self) -> str:
        """All that matters in a few words."""
        until = f" until {day(self.end)}" if self.end is not None else ""
        match self.phase:
            case Phase.ACTIVE | Phase.EXPIRING if self.refused:
                return f"{self.phase}{until}, change refused: {self.reason}"
            case Phase.ACTIVE | Phase.EXPIRING if self.more:
                return f"{self.phase}{until}, more {self._waits()}"
            case Phase.ACTIVE | Phase.EXPIRING:
                return f"starts now{until.replace(' until', ', until')}" if self.fresh else f"{self.phase}{until}"
            case Phase.WAITING:
                return self._waits()
            case Phase.SCHEDULED if self.begins is not None:
                return f"scheduled for {day(self.begins)}"
            case Phase.REFUSED:
                return f"refused: {self.reason}"
            case Phase.PENDING:
                return "on hold" if self.reason is Reason.POOL_ON_HOLD else "being deleted"
            case _:
                return str(self.phase)

    def _waits(self) -> str:
        return f"waits until {day(self.begins)}" if self.begins is not None else "waits, no start known"


@dataclass(frozen=True, slots=True)
class Row:
    """One allocation in both plans; ``before`` is None where it does not exist yet."""

    name: str
    organization: str
    priority: int
    asks: Amounts
    subject: bool  # it is what the question is about
    before: Outcome | None
    after: Outcome

    @property
    def moves(self) -> int | None:
        """By how many milliseconds the start moves; None: it has none in one of the plans, or nothing waits."""
        before, after = self.before, self.after
        if before is None or not before.pending or before.begins is None or after.begins is None:
            return None
        return after.begins - before.begins

    @property
    def later(self) -> bool:
        """Whether the start moves back, or is lost."""
        before = self.before
        if before is None or not before.pending or before.begins is None or self.refused:
            return False
        return self.after.begins is None or self.after.begins > before.begins

    @property
    def earlier(self) -> bool:
        """Whether the start moves up, or is known now."""
        before = self.before
        if before is None or not before.pending or self.after.begins is None:
            return False
        return before.begins is None or self.after.begins < before.begins

    @property
    def refused(self) -> bool:
        """Whether it is refused, and was not."""
        return self.after.refused and not (self.before is not None and self.before.refused)

    @property
    def changed(self) -> bool:
        before, after = self.before, self.after
        return before is None or before.text != after.text or before.begins != after.begins


@dataclass(frozen=True, slots=True)
class Shortage:
    """
    A pool in which more is granted than there is, or more promised than there will be.

    Attributes:
        hurts: Allocations whose promised start it hurts.
        there: What there is then, below what is held, as far as more is granted than that; None: it is about promises.
    """

    pool: PoolKey
    since: int
    amount: int  # that is too much
    hurts: tuple[str, ...]
    there: int | None = None

    @property
    def reason(self) -> Reason:
        """As in the condition that tells of it."""
        return Reason.PROMISES_EXCEED_PLAN if self.there is None else Reason.CAPACITY_LOST


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two plans."""

    rows: tuple[Row, ...]
    shortages: tuple[Shortage, ...]  # that the first plan does not have

    @property
    def later(self) -> int:
        return sum(row.later for row in self.rows)

    @property
    def earlier(self) -> int:
        return sum(row.earlier for row in self.rows)

    @property
    def refused(self) -> int:
        return sum(row.refused for row in self.rows)

    @property
    def in_danger(self) -> int:
        """How many promised starts may be late; none is moved for that before it comes."""
        moved = {row.name for row in self.rows if row.later}
        return len({name for shortage in self.shortages for name in shortage.hurts} - moved)

    @property
    def summary(self) -> str:
        """All of it in one line."""
        parts = [f"{self.later} {starts(self.later)} later"] if self.later else []
        if self.in_danger:
            parts.append(f"{self.in_danger} promised {starts_of(self.in_danger)} may be late")
        parts = parts or ["nobody is delayed"]
        if self.earlier:
            parts.append(f"{self.earlier} {starts(self.earlier)} earlier")
        if self.refused:
            parts.append(f"{self.refused} {'is' if self.refused == 1 else 'are'} refused")
        pools = len({shortage.pool for shortage in self.shortages})
        if pools:
            parts.append(f"{pools} {'pool is' if pools == 1 else 'pools are'} overcommitted")
        return ", ".join(parts)


def starts(number: int) -> str:
    return "starts" if number == 1 else "start"


def starts_of(number: int) -> str:
    return "start" if number == 1 else "starts"


def outcome(standing: Standing, decision: Decision) -> Outcome:
    """Reduce a decision to what people ask about."""
    window, entry = decision.window, decision.queue
    begins = None
    if entry is not None:
        begins = entry.earliest
    elif decision.admitted or decision.promised is not None:
        begins = window.start if window else None
    end = window.end if window else standing.allocation.terms.end
    return Outcome(
        phase=phase_of(standing.allocation, decision, SETTLED, decision.admitted and not standing.allocation.deleting),
        begins=begins,
        end=end if end is not None and end < FOREVER and end <= LATEST else None,
        fresh=decision.admitted and not holds(standing),
        more=decision.admitted and entry is not None,
        reason=decision.reason,
        message=decision.message,
        position=entry.position if entry else None,
    )


def outcomes(snapshot: Snapshot, plan: Plan) -> dict[str, Outcome]:
    """What a plan has for everybody."""
    return {s.allocation.name: outcome(s, plan.decisions[s.allocation.name]) for s in snapshot.standings}


def compare(
    before: tuple[Snapshot, Plan],
    after: tuple[Snapshot, Plan],
    subjects: Sequence[str],
    *,
    whole: bool = False,
    touched: Collection[str] = (),
) -> Comparison:
    """
    Put two plans beside each other.

    Args:
        subjects: The allocations that the question is about; they are always shown.
        touched: Allocations that lose something; they are shown too.
        whole: Show also those for whom nothing changes and who have not got what they ask for.
    """
    was, will = outcomes(*before), outcomes(*after)
    rows = []
    for standing in after[0].standings:
        allocation = standing.allocation
        name = allocation.name
        row = Row(
            name,
            allocation.organization,
            allocation.priority,
            allocation.ask,
            name in subjects,
            was.get(name),
            will[name],
        )
        if row.subject or row.changed or name in touched or (whole and row.after.pending):
            rows.append(row)
    rank = {name: number for number, name in enumerate(subjects)}
    rows.sort(key=lambda row: (rank.get(row.name, len(rank)), begin_order(row.after), row.name))
    return Comparison(tuple(rows), tuple(new_shortages(before[1], after[1], after[0].now)))


def begin_order(found: Outcome) -> int:
    return NEVER if found.begins is None else found.begins


def new_shortages(before: Plan, after: Plan, now: int) -> list[Shortage]:
    """Where more is granted than there is, or more promised than there will be, and more so than before."""
    found = []
    for key, plan in sorted(after.pools.items()):
        known = before.pools.get(key, PoolPlan())
        lost = max(0, -plan.available)
        hurts_more = not set(plan.hurts) <= set(known.hurts)
        if lost and (lost > -known.available or hurts_more):
            there = plan.granted + plan.retained - lost
            found.append(Shortage(key, now, lost, plan.hurts, there))
        if plan.short_from is None or plan.short_by <= lost:  # nothing that would not be said already
            continue
        if plan.short_by > known.short_by or hurts_more:
            found.append(Shortage(key, plan.short_from, plan.short_by, plan.hurts))
    return found
