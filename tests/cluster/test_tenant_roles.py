"""What members of an allocation may do in their namespace, and that they may do nothing else anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from bitgoeul.api import names
from bitgoeul.desired.cluster_roles import build_reader, build_tenant_roles
from bitgoeul.desired.role_bindings import RBAC_GROUP, build_role_bindings
from bitgoeul.desired.world import NamespaceTarget
from tests.cluster.desired_tenancy import apply, create, make_pod, tenants
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import eventually
from tests.unit.desired_objects import make_member

MINE, OTHER = "desired-mine", "desired-other"
ROLES = ("view", "edit", "admin")
ALLOCATIONS = f"{names.TENANT_ALLOCATIONS}.{names.GROUP}"

# What everybody who is logged in may do, without any role of ours.
EVERYBODY = {
    ("selfsubjectaccessreviews.authorization.k8s.io", "create"),
    ("selfsubjectreviews.authentication.k8s.io", "create"),
    ("selfsubjectrulesreviews.authorization.k8s.io", "create"),
}
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class Ask:
    """One question to the authorizer; resource as kubectl spells it: ``resource.group`` with ``/subresource``."""

    verb: str
    resource: str
    namespace: str = MINE
    name: str = ""


def may(kubectl: Kubectl, user: str, asks: Iterable[Ask], groups: tuple[str, ...] = ()) -> list[Ask]:
    """Which of these the user may do: ``kubectl auth can-i`` for many questions in one go."""
    asks = list(asks)
    reviews = "---\n".join(json.dumps(review(ask)) + "\n" for ask in asks)
    template = "jsonpath={.status.allowed}{'\\n'}"
    # Validation would list CRDs, which a tenant may not.
    done = kubectl(
        "create", "--validate=false", "-f", "-", "-o", template, stdin=reviews, as_user=user, as_groups=groups
    )
    answers = done.stdout.split()
    return [ask for ask, answer in zip(asks, answers, strict=True) if answer == "true"]


def review(ask: Ask) -> dict[str, object]:
    """The object that ``kubectl auth can-i`` posts."""
    path, _, subresource = ask.resource.partition("/")
    resource, _, group = path.partition(".")
    attributes = {
        "verb": ask.verb,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "namespace": ask.namespace,
        "name": ask.name,
    }
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }


@pytest.fixture(scope="module")
def mine(kubectl: Kubectl) -> Iterator[NamespaceTarget]:
    """A namespace whose members are a user per role, a group and an outside account; and another tenant's."""
    members = [make_member(role, role) for role in ROLES]
    members += [make_member("edit", "lab", "Group"), make_member("view", "bot", "ServiceAccount", OTHER)]
    with tenants(kubectl) as make:
        target, other = make("mine"), make("other")
        apply(kubectl, *build_tenant_roles())
        apply(
            kubectl, *build_role_bindings(target, members), *build_role_bindings(other, [make_member("admin", "rival")])
        )
        reader = build_reader(target.allocation, "", members)
        for manifest in reader:
            del manifest["metadata"]["ownerReferences"]  # the allocation itself is not needed here
        apply(kubectl, *reader)
        create(kubectl, make_pod("worker", MINE))
        for user, ask in {
            **{role: Ask("get", ALLOCATIONS, "", "mine") for role in ROLES},
            "rival": Ask("get", "pods", OTHER),
        }.items():
            first = [ask] if user == "rival" else [Ask("get", "pods"), ask]
            eventually(lambda: may(kubectl, user, first) == first, f"the bindings of {user} are in force")  # noqa: B023
        yield target
    kubectl("delete", "clusterrole,clusterrolebinding", "bitgoeul:allocation:mine")
    kubectl("delete", "clusterrole", *(role["metadata"]["name"] for role in build_tenant_roles()))


ALLOWED = {
    "view": [
        Ask("list", "pods"),
        Ask("get", "pods/log"),
        Ask("get", "namespaces", MINE, MINE),
        Ask("get", "resourcequotas"),
        Ask("watch", "events"),
        Ask("list", "persistentvolumeclaims"),
        Ask("list", "deployments.apps"),
        Ask("list", "jobs.batch"),
    ],
    "edit": [
        Ask("create", "pods"),
        Ask("deletecollection", "pods"),
        Ask("create", "pods/exec"),
        Ask("get", "pods/exec"),
        Ask("create", "pods/portforward"),
        Ask("create", "pods/eviction"),
        Ask("create", "deployments.apps"),
        Ask("patch", "deployments.apps/scale"),
        Ask("create", "statefulsets.apps"),
        Ask("create", "jobs.batch"),
        Ask("create", "cronjobs.batch"),
        Ask("create", "services"),
        Ask("update", "configmaps"),
        Ask("get", "secrets"),
        Ask("create", "secrets"),
        Ask("create", "persistentvolumeclaims"),
        Ask("patch", "persistentvolumeclaims"),
    ],
    "admin": [
        Ask("delete", "persistentvolumeclaims"),
        Ask("create", "serviceaccounts"),
        Ask("create", "poddisruptionbudgets.policy"),
        Ask("create", "horizontalpodautoscalers.autoscaling"),
    ],
}


