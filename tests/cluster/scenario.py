"""
A small data center for one test, on a control plane that all tests share.

Every name ends with the same few characters; whatever carries them is deleted at the end. Objects go over HTTP, because
kubectl takes a hundred times as long.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.api.quantities import parse_quantity
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    BY_KIND,
    EVENT,
    NAMESPACE,
    NODE,
    POD,
    RESOURCE_QUOTA,
    STORAGE_CLASS,
    STORAGE_POOL,
    TENANT_ALLOCATION,
    Kind,
)
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.nodes import NodeShape, build_node
from tests.cluster.admin import Admin
from tests.cluster.api_objects import Manifest, make
from tests.cluster.waiting import eventually

POOL_LABEL = "example.org/pool"
# What one that waits is told behind grants without an end.
NO_DATE = "no earliest start: no date is known at which enough comes free"
# In the order in which they are deleted: allocations first, or their namespaces would be made again.
CLEANED = (TENANT_ALLOCATION, NAMESPACE, ACCELERATOR_POOL, STORAGE_POOL, NODE, STORAGE_CLASS)
# Namespaces with pods and claims go one step after the other.
GOING_SECONDS = 180.0
Amounts = Mapping[str, Any]  # pool → devices, or a size, or what else an entry for storage says


class World:
    """See the module's text. ``admin`` is the API server's administrator."""

    def __init__(self, plane: ControlPlane) -> None:
        self.admin = Admin(plane)
        self.suffix = secrets.token_hex(2)

    def name(self, word: str) -> str:
        """A name that nobody else has."""
        return f"{word}-{self.suffix}"

    # -- what a platform engineer makes

    def create(self, obj: Manifest) -> Manifest:
        """Create any object."""
        kind = BY_KIND[obj["kind"]]
        return self.admin.create(kind.path("", obj["metadata"].get("namespace", "")), obj)

    def nodes(
        self,
        pool: str,
        *names: str,
        devices: int = 8,
        resource: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Add nodes of a pool, called after it; more labels make them match more pools."""
        wanted = {POOL_LABEL: pool, **(labels or {})}
        shape = NodeShape(devices={resource or resource_of(pool): str(devices)}, labels=wanted)
        made = [f"{name}-{pool}" for name in names or ("node",)]
        for name in made:
            self.create(build_node(name, shape))
        return made

    def declare_pool(self, word: str = "gpu", **spec: Any) -> str:
        """Create an AcceleratorPool without nodes; it has a resource of its own unless ``resourceName`` is given."""
        name = self.name(word)
        given = {"type": "GPU", "nodeSelector": {POOL_LABEL: name}, "resourceName": resource_of(name)}
        self.create(make("AcceleratorPool", name, given | spec))
        return name

    def pool(self, word: str = "gpu", devices: int = 8, **spec: Any) -> str:
        """Create an AcceleratorPool with one node, and wait until it can be granted from."""
        name = self.declare_pool(word, **spec)
        self.nodes(name, devices=devices, resource=spec.get("resourceName", ""))
        self.await_effective(name, max(0, devices - spec.get("reserve", 0)))
        return name

    def await_effective(self, pool: str, devices: int) -> Manifest:
        """Wait until a pool is Ready with so many devices; gives its status."""

        def ready() -> Manifest:
            status = self.pool_status(pool)
            assert status["devices"]["effective"] == devices
            assert condition(status, "Ready")["status"] == "True"
            return status

        return eventually(ready, f"pool {pool} is Ready with {devices} devices")

    def await_devices(self, pool: str, **figures: int) -> None:
        """Wait until a pool's status has these figures; they follow within half a second."""

        def look() -> bool:
            devices = self.pool_status(pool)["devices"]
            assert {key: devices[key] for key in figures} == figures, devices
            return True

        eventually(look, f"pool {pool} has {figures}")

    def storage_pool(self, word: str = "disk", capacity: str = "100Ti", **spec: Any) -> str:
        """Create a StorageClass and its StoragePool of the same name, and wait until it can be granted from."""
        name = self.name(word)
        self.create(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": name},
                "provisioner": "example.org/disk",
                "allowVolumeExpansion": True,
            }
        )
        self.create(make("StoragePool", name, {"storageClassName": name, "capacity": capacity, **spec}))
        eventually(lambda: is_true(self.storage_status(name), "Ready"), f"storage pool {name} is Ready")
        return name

    def allocate(self, word: str, devices: Amounts | None = None, storage: Amounts | None = None, **spec: Any) -> str:
        """Create a TenantAllocation; gives its name."""
        name = self.name(word)
        given = {
            "organization": {"name": word.capitalize(), "class": "Startup"},
            "accelerators": [{"pool": pool, "devices": number} for pool, number in (devices or {}).items()],
            "storage": storage_requests(storage or {}),
        }
        self.create(make("TenantAllocation", name, given | spec))
        return name

    def active(self, word: str, devices: Amounts | None = None, storage: Amounts | None = None, **spec: Any) -> str:
        """Create a TenantAllocation and wait until it is Active."""
        name = self.allocate(word, devices, storage, **spec)
        self.await_phase(name, "Active")
        return name

    def edit(self, allocation: str, **spec: Any) -> Manifest:
        """Merge into the spec of an allocation; lists are replaced."""
        return self.admin.merge(TENANT_ALLOCATION.path(allocation), {"spec": spec})

    def ask(self, allocation: str, devices: Amounts) -> Manifest:
        """Change the devices that an allocation asks for."""
        return self.edit(allocation, accelerators=[{"pool": pool, "devices": n} for pool, n in devices.items()])

    def delete(self, kind: Kind, name: str, namespace: str = "") -> None:
        self.admin.delete(kind.path(name, namespace))

    # -- what there is

    def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest:
        """An object; AssertionError when there is none."""
        return self.admin.get(kind.path(name, namespace))

    def find(self, kind: Kind, name: str, namespace: str = "") -> Manifest | None:
        """An object; None when there is none."""
        return self.admin.find(kind.path(name, namespace))

    def status(self, allocation: str) -> Manifest:
        """What the operator says about an allocation as it is now: an older status is an AssertionError."""
        return current_status(self.get(TENANT_ALLOCATION, allocation))

    def pool_status(self, pool: str) -> Manifest:
        return current_status(self.get(ACCELERATOR_POOL, pool))

    def storage_status(self, pool: str) -> Manifest:
        return current_status(self.get(STORAGE_POOL, pool))

    def created(self, allocation: str) -> datetime:
        """When an allocation was created, to the second: its age in the queue."""
        return datetime.fromisoformat(self.get(TENANT_ALLOCATION, allocation)["metadata"]["creationTimestamp"])

    def grant(self, allocation: str) -> dict[str, int]:
        """Devices that status.grant promises, by pool."""
        granted: dict[str, int] = self.status(allocation).get("grant", {}).get("accelerators", {})
        return granted

    def quota(self, namespace: str) -> Manifest:
        return self.get(RESOURCE_QUOTA, QUOTA_NAME, namespace)

    def limit(self, namespace: str, pool: str) -> int:
        """Devices of a pool that the quota of a namespace enforces."""
        return int(self.quota(namespace)["status"]["hard"][f"requests.{resource_of(pool)}"])

    def used(self, namespace: str, pool: str) -> int:
        """Devices of a pool that the quota of a namespace has counted."""
        return int(self.quota(namespace)["status"]["used"][f"requests.{resource_of(pool)}"])

    def items(self, kind: Kind, namespace: str = "") -> list[Manifest]:
        return self.admin.items(kind.path("", namespace))

    def bindings(self, namespace: str) -> dict[str, list[str]]:
        """Names of the subjects of each RoleBinding of a namespace."""
        found = self.items(BY_KIND["RoleBinding"], namespace)
        return {one["metadata"]["name"]: [subject["name"] for subject in one.get("subjects", ())] for one in found}

    def events(self, name: str, namespace: str = "default") -> list[tuple[str, str, str]]:
        """Type, reason and message of the Events about an object, the oldest first."""
        found = [e for e in self.items(EVENT, namespace) if e["involvedObject"]["name"] == name]
        ordered = sorted(found, key=lambda event: int(event["metadata"]["resourceVersion"]))
        return [(event["type"], event["reason"], event.get("message", "")) for event in ordered]

    # -- waiting

    def await_younger(self, kind: Kind, name: str, namespace: str = "") -> None:
        """Wait until whatever is created next is younger than this object."""
        await_later(self.get(kind, name, namespace)["metadata"]["creationTimestamp"])

    def await_status(self, allocation: str, holds: Callable[[Manifest], object], what: str) -> Manifest:
        """Wait until something holds of an allocation's status; gives that status."""

        def look() -> Manifest:
            status = self.status(allocation)
            assert holds(status), told(status)
            return status

        return eventually(look, f"{allocation} {what}")

    def await_phase(self, allocation: str, phase: str) -> Manifest:
        return self.await_status(allocation, lambda status: status["phase"] == phase, f"is {phase}")

    def await_reason(self, allocation: str, kind: str, reason: str) -> Manifest:
        """Wait until a condition has a reason; gives the condition."""
        status = self.await_status(
            allocation, lambda s: condition(s, kind)["reason"] == reason, f"has {kind} with reason {reason}"
        )
        return condition(status, kind)

    def await_grant(self, allocation: str, devices: Amounts) -> Manifest:
        """Wait until exactly these devices are promised and enforced, and nothing is left to do."""
        return self.await_status(
            allocation,
            lambda s: (
                s.get("grant", {}).get("accelerators") == devices
                and s["phase"] == "Active"
                and not is_true(s, "Reconciling")
            ),
            f"has {dict(devices)} and is settled",
        )

    def await_limit(self, namespace: str, pool: str, devices: int) -> None:
        """Wait until the quota of a namespace enforces so many devices of a pool."""
        eventually(lambda: self.limit(namespace, pool) == devices, f"quota of {namespace}: {devices} of {pool}")

    def await_gone(self, kind: Kind, name: str, namespace: str = "") -> None:
        eventually(lambda: self.find(kind, name, namespace) is None, f"{kind.kind} {name} is gone", GOING_SECONDS)

    # -- what a tenant does

    def pod(self, namespace: str, name: str, pool: str = "", devices: int = 0, *finalizers: str) -> Manifest:
        """
        Create a pod, once the API server admits it; with a finalizer it stays in termination until that is taken away.

        A namespace gets its service account, which every pod needs, in the background. Admission goes by a quota that
        is a little older than the stored one, and gives up when the quota controller writes it at the same time.
        """

        def admitted() -> Manifest:
            status, answer = self._ask_for_pod(namespace, name, pool, devices, finalizers)
            assert status < 300, answer["message"]
            return answer

        made = eventually(admitted, f"pod {name} is admitted in {namespace}")
        if finalizers:  # what no node ever had holds nothing, whatever keeps it
            path = POD.path(name, namespace)
            eventually(lambda: self.admin.get(path)["spec"].get("nodeName"), f"pod {name} has a node")
        return made

    def refused(self, namespace: str, name: str, pool: str, devices: int) -> str:
        """
        What the API server says against a pod, once it says anything.

        A quota that is counted just when another pod comes misses that one, and lets in too many until it is counted
        again.
        """

        def refusal() -> str:
            status, answer = self._ask_for_pod(namespace, name, pool, devices)
            if status < 300:
                self.admin.request("DELETE", POD.path(name, namespace), {"gracePeriodSeconds": 0})
            return str(answer["message"]) if status == 403 else ""

        return eventually(refusal, f"pod {name} is refused in {namespace}")

    def _ask_for_pod(
        self, namespace: str, name: str, pool: str, devices: int, finalizers: Iterable[str] = ()
    ) -> tuple[int, Manifest]:
        resources = {"limits": {resource_of(pool): str(devices)}} if devices else {}
        container = {"name": "main", "image": "example.org/train:1", "resources": resources}
        metadata = {"name": name, "finalizers": list(finalizers)}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        return self.admin.request("POST", POD.path("", namespace), {"metadata": metadata, "spec": spec})

    def release(self, namespace: str, pod: str) -> None:
        """Take the finalizers of a pod away."""
        self.admin.merge(POD.path(pod, namespace), {"metadata": {"finalizers": None}})

    def pods(self, namespace: str) -> dict[str, bool]:
        """The pods of a namespace, and whether each is in termination."""
        return {pod["metadata"]["name"]: "deletionTimestamp" in pod["metadata"] for pod in self.items(POD, namespace)}

    # -- the end

    def clean_up(self) -> None:
        """Delete all that has our suffix; it goes in the background."""
        for kind in CLEANED:
            for obj in self.items(kind):
                name = obj["metadata"]["name"]
                if name.endswith(self.suffix):
                    self._free_pods(kind, name)
                    self.delete(kind, name)
        self.admin.close()

    def _free_pods(self, kind: Kind, name: str) -> None:
        if kind is not NAMESPACE:
            return
        for pod in self.items(POD, name):
            if pod["metadata"].get("finalizers"):
                self.release(name, pod["metadata"]["name"])


