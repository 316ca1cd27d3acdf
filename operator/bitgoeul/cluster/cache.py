"""
The newest known version of every watched object.

Fed by the watch, by answers to own writes and by lists; of two versions the newer wins, whichever way it came. So own
writes are seen at once, and a late event never takes the picture back. Resource versions are compared as numbers, which
the API guarantees since Kubernetes 1.35.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.cluster.client import Api, ApiError, Object, OlderDataError
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    NAMESPACE,
    NODE,
    RESOURCE_QUOTA,
    STORAGE_POOL,
    TENANT_ALLOCATION,
    WATCHED,
    Kind,
    trim,
)
from bitgoeul.cluster.troubles import Troubles
from bitgoeul.planning.allocations import read_allocation
from bitgoeul.planning.observed import namespace_view, node_view, quota_view

log = logging.getLogger(__name__)

Key = tuple[str, str]  # namespace ("" for cluster-scoped kinds), name
TOMBSTONE_SECONDS = 600.0


def read_model(model: type[AcceleratorPool] | type[StoragePool]) -> Callable[[Object], Any]:
    """A reader that gives None for an object that the model cannot read: it counts as absent, nobody else suffers."""

    def read(obj: Object) -> AcceleratorPool | StoragePool | None:
        try:
            return model.model_validate(obj)
        except ValidationError as error:
            log.error("%s %s cannot be read: %s", obj.get("kind"), obj["metadata"]["name"], error)
            return None

    return read


# What planning needs of these kinds is read once, when an object arrives.
READERS: Mapping[Kind, Callable[[Object], Any]] = {
    ACCELERATOR_POOL: read_model(AcceleratorPool),
    STORAGE_POOL: read_model(StoragePool),
    TENANT_ALLOCATION: read_allocation,
    NODE: node_view,
    NAMESPACE: namespace_view,
    RESOURCE_QUOTA: quota_view,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: ``obj`` as the API server gave it, trimmed, and ``view`` as planning reads it."""

    uid: str
    version: int
    obj: Object
    view: Any = None


# kind, what was known before (None: nothing), what is known now (None: it is gone), whether by a write of our own
Listener = Callable[[Kind, Entry | None, Entry | None, bool], None]


def key_of(obj: Mapping[str, Any]) -> Key:
    """Namespace and name."""
    metadata = obj["metadata"]
    return (metadata.get("namespace", ""), metadata["name"])


