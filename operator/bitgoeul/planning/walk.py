"""
One walk through the line: places everybody in order and decides.

Conservative backfill: requests are whole, and each is placed at the earliest start at which all of its time fits
beside everything placed before. Whoever's earliest start is now is admitted; so nobody later ever delays anybody ahead.
What is in force, and a promised start, moves for nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bitgoeul.api.accelerator_pool import StopPolicy
from bitgoeul.api.conditions import Reason
from bitgoeul.planning.allocations import Amounts
from bitgoeul.planning.board import Board, Demand, Hold, kept_on, together, what_is_held
from bitgoeul.planning.checks import refusal
from bitgoeul.planning.decisions import Decision, QueueEntry
from bitgoeul.planning.explain import Explainer, Wait
from bitgoeul.planning.life import Course, Halt, Life, Taking, draining_pools, look, taking_back
from bitgoeul.planning.line import Line, Request, missing, waiting_since
from bitgoeul.planning.moments import FOREVER, LATEST
from bitgoeul.planning.pools import Pool, PoolKey
from bitgoeul.planning.promises import Promise, covers, promise_of
from bitgoeul.planning.snapshot import Snapshot, Standing
from bitgoeul.planning.verdicts import (
    begin_with,
    drained_text,
    ended_text,
    fulfil,
    keep,
    leave,
    on_hold_text,
    promised_text,
    remembered,
    suspended_text,
    window_of,
    with_extension,
)


class Walk:
    """See the module's text; for one use."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._now = snapshot.now
        self.lives = {s.allocation.name: look(s, snapshot) for s in snapshot.standings if not s.allocation.deleting}
        self._takings: dict[str, Taking] = {}
        for standing in snapshot.standings:
            taking = taking_back(standing, self.lives.get(standing.allocation.name), snapshot)
            if taking.drain is not None:
                self._takings[standing.allocation.name] = taking
        self._promises: dict[str, Promise] = {}
        for standing in snapshot.standings:
            if standing.allocation.promised is None:
                continue
            name = standing.allocation.name
            promise = promise_of(standing, self.lives.get(name), self._now)
            if promise is not None:
                self._promises[name] = promise
        self.holds = what_is_held(snapshot, self.lives, self._takings)
        for promise in self._promises.values():
            self.holds += promise.holds
        self.waiting: list[Request] = []
        self._board = Board(snapshot.pools, self._now, self.holds)
        self._overdue = together(hold for hold in self.holds if hold.overdue)
        self._expected = together(hold for hold in self.holds if hold.expected)
        self._explainer = Explainer(snapshot.pools, self._board, self._overdue)
        self._line = Line()
        self._stopped = frozenset(key for key, pool in snapshot.pools.items() if pool.stop is not StopPolicy.NONE)

    def decide(self) -> dict[str, Decision]:
        """Decide for everybody."""
        decisions: dict[str, Decision] = {}
        promised: list[Request] = []
        requests: list[Request] = []
        for standing in self._snapshot.standings:
            decided = self._alone(standing, promised, requests)
            if decided is not None:
                decisions[standing.allocation.name] = decided
        decisions.update(self._begin_promised(sorted(promised, key=lambda r: (r.life.start, r.turn))))
        for request in sorted(requests, key=lambda r: r.turn):
            name = request.standing.allocation.name
            if request.extends:
                decisions[name] = self._extend(request)
            else:
                decisions[name] = self._in_turn(request, decisions.get(name))
        for name, taking in self._takings.items():
            life, decision = self.lives.get(name), decisions[name]
            if life is None or life.course is decision.course:  # else it goes on
                decisions[name] = replace(decision, drain_started=taking.drain, delete_started=taking.delete)
        return decisions

    # -- without a look at the others

    def _alone(self, standing: Standing, promised: list[Request], requests: list[Request]) -> Decision | None:
        """Decide on one alone; None, and a request or two, when it is a matter of capacity."""
        if standing.allocation.deleting:
            return leave(standing)
        life = self.lives[standing.allocation.name]
        readable = not standing.allocation.problem
        if readable and life.passed and life.course is not Course.NOTHING:
            return self._keep(standing, life, Reason.WINDOW_PASSED, self._ended(standing, life))
        if readable and life.halt is not Halt.NO and life.course is Course.CLOSED:
            return self._keep(standing, life, *self._halted(standing, life), remembered(standing))
        refused = refusal(standing, self._snapshot)
        if refused is not None:
            return self._keep(standing, life, refused.reason, refused.message, remembered(standing))
        if life.passed:
            reason = Reason.DATA_DELETED if life.reclaimed else Reason.WINDOW_PASSED
            return self._keep(standing, life, reason, self._ended(standing, life))
        if life.halt is not Halt.NO:
            return self._keep(standing, life, *self._halted(standing, life), remembered(standing))
        return self._ask(standing, life, promised, requests)

    def _ask(self, standing: Standing, life: Life, promised: list[Request], requests: list[Request]) -> Decision | None:
        """Find out what is asked for, and of whom."""
        allocation = standing.allocation
        need = missing(standing)
        longer = self._longer(standing, life) if life.course is Course.OPEN and life.extend_to is not None else {}
        if life.extend_to is not None and life.course is Course.OPEN and not longer:  # it takes up nothing for longer
            life = life._replace(end=life.extend_to, extend_to=None)
        if not need and not longer and life.course is Course.OPEN:
            return fulfil(standing, life, self._now)
        since = waiting_since(standing, life, self._snapshot.wall)
        promise = self._promises.get(allocation.name)
        if promise is not None and promise.start > self._now and covers(promise, standing, need):
            return self._keep(standing, life, Reason.WINDOW_NOT_OPEN, promised_text(promise.start))
        stopped = sorted(pool.name for pool in self._stopped.intersection((*need, *longer))) if self._stopped else []
        if stopped:
            entry = QueueEntry(None, since, dict(allocation.ask), {})
            decision = self._keep(standing, life, Reason.POOL_ON_HOLD, on_hold_text(stopped), entry)
            return replace(decision, met=life.course is Course.OPEN and not need)
        request = Request(standing, life, need, since)
        if promise is not None and promise.start <= self._now:
            promised.append(request)
            return None
        if longer:
            requests.append(replace(request, need=longer, extends=True))
        if need or life.asks:
            requests.append(request)
        return None

    def _longer(self, standing: Standing, life: Life) -> dict[PoolKey, int]:
        """What a later end would take up for longer: all that is charged, until less is proved."""
        terms = standing.allocation.terms
        return {
            pool: amount
            for pool, amount in sorted(standing.charged.items())
            if amount and pool in self._snapshot.pools and terms.released(pool.kind, life.end) < FOREVER
        }

    def _ended(self, standing: Standing, life: Life) -> str:
        return ended_text(standing, life, held_up=self._snapshot.clocks_differ)

    def _halted(self, standing: Standing, life: Life) -> tuple[Reason, str]:
        if life.halt is Halt.SUSPEND:
            return Reason.SUSPENDED, suspended_text()
        pools = draining_pools(standing, self._snapshot)
        return Reason.POOL_ON_HOLD, drained_text(pool.name for pool in pools)

    # -- in order

    def _begin_promised(self, requests: list[Request]) -> dict[str, Decision]:
        """
        Promised starts whose time has come, before all who were promised nothing.

        All that they were promised stands on the board from now on, whether it can be given or not. Among themselves
        they go by start: who has to wait sees no promise that is behind it, and nobody behind delays it.
        """
        decisions: dict[str, Decision] = {}
        unheld = {key: pool.capacity.effective for key, pool in self._snapshot.pools.items()}
        for hold in self.holds:
            if not hold.promised and hold.pool in unheld:
                unheld[hold.pool] -= hold.amount
        begun: list[Hold] = []
        slipped: Board | None = None  # what is held, has begun, and is foreseen for those who slipped
        for request in requests:
            name = request.standing.allocation.name
            promise = self._promises[name]
            need = {pool: min(amount, promise.amounts.get(pool, 0)) for pool, amount in request.need.items()}
            need = {pool: amount for pool, amount in need.items() if amount}
            demand = Demand(need, request.standing.allocation.terms, promise.end)
            unprepared = self._unprepared(need, unheld)
            fits = all(amount <= unheld[pool] for pool, amount in need.items()) and not unprepared
            disturbs = slipped is not None and slipped.earliest(demand, self._now) != self._now
            if fits and not (disturbs and self._line.ahead(name, need)):
                decisions[name] = self._begun(request, promise, need)
                begun += promise.holds
                for pool, amount in need.items():
                    unheld[pool] -= amount
                if slipped is not None:
                    slipped.put(promise.holds)
                continue
            if slipped is None:
                firm = [hold for hold in self.holds if not hold.promised]
                slipped = Board(self._snapshot.pools, self._now, firm + begun)
            wait = Wait(
                demand,
                self._now,
                slipped.unclaimed(demand, self._now),
                slipped.earliest(demand, self._now),
                self._line.ahead(name, need),
                slipped.free_now(need),
                unprepared,
            )
            explainer = Explainer(self._snapshot.pools, slipped, self._overdue)
            decisions[name] = self._wait(replace(request, need=need), wait, explainer)
            slipped.set_aside(demand, wait.earliest, self._hoped(slipped, demand, self._now))
        return decisions

    def _begun(self, request: Request, promise: Promise, need: Amounts) -> Decision:
        """What a promise becomes at its start: what was promised, and the rest asks on."""
        standing = request.standing
        life = Life(Course.OPEN, promise.start, promise.end)
        if need == request.need:
            return fulfil(standing, life, self._now)
        entry = QueueEntry(None, request.since, dict(standing.allocation.ask), {})
        return begin_with(standing, life, self._now, need, entry)

    def _extend(self, request: Request) -> Decision:
        """Give a later end, if what is held is free until then."""
        standing, life, need = request.standing, request.life, request.need
        terms, until = standing.allocation.terms, life.extend_to or FOREVER
        holds = [
            Hold(pool, terms.released(pool.kind, life.end), terms.released(pool.kind, until), amount)
            for pool, amount in need.items()
        ]
        lacking = self._lacking(holds)
        if not lacking:
            self._board.put(holds)
            return fulfil(standing, life._replace(end=until, extend_to=None), self._now)
        name = standing.allocation.name
        ahead = self._line.ahead(name, need)
        reason, message = self._explainer.extension(holds, lacking, until, ahead)
        entry = QueueEntry(
            ahead + 1,
            request.since,
            dict(standing.allocation.ask),
            {h.pool: h.amount - max(0, self._board.lowest(h)) for h in holds if h.pool in lacking},
        )
        self._line.join(name, need)
        self.waiting.append(replace(request, need={}))
        return replace(self._keep(standing, life, reason, message, entry), met=not missing(standing))

    def _in_turn(self, request: Request, extension: Decision | None) -> Decision:
        """Place a request: it is admitted, promised for the start that it asks for, or told when it may begin."""
        standing, life, need = request.standing, request.life, request.need
        allocation = standing.allocation
        if extension is not None and extension.window is not None:
            life = life._replace(end=extension.window.end)
        promise = self._promises.get(allocation.name)
        if promise is not None:
            self._board.lift(promise.holds)
        demand, start = self._demand(standing, life, need)
        kept: list[Hold] = []
        if life.course is Course.CLOSED:
            kept = [hold for hold in kept_on(standing, life, demand, self._now) if hold.pool in self._snapshot.pools]
        # What is overdue stands on the board for ever; it is no claim to go on.
        late = [hold._replace(end=FOREVER) for hold in kept if hold.overdue]
        self._board.lift(late)
        lacking = self._lacking(kept)
        unprepared = self._unprepared(need)
        if lacking:  # what it still holds goes back first
            ask = allocation.ask
            back = {hold.pool: min(hold.amount, ask[hold.pool]) for hold in kept if ask.get(hold.pool)}
            need = {pool: need.get(pool, 0) + back.get(pool, 0) for pool in ask if pool in need or pool in back}
            demand = demand._replace(need=need)
            earliest = self._board.earliest(demand, max(self._now + 1, *(hold.start for hold in kept)))
            beside: list[Hold] = []
        else:
            beside = kept
            self._board.put(kept)
            earliest = self._board.earliest(demand, start)
        if earliest == self._now and not unprepared:
            self._board.take(demand, self._now)
            first = life.course is Course.NOTHING and not allocation.placed
            begun = Life(Course.OPEN, start if first else life.start, demand.end_from(start))
            return with_extension(fulfil(standing, begun, self._now), extension)
        if earliest is not None and earliest == start > self._now and life.course is Course.NOTHING:
            self._board.take(demand, start)
            begun = Life(Course.NOTHING, start, demand.end_from(start))
            decision = self._keep(standing, begun, Reason.WINDOW_NOT_OPEN, promised_text(start))
            return replace(decision, window=window_of(standing, begun), promised=dict(need))
        unclaimed = self._board.unclaimed(demand, start)
        ahead, free = self._line.ahead(allocation.name, need), self._board.free_now(need)
        wait = Wait(demand, start, unclaimed, earliest, ahead, free, unprepared)
        if life is not request.life or need is not request.need:
            request = replace(request, life=life, need=need)
        decision = self._wait(request, wait, self._explainer)
        if lacking:
            until = demand.end_from(self._now)
            reason, message = self._explainer.extension(kept, lacking, until, wait.ahead, wait)
            decision = replace(decision, reason=reason, message=message)
        self._board.lift(beside)
        self._board.put(late)
        self._board.set_aside(demand, earliest, self._hoped(self._board, demand, start))
        if promise is not None:
            until = FOREVER if earliest is None else earliest
            self._board.put(hold._replace(end=min(hold.end, until)) for hold in promise.holds)
        return with_extension(decision, extension)

    def _hoped(self, board: Board, demand: Demand, start: int) -> int | None:
        """
        When a demand may begin if all that is expected back at any moment were there.

        A holder gives back moments after its time. Whoever waits for just that has no forecast meanwhile, and would
        else be passed in these moments by everybody who is small enough, again and again.
        """
        back = [Hold(pool, self._now, FOREVER, self._expected[pool]) for pool in demand.need if pool in self._expected]
        if not back:
            return None
        board.lift(back)
        hoped = board.earliest(demand, start)
        board.put(back)
        return hoped

    def _demand(self, standing: Standing, life: Life, need: Amounts) -> tuple[Demand, int]:
        """What is asked for, and from when on."""
        terms = standing.allocation.terms
        if life.course is not Course.NOTHING:
            until = life.extend_to if life.asks and life.extend_to is not None else life.end
            return Demand(need, terms, until), self._now
        start = max(self._now, terms.start or self._now)
        recorded = standing.allocation.recorded
        fixed = recorded is not None and recorded.start <= self._now and not standing.allocation.reclaimed
        floats = terms.end is None and terms.length is not None and not fixed
        return Demand(need, terms, None if floats else life.end), start

    def _lacking(self, holds: Iterable[Hold]) -> dict[PoolKey, int]:
        """Since when which pools have too little for these."""
        return {hold.pool: at for hold in holds if (at := self._board.lacks(hold)) is not None}

    def _wait(self, request: Request, wait: Wait, explainer: Explainer) -> Decision:
        """Join the line."""
        standing, need = request.standing, wait.demand.need
        entry = QueueEntry(
            position=wait.ahead + 1,
            since=request.since,
            asked=standing.allocation.ask,
            blocked_by={p: amount - max(0, wait.free[p]) for p, amount in need.items() if amount > wait.free[p]},
            earliest=wait.earliest if wait.earliest is not None and self._now < wait.earliest <= LATEST else None,
        )
        reason, message = explainer.waiting(wait)
        promise = self._promises.get(standing.allocation.name)
        if promise is not None and promise.start > self._now:
            reason = Reason.WINDOW_NOT_OPEN
            message = f"{promised_text(promise.start)}, which stays; what is asked now waits: {message}"
        self._line.join(standing.allocation.name, need)
        self.waiting.append(request)
        return self._keep(standing, request.life, reason, message, entry)

    def _unprepared(self, need: Amounts, free: Amounts | None = None) -> tuple[PoolKey, ...]:
        """
        Return the pools that grant nothing at this moment, or not as much.

        Args:
            free: What nobody holds; None: as the board says, on which promises count as taken.
        """
        return tuple(key for key, amount in need.items() if self._holds_back(self._snapshot.pools[key], amount, free))

    def _holds_back(self, pool: Pool, amount: int, free: Amounts | None) -> bool:
        if pool.unnamed_in or pool.leaving:
            return True
        if not pool.doubtful:
            return False
        left = self._board.firm[pool.key].at(self._now) if free is None else free[pool.key]
        return amount > left - pool.doubtful

    def _keep(
        self, standing: Standing, life: Life, reason: Reason, message: str, queue: QueueEntry | None = None
    ) -> Decision:
        promise = self._promises.get(standing.allocation.name) if life.course is Course.NOTHING else None
        return keep(standing, life, self._now, (reason, message), queue, promise)
