"""ClusterRoles that members are given beside their role: out of those that are allowed, and with the grant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitgoeul.api.names import ALLOWED_ROLES_ANNOTATION, LEASE_NAME, OPERATOR_NAMESPACE
from bitgoeul.cluster.kinds import CLUSTER_ROLE, LEASE, RBAC, ROLE_BINDING
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import make
from tests.cluster.asking import Asker
from tests.cluster.faults import ForkServer, Launch, forget_lease
from tests.cluster.kubectl import Kubectl
from tests.cluster.scenario import World, condition, said
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.asking_fixtures", "tests.cluster.fault_fixtures"]

RAY, AUTHOR = "ray-user", "role-author"
GIVEN = f"bitgoeul:role:{RAY}"
RAY_RULES = [{"apiGroups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["*"]}]
RBAC_RULES = [{"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["get", "create", "delete"]}]
CRD: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "rayclusters.ray.io"},
    "spec": {
        "group": "ray.io",
        "scope": "Namespaced",
        "names": {
            "kind": "RayCluster",
            "listKind": "RayClusterList",
            "plural": "rayclusters",
            "singular": "raycluster",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
            }
        ],
    },
}
RAY_CLUSTER = {
    "apiVersion": "ray.io/v1",
    "kind": "RayCluster",
    "metadata": {"name": "rc"},
    "spec": {"rayVersion": "2.9"},
}


def member(name: str, role: str, *roles: str) -> dict[str, Any]:
    return {"kind": "User", "name": name, "role": role, "clusterRoles": list(roles)}


def make_role(world: World, name: str, rules: list[dict[str, Any]]) -> None:
    world.create({"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules})


@pytest.fixture
def roles(fault_world: World) -> Iterator[World]:
    """A world with two ClusterRoles of a platform engineer, which go at the end."""
    given = {RAY: RAY_RULES, AUTHOR: RBAC_RULES}
    for name, rules in given.items():
        make_role(fault_world, name, rules)
    yield fault_world
    for name in given:
        fault_world.delete(CLUSTER_ROLE, name)


@pytest.fixture
def ray(fault_kubectl: Kubectl) -> Iterator[None]:
    """The kind RayCluster."""
    fault_kubectl.apply(CRD)
    fault_kubectl("wait", "--for=condition=Established", "crd", "rayclusters.ray.io")
    yield
    fault_kubectl("delete", "crd", "rayclusters.ray.io")


def allowing(launch: Launch, *names: str, name: str = "operator") -> Any:
    return launch(name, None, *(f"--allowed-cluster-role={one}" for one in names))


def refusal(kubectl: Kubectl, namespace: str, obj: dict[str, Any], user: str) -> str:
    """What is said to a user who creates an object; empty when that worked."""
    arguments = ("create", "--validate=false", "-n", namespace, "-f", "-")
    return kubectl(*arguments, stdin=yaml.safe_dump(obj), as_user=user, check=False).stderr


def await_bindings(world: World, namespace: str, wanted: dict[str, list[str]]) -> None:
    eventually(lambda: world.bindings(namespace) == wanted, f"{namespace} has the bindings {wanted}")


def test_a_given_role_comes_and_goes_with_the_grant(
    roles: World, ray: None, launch: Launch, fault_kubectl: Kubectl
) -> None:
    """A RayCluster is made by whom it was given to and by nobody else, in all namespaces, just while it is in force."""
    world = roles
    allowing(launch, RAY)
    pool = world.pool(devices=8)
    blue, more = world.name("blue"), world.name("more")
    ara, bom = world.name("ara"), world.name("bom")
    spaces = [{"name": blue, "accelerators": {pool: 4}}, {"name": more}]
    members = [member(ara, "edit", RAY), member(bom, "view", RAY), member("cho", "admin")]
    world.active("blue", {pool: 4}, members=members, namespaces=spaces)
    for namespace in (blue, more):
        assert world.bindings(namespace)[GIVEN] == [ara, bom]
    eventually(lambda: refusal(fault_kubectl, blue, RAY_CLUSTER, ara) == "", "who has the role makes a RayCluster")
    assert "cannot create resource" in refusal(fault_kubectl, blue, RAY_CLUSTER, "cho")
    eventually(lambda: refusal(fault_kubectl, more, RAY_CLUSTER, bom) == "", "also who may else only look")

    world.edit(blue, members=[member(ara, "edit", RAY), member(bom, "view")])
    await_bindings(world, blue, {"bitgoeul:edit": [ara], "bitgoeul:view": [bom], GIVEN: [ara]})
    world.edit(blue, suspend=True)
    world.await_phase(blue, "Suspended")
    assert world.bindings(blue).keys() == {"bitgoeul:view"}
    eventually(lambda: "forbidden" in refusal(fault_kubectl, blue, RAY_CLUSTER, ara), "it is gone with the grant")
    world.edit(blue, suspend=False)
    world.await_phase(blue, "Active")
    assert world.bindings(blue)[GIVEN] == [ara]
    world.edit(blue, members=[member(ara, "edit")])
    await_bindings(world, blue, {"bitgoeul:edit": [ara]})


def test_it_is_kept_against_edits(roles: World, launch: Launch) -> None:
    """A stranger who was added goes, a binding that was deleted comes back."""
    world = roles
    allowing(launch, RAY)
    blue = world.active("blue", {world.pool(devices=8): 4}, members=[member("ara", "edit", RAY)])
    stranger = {"apiGroup": RBAC, "kind": "User", "name": "stranger"}
    path = ROLE_BINDING.path(GIVEN, blue)
    world.admin.merge(path, {"subjects": [*world.admin.get(path)["subjects"], stranger]})
    eventually(lambda: world.bindings(blue).get(GIVEN) == ["ara"], "the stranger is out")
    world.admin.delete(path)
    eventually(lambda: world.bindings(blue).get(GIVEN) == ["ara"], "the binding is back")


def test_a_role_that_is_not_allowed_is_refused_until_it_is(roles: World, launch: Launch) -> None:
    """The message says which are, and how; taken from the list again, it is taken from members, and nothing else is."""
    world = roles
    first = allowing(launch, RAY)
    blue = world.allocate(
        "blue", {world.pool(devices=8): 4}, members=[member("ara", "edit", AUTHOR, RAY)], window={"duration": "24h"}
    )
    world.await_phase(blue, "Refused")
    status = world.status(blue)
    assert said(status, "Stalled", "Ready") == {
        "Stalled": ("True", "RoleNotAllowed"),
        "Ready": ("False", "RoleNotAllowed"),
    }
    message = condition(status, "Stalled")["message"]
    assert message.startswith(f"not allowed for members: ClusterRole {AUTHOR} (allowed: {RAY}); ")
    assert "--allowed-cluster-role" in message
    assert "members.allowedClusterRoles" in message
    first.kill()
    forget_lease(world.admin)
    second = allowing(launch, RAY, AUTHOR, name="second")
    world.await_phase(blue, "Active")
    annotations = world.get(LEASE, LEASE_NAME, OPERATOR_NAMESPACE)["metadata"]["annotations"]
    assert annotations[ALLOWED_ROLES_ANNOTATION] == f"{RAY},{AUTHOR}"
    assert world.bindings(blue).keys() == {"bitgoeul:edit", GIVEN, f"bitgoeul:role:{AUTHOR}"}
    granted = world.grant(blue)
    second.kill()
    forget_lease(world.admin)
    allowing(launch, AUTHOR, name="third")
    world.await_reason(blue, "Stalled", "RoleNotAllowed")
    status = world.status(blue)
    assert (status["phase"], status["grant"]["accelerators"]) == ("Active", granted)
    await_bindings(world, blue, {"bitgoeul:edit": ["ara"], f"bitgoeul:role:{AUTHOR}": ["ara"]})


def test_a_role_that_does_not_exist_is_told(fault_world: World, launch: Launch) -> None:
    """Members are in all the same; when it is made, what they may do follows, and the condition too."""
    world = fault_world
    name = world.name("later")
    allowing(launch, name)
    blue = world.allocate("blue", {world.pool(devices=8): 4}, members=[member("ara", "edit", name)])
    status = world.await_status(blue, lambda s: said(s, "Ready")["Ready"][0] == "True", "is Ready")
    provisioned = condition(status, "Provisioned")
    assert (provisioned["status"], provisioned["reason"], provisioned["message"]) == (
        "False",
        "ApplyFailed",
        f"there is no ClusterRole {name}, which members are given: make it",
    )
    assert world.bindings(blue) == {"bitgoeul:edit": ["ara"], f"bitgoeul:role:{name}": ["ara"]}
    make_role(world, name, RAY_RULES)
    try:
        world.await_status(blue, lambda s: said(s, "Provisioned")["Provisioned"][0] == "True", "is Provisioned")
    finally:
        world.delete(CLUSTER_ROLE, name)


def test_who_may_write_roles_gives_no_more_than_it_has(roles: World, launch: Launch, fault_kubectl: Kubectl) -> None:
    """A chart's own Role, as of JupyterHub, is made by a member that was given this; one that exceeds it is not."""
    world, ara = roles, roles.name("ara")
    allowing(launch, AUTHOR)
    blue = world.active("blue", {world.pool(devices=8): 4}, members=[member(ara, "admin", AUTHOR)])
    resources = ["pods", "persistentvolumeclaims", "secrets", "services"]
    rules = [{"apiGroups": [""], "resources": resources, "verbs": ["get", "watch", "list", "create", "delete"]}]
    hub = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": "hub"}, "rules": rules}
    eventually(lambda: refusal(fault_kubectl, blue, hub, ara) == "", "the hub's role is made")
    bind = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "hub"},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "hub"},
        "subjects": [{"kind": "ServiceAccount", "name": "hub", "namespace": blue}],
    }
    assert refusal(fault_kubectl, blue, bind, ara) == ""
    wider = [{"apiGroups": [""], "resources": ["resourcequotas"], "verbs": ["update"]}]
    more = {**hub, "metadata": {"name": "more"}, "rules": wider}
    assert "is attempting to grant RBAC permissions not currently held" in refusal(fault_kubectl, blue, more, ara)
    admin = {**bind, "metadata": {"name": "more"}, "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"}}
    assert "is attempting to grant RBAC permissions not currently held" in refusal(fault_kubectl, blue, admin, ara)
    # What a member made is not the operator's: it outlives the member's own access, as the documentation says.
    world.edit(blue, members=[])
    eventually(lambda: world.bindings(blue) == {"hub": ["hub"]}, "only the member's own binding is left")


