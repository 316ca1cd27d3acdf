"""
Decides who gets what now, who waits for what, and why.

Takes a frozen snapshot and gives one decision for each allocation. Pure and total: the same snapshot gives the same
plan, in whatever order its parts come, and a plan applied to its own snapshot decides the same again, to the letter.

Requests are whole: all of what is asked is granted, or none. Everybody ahead in the queue has what it waits for set
aside, so a later request that fits starts only when it takes nothing from anybody ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.allocations import Amounts, at_least, total
from bitgoeul.planning.checks import amount_text, refusal
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind
from bitgoeul.planning.snapshot import Snapshot, Standing


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A place in the queue."""

    position: int | None  # None: not in line while the ask is refused; 1 + earlier waiters that share any pool
    since: datetime
    asked: Amounts  # the whole ask that waits; enlarging it starts a new ``since``
    blocked_by: Amounts  # what is short now; empty: nothing is, but somebody is ahead


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What one allocation is to have.

    ``grant`` is what status.grant must promise: never less than what is charged, since only proof that quota and pods
    have gone down may lower it. ``reason`` and ``message`` say why the ask is not met, or that it is.
    """

    name: str
    uid: str
    grant: Amounts
    met: bool  # everything asked for is granted
    reason: Reason
    message: str = ""
    queue: QueueEntry | None = None  # None: nothing waits
    housed: bool = field(default=False, compare=False)  # has a namespace, so it was admitted before

    @property
    def admitted(self) -> bool:
        """Whether anything is promised; one that asks for cpu and memory only has an empty grant."""
        return self.met or self.housed or bool(self.grant)


@dataclass(frozen=True, slots=True)
class PoolPlan:
    """What a pool has handed out, in devices or bytes. effective = granted + retained + available."""

    granted: int = 0
    retained: int = 0
    available: int = 0  # negative: capacity was lost after it had been granted
    in_use: int = 0
    waiting: int = 0  # asked for by those who wait
    waiters: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One round's result."""

    decisions: Mapping[str, Decision]  # by allocation name
    pools: Mapping[PoolKey, PoolPlan]


@dataclass(frozen=True, slots=True)
class Request:
    """A standing whose ask is a matter of capacity."""

    standing: Standing
    need: Amounts  # what has to be found, in the order of the pools
    since: datetime

    @property
    def turn(self) -> tuple[int, datetime, str]:
        """Its place in the order of the queue: priority, then age, then name."""
        allocation = self.standing.allocation
        return (-allocation.priority, self.since, allocation.name)


@dataclass(slots=True)
class Room:
    """What is left of each pool while the queue is walked."""

    free: dict[PoolKey, int]  # not charged to anybody
    unclaimed: dict[PoolKey, int]  # also not set aside for anybody ahead
    waiters: int = 0
    # Who waits so far for each pool, as a set of bits: the union over several pools is counted in no time.
    ahead: dict[PoolKey, int] = field(default_factory=dict)

    def take(self, need: Amounts) -> None:
        """Hand out what is needed."""
        for pool, amount in need.items():
            self.free[pool] -= amount
            self.unclaimed[pool] -= amount

    def set_aside(self, need: Amounts) -> None:
        """Keep what is needed from those who come later."""
        for pool, amount in need.items():
            self.unclaimed[pool] -= amount
            self.ahead[pool] = self.ahead.get(pool, 0) | 1 << self.waiters
        self.waiters += 1

    def position(self, need: Amounts) -> int:
        """1 + the waiters so far that share any pool."""
        sharing = 0
        for pool in need:
            sharing |= self.ahead.get(pool, 0)
        return 1 + sharing.bit_count()


def make_plan(snapshot: Snapshot) -> Plan:
    """Decide once for everybody."""
    room = measure_room(snapshot)
    decisions: dict[str, Decision] = {}
    requests: list[Request] = []
    for standing in snapshot.standings:
        need = missing(standing)
        decided = decide_alone(standing, need, snapshot)
        if decided is None:
            requests.append(Request(standing, need, waiting_since(standing, snapshot.now)))
        else:
            decisions[standing.allocation.name] = decided
    waiting: list[Request] = []
    for request in sorted(requests, key=lambda r: r.turn):
        decision = decide_in_turn(request, room, snapshot.pools)
        decisions[decision.name] = decision
        if not decision.met:
            waiting.append(request)
    return Plan(decisions, summarize(snapshot, decisions, waiting))


