"""What the API server makes of the pods of every tenant: small default requests, and a bound on how they stop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bitgoeul.desired.cluster_roles import build_tenant_roles
from bitgoeul.desired.role_bindings import RBAC_GROUP, build_role_bindings
from bitgoeul.desired.tenant_policies import POLICY_NAME, build_tenant_policies
from bitgoeul.desired.world import Manifest, NamespaceTarget
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.nodes import NodeShape, build_node
from tests.cluster.admin import connect
from tests.cluster.desired_tenancy import apply, await_refusal, create, make_pod, refusal, tenant_policies, tenants
from tests.cluster.kubectl import Kubectl
from tests.cluster.test_tenant_roles import Ask, may
from tests.cluster.waiting import eventually
from tests.unit.desired_objects import make_member

SPACE = "desired-stops"
NODE = "desired-stops"
ACCOUNT = f"system:serviceaccount:{SPACE}:default"
ACCOUNTS = ("system:serviceaccounts", f"system:serviceaccounts:{SPACE}", "system:authenticated")
MODEST = {"cpu": "100m", "memory": "128Mi"}


@pytest.fixture(scope="module")
def space(kubectl: Kubectl) -> Iterator[NamespaceTarget]:
    """A namespace with capped cpu and memory, a node to run on, and a member of each role that writes."""
    members = [make_member(role, role) for role in ("edit", "admin")]
    members.append(make_member("edit", "default", "ServiceAccount", SPACE))
    with tenants(kubectl) as make:
        target = make("stops", cpu_millis=64_000, memory_bytes=512 * 2**30)
        create(kubectl, build_node(NODE, NodeShape(devices={"desired.example/none": "1"}, labels={"stops": "here"})))
        apply(kubectl, *build_tenant_roles(), *build_role_bindings(target, members))
        wanted = [Ask("create", "pods", SPACE), Ask("deletecollection", "pods", SPACE)]
        for user in ("edit", "admin", ACCOUNT):
            eventually(lambda: may(kubectl, user, wanted) == wanted, f"the bindings of {user} are in force")  # noqa: B023
        with tenant_policies(kubectl, SPACE):
            yield target
    kubectl("delete", "node", NODE)
    kubectl("delete", "clusterrole", *(role["metadata"]["name"] for role in build_tenant_roles()))


def pod(name: str, **spec: Any) -> Manifest:
    """A pod of the tenant on its node, without any requests; kwok plays the kubelet."""
    containers = [{"name": "main", "image": "example.org/train:1"}]
    return make_pod(name, SPACE, **{"containers": containers, "nodeSelector": {"stops": "here"}, **spec})


def admitted(kubectl: Kubectl, manifest: Manifest, **options: Any) -> Manifest:
    """The pod as it would be stored."""
    answer = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(manifest), **options)
    stored: Manifest = json.loads(answer.stdout)
    return stored


def requests(answer: Manifest, field: str = "containers") -> dict[str, Any]:
    """What each container asks for."""
    return {one["name"]: one["resources"].get("requests", {}) for one in answer["spec"][field]}


def container(name: str, **more: Any) -> Manifest:
    return {"name": name, "image": "example.org/train:1", **more}


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        pytest.param({}, {"main": MODEST}, id="nothing stated: both are filled in"),
        pytest.param(
            {"containers": [container("main", resources={"requests": {"cpu": "2"}})]},
            {"main": {"cpu": "2", "memory": "128Mi"}},
            id="one stated: the other is filled in",
        ),
        pytest.param(
            {"containers": [container("main", resources={"limits": {"cpu": "4", "memory": "8Gi"}})]},
            {"main": {"cpu": "4", "memory": "8Gi"}},
            id="a limit alone is the request, as Kubernetes has it",
        ),
        pytest.param(
            {"containers": [container("main", resources={"limits": {"cpu": "4"}}), container("side")]},
            {"main": {"cpu": "4", "memory": "128Mi"}, "side": MODEST},
            id="each container by itself",
        ),
        pytest.param(
            {
                "resources": {
                    "requests": {"cpu": "200m", "memory": "200Mi"},
                    "limits": {"cpu": "200m", "memory": "200Mi"},
                },
                "containers": [container("a"), container("b"), container("c")],
            },
            {"a": {}, "b": {}, "c": {}},
            id="a pod that states both for itself as a whole is left alone",
        ),
        pytest.param(
            {"resources": {"requests": {"cpu": "200m"}}, "containers": [container("a")]},
            {"a": {"memory": "128Mi"}},
            id="a pod that states cpu as a whole still gets memory for each container",
        ),
    ],
)
def test_small_requests_are_filled_in_where_nothing_is_stated(
    kubectl: Kubectl, space: NamespaceTarget, spec: Manifest, wanted: dict[str, Any]
) -> None:
    """A quota on cpu and memory admits the pod, and no limit is added."""
    answer = admitted(kubectl, pod("small", **spec), as_user="edit")
    assert requests(answer) == wanted
    stated = {
        one["name"]: one.get("resources", {}).get("limits", {}) for one in pod("small", **spec)["spec"]["containers"]
    }
    assert {one["name"]: one["resources"].get("limits", {}) for one in answer["spec"]["containers"]} == stated


def test_init_containers_and_sidecars_get_small_requests(kubectl: Kubectl, space: NamespaceTarget) -> None:
    """A quota counts them as well."""
    init = [
        container("load"),
        container("proxy", restartPolicy="Always", resources={"requests": {"cpu": "1"}}),
    ]
    answer = admitted(kubectl, pod("initial", initContainers=init), as_user="edit")
    assert requests(answer, "initContainers") == {"load": MODEST, "proxy": {"cpu": "1", "memory": "128Mi"}}
    assert requests(answer) == {"main": MODEST}


def test_pods_of_a_deployment_get_small_requests(kubectl: Kubectl, space: NamespaceTarget) -> None:
    """Pods that a controller makes are treated like those of a person."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container("web")]}}
    create(kubectl, deployment("web", template), as_user="edit")
    pods = eventually(lambda: kubectl.get("pods", "-n", SPACE, "-l", "app=web")["items"], "the deployment has a pod")
    assert [requests(one) for one in pods] == [{"web": MODEST}]
    kubectl("delete", "deployment", "web", "-n", SPACE, as_user="edit")


