"""
Takes namespaces down: access first, then the quota, then the pods; the data is kept unless the policy says Delete.

The order is what makes it safe to kill half-way: as long as anything may still be held, the allocation keeps its
finalizer and its grant, and nobody else gets what it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from bitgoeul.api.names import FINALIZER, QUOTA_NAME
from bitgoeul.api.pod_security import DEFAULT_LEVEL
from bitgoeul.api.tenant_allocation import DeletionPolicy
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import Api
from bitgoeul.cluster.kinds import NAMESPACE, RESOURCE_QUOTA, TENANT_ALLOCATION
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.namespaces import NamespaceKeeper
from bitgoeul.controller.pods import send_off, unfinished_pods
from bitgoeul.desired.namespace import amend_namespace, going_text
from bitgoeul.desired.world import NamespaceTarget, World
from bitgoeul.planning.allocations import Allocation
from bitgoeul.planning.observed import NamespaceView

POLL_SECONDS = 1.0


class Takedown:
    """See the module's text; knows nothing of plans and queues."""

    def __init__(
        self, cache: Cache, api: Api, writer: Writer, keeper: NamespaceKeeper, clock: Callable[[], datetime]
    ) -> None:
        self._cache = cache
        self._api = api
        self._writer = writer
        self._keeper = keeper
        self._clock = clock
        # Namespace → since when it is being emptied, where no end is written down; a restart begins anew.
        self._ended: dict[str, datetime] = {}

    async def allocation(self, entry: Entry, world: World) -> str:
        """One pass over all namespaces of an allocation that is being deleted; empty when nothing is left to do."""
        allocation: Allocation = entry.view
        for name, uid in allocation.place_uids.items():
            await self._keeper.reclaim(name, uid, allocation.name, allocation.uid)
        delete = allocation.spec is not None and allocation.spec.expiry.deletion_policy is DeletionPolicy.DELETE
        deleted_at = datetime.fromisoformat(entry.obj["metadata"]["deletionTimestamp"])
        remaining = []
        for name, namespace in sorted(self._cache.owned_namespaces(allocation.uid).items()):
            if namespace.view.retained:
                continue
            target = NamespaceTarget(name, allocation.name, allocation.uid)
            if namespace.view.terminating:
                await self._keeper.quotas.lower_in_going(closed(target), world)
                remaining.append(going_text(namespace.obj))
                continue
            held = await self.empty(target, world, deleted_at)
            if held:
                remaining.append(held)
            elif not await self.finish(target, world, delete=delete):
                remaining.append(f"namespace {name} is being {'deleted' if delete else 'closed'}")
        return "; ".join(remaining)

    def forget(self, namespace: str) -> None:
        """A namespace that is asked for again is not on its way out."""
        self._ended.pop(namespace, None)

    async def empty(self, target: NamespaceTarget, world: World, ended: datetime | None = None) -> str:
        """
        Take access, quota and pods.

        Args:
            ended: When the grant ended; None: when this was first tried.
        Returns:
            What is still held, for people, or nothing.
        """
        ended = ended or self._ended.setdefault(target.name, self._clock())
        await self._keeper.remove_access(target.name)
        if not await self._keeper.quotas.set(closed(target), world):
            return self._keeper.bars(target.name) or f"the quota in {target.name} is not down yet"
        pods = await unfinished_pods(self._api, target.name)
        if not pods:
            self._ended.pop(target.name, None)
            return ""
        await send_off(self._writer, pods, ended, self._clock)
        return f"{len(pods)} pod{'s' if len(pods) != 1 else ''} still in {target.name}"

    async def finish(self, target: NamespaceTarget, world: World, *, delete: bool) -> bool:
        """Delete an empty namespace, or mark it as retained; True when that is done."""
        entry = self._cache.get(NAMESPACE, target.name)
        if entry is None:
            return True
        if delete:
            await self._keeper.delete(NAMESPACE, entry)
            return False  # its own event brings the key back when it is gone
        if not await self._keeper.quotas.set(closed(target), world):
            return False
        if amend_namespace(closed(target), entry.obj) is not None:
            await self._keeper.mark_claims(target.name, retained=True)
        await self._keeper.amend(closed(target), entry)
        return True

    async def release(self, entry: Entry) -> None:
        """Let the deletion of an allocation go through."""
        finalizers = [f for f in entry.obj["metadata"].get("finalizers") or () if f != FINALIZER]
        await self._writer.set_finalizers(TENANT_ALLOCATION, entry.obj, finalizers)

    async def keep_closed(self, name: str, world: World) -> float | None:
        """
        Keep a retained namespace closed, and close one whose allocation is gone without having been taken down.

        Somebody may have removed the finalizer by hand, or a backup without the allocation was restored. Data is kept
        in doubt; that the allocation is gone is asked of the API server, not of the cache.
        """
        entry = self._cache.get(NAMESPACE, name)
        if entry is None:
            return None
        view: NamespaceView = entry.view
        if not view.allocation_uid or view.terminating:
            return None
        if await self._wanted(view):
            return None
        target = NamespaceTarget(name, view.allocation, view.allocation_uid)
        await self._keeper.remove_access(name)
        if not view.retained:
            pods = await unfinished_pods(self._api, name)
            if pods and await self._keeper.quotas.set(self._as_held(target, world), world):
                ended = self._ended.setdefault(name, self._clock())
                await send_off(self._writer, pods, ended, self._clock)
            # Afterwards as with any other: what has come up meanwhile is seen when the quota is down.
            if pods or await self.empty(target, world):
                return POLL_SECONDS
        return None if await self.finish(target, world, delete=False) else POLL_SECONDS

    def _as_held(self, target: NamespaceTarget, world: World) -> NamespaceTarget:
        """What the quota lets in, without new pods: where no grant stands for it, nothing else says what is taken."""
        quota = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, target.name)
        if quota is None:
            return closed(target)
        by_resource = {spec.resource_name: pool for pool, spec in world.accelerators.items()}
        by_class = {spec.storage_class_name: pool for pool, spec in world.storage.items()}
        return replace(
            target,
            devices={pool: quota.view.held(resource) for resource, pool in by_resource.items()},
            storage={pool: quota.view.held(name) for name, pool in by_class.items()},
            closed=True,
        )

    async def _wanted(self, view: NamespaceView) -> bool:
        """Whether its allocation exists and looks after it; marks that somebody has overwritten end nobody's work."""
        known = self._cache.get(TENANT_ALLOCATION, view.allocation)
        rows = (known.obj.get("status") or {}).get("namespaces") or () if known is not None else ()
        if not view.retained and any(row["name"] == view.name for row in rows):
            return True  # somebody has overwritten the annotation; its owner restores it
        for entry in self._cache.all(TENANT_ALLOCATION):
            if entry.uid == view.allocation_uid:
                return not view.retained or any(share.namespace == view.name for share in entry.view.shares)
        if view.retained:
            return False
        allocations, _ = await self._api.list_all(TENANT_ALLOCATION.path())
        return any(current["metadata"]["uid"] == view.allocation_uid for current in allocations)


def closed(target: NamespaceTarget) -> NamespaceTarget:
    """The same namespace with nothing allowed in it any more; what its claims hold stays."""
    return replace(target, devices={}, storage={}, retained=True, pod_security=DEFAULT_LEVEL)
