"""
Texts that say why somebody waits, in numbers, and what would help. They name no other tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.allocations import Amounts
from bitgoeul.planning.board import Board, Demand, Hold
from bitgoeul.planning.checks import amount_text, free_text
from bitgoeul.planning.moments import FOREVER, day
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind

# Where devices are away; whose turn it is goes by these words.
UNTOLERATED = "on nodes with taints that the pool does not tolerate"
NO_NODE = "no node matches"
NONE_SHOWN = "its nodes show no device yet"
THERE = "devices are there now"


class Wait(NamedTuple):
    """
    One that waits, at its turn.

    Attributes:
        start: The moment asked about: now, or the start that is asked for.
        unclaimed: The most of each pool that could begin then without delaying anybody ahead.
        earliest: When all of it can begin; None: nobody can say.
        ahead: How many wait before it for the same pools.
        free: What nobody holds now of each pool; less than nothing where capacity was lost.
        unprepared: Pools that grant nothing at this moment: quotas do not name them yet, they were just deleted,
            or they show fewer devices than a moment ago.
    """

    demand: Demand
    start: int
    unclaimed: Amounts
    earliest: int | None
    ahead: int
    free: Amounts
    unprepared: tuple[PoolKey, ...] = ()


class Explainer:
    """Knows what stands on the board and why."""

    def __init__(self, pools: Mapping[PoolKey, Pool], board: Board, overdue: Amounts) -> None:
        self._pools = pools
        self._board = board
        self._overdue = overdue
        self._stages = {key: {stage.at: stage.name for stage in pool.stages} for key, pool in pools.items()}

    def waiting(self, wait: Wait) -> tuple[Reason, str]:
        """Why a demand cannot begin when it wants to."""
        need, now = wait.demand.need, self._board.now
        hindered = {pool: amount for pool, amount in need.items() if amount > wait.unclaimed[pool]}
        if not hindered and wait.unprepared:
            return Reason.WAITING_FOR_CAPACITY, preparing_text(self._pools[wait.unprepared[0]])
        way_out = "" if wait.unprepared else self._way_out(wait, hindered)
        tail = f"{ahead_text(wait.ahead)}{self._outlook(wait, hindered)}{way_out}"
        if wait.start > now:
            parts = [
                f"{amount_text(pool, amount)} of {pool.name}, {free_text(pool, max(0, left))} available"
                for pool, amount in hindered.items()
                for left in [wait.unclaimed[pool]]
            ]
            return Reason.WINDOW_NOT_OPEN, f"asks to start {day(wait.start)} and needs {'; '.join(parts)} then{tail}"
        free = wait.free
        if any(amount > free[pool] for pool, amount in hindered.items()):
            return Reason.WAITING_FOR_CAPACITY, f"{self._needs(hindered, free)}{tail}"
        parts = [
            f"{amount_text(pool, amount)} of {pool.name} with {free_text(pool, free[pool])} available"
            for pool, amount in hindered.items()
        ]
        fits = f"would fit now ({'; '.join(parts)})"
        if self._board.earliest(wait.demand, now, firm=True) == now:
            return Reason.BLOCKED_BY_EARLIER, f"{fits}, but would delay somebody ahead{tail}"
        return Reason.WAITING_FOR_CAPACITY, f"{fits}, but not for all of its time: {self._later(wait, hindered)}{tail}"

    def extension(
        self,
        holds: Iterable[Hold],
        lacking: Mapping[PoolKey, int],
        until: int,
        ahead: int,
        again: Wait | None = None,
    ) -> tuple[Reason, str]:
        """
        Why a later end cannot be given.

        Args:
            holds: What it would take.
            lacking: Since when there is too little of which pool.
            again: Of one whose end is over, when it may begin again.
        """
        parts = []
        reason = Reason.BLOCKED_BY_EARLIER
        for hold in holds:
            at = lacking.get(hold.pool)
            if at is None:
                continue
            if self._board.firm[hold.pool].lacks(hold.start, hold.end, hold.amount) is not None:
                reason = Reason.WAITING_FOR_CAPACITY
            free = max(0, self._board.left_at(hold, at))
            parts.append(
                f"needs {amount_text(hold.pool, hold.amount)} of {hold.pool.name}, "
                f"{free_text(hold.pool, free)} available from {day(at)} on"
            )
        length = "without an end" if until >= FOREVER else f"to {day(until)}"
        then = self._outlook(again, again.demand.need) if again else ""
        return (
            reason,
            f"extension {length} does not fit: {'; '.join(parts)}{ahead_text(ahead)}{then}; it stays asked for",
        )

    def _needs(self, hindered: Amounts, free: Amounts) -> str:
        parts = [
            f"{amount_text(pool, amount)} of {pool.name}, {available_text(self._pools[pool], free[pool])}"
            for pool, amount in hindered.items()
        ]
        return f"needs {'; '.join(parts)}"

    def _outlook(self, wait: Wait, hindered: Amounts) -> str:
        """The earliest start and the event that it waits for, or why there is none."""
        if wait.earliest is not None:
            if wait.earliest <= self._board.now:
                return ""
            return f"; earliest start {day(wait.earliest)} {self._cause(wait.earliest, wait.demand.need)}"
        overdue = {pool: self._overdue[pool] for pool in hindered if self._overdue.get(pool)}
        if overdue:
            parts = [
                f"{amount_text(pool, amount)} {plural(pool, amount)}of {pool.name} still held"
                for pool, amount in overdue.items()
            ]
            return f"; no earliest start: overdue: {', '.join(parts)}"
        end = wait.demand.end
        if end is not None and end < FOREVER:
            return f"; no room before its end {day(end)}"
        return "; no earliest start: no date is known at which enough comes free"

    def _cause(self, at: int, need: Amounts) -> str:
        for pool in need:
            name = self._stages[pool].get(at)
            if name:
                return f"when stage {name} of {pool.name} begins"
        if any(self._board.firm[pool].rises(at) for pool in need):
            return "when an earlier grant ends, if nobody extends"
        return "after those ahead, if nobody extends"

    def _later(self, wait: Wait, hindered: Amounts) -> str:
        """The first moment at which a demand that fits now no longer does."""
        for pool, amount in hindered.items():
            at = self._board.firm[pool].lacks(self._board.now, wait.demand.released(pool, self._board.now), amount)
            if at is not None:
                free = max(0, self._board.firm[pool].lowest(at, at + 1))
                return f"{free_text(pool, free)} of {pool.name} available from {day(at)} on"
        return "not all of its pools have room together"

    def _way_out(self, wait: Wait, hindered: Amounts) -> str:
        """What the asker could have at once, where a single pool hinders and something of it is unclaimed."""
        if len(hindered) != 1:
            return ""
        pool = next(iter(hindered))
        unclaimed = wait.unclaimed[pool]
        if unclaimed <= 0:
            return ""
        when = "now" if wait.start <= self._board.now else "then"
        return f"; {free_text(pool, unclaimed)} {plural(pool, unclaimed)}could start {when}"


def preparing_text(pool: Pool) -> str:
    """A new pool, whose zeros are still being written, or one that is on its way out."""
    if pool.leaving:
        return f"{pool.key.name} was deleted a moment ago; what waits for it is refused if it is not made anew at once"
    if not pool.unnamed_in:
        return f"{pool.key.name} shows fewer devices than a moment ago; what is there is granted when that is clear"
    return f"{pool.key.name} grants nothing new before every quota names it"


def available_text(pool: Pool, free: int) -> str:
    """What of a pool nobody holds, or why that is nothing."""
    if pool.bare:
        text = NONE_SHOWN if pool.nodes else NO_NODE
    else:
        text = f"{free_text(pool.key, max(0, free))} available"
        if pool.away or pool.capacity.tainted:
            text = f"{text} ({away_text(pool)})"
    return text if free >= 0 else f"{text}, {amount_text(pool.key, -free)} overcommitted"


def away_text(pool: Pool) -> str:
    """How many of the devices of a pool are there, and why the others are not, where that is known."""
    installed, tainted = pool.capacity.installed, pool.capacity.tainted
    parts = [f"{installed - tainted} of {installed + pool.away} {THERE}"]
    if tainted:
        parts.append(f"{tainted} {UNTOLERATED}")
    if not pool.nodes:
        parts.append(NO_NODE)
    return "; ".join(parts)


def ahead_text(ahead: int) -> str:
    """How many stand before one that waits; empty: nobody does."""
    return f"; {ahead} ahead" if ahead else ""


def plural(pool: PoolKey, amount: int) -> str:
    """The unit after an amount and a blank after that; sizes carry their own."""
    if pool.kind is PoolKind.STORAGE:
        return ""
    return "device " if amount == 1 else "devices "
