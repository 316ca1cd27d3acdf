"""
The floor: how fast a bare writer posts the objects that the operator left behind, on a fresh control plane.

What the operator made is read back, stripped of what the API server adds, and posted one tenant after the other, so
many tenants at a time. It decides nothing, waits for nothing and writes no status: nobody can be faster.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass

from bitgoeul.api.names import ALLOCATION_LABEL, FIELD_MANAGER
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import (
    BY_KIND,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    EVENT,
    NAMESPACE,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    TENANT_ALLOCATION,
    VOLUME_CLAIM,
)
from tests.benchmarks.client import Client, in_parallel, until
from tests.benchmarks.cluster import Cluster
from tests.benchmarks.processes import Usage

# In the order in which they are posted.
CHILDREN = (NAMESPACE, RESOURCE_QUOTA, VOLUME_CLAIM, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
KEPT_METADATA = ("name", "namespace", "labels", "finalizers")
OWN_PREFIX = "bitgoeul.dev/"


async def read_back(client: Client) -> dict[str, list[Object]]:
    """Every object that belongs to a tenant, by tenant, in the order in which they can be posted."""
    found: dict[str, list[Object]] = defaultdict(list)
    for allocation in await client.items(TENANT_ALLOCATION):
        found[allocation["metadata"]["name"]].append(strip(allocation))
    for kind in CHILDREN:
        for obj in await client.items(kind, ALLOCATION_LABEL):
            found[obj["metadata"]["labels"][ALLOCATION_LABEL]].append(strip(obj))
    for event in await client.items(EVENT):
        about = event["involvedObject"]
        tenant = about.get("namespace") or about["name"]  # a benchmark's namespaces are named like their tenants
        if event.get("source", {}).get("component") == FIELD_MANAGER and tenant in found:
            found[tenant].append(strip(event))
    return dict(found)


def strip(obj: Object) -> Object:
    """The object as somebody could post it: without status, versions, owners, and what controllers have added."""
    metadata = {key: value for key, value in obj["metadata"].items() if key in KEPT_METADATA}
    annotations = obj["metadata"].get("annotations") or {}
    own = {key: value for key, value in annotations.items() if key.startswith(OWN_PREFIX)}
    if own:
        metadata["annotations"] = own
    stripped = {key: value for key, value in obj.items() if key != "status"} | {"metadata": metadata}
    if obj["kind"] == VOLUME_CLAIM.kind:
        del metadata["finalizers"]
        stripped["spec"] = {key: value for key, value in obj["spec"].items() if key != "volumeName"}
    return stripped


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds from the first post until all was posted, and until all quotas were enforced."""

    objects: int
    posted: float
    enforced: float
    cpu: Usage


async def measure_floor(cluster: Cluster, tenants: dict[str, list[Object]], warm_up: set[str]) -> Floor:
    """Post all tenants; those named for warming up come first and are not timed."""

    async def post(objects: list[Object]) -> None:
        for obj in objects:
            await cluster.client.create(BY_KIND[obj["kind"]], obj)

    await in_parallel(post, [tenants[name] for name in sorted(warm_up)])
    timed = [objects for name, objects in tenants.items() if name not in warm_up]
    enforced: set[str] = set()

    def seen(_change: str, quota: Object, _at: float) -> None:
        if (quota.get("status") or {}).get("hard") == quota["spec"]["hard"]:
            enforced.add(quota["metadata"]["namespace"])

    before = cluster.usage()
    started = time.perf_counter()
    await in_parallel(post, timed)
    posted = time.perf_counter() - started
    cpu = cluster.usage().since(before)
    # Watched only now: a bare writer does not watch.
    async with cluster.client.watching(RESOURCE_QUOTA, seen):
        await until(lambda: len(enforced) == len(tenants), "all quotas are enforced", 120 + len(tenants))
    return Floor(
        objects=sum(map(len, timed)),
        posted=posted,
        enforced=time.perf_counter() - started,
        cpu=cpu,
    )
