"""
The one quota of a tenant namespace: made with nothing in it, raised, lowered, and seen to be enforced.

A quota is what holds a grant, so more is looked at here than with other children: what was written, what stands beside
it, and what the quota controller has confirmed.
"""

from __future__ import annotations

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import ApiError
from bitgoeul.cluster.kinds import RESOURCE_QUOTA
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.corrections import Corrections
from bitgoeul.controller.unkept import Unkept
from bitgoeul.desired.drift import Difference, differs
from bitgoeul.desired.resource_quota import build_resource_quota, empty_hard, limits_capacity, stale_keys
from bitgoeul.desired.world import Manifest, NamespaceTarget, World


class QuotaKeeper:
    """See the module's text."""

    def __init__(self, cache: Cache, writer: Writer, corrections: Corrections, unkept: Unkept) -> None:
        self._cache = cache
        self._writer = writer
        self._corrections = corrections
        self._unkept = unkept

    async def name_missing(self, namespace: str, world: World) -> None:
        """Add the zeros of pools that a quota does not name yet, and leave the rest of it as it is."""
        entry = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, namespace)
        if entry is None:
            return
        hard = entry.obj["spec"].get("hard") or {}
        named = build_resource_quota(NamespaceTarget(namespace, "", ""), world)["spec"]["hard"]
        missing = {key: "0" for key in named if key not in hard and limits_capacity(key)}
        if missing:
            await self._writer.merge(RESOURCE_QUOTA, QUOTA_NAME, {"spec": {"hard": missing}}, namespace)

    async def set(self, target: NamespaceTarget, world: World) -> bool:
        """
        Write the quota; True when the quota that is enforced is the one wanted.

        A quota is made with 0 of everything and raised afterwards, so that a late creation never adds capacity.
        """
        quota = build_resource_quota(target, world)
        entry = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, target.name)
        if entry is not None and self._unkept.waits(quota, entry.obj):
            return False
        if entry is None:
            await self._writer.make(empty_hard(quota))
        written = entry is None or differs(quota, entry.obj)
        if written:
            await self._writer.apply(quota)
        dropped = await self._drop_stale_keys(quota)
        stands = self._stands(quota)
        if stands:
            self._corrections.stands(quota, written=written or dropped)
        return stands and self.settled(target.name)

    def _stands(self, quota: Manifest) -> bool:
        """Whether a quota stands as it was written, with no limit of capacity beside it."""
        namespace = quota["metadata"]["namespace"]
        entry = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, namespace)
        if entry is None:
            return False
        stale = next(iter(stale_keys(quota, entry.obj)), None)
        left = Difference(f"spec.hard.{stale}", None, entry.obj["spec"]["hard"][stale]) if stale else None
        return self._unkept.judge(quota, entry.obj, left)

    async def lower_in_going(self, target: NamespaceTarget, world: World) -> None:
        """Lower the quota of a namespace that is being deleted, where it is still there; it cannot be made any more."""
        if self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, target.name) is not None:
            try:
                await self.set(target, world)
            except ApiError as error:
                if not (error.not_found or error.terminating):
                    raise

    def proves(self, namespace: Entry) -> bool:
        """Whether a list of pods tells all that a namespace holds from now on: nothing new can begin unseen."""
        name = namespace.view.name
        gone = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, name) is None and namespace.view.terminating
        return gone or self.settled(name)

    def settled(self, namespace: str) -> bool:
        """Whether the quota controller has confirmed the quota as it stands."""
        entry = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, namespace)
        return entry is not None and bool(entry.view.settled)

    async def _drop_stale_keys(self, quota: Manifest) -> bool:
        """
        Remove limits of capacity that are no longer stated, such as cpu once no pool says what comes with a device.

        True when there were any.

        With null, because apply leaves a key that also stands in another manager's fields.
        """
        namespace = quota["metadata"]["namespace"]
        entry = self._cache.get(RESOURCE_QUOTA, QUOTA_NAME, namespace)
        stale = dict.fromkeys(stale_keys(quota, entry.obj)) if entry else {}
        if stale:
            await self._writer.merge(RESOURCE_QUOTA, QUOTA_NAME, {"spec": {"hard": stale}}, namespace)
        return bool(stale)
