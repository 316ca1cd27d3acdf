"""Role bindings: members by role, subjects whole and in a fixed order."""

from __future__ import annotations

from bitgoeul.desired.role_bindings import RBAC_GROUP, build_role_bindings
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
