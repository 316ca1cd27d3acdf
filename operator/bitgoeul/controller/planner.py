"""
The one loop that decides: looks at the cache, makes the plan, and writes promises down before anything acts on them.

It wakes when something has changed, and at the next moment at which the clock changes something by itself. The plan is
made in a thread of its own, so that nothing else waits for it.

A round ends only when the outcome of each of its promises is known. So the next round never hands out what the last
one may have promised already; what acts on promises (quotas, access) is elsewhere, and only ever reads them.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime

from bitgoeul.api.conditions import Phase
from bitgoeul.api.names import FINALIZER
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import Api, ApiError, NoAnswerError, OlderDataError
from bitgoeul.cluster.kinds import TENANT_ALLOCATION
from bitgoeul.cluster.troubles import LASTING_SECONDS
from bitgoeul.cluster.writer import NotLeadingError, Writer
from bitgoeul.controller.milestones import Milestones
from bitgoeul.controller.rounds import (
    Changes,
    Round,
    has_to_be_written,
    is_new_promise,
    make_round,
    observe,
    storage_classes,
)
from bitgoeul.controller.together import together
from bitgoeul.desired.allocation_status import Progress, build_allocation_status, holdings, taking_status, window_status
from bitgoeul.errors import ClusterError
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.life import Course
from bitgoeul.planning.moments import moment
from bitgoeul.planning.observed import QuotaView
from bitgoeul.planning.pending import Pending
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.sightings import PoolTracks, Tracks, believe, believe_pools
from bitgoeul.planning.snapshot import Observed, Standing

log = logging.getLogger(__name__)

DEBOUNCE_SECONDS = 0.02  # changes come in bursts; a tenant does not notice
# Under a stream of changes deciding takes at most a quarter of the time.
REST_PER_ROUND = 3.0
RETRY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
TRANSIENT_PAUSE_SECONDS = 4.0  # for what may pass at any moment
SETTLE_SECONDS = 0.2  # until a decision is tried anew that met a conflict
# Decided anew now and then although nothing has changed: figures stay fresh, and nothing is forgotten for good.
IDLE_SECONDS = 60.0
CONCURRENT_PROMISES = 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A promise that the API server does not take.

    Attributes:
        since: Of the first try, by the monotonic clock.
        until: When it is tried again.
        count: How often it was tried.
        told: An Event has said so.
    """

    since: float
    until: float = 0.0
    count: int = 0
    error: str = ""
    told: bool = False


