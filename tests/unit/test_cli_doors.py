"""Which doors are open, and which are open without having been asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bitgoeul.api.names import ALLOWED_ROLES_ANNOTATION
from bitgoeul.cli.doors import check_member_roles, check_pod_security
from bitgoeul.cli.evidence import Finding, Verdict
from bitgoeul.cluster.kinds import NAMESPACE, TENANT_ALLOCATION
from tests.unit.builders import Manifest, make_allocation, make_namespace
from tests.unit.test_cli_findings import WELL

RDMA = {"level": "privileged", "reason": "RDMA needs IPC_LOCK"}
ARA = {"kind": "User", "name": "ara", "role": "edit", "clusterRoles": ["ray-user"]}
IN_FORCE = {"conditions": [{"type": "Admitted", "status": "True"}]}


def space(name: str, level: str | None, *, retained: bool = False) -> Manifest:
    """A namespace that enforces a level; None: none."""
    made = make_namespace(name, retained=retained)
    made["metadata"]["labels"] |= {"pod-security.kubernetes.io/enforce": level}
    if level is None:
        del made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    return made


def find(*objects: Manifest) -> Finding:
    listed = {kind: [obj for obj in objects if obj["kind"] == kind.kind] for kind in (NAMESPACE, TENANT_ALLOCATION)}
    return check_pod_security(replace(WELL, objects={**WELL.objects, **listed}))


def test_a_door_opened_on_purpose_is_told_with_its_reason() -> None:
    """It is no fault, so that what is one stands out. One that is suspended or refused has opened none."""
    shut = [make_allocation(name, podSecurity=RDMA, status=IN_FORCE) for name in ("green", "red")]
    relaxed = {"type": "PodSecurityRelaxed", "status": "True", "message": "privileged: RDMA needs IPC_LOCK"}
    blue = make_allocation("blue", podSecurity=RDMA, status={"conditions": [relaxed]})
    found = find(blue, space("blue", "privileged"), *shut, space("green", "baseline"))
    assert found == Finding(
        "security",
        Verdict.OK,
        "pod security is weaker than baseline on purpose: blue (privileged: RDMA needs IPC_LOCK)",
    )


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([make_allocation(), space("blue", "privileged")], id="nobody asked for it"),
        pytest.param([make_allocation(), space("blue", None)], id="no level at all"),
        pytest.param([make_allocation(), space("blue", "nonsense")], id="a level that does not exist"),
        pytest.param(
            [make_allocation(podSecurity={"level": "restricted"}), space("blue", "baseline")],
            id="less strict than asked for",
        ),
        pytest.param([space("blue", "privileged", retained=True)], id="data that is kept"),
    ],
)
def test_what_nobody_asked_for_is_a_warning(objects: list[Manifest]) -> None:
    """It names the namespace, and the command that shows it."""
    found = find(*objects)
    assert found.verdict is Verdict.WARN
    assert "blue (" in found.found
    assert found.fix == "kubectl get namespace blue -o yaml"


@pytest.mark.parametrize(
    "objects",
    [
        pytest.param([make_allocation(), space("blue", "restricted")], id="stricter than asked for"),
        pytest.param([make_namespace("other", owner="")], id="a namespace of somebody else"),
    ],
)
def test_other_namespaces_are_fine(objects: list[Manifest]) -> None:
    """Namespaces of others are their own business."""
    assert find(*objects) == Finding("security", Verdict.OK, "pod security is baseline or stricter everywhere")


def roles(allowed: str, *allocations: Manifest, **fields: Any) -> Finding:
    """What is found about roles where the operator may give these."""
    lease = {"metadata": {"annotations": {ALLOWED_ROLES_ANNOTATION: allowed} if allowed else {}}, "spec": {}}
    objects = {**WELL.objects, TENANT_ALLOCATION: list(allocations)}
    return check_member_roles(replace(WELL, lease=lease, objects=objects, **fields))


def test_roles_that_members_may_be_given_are_told_with_who_has_them() -> None:
    """So that whoever looks sees who has more than the operator's own roles."""
    others = make_allocation("green", status=IN_FORCE), make_allocation("ended", members=[ARA])
    found = roles("jobset-user,ray-user", make_allocation("blue", members=[ARA], status=IN_FORCE), *others)
    assert found == Finding("roles", Verdict.OK, "members may be given jobset-user (nobody has it), ray-user (blue)")
    assert roles("").found == "members may be given no ClusterRoles but the operator's own"


@pytest.mark.parametrize("allowed", ["", "jobset-user"])
def test_a_role_that_is_asked_for_in_vain_is_a_warning(allowed: str) -> None:
    """Members may have had it before the operator was started anew; the allocations are named."""
    green = {**ARA, "clusterRoles": ["ray-user", "author"]}
    leaving = make_allocation("leaving", deleting=True, members=[ARA])
    asked = [make_allocation("green", members=[green]), make_allocation("blue", members=[ARA], status=IN_FORCE)]
    found = roles(allowed, *asked, leaving, make_allocation("red"))
    text = "members are to have ClusterRoles that the operator is not allowed to give: "
    assert found == Finding(
        "roles", Verdict.WARN, f"{text}blue (ray-user), green (author, ray-user)", "bitgoeul why blue"
    )


def test_what_nobody_says_is_not_judged() -> None:
    """Without a Lease it is not known which roles are allowed."""
    objects = {**WELL.objects, TENANT_ALLOCATION: [make_allocation("blue", members=[ARA])]}
    assert check_member_roles(replace(WELL, lease=None, objects=objects)).verdict is Verdict.OK
    del objects[TENANT_ALLOCATION]
    assert check_member_roles(replace(WELL, objects=objects)).found.startswith("not checked: you may not list tenant")


def test_a_role_that_does_not_exist_gives_nothing() -> None:
    """It is a warning; what may not be read is said."""
    found = roles("ray-user", absent_roles=("ray-user",))
    assert (found.verdict, found.fix) == (Verdict.WARN, "kubectl get clusterrole ray-user")
    assert found.found == "members may be given ClusterRoles that do not exist: ray-user"
    assert "you may not list clusterroles" in roles("ray-user", absent_roles=None).found
    assert "you may not get leases" in roles("ray-user", lease_refused=True).found