def test_commands_that_plan_know_what_may_be_given(
    roles: World, launch: Launch, plane: ControlPlane, commands: ForkServer, tmp_path: Path
) -> None:
    """By the operator's Lease: what would be refused is foreseen, and what would not is granted."""
    world, asker = roles, Asker(commands, plane, tmp_path)
    allowing(launch, RAY)
    pool = world.pool(devices=8)
    foreseen = {}
    for name, role in (("may", RAY), ("may-not", AUTHOR)):
        spec = {
            "organization": {"name": name, "class": "Startup"},
            "accelerators": [{"pool": pool, "devices": 1}],
            "members": [member("ara", "edit", role)],
        }
        obj = make("TenantAllocation", world.name(name), spec)
        (found,) = asker.json("plan", "-f", asker.file(obj))["allocations"]
        foreseen[name] = (found["after"]["phase"], found["after"]["reason"])
    assert foreseen["may-not"] == ("Refused", "RoleNotAllowed")
    assert foreseen["may"][0] == "Active"
    refused = world.allocate("may-not", {pool: 1}, members=[member("ara", "edit", AUTHOR)])
    world.await_phase(refused, "Refused")
    answer = asker.json("why", refused)
    assert (answer["reason"], answer["turn"]) == ("RoleNotAllowed", "platform engineer")
    assert f"(allowed: {RAY})" in answer["message"]
    found = {one["check"]: one for one in asker.json("doctor")["checks"]}
    assert (found["roles"]["verdict"], found["roles"]["fix"]) == ("warn", f"bitgoeul why {refused}")
    assert f"{refused} ({AUTHOR})" in found["roles"]["found"]
