"""
Keeps what belongs to a pool: its finalizer, its admission policies, its status; and what all tenants share: their
admission policies and roles.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from bitgoeul.api.conditions import ConditionType
from bitgoeul.api.names import FINALIZER
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import ApiError, NoAnswerError
from bitgoeul.cluster.events import Recorder
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, BY_KIND, STORAGE_CLASS, STORAGE_POOL, Kind
from bitgoeul.cluster.troubles import LASTING_SECONDS, Troubles
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.corrections import Corrections
from bitgoeul.controller.planner import Planner
from bitgoeul.controller.rounds import Round
from bitgoeul.controller.unkept import RETRY_SECONDS, Unkept
from bitgoeul.desired.admission_policies import build_pool_policies
from bitgoeul.desired.cluster_roles import build_tenant_roles
from bitgoeul.desired.drift import differs
from bitgoeul.desired.pool_status import build_accelerator_status, build_storage_status
from bitgoeul.desired.tenant_policies import build_tenant_policies
from bitgoeul.planning.decisions import PoolPlan
from bitgoeul.planning.pools import PoolKey, PoolKind

STATUS_INTERVAL_SECONDS = 0.5  # figures change with every grant; people read slower than that
SHARED = "shared"  # in the place of a pool's UID
# Conditions that are True when all is well; of the others True is worth a warning.
HOPED_FOR = frozenset({ConditionType.READY, ConditionType.CAPACITY_MATCHED, ConditionType.CLASS_FOUND})


class Pools:
    """The applier of pools; one pass for each call of ``reconcile``."""

    def __init__(
        self,
        cache: Cache,
        writer: Writer,
        planner: Planner,
        recorder: Recorder,
        corrections: Corrections,
        unkept: Unkept,
        clock: Callable[[], datetime],
        on_shared: Callable[[], None],
    ) -> None:
        """
        Args:
            on_shared: Called when what every pool says about what tenants share has changed.
        """
        self._on_shared = on_shared
        self._cache = cache
        self._writer = writer
        self._planner = planner
        self._recorder = recorder
        self._corrections = corrections
        self._unkept = unkept
        self._clock = clock
        self._written_at: dict[PoolKey, float] = {}
        self._troubles = Troubles()
        self._shared_problem = ""  # why what all tenants share cannot be written; empty: it stands

    async def reconcile(self, key: PoolKey) -> float | None:
        """
        One pass over a pool; returns in how many seconds it wants another one.

        Raises:
            ClusterError: Something did not succeed; the pass is to be repeated later.
        """
        kind = ACCELERATOR_POOL if key.kind is PoolKind.ACCELERATORS else STORAGE_POOL
        entry = self._cache.get(kind, key.name)
        current = self._planner.round
        if entry is None or entry.view is None or current is None or key not in current.plan.pools:
            return None
        plan = current.plan.pools[key]
        metadata = entry.obj["metadata"]
        finalizers = metadata.get("finalizers") or []
        going = metadata.get("deletionTimestamp") and FINALIZER not in finalizers
        if metadata.get("deletionTimestamp"):
            if FINALIZER in finalizers and not (plan.granted or plan.retained or plan.scheduled):
                await self._writer.set_finalizers(kind, entry.obj, [f for f in finalizers if f != FINALIZER])
                return None
        elif FINALIZER not in finalizers:
            # Before anything is granted: a pool must not vanish from under its holders.
            await self._writer.set_finalizers(kind, entry.obj, [*finalizers, FINALIZER])
        policies = []
        # Of one that is let go the policies are left alone: to own them again would delete what somebody wants to keep.
        if kind is ACCELERATOR_POOL and not going:
            policies = build_pool_policies(key.name, entry.view.spec, entry.uid)
        try:
            again = await self._ensure(policies)
        except (ApiError, NoAnswerError) as error:
            await self._report(kind, key, plan, current, self._lasting(entry.uid, error))
            raise
        self._troubles.succeeded(entry.uid)
        later = await self._report(kind, key, plan, current, self._shared_problem)
        return min(again or RETRY_SECONDS, later or RETRY_SECONDS) if again or later else None

    async def ensure_shared(self) -> float | None:
        """
        Keep what all tenants share: policies and ClusterRoles; while they cannot be written, every pool says so.

        Raises:
            ClusterError: Something did not succeed; the pass is to be repeated later.
        """
        before = self._shared_problem
        try:
            again = await self._ensure([*build_tenant_policies(), *build_tenant_roles()])
        except (ApiError, NoAnswerError) as error:
            self._shared_problem = self._lasting(SHARED, error)
            raise
        else:
            self._troubles.succeeded(SHARED)
            self._shared_problem = ""
            return again
        finally:
            if before != self._shared_problem:
                self._on_shared()

    def _lasting(self, what: str, error: ApiError | NoAnswerError) -> str:
        """What is to be said about a failure: nothing about one that may pass, before it has lasted a minute."""
        lasted = self._troubles.failed(what, error)
        if isinstance(error, ApiError) and (error.conflict or error.not_found):
            return ""
        for_good = isinstance(error, ApiError) and not error.transient
        return str(error) if for_good or lasted >= LASTING_SECONDS else ""

    async def _ensure(self, objects: Iterable[Mapping[str, Any]]) -> float | None:
        """Have objects stand as they are wanted; in how many seconds to try again what does not."""
        stand = [await self._stands(obj) for obj in objects]
        return None if all(stand) else RETRY_SECONDS

    async def _stands(self, obj: Mapping[str, Any]) -> bool:
        kind, name = BY_KIND[obj["kind"]], obj["metadata"]["name"]
        entry = self._cache.get(kind, name)
        if entry is not None and not differs(obj, entry.obj):
            self._unkept.stands(obj)
            self._corrections.stands(obj, written=False)
            return True
        if entry is not None and self._unkept.waits(obj, entry.obj):
            return False
        answer: Mapping[str, Any] | None = None
        if entry is not None and "spec" in obj:
            # Apply merges sets such as validationActions item by item; what somebody has added would stay in them.
            answer = await self._writer.merge(kind, name, {"spec": obj["spec"]})
        if answer is None or differs(obj, answer):
            answer = await self._writer.apply(obj)
        if not self._unkept.judge(obj, answer):
            return False
        self._corrections.stands(obj, written=True)
        return True

    async def _report(self, kind: Kind, key: PoolKey, plan: PoolPlan, current: Round, unmade: str) -> float | None:
        entry = self._cache.get(kind, key.name)
        if entry is None or entry.view is None:
            return None
        written = entry.obj.get("status") or {}
        status = self._build(kind, entry, key, plan, current, unmade)
        if status == written:
            return None
        early = self._written_at.get(key, -STATUS_INTERVAL_SECONDS) + STATUS_INTERVAL_SECONDS - time.monotonic()
        if early > 0:
            return early
        self._written_at[key] = time.monotonic()
        answer = await self._writer.patch_status(kind, entry.obj, status)
        for condition in changed(written, status):
            warning = not as_hoped(condition)
            self._recorder.record(kind, answer, condition["reason"], condition["message"], warning=warning)
        return None

    def _build(
        self, kind: Kind, entry: Entry, key: PoolKey, plan: PoolPlan, current: Round, unmade: str
    ) -> dict[str, Any]:
        pool = current.snapshot.pools[key]
        generation = int(entry.obj["metadata"].get("generation") or 0)
        written = entry.obj.get("status") or {}
        present = current.snapshot.now
        if kind is ACCELERATOR_POOL:
            return build_accelerator_status(
                entry.view.spec, generation, pool, plan, present, written, self._clock(), unmade
            )
        exists = self._cache.get(STORAGE_CLASS, pool.limit) is not None
        return build_storage_status(generation, pool, plan, present, exists, written, self._clock(), unmade)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Conditions whose status or reason is not what it was; on a first status, only those that are not as hoped."""
    known = {c["type"]: (c["status"], c["reason"]) for c in before.get("conditions") or ()}
    result = []
    for condition in after["conditions"]:
        old = known.get(condition["type"])
        new = (condition["status"], condition["reason"])
        if (old is None and not as_hoped(condition)) or (old is not None and old != new):
            result.append(condition)
    return result


def as_hoped(condition: Mapping[str, Any]) -> bool:
    """Whether a condition says that all is well."""
    holds: bool = condition["status"] == "True"
    return (condition["type"] in HOPED_FOR) == holds
