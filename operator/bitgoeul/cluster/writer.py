"""
Every write that the operator makes: one place that asks for leadership, and one that takes answers into the cache.

Writes answer with the new version of the object, which is merged at once: the next decision sees what this one did,
without waiting for the watch to bring it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bitgoeul.api.names import FIELD_MANAGER
from bitgoeul.cluster.cache import Cache
from bitgoeul.cluster.client import APPLY, MERGE, Api, ApiError, Object
from bitgoeul.cluster.kinds import BY_KIND, POD, WATCHED, Kind
from bitgoeul.cluster.lease import DURATION_SECONDS, WRITE_SECONDS
from bitgoeul.errors import ClusterError

# A write that is sent in the last moment of leadership has ended before anybody else may lead.
WRITE_TIMEOUT_SECONDS = DURATION_SECONDS - WRITE_SECONDS


class NotLeadingError(ClusterError):
    """Another instance may lead; nothing was sent."""


class Writer:
    """Writes on behalf of the leader. ``may_write`` is asked before each request."""

    def __init__(self, api: Api, cache: Cache, may_write: Callable[[], bool]) -> None:
        self._api = api
        self._cache = cache
        self._may_write = may_write

    async def _send(self, method: str, path: str, body: Any = None, **options: Any) -> Object:
        if not self._may_write():
            raise NotLeadingError(f"{method} {path}: not the leader")
        return await self._api.request(method, path, body, timeout=WRITE_TIMEOUT_SECONDS, **options)

    def _learn(self, kind: Kind, answer: Object) -> Object:
        if kind in WATCHED and answer.get("kind") == kind.kind:
            self._cache.merge(kind, answer, own=True)
        return answer

    async def apply(self, obj: Mapping[str, Any]) -> Object:
        """Server-side apply, taking over fields that others have changed; creates what is not there."""
        kind = BY_KIND[obj["kind"]]
        metadata = obj["metadata"]
        path = kind.path(metadata["name"], metadata.get("namespace", ""))
        params = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return self._learn(kind, await self._send("PATCH", path, obj, content_type=APPLY, params=params))

    async def create(self, obj: Mapping[str, Any]) -> Object:
        """Create; an object of this name is an error (``already_exists``), never adopted."""
        kind = BY_KIND[obj["kind"]]
        path = kind.path("", obj["metadata"].get("namespace", ""))
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return self._learn(kind, await self._send("POST", path, obj, params=params))

    async def make(self, obj: Mapping[str, Any]) -> Object:
        """Create; what exists all the same has lost our label, so that it was not seen, and is brought back."""
        try:
            return await self.create(obj)
        except ApiError as error:
            if not error.already_exists:
                raise
            return await self.apply(obj)

    async def patch_status(self, kind: Kind, obj: Mapping[str, Any], status: Mapping[str, Any]) -> Object:
        """
        Replace an object's status by what differs, if the object is still the version that was looked at.

        Raises:
            ApiError: ``conflict`` when it has changed meanwhile, ``not_found`` when it is gone.
        """
        change = difference(obj.get("status") or {}, status)
        metadata = obj["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": change}
        path = kind.path(metadata["name"], metadata.get("namespace", ""), "status")
        params = {"fieldManager": FIELD_MANAGER}
        return self._learn(kind, await self._send("PATCH", path, body, content_type=MERGE, params=params))

    async def set_finalizers(self, kind: Kind, obj: Mapping[str, Any], finalizers: list[str]) -> Object:
        """Replace the finalizers, under the version that they were read at."""
        metadata = obj["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": finalizers}}
        return await self.merge(kind, metadata["name"], body, metadata.get("namespace", ""))

    async def merge(self, kind: Kind, name: str, body: Mapping[str, Any], namespace: str = "") -> Object:
        """Merge patch; a body that names the UID fails (422) on a namesake of what was looked at."""
        params = {"fieldManager": FIELD_MANAGER}
        path = kind.path(name, namespace)
        return self._learn(kind, await self._send("PATCH", path, body, content_type=MERGE, params=params))

    async def delete(self, kind: Kind, obj: Mapping[str, Any], grace_seconds: int | None = None) -> None:
        """
        Delete this very object; one that is gone, or a namesake in its place, is success.

        Args:
            grace_seconds: Of a pod, instead of its own.
        """
        metadata = obj["metadata"]
        path = kind.path(metadata["name"], metadata.get("namespace", ""))
        try:
            body: dict[str, Any] = {"preconditions": {"uid": metadata["uid"]}}
            if grace_seconds is not None:
                body["gracePeriodSeconds"] = grace_seconds
            await self._send("DELETE", path, body)
        except ApiError as error:
            if error.not_found or error.conflict:
                return
            raise

    async def evict(self, pod: Mapping[str, Any], grace_seconds: int) -> None:
        """
        Ask for a pod to be evicted, honouring disruption budgets.

        Args:
            grace_seconds: How long it may take to stop, instead of its own grace.
        Raises:
            ApiError: 429 when a budget forbids it now, 500 when two budgets cover the pod.
        """
        metadata = pod["metadata"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "deleteOptions": {"preconditions": {"uid": metadata["uid"]}, "gracePeriodSeconds": grace_seconds},
        }
        try:
            await self._send("POST", POD.path(metadata["name"], metadata["namespace"], "eviction"), body)
        except ApiError as error:
            if error.not_found or error.conflict:
                return
            raise

    async def try_pod(self, pod: Mapping[str, Any]) -> Object:
        """Create a pod as a server-side dry run: what admission would make of it, without making it."""
        path = POD.path("", pod["metadata"]["namespace"])
        return await self._send("POST", path, pod, params={"dryRun": "All"})


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch that turns ``old`` into ``new``; what is missing in ``new`` is removed by null."""
    change: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if before == value:
            continue
        change[key] = difference(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return change
