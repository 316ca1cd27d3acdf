"""
The one ResourceQuota of a tenant namespace: what the namespace may hold, and an explicit 0 for all it may not.

Quota ignores what it does not list: a cap on one device type would leave every other one open. So the quota names
each pool of the world, closes classes that no pool knows by a total, and bounds the number of objects. Nothing but
``requests.*`` is capped: a cap on limits would refuse pods that state none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitgoeul.api import names
from bitgoeul.api.quantities import format_bytes, format_cpu, saturated
from bitgoeul.desired.world import Manifest, NamespaceTarget, World, child_metadata
from bitgoeul.planning.observed import REQUESTS, STORAGE_SUFFIX

STORAGE_TOTAL = "requests.storage"

# Generous for people, and a bound for floods. Each kind that a tenant role may create has its row.
OBJECT_COUNTS: Mapping[str, int] = {
    "pods": 1000,
    "count/pods": 5000,  # `pods` does not count finished ones
    "services": 200,
    "services.nodeports": 0,  # opens a port on every node of the data center
    "services.loadbalancers": 0,
    "configmaps": 1000,
    "secrets": 1000,
    "persistentvolumeclaims": 200,
    "count/deployments.apps": 500,
    "count/replicasets.apps": 5000,  # a Deployment keeps ten old ones
    "count/statefulsets.apps": 200,
    "count/jobs.batch": 2000,
    "count/cronjobs.batch": 200,
    "count/serviceaccounts": 100,
    "count/poddisruptionbudgets.policy": 200,
    "count/horizontalpodautoscalers.autoscaling": 200,
    # There is no grant by resource claim: a claim would take devices that no key above counts.
    "count/resourceclaims.resource.k8s.io": 0,
    "count/resourceclaimtemplates.resource.k8s.io": 0,
}


def build_resource_quota(target: NamespaceTarget, world: World) -> Manifest:
    """
    Build the quota of a namespace.

    Pools that share a resource name or a storage class share a key, which then holds the sum. What the target has of
    a pool outside the world is not granted: there is no key that could hold it.
    """
    hard = _devices(target, world) | _compute(target) | _storage(target, world)
    hard |= {key: _count(count) for key, count in OBJECT_COUNTS.items()}
    if target.retained:
        hard = dict.fromkeys(hard, "0")
    elif target.closed:
        hard["pods"] = "0"
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": child_metadata(target, names.QUOTA_NAME),
        "spec": {"hard": hard},
    }


def empty_hard(quota: Mapping[str, Any]) -> Manifest:
    """
    Give the same quota with 0 of every capacity, for its creation.

    Object counts stay: the cluster itself puts a ConfigMap into each namespace and would have to wait.
    """
    hard = {key: "0" if _is_capacity(key) else value for key, value in quota["spec"]["hard"].items()}
    return {**quota, "spec": {**quota["spec"], "hard": hard}}


def limits_capacity(key: str) -> bool:
    """Whether a key of a quota limits what we hand out; such keys are ours, whoever wrote them."""
    if key in ("requests.cpu", "requests.memory"):
        return True
    return key.endswith(STORAGE_SUFFIX) or (key.startswith(REQUESTS) and "/" in key)


def stale_keys(quota: Manifest, observed: Mapping[str, Any]) -> list[str]:
    """Name the limits of capacity that stand in a quota and are not stated any more."""
    hard = observed["spec"].get("hard") or {}
    return [key for key in hard if key not in quota["spec"]["hard"] and limits_capacity(key)]


def _is_capacity(key: str) -> bool:
    return key.startswith("requests.") or key.endswith(f"/{STORAGE_TOTAL}")


def _devices(target: NamespaceTarget, world: World) -> dict[str, str]:
    totals = dict.fromkeys(sorted(world.lingering), 0)
    for pool, spec in sorted(world.accelerators.items()):
        totals[spec.resource_name] = totals.get(spec.resource_name, 0) + target.devices.get(pool, 0)
    return {f"requests.{resource}": _count(total) for resource, total in totals.items()}


def _compute(target: NamespaceTarget) -> dict[str, str]:
    hard = {}
    if target.cpu_millis is not None:
        hard["requests.cpu"] = format_cpu(target.cpu_millis)
    if target.memory_bytes is not None:
        hard["requests.memory"] = _bytes(target.memory_bytes)
    return hard


def _storage(target: NamespaceTarget, world: World) -> dict[str, str]:
    totals = dict.fromkeys(sorted(world.unpooled_classes), 0)
    for pool, spec in sorted(world.storage.items()):
        totals[spec.storage_class_name] = totals.get(spec.storage_class_name, 0) + target.storage.get(pool, 0)
    hard = {f"{name}.storageclass.storage.k8s.io/{STORAGE_TOTAL}": _bytes(size) for name, size in totals.items()}
    # A claim without a class, or of one that has just been made, is charged to the total only.
    hard[STORAGE_TOTAL] = _bytes(sum(totals.values()))
    return hard


def _bytes(number: int) -> str:
    """Spell bytes as a quota can hold them: of more than 64 bits the API server makes something else, even 1."""
    return format_bytes(saturated(number))


def _count(number: int) -> str:
    """Spell a whole number as the API server prints it: 1500, but 2k."""
    for suffix in ("", "k", "M", "G"):
        if number == 0 or number % 1000:
            return f"{number}{suffix}"
        number //= 1000
    return f"{number}T"
