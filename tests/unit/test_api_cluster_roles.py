"""Which ClusterRoles the operator may be told to give to members."""

from __future__ import annotations

import pytest

from bitgoeul.api.cluster_roles import read_allowed_roles
from bitgoeul.errors import UserError


def test_names_of_roles_are_taken_once() -> None:
    """Also one that reads only, and names with the signs that charts use."""
    assert read_allowed_roles(["ray-user", "view", "kubeflow:edit_1.v2", "ray-user"]) == {
        "ray-user",
        "view",
        "kubeflow:edit_1.v2",
    }
    assert read_allowed_roles([]) == frozenset()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cluster-admin", "are never given to members"),
        ("admin", "are never given to members"),
        ("edit", "are never given to members"),
        ("system:node", "system:…"),
        ("bitgoeul:tenant-admin", "bitgoeul:…"),
        ("", "must be the name of one ClusterRole"),
        ("a,b", "must be the name of one ClusterRole"),
        ("*", "must be the name of one ClusterRole"),
        ("ray user", "must be the name of one ClusterRole"),
        ("ray-user\n", "must be the name of one ClusterRole"),
        ("r" * 254, "must be the name of one ClusterRole"),
    ],
)
def test_what_gives_too_much_or_is_no_name_is_refused(name: str, said: str) -> None:
    """In one line that says what would be right."""
    with pytest.raises(UserError) as refused:
        read_allowed_roles(["ray-user", name])
    assert said in str(refused.value)
    assert str(refused.value).startswith("--allowed-cluster-role ")
    assert "\n" not in str(refused.value)