def deployment(name: str, template: Manifest) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"selector": {"matchLabels": template["metadata"]["labels"]}, "template": template},
    }


def test_without_the_mutating_policy_pods_are_refused(kubectl: Kubectl, space: NamespaceTarget) -> None:
    """What is admitted has its requests; the refusal names the policy and what to write."""
    kubectl("delete", "mutatingadmissionpolicybinding", POLICY_NAME)
    said = await_refusal(kubectl, pod("bare"), "states no requests.cpu")
    assert POLICY_NAME in said
    stated = [container("main", resources={"requests": MODEST})]
    assert requests(admitted(kubectl, pod("stated", containers=stated, terminationGracePeriodSeconds=1))) == {
        "main": MODEST
    }
    apply(kubectl, *build_tenant_policies())
    assert requests(eventually(lambda: admitted(kubectl, pod("bare")), "it acts again")) == {"main": MODEST}


@pytest.mark.parametrize("user", ["edit", "admin", ACCOUNT])
@pytest.mark.parametrize("grace", [301, 31_536_000])
def test_a_pod_that_takes_long_to_stop_is_refused(
    kubectl: Kubectl, space: NamespaceTarget, user: str, grace: int
) -> None:
    """It would hold its devices beyond the end of the grant; the refusal names field, value and bounds."""
    said = refusal(kubectl, pod("slow", terminationGracePeriodSeconds=grace), as_user=user)
    assert f"spec.terminationGracePeriodSeconds is {grace}: write 1 to 300" in said


