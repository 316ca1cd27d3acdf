"""
Puts the operator together and runs it: checks the cluster, fills the cache, watches, and acts while it leads.

Crash-only: nothing that matters is kept in memory alone, so what cannot go on ends the process with the reason, and the
next one starts from what the API server has.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from bitgoeul import __version__
from bitgoeul.api.conditions import Reason
from bitgoeul.api.names import ALLOWED_ROLES_ANNOTATION, CLOCK_OFFSET_ANNOTATION, NOT_READY_ANNOTATION
from bitgoeul.api.quantities import format_offset
from bitgoeul.cluster.cache import Cache, Entry, load
from bitgoeul.cluster.client import Api, ApiError, OlderDataError
from bitgoeul.cluster.events import Recorder
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, NAMESPACE, STORAGE_POOL, TENANT_ALLOCATION, Kind
from bitgoeul.cluster.lease import Lease
from bitgoeul.cluster.rights import Rights
from bitgoeul.cluster.troubles import Troubles
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.clock import Clocks, ShiftedClock, wall_clock
from bitgoeul.controller.corrections import Corrections
from bitgoeul.controller.handlers import watch
from bitgoeul.controller.health import Health
from bitgoeul.controller.lingering import Lingering
from bitgoeul.controller.milestones import Milestones
from bitgoeul.controller.options import Options
from bitgoeul.controller.pending import PendingWatch
from bitgoeul.controller.planner import Planner
from bitgoeul.controller.pools import Pools
from bitgoeul.controller.preflight import check_cluster, until_a_kind_is_removed
from bitgoeul.controller.reports import Reporter
from bitgoeul.controller.rounds import Round
from bitgoeul.controller.routing import Router, Subject, Task
from bitgoeul.controller.tenants import Tenants
from bitgoeul.controller.unkept import Unkept
from bitgoeul.controller.worker import work
from bitgoeul.controller.workqueue import WorkQueue
from bitgoeul.errors import ClusterError
from bitgoeul.metrics.collector import State, StateCollector
from bitgoeul.metrics.instruments import Instruments
from bitgoeul.metrics.server import Server
from bitgoeul.planning.pools import PoolKey, accelerator, storage

log = logging.getLogger(__name__)

AUDIT_SECONDS = 600.0
RETRY_SECONDS = 1.0
SPREAD_SECONDS = 60.0
RELIST_SECONDS = 1.0  # watches that begin anew do so together
LAG_SECONDS = 1.0
SHUTDOWN_SECONDS = 2.0
REFUSED_SECONDS = 60.0  # credentials that are renewed in time were refused for seconds


class Operator:
    """One instance. ``run`` returns when ``stop`` is set, and raises what it cannot go on from."""

    def __init__(
        self,
        api: Api,
        options: Options | None = None,
        clock: Callable[[], datetime] = wall_clock,
    ) -> None:
        self._api = api
        self._options = options or Options()
        self.instruments = Instruments(__version__)
        api.observer = self.instruments.observe_request
        self._rights = Rights()
        api.on_answer = self._rights.hear
        self.cache = Cache()
        self.queue: WorkQueue[Task] = WorkQueue()
        self._clocks = Clocks(clock)
        clock = self._clocks.earlier
        self._plan_clock = ShiftedClock(clock, self._options.clock_offset)
        self._lease = Lease(api, self._options.namespace, self._annotations, self._clocks.hear)
        self._troubles = Troubles()
        self._recorder = Recorder(api, self._lease.may_write)
        writer = Writer(api, self.cache, self._lease.may_write)
        milestones = Milestones(self.instruments, clock)
        corrections = Corrections(self.instruments.observe_correction)
        unkept = Unkept(self.instruments.set_unkept)
        self._lingering = Lingering(self.cache, api, self._lingers)
        self.planner = Planner(
            self.cache,
            api,
            writer,
            milestones,
            clock,
            self._plan_clock,
            on_allocation=lambda name: self.queue.add(Task(Subject.ALLOCATION, name)),
            on_pool=lambda key: self.queue.add(Task(Subject.POOL, key)),
            on_world=self._mark_everything,
            on_decided=self._decided,
            on_refused=self._promise_refused,
            counted=self._lingering.counted,
            clocks_differ=lambda: self._clocks.apart,
            allowed_roles=self._options.allowed_roles,
        )
        reporter = Reporter(self.cache, writer, self._recorder, milestones, clock)
        self._tenants = Tenants(
            self.cache,
            api,
            writer,
            self.planner,
            reporter,
            corrections,
            unkept,
            self._lingering,
            clock,
            self._plan_clock,
            self._clocks,
            self._options.trial_pod,
        )
        self._pools = Pools(
            self.cache, writer, self.planner, self._recorder, corrections, unkept, clock, self._mark_pools
        )
        self._pending = PendingWatch(self.cache, api, self.planner, clock, self._options.pending_after)
        self._unkept = unkept
        self._router = Router(self.cache, self.planner, self.queue.add)
        self.cache.listener = self._changed
        self.instruments.registry.register(StateCollector(self._state))
        self._server: Server | None = None
        self._health = Health(
            self.cache,
            self._lease,
            self._clocks,
            self._troubles,
            self._rights.refused,
            self._recorder.troubles,
            self.planner.refused_promises,
        )
        self._held_up: set[str] = set()  # allocations that have been told that their end is not acted on
        self._leading = asyncio.Event()
        self._listed = asyncio.Event()  # a watch has begun with a list since the last audit

    def _changed(self, kind: Kind, before: Entry | None, after: Entry | None, own: bool) -> None:
        """An object has another version, is new or gone; of one that is gone nothing is remembered."""
        if before is not None and after is None:
            metadata = before.obj["metadata"]
            self._unkept.forget(kind.kind, metadata["name"], metadata.get("namespace", ""))
        self._router(kind, before, after, own)

    def shift_clock(self, offset: timedelta) -> None:
        """Plan by a clock that is shifted by this much from now on; the Lease tells with its next renewal."""
        self._plan_clock.offset = offset
        self.planner.wake()

    def _annotations(self) -> dict[str, str | None]:
        """What the Lease tells: to those who plan as this operator does, and which of its checks fail."""
        offset = self._plan_clock.offset
        return {
            CLOCK_OFFSET_ANNOTATION: format_offset(offset) if offset else None,
            ALLOWED_ROLES_ANNOTATION: ",".join(sorted(self._options.allowed_roles)) or None,
            NOT_READY_ANNOTATION: self._health.in_brief() or None,
        }

    async def run(self, stop: asyncio.Event, on_watching: Callable[[], None] = lambda: None) -> None:
        """
        Run until ``stop`` is set.

        Args:
            on_watching: Called once the watches are in place; kopf takes SIGTERM and SIGINT for itself before that.
        Raises:
            UserError: The cluster lacks something; the message says what to do.
            Exception: A watch or the lease ended for good.
        """
        if not await unless(stop, self._prepare()):
            return
        if self._options.metrics_port is not None:
            self._server = Server(
                self.instruments.registry,
                self._options.metrics_host,
                self._options.metrics_port,
                alive=self._health.alive,
                ready=self._health.ready,
            )
            await self._server.start()
            log.info("metrics on http://%s:%d/metrics", self._options.metrics_host, self._server.port)
        stop_watch = asyncio.Event()
        tasks = [
            self._task(self._lease.hold(self._lead), "lease"),
            self._task(self._plan(), "planner"),
            self._task(self._recorder.run(), "events"),
            self._task(self._audit(), "audit"),
            self._task(self._watch_pending(), "pending pods"),
            self._task(self._beat(), "heartbeat"),
            self._task(until_a_kind_is_removed(self._api), "kinds"),
            *(
                self._task(work(self.queue, self._reconcile, self.instruments), f"worker {number}")
                for number in range(self._options.workers)
            ),
        ]
        # kopf ends all tasks that began after it; so it comes last.
        watch_all = watch(self._api, self.cache, stop_watch, on_watching, self._listed.set, self._troubles)
        watching = self._task(watch_all, "watch")
        stopping = self._task(stop.wait(), "stop")
        try:
            done, _ = await asyncio.wait([*tasks, watching, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._shut_down(tasks, watching, stop_watch, stopping)
        if stopping in done:
            return
        # A watch that fails takes others with it; what it says itself is the cause.
        for task in (watching, *done):
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
        names = ", ".join(sorted(task.get_name() for task in done))
        raise ClusterError(f"{names} ended by itself")

    async def _prepare(self) -> None:
        await check_cluster(self._api)
        await load(self.cache, self._api, self._troubles)

    @staticmethod
    def _task(coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(coroutine, name=name)

    async def _shut_down(
        self,
        tasks: list[asyncio.Task[Any]],
        watching: asyncio.Task[Any],
        stop_watch: asyncio.Event,
        stopping: asyncio.Task[Any],
    ) -> None:
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.wait([*tasks, stopping], timeout=SHUTDOWN_SECONDS)
        await self._lease.release()
        if self._server is not None:
            await self._server.stop()
        stop_watch.set()
        _, pending = await asyncio.wait([watching], timeout=SHUTDOWN_SECONDS)
        if pending:
            watching.cancel()
            # Not for as long as it takes: what holds on to a watch may do so for ever.
            await asyncio.wait([watching], timeout=SHUTDOWN_SECONDS)

    async def _lead(self) -> None:
        """Begin to act: from a fresh list, since whoever led before may have written until just now."""
        while not await self._listed_all():  # noqa: ASYNC110 - nothing tells that the API server is back
            await asyncio.sleep(RETRY_SECONDS)
        # What was just read stays for good; a collector that leaves it alone does not hold up everything for as long.
        gc.collect()
        gc.freeze()
        self.instruments.set_leading(True)
        self.queue.add(Task(Subject.ROLES))
        for namespace in self._lingering.suspects():
            self.queue.add(Task(Subject.PODS, namespace))
        self._mark_pools()
        self.planner.wake()
        self._leading.set()

    async def _plan(self) -> None:
        await self._leading.wait()
        await self.planner.run()

    async def _watch_pending(self) -> None:
        await self._leading.wait()
        await self._pending.run()

    async def _reconcile(self, task: Task) -> float | None:
        """One pass; before the first plan, while standing by, the appliers find nothing to do."""
        if isinstance(task.name, PoolKey):
            return await self._pools.reconcile(task.name)
        match task.subject:
            case Subject.ALLOCATION:
                return await self._tenants.reconcile(task.name)
            case Subject.RETAINED:
                return await self._tenants.close_retained(task.name)
            case Subject.PODS:
                return await self._lingering.look(task.name) if self._leading.is_set() else None
            case _:
                return await self._pools.ensure_shared() if self._leading.is_set() else None

    def _decided(self, current: Round) -> None:
        self.instruments.observe_plan(current.seconds)
        self.instruments.keep_pools(current.snapshot.pools)

    def _promise_refused(self, entry: Entry, why: str) -> None:
        """Say by an Event what status cannot: that status cannot be written."""
        self._recorder.record(TENANT_ALLOCATION, entry.obj, Reason.APPLY_FAILED, why, warning=True)

    def _mark_pools(self) -> None:
        for task in self._pool_tasks():
            self.queue.add(task)

    def _pool_tasks(self) -> list[Task]:
        kinds = ((ACCELERATOR_POOL, accelerator), (STORAGE_POOL, storage))
        return [Task(Subject.POOL, key(e.obj["metadata"]["name"])) for kind, key in kinds for e in self.cache.all(kind)]

    def _lingers(self, namespace: str) -> None:
        """What pods hold that no quota counts has changed: figures of pools and of one allocation depend on it."""
        self.planner.wake()
        entry = self.cache.get(NAMESPACE, namespace)
        if entry is not None and entry.view.allocation:
            self.queue.add(Task(Subject.ALLOCATION, entry.view.allocation))

    def _mark_everything(self) -> None:
        """The closed world has changed: every quota has to name what is new."""
        for entry in self.cache.all(TENANT_ALLOCATION):
            self.queue.add(Task(Subject.ALLOCATION, entry.view.name))
        live = {entry.uid for entry in self.cache.all(TENANT_ALLOCATION)}
        for entry in self.cache.all(NAMESPACE):
            view = entry.view
            if view.allocation_uid and (view.retained or view.allocation_uid not in live):
                self.queue.add(Task(Subject.RETAINED, view.name))

    async def _audit(self) -> None:
        """List everything now and then, and when a watch had to begin anew: it does not tell what was deleted."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._listed.wait(), AUDIT_SECONDS)
                await asyncio.sleep(RELIST_SECONDS)
            self._listed.clear()
            if await self._listed_all():
                self._look_again()
            else:
                self._listed.set()

    def _look_again(self) -> None:
        """Have every allocation and pool compared once more, bit by bit: what went unnoticed is noticed now."""
        tasks = [Task(Subject.ALLOCATION, entry.view.name) for entry in self.cache.all(TENANT_ALLOCATION)]
        tasks += self._pool_tasks()
        for number, task in enumerate(tasks, start=1):
            self.queue.add_after(task, SPREAD_SECONDS * number / len(tasks))

    async def _listed_all(self) -> bool:
        """
        List everything; False when that did not succeed, and may later.

        Raises:
            ApiError: A kind is no longer there.
            OlderDataError: The API server was restored from a backup.
        """
        try:
            await load(self.cache, self._api, self._troubles)
        except OlderDataError:
            raise
        except ClusterError as error:
            if isinstance(error, ApiError) and error.not_found:
                raise
            log.warning("listing: %s", error)
            return False
        return True

    async def _beat(self) -> None:
        """
        Look once a second whether all is well, and tell the metrics.

        Raises:
            ClusterError: Credentials are refused, and no others come.
        """
        apart = False
        while True:
            before = time.monotonic()
            await asyncio.sleep(LAG_SECONDS)
            now = time.monotonic()
            self._health.beat()
            self.instruments.observe_loop_lag(max(0.0, now - before - LAG_SECONDS))
            self.instruments.set_leading(self._lease.may_write())
            self.instruments.show_skew(self._clocks.skew_seconds)
            self.instruments.show_checks(self._health.all())
            refused_since = self._api.refused_since
            if refused_since is not None and now > refused_since + REFUSED_SECONDS:
                raise ClusterError(
                    f"credentials are refused by {self._api.server} for {now - refused_since:.0f} s; give it others by "
                    "--kubeconfig or KUBECONFIG, or see that the account and its token still exist"
                )
            if self._leading.is_set():
                if apart != self._clocks.apart:
                    apart = not apart
                    self._held_up.clear()
                    log.warning("clocks: %s", self._clocks.problem() or "they agree again")
                    self.planner.wake()
                    self._mark_everything()
                elif apart:
                    self._mark_held_up()

    def _mark_held_up(self) -> None:
        """Have those say so whose end comes by one of two clocks that differ: no plan changes then."""
        current, latest = self.planner.round, self._tenants.latest()
        for name, decision in current.plan.decisions.items() if current is not None else ():
            if name not in self._held_up and decision.window is not None and decision.window.end <= latest:
                self._held_up.add(name)
                self.queue.add(Task(Subject.ALLOCATION, name))

    def _state(self) -> State | None:
        current = self.planner.round
        if current is None:
            return None
        return State(
            snapshot=current.snapshot,
            plan=current.plan,
            world=current.world,
            statuses={entry.view.name: status_of(entry) for entry in self.cache.all(TENANT_ALLOCATION)},
            pool_statuses={
                **{accelerator(e.obj["metadata"]["name"]): status_of(e) for e in self.cache.all(ACCELERATOR_POOL)},
                **{storage(e.obj["metadata"]["name"]): status_of(e) for e in self.cache.all(STORAGE_POOL)},
            },
        )


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do some work; False when ``stop`` was set before it was done."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    done = working.done()
    for task in (working, stopping):
        task.cancel()
    await asyncio.wait([working, stopping])
    if done:
        working.result()
    return done


def status_of(entry: Entry) -> Mapping[str, Any]:
    """What is written in an object's status."""
    return entry.obj.get("status") or {}