class Planner:
    """See the module's text."""

    def __init__(
        self,
        cache: Cache,
        api: Api,
        writer: Writer,
        milestones: Milestones,
        clock: Callable[[], datetime],
        plan_clock: Callable[[], datetime],
        on_allocation: Callable[[str], None],
        on_pool: Callable[[PoolKey], None],
        on_world: Callable[[], None],
        on_decided: Callable[[Round], None],
        on_refused: Callable[[Entry, str], None],
        counted: Callable[[QuotaView], QuotaView],
        clocks_differ: Callable[[], bool],
        allowed_roles: frozenset[str] = frozenset(),
    ) -> None:
        """
        Args:
            clocks_differ: Whether nobody knows the time well enough to act on an end.
            on_refused: Called when a promise could not be written for a minute: status cannot say so.
        """
        self._cache = cache
        self._api = api
        self._writer = writer
        self._milestones = milestones
        self._clock = clock
        self._plan_clock = plan_clock
        self._on_allocation = on_allocation
        self._on_pool = on_pool
        self._on_world = on_world
        self._on_decided = on_decided
        self._on_refused = on_refused
        self._counted = counted
        self._clocks_differ = clocks_differ
        self._allowed_roles = allowed_roles
        self._wanted = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._refused: dict[str, Refusal] = {}  # by UID: promises that the API server does not take
        # What nodes and pools have shown; a restart believes what it sees.
        self._tracks: Tracks = {}
        self._pool_tracks: PoolTracks = {}
        self._falls_at: float | None = None  # when a fall that is held back is believed, on the monotonic clock
        self._pending: Pending | None = None  # None: nobody has looked yet
        self.round: Round | None = None  # None: nothing decided yet

    def wake(self) -> None:
        """Something that planning looks at has changed."""
        self._wanted.set()

    def wake_soon(self, seconds: float) -> None:
        """The same, for what comes in streams and is not urgent."""
        if self._timer is None and not self._wanted.is_set():
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def set_pending(self, pending: Pending) -> None:
        """Take in which pods of tenants no node takes."""
        if pending != self._pending:
            self._pending = pending
            self.wake()

    def _ring(self) -> None:
        self._timer = None
        self._wanted.set()

    @property
    def idle(self) -> bool:
        return not self._wanted.is_set() and self._timer is None

    async def run(self) -> None:
        """Decide whenever something has changed, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._until_due())
            await asyncio.sleep(max(DEBOUNCE_SECONDS, REST_PER_ROUND * self.round.seconds if self.round else 0.0))
            self._wanted.clear()
            try:
                await self.decide()
            except NotLeadingError:
                self.wake_soon(RETRY_SECONDS)
            except OlderDataError:
                raise
            except ClusterError as error:
                log.warning("planning: %s; trying again", error)
                self.wake_soon(RETRY_SECONDS)

    def _until_due(self) -> float:
        """Seconds until the clock changes something, or until it is time to look anyway."""
        seconds = IDLE_SECONDS
        due = self.round.plan.due if self.round else None
        if due is not None:
            seconds = min(seconds, (due - moment(self._plan_clock())) / 1000)
        if self._falls_at is not None:
            seconds = min(seconds, self._falls_at - time.monotonic())
        return max(0.0, seconds)

    async def decide(self) -> None:
        """One round: look, plan, tell, promise."""
        observed, entries = observe(self._cache, self._allowed_roles, self._counted)
        observed = replace(self._believe(observed), pending=self._pending, clocks_differ=self._clocks_differ())
        classes = storage_classes(self._cache)
        with collector_paused():
            current, changes = await asyncio.to_thread(
                make_round, observed, classes, self._plan_clock(), self._clock(), self.round
            )
        self.round = current
        snapshot, plan = current.snapshot, current.plan
        self._on_decided(current)
        self._tell(changes)
        limit = asyncio.Semaphore(CONCURRENT_PROMISES)
        new = [
            standing
            for standing in snapshot.standings
            if has_to_be_written(standing.allocation, plan.decisions[standing.allocation.name])
        ]
        # Of what is written by now, or not wanted any more, nothing is remembered.
        wanted = {standing.allocation.uid for standing in new}
        self._refused = {uid: one for uid, one in self._refused.items() if uid in wanted}
        await together(
            self._promise(entries[standing.allocation.name], plan.decisions[standing.allocation.name], standing, limit)
            for standing in new
            if not self._held_off(standing.allocation.uid)
        )

    def _believe(self, observed: Observed) -> Observed:
        """What was seen, without what may be over in a moment."""
        now = time.monotonic()
        pools = believe_pools(self._pool_tracks, observed.accelerator_pools, observed.storage_pools, now)
        nodes = believe(self._tracks, observed.nodes, pools.accelerator_pools, now)
        self._pool_tracks, self._tracks = pools.tracks, nodes.tracks
        self._falls_at = min((at for at in (pools.due, nodes.due) if at is not None), default=None)
        return replace(
            observed,
            accelerator_pools=pools.accelerator_pools,
            storage_pools=pools.storage_pools,
            nodes=nodes.nodes,
            seen=None if nodes.due is None else observed.nodes,
            leaving=pools.leaving,
        )

    def _tell(self, changes: Changes) -> None:
        if changes.world:
            self._on_world()
        for name in changes.allocations:
            self._on_allocation(name)
        for key in changes.pools:
            self._on_pool(key)

    async def _promise(self, entry: Entry, decision: Decision, standing: Standing, limit: asyncio.Semaphore) -> None:
        """Write one promise down, and find out what became of it."""
        unknown = False
        async with limit:
            try:
                await self._write_promise(entry, decision, standing)
            except ApiError as error:
                if not (error.conflict or error.not_found):
                    self._hold_off(entry, decision, error)
            except NoAnswerError as error:
                log.warning("promise to %s: %s; finding out what became of it", decision.name, error)
                self._hold_off(entry, decision, error)
                unknown = True
            else:
                self._on_allocation(decision.name)
                return
            await self._find_out(decision.name, unknown=unknown)

    def refused_promises(self) -> str:
        """Say which promises the API server has not taken for a minute; empty: none."""
        now = time.monotonic()
        lasting = [one for one in self._refused.values() if now >= one.since + LASTING_SECONDS]
        if not lasting:
            return ""
        return f"{len(lasting)} promises cannot be written; {lasting[0].error}"

    def _hold_off(self, entry: Entry, decision: Decision, error: ApiError | NoAnswerError) -> None:
        """What the API server refuses (a policy, a webhook, a missing right) is tried again with growing pauses."""
        now = time.monotonic()
        known = self._refused.get(decision.uid, Refusal(now))
        for_good = isinstance(error, ApiError) and not error.transient
        longest = LONGEST_PAUSE_SECONDS if for_good else TRANSIENT_PAUSE_SECONDS
        pause = min(longest, RETRY_SECONDS * 2 ** min(known.count, 16))
        told = known.told
        if not told and now >= known.since + LASTING_SECONDS:
            self._on_refused(entry, str(error))
            told = True
        self._refused[decision.uid] = Refusal(known.since, now + pause, known.count + 1, str(error), told)
        log.warning("promise to %s is refused: %s; again in %.0f s", decision.name, error, pause)
        asyncio.get_running_loop().call_later(pause, self.wake)

    def _held_off(self, uid: str) -> bool:
        known = self._refused.get(uid)
        return known is not None and time.monotonic() < known.until

    async def _write_promise(self, entry: Entry, decision: Decision, standing: Standing) -> None:
        allocation, obj = standing.allocation, entry.obj
        if decision.course is not Course.NOTHING and not allocation.guarded and not allocation.deleting:
            # Before anything is promised: a deletion must not pass by unseen.
            finalizers = [*(obj["metadata"].get("finalizers") or ()), FINALIZER]
            obj = await self._writer.set_finalizers(TENANT_ALLOCATION, obj, finalizers)
        written = obj.get("status") or {}
        if not is_new_promise(allocation, decision):
            await self._writer.patch_status(TENANT_ALLOCATION, obj, written | taking_status(decision))
            return
        in_force = allocation.admitted is True and written.get("phase") in (Phase.ACTIVE, Phase.EXPIRING)
        if in_force and decision.window is not None:
            status = {**written, "grant": holdings(decision.grant), "window": window_status(decision.window)}
            status |= taking_status(decision)
        else:
            status = build_allocation_status(
                allocation, decision, decision.grant, standing.in_use, Progress(), written, self._clock()
            )
        answer = await self._writer.patch_status(TENANT_ALLOCATION, obj, status)
        self._milestones.written(answer, written, status)
        self._milestones.granted(written, allocation.granted, decision.grant)

    async def _find_out(self, name: str, *, unknown: bool) -> None:
        """
        Read an object until the API server says how it stands; planning goes on only with that.

        Args:
            unknown: A promise may have been written: that it may not be read now is no answer.
        """
        while True:
            try:
                current = await self._api.get(TENANT_ALLOCATION.path(name))
            except ClusterError as error:
                if isinstance(error, ApiError) and not error.transient and not unknown:
                    log.warning("reading %s: %s", name, error)  # an answer: nobody else has to wait for a better one
                    return
                log.warning("reading %s: %s; trying again", name, error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if current is None:
                self._cache.forget(TENANT_ALLOCATION, ("", name))
            else:
                self._cache.merge(TENANT_ALLOCATION, current)
            self.wake_soon(SETTLE_SECONDS)
            return


@contextmanager
def collector_paused() -> Iterator[None]:
    """
    No garbage collection meanwhile.

    A plan makes hundreds of thousands of small values that stay. A full collection in the midst of it looks at all of
    them, and holds up every thread for as long: half a second at 20,000 allocations.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
