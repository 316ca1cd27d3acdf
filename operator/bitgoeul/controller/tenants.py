"""
Looks after one allocation: hands it to enforcement or takedown, gives its members the right to read it, and reports.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from bitgoeul.api.conditions import Reason
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import Api, ApiError, NoAnswerError
from bitgoeul.cluster.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, TENANT_ALLOCATION
from bitgoeul.cluster.troubles import LASTING_SECONDS, Troubles
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.clock import NOT_ACTED_ON, Clocks
from bitgoeul.controller.closing import Closing
from bitgoeul.controller.corrections import Corrections
from bitgoeul.controller.enforcement import Enforcement
from bitgoeul.controller.eviction import Eviction
from bitgoeul.controller.holdings import Holdings
from bitgoeul.controller.lingering import Lingering
from bitgoeul.controller.namespaces import NamespaceKeeper, NamespaceTakenError
from bitgoeul.controller.planner import Planner
from bitgoeul.controller.policy_proof import PolicyProof
from bitgoeul.controller.reports import Reporter
from bitgoeul.controller.role_check import RoleCheck
from bitgoeul.controller.rounds import Round, is_new_promise
from bitgoeul.controller.takedown import Takedown
from bitgoeul.controller.unkept import Unkept
from bitgoeul.desired.allocation_status import Progress
from bitgoeul.desired.cluster_roles import build_reader
from bitgoeul.desired.trial_pod import TrialPod
from bitgoeul.planning.allocations import Allocation, Amounts
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.life import Course
from bitgoeul.planning.moments import moment

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # for what has no event: pods, policies that are on their way
QUICK_LOOKS = 30
SLOW_SECONDS = 5.0  # for what hangs, or has time
RETRY_SECONDS = 30.0  # for what the API server has refused
PATIENT_SECONDS = 30.0  # for pods that may run on: the quota tells when they end, but not of one that hangs


class Tenants:
    """The applier of allocations; one pass for each call of ``reconcile``."""

    def __init__(
        self,
        cache: Cache,
        api: Api,
        writer: Writer,
        planner: Planner,
        reporter: Reporter,
        corrections: Corrections,
        unkept: Unkept,
        lingering: Lingering,
        clock: Callable[[], datetime],
        plan_clock: Callable[[], datetime],
        clocks: Clocks,
        trial: TrialPod,
    ) -> None:
        self._cache = cache
        self._planner = planner
        self._plan_clock = plan_clock
        self._clocks = clocks
        self._troubles = Troubles()  # by name: what the API server refuses, although it might pass
        self._reporter = reporter
        self._unkept = unkept
        self._looks: dict[str, int] = {}  # by name: how often what drains has been looked at
        self._keeper = NamespaceKeeper(cache, api, writer, corrections, unkept, clock)
        self._takedown = Takedown(cache, api, writer, self._keeper, clock)
        self._holdings = Holdings(cache, api, lingering)
        eviction = Eviction(api, writer, plan_clock)
        self._enforcement = Enforcement(
            cache,
            self._keeper,
            self._takedown,
            self._holdings,
            eviction,
            self._lower_grant,
            plan_clock,
            clocks,
            PolicyProof(cache, writer, clock, trial),
            RoleCheck(api),
        )
        self._closing = Closing(
            cache, api, self._keeper, self._takedown, self._holdings, eviction, self._lower_grant, clocks
        )

    async def reconcile(self, name: str) -> float | None:
        """
        One pass over an allocation; returns in how many seconds it wants another one without being asked.

        Raises:
            ClusterError: Something did not succeed; the pass is to be repeated later.
        """
        entry = self._cache.get(TENANT_ALLOCATION, name)
        if entry is None:
            self._forget(name)
            return None
        found = self._decided(entry)
        if found is None:
            return None
        decision, current = found
        allocation: Allocation = entry.view
        if allocation.deleting:
            return await self._take_down(entry, current)
        if allocation.spec is None:
            await self._enforcement.hold_still(allocation, current)
            return await self._report(entry, Progress(failed=True))
        try:
            await self._give_reader(allocation)
        except ApiError as error:
            if error.status not in (403, 422):
                raise
            log.warning("%s: members cannot read their allocation: %s", name, error)  # no reason to withhold the rest
        if decision.course is Course.NOTHING:
            return await self._report(entry, Progress())
        if decision.admitted:
            return await self._enforce(entry, decision, current) if allocation.guarded else None
        return await self._close(entry, decision, current)

    def _forget(self, name: str) -> None:
        """Drop what is remembered of an allocation that is gone."""
        self._reporter.forget(name)
        self._unkept.forget_allocation(name)
        self._troubles.succeeded(name)
        self._looks.pop(name, None)
        self._closing.forget(name)

    async def close_retained(self, namespace: str) -> float | None:
        """One pass over a namespace whose allocation is gone."""
        current = self._planner.round
        if current is None:
            return None
        return await self._takedown.keep_closed(namespace, current.world)

    def _decided(self, entry: Entry) -> tuple[Decision, Round] | None:
        """
        What the plan says of this very spec; None when it does not know it yet, or its promise is not written down.

        In both cases the plan brings the key back.
        """
        current = self._planner.round
        if current is None:
            return None
        allocation: Allocation = entry.view
        decision, planned = current.plan.decisions.get(allocation.name), current.standings.get(allocation.name)
        if decision is None or planned is None or decision.uid != allocation.uid:
            return None
        if planned.allocation.generation != allocation.generation and not allocation.deleting:
            return None  # what was decided about an older spec says nothing about this one
        if is_new_promise(allocation, decision) and allocation.guarded:
            return None
        return decision, current

    async def _give_reader(self, allocation: Allocation) -> None:
        """Let members read their allocation, also while it waits: that is when they ask why."""
        wanted = build_reader(allocation.name, allocation.uid, allocation.spec.members if allocation.spec else ())
        for obj in wanted:
            await self._keeper.ensure(obj)
        if not wanted:
            for kind in (CLUSTER_ROLE_BINDING, CLUSTER_ROLE):
                entry = self._cache.get(kind, f"bitgoeul:allocation:{allocation.name}")
                if entry is not None:
                    await self._keeper.delete(kind, entry)

    async def _enforce(self, entry: Entry, decision: Decision, current: Round) -> float | None:
        try:
            progress = await self._enforcement.run(entry, decision, current)
        except NamespaceTakenError as error:
            self._planner.wake()
            if not self._cache.owned_namespaces(entry.uid):
                # Nothing is enforced on this promise yet: it can be taken back, and the plan says what is wrong.
                await self._take_back(entry)
                return None
            message = f"namespace {error} was taken by somebody else"
            progress = Progress(reason=Reason.NAMESPACE_CONFLICT, message=message, failed=True)
        except (ApiError, NoAnswerError) as error:
            await self._report_refusal(entry, error)
            raise
        self._troubles.succeeded(entry.view.name)
        progress = with_unkept(self._with_clocks(progress, decision), self._unkept.texts(entry.view.name))
        again = await self._report(entry, progress)
        if not progress.ready or progress.draining:
            pause = (
                SLOW_SECONDS if progress.patient or progress.failed else self._pause(entry, draining=progress.draining)
            )
            return min(again or pause, pause)
        self._looks.pop(entry.view.name, None)
        return again if progress.provisioned else min(again or RETRY_SECONDS, RETRY_SECONDS)

    async def _close(self, entry: Entry, decision: Decision, current: Round) -> float | None:
        try:
            progress = await self._closing.run(entry, decision, current)
        except (ApiError, NoAnswerError) as error:
            await self._report_refusal(entry, error)
            raise
        self._troubles.succeeded(entry.view.name)
        texts = self._unkept.texts(entry.view.name)
        again = await self._report(entry, with_unkept(progress, texts))
        if progress.drained and not progress.draining:
            self._looks.pop(entry.view.name, None)
            return min(again or RETRY_SECONDS, RETRY_SECONDS) if texts else again
        pause = self._pause(entry, draining=True) if progress.draining else PATIENT_SECONDS
        return min(again or pause, pause)

    def _pause(self, entry: Entry, *, draining: bool) -> float:
        """Until the next look at what tells of no change itself: what has hung for long need not be asked so often."""
        if not draining:
            return POLL_SECONDS
        looks = self._looks[entry.view.name] = self._looks.get(entry.view.name, 0) + 1
        return POLL_SECONDS if looks <= QUICK_LOOKS else SLOW_SECONDS

    async def _take_down(self, entry: Entry, current: Round) -> float | None:
        allocation: Allocation = entry.view
        if not allocation.guarded:
            return None
        try:
            remaining = await self._takedown.allocation(entry, current.world)
        except (ApiError, NoAnswerError) as error:
            await self._report_refusal(entry, error)
            raise
        self._troubles.succeeded(entry.view.name)
        if not remaining:
            if allocation.granted:
                # Somebody else's finalizer may keep the object; what it held is free all the same.
                await self._lower_grant(entry, {})
            latest = self._cache.get(TENANT_ALLOCATION, allocation.name)
            if latest is not None and latest.uid == entry.uid:
                await self._takedown.release(latest)
            return None
        await self._report(entry, Progress(reason=Reason.DRAINING, message=remaining, draining=True))
        await self._give_back(entry, current)
        return self._pause(entry, draining=True)

    async def _give_back(self, entry: Entry, current: Round) -> None:
        """Lower status.grant of one that is being deleted to what is still held, whatever else holds its namespaces."""
        allocation: Allocation = entry.view
        owned = list(self._cache.owned_namespaces(allocation.uid).values())
        if not allocation.granted or not all(self._keeper.quotas.proves(namespace) for namespace in owned):
            return
        lowered = await self._holdings.of_grant(owned, allocation, current)
        if lowered != dict(allocation.granted):
            await self._lower_grant(entry, lowered)

    async def _report_refusal(self, entry: Entry, error: ApiError | NoAnswerError) -> None:
        """
        Say what the API server refuses: what is for good at once, and what might pass when it has lasted a minute.

        A webhook that nobody answers, for one, is an error of the server, and stays until somebody removes it.
        """
        if isinstance(error, ApiError) and (error.conflict or error.not_found or error.terminating):
            return
        lasted = self._troubles.failed(entry.view.name, error)
        for_good = isinstance(error, ApiError) and not error.transient
        if for_good or lasted >= LASTING_SECONDS:
            await self._report(entry, Progress(reason=Reason.APPLY_FAILED, message=str(error), failed=for_good))

    def latest(self) -> int:
        """Return the moment by the later of the two clocks, shifted as the time by which is planned."""
        return moment(self._plan_clock() + (self._clocks.later() - self._clocks.earlier()))

    def _with_clocks(self, progress: Progress, decision: Decision) -> Progress:
        """Say so where an end is not acted on."""
        if NOT_ACTED_ON in progress.message or not self._clocks.apart or decision.window is None:
            return progress
        if decision.window.end > self.latest():
            return progress
        return replace(progress, message=f"{progress.message}; {NOT_ACTED_ON}")

    async def _report(self, entry: Entry, progress: Progress) -> float | None:
        """Report on the newest version of the object, and by what is decided of it now: a pass takes its time."""
        latest = self._cache.get(TENANT_ALLOCATION, entry.view.name)
        if latest is None or latest.uid != entry.uid:
            return None
        found = self._decided(latest)
        if found is None or latest.view.generation != entry.view.generation:
            return None
        decision, current = found
        in_use, pending = self._holdings.in_use(latest.view, current), current.snapshot.pending
        return await self._reporter.report(latest, decision, in_use, progress, pending)

    async def _take_back(self, entry: Entry) -> None:
        """Withdraw a promise on which nothing is enforced yet."""
        latest = self._cache.get(TENANT_ALLOCATION, entry.view.name)
        if latest is not None and latest.uid == entry.uid:
            await self._reporter.withdraw(latest)
            self._planner.wake()

    async def _lower_grant(self, entry: Entry, grant: Amounts) -> None:
        latest = self._cache.get(TENANT_ALLOCATION, entry.view.name)
        if latest is None or latest.uid != entry.uid or latest.view.generation != entry.view.generation:
            return
        if latest.view.granted != entry.view.granted:
            return  # something was promised while this pass found out what is held
        await self._reporter.write_grant(latest, grant)
        self._planner.wake()


def with_unkept(progress: Progress, texts: list[str]) -> Progress:
    """Add what does not stand although it was written; members who are in stay in."""
    said = [text for text in texts if text not in progress.message]
    if not said:
        return progress
    if progress.ready:
        open_ends = [progress.message] if progress.draining or not progress.provisioned else []
        return replace(progress, provisioned=False, reason=Reason.APPLY_FAILED, message="; ".join([*said, *open_ends]))
    return replace(progress, provisioned=False, message="; ".join([*filter(None, [progress.message]), *said]))