class Cache:
    """See the module's text. Not thread-safe: one event loop reads and writes it."""

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[Key, Entry]] = {kind: {} for kind in WATCHED}
        # By namespace, for the kinds that live in one: a tenant's children without a walk over everybody's.
        self._in_namespace: dict[tuple[Kind, str], dict[str, Entry]] = {}
        self._owned: dict[str, dict[str, Entry]] = {}  # UID of an allocation → its namespaces
        self._gone: dict[tuple[Kind, Key], tuple[int, float]] = {}
        self._newest: dict[Kind, int] = dict.fromkeys(WATCHED, 0)
        self._tidied_at = time.monotonic()
        self.listener: Listener | None = None
        self.synced = False

    def get(self, kind: Kind, name: str, namespace: str = "") -> Entry | None:
        return self._objects[kind].get((namespace, name))

    def all(self, kind: Kind) -> Iterator[Entry]:
        return iter(self._objects[kind].values())

    def newest(self, kind: Kind) -> int:
        """The highest version of anything of a kind that was ever seen; kinds may be stored apart from each other."""
        return self._newest[kind]

    def count(self, kind: Kind) -> int:
        return len(self._objects[kind])

    def in_namespace(self, kind: Kind, namespace: str) -> Iterable[Entry]:
        return self._in_namespace.get((kind, namespace), {}).values()

    def owned_namespaces(self, allocation_uid: str) -> dict[str, Entry]:
        """The namespaces that say that they belong to this allocation, by name."""
        return dict(self._owned.get(allocation_uid, {}))

    def merge(self, kind: Kind, obj: Object, *, own: bool = False) -> bool:
        """Take in one version; False when a newer one, or this very one, is known. ``own``: answer to a write."""
        key = key_of(obj)
        metadata = obj["metadata"]
        version = int(metadata["resourceVersion"])
        self._newest[kind] = max(self._newest[kind], version)
        known = self._objects[kind].get(key)
        if known is not None and version <= known.version:
            return False
        gone = self._gone.get((kind, key))
        if gone is not None:
            if version <= gone[0]:
                return False
            del self._gone[kind, key]
        trimmed = trim(kind, obj)
        reader = READERS.get(kind)
        view = reader(trimmed) if reader else None
        if view is None and known is not None and known.uid == metadata["uid"]:
            view = known.view  # what can no longer be read counts as it was: its holders must not suffer
        entry = Entry(metadata["uid"], version, trimmed, view)
        self._drop(kind, key, known)
        self._put(kind, key, entry)
        self._tell(kind, known, entry, own)
        return True

    def remove(self, kind: Kind, obj: Mapping[str, Any]) -> bool:
        """Take in a deletion; False when what is known is newer than what was deleted."""
        key = key_of(obj)
        version = int(obj["metadata"].get("resourceVersion") or 0)
        self._newest[kind] = max(self._newest[kind], version)
        known = self._objects[kind].get(key)
        if known is not None and version and version < known.version:
            return False
        return self.forget(kind, key, version)

    def forget(self, kind: Kind, key: Key, version: int = 0) -> bool:
        """Drop an object that a read has shown to be gone."""
        known = self._objects[kind].get(key)
        self._drop(kind, key, known)
        self._bury(kind, key, max(version, known.version) if known else version)
        if known is not None:
            self._tell(kind, known, None, False)
        return known is not None

    def replace(self, kind: Kind, objects: Iterable[Object], version: int) -> None:
        """Take in a complete list, and drop what it no longer has: the watch may have missed deletions."""
        self._newest[kind] = max(self._newest[kind], version)
        seen: set[Key] = set()
        for obj in objects:
            # Items of a list leave out kind and apiVersion.
            obj.setdefault("kind", kind.kind)
            obj.setdefault("apiVersion", kind.api_version)
            seen.add(key_of(obj))
            self.merge(kind, obj)
        for key, entry in list(self._objects[kind].items()):
            if key not in seen and entry.version <= version:
                self.forget(kind, key, version)

    def _put(self, kind: Kind, key: Key, entry: Entry) -> None:
        self._objects[kind][key] = entry
        if kind.namespaced:
            self._in_namespace.setdefault((kind, key[0]), {})[key[1]] = entry
        elif kind is NAMESPACE and entry.view.allocation_uid:
            self._owned.setdefault(entry.view.allocation_uid, {})[key[1]] = entry

    def _drop(self, kind: Kind, key: Key, entry: Entry | None) -> None:
        if entry is None:
            return
        del self._objects[kind][key]
        if kind.namespaced:
            discard(self._in_namespace, (kind, key[0]), key[1])
        elif kind is NAMESPACE and entry.view.allocation_uid:
            discard(self._owned, entry.view.allocation_uid, key[1])

    def _bury(self, kind: Kind, key: Key, version: int) -> None:
        now = time.monotonic()
        self._gone[kind, key] = (version, now)
        if now > self._tidied_at + TOMBSTONE_SECONDS / 10:
            self._tidied_at = now
            self._gone = {k: v for k, v in self._gone.items() if now - v[1] < TOMBSTONE_SECONDS}

    def _tell(self, kind: Kind, before: Entry | None, after: Entry | None, own: bool) -> None:
        if self.listener is not None:
            self.listener(kind, before, after, own)


def discard(index: dict[Any, dict[str, Entry]], group: Any, name: str) -> None:
    """Take a name out of its group, and the group out of the index when it was the last."""
    index[group].pop(name, None)
    if not index[group]:
        del index[group]


async def load(cache: Cache, api: Api, troubles: Troubles | None = None) -> None:
    """
    List everything once; afterwards the cache is complete and ``synced``.

    Repeated every few minutes it also removes ghosts: a watch that had to start anew does not tell what was deleted
    meanwhile. A kind that is refused keeps no other from being listed.

    Args:
        troubles: Takes in which kinds are refused.
    Raises:
        OlderDataError: A list is older than what was known before it was asked for.
        ClusterError: A kind is refused, or there is no answer.
    """
    troubles, refused = troubles or Troubles(), None
    for kind in WATCHED:
        before, what = cache.newest(kind), f"list {kind.plural}"
        try:
            objects, version = await api.list_all(kind.path(), kind.selector)
        except ApiError as error:
            troubles.failed(what, error)
            refused = refused or error
            continue
        troubles.succeeded(what)
        if int(version or 0) < before:
            raise OlderDataError(kind.plural, version, before)
        cache.replace(kind, objects, int(version or 0))
    if refused is not None:
        raise refused
    cache.synced = True
