"""
The RoleBindings of a tenant namespace: one per role that has members, to our own ClusterRoles and to no other.
"""

from __future__ import annotations

from collections.abc import Iterable

from bitgoeul.api.tenant_allocation import Member, MemberKind, MemberRole
from bitgoeul.desired.world import Manifest, NamespaceTarget, child_metadata

RBAC_GROUP = "rbac.authorization.k8s.io"


def tenant_role(role: MemberRole) -> str:
    """The name of the ClusterRole that members of this role are bound to in each of their namespaces."""
    return f"bitgoeul:tenant-{role}"


def build_role_bindings(target: NamespaceTarget, members: Iterable[Member]) -> list[Manifest]:
    """
    Build the bindings ``bitgoeul:admin``, ``bitgoeul:edit`` and ``bitgoeul:view`` of those roles that have members.

    A role without members has no binding here: the caller deletes the one that may still stand.
    """
    by_role: dict[MemberRole, list[Member]] = {role: [] for role in MemberRole}
    for member in members:
        by_role[member.role].append(member)
    return [_build_binding(target, role, of_role) for role, of_role in by_role.items() if of_role]


def build_subjects(members: Iterable[Member]) -> list[dict[str, str]]:
    """Give RBAC subjects in a fixed order, each once, with the API group that the server would fill in."""
    unique = sorted({(str(member.kind), member.namespace or "", member.name) for member in members})
    return [_build_subject(kind, namespace, name) for kind, namespace, name in unique]


def _build_binding(target: NamespaceTarget, role: MemberRole, members: Iterable[Member]) -> Manifest:
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": child_metadata(target, f"bitgoeul:{role}"),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": tenant_role(role)},
        "subjects": build_subjects(members),
    }


def _build_subject(kind: str, namespace: str, name: str) -> dict[str, str]:
    if kind == MemberKind.SERVICE_ACCOUNT:
        return {"kind": kind, "namespace": namespace, "name": name}
    return {"apiGroup": RBAC_GROUP, "kind": kind, "name": name}
