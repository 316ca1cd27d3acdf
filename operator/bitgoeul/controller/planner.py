"""
The one loop that decides: looks at the cache, makes the plan, and writes promises down before anything acts on them.

A round ends only when the outcome of each of its promises is known. So the next round never hands out what the last
one may have promised already; what acts on promises (quotas, access) is elsewhere, and only ever reads them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.api.conditions import Phase
from bitgoeul.api.names import FINALIZER
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import Api, ApiError, NoAnswerError
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    NAMESPACE,
    NODE,
    RESOURCE_QUOTA,
    STORAGE_CLASS,
    STORAGE_POOL,
    TENANT_ALLOCATION,
)
from bitgoeul.cluster.writer import NotLeadingError, Writer
from bitgoeul.controller.together import together
from bitgoeul.desired.allocation_status import Progress, build_allocation_status, holdings
from bitgoeul.desired.world import World
from bitgoeul.errors import ClusterError
from bitgoeul.planning.allocations import Allocation
from bitgoeul.planning.plan import Decision, Plan, make_plan
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.snapshot import Observed, PoolFinder, Snapshot, Standing, build_snapshot

log = logging.getLogger(__name__)

DEBOUNCE_SECONDS = 0.02  # changes come in bursts; a tenant does not notice
# Under a stream of changes deciding takes at most a quarter of the time.
REST_PER_ROUND = 3.0
RETRY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
SETTLE_SECONDS = 0.2  # until a decision is tried anew that met a conflict
# Decided anew now and then although nothing has changed: figures stay fresh, and nothing is forgotten for good.
IDLE_SECONDS = 60.0
CONCURRENT_PROMISES = 32


@dataclass(frozen=True)
class Round:
    """What one round looked at and decided; metrics and appliers read it, nobody changes it."""

    snapshot: Snapshot
    plan: Plan
    world: World
    finder: PoolFinder
    standings: dict[str, Standing]  # by allocation name
    seconds: float  # how long deciding took


class Planner:
    """See the module's text."""

    def __init__(
        self,
        cache: Cache,
        api: Api,
        writer: Writer,
        clock: Callable[[], datetime],
        on_allocation: Callable[[str], None],
        on_pool: Callable[[PoolKey], None],
        on_world: Callable[[], None],
        on_decided: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._cache = cache
        self._api = api
        self._writer = writer
        self._clock = clock
        self._on_allocation = on_allocation
        self._on_pool = on_pool
        self._on_world = on_world
        self._on_decided = on_decided
        self._wanted = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        # UID → until when a promise is not tried again that the API server has refused, and how often it has.
        self._refused: dict[str, tuple[float, int]] = {}
        self.round: Round | None = None  # None: nothing decided yet

    def wake(self) -> None:
        """Something that planning looks at has changed."""
        self._wanted.set()

    def wake_soon(self, seconds: float) -> None:
        """The same, for what comes in streams and is not urgent."""
        if self._timer is None and not self._wanted.is_set():
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

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
                await asyncio.wait_for(self._wanted.wait(), IDLE_SECONDS)
            await asyncio.sleep(max(DEBOUNCE_SECONDS, REST_PER_ROUND * self.round.seconds if self.round else 0.0))
            self._wanted.clear()
            try:
                await self.decide()
            except NotLeadingError:
                self.wake_soon(RETRY_SECONDS)
            except ClusterError as error:
                log.warning("planning: %s; trying again", error)
                self.wake_soon(RETRY_SECONDS)

    async def decide(self) -> None:
        """One round: look, plan, promise, tell."""
        started = time.perf_counter()
        previous = self.round
        observed, entries = observe(self._cache)
        snapshot = build_snapshot(observed, self._clock())
        plan = make_plan(snapshot)
        self.round = Round(
            snapshot=snapshot,
            plan=plan,
            world=build_world(observed, storage_classes(self._cache)),
            finder=PoolFinder(snapshot.pools),
            standings={standing.allocation.name: standing for standing in snapshot.standings},
            seconds=time.perf_counter() - started,
        )
        self._on_decided(self.round.seconds)
        self._tell(previous, self.round)
        limit = asyncio.Semaphore(CONCURRENT_PROMISES)
        await together(
            self._promise(entries[standing.allocation.name], plan.decisions[standing.allocation.name], standing, limit)
            for standing in snapshot.standings
            if is_new_promise(standing.allocation, plan.decisions[standing.allocation.name])
            and not self._held_off(standing.allocation.uid)
        )

    def _tell(self, previous: Round | None, current: Round) -> None:
        if previous is None or previous.world != current.world:
            self._on_world()
        decided_before = previous.plan.decisions if previous else {}
        seen_before = previous.standings if previous else {}
        for name, decision in current.plan.decisions.items():
            before, now = seen_before.get(name), current.standings[name]
            same_spec = before is not None and before.allocation.generation == now.allocation.generation
            if not same_spec or decided_before.get(name) != decision:
                self._on_allocation(name)
        for key, pool in current.snapshot.pools.items():
            same = (
                previous is not None
                and previous.snapshot.pools.get(key) == pool
                and previous.plan.pools.get(key) == current.plan.pools[key]
            )
            if not same:
                self._on_pool(key)

    async def _promise(self, entry: Entry, decision: Decision, standing: Standing, limit: asyncio.Semaphore) -> None:
        """Write one promise down, and find out what became of it."""
        async with limit:
            try:
                await self._write_promise(entry, decision, standing)
            except ApiError as error:
                if not (error.conflict or error.not_found or error.transient):
                    self._hold_off(decision, error)
            except NoAnswerError as error:
                log.warning("promise to %s: %s; finding out what became of it", decision.name, error)
            else:
                self._refused.pop(decision.uid, None)
                self._on_allocation(decision.name)
                return
            await self._find_out(decision.name)

    def _hold_off(self, decision: Decision, error: ApiError) -> None:
        """What the API server refuses (another policy, a missing right) is tried again with growing pauses."""
        _, count = self._refused.get(decision.uid, (0.0, 0))
        pause = min(LONGEST_PAUSE_SECONDS, RETRY_SECONDS * 2**count)
        self._refused[decision.uid] = (time.monotonic() + pause, min(count + 1, 16))
        log.warning("promise to %s is refused: %s; again in %.0f s", decision.name, error, pause)
        asyncio.get_running_loop().call_later(pause, self.wake)

    def _held_off(self, uid: str) -> bool:
        return time.monotonic() < self._refused.get(uid, (0.0, 0))[0]

    async def _write_promise(self, entry: Entry, decision: Decision, standing: Standing) -> None:
        allocation, obj = standing.allocation, entry.obj
        if not allocation.guarded:
            # Before anything is promised: a deletion must not pass by unseen.
            finalizers = [*(obj["metadata"].get("finalizers") or ()), FINALIZER]
            obj = await self._writer.set_finalizers(TENANT_ALLOCATION, obj, finalizers)
        written = obj.get("status") or {}
        if written.get("phase") == Phase.ACTIVE:
            status = {**written, "grant": holdings(decision.grant)}
        else:
            status = build_allocation_status(
                allocation, decision, decision.grant, standing.in_use, Progress(), written, self._clock()
            )
        await self._writer.patch_status(TENANT_ALLOCATION, obj, status)

    async def _find_out(self, name: str) -> None:
        """Read an object until the API server says how it stands; planning goes on only with that."""
        while True:
            try:
                current = await self._api.get(TENANT_ALLOCATION.path(name))
            except ClusterError as error:
                if isinstance(error, ApiError) and not error.transient:
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


def is_new_promise(allocation: Allocation, decision: Decision) -> bool:
    """Whether status.grant, or the finalizer that guards it, has to be written before the decision may be acted on."""
    if allocation.deleting or not decision.admitted:
        return False
    raised = any(amount > allocation.granted.get(pool, 0) for pool, amount in decision.grant.items())
    return raised or not allocation.guarded


def observe(cache: Cache) -> tuple[Observed, dict[str, Entry]]:
    """The cache as planning looks at it, and the allocations' entries that it was made from."""
    allocations = {entry.view.name: entry for entry in cache.all(TENANT_ALLOCATION)}
    observed = Observed(
        accelerator_pools=tuple(e.view for e in cache.all(ACCELERATOR_POOL) if isinstance(e.view, AcceleratorPool)),
        storage_pools=tuple(e.view for e in cache.all(STORAGE_POOL) if isinstance(e.view, StoragePool)),
        allocations=tuple(entry.view for entry in allocations.values()),
        nodes=tuple(entry.view for entry in cache.all(NODE)),
        namespaces={entry.view.name: entry.view for entry in cache.all(NAMESPACE)},
        quotas=tuple(entry.view for entry in cache.all(RESOURCE_QUOTA)),
    )
    return observed, allocations


def storage_classes(cache: Cache) -> frozenset[str]:
    """The names of all storage classes of the cluster."""
    return frozenset(entry.obj["metadata"]["name"] for entry in cache.all(STORAGE_CLASS))


def build_world(observed: Observed, classes: frozenset[str]) -> World:
    """Everything that every quota has to name."""
    accelerators = {pool.metadata.name: pool.spec for pool in observed.accelerator_pools}
    pooled = {pool.metadata.name: pool.spec for pool in observed.storage_pools}
    named = {spec.resource_name for spec in accelerators.values()}
    shown = {resource for node in observed.nodes for resource in node.capacity}
    # Of a pool that is gone: its key stays while a node still shows the resource, or it would be free for all.
    lingering = {limit for quota in observed.quotas for limit in quota.hard if limit in shown and limit not in named}
    return World(
        accelerators=accelerators,
        storage=pooled,
        lingering=frozenset(lingering),
        unpooled_classes=classes - {spec.storage_class_name for spec in pooled.values()},
    )
