"""
What members may do: three ClusterRoles of our own for their namespaces, and one per allocation to read it.

The built-in ``edit`` and ``admin`` are never bound: they write network policies, resource claims, endpoint slices and
role bindings, and may impersonate service accounts. Ours are written out whole, without aggregation, so that no other
role can slip into them. Each includes the one before it:

- **view** reads all that the others write, except Secrets, and gets its Namespace, quota and limits. Logs are
  included.
- **edit** runs things: pods with exec and port-forward, Deployments, StatefulSets, Jobs, Services, ConfigMaps and
  Secrets; it creates claims and grows them.
- **admin** also takes away and guards: deletes claims, writes service accounts, disruption budgets and autoscalers.

Nobody may write quotas, limits, network policies, roles, bindings, endpoints, resource claims or the Namespace, bind
pods to nodes, add ephemeral containers, impersonate service accounts or ask for their tokens. DaemonSets are
read-only because nodes are not a tenant's, Ingresses because host names are shared by all tenants: a platform
engineer may bind another role for those.

Whoever runs pods can act as any service account of the namespace. So an account of the tenant's own namespace that is a
member lends its role to everybody who has **edit** there.
"""

from __future__ import annotations

from collections.abc import Iterable

from bitgoeul.api import names
from bitgoeul.api.tenant_allocation import Member, MemberRole
from bitgoeul.desired.role_bindings import RBAC_GROUP, build_subjects, tenant_role
from bitgoeul.desired.world import Manifest, owned_labels

READ = ("get", "list", "watch")
CHANGE = ("create", "update", "patch")
REMOVE = ("delete", "deletecollection")
WRITE = CHANGE + REMOVE

# Rows of API group, resources, verbs.
_VIEW = (
    ("", ["namespaces"], ["get"]),
    ("", ["pods", "pods/log", "pods/status", "services", "services/status", "endpoints", "configmaps"], READ),
    ("", ["persistentvolumeclaims", "persistentvolumeclaims/status", "serviceaccounts", "events"], READ),
    ("", ["resourcequotas", "resourcequotas/status", "limitranges"], READ),
    ("apps", ["deployments", "deployments/scale", "deployments/status"], READ),
    ("apps", ["statefulsets", "statefulsets/scale", "statefulsets/status"], READ),
    ("apps", ["replicasets", "replicasets/scale", "replicasets/status"], READ),
    ("apps", ["daemonsets", "daemonsets/status", "controllerrevisions"], READ),
    ("batch", ["jobs", "jobs/status", "cronjobs", "cronjobs/status"], READ),
    ("autoscaling", ["horizontalpodautoscalers", "horizontalpodautoscalers/status"], READ),
    ("policy", ["poddisruptionbudgets", "poddisruptionbudgets/status"], READ),
    ("networking.k8s.io", ["networkpolicies", "ingresses", "ingresses/status"], READ),
    ("discovery.k8s.io", ["endpointslices"], READ),
    ("events.k8s.io", ["events"], READ),
)

_EDIT = (
    ("", ["pods", "services", "configmaps", "secrets"], WRITE),
    ("", ["secrets"], READ),
    ("", ["persistentvolumeclaims"], CHANGE),
    # Over WebSocket these are a GET, and the API server asks for both verbs.
    ("", ["pods/attach", "pods/exec", "pods/portforward"], ["get", "create"]),
    ("", ["pods/eviction"], ["create"]),
    ("apps", ["deployments", "statefulsets", "replicasets"], WRITE),
    ("apps", ["deployments/scale", "statefulsets/scale", "replicasets/scale"], ["update", "patch"]),
    ("batch", ["jobs", "cronjobs"], WRITE),
)

_ADMIN = (
    ("", ["persistentvolumeclaims"], REMOVE),
    ("", ["serviceaccounts"], WRITE),
    ("policy", ["poddisruptionbudgets"], WRITE),
    ("autoscaling", ["horizontalpodautoscalers"], WRITE),
)

_RULES = {
    MemberRole.ADMIN: _VIEW + _EDIT + _ADMIN,
    MemberRole.EDIT: _VIEW + _EDIT,
    MemberRole.VIEW: _VIEW,
}


def build_tenant_roles() -> list[Manifest]:
    """Build the ClusterRoles ``bitgoeul:tenant-admin``, ``-edit`` and ``-view``; there is one set per cluster."""
    return [
        {
            "apiVersion": f"{RBAC_GROUP}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": tenant_role(role), "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}},
            "rules": [_build_rule(*row) for row in rows],
        }
        for role, rows in _RULES.items()
    ]


def build_reader(allocation_name: str, uid: str, members: Iterable[Member]) -> list[Manifest]:
    """
    Build the ClusterRole and its binding by which members read exactly their own allocation.

    ``list`` is among the verbs because ``kubectl wait`` lists by name; a list without a name is refused all the same.
    The owner reference lets the garbage collector take both away with the allocation.

    Returns:
        Role, then binding; nothing when there are no members, and the caller deletes what may still stand.
    """
    subjects = build_subjects(members)
    if not subjects:
        return []
    name = f"bitgoeul:allocation:{allocation_name}"
    owner = {"apiVersion": names.API_VERSION, "kind": "TenantAllocation", "name": allocation_name, "uid": uid}
    role, binding = (
        {
            "apiVersion": f"{RBAC_GROUP}/v1",
            "kind": kind,
            "metadata": {"name": name, "labels": owned_labels(allocation_name), "ownerReferences": [dict(owner)]},
        }
        for kind in ("ClusterRole", "ClusterRoleBinding")
    )
    rule = _build_rule(names.GROUP, [names.TENANT_ALLOCATIONS], READ) | {"resourceNames": [allocation_name]}
    role_ref = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": name}
    return [role | {"rules": [rule]}, binding | {"roleRef": role_ref, "subjects": subjects}]


def _build_rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> Manifest:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}