@pytest.mark.parametrize("role", ROLES)
def test_role_allows_its_work_and_no_more(kubectl: Kubectl, mine: NamespaceTarget, role: str) -> None:
    """A role may do what it is for and what lesser roles may do; none of what greater roles may do."""
    rank = ROLES.index(role)
    expected = [ask for lesser in ROLES[: rank + 1] for ask in ALLOWED[lesser]]
    assert may(kubectl, role, [ask for asks in ALLOWED.values() for ask in asks]) == expected


ATTACKS = [
    *(Ask(verb, "resourcequotas") for verb in ("create", "update", "patch", "delete")),
    *(Ask(verb, "limitranges") for verb in ("create", "update", "delete")),
    *(Ask(verb, "networkpolicies.networking.k8s.io") for verb in ("create", "update", "delete")),
    *(Ask(verb, "rolebindings.rbac.authorization.k8s.io") for verb in ("create", "update", "delete", "get")),
    *(Ask(verb, "roles.rbac.authorization.k8s.io") for verb in ("create", "escalate", "bind")),
    *(Ask(verb, "clusterroles.rbac.authorization.k8s.io") for verb in ("create", "escalate", "bind")),
    *(Ask(verb, "namespaces", MINE, MINE) for verb in ("update", "patch", "delete")),
    *(Ask("update", f"namespaces/{part}", MINE, MINE) for part in ("status", "finalize")),
    *(Ask(verb, "resourceclaims.resource.k8s.io") for verb in ("create", "update")),
    Ask("create", "resourceclaimtemplates.resource.k8s.io"),
    Ask("create", "serviceaccounts/token"),
    *(Ask("impersonate", subject) for subject in ("serviceaccounts", "users", "groups")),
    *(Ask(verb, "pods/ephemeralcontainers") for verb in ("update", "patch")),
    Ask("create", "pods/binding"),
    Ask("create", "bindings"),
    Ask("update", "pods/status"),
    Ask("update", "resourcequotas/status"),
    *(Ask("get", path) for path in ("pods/proxy", "services/proxy")),
    *(Ask("create", resource) for resource in ("endpoints", "endpointslices.discovery.k8s.io")),
    Ask("create", "daemonsets.apps"),
    Ask("create", "ingresses.networking.k8s.io"),
]


@pytest.mark.parametrize("role", ROLES)
def test_no_role_gives_a_way_out(kubectl: Kubectl, mine: NamespaceTarget, role: str) -> None:
    """What bounds a tenant, and what lends somebody else's rights, is out of reach of every role."""
    assert may(kubectl, role, ATTACKS) == []


def resources(kubectl: Kubectl, *, namespaced: bool) -> list[str]:
    """Everything that the API server serves, as ``resource.group``."""
    listed = kubectl("api-resources", f"--namespaced={str(namespaced).lower()}", "-o", "name").stdout.split()
    assert len(listed) > 10
    return listed


@pytest.mark.parametrize("role", ROLES)
def test_cluster_scope_is_closed(kubectl: Kubectl, mine: NamespaceTarget, role: str) -> None:
    """No verb on any cluster-scoped resource, but for asking about oneself."""
    asks = [Ask(verb, resource, namespace="") for resource in resources(kubectl, namespaced=False) for verb in VERBS]
    assert {(ask.resource, ask.verb) for ask in may(kubectl, role, asks)} == EVERYBODY


@pytest.mark.parametrize("role", ROLES)
def test_other_tenants_are_closed(kubectl: Kubectl, mine: NamespaceTarget, role: str) -> None:
    """No verb on any resource in the namespace of another tenant."""
    asks = [Ask(verb, resource, OTHER) for resource in resources(kubectl, namespaced=True) for verb in VERBS]
    asks += [Ask(verb, "namespaces", OTHER, OTHER) for verb in VERBS]
    assert {ask for ask in may(kubectl, role, asks) if "selfsubject" not in ask.resource} == set()
    assert may(kubectl, "rival", [Ask("list", "pods", OTHER)])


