"""
One namespace of a tenant: makes what is there equal to what it should be, in the order that keeps promises.

First the namespace with its labels (the pool's policy acts on them), then the quota, then, and only when the quota is
enforced, a proof that the policy acts, the claims, and last of all the access of members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bitgoeul.api.names import (
    ALLOCATION_LABEL,
    ALLOCATION_UID_ANNOTATION,
    CLOSED_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    RESUMED_ANNOTATION,
    RETAINED_LABEL,
)
from bitgoeul.api.tenant_allocation import ClaimRequest, Member, MemberRole
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import Api, ApiError, Object
from bitgoeul.cluster.kinds import (
    BY_KIND,
    DEPLOYMENT,
    NAMESPACE,
    ROLE_BINDING,
    STATEFUL_SET,
    VOLUME_CLAIM,
    Kind,
)
from bitgoeul.cluster.writer import Writer
from bitgoeul.controller.corrections import Corrections
from bitgoeul.controller.quotas import QuotaKeeper
from bitgoeul.controller.unkept import Unkept
from bitgoeul.desired.drift import differs
from bitgoeul.desired.namespace import amend_namespace, build_namespace, closing_marks, left_over
from bitgoeul.desired.role_bindings import build_role_bindings, is_ours, tenant_role
from bitgoeul.desired.volume_claims import build_volume_claims, never_shrunk
from bitgoeul.desired.world import Manifest, NamespaceTarget, World
from bitgoeul.planning.allocations import Amounts, devices_in


class NamespaceTakenError(Exception):
    """The namespace exists and is not ours to use."""


class NamespaceKeeper:
    """Writes the children of one namespace; knows nothing of queues, phases or other namespaces."""

    def __init__(
        self,
        cache: Cache,
        api: Api,
        writer: Writer,
        corrections: Corrections,
        unkept: Unkept,
        clock: Callable[[], datetime],
    ) -> None:
        self._cache = cache
        self._api = api
        self._writer = writer
        self._corrections = corrections
        self._unkept = unkept
        self.quotas = QuotaKeeper(cache, writer, corrections, unkept)
        self._clock = clock

    async def ensure(self, obj: Manifest) -> bool:
        """Apply an object if it differs from what stands; True when something was written."""
        metadata = obj["metadata"]
        entry = self._cache.get(BY_KIND[obj["kind"]], metadata["name"], metadata.get("namespace", ""))
        if entry is not None and not differs(obj, entry.obj):
            self._unkept.stands(obj)
            self._corrections.stands(obj, written=False)
            return False
        if entry is not None and self._unkept.waits(obj, entry.obj):
            return False
        if self._unkept.judge(obj, await self._write(obj, entry)):
            self._corrections.stands(obj, written=True)
        return True

    async def _write(self, obj: Manifest, entry: Entry | None) -> Object:
        if entry is None:
            return await self._writer.make(obj)
        try:
            return await self._writer.apply(obj)
        except ApiError as error:
            # A binding's role cannot be changed, only replaced.
            if error.status != 422 or "roleRef" not in obj:
                raise
            await self._writer.delete(BY_KIND[obj["kind"]], entry.obj)
            return await self._writer.make(obj)

    async def open(self, target: NamespaceTarget, floor: Amounts, *, take_over_from: str = "") -> None:
        """
        Have the namespace, with the labels of all pools that it holds or is about to hold devices of.

        Args:
            take_over_from: UID of a former allocation; a namespace that is retained under it changes hands.
        Raises:
            NamespaceTakenError: It exists and says that it belongs to somebody else, or to nobody.
        """
        held = {pool.name: n for pool, n in devices_in(floor).items()}
        labelled = replace(target, devices={**held, **{p: n for p, n in target.devices.items() if n}})
        entry = self._cache.get(NAMESPACE, target.name)
        if entry is None:
            made = await self._make_namespace(build_namespace(labelled))
            self._corrections.emptied(target.name)
            if self._unkept.judge(build_namespace(labelled), made):
                self._corrections.stands(build_namespace(labelled), written=True)
            return
        owner = entry.view.allocation_uid
        if owner != target.uid and not (owner and owner == take_over_from and entry.view.retained):
            raise NamespaceTakenError(target.name)
        self._unkept.stands(closing_marks(target), part_of(closing_marks(target)))  # no longer wanted
        await self.amend(labelled, entry)

    async def amend(self, target: NamespaceTarget, entry: Entry) -> None:
        """Give a namespace that exists the labels that it should have."""
        wanted = build_namespace(target)
        change = amend_namespace(target, entry.obj)
        if change is None:
            self._unkept.stands(wanted)
        elif self._unkept.waits(wanted, entry.obj):
            return
        else:
            answer = await self._writer.merge(NAMESPACE, target.name, change)
            if not self._unkept.judge(wanted, answer, left_over(target, answer)):
                return
        self._corrections.stands(wanted, written=change is not None)

    async def _make_namespace(self, namespace: Manifest) -> Object:
        name = namespace["metadata"]["name"]
        try:
            return await self._writer.create(namespace)
        except ApiError as error:
            if not error.already_exists:
                raise
            found = await self._api.get(NAMESPACE.path(name))
            if found is not None:
                self._cache.merge(NAMESPACE, found)
                annotations = found["metadata"].get("annotations") or {}
                if (
                    annotations.get(ALLOCATION_UID_ANNOTATION)
                    == namespace["metadata"]["annotations"][ALLOCATION_UID_ANNOTATION]
                ):
                    return found  # the answer to our own creation was lost
            raise NamespaceTakenError(name) from error

    async def reclaim(self, name: str, namespace_uid: str, allocation: str, uid: str) -> None:
        """
        Give a namespace that was ours its marks back, where somebody has overwritten them.

        It is the very one that the allocation's status names, by UID; what is retained is left alone.
        """
        entry = self._cache.get(NAMESPACE, name)
        if entry is None or entry.uid != namespace_uid or entry.view.retained:
            return
        labels = {MANAGED_BY_LABEL: MANAGED_BY, ALLOCATION_LABEL: allocation}
        metadata = {"name": name, "labels": labels, "annotations": {ALLOCATION_UID_ANNOTATION: uid}}
        marks = {"kind": NAMESPACE.kind, "metadata": metadata}
        if entry.view.allocation_uid == uid:
            self._unkept.stands(marks, part_of(marks))
        elif await self._mark(entry, marks):
            self._corrections.marks_restored(name)

    async def _mark(self, entry: Entry, marks: Manifest) -> bool:
        """Write marks on a namespace; True when they stand."""
        metadata, part = marks["metadata"], part_of(marks)
        if self._unkept.waits(marks, entry.obj, part):
            return False
        change = {"uid": entry.uid, "labels": metadata["labels"], "annotations": metadata["annotations"]}
        answer = await self._writer.merge(NAMESPACE, metadata["name"], {"metadata": change})
        return self._unkept.judge(marks, answer, part=part)

    async def close(self, target: NamespaceTarget, world: World, members: Iterable[Member]) -> bool:
        """
        Let nothing new begin, and give members the roles that are left to them; True when the quota is enforced.

        The mark on the namespace comes first: whoever opens it again finds by it that workloads were kept waiting.
        """
        members = tuple(members)
        entry = self._cache.get(NAMESPACE, target.name)
        if entry is not None:
            marks = closing_marks(target)
            stands = not differs(marks, entry.obj)
            if stands:
                self._unkept.stands(marks, part_of(marks))
            if stands or await self._mark(entry, marks):
                self._corrections.stands(marks, written=not stands)
        await self.revoke_access(target, members)
        settled = await self.quotas.set(target, world)
        if settled:
            await self.give_access(target, members)
        return settled

    async def wake_workloads(self, namespace: str) -> None:
        """
        Have workloads of a namespace that was closed try again at once: they back off for up to 17 minutes.

        A change of the annotations of a Deployment or StatefulSet brings it, and its ReplicaSets, back into its
        controller's queue; the pods' template stays as it is, so that nothing is rolled out.
        """
        entry = self._cache.get(NAMESPACE, namespace)
        if entry is None or not entry.view.closed:
            return
        now = self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        for kind in (DEPLOYMENT, STATEFUL_SET):
            workloads, _ = await self._api.list_all(kind.path("", namespace))
            for workload in workloads:
                name, uid = workload["metadata"]["name"], workload["metadata"]["uid"]
                body = {"metadata": {"uid": uid, "annotations": {RESUMED_ANNOTATION: now}}}
                try:
                    await self._writer.merge(kind, name, body, namespace)
                except ApiError as error:
                    if not (error.not_found or error.status in (403, 422)):
                        raise  # one that cannot be told waits out its pause
        mark = {"metadata": {"uid": entry.uid, "annotations": {CLOSED_ANNOTATION: None}}}
        await self._writer.merge(NAMESPACE, namespace, mark)

    def bars(self, namespace: str) -> str:
        """Return why nobody new may be let into a namespace; empty: nothing bars."""
        return self._unkept.bars(namespace)

    async def give_claims(
        self, target: NamespaceTarget, claims: Iterable[tuple[str, ClaimRequest]], world: World
    ) -> list[str]:
        """
        Create and grow the claims; what is there beyond them stays.

        Returns:
            What the API server refuses, for people. A tenant may have used up its storage itself, or the class may not
            grow claims; neither is a reason to lock members out.
        """
        refused = []
        wanted = build_volume_claims(target, claims, world)
        self._unkept.forget_others(VOLUME_CLAIM.kind, target.name, {claim["metadata"]["name"] for claim in wanted})
        for desired in wanted:
            name = desired["metadata"]["name"]
            entry = self._cache.get(VOLUME_CLAIM, name, target.name)
            try:
                await self.ensure(never_shrunk(desired, entry.obj) if entry else desired)
            except ApiError as error:
                if error.status not in (403, 422):
                    raise
                refused.append(f"claim {name} in {target.name} is refused: {error.message}")
        return refused

    async def mark_claims(self, namespace: str, *, retained: bool) -> None:
        """Say on all claims, also on those that tenants have made, whether they are what is left of an allocation."""
        claims, _ = await self._api.list_all(VOLUME_CLAIM.path("", namespace))
        for claim in claims:
            metadata = claim["metadata"]
            labels = metadata.get("labels") or {}
            if (RETAINED_LABEL in labels) != retained:
                body = {"metadata": {"uid": metadata["uid"], "labels": {RETAINED_LABEL: "true" if retained else None}}}
                await self._writer.merge(VOLUME_CLAIM, metadata["name"], body, namespace)
                if MANAGED_BY_LABEL not in labels:  # not watched: nobody would tell the cache when it is gone
                    self._cache.forget(VOLUME_CLAIM, (namespace, metadata["name"]))

    async def give_access(self, target: NamespaceTarget, members: Iterable[Member]) -> list[str]:
        """
        Bind the members' roles, and unbind roles that have no members any more.

        Returns:
            ClusterRoles beside our own that cannot be bound, for people: no reason to lock members out.
        """
        bindings = build_role_bindings(target, members)
        await self.remove_access(target.name, keep={binding["metadata"]["name"] for binding in bindings})
        refused = []
        for binding in bindings:
            role = binding["roleRef"]["name"]
            try:
                await self.ensure(binding)
            except ApiError as error:
                if is_ours(role) or error.terminating or error.status not in (403, 422):
                    raise
                refused.append(f"ClusterRole {role} cannot be bound in {target.name}: {error.message}")
        return refused

    def has_access(self, namespace: str) -> bool:
        """Whether any member may run something in this namespace; who may only look has no pods to be astray."""
        bindings = self._cache.in_namespace(ROLE_BINDING, namespace)
        return any(entry.obj["roleRef"]["name"] != tenant_role(MemberRole.VIEW) for entry in bindings)

    async def revoke_access(self, target: NamespaceTarget, members: Iterable[Member]) -> None:
        """Take away what our bindings give to anybody who is no member, or no member in that role, any more."""
        entries = list(self._cache.in_namespace(ROLE_BINDING, target.name))
        if not entries:
            return
        wanted = {binding["metadata"]["name"]: binding for binding in build_role_bindings(target, members)}
        for entry in entries:
            name = entry.obj["metadata"]["name"]
            bound = entry.obj.get("subjects") or []
            if name not in wanted:
                await self.delete(ROLE_BINDING, entry)
                continue
            kept = [subject for subject in bound if subject in wanted[name]["subjects"]]
            if len(kept) < len(bound) and not self._unkept.waits(wanted[name], entry.obj):
                answer = await self._writer.merge(ROLE_BINDING, name, {"subjects": kept}, target.name)
                if len(answer.get("subjects") or ()) > len(kept):
                    self._unkept.judge(wanted[name], answer)
                else:
                    self._corrections.put_right(wanted[name])

    async def remove_access(self, namespace: str, keep: Iterable[str] = ()) -> None:
        """Delete our bindings in a namespace, except those named."""
        kept = set(keep)
        for entry in list(self._cache.in_namespace(ROLE_BINDING, namespace)):
            if entry.obj["metadata"]["name"] not in kept:
                await self.delete(ROLE_BINDING, entry)

    async def delete(self, kind: Kind, entry: Entry) -> None:
        await self._writer.delete(kind, entry.obj)
        metadata: Mapping[str, Any] = entry.obj["metadata"]
        self._corrections.deleted(kind.kind, metadata["name"], metadata.get("namespace", ""))
        self._unkept.forget(kind.kind, metadata["name"], metadata.get("namespace", ""))
        if kind is not NAMESPACE:
            self._cache.forget(kind, (metadata.get("namespace", ""), metadata["name"]))


def part_of(marks: Manifest) -> str:
    """Name the part of a namespace that marks are, by their annotations."""
    return ",".join(marks["metadata"]["annotations"])
