"""Role bindings: members by role, subjects whole and in a fixed order."""

from __future__ import annotations

import pytest

from bitgoeul.desired.role_bindings import (
    RBAC_GROUP,
    build_role_bindings,
    given_binding,
    given_roles,
    is_ours,
    within,
)
from tests.unit.desired_objects import make_member, make_target


def test_each_role_with_members_has_one_binding() -> None:
    """Roles without members have none."""
    members = [make_member("edit"), make_member("admin", "boss"), make_member("edit", "bob")]
    bindings = {one["metadata"]["name"]: one for one in build_role_bindings(make_target(), members)}
    assert bindings.keys() == {"bitgoeul:admin", "bitgoeul:edit"}
    assert [subject["name"] for subject in bindings["bitgoeul:edit"]["subjects"]] == ["ann@example.org", "bob"]


def test_bindings_lead_to_our_own_roles() -> None:
    """The built-in roles of the same names may write network policies and bindings."""
    members = [make_member(role) for role in ("admin", "edit", "view")]
    roles = [binding["roleRef"] for binding in build_role_bindings(make_target(), members)]
    assert [role["name"] for role in roles] == [
        "bitgoeul:tenant-admin",
        "bitgoeul:tenant-edit",
        "bitgoeul:tenant-view",
    ]
    assert {role["kind"] for role in roles} == {"ClusterRole"}


def test_subjects_are_spelled_as_the_server_stores_them() -> None:
    """Users and groups carry the API group, service accounts a namespace and no group."""
    members = [make_member("view", "bot", "ServiceAccount", "ci"), make_member("view", "lab", "Group")]
    (binding,) = build_role_bindings(make_target(), members)
    assert binding["subjects"] == [
        {"apiGroup": RBAC_GROUP, "kind": "Group", "name": "lab"},
        {"kind": "ServiceAccount", "namespace": "ci", "name": "bot"},
    ]


def test_order_of_members_does_not_matter() -> None:
    """Reordering the list in the allocation is not an edit of the binding; nor is a second mention."""
    members = [make_member("view", "b"), make_member("view", "a"), make_member("view", "c", "Group")]
    there = build_role_bindings(make_target(), members)
    back = build_role_bindings(make_target(), [*reversed(members), members[0]])
    assert there == back


def test_service_accounts_of_one_name_stay_apart() -> None:
    """The namespace is part of who a service account is."""
    members = [make_member("view", "bot", "ServiceAccount", space) for space in ("red", "green")]
    (binding,) = build_role_bindings(make_target(), members)
    assert [subject["namespace"] for subject in binding["subjects"]] == ["green", "red"]


def test_a_given_role_has_a_binding_of_its_own_beside_the_members_role() -> None:
    """One for each ClusterRole, with all who have it, whatever their role is."""
    members = [
        make_member("edit", "ara").model_copy(update={"cluster_roles": ("ray-user", "jobset-user")}),
        make_member("view", "bom").model_copy(update={"cluster_roles": ("ray-user",)}),
    ]
    bound = {
        binding["metadata"]["name"]: (binding["roleRef"]["name"], [one["name"] for one in binding["subjects"]])
        for binding in build_role_bindings(make_target(), members)
    }
    assert bound == {
        "bitgoeul:edit": ("bitgoeul:tenant-edit", ["ara"]),
        "bitgoeul:view": ("bitgoeul:tenant-view", ["bom"]),
        "bitgoeul:role:jobset-user": ("jobset-user", ["ara"]),
        "bitgoeul:role:ray-user": ("ray-user", ["ara", "bom"]),
    }


def test_only_allowed_roles_are_given() -> None:
    """What is not allowed is left out, and everything else about the member stays."""
    ara = make_member("edit", "ara").model_copy(update={"cluster_roles": ("ray-user", "secret-reader")})
    (kept,) = within([ara], frozenset({"ray-user", "other"}))
    assert kept == ara.model_copy(update={"cluster_roles": ("ray-user",)})
    assert given_roles(within([ara], frozenset())) == set()


@pytest.mark.parametrize("length", [1, 239, 240, 253])
def test_names_of_bindings_stay_within_bounds_and_apart(length: int) -> None:
    """Two long roles that begin alike have two bindings."""
    names = {given_binding("r" * (length - 1) + last) for last in "ab"}
    assert len(names) == 2
    assert all(name.startswith("bitgoeul:role:r") or length == 1 for name in names)
    assert max(map(len, names)) <= 253


@pytest.mark.parametrize(
    ("role", "ours"), [("bitgoeul:tenant-edit", True), ("bitgoeul:role:x", False), ("edit", False)]
)
def test_the_three_roles_of_ours_are_known(role: str, ours: bool) -> None:
    """Without them members cannot be let in; without others they can."""
    assert is_ours(role) is ours