@pytest.mark.parametrize(
    ("user", "groups", "ask"),
    [
        pytest.param("somebody", ("lab",), Ask("create", "pods"), id="a member of a group"),
        pytest.param(f"system:serviceaccount:{OTHER}:bot", (), Ask("list", "pods"), id="a service account"),
    ],
)
def test_membership_is_by_whole_name(
    kubectl: Kubectl, mine: NamespaceTarget, user: str, groups: tuple[str, ...], ask: Ask
) -> None:
    """A user who is called like the group, or an account of that name elsewhere, is no member."""
    assert may(kubectl, user, [ask], groups) == [ask]
    for impostor in ("lab", "bot", f"system:serviceaccount:{MINE}:bot"):
        assert may(kubectl, impostor, [ask]) == []


@pytest.mark.parametrize("role", ROLES)
def test_members_read_their_own_allocation(kubectl: Kubectl, mine: NamespaceTarget, role: str) -> None:
    """By name get, list and watch; never without a name, another one's, or to write."""
    own = [Ask(verb, ALLOCATIONS, "", "mine") for verb in ("get", "list", "watch")]
    foreign = [Ask(verb, ALLOCATIONS, "", name) for verb in ("get", "list", "watch") for name in ("other", "")]
    writes = [Ask(verb, f"{ALLOCATIONS}{sub}", "", "mine") for verb in VERBS[3:] for sub in ("", "/status")]
    assert may(kubectl, role, own + foreign + writes) == own


@pytest.mark.parametrize(
    ("attack", "twin"),
    [
        pytest.param(
            ["delete", "resourcequota", names.QUOTA_NAME], ["get", "resourcequota", names.QUOTA_NAME], id="the quota"
        ),
        pytest.param(
            ["label", "namespace", MINE, "pod-security.kubernetes.io/enforce=privileged", "--overwrite"],
            ["get", "namespace", MINE],
            id="the pod security level of the namespace",
        ),
        pytest.param(
            ["label", "namespace", MINE, f"{names.pool_label('h100')}=true"],
            ["label", "pod", "worker", f"{names.pool_label('h100')}=true"],
            id="the label of a pool",
        ),
        pytest.param(
            ["create", "rolebinding", "mine", "--clusterrole=cluster-admin", "--user=admin"],
            ["create", "configmap", "mine"],
            id="a role binding",
        ),
        pytest.param(["create", "token", "default"], ["create", "serviceaccount", "mine"], id="a token"),
        pytest.param(["create", "namespace", "desired-more"], ["get", "namespace", MINE], id="a further namespace"),
        pytest.param(
            ["debug", "worker", "--image=example.org/tools:1"], ["get", "pod", "worker"], id="an ephemeral container"
        ),
    ],
)
def test_attack_is_refused_and_its_twin_works(
    kubectl: Kubectl, mine: NamespaceTarget, attack: list[str], twin: list[str]
) -> None:
    """Even the admin of a namespace gets 403, while the harmless command beside it passes."""
    kubectl("-n", MINE, *twin, as_user="admin")
    before = bounds(kubectl)
    done = kubectl("-n", MINE, *attack, as_user="admin", check=False)
    assert done.returncode != 0
    assert "forbidden" in done.stderr.lower()
    assert bounds(kubectl) == before


def bounds(kubectl: Kubectl) -> list[object]:
    """What bounds the namespace, without versions, which move with every pod."""
    found = kubectl.get("resourcequota,limitrange,rolebinding,role", "-n", MINE)["items"]
    namespace = kubectl.get("namespace", MINE)
    return [namespace["metadata"], *((one["metadata"]["uid"], one.get("spec"), one.get("subjects")) for one in found)]


def test_bindings_of_strangers_are_taken_back(kubectl: Kubectl, mine: NamespaceTarget) -> None:
    """A subject that somebody with more rights added goes with the next apply."""
    (binding,) = build_role_bindings(mine, [make_member("view", "view")])
    stranger = {"apiGroup": RBAC_GROUP, "kind": "User", "name": "stranger"}
    edited = {"subjects": [*kubectl.get("rolebinding", "bitgoeul:view", "-n", MINE)["subjects"], stranger]}
    kubectl("patch", "rolebinding", "bitgoeul:view", "-n", MINE, "--type=merge", "-p", json.dumps(edited))
    (stored,) = apply(kubectl, binding)
    assert [subject["name"] for subject in stored["subjects"]] == ["view"]
