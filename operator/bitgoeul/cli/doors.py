"""
Which doors of the installation are open: pods that may do more than usual, members with further ClusterRoles. Pure.

A door that was opened on purpose is no fault: it is told with names and reasons. What is open without having been asked
for is one.
"""

from __future__ import annotations

from collections.abc import Mapping

from bitgoeul.api.pod_security import DEFAULT_LEVEL, PodSecurityLevel
from bitgoeul.cli.evidence import Evidence, Finding, Verdict, named, unread
from bitgoeul.cli.picture import published_roles
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import NAMESPACE, TENANT_ALLOCATION
from bitgoeul.desired.namespace import ENFORCED_LEVEL_LABEL
from bitgoeul.desired.pod_security import relaxed_text
from bitgoeul.desired.role_bindings import given_roles
from bitgoeul.planning.allocations import Allocation, read_allocation
from bitgoeul.planning.observed import namespace_view


def check_pod_security(evidence: Evidence) -> Finding:
    """Compare the pod security level of each tenant namespace with what its allocation asks for."""
    name = "security"
    if TENANT_ALLOCATION in evidence.unserved:
        return Finding(name, Verdict.OK, "no allocation yet")
    refused = [kind.plural for kind in (NAMESPACE, TENANT_ALLOCATION) if kind not in evidence.objects]
    if refused:
        return unread(name, f"list {', '.join(refused)}")
    asked = evidence.objects[TENANT_ALLOCATION]
    allocations = {one.uid: one for one in map(read_allocation, asked)}
    loose = [obj for obj in evidence.objects[NAMESPACE] if is_loose(obj, allocations)]
    if loose:
        texts = named(f"{obj['metadata']['name']} ({level_of(obj) or 'none'})" for obj in loose)
        found = f"pod security is weaker than asked for in {texts}: written by somebody else; the operator puts it back"
        return Finding(name, Verdict.WARN, found, f"kubectl get namespace {loose[0]['metadata']['name']} -o yaml")
    # By what is in force, not by what is asked for: who is suspended, over or refused has the default.
    said = {one["metadata"]["name"]: relaxed_text(one.get("status") or {}) for one in asked}
    opened = sorted(f"{one} ({text})" for one, text in said.items() if text)
    if not opened:
        return Finding(name, Verdict.OK, f"pod security is {DEFAULT_LEVEL} or stricter everywhere")
    return Finding(name, Verdict.OK, f"pod security is weaker than {DEFAULT_LEVEL} on purpose: {named(opened)}")


def check_member_roles(evidence: Evidence) -> Finding:
    """Tell which ClusterRoles beside our own members may be given, who has them, and which are asked for in vain."""
    name = "roles"
    if evidence.lease_refused:
        return unread(name, "get leases")
    if TENANT_ALLOCATION not in evidence.objects and TENANT_ALLOCATION not in evidence.unserved:
        return unread(name, f"list {TENANT_ALLOCATION.plural}")
    allowed = published_roles(evidence.lease)
    allocations = [read_allocation(obj) for obj in evidence.objects.get(TENANT_ALLOCATION, ())]
    asked = {one.name: given_roles(one.spec.members) for one in allocations if one.spec and not one.deleting}
    # Without a Lease nobody has said what is allowed.
    in_vain = {one: sorted(wanted - allowed) for one, wanted in asked.items() if wanted - allowed and evidence.lease}
    if in_vain:
        texts = named(f"{one} ({named(roles)})" for one, roles in sorted(in_vain.items()))
        found = f"members are to have ClusterRoles that the operator is not allowed to give: {texts}"
        return Finding(name, Verdict.WARN, found, f"bitgoeul why {min(in_vain)}")
    if not allowed:
        return Finding(name, Verdict.OK, "members may be given no ClusterRoles but the operator's own")
    if evidence.absent_roles is None:
        return unread(name, "list clusterroles")
    if evidence.absent_roles:
        found = f"members may be given ClusterRoles that do not exist: {named(evidence.absent_roles)}"
        return Finding(name, Verdict.WARN, found, f"kubectl get clusterrole {evidence.absent_roles[0]}")
    in_force = {one.name for one in allocations if one.admitted}
    holders = {
        role: sorted(one for one, wanted in asked.items() if role in wanted and one in in_force)
        for role in sorted(allowed)
    }
    texts = named(f"{role} ({named(held) if held else 'nobody has it'})" for role, held in holders.items())
    return Finding(name, Verdict.OK, f"members may be given {texts}")


def is_loose(namespace: Object, allocations: Mapping[str, Allocation]) -> bool:
    """Tell whether a namespace of ours enforces a weaker level than it should, or none at all."""
    view = namespace_view(namespace)
    if not view.allocation_uid or view.terminating:
        return False
    owner = allocations.get(view.allocation_uid)
    in_force = owner is not None and not (view.retained or view.closed or owner.deleting)
    wanted = owner.pod_security if owner is not None and in_force else DEFAULT_LEVEL
    return rank(level_of(namespace)) < rank(wanted)


def level_of(namespace: Object) -> str:
    """Return the level that the labels of a namespace enforce; empty: none."""
    return str((namespace["metadata"].get("labels") or {}).get(ENFORCED_LEVEL_LABEL, ""))


def rank(level: str) -> int:
    """Return how strict a level is; what is no level enforces nothing, as privileged does."""
    levels = [str(one) for one in PodSecurityLevel]
    return levels.index(level) if level in levels else 0
