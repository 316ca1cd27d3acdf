"""
Reads the objects and logs that a support archive is made of, as far as the reader may; what could not be read is noted.

No refusal ends it: an archive is wanted most where things are wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from bitgoeul.api.names import (
    ALLOCATION_LABEL,
    ALLOCATION_UID_ANNOTATION,
    FIELD_MANAGER,
    LEASE_NAME,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    OPERATOR_NAMESPACE,
)
from bitgoeul.cluster.client import Api, ApiError, NoAnswerError, Object
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    CHILD_KINDS,
    DEPLOYMENT,
    EVENT,
    LEASE,
    NAMESPACE,
    NODE,
    OWN_KINDS,
    POD,
    RESOURCE_QUOTA,
    STORAGE_CLASS,
    STORAGE_POOL,
    TENANT_ALLOCATION,
    Kind,
)
from bitgoeul.cluster.lease import runs_in
from bitgoeul.errors import UserError

# The labels that the chart and the kustomize base give the operator's Deployment and its pods.
OPERATOR_SELECTOR = "app.kubernetes.io/name=bitgoeul,app.kubernetes.io/component=operator"
OPERATOR_CONTAINER = "operator"
LOG_LINES = "5000"
LOG_BYTES = str(8 * 2**20)
LOGS: tuple[tuple[str, dict[str, str]], ...] = (("log", {}), ("previous.log", {"previous": "true"}))

Found = dict[Kind, list[Object]]
T = TypeVar("T")


@dataclass
class Readings:
    """
    Reads on where something cannot be read.

    Attributes:
        failed: What could not be read → why, such as ``403 Forbidden``.
    """

    api: Api
    failed: dict[str, str] = field(default_factory=dict)

    async def read(self, what: str, reading: Awaitable[T], otherwise: T) -> T:
        """The outcome of a reading; if there is none it is noted, and something else given."""
        try:
            return await reading
        except ApiError as error:
            self.failed[what] = f"{error.status} {error.reason}".strip()
        except NoAnswerError:
            self.failed[what] = "no answer"
        except UserError as error:
            self.failed[what] = str(error)
        return otherwise

    async def one(self, what: str, kind: Kind, name: str, namespace: str = "") -> Object | None:
        """One object; None where there is none, or it may not be read."""
        return await self.read(f"get {what}", self.api.get(kind.path(name, namespace)), None)

    async def all_of(self, kind: Kind, namespace: str = "", selector: str = "", fields: str = "") -> list[Object]:
        """The objects of a kind, of one namespace or of all; none where they may not be listed."""
        nothing: tuple[list[Object], str] = ([], "")
        reading = self.api.list_all(kind.path("", namespace), selector, fields)
        return (await self.read(listing(kind, namespace), reading, nothing))[0]

    async def everywhere(
        self, kind: Kind, namespaces: Iterable[str], selector: str = "", fields: str = ""
    ) -> list[Object]:
        """The same of all namespaces, or, for those who may list only in their own, of these."""
        found = await self.all_of(kind, "", selector, fields)
        if listing(kind) in self.failed:
            found = [one for name in namespaces for one in await self.all_of(kind, name, selector, fields)]
        return found


def listing(kind: Kind, namespace: str = "") -> str:
    """How a list is called where it could not be read."""
    return f"list {kind.plural}{f' in {namespace}' if namespace else ''}"


async def read_cluster(readings: Readings, operator_namespace: str | None, own_namespace: str) -> Found:
    """
    Our kinds, what was made for tenants, nodes and storage classes of pools, the operator, and Events.

    Args:
        operator_namespace: Where the operator runs; None: where its Lease says.
        own_namespace: Where a tenant works: whoever may not list everything gets what belongs to its allocation.
    """
    found: Found = {kind: await readings.all_of(kind) for kind in OWN_KINDS}
    found[NAMESPACE] = await read_namespaces(readings, found, own_namespace)
    names = [str(one["metadata"]["name"]) for one in found[NAMESPACE]]
    for kind in CHILD_KINDS:
        if kind.namespaced:
            # Of quotas also those of others, which count beside ours.
            selector = "" if kind is RESOURCE_QUOTA else kind.selector
            objects = await readings.everywhere(kind, names, selector)
            found[kind] = [one for one in objects if one["metadata"]["namespace"] in names or is_ours(one)]
        else:
            found[kind] = await readings.all_of(kind, "", kind.selector)
    nodes = await readings.all_of(NODE)
    found[NODE] = [node for node in nodes if any(of_pool(node, pool) for pool in found[ACCELERATOR_POOL])]
    used = {pool["spec"].get("storageClassName") for pool in found[STORAGE_POOL]}
    found[STORAGE_CLASS] = [one for one in await readings.all_of(STORAGE_CLASS) if one["metadata"]["name"] in used]
    lease = await readings.one(f"lease in {OPERATOR_NAMESPACE}", LEASE, LEASE_NAME, OPERATOR_NAMESPACE)
    found[LEASE] = [lease] if lease else []
    operator_namespace = operator_namespace or runs_in(lease or {}) or OPERATOR_NAMESPACE
    for kind in (DEPLOYMENT, POD):
        found[kind] = await readings.all_of(kind, operator_namespace, OPERATOR_SELECTOR)
    found[EVENT] = await read_events(readings, found, operator_namespace)
    return found


async def read_namespaces(readings: Readings, found: Found, own_namespace: str) -> list[Object]:
    """Those of allocations; for a tenant those of its own, and then ``found`` gets the allocation, too."""
    spaces = [one for one in await readings.all_of(NAMESPACE) if belongs(one)]
    if listing(NAMESPACE) not in readings.failed:
        return spaces
    here = await readings.one(f"namespace {own_namespace}", NAMESPACE, own_namespace)
    name = (((here or {}).get("metadata") or {}).get("labels") or {}).get(ALLOCATION_LABEL)
    if here is None or not name:
        return []
    if not found[TENANT_ALLOCATION]:
        allocation = await readings.one(f"tenantallocation {name}", TENANT_ALLOCATION, str(name))
        found[TENANT_ALLOCATION] = [allocation] if allocation else []
    rows = [row for one in found[TENANT_ALLOCATION] for row in (one.get("status") or {}).get("namespaces") or ()]
    others = sorted({str(row.get("name")) for row in rows} - {own_namespace})
    spaces = [one for other in others if (one := await readings.one(f"namespace {other}", NAMESPACE, other))]
    return [here, *spaces]


def belongs(namespace: Object) -> bool:
    """Whether a namespace is, or was, one of an allocation."""
    metadata = namespace["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return ALLOCATION_LABEL in labels or ALLOCATION_UID_ANNOTATION in annotations


def is_ours(obj: Object) -> bool:
    return bool((obj["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGED_BY)


def of_pool(node: Object, pool: Object) -> bool:
    """Whether a node has the labels that a pool selects, or its resource without them."""
    wanted, labels = pool["spec"].get("nodeSelector") or {}, node["metadata"].get("labels") or {}
    capacity = (node.get("status") or {}).get("capacity") or {}
    return wanted.items() <= labels.items() or pool["spec"].get("resourceName") in capacity


async def read_events(readings: Readings, found: Found, operator_namespace: str) -> list[Object]:
    """What the operator told of, and what happened to its own Deployment, pods and Lease."""
    spaces = [str(one["metadata"]["name"]) for one in found[NAMESPACE]]
    told = await readings.everywhere(EVENT, spaces, fields=f"reportingComponent={FIELD_MANAGER}")
    known = {one["metadata"]["uid"] for one in told}
    names = tuple(str(obj["metadata"]["name"]) for kind in (DEPLOYMENT, LEASE) for obj in found[kind])
    places = dict.fromkeys((operator_namespace, OPERATOR_NAMESPACE))
    around = [one for place in places for one in await readings.all_of(EVENT, place)]
    return told + [
        one
        for one in around
        if one["metadata"]["uid"] not in known and str((one.get("involvedObject") or {}).get("name")).startswith(names)
    ]


async def read_logs(readings: Readings, pods: Iterable[Object]) -> dict[str, str]:
    """Path in the archive → what an operator said last, and what it said before it was started again."""
    logs: dict[str, str] = {}
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        name, namespace = str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"])
        statuses = (pod.get("status") or {}).get("containerStatuses") or ()
        restarted = any(one.get("name") == OPERATOR_CONTAINER and one.get("restartCount") for one in statuses)
        for which, more in LOGS[: 1 + restarted]:
            wanted = {"container": OPERATOR_CONTAINER, "tailLines": LOG_LINES, "limitBytes": LOG_BYTES, **more}
            reading = readings.api.read_text(POD.path(name, namespace, "log"), wanted)
            if text := await readings.read(f"read {which} of pod {name}", reading, ""):
                logs[f"logs/{name}.{which}"] = text
    return logs