def test_the_longest_grace_is_admitted_and_none_becomes_a_second(kubectl: Kubectl, space: NamespaceTarget) -> None:
    """With 0 the API server would forget the pod while its process runs."""
    for asked, given in ((300, 300), (0, 1), (None, 30)):
        manifest = pod("quick", terminationGracePeriodSeconds=asked)
        if asked is None:
            del manifest["spec"]["terminationGracePeriodSeconds"]
        answer = admitted(kubectl, manifest, as_user="edit")
        assert answer["spec"]["terminationGracePeriodSeconds"] == given


@pytest.mark.parametrize("kind", ["Deployment", "Job"])
def test_controllers_are_refused_pods_that_take_long_to_stop(
    kubectl: Kubectl, space: NamespaceTarget, kind: str
) -> None:
    """They may delete as they have to, but what they create is the tenant's; whoever looks finds the reason there."""
    name = f"slow-{kind.lower()}"
    spec = {"containers": [container("main")], "terminationGracePeriodSeconds": 3600}
    template: Manifest = {"metadata": {"labels": {"app": name}}, "spec": spec}
    if kind == "Job":
        spec["restartPolicy"] = "Never"
        metadata = {"name": name, "namespace": SPACE}
        create(
            kubectl,
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}},
            as_user="edit",
        )
    else:
        create(kubectl, deployment(name, template), as_user="edit")

    def told() -> bool:
        events = kubectl.get("events", "-n", SPACE, "--field-selector=reason=FailedCreate")["items"]
        return any(
            name in one["involvedObject"]["name"] and "is 3600: write 1 to 300" in one["message"] for one in events
        )

    eventually(told, f"the {kind} says why it has no pod")
    kubectl("delete", kind.lower(), name, "-n", SPACE, as_user="edit")


def running(kubectl: Kubectl, name: str, **spec: Any) -> None:
    """A pod that runs on its node: one that no node has goes at once, whatever grace it has."""
    create(kubectl, pod(name, **{"terminationGracePeriodSeconds": 30, **spec}))
    eventually(
        lambda: kubectl.get("pod", name, "-n", SPACE)["status"].get("phase") == "Running", f"pod {name} is running"
    )


DELETIONS = [
    pytest.param(("--force",), "gracePeriodSeconds is 0", id="by force"),
    pytest.param(("--grace-period=0", "--force"), "gracePeriodSeconds is 0", id="without grace"),
    pytest.param(
        ("--grace-period=301",), "gracePeriodSeconds is 301, asked for or of the pod itself", id="with a long grace"
    ),
]


@pytest.mark.parametrize("user", ["edit", "admin", ACCOUNT])
@pytest.mark.parametrize(("options", "reason"), DELETIONS)
def test_deletions_that_free_too_early_or_too_late_are_refused(
    kubectl: Kubectl, space: NamespaceTarget, user: str, options: tuple[str, ...], reason: str
) -> None:
    """No member's service account may either; the refusal names the value and the way out."""
    running(kubectl, "kept")
    done = kubectl("delete", "pod", "kept", "-n", SPACE, "--wait=false", *options, as_user=user, check=False)
    assert reason in done.stderr
    assert "write --grace-period=1 to 300" in done.stderr
    assert "deletionTimestamp" not in kubectl.get("pod", "kept", "-n", SPACE)["metadata"]
    gone(kubectl, "kept")


def gone(kubectl: Kubectl, name: str) -> None:
    """Delete a pod as a member may: with --now, and as its controller would."""
    kubectl("delete", "pod", name, "-n", SPACE, "--now", as_user="edit")


