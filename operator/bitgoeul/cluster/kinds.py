"""
The kinds that are watched and written: where they live, which of them are watched, and what of them is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bitgoeul.api.names import ACCELERATOR_POOLS, GROUP, MANAGED_BY, MANAGED_BY_LABEL, STORAGE_POOLS, TENANT_ALLOCATIONS
from bitgoeul.api.names import VERSION as API_VERSION
from bitgoeul.cluster.client import Object, quoted

OURS = f"{MANAGED_BY_LABEL}={MANAGED_BY}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of the Kubernetes API; ``selector`` limits what is watched, by label, on the server's side."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = False
    selector: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, name: str = "", namespace: str = "", subresource: str = "") -> str:
        """URL path of the collection, or of one object."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace and self.namespaced:
            parts.append(f"namespaces/{quoted(namespace)}")
        parts.append(self.plural)
        if name:
            parts.append(quoted(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)


ACCELERATOR_POOL = Kind(GROUP, API_VERSION, ACCELERATOR_POOLS, "AcceleratorPool")
STORAGE_POOL = Kind(GROUP, API_VERSION, STORAGE_POOLS, "StoragePool")
TENANT_ALLOCATION = Kind(GROUP, API_VERSION, TENANT_ALLOCATIONS, "TenantAllocation")
NODE = Kind("", "v1", "nodes", "Node")
# All namespaces, not only ours: whether a name is taken must be known before anything is granted.
NAMESPACE = Kind("", "v1", "namespaces", "Namespace")
RESOURCE_QUOTA = Kind("", "v1", "resourcequotas", "ResourceQuota", namespaced=True, selector=OURS)
VOLUME_CLAIM = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", namespaced=True, selector=OURS)
RBAC = "rbac.authorization.k8s.io"
ROLE_BINDING = Kind(RBAC, "v1", "rolebindings", "RoleBinding", namespaced=True, selector=OURS)
CLUSTER_ROLE = Kind(RBAC, "v1", "clusterroles", "ClusterRole", selector=OURS)
CLUSTER_ROLE_BINDING = Kind(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", selector=OURS)
ADMISSION = "admissionregistration.k8s.io"
MUTATING_POLICY = Kind(ADMISSION, "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", selector=OURS)
MUTATING_BINDING = Kind(
    ADMISSION, "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", selector=OURS
)
VALIDATING_POLICY = Kind(ADMISSION, "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", selector=OURS)
VALIDATING_BINDING = Kind(
    ADMISSION, "v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", selector=OURS
)
STORAGE_CLASS = Kind("storage.k8s.io", "v1", "storageclasses", "StorageClass")

# Written or read, never watched.
DEVICE_CLASS = Kind("resource.k8s.io", "v1", "deviceclasses", "DeviceClass")
POD = Kind("", "v1", "pods", "Pod", namespaced=True)
LIMIT_RANGE = Kind("", "v1", "limitranges", "LimitRange", namespaced=True)
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment", namespaced=True)
STATEFUL_SET = Kind("apps", "v1", "statefulsets", "StatefulSet", namespaced=True)
EVENT = Kind("", "v1", "events", "Event", namespaced=True)
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)

OWN_KINDS = (ACCELERATOR_POOL, STORAGE_POOL, TENANT_ALLOCATION)
CHILD_KINDS = (
    RESOURCE_QUOTA,
    VOLUME_CLAIM,
    ROLE_BINDING,
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    MUTATING_POLICY,
    MUTATING_BINDING,
    VALIDATING_POLICY,
    VALIDATING_BINDING,
)
WATCHED = (*OWN_KINDS, NODE, NAMESPACE, STORAGE_CLASS, *CHILD_KINDS)
BY_KIND = {kind.kind: kind for kind in (*WATCHED, POD, LIMIT_RANGE, EVENT, LEASE)}

# Kept of a node: enough to tell its pool and its devices. A node's images alone can be 50 KB.
NODE_STATUS = ("capacity", "allocatable", "conditions")


def trim(kind: Kind, obj: Object) -> Object:
    """Drop what is never looked at; managedFields alone are half of a small object."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    trimmed = {**obj, "metadata": metadata}
    if kind is NODE:
        status = obj.get("status") or {}
        trimmed["status"] = {key: status[key] for key in NODE_STATUS if key in status}
        spec = obj.get("spec") or {}
        trimmed["spec"] = {"unschedulable": spec.get("unschedulable", False), "taints": spec.get("taints") or []}
    return trimmed


Reader = Callable[[Object], Any]