def measure_room(snapshot: Snapshot) -> Room:
    """What is neither charged to anybody nor retained; less than nothing where capacity was lost."""
    taken = total([*(standing.charged for standing in snapshot.standings), snapshot.retained])
    free = {key: pool.capacity.effective - taken.get(key, 0) for key, pool in snapshot.pools.items()}
    return Room(free, dict(free))


def missing(standing: Standing) -> dict[PoolKey, int]:
    """What has to be found for the ask to be met, beyond what is charged or inherited."""
    charged, inherits = standing.charged, standing.inherits
    short = {
        pool: amount - charged.get(pool, 0) - inherits.get(pool, 0) for pool, amount in standing.allocation.ask.items()
    }
    return {pool: amount for pool, amount in short.items() if amount > 0}


def waiting_since(standing: Standing, now: datetime) -> datetime:
    """When the present ask joined the queue: creation at first; asking for more starts anew."""
    allocation = standing.allocation
    # In milliseconds, as status has it: what is read back must be the same. Creation times are whole seconds, so that
    # the fraction puts a growth behind those that were created in the same second.
    fresh = now.astimezone(UTC).replace(microsecond=now.microsecond // 1000 * 1000)
    if allocation.queued_since is not None:
        enlarged = any(amount > allocation.queued_ask.get(pool, 0) for pool, amount in allocation.ask.items())
        return fresh if enlarged else allocation.queued_since
    return fresh if standing.housed or standing.charged else allocation.created


def decide_alone(standing: Standing, need: Amounts, snapshot: Snapshot) -> Decision | None:
    """Decide what needs no look at the others; None when it is a matter of capacity."""
    if standing.allocation.deleting:
        return keep(standing, Reason.DELETING, "the allocation is being deleted")
    refused = refusal(standing, snapshot)
    if refused is not None:
        return keep(standing, refused.reason, refused.message, remembered(standing))
    return None if need else fulfil(standing)


def remembered(standing: Standing) -> QueueEntry | None:
    """The wait of one that is refused now: it keeps its age, and may not lose the memory of what it had asked for."""
    allocation = standing.allocation
    if allocation.queued_since is None:
        return None
    return QueueEntry(None, allocation.queued_since, dict(allocation.queued_ask), {})


def decide_in_turn(request: Request, room: Room, pools: Mapping[PoolKey, Pool]) -> Decision:
    """Grant what is asked if it takes nothing from anybody ahead, or else set it aside and say what is short."""
    need = request.need
    hindered = {pool: amount for pool, amount in need.items() if amount > room.unclaimed[pool]}
    unprepared = [pool for pool in need if pools[pool].unnamed_in]
    if not hindered and not unprepared:
        room.take(need)
        return fulfil(request.standing)
    entry = QueueEntry(
        position=room.position(need),
        since=request.since,
        asked=dict(request.standing.allocation.ask),
        blocked_by={p: n - max(0, room.free[p]) for p, n in need.items() if n > room.free[p]},
    )
    reason, message = explain(entry, room.position(need) - 1, hindered, unprepared, room, pools)
    room.set_aside(need)
    return keep(request.standing, reason, message, entry)


def fulfil(standing: Standing) -> Decision:
    """All that is asked, with what is inherited; what is charged beyond that stays until it is proved to be free."""
    allocation = standing.allocation
    grant = at_least(allocation.ask, standing.charged)
    return Decision(allocation.name, allocation.uid, grant, True, Reason.GRANTED, housed=standing.housed)


def keep(standing: Standing, reason: Reason, message: str, queue: QueueEntry | None = None) -> Decision:
    """What is charged now and no more."""
    allocation = standing.allocation
    return Decision(allocation.name, allocation.uid, standing.charged, False, reason, message, queue, standing.housed)


# Texts speak of hindered pools only. Nothing is granted there to anybody later, so their numbers stay as they are when
# this round's grants are written, and a text that is written once is not written again.


def explain(
    entry: QueueEntry,
    ahead: int,
    hindered: Amounts,
    unprepared: list[PoolKey],
    room: Room,
    pools: Mapping[PoolKey, Pool],
) -> tuple[Reason, str]:
    """Why somebody waits: for capacity, for somebody ahead, or only for quotas that do not name a pool yet."""
    if not hindered:
        return Reason.WAITING_FOR_CAPACITY, preparing_text(unprepared[0])
    if entry.blocked_by:
        reason, text = Reason.WAITING_FOR_CAPACITY, waiting_text(hindered, room, pools)
    else:
        reason, text = Reason.BLOCKED_BY_EARLIER, blocked_text(hindered, room)
    advice = "" if unprepared else way_out(hindered, room)
    return reason, f"{text}; {ahead} ahead{advice}"


def preparing_text(pool: PoolKey) -> str:
    return f"{pool.name} grants nothing new before every quota names it"


def blocked_text(need: Amounts, room: Room) -> str:
    parts = [f"{amount_text(p, n)} of {p.name} with {amount_text(p, room.free[p])} available" for p, n in need.items()]
    return f"would fit now ({'; '.join(parts)}), but would delay somebody ahead"


def waiting_text(need: Amounts, room: Room, pools: Mapping[PoolKey, Pool]) -> str:
    parts = [f"{amount_text(p, n)} of {p.name}, {available_text(pools[p], room.free[p])}" for p, n in need.items()]
    return f"needs {'; '.join(parts)}"


def available_text(pool: Pool, free: int) -> str:
    if pool.bare:
        text = "its nodes show no device yet" if pool.nodes else "no node matches"
    else:
        text = f"{amount_text(pool.key, max(0, free))} available"
    return text if free >= 0 else f"{text}, {amount_text(pool.key, -free)} overcommitted"


def way_out(hindered: Amounts, room: Room) -> str:
    """What the asker could have at once, where a single pool hinders and something of it is unclaimed."""
    pool = next(iter(hindered))
    unclaimed = room.unclaimed[pool]
    if len(hindered) > 1 or unclaimed <= 0:
        return ""
    if pool.kind is PoolKind.STORAGE:
        return f"; {amount_text(pool, unclaimed)} could start now"
    return f"; {unclaimed} {'device' if unclaimed == 1 else 'devices'} could start now"


def summarize(snapshot: Snapshot, decisions: Mapping[str, Decision], waiting: list[Request]) -> dict[PoolKey, PoolPlan]:
    """Add up what the decisions leave in each pool."""
    granted = total(decision.grant for decision in decisions.values())
    in_use = total(standing.in_use for standing in snapshot.standings)
    wanted = total(request.need for request in waiting)
    moved = total(taken_over(s, decisions[s.allocation.name]) for s in snapshot.standings if s.inherits)
    waiters = total(dict.fromkeys(request.need, 1) for request in waiting)
    result = {}
    for key, pool in snapshot.pools.items():
        promised = granted.get(key, 0)
        retained = snapshot.retained.get(key, 0) - moved.get(key, 0)
        if key.kind is PoolKind.ACCELERATORS:
            # Devices in namespaces whose allocation is gone are handed out until the quota there is closed.
            promised, retained = promised + retained, 0
        result[key] = PoolPlan(
            granted=promised,
            retained=retained,
            available=pool.capacity.effective - promised - retained,
            in_use=in_use.get(key, 0),
            waiting=wanted.get(key, 0),
            waiters=waiters.get(key, 0),
        )
    return result


def taken_over(standing: Standing, decision: Decision) -> Amounts:
    """What of the retained data becomes part of the promise."""
    return {
        pool: min(amount, decision.grant.get(pool, 0) - standing.charged.get(pool, 0))
        for pool, amount in standing.inherits.items()
    }