@contextmanager
def open_world(plane: ControlPlane) -> Iterator[World]:
    """A world that is cleaned up whatever happens in it."""
    world = World(plane)
    try:
        yield world
    finally:
        world.clean_up()


def await_later(moment: str) -> None:
    """Wait until what happens next has a later time; times in objects have whole seconds."""
    later = datetime.fromisoformat(moment) + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) >= later, "the second has passed")


def resource_of(pool: str) -> str:
    """The extended resource that a pool has when its test does not say otherwise."""
    return f"{pool}.example.org/device"


def storage_requests(storage: Amounts) -> list[Manifest]:
    """Entries of spec.storage: a size for each pool, or a size and more."""
    return [
        {"pool": pool, **(given if isinstance(given, dict) else {"size": given})} for pool, given in storage.items()
    ]


def current_status(obj: Manifest) -> Manifest:
    """The status, if it is about the spec as it is now."""
    status: Manifest = obj.get("status") or {}
    generation = obj["metadata"]["generation"]
    assert status.get("observedGeneration") == generation, f"generation {generation}, status so far: {status}"
    return status


def condition(status: Manifest, kind: str) -> Manifest:
    """One condition; AssertionError when it is absent."""
    found = [one for one in status.get("conditions", ()) if one["type"] == kind]
    assert len(found) == 1, f"{len(found)} conditions {kind}: {told(status)}"
    return dict(found[0])


def is_true(status: Manifest, kind: str) -> bool:
    return bool(condition(status, kind)["status"] == "True")


def said(status: Manifest, *kinds: str) -> dict[str, tuple[str, str]]:
    """Status and reason of conditions by type, of all of them when none is named."""
    return {
        one["type"]: (one["status"], one["reason"])
        for one in status.get("conditions", ())
        if not kinds or one["type"] in kinds
    }


def namespaces(status: Manifest) -> dict[str, bool]:
    """The namespaces of an allocation, and whether each is ready."""
    return {row["name"]: row["ready"] for row in status["namespaces"]}


def told(status: Manifest) -> str:
    """A status in one line, for the message of a failure."""
    conditions = [f"{c['type']}={c['status']} {c['reason']} {c['message']!r}" for c in status.get("conditions", ())]
    return f"{status.get('phase')}, grant {status.get('grant')}, queue {status.get('queue')}, {'; '.join(conditions)}"


def quantities(values: Mapping[str, str], keys: Iterable[str]) -> dict[str, Any]:
    """Some quantities as numbers, whatever their spelling; None for what is absent."""
    return {key: parse_quantity(values[key]) if key in values else None for key in keys}
