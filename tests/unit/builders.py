"""
Objects for tests as the API server would return them, with the ordinary filled in, and what planning makes of them.

Names say most: pool ``a100`` counts the nodes with ``example.org/product: a100``, allocation ``blue`` has the UID
``uid-blue`` and the namespace ``blue``. Times are minutes after ``START``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.api.names import ALLOCATION_LABEL, ALLOCATION_UID_ANNOTATION, FINALIZER, QUOTA_NAME, RETAINED_LABEL
from bitgoeul.api.names import pool_label as label_of
from bitgoeul.api.pod_security import DEFAULT_LEVEL
from bitgoeul.api.quantities import format_bytes
from bitgoeul.desired.allocation_status import Place, Progress, build_allocation_status
from bitgoeul.desired.namespace import pod_security_labels
from bitgoeul.planning.allocations import Amounts, read_allocation
from bitgoeul.planning.decisions import Decision, Plan
from bitgoeul.planning.moments import moment as moment_of
from bitgoeul.planning.observed import namespace_view, node_view, quota_view
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import PoolKind
from bitgoeul.planning.snapshot import Observed, Snapshot, build_snapshot

Manifest = dict[str, Any]

START = datetime.fromisoformat("2021-04-15T00:00:00+09:00")
NOW = START + timedelta(days=1)
PRODUCT_LABEL = "example.org/product"
GPU = "nvidia.com/gpu"
NO_GRACE = {"grace": "0s"}
#: What one behind open-ended grants is told.
NO_DATE = "no earliest start: no date is known at which enough comes free"


def at(minute: int) -> str:
    """A moment as the API server writes it."""
    return (START + timedelta(minutes=minute)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def hour(hours: float) -> str:
    """A moment in hours after ``START``, as the API server writes it; ``NOW`` is hour 24."""
    return at(round(60 * hours))


def time(hours: float) -> datetime:
    """A moment in hours after ``START``."""
    return START + timedelta(hours=hours)


def in_hours(moment: int | None) -> float | None:
    """A moment of planning in hours after ``START``."""
    return None if moment is None else (moment - moment_of(START)) / 3_600_000


def make_metadata(name: str, created: int = 0, deleting: bool = False, **fields: Any) -> Manifest:
    """Metadata of a stored object."""
    metadata = {"name": name, "uid": f"uid-{name}", "generation": 1, "creationTimestamp": at(created)} | fields
    return metadata | ({"deletionTimestamp": at(created + 1)} if deleting else {})


def make_accelerator_pool(
    name: str = "a100", resource: str = GPU, created: int = 0, deleting: bool = False, **spec: Any
) -> Manifest:
    """A pool of the nodes with ``example.org/product: <name>``."""
    given = {"type": "GPU", "resourceName": resource, "nodeSelector": {PRODUCT_LABEL: name}}
    return {"kind": "AcceleratorPool", "metadata": make_metadata(name, created, deleting), "spec": given | spec}


def make_storage_pool(
    name: str = "lustre", capacity: str = "100Ti", created: int = 0, deleting: bool = False, **spec: Any
) -> Manifest:
    """A pool with the storage class of its own name."""
    given = {"storageClassName": name, "capacity": capacity}
    return {"kind": "StoragePool", "metadata": make_metadata(name, created, deleting), "spec": given | spec}


def make_node(
    name: str = "node-1",
    product: str = "a100",
    devices: int | str = 8,
    resource: str = GPU,
    healthy: int | str | None = None,
    ready: bool = True,
    cordoned: bool = False,
    taints: Iterable[str] = (),
) -> Manifest:
    """A node; ``healthy`` are the devices that it offers, all of them unless told; taints as ``key=value:Effect``."""
    return {
        "kind": "Node",
        "metadata": make_metadata(name, labels={PRODUCT_LABEL: product}),
        "spec": {"unschedulable": cordoned, "taints": [taint_of(text) for text in taints]},
        "status": {
            "capacity": {"cpu": "64", "memory": "512Gi", resource: str(devices)},
            "allocatable": {"cpu": "63", "memory": "500Gi", resource: str(devices if healthy is None else healthy)},
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        },
    }


def taint_of(text: str) -> Manifest:
    """A taint as kubectl writes it."""
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def make_nodes(count: int, product: str = "a100", **fields: Any) -> list[Manifest]:
    """Nodes ``<product>-1`` and so on."""
    return [make_node(f"{product}-{number}", product, **fields) for number in range(1, count + 1)]


def make_allocation(
    name: str = "blue",
    accelerators: Mapping[str, int] | None = None,
    storage: Mapping[str, str] | None = None,
    *,
    created: int = 0,
    deleting: bool = False,
    claims: Mapping[str, list[Manifest]] | None = None,
    grant: Mapping[str, Mapping[str, Any]] | None = None,
    queue: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Manifest:
    """
    An allocation.

    Args:
        accelerators, storage: Pool name → devices or size asked for.
        claims: Storage pool → claims; see ``make_claim``.
        grant, queue, status: As written before; see ``make_record``.
        spec: More fields of the spec, named as in the API.
    """
    given: Manifest = {"organization": {"name": f"{name} (example)", "class": "Startup"}}
    if accelerators:
        given["accelerators"] = [{"pool": pool, "devices": devices} for pool, devices in accelerators.items()]
    if storage:
        given["storage"] = [
            {"pool": pool, "size": size, "claims": (claims or {}).get(pool, [])} for pool, size in storage.items()
        ]
    written = {key: value for key, value in (("grant", grant), ("queue", queue)) if value is not None}
    return {
        "kind": "TenantAllocation",
        "metadata": make_metadata(name, created, deleting, finalizers=[FINALIZER]),
        "spec": given | spec,
        "status": {**(status or {}), **written},
    }


def make_record(
    start: float,
    end: float | None = None,
    *,
    admitted: bool | None = True,
    promised: Mapping[str, int] | None = None,
    drain: float | None = None,
    delete: float | None = None,
    suspended: bool = False,
    **shares: int,
) -> Manifest:
    """
    What a status says of time, in hours.

    Args:
        admitted: Whether it was in force; None: not said.
        promised: Devices promised for the start, by pool.
        shares: Devices that its only namespace ``blue`` was to hold, by pool.
    """
    times = {"start": start, "end": end, "drainAt": drain, "dataDeleteAt": delete}
    said = {} if admitted is None else {"Admitted": admitted, "Suspended": suspended}
    return {
        "window": {name: hour(when) for name, when in times.items() if when is not None},
        "conditions": [{"type": kind, "status": str(value)} for kind, value in said.items()],
        **({"promised": {"accelerators": dict(promised)}} if promised is not None else {}),
        **({"shares": [{"name": "blue", "uid": "uid-blue", "accelerators": shares}]} if shares else {}),
    }


def make_claim(name: str, size: str, namespace: str = "") -> Manifest:
    """A claim of an allocation; without namespace it goes to the first one."""
    return {"name": name, "size": size, "accessModes": ["ReadWriteMany"], "namespace": namespace}


def make_queue(since: int, accelerators: Mapping[str, int] | None = None, **storage: str) -> Manifest:
    """``status.queue`` of one that has waited for this since that minute."""
    asked = {"accelerators": dict(accelerators or {}), "storage": storage}
    return {"position": 1, "since": at(since), "asked": asked}


def make_namespace(
    name: str = "blue", owner: str | None = None, retained: bool = False, pools: Iterable[str] = ()
) -> Manifest:
    """A namespace of the allocation ``owner``, by default of the same name; "": of nobody."""
    owner = name if owner is None else owner
    labels = {label_of(pool): "true" for pool in pools} | ({RETAINED_LABEL: "true"} if retained else {})
    labels |= pod_security_labels(DEFAULT_LEVEL)
    metadata = make_metadata(name, labels=labels | ({ALLOCATION_LABEL: owner} if owner else {}))
    metadata["annotations"] = {ALLOCATION_UID_ANNOTATION: f"uid-{owner}"} if owner else {}
    return {"kind": "Namespace", "metadata": metadata}


def make_quota(
    namespace: str = "blue",
    hard: Mapping[str, int | str] | None = None,
    used: Mapping[str, int | str] | None = None,
    enforced: Mapping[str, int | str] | None = None,
) -> Manifest:
    """
    The quota of a namespace, by resource name or storage class.

    Args:
        enforced: What its status says; by default the same as ``hard``, and an empty one is a quota that is new.
    """
    hard = hard or {}
    status = {"hard": quota_keys(hard if enforced is None else enforced), "used": quota_keys(used or {})}
    return {
        "kind": "ResourceQuota",
        "metadata": make_metadata(QUOTA_NAME, namespace=namespace),
        "spec": {"hard": quota_keys(hard)},
        "status": status,
    }


def quota_keys(amounts: Mapping[str, int | str]) -> dict[str, str]:
    """Limits as a ResourceQuota names them."""
    return {
        f"requests.{limit}" if "/" in limit else f"{limit}.storageclass.storage.k8s.io/requests.storage": str(amount)
        for limit, amount in amounts.items()
    }


def make_held(
    name: str, hard: Mapping[str, int | str], used: Mapping[str, int | str] | None = None, **namespace: Any
) -> list[Manifest]:
    """A namespace with its quota."""
    return [make_namespace(name, **namespace), make_quota(name, hard, used)]


def observe(objects: Iterable[Manifest]) -> Observed:
    """The objects as planning looks at them."""
    kinds: dict[str, list[Manifest]] = {}
    for obj in objects:
        kinds.setdefault(obj["kind"], []).append(obj)
    namespaces = [namespace_view(obj) for obj in kinds.get("Namespace", ())]
    return Observed(
        accelerator_pools=tuple(AcceleratorPool.model_validate(obj) for obj in kinds.get("AcceleratorPool", ())),
        storage_pools=tuple(StoragePool.model_validate(obj) for obj in kinds.get("StoragePool", ())),
        allocations=tuple(read_allocation(obj) for obj in kinds.get("TenantAllocation", ())),
        nodes=tuple(node_view(obj) for obj in kinds.get("Node", ())),
        namespaces={namespace.name: namespace for namespace in namespaces},
        quotas=tuple(quota_view(obj) for obj in kinds.get("ResourceQuota", ())),
    )


def snapshot_of(objects: Iterable[Manifest], now: datetime = NOW) -> Snapshot:
    """The snapshot of a cluster with just these objects."""
    return build_snapshot(observe(objects), now)


def plan_of(objects: Iterable[Manifest], now: datetime = NOW) -> Plan:
    """The plan for a cluster with just these objects."""
    return make_plan(snapshot_of(objects, now))


def decide(objects: Iterable[Manifest], name: str = "blue", now: datetime = NOW) -> Decision:
    """What is decided for one allocation of such a cluster."""
    return plan_of(objects, now).decisions[name]


def written_back(objects: Iterable[Manifest], plan: Plan, now: datetime = NOW) -> list[Manifest]:
    """The same cluster after what the plan gives was written into the statuses."""
    result = []
    for obj in objects:
        if obj["kind"] == "TenantAllocation":
            obj = copy.deepcopy(obj)
            decision = plan.decisions[obj["metadata"]["name"]]
            written = obj.get("status") or {}
            allocation = read_allocation(obj)
            progress = Progress()
            if decision.admitted and decision.met:
                places = {
                    share.namespace: Place(f"uid-{share.namespace}", share.amounts) for share in allocation.shares
                }
                progress = Progress(namespaces=dict.fromkeys(places, True), places=places)
            obj["status"] = build_allocation_status(allocation, decision, decision.grant, {}, progress, written, now)
        result.append(obj)
    return result


def holdings_of(amounts: Amounts) -> Manifest:
    """Amounts as status has them."""
    return {
        "accelerators": {pool.name: n for pool, n in amounts.items() if pool.kind is PoolKind.ACCELERATORS},
        "storage": {pool.name: format_bytes(n) for pool, n in amounts.items() if pool.kind is PoolKind.STORAGE},
    }
