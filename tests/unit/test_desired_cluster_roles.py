"""Tenant roles: what each may do, what none may do, and the right to read one allocation."""

from __future__ import annotations

import pytest

from bitgoeul.desired.cluster_roles import build_reader, build_tenant_roles
from tests.unit.desired_objects import UID, make_member

Grants = frozenset[tuple[str, str, str]]


def grants() -> dict[str, Grants]:
    """Role to every (group, resource, verb) that it allows."""
    return {
        role["metadata"]["name"].removeprefix("bitgoeul:tenant-"): frozenset(
            (group, resource, verb)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        )
        for role in build_tenant_roles()
    }


def test_each_role_includes_the_one_below() -> None:
    """Who may change things may also look at them."""
    roles = grants()
    assert roles["view"] < roles["edit"] < roles["admin"]


def test_view_changes_nothing_and_sees_no_secret() -> None:
    """The view role reads, and not what is secret."""
    view = grants()["view"]
    assert {verb for _, _, verb in view} == {"get", "list", "watch"}
    assert not {resource for _, resource, _ in view if resource.startswith("secrets")}


def test_no_role_uses_wildcards() -> None:
    """A wildcard would grow with every new resource of the cluster."""
    assert not [grant for grant in grants()["admin"] if "*" in grant]


@pytest.mark.parametrize(
    "resource",
    [
        "resourcequotas",
        "limitranges",
        "networkpolicies",
        "namespaces",
        "daemonsets",
        "endpoints",
        "endpointslices",
        "ingresses",
    ],
)
def test_nobody_writes(resource: str) -> None:
    """What bounds or exposes a tenant is not written by tenants."""
    assert {verb for _, name, verb in grants()["admin"] if name == resource} <= {"get", "list", "watch"}


@pytest.mark.parametrize(
    "resource",
    [
        "bindings",
        "pods/binding",
        "pods/ephemeralcontainers",
        "pods/proxy",
        "services/proxy",
        "serviceaccounts/token",
        "roles",
        "rolebindings",
        "resourceclaims",
        "resourceclaimtemplates",
        "persistentvolumes",
        "nodes",
    ],
)
def test_nobody_touches(resource: str) -> None:
    """Ways around the scheduler, pod security and roles are in no role at all."""
    assert not {grant for grant in grants()["admin"] if grant[1] == resource}


def test_nobody_impersonates_or_escalates() -> None:
    """The verbs that lend somebody else's rights are in no role."""
    assert not {verb for _, _, verb in grants()["admin"]} & {"impersonate", "escalate", "bind", "approve", "sign"}


@pytest.mark.parametrize(
    ("resource", "verb", "roles"),
    [
        ("pods", "create", {"edit", "admin"}),
        ("secrets", "get", {"edit", "admin"}),
        ("pods/exec", "create", {"edit", "admin"}),
        ("persistentvolumeclaims", "create", {"edit", "admin"}),
        ("persistentvolumeclaims", "delete", {"admin"}),
        ("serviceaccounts", "create", {"admin"}),
        ("poddisruptionbudgets", "create", {"admin"}),
        ("namespaces", "get", {"view", "edit", "admin"}),
        ("resourcequotas", "watch", {"view", "edit", "admin"}),
    ],
)
def test_right_belongs_to(resource: str, verb: str, roles: set[str]) -> None:
    """Each right starts at the role that the documentation names."""
    holders = {role for role, allowed in grants().items() if any(one[1:] == (resource, verb) for one in allowed)}
    assert holders == roles


def test_namespace_is_never_listed() -> None:
    """A namespace that is bound by name gives get; list and watch would need the whole cluster."""
    assert {verb for _, resource, verb in grants()["admin"] if resource == "namespaces"} == {"get"}


def test_reader_names_one_allocation() -> None:
    """Members read exactly their own allocation, and the right goes with it."""
    role, binding = build_reader("blue", UID, [make_member("view")])
    (rule,) = role["rules"]
    assert rule["resourceNames"] == ["blue"]
    assert rule["resources"] == ["tenantallocations"]
    assert set(rule["verbs"]) == {"get", "list", "watch"}
    assert binding["roleRef"]["name"] == role["metadata"]["name"] == "bitgoeul:allocation:blue"
    for manifest in (role, binding):
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["uid"]) == ("TenantAllocation", "blue", UID)


def test_no_members_no_reader() -> None:
    """A binding without subjects would be an object without use."""
    assert build_reader("blue", UID, []) == []
