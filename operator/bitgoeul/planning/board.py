"""
The board on which requests are placed over time, several pools at once.

Two pictures of each pool are kept: ``firm``, what is held or promised, and ``planned``, which also has the forecasts of
all who wait ahead. Whoever fits into ``planned`` takes nothing from anybody ahead, at any time.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bitgoeul.planning.allocations import Amounts
from bitgoeul.planning.life import PATIENCE, Life, Taking, due_back
from bitgoeul.planning.moments import FOREVER, NEVER
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind
from bitgoeul.planning.profile import Profile
from bitgoeul.planning.snapshot import Snapshot, Standing
from bitgoeul.planning.terms import Terms


class Hold(NamedTuple):
    """What is taken of one pool, from one moment until another."""

    pool: PoolKey
    start: int
    end: int
    amount: int
    name: str = ""  # of the allocation
    promised: bool = False  # for a start ahead
    overdue: bool = False  # should have been given back
    expected: bool = False  # asked back a moment ago, or not yet: it is on its way


class Demand(NamedTuple):
    """
    What is asked for together.

    Attributes:
        need: Amounts by pool.
        terms: What they say of lengths, and of what happens after the end.
        end: The end, whenever it begins; None: it lasts for ``terms.length`` from its start.
    """

    need: Amounts
    terms: Terms
    end: int | None

    def end_from(self, start: int) -> int:
        return self.end if self.end is not None else start + (self.terms.length or 0)

    def released(self, pool: PoolKey, start: int) -> int:
        """When a pool has back what is taken of it at a start."""
        return self.terms.released(pool.kind, self.end_from(start))


class Board:
    """See the module's text."""

    def __init__(self, pools: Mapping[PoolKey, Pool], now: int, holds: Iterable[Hold]) -> None:
        by_pool: dict[PoolKey, list[tuple[int, int, int]]] = {key: [] for key in pools}
        for hold in holds:
            if hold.pool in by_pool:
                by_pool[hold.pool].append((hold.start, hold.end, hold.amount))
        self.now = now
        self.firm = {key: Profile(pool.steps(now), by_pool[key]) for key, pool in pools.items()}
        self.planned = {key: profile.copy() for key, profile in self.firm.items()}
        # By pool, of those ahead who find no room before their end: that end, negative so that the last is the first,
        # and the amount. While their window is open, what has no end leaves them that much of what is free once all
        # that has an end is over.
        self._stuck: dict[PoolKey, list[tuple[int, int]]] = {}

    def free_now(self, pools: Iterable[PoolKey]) -> dict[PoolKey, int]:
        """What nobody holds at this moment; less than nothing where capacity was lost."""
        return {pool: self.firm[pool].at(self.now) for pool in pools}

    def earliest(self, demand: Demand, start: int, *, firm: bool = False) -> int | None:
        """
        The first moment from ``start`` on at which all of a demand fits for all of its time; None: there is none.

        Args:
            firm: Look only at what is held and promised, not at the forecasts of those ahead.
        """
        profiles = self.firm if firm else self.planned
        floating = demand.end is None
        reference = (demand.terms.length or 0) if demand.end is None else demand.end
        rows = [
            (profiles[pool], amount, demand.terms.released(pool.kind, reference))
            for pool, amount in demand.need.items()
        ]
        over = NEVER if demand.end is None else min(demand.end, NEVER)
        pools = tuple(demand.need)
        at, agreed, turn = start, 0, 0
        while agreed < len(rows):  # until no pool wants it later than the one that was asked last
            profile, amount, reach = rows[turn]
            found = (
                profile.slot(at, reach, amount) if floating and reach < FOREVER else profile.until(at, reach, amount)
            )
            if found is not None and reach >= FOREVER and not firm:
                found = self._past_the_stuck(pools[turn], found, amount)
            if found is None or found >= over:
                return None
            agreed = agreed + 1 if found == at else 1
            at, turn = found, (turn + 1) % len(rows)
        return at if at < over else None

    def lacks(self, hold: Hold) -> int | None:
        """The first moment at which a hold would take from somebody ahead; None: there is none."""
        at = self.planned[hold.pool].lacks(hold.start, hold.end, hold.amount)
        if at is None and self._left(hold.pool, hold.start, hold.end) < hold.amount:
            return hold.start
        return at

    def lowest(self, hold: Hold) -> int:
        """The least that is left by those ahead in the time of a hold."""
        return self._left(hold.pool, hold.start, hold.end)

    def left_at(self, hold: Hold, at: int) -> int:
        """What is left by those ahead at one moment of the time of a hold."""
        level = self.planned[hold.pool].at(at)
        return level if level < hold.amount else min(level, self._left(hold.pool, hold.start, hold.end))

    def unclaimed(self, demand: Demand, start: int) -> dict[PoolKey, int]:
        """The most of each pool that could begin at a moment, and takes nothing from anybody ahead."""
        left = {}
        for pool in demand.need:
            profile = self.planned[pool]
            level = profile.at(start)
            # Where nothing is left at once, how much less there is later makes no difference.
            left[pool] = level if level <= 0 else self._left(pool, start, demand.released(pool, start))
        return left

    def _left(self, pool: PoolKey, start: int, end: int) -> int:
        """The least that is left by those ahead at any moment of [start, end)."""
        level = self.planned[pool].lowest(start, end)
        if end < FOREVER or pool not in self._stuck:
            return level
        waiting = sum(amount for until, amount in self._stuck[pool] if -until > start)
        return min(level, self.planned[pool].at(NEVER) - waiting)

    def _past_the_stuck(self, pool: PoolKey, start: int, amount: int) -> int:
        """The first moment from ``start`` on at which something without an end goes past nobody who is stuck."""
        left = self.planned[pool].at(NEVER)
        for until, waiting in self._stuck.get(pool, ()):
            left -= waiting
            if -until <= start:
                break
            if left < amount:
                return -until
        return start

    def take(self, demand: Demand, start: int) -> None:
        """Hand out a demand: nobody gets it any more."""
        for pool, amount in demand.need.items():
            end = demand.released(pool, start)
            self.firm[pool].take(start, end, amount)
            self.planned[pool].take(start, end, amount)

    def set_aside(self, demand: Demand, start: int | None, hoped: int | None = None) -> None:
        """
        Keep a demand from those who come later; where no time can be said, from those who have no end.

        A demand with an end of its own, before which there is no room, is kept from them until then.

        Args:
            hoped: An earlier start that comes true when what is expected back is there.
        """
        for pool, amount in demand.need.items():
            if start is not None:
                self.planned[pool].take(start, demand.released(pool, start), amount)
            elif demand.end is not None and demand.end < NEVER:
                insort(self._stuck.setdefault(pool, []), (-demand.end, amount))
            else:
                self.planned[pool].take(NEVER, FOREVER, amount)
            if hoped is not None:
                until = min(demand.released(pool, hoped), NEVER if start is None else start)
                self.planned[pool].take(hoped, until, amount)

    def lift(self, holds: Iterable[Hold]) -> None:
        """Take holds off the board."""
        for hold in holds:
            if hold.pool in self.firm:
                self.firm[hold.pool].take(hold.start, hold.end, -hold.amount)
                self.planned[hold.pool].take(hold.start, hold.end, -hold.amount)

    def put(self, holds: Iterable[Hold]) -> None:
        """Put holds on the board, whether they fit or not."""
        for hold in holds:
            if hold.pool in self.firm:
                self.firm[hold.pool].take(hold.start, hold.end, hold.amount)
                self.planned[hold.pool].take(hold.start, hold.end, hold.amount)


