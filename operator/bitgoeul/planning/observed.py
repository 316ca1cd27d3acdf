"""
What the cluster shows, reduced to what planning needs: nodes, namespaces and quotas as small frozen values.

Takes objects as the API server returns them and never raises on their content: a node with an unreadable quantity
counts as having none, because one odd object must not stop the plan for everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bitgoeul.api.names import (
    ALLOCATION_LABEL,
    ALLOCATION_UID_ANNOTATION,
    CLOSED_ANNOTATION,
    POOL_LABEL_PREFIX,
    RETAINED_LABEL,
)
from bitgoeul.api.quantities import parse_bytes, parse_quantity
from bitgoeul.errors import QuantityError

REQUESTS = "requests."
# Effects for which the scheduler passes a node over; PreferNoSchedule is only a wish.
REPELLING = ("NoSchedule", "NoExecute")
# What Kubernetes sets beside spec.unschedulable and the condition Ready.
TOLD_OTHERWISE = frozenset(f"node.kubernetes.io/{word}" for word in ("unschedulable", "not-ready", "unreachable"))
STORAGE_SUFFIX = ".storageclass.storage.k8s.io/requests.storage"


class Taint(NamedTuple):
    """What keeps pods off a node that do not tolerate it."""

    key: str
    value: str
    effect: str

    def __str__(self) -> str:
        return f"{self.key}={self.value}:{self.effect}" if self.value else f"{self.key}:{self.effect}"


@dataclass(frozen=True, slots=True)
class NodeView:
    """
    One node; capacity and allocatable hold extended resources only, in whole devices.

    ``taints`` are those by which the scheduler passes a node over, without those that say that it is cordoned or not
    Ready: these have fields of their own.
    """

    name: str
    labels: Mapping[str, str]
    ready: bool
    cordoned: bool
    capacity: Mapping[str, int]
    allocatable: Mapping[str, int]
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, slots=True)
class NamespaceView:
    """One namespace; ``allocation_uid`` is empty where it is not ours."""

    name: str
    allocation: str
    allocation_uid: str
    retained: bool
    terminating: bool
    pools: frozenset[str]  # accelerator pools granted here
    closed: bool = False  # its allocation is past its end or suspended


@dataclass(frozen=True, slots=True)
class QuotaView:
    """
    One quota of ours, values in devices and bytes, keyed by what they limit: a resource name or a storage class.

    ``hard`` is what was asked of the API server, ``enforced`` what its quota controller has confirmed, ``used`` what it
    has counted. Keys that are absent are not limited at all, which is why the closed world is checked by key.
    """

    namespace: str
    allocation: str
    settled: bool  # enforced equals hard, for every key
    hard: Mapping[str, int] = field(default_factory=dict)
    enforced: Mapping[str, int] = field(default_factory=dict)
    used: Mapping[str, int] = field(default_factory=dict)
    # Every round of planning looks at all quotas, so this is found out once: limits that hold anything (most are 0),
    # and limits that are closed. A quota whose status is still empty is new: nobody has access to its namespace before
    # it is enforced, so what it asks for counts as closed.
    holding: frozenset[str] = field(init=False, compare=False)
    closed: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        stated = (*self.hard.items(), *self.enforced.items(), *self.used.items())
        object.__setattr__(self, "holding", frozenset(limit for limit, amount in stated if amount))
        object.__setattr__(self, "closed", frozenset(self.hard).intersection(self.enforced or self.hard))

    def held(self, limit: str) -> int:
        """The most that this namespace may hold of one limit: what is asked, enforced or counted, whichever is more."""
        return max(self.hard.get(limit, 0), self.enforced.get(limit, 0), self.used.get(limit, 0))


def whole(value: object) -> int:
    """A quantity as a whole number, as the API server counts it: a fraction is one more; 0 where it cannot be read."""
    try:
        return max(0, parse_bytes(str(value)))
    except QuantityError:
        return 0


def node_view(node: Mapping[str, Any]) -> NodeView:
    """Reduce a Node."""
    spec, status = node.get("spec") or {}, node.get("status") or {}
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    return NodeView(
        name=node["metadata"]["name"],
        labels=node["metadata"].get("labels") or {},
        ready=ready,
        cordoned=bool(spec.get("unschedulable")),
        capacity=extended_resources(status.get("capacity")),
        allocatable=extended_resources(status.get("allocatable")),
        taints=tuple(sorted(repelling_taints(spec.get("taints")))),
    )


def repelling_taints(taints: Iterable[Mapping[str, Any]] | None) -> Iterator[Taint]:
    """The taints that keep new pods off; see ``NodeView``."""
    for taint in taints or ():
        key, effect = str(taint.get("key", "")), str(taint.get("effect", ""))
        if effect in REPELLING and key not in TOLD_OTHERWISE:
            yield Taint(key, str(taint.get("value") or ""), effect)


def extended_resources(resources: Mapping[str, Any] | None) -> dict[str, int]:
    """The resources with a domain, such as ``nvidia.com/gpu``; cpu, memory and the like are left out."""
    return {name: whole(amount) for name, amount in (resources or {}).items() if "/" in name}


def namespace_view(namespace: Mapping[str, Any]) -> NamespaceView:
    """Reduce a Namespace, ours or not."""
    meta = namespace["metadata"]
    labels = meta.get("labels") or {}
    return NamespaceView(
        name=meta["name"],
        allocation=labels.get(ALLOCATION_LABEL, ""),
        allocation_uid=(meta.get("annotations") or {}).get(ALLOCATION_UID_ANNOTATION, ""),
        retained=labels.get(RETAINED_LABEL) == "true",
        terminating=meta.get("deletionTimestamp") is not None,
        closed=CLOSED_ANNOTATION in (meta.get("annotations") or {}),
        pools=frozenset(key.removeprefix(POOL_LABEL_PREFIX) for key in labels if key.startswith(POOL_LABEL_PREFIX)),
    )


def quota_view(quota: Mapping[str, Any]) -> QuotaView:
    """Reduce a ResourceQuota of ours."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    status = quota.get("status") or {}
    enforced = status.get("hard") or {}
    return QuotaView(
        namespace=quota["metadata"]["namespace"],
        allocation=(quota["metadata"].get("labels") or {}).get(ALLOCATION_LABEL, ""),
        settled=hard.keys() == enforced.keys() and all(same(hard[key], enforced[key]) for key in hard),
        hard=limits(hard),
        enforced=limits(enforced),
        used=limits(status.get("used") or {}),
    )


def same(left: object, right: object) -> bool:
    """Whether two quantities are equal in value; the API server rewrites their spelling."""
    if left == right:
        return True
    try:
        return parse_quantity(str(left)) == parse_quantity(str(right))
    except QuantityError:
        return False


def limits(values: Mapping[str, Any]) -> dict[str, int]:
    """Keep the limits of devices and storage classes, by resource name and class; the rest is not capacity."""
    result: dict[str, int] = {}
    for key, value in values.items():
        if key.endswith(STORAGE_SUFFIX):
            result[key.removesuffix(STORAGE_SUFFIX)] = whole(value)
        elif key.startswith(REQUESTS) and "/" in key:
            result[key.removeprefix(REQUESTS)] = whole(value)
    return result
