"""
The RoleBindings of a tenant namespace: one per role that has members, to our own ClusterRoles; and one per ClusterRole
that the platform engineer allows and members are given beside their role.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bitgoeul.api.tenant_allocation import Member, MemberKind, MemberRole
from bitgoeul.desired.world import Manifest, NamespaceTarget, child_metadata

RBAC_GROUP = "rbac.authorization.k8s.io"
MAX_NAME = 253


def tenant_role(role: MemberRole) -> str:
    """The name of the ClusterRole that members of this role are bound to in each of their namespaces."""
    return f"bitgoeul:tenant-{role}"


def build_role_bindings(target: NamespaceTarget, members: Iterable[Member]) -> list[Manifest]:
    """
    Build the bindings ``bitgoeul:admin``, ``bitgoeul:edit`` and ``bitgoeul:view`` of those roles that have members, and
    ``bitgoeul:role:NAME`` of each further ClusterRole that members are given.

    A role without members has no binding here: the caller deletes the one that may still stand.
    """
    by_role: dict[MemberRole, list[Member]] = {role: [] for role in MemberRole}
    given: dict[str, list[Member]] = {}
    for member in members:
        by_role[member.role].append(member)
        for name in member.cluster_roles:
            given.setdefault(name, []).append(member)
    return [
        *(
            _build_binding(target, f"bitgoeul:{role}", tenant_role(role), of_role)
            for role, of_role in by_role.items()
            if of_role
        ),
        *(_build_binding(target, given_binding(name), name, of_role) for name, of_role in sorted(given.items())),
    ]


def given_binding(role: str) -> str:
    """Return the name of the binding to a ClusterRole that is not ours; a long one is cut, and stays unique."""
    name = f"bitgoeul:role:{role}"
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(role.encode()).hexdigest()[:16]
    return f"{name[: MAX_NAME - len(digest) - 1]}-{digest}"


def is_ours(role: str) -> bool:
    """Tell whether a ClusterRole is one of the three that the operator makes for members."""
    return role in {tenant_role(one) for one in MemberRole}


def given_roles(members: Iterable[Member]) -> set[str]:
    """Return the ClusterRoles that members are given beside their role."""
    return {role for member in members for role in member.cluster_roles}


def within(members: Iterable[Member], allowed: frozenset[str]) -> tuple[Member, ...]:
    """Return the members with those of their ClusterRoles that are allowed; with an empty set none is."""
    return tuple(
        member
        if allowed.issuperset(member.cluster_roles)
        else member.model_copy(update={"cluster_roles": tuple(one for one in member.cluster_roles if one in allowed)})
        for member in members
    )


def build_subjects(members: Iterable[Member]) -> list[dict[str, str]]:
    """Give RBAC subjects in a fixed order, each once, with the API group that the server would fill in."""
    unique = sorted({(str(member.kind), member.namespace or "", member.name) for member in members})
    return [_build_subject(kind, namespace, name) for kind, namespace, name in unique]


def _build_binding(target: NamespaceTarget, name: str, role: str, members: Iterable[Member]) -> Manifest:
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": child_metadata(target, name),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role},
        "subjects": build_subjects(members),
    }


def _build_subject(kind: str, namespace: str, name: str) -> dict[str, str]:
    if kind == MemberKind.SERVICE_ACCOUNT:
        return {"kind": kind, "namespace": namespace, "name": name}
    return {"apiGroup": RBAC_GROUP, "kind": kind, "name": name}
