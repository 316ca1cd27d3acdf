"""
A second planner for comparison: whole hours in plain lists, one slot after the other, written from the design page.

Slow, short and without cleverness. The last slot of a list stands for all time to come after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

NOW = 24
LAST = 260  # the slot of all time to come; forecasts of small cases end long before

Stage = tuple[int, int]  # from this hour on, this much


@dataclass(frozen=True)
class Tenant:
    """One allocation of a case; hours after START, amounts by pool in devices or Ti."""

    name: str
    ask: dict[str, int]
    priority: int = 100
    created: int = 0  # minutes
    start: int | None = None
    end: int | None = None
    length: int | None = None
    grace: int = 0
    retention: int | None = None  # hours until storage is deleted; None: it is kept
    # What it has: (start, end) with amounts held, or promised for the start.
    record: tuple[int, int | None] | None = None
    held: dict[str, int] = field(default_factory=dict)
    promised: bool = False


@dataclass(frozen=True)
class Case:
    """Pools with what they give from which hour on, the first at most ``NOW``; and tenants."""

    pools: dict[str, list[Stage]]
    tenants: list[Tenant]


@dataclass
class Outcome:
    """What is decided; ``starts`` is the hour of a promised or foreseen start, None where there is none."""

    word: str
    starts: int | None = None
    ends: int | None = None  # of what is in force


def occupied(tenant: Tenant, pool: str, start: int, end: int | None) -> list[int]:
    """The slots that something taken of a pool takes up."""
    if end is not None:
        end += tenant.grace
        if pool == "lustre":
            end = None if tenant.retention is None else end + tenant.retention
    return [*range(start, LAST + 1 if end is None else min(end, LAST + 1))]


def solve(case: Case) -> dict[str, Outcome]:
    """Decide for everybody, one after the other."""
    reference = Reference(case)
    reference.lay_out()
    reference.begin_promised()
    for tenant, extends in reference.line():
        if extends:
            reference.extend(tenant)
        elif tenant.record is not None:
            reference.grow(tenant)
        else:
            reference.place(tenant)
    return reference.outcomes


class Reference:
    """What is free in each slot of each pool, and what was decided so far."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.free = {pool: [level(stages, hour) for hour in range(LAST + 1)] for pool, stages in case.pools.items()}
        self.outcomes: dict[str, Outcome] = {}
        self.stuck: list[tuple[str, int, int]] = []  # no room before its end: pool, that end, amount

    def left(self, pool: str, slots: list[int]) -> int:
        """The least that is left in these slots; what has no end goes past nobody whose window is still open."""
        least = min(self.free[pool][slot] for slot in slots)
        if slots[-1] == LAST:
            waiting = sum(amount for name, end, amount in self.stuck if name == pool and end > slots[0])
            least = min(least, self.free[pool][LAST] - waiting)
        return least

    def take(self, tenant: Tenant, amounts: dict[str, int], start: int, end: int | None) -> None:
        """Take amounts from a start until an end and what follows it."""
        for pool, amount in amounts.items():
            for slot in occupied(tenant, pool, start, end):
                self.free[pool][slot] -= amount

    def earliest(self, tenant: Tenant, need: dict[str, int], first: int) -> int | None:
        """The first start at which all fits for all of its time."""
        for start in range(first, LAST - 60):
            end = start + tenant.length if tenant.length is not None else tenant.end
            if end is not None and start >= end:
                return None
            if all(self.left(p, occupied(tenant, p, start, end)) >= n for p, n in need.items()):
                return start
        return None

    def lay_out(self) -> None:
        """What is held; an overdue holder gives nothing back."""
        for tenant in self.case.tenants:
            if tenant.record is not None and not tenant.promised:
                for pool, amount in tenant.held.items():
                    for slot in occupied(tenant, pool, NOW, kept_until(tenant)) or range(NOW, LAST + 1):
                        self.free[pool][slot] -= amount

    def begin_promised(self) -> None:
        """Promised starts, by start; those that have come begin."""
        for tenant in self.case.tenants:
            if tenant.promised and tenant.record is not None:
                start, end = tenant.record
                self.take(tenant, tenant.ask, max(start, NOW), end)
                self.outcomes[tenant.name] = Outcome("promised" if start > NOW else "in force", start, end)

    def line(self) -> list[tuple[Tenant, bool]]:
        """All that ask for anything, in order; True: for a later end."""
        asks: list[tuple[tuple[int, float, str, bool], Tenant, bool]] = []
        for tenant in self.case.tenants:
            if tenant.promised:
                continue
            if refused(self.case, tenant):
                self.outcomes[tenant.name] = Outcome("refused")
            elif tenant.record is None:
                asks.append((turn(tenant), tenant, False))
            else:
                self.outcomes[tenant.name] = Outcome("in force", tenant.record[0], kept_until(tenant))
                if wanted(tenant) != kept_until(tenant):
                    asks.append((turn(tenant), tenant, True))
                if lacks(tenant):  # growth is as old as the moment at which it is first seen
                    asks.append(((-tenant.priority, float("inf"), tenant.name, True), tenant, False))
        return [(tenant, extends) for _, tenant, extends in sorted(asks, key=lambda ask: ask[0])]

    def extend(self, tenant: Tenant) -> None:
        """A later end, if all that is held is free until then."""
        more = {
            pool: sorted(
                {*occupied(tenant, pool, NOW, wanted(tenant))} - {*occupied(tenant, pool, NOW, kept_until(tenant))}
            )
            for pool in tenant.held
        }
        if all(self.left(pool, slots) >= tenant.held[pool] for pool, slots in more.items() if slots):
            for pool, slots in more.items():
                for slot in slots:
                    self.free[pool][slot] -= tenant.held[pool]
            self.outcomes[tenant.name].ends = wanted(tenant)

    def grow(self, tenant: Tenant) -> None:
        """The difference, until the end of what is held."""
        end, need = self.outcomes[tenant.name].ends, lacks(tenant)
        until = replace(tenant, end=end, length=None)
        start = self.earliest(until, need, NOW)
        self.set_aside(until, need, start, end)
        if start != NOW:
            self.outcomes[tenant.name] = Outcome("growth waits", start, end)

    def place(self, tenant: Tenant) -> None:
        """A request to which nothing has happened yet."""
        start = self.earliest(tenant, tenant.ask, max(NOW, tenant.start or NOW))
        end = start + tenant.length if tenant.length is not None and start is not None else tenant.end
        self.set_aside(tenant, tenant.ask, start, end)
        word = "in force" if start == NOW else "promised" if start and start == tenant.start else "waits"
        self.outcomes[tenant.name] = Outcome(word, start, None if word == "waits" else end)

    def set_aside(self, tenant: Tenant, need: dict[str, int], start: int | None, end: int | None) -> None:
        """Who has no start takes from the time that has no end; who has none before its end, until that."""
        if start is not None:
            self.take(tenant, need, start, end)
            return
        for pool, amount in need.items():
            if end is not None:
                self.stuck.append((pool, end, amount))
            else:
                self.free[pool][LAST] -= amount