@pytest.mark.parametrize("user", ["edit", "admin", ACCOUNT])
@pytest.mark.parametrize(
    "options",
    [
        pytest.param((), id="with the grace of the pod"),
        pytest.param(("--now",), id="now"),
        pytest.param(("--grace-period=300",), id="with the longest grace"),
    ],
)
def test_ordinary_deletions_are_allowed(
    kubectl: Kubectl, space: NamespaceTarget, user: str, options: tuple[str, ...]
) -> None:
    """Members end their pods as they are used to."""
    running(kubectl, "ended")
    kubectl("delete", "pod", "ended", "-n", SPACE, *options, as_user=user)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"nodeSelector": {"stops": "nowhere"}}, id="that no node has"),
        pytest.param({"restartPolicy": "Never"}, id="that has ended"),
    ],
)
@pytest.mark.parametrize("options", [pytest.param((), id="as it is"), pytest.param(("--force",), id="by force")])
def test_a_pod_without_a_process_goes_at_once(
    kubectl: Kubectl, space: NamespaceTarget, spec: Manifest, options: tuple[str, ...]
) -> None:
    """Kubernetes gives it no grace, and nothing is left running."""
    create(kubectl, pod("idle", **spec))
    if "restartPolicy" in spec:
        eventually(lambda: kubectl.get("pod", "idle", "-n", SPACE)["spec"].get("nodeName"), "it is scheduled")
        ended = json.dumps({"status": {"phase": "Succeeded"}})
        kubectl("patch", "pod", "idle", "-n", SPACE, "--subresource=status", "--type=merge", "-p", ended)
    kubectl("delete", "pod", "idle", "-n", SPACE, *options, as_user="edit")


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        pytest.param({"gracePeriodSeconds": 0}, "gracePeriodSeconds is 0", id="without grace"),
        pytest.param({"gracePeriodSeconds": 600}, "gracePeriodSeconds is 600", id="with a long grace"),
        pytest.param({}, "", id="with the grace of the pods"),
        pytest.param({"gracePeriodSeconds": 5}, "", id="with a short grace"),
    ],
)
def test_many_pods_are_deleted_as_one_is(
    control_plane: ControlPlane, kubectl: Kubectl, space: NamespaceTarget, body: Manifest, refused: str
) -> None:
    """The API server asks the policy for each pod of a collection."""
    running(kubectl, "one-of-many")
    path = f"/api/v1/namespaces/{SPACE}/pods?labelSelector=stops!=never"
    status, answer = as_member(control_plane, "DELETE", path, body)
    if refused:
        assert (status, refused in answer["message"]) == (403, True), answer
        gone(kubectl, "one-of-many")
    else:
        assert status == 200, answer
        eventually(lambda: not kubectl.get("pods", "-n", SPACE)["items"], "all are gone")


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        pytest.param({"gracePeriodSeconds": 0}, "gracePeriodSeconds is 0", id="without grace"),
        pytest.param({"gracePeriodSeconds": 301}, "gracePeriodSeconds is 301", id="with a long grace"),
        pytest.param({"gracePeriodSeconds": 7}, "", id="with a short grace"),
        pytest.param(None, "", id="with the grace of the pod"),
    ],
)
def test_evictions_are_bounded_as_deletions_are(
    control_plane: ControlPlane, kubectl: Kubectl, space: NamespaceTarget, options: Manifest | None, refused: str
) -> None:
    """They carry the same options, and delete the pod in the same way."""
    running(kubectl, "evicted")
    metadata = {"name": "evicted", "namespace": SPACE}
    body: Manifest = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    if options is not None:
        body["deleteOptions"] = options
    status, answer = as_member(control_plane, "POST", f"/api/v1/namespaces/{SPACE}/pods/evicted/eviction", body)
    if refused:
        assert (status, refused in answer["message"]) == (403, True), answer
        gone(kubectl, "evicted")
    else:
        assert status == 201, answer


