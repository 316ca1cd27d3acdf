"""
Writes the status of allocations, and the Events that go with it, when there is something new to say.

What matters (phase, conditions, grant) is written at once. What only drifts (use, positions, figures in messages) is
written at a bounded rate: a thousand waiting tenants that all move up by one must not cost a thousand writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bitgoeul.api.conditions import ConditionType, Phase, Reason
from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.events import Recorder
from bitgoeul.cluster.kinds import RESOURCE_QUOTA, TENANT_ALLOCATION
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.delays import Delays
from bitgoeul.controller.milestones import Milestones
from bitgoeul.desired.allocation_status import (
    Progress,
    build_allocation_status,
    holdings,
    news,
    notice_of,
    pending_message,
)
from bitgoeul.desired.pod_security import level_news
from bitgoeul.planning.allocations import Allocation, Amounts
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.pending import Pending

# One that is Ready stays so while a repair or a raise is enforced, and one that is being set up is told once; only what
# lasts longer than this is worth a word.
PATIENCE_SECONDS = 5.0
# Of all allocations together: a twentieth of what an API server takes on two cores.
MINOR_WRITES_PER_SECOND = 10.0
MINOR_INTERVAL_SECONDS = 2.0  # of one allocation


class Budget:
    """Slots for writes that can wait: so many a second, handed out in the order in which they are asked for."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second
        self._next = time.monotonic()

    def slot(self, earliest: float) -> float:
        """Reserve a slot; returns its time on the monotonic clock, not before ``earliest``."""
        due = max(earliest, self._next)
        self._next = max(self._next, time.monotonic()) + self._interval
        return due


class Reporter:
    """See the module's text."""

    def __init__(
        self,
        cache: Cache,
        writer: Writer,
        recorder: Recorder,
        milestones: Milestones,
        clock: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._writer = writer
        self._recorder = recorder
        self._milestones = milestones
        self._clock = clock
        self._budget = Budget(MINOR_WRITES_PER_SECOND)
        # By allocation: when its status was last written, and when something minor may be.
        self._written_at: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._unready_since: dict[str, float] = {}
        self._delays = Delays()

    async def report(
        self, entry: Entry, decision: Decision, in_use: Amounts, progress: Progress, pending: Pending | None
    ) -> float | None:
        """Write the status if it says something new; returns in how many seconds to look again, if at all."""
        allocation: Allocation = entry.view
        written = entry.obj.get("status") or {}
        status = build_allocation_status(
            allocation, decision, allocation.granted, in_use, progress, written, self._clock(), pending
        )
        delay = self._delays.news(allocation.name, status)
        if delay is not None:
            self._record(entry.obj, allocation, *delay)
        if status == written:
            self._unready_since.pop(allocation.name, None)
            return None
        patience = 0.0 if allocation.deleting else self._patience(allocation.name, written, status)
        pause = patience or self._pause(allocation.name, written, status)
        if pause:
            return pause
        answer = await self._writer.patch_status(TENANT_ALLOCATION, entry.obj, status)
        self._milestones.written(answer, written, status)
        self._tell(answer, allocation, written, status)
        return None

    async def write_grant(self, entry: Entry, grant: Amounts) -> None:
        """Lower status.grant, and nothing else."""
        status = {**(entry.obj.get("status") or {}), "grant": holdings(grant)}
        await self._writer.patch_status(TENANT_ALLOCATION, entry.obj, status)

    async def withdraw(self, entry: Entry) -> None:
        """Say that nothing is promised any more."""
        written = entry.obj.get("status") or {}
        conditions = [
            {**condition, "status": "False"} if condition.get("type") == ConditionType.ADMITTED else condition
            for condition in written.get("conditions") or ()
        ]
        status = {key: value for key, value in written.items() if key not in ("grant", "window", "promised")}
        await self._writer.patch_status(TENANT_ALLOCATION, entry.obj, {**status, "conditions": conditions})

    def forget(self, name: str) -> None:
        """Drop what is remembered of an allocation that is gone."""
        for memory in (self._written_at, self._due, self._unready_since):
            memory.pop(name, None)
        self._delays.forget(name)

    def _patience(self, name: str, written: Mapping[str, Any], status: Mapping[str, Any]) -> float:
        under_way = status["phase"] == Phase.PENDING
        if not under_way or not (is_ready(written) or written.get("phase") == Phase.PENDING):
            self._unready_since.pop(name, None)
            return 0.0
        since = self._unready_since.setdefault(name, time.monotonic())
        return max(0.0, since + PATIENCE_SECONDS - time.monotonic())

    def _pause(self, name: str, written: Mapping[str, Any], status: Mapping[str, Any]) -> float:
        now = time.monotonic()
        if essence(written) != essence(status):
            self._due.pop(name, None)
            self._written_at[name] = now
            return 0.0
        if name not in self._due:
            earliest = self._written_at.get(name, now - MINOR_INTERVAL_SECONDS) + MINOR_INTERVAL_SECONDS
            self._due[name] = self._budget.slot(max(now, earliest))
        if now < self._due[name]:
            return self._due[name] - now
        del self._due[name]
        self._written_at[name] = now
        return 0.0

    def _tell(
        self, obj: Mapping[str, Any], allocation: Allocation, written: Mapping[str, Any], status: Mapping[str, Any]
    ) -> None:
        for told in (news(written, status), level_news(written, status)):
            if told is not None:
                self._record(obj, allocation, *told)
        message = pending_message(status)
        if message and not pending_message(written):
            self._record(obj, allocation, Reason.PODS_UNSCHEDULABLE, message, warning=True)

    def _record(self, obj: Mapping[str, Any], allocation: Allocation, reason: str, message: str, warning: bool) -> None:
        self._recorder.record(TENANT_ALLOCATION, obj, reason, message, warning=warning)
        # Members may not read Events in ``default``; one copy, in the first of their namespaces.
        for share in allocation.shares[:1]:
            quota = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, share.namespace)
            if quota is not None and quota.view.allocation == allocation.name:
                self._recorder.record_in(quota.obj, reason, message, warning=warning)


def is_ready(status: Mapping[str, Any]) -> bool:
    """Whether a status says Ready."""
    return any(
        condition.get("type") == ConditionType.READY and condition.get("status") == "True"
        for condition in status.get("conditions") or ()
    )


def essence(status: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be written at once; figures in messages, positions and use may come later."""
    return {
        "phase": status.get("phase"),
        "generation": status.get("observedGeneration"),
        "grant": status.get("grant"),
        "namespaces": status.get("namespaces"),
        "shares": status.get("shares"),
        "summary": {key: text for key, text in (status.get("summary") or {}).items() if key != "earliest"},
        "window": status.get("window"),
        "promised": status.get("promised"),
        "taking": (status.get("drainStartedAt"), status.get("dataDeleteStartedAt")),
        "excess": (bool(status.get("excess")), status.get("excessDrainAt")),
        "reclaimed": status.get("reclaimed", False),
        "notice": notice_of(status),
        "queued": "queue" in status,
        "asked": (status.get("queue") or {}).get("asked"),
        "forecast": "earliestStart" in (status.get("queue") or {}),
        "conditions": [
            (condition.get("type"), condition.get("status"), condition.get("reason"))
            for condition in status.get("conditions") or ()
        ],
    }