def level(stages: list[Stage], hour: int) -> int:
    """What a pool gives at an hour."""
    return [amount for start, amount in stages if start <= max(hour, NOW)][-1]


def refused(case: Case, tenant: Tenant) -> bool:
    """Whether more is asked for than a pool can ever give, and more than is held."""
    most = {pool: max(level(stages, hour) for hour in range(LAST)) for pool, stages in case.pools.items()}
    return any(amount > max(most[pool], tenant.held.get(pool, 0)) for pool, amount in tenant.ask.items())


def turn(tenant: Tenant) -> tuple[int, float, str, bool]:
    """Priority, then age, then name."""
    return (-tenant.priority, tenant.created, tenant.name, False)


def lacks(tenant: Tenant) -> dict[str, int]:
    """What has to be found beyond what is held."""
    return {p: n - tenant.held.get(p, 0) for p, n in tenant.ask.items() if n > tenant.held.get(p, 0)}


def wanted(tenant: Tenant) -> int | None:
    """The end that the spec asks for."""
    assert tenant.record is not None
    return tenant.record[0] + tenant.length if tenant.length is not None else tenant.end


def kept_until(tenant: Tenant) -> int | None:
    """The end of what is held: as recorded, or earlier if the spec says so."""
    assert tenant.record is not None
    ends = [end for end in (tenant.record[1], wanted(tenant)) if end is not None]
    return min(ends, default=None)
