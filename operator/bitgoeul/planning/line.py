"""
The line of those who wait: what each asks for, in which order they are looked at, and who stands before whom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bitgoeul.planning.allocations import Amounts, total
from bitgoeul.planning.life import Life, holds
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.snapshot import Standing


@dataclass(frozen=True, slots=True)
class Request:
    """Something that is a matter of capacity: devices and storage, or with ``extends`` a later end."""

    standing: Standing
    life: Life
    need: Amounts  # what has to be found, in the order of the pools
    since: datetime
    extends: bool = False

    @property
    def turn(self) -> tuple[int, datetime, str, bool]:
        """Its place in the order: priority, then age, then name; an extension goes by the age of what it extends."""
        allocation = self.standing.allocation
        since = allocation.created if self.extends else self.since
        return (-allocation.priority, since, allocation.name, not self.extends)


class Line:
    """Who waits so far for each pool."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}  # by name: one that waits for more and for a later end counts once
        # As a set of bits: the union over several pools is counted in no time.
        self._ahead: dict[PoolKey, int] = {}

    def join(self, name: str, pools: Iterable[PoolKey]) -> None:
        """An allocation waits for these pools."""
        place = self._places.setdefault(name, len(self._places))
        for pool in pools:
            self._ahead[pool] = self._ahead.get(pool, 0) | 1 << place

    def ahead(self, name: str, pools: Iterable[PoolKey]) -> int:
        """How many others wait so far for any of these pools."""
        sharing = 0
        for pool in pools:
            sharing |= self._ahead.get(pool, 0)
        own = self._places.get(name)
        return sharing.bit_count() - (0 if own is None else sharing >> own & 1)


def missing(standing: Standing) -> dict[PoolKey, int]:
    """What has to be found for the ask to be met, beyond what is charged or inherited."""
    charged, inherits = standing.charged, standing.inherits
    if not charged and not inherits:
        return dict(standing.allocation.ask)
    short = {
        pool: amount - charged.get(pool, 0) - inherits.get(pool, 0) for pool, amount in standing.allocation.ask.items()
    }
    return {pool: amount for pool, amount in short.items() if amount > 0}


def waiting_since(standing: Standing, life: Life, wall: datetime) -> datetime:
    """When the present ask joined the queue: creation at first; asking for more starts anew."""
    allocation = standing.allocation
    if allocation.queued_since is not None:
        return now_in_milliseconds(wall) if exceeds(allocation.ask, allocation.queued_ask) else allocation.queued_since
    if not holds(standing):
        # A promised start is no first wish any more: more than was promised is asked for only now.
        grown = allocation.promised is not None and exceeds(missing(standing), allocation.promised)
        return now_in_milliseconds(wall) if grown else allocation.created
    # One that was suspended asks again with its old place, as long as it asks for what it had.
    same = life.asks and not exceeds(allocation.ask, total(allocation.placed.values()))
    return allocation.created if same else now_in_milliseconds(wall)


def exceeds(ask: Amounts, before: Amounts) -> bool:
    """Whether more is asked for than before, of any pool."""
    return any(amount > before.get(pool, 0) for pool, amount in ask.items())


def now_in_milliseconds(wall: datetime) -> datetime:
    """
    The time, as status has it: what is read back must be the same.

    Creation times are whole seconds, so that the fraction puts a growth behind those that were created in the same one.
    """
    return wall.astimezone(UTC).replace(microsecond=wall.microsecond // 1000 * 1000)