def as_member(plane: ControlPlane, method: str, path: str, body: Manifest) -> tuple[int, Manifest]:
    """Status and answer of a request of the member with role edit."""
    connection = connect(plane)
    headers = {"Content-Type": "application/json", "Impersonate-User": "edit"}
    try:
        connection.request(method, path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_a_pod_from_before_the_policy_is_deleted_with_a_grace_that_is_named(
    kubectl: Kubectl, space: NamespaceTarget
) -> None:
    """Its own would be too long; the refusal says what to write."""
    kubectl("delete", "validatingadmissionpolicybinding", POLICY_NAME)
    slow = pod("old", terminationGracePeriodSeconds=86_400)
    eventually(lambda: admitted(kubectl, slow), "nothing bounds the grace")
    running(kubectl, "old", terminationGracePeriodSeconds=86_400)
    apply(kubectl, *build_tenant_policies())
    await_refusal(kubectl, pod("new", terminationGracePeriodSeconds=86_400), "is 86400")
    done = kubectl("delete", "pod", "old", "-n", SPACE, as_user="edit", check=False)
    assert "gracePeriodSeconds is 86400, asked for or of the pod itself: write --grace-period=1 to 300" in done.stderr
    kubectl("delete", "pod", "old", "-n", SPACE, "--grace-period=300", as_user="edit")


SYSTEM = [
    pytest.param("system:node:desired-stops", ("system:nodes",), id="a kubelet"),
    pytest.param("system:kube-controller-manager", (), id="the controller manager"),
    pytest.param(
        "system:serviceaccount:kube-system:pod-garbage-collector",
        ("system:serviceaccounts", "system:serviceaccounts:kube-system"),
        id="the garbage collector",
    ),
]


@pytest.mark.parametrize(("user", "groups"), SYSTEM)
def test_the_system_deletes_as_it_has_to_and_creates_like_everybody(
    kubectl: Kubectl, space: NamespaceTarget, user: str, groups: tuple[str, ...]
) -> None:
    """A kubelet removes a pod with a grace of 0 once its processes have ended; what anybody makes is a tenant's."""
    running(kubectl, "finished")
    with right(kubectl, user, "create", "delete"):
        said = refusal(kubectl, pod("slow", terminationGracePeriodSeconds=3600), as_user=user, as_groups=groups)
        assert "terminationGracePeriodSeconds is 3600" in said or "forbidden" in said.lower()
        kubectl("delete", "pod", "finished", "-n", SPACE, "--force", as_user=user, as_groups=groups)


def test_whoever_holds_the_verb_may_force_a_deletion(kubectl: Kubectl, space: NamespaceTarget) -> None:
    """A platform engineer's way to be rid of the pods of a node that is lost; without the verb it is refused."""
    running(kubectl, "lost")
    engineer = "engineer@example.org"
    with right(kubectl, engineer, "delete"):
        done = kubectl("delete", "pod", "lost", "-n", SPACE, "--force", as_user=engineer, check=False)
        assert "the verb force-delete on pods" in done.stderr
    with right(kubectl, engineer, "delete", "force-delete"):
        kubectl("delete", "pod", "lost", "-n", SPACE, "--force", as_user=engineer)


@contextmanager
def right(kubectl: Kubectl, user: str, *verbs: str) -> Iterator[None]:
    """Somebody may do this with pods of the namespace."""
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", *verbs]}]
    kind = {"apiVersion": f"{RBAC_GROUP}/v1"}
    metadata = {"name": "stops", "namespace": SPACE}
    subject = {"kind": "User", "name": user, "apiGroup": RBAC_GROUP}
    ref = {"kind": "Role", "name": "stops", "apiGroup": RBAC_GROUP}
    apply(
        kubectl,
        {**kind, "kind": "Role", "metadata": metadata, "rules": rules},
        {**kind, "kind": "RoleBinding", "metadata": metadata, "roleRef": ref, "subjects": [subject]},
    )
    asks = [Ask(verb, "pods", SPACE) for verb in verbs]
    eventually(lambda: may(kubectl, user, asks) == asks, f"{user} may {', '.join(verbs)}")
    try:
        yield
    finally:
        kubectl("delete", "role,rolebinding", "stops", "-n", SPACE)
