"""Replays what happened to a cluster, and says at which moment a promise was broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bitgoeul.api.names import ALLOCATION_UID_ANNOTATION, QUOTA_NAME
from bitgoeul.api.quantities import parse_quantity
from bitgoeul.cluster.kinds import NAMESPACE, POD, RESOURCE_QUOTA, ROLE_BINDING, TENANT_ALLOCATION
from tests.cluster.admin import Change, Manifest

# What ``History`` has to follow for the replay.
FOLLOWED = tuple(kind.path() for kind in (TENANT_ALLOCATION, NAMESPACE, RESOURCE_QUOTA, ROLE_BINDING, POD))


@dataclass(frozen=True)
class Capacity:
    """One pool: where quotas, grants and pods speak of it, and how much there is."""

    limit: str  # key of the quota
    grant: tuple[str, str]  # path below status.grant
    effective: int
    resource: str = ""  # of pods; empty: no pod asks for it


@dataclass
class Replay:
    """
    The cluster as it was at one moment after the other.

    Attributes:
        believe_status: Whether status.grant is a promise; False where a test has falsified it.
    """

    capacities: Iterable[Capacity]
    believe_status: bool = True
    allocations: dict[str, Manifest] = field(default_factory=dict)  # by UID
    namespaces: dict[str, Manifest] = field(default_factory=dict)
    quotas: dict[str, Manifest] = field(default_factory=dict)  # by namespace
    pods: dict[tuple[str, str], Manifest] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def play(self, changes: Iterable[Change]) -> list[str]:
        """Go through it all; gives the promises that were broken."""
        for change in changes:
            before = self._take(change)
            if change.found:
                continue  # one test's leftovers may be the next one's beginning
            for capacity in self.capacities:
                self._check(change, before, capacity)
        return self.broken

    def _take(self, change: Change) -> Manifest:
        """Take in one change; gives what was known of the object before."""
        known: dict[Any, Manifest]
        key: Any
        match change.kind:
            case "TenantAllocation":
                known, key = self.allocations, change.obj["metadata"]["uid"]
            case "Namespace":
                known, key = self.namespaces, change.name
            case "ResourceQuota" if change.name == QUOTA_NAME:
                known, key = self.quotas, change.namespace
            case "Pod":
                known, key = self.pods, (change.namespace, change.name)
            case "RoleBinding" if change.name.startswith("bitgoeul:") and not change.gone and not change.found:
                self._expect(self._settled(change.namespace), change, "access before the quota is enforced")
                return {}
            case _:
                return {}
        before = known.pop(key, {})
        if not change.gone:
            known[key] = change.obj
        return before

    def _check(self, change: Change, before: Manifest, capacity: Capacity) -> None:
        charged = self._charged(capacity)
        self._expect(charged <= capacity.effective, change, f"{charged} of {capacity.limit} are handed out")
        if not self.believe_status:
            return
        if change.kind == "ResourceQuota" and not change.gone:
            raised = hard(change.obj, capacity) > hard(before, capacity)
            owner = self._owner(change.namespace)
            granted = self._granted(owner, capacity)
            stated = sum(hard(quota, capacity) for quota in self._quotas_of(owner))
            self._expect(not raised or stated <= granted, change, f"quota {stated}, but {granted} are promised")
        if change.kind == "TenantAllocation":
            granted = 0 if change.gone else grant(change.obj, capacity)
            held = self._held(change.obj["metadata"]["uid"], capacity)
            lowered = granted < grant(before, capacity)
            self._expect(not lowered or held <= granted, change, f"{granted} are left, but pods hold {held}")

    def _expect(self, holds: bool, change: Change, otherwise: str) -> None:
        if not holds:
            what = "is deleted" if change.gone else "is written"
            self.broken.append(
                f"at {change.version}, as {change.kind} {change.namespace}/{change.name} {what}: {otherwise}"
            )

    def _charged(self, capacity: Capacity) -> int:
        """The most of what is promised and what quotas say or enforce, over all allocations, and what nobody owns."""
        by_owner: dict[str, int] = dict.fromkeys(self.allocations, 0)
        for namespace, quota in self.quotas.items():
            owner = self._owner(namespace)
            most = max(hard(quota, capacity), hard(quota, capacity, "status"))
            by_owner[owner] = by_owner.get(owner, 0) + most
        return sum(max(held, self._granted(owner, capacity)) for owner, held in by_owner.items())

    def _granted(self, owner: str, capacity: Capacity) -> int:
        return grant(self.allocations.get(owner, {}), capacity) if self.believe_status else 0

    def _quotas_of(self, owner: str) -> list[Manifest]:
        return [quota for namespace, quota in self.quotas.items() if self._owner(namespace) == owner]

    def _owner(self, namespace: str) -> str:
        metadata = self.namespaces.get(namespace, {}).get("metadata", {})
        return str((metadata.get("annotations") or {}).get(ALLOCATION_UID_ANNOTATION, ""))

    def _settled(self, namespace: str) -> bool:
        quota = self.quotas.get(namespace, {})
        return bool(quota) and quota["spec"]["hard"] == quota.get("status", {}).get("hard")

    def _held(self, owner: str, capacity: Capacity) -> int:
        """What unfinished pods hold in the namespaces of an allocation."""
        return sum(
            int(container.get("resources", {}).get("limits", {}).get(capacity.resource, 0))
            for (namespace, _), pod in self.pods.items()
            if self._owner(namespace) == owner and pod["status"]["phase"] not in ("Succeeded", "Failed")
            for container in pod["spec"]["containers"]
        )


def hard(quota: Mapping[str, Any], capacity: Capacity, part: str = "spec") -> int:
    """What a quota says of a pool."""
    return int(parse_quantity((quota.get(part) or {}).get("hard", {}).get(capacity.limit, "0")))


def grant(allocation: Mapping[str, Any], capacity: Capacity) -> int:
    """What a status promises of a pool."""
    kind, pool = capacity.grant
    granted = (allocation.get("status") or {}).get("grant") or {}
    return int(parse_quantity(str((granted.get(kind) or {}).get(pool, "0"))))
