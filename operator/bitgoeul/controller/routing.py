"""
Says who has to look again when an object has changed: the planner, an allocation, a pool, a retained namespace.

Reads objects and marks keys; writes nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bitgoeul.api.names import ALLOCATION_LABEL
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    ADMISSION,
    NAMESPACE,
    NODE,
    RESOURCE_QUOTA,
    STORAGE_CLASS,
    STORAGE_POOL,
    TENANT_ALLOCATION,
    Kind,
)
from bitgoeul.controller.lingering import may_linger
from bitgoeul.controller.planner import Planner
from bitgoeul.desired.tenant_policies import POLICY_NAME
from bitgoeul.planning.pools import PoolKey, accelerator, storage

POLICY_PREFIX = "bitgoeul-pool-"
PLANNED = (TENANT_ALLOCATION, ACCELERATOR_POOL, STORAGE_POOL, NODE, NAMESPACE, STORAGE_CLASS)
# Quotas change with every pod; only figures depend on it, promises do not.
QUOTA_DELAY_SECONDS = 0.25


class Subject(StrEnum):
    """What an applier looks after."""

    ALLOCATION = "TenantAllocation"
    POOL = "Pool"
    RETAINED = "RetainedNamespace"
    ROLES = "TenantRoles"
    PODS = "TenantPods"


class Task(NamedTuple):
    """One key of the work queue; ``name`` is a pool key for pools and empty for what all tenants share."""

    subject: Subject
    name: str | PoolKey = ""

    def __str__(self) -> str:
        name = self.name.name if isinstance(self.name, PoolKey) else self.name
        return f"{self.subject} {name}".strip()


@dataclass
class Router:
    """The cache's listener. ``own`` writes come back through the planner or their own pass and mark no applier."""

    cache: Cache
    planner: Planner
    mark: Callable[[Task], None]

    def __call__(self, kind: Kind, before: Entry | None, after: Entry | None, own: bool) -> None:
        self._wake_planner(kind, before, after)
        entry = after or before
        if kind is RESOURCE_QUOTA and entry is not None and may_linger(before, after):
            self.mark(Task(Subject.PODS, entry.view.namespace))
        if own or entry is None:
            return
        for task in self._looked_after(kind, before, after, entry):
            self.mark(task)

    def _looked_after(self, kind: Kind, before: Entry | None, after: Entry | None, entry: Entry) -> Iterator[Task]:
        name = entry.obj["metadata"]["name"]
        if kind is TENANT_ALLOCATION:
            yield Task(Subject.ALLOCATION, name)
            if after is None:
                yield from (Task(Subject.RETAINED, namespace) for namespace in self.cache.owned_namespaces(entry.uid))
        elif kind is ACCELERATOR_POOL:
            yield Task(Subject.POOL, accelerator(name))
        elif kind is STORAGE_POOL:
            yield Task(Subject.POOL, storage(name))
        elif kind is STORAGE_CLASS:
            yield from (Task(Subject.POOL, storage(e.obj["metadata"]["name"])) for e in self.cache.all(STORAGE_POOL))
        elif kind.group == ADMISSION and name == POLICY_NAME:
            yield Task(Subject.ROLES)
        elif kind.group == ADMISSION:
            yield Task(Subject.POOL, accelerator(name.removeprefix(POLICY_PREFIX)))
        elif kind is not NODE:
            yield from self._owners(kind, before, after)

    def _wake_planner(self, kind: Kind, before: Entry | None, after: Entry | None) -> None:
        if view_of(before) == view_of(after) and (before is None) == (after is None):
            return
        if kind in PLANNED:
            self.planner.wake()
        elif kind is RESOURCE_QUOTA:
            self.planner.wake_soon(QUOTA_DELAY_SECONDS)

    def _owners(self, kind: Kind, before: Entry | None, after: Entry | None) -> Iterator[Task]:
        """A child: its allocation, by the label that it has or had."""
        for entry in (before, after):
            if entry is None:
                continue
            metadata = entry.obj["metadata"]
            allocation = (metadata.get("labels") or {}).get(ALLOCATION_LABEL)
            if allocation:
                yield Task(Subject.ALLOCATION, allocation)
            elif kind is not NAMESPACE:
                yield Task(Subject.ROLES)
            namespace = metadata["name"] if kind is NAMESPACE else metadata.get("namespace", "")
            if namespace and self._without_owner(namespace):
                yield Task(Subject.RETAINED, namespace)

    def _without_owner(self, name: str) -> bool:
        namespace = self.cache.get(NAMESPACE, name)
        if namespace is None or not namespace.view.allocation_uid:
            return False
        owner = self.cache.get(TENANT_ALLOCATION, namespace.view.allocation)
        return bool(namespace.view.retained) or owner is None or owner.uid != namespace.view.allocation_uid


def view_of(entry: Entry | None) -> object:
    return entry.view if entry else None