def what_is_held(snapshot: Snapshot, lives: Mapping[str, Life], takings: Mapping[str, Taking]) -> list[Hold]:
    """
    What is charged, and until when, as far as anybody can say.

    Args:
        lives: By name, of all that are not being deleted; those give back nobody knows when.
        takings: By name, since when what is due is taken back, where anything is.
    """
    now = snapshot.now
    holds = [Hold(pool, now, FOREVER, amount) for pool, amount in snapshot.retained.items()]
    for standing in snapshot.standings:
        if not standing.charged:
            continue
        name = standing.allocation.name
        life, taking = lives.get(name), takings.get(name, Taking())
        for pool, amount in standing.charged.items():
            since = taking.since(pool.kind)
            if life is None:
                leaves = pool.kind is PoolKind.ACCELERATORS or standing.allocation.terms.delete
                expected = leaves and since is not None and now < since + PATIENCE
                holds.append(Hold(pool, now, FOREVER, amount, name, expected=expected))
                continue
            back = due_back(standing, life, pool.kind)
            late = back <= now
            asked = since if since is not None else now if snapshot.clocks_differ else back
            expected = late and now < asked + PATIENCE
            holds.append(Hold(pool, now, FOREVER if late else back, amount, name, overdue=late, expected=expected))
    return holds


def kept_on(standing: Standing, life: Life, demand: Demand, now: int) -> list[Hold]:
    """What one that is closed has, or should have, given back before the end it asks for, and would keep."""
    holds = []
    for pool, amount in standing.charged.items():
        back, end = max(now, due_back(standing, life, pool.kind)), demand.released(pool, now)
        if back < end:
            holds.append(Hold(pool, back, end, amount, overdue=back == now))
    return holds


def together(holds: Iterable[Hold]) -> dict[PoolKey, int]:
    """The amounts of holds by pool."""
    result: dict[PoolKey, int] = {}
    for hold in holds:
        result[hold.pool] = result.get(hold.pool, 0) + hold.amount
    return result
