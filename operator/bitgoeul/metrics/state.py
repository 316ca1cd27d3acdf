"""
What one scrape is made from, and how a family of gauges is read off it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bitgoeul.desired.world import World
from bitgoeul.metrics.exposition import Row
from bitgoeul.metrics.families import Family, FamilyType
from bitgoeul.planning.decisions import Decision, Plan
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind
from bitgoeul.planning.snapshot import Snapshot, Standing

Status = Mapping[str, Any]
STATUSES = ("True", "False", "Unknown")
CONDITION_MEANING = "Always 1; the status and reason that each condition has now, as written in the object's status."


@dataclass(frozen=True, slots=True)
class State:
    """
    What the last round of planning looked at and decided; nobody changes any of it afterwards.

    Attributes:
        statuses: What is written in the status of each allocation, by its name.
        pool_statuses: What is written of an object that the snapshot does not hold is not shown.
    """

    snapshot: Snapshot
    plan: Plan
    world: World
    statuses: Mapping[str, Status]
    pool_statuses: Mapping[PoolKey, Status]

    def pools(self, kind: PoolKind) -> Iterator[Pool]:
        """The pools of one kind."""
        return (pool for key, pool in self.snapshot.pools.items() if key.kind is kind)

    def decided(self) -> Iterator[tuple[Standing, Decision]]:
        """Every allocation with what was decided about it."""
        return ((standing, self.plan.decisions[standing.allocation.name]) for standing in self.snapshot.standings)


def conditions_of(status: Status) -> Iterator[tuple[str, str, str]]:
    """Type, status and reason of each condition as written."""
    for condition in status.get("conditions") or ():
        yield condition.get("type", ""), condition.get("status", ""), condition.get("reason", "")


@dataclass(frozen=True, slots=True)
class Source:
    """A family, and how its rows are read off a state."""

    family: Family
    rows: Callable[[State], Iterable[Row]]


def gauge(
    name: str,
    labels: tuple[str, ...],
    meaning: str,
    rows: Callable[[State], Iterable[Row]],
    unit: str = "",
    values: Mapping[str, tuple[str, ...]] | None = None,
) -> Source:
    """A source of gauges: whatever a state shows can go up and down."""
    return Source(Family(name, FamilyType.GAUGE, labels, meaning, unit, values or {}), rows)
