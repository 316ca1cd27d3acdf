"""The chart and the kustomize base install what works: manifests, role, arguments, and what stays afterwards."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from bitgoeul.api.names import GROUP, OPERATOR_NAMESPACE, TENANT_ALLOCATIONS
from bitgoeul.cluster.kinds import CLUSTER_ROLE, DEPLOYMENT, NAMESPACE, RBAC, TENANT_ALLOCATION
from bitgoeul.local import components
from bitgoeul.local.launcher import ControlPlane
from tests.chart import BASE, CHART, RELEASE, ROOT, Manifest, manifests
from tests.cluster.api_objects import CRD_NAMES
from tests.cluster.conftest import KCM_QPS
from tests.cluster.installed import ACCOUNT, GIVEN_ROLE, WROTE, InstalledProcess, Release, release_on
from tests.cluster.installed_life import live
from tests.cluster.kubectl import Kubectl
from tests.cluster.permissions import AUDIT_POLICY, Permission, forbidden, granted, requests_of, used
from tests.cluster.scenario import World, open_world, said
from tests.cluster.waiting import eventually

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DRY = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors")

# What the role grants and the life below need not use, and why it is granted all the same.
LOOKED_UP = "looked up by the API server while a role or a binding is written; proved below"
UNUSED = {
    Permission("", "namespaces", "get"): "asked only when the answer to a creation was lost",
    Permission(GROUP, TENANT_ALLOCATIONS, "get"): LOOKED_UP,  # and asked when the answer to a write was lost
    Permission(RBAC, "clusterroles", "bind"): LOOKED_UP,
    Permission(RBAC, "clusterroles", "escalate"): LOOKED_UP,
}

# Everything that the chart can make, apart from the ServiceMonitor and the PrometheusRule: the control plane does not
# have these kinds.
EVERYTHING = {
    "replicas": 2,
    "image": {"digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccount": {"annotations": {"example.org/role": "operator"}},
    "log": {"format": "text", "verbose": True},
    "metrics": {"dashboards": {"enabled": True, "annotations": {"grafana_folder": "Bitgoeul"}}},
    "networkPolicy": {"enabled": True, "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"node-role.kubernetes.io/control-plane": ""},
    "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "podLabels": {"example.org/team": "platform"},
    "podAnnotations": {"example.org/note": "hello"},
}


class Lived(NamedTuple):
    """What is to be seen after a life: the role that was installed, and what was done with it."""

    plane: ControlPlane
    world: World
    process: InstalledProcess
    objects: list[Manifest]
    requests: list[dict[str, Any]]
    tenant: str  # lives on

    def rules(self, kind: str) -> list[Manifest]:
        (found,) = (obj["rules"] for obj in self.objects if obj["kind"] == kind)
        return list(found)


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """A control plane of its own, which notes all that the operator's account does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(components, "AUDIT_POLICY", AUDIT_POLICY.format(user=ACCOUNT))
        with ControlPlane.temporary(audit=True, kcm_qps=KCM_QPS) as made:
            yield made


@pytest.fixture(scope="module")
def ctl(plane: ControlPlane) -> Kubectl:
    """kubectl as administrator, where the operator's namespace is."""
    kubectl = Kubectl(plane.binary, plane.kubeconfig)
    kubectl("apply", "-f", str(BASE / "namespace.yaml"))
    return kubectl


@pytest.fixture(scope="module")
def release(plane: ControlPlane, ctl: Kubectl) -> Iterator[Release]:
    with release_on(plane) as made:
        yield made


@pytest.fixture(scope="module")
def lived(plane: ControlPlane, release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """The chart installed by Helm, the operator run as it says, and tenants that have lived."""
    objects = release.install()
    process = InstalledProcess(plane, tmp_path_factory.mktemp("operator"))
    with process, open_world(plane) as world:
        try:
            tenant = live(world)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{process.said()[-5000:]}") from error
        yield Lived(plane, world, process, objects, requests_of(plane, ACCOUNT), tenant)


@pytest.mark.parametrize("values", [pytest.param({}, id="by default"), pytest.param(EVERYTHING, id="with everything")])
def test_every_manifest_of_the_chart_is_accepted(ctl: Kubectl, values: dict[str, Any]) -> None:
    """By the API server itself, without an unknown field or a warning."""
    objects = manifests(values)
    done = ctl(*DRY, "-f", "-", stdin=yaml.safe_dump_all(objects))
    assert len(done.stdout.splitlines()) == len(objects)


@pytest.mark.parametrize("folder", ["deploy/base", "deploy/overlays/example"])
def test_kustomize_gives_what_the_chart_gives(ctl: Kubectl, folder: str) -> None:
    """The base is accepted and complete; the example differs from it in what it says."""
    text = ctl("kustomize", str(ROOT / folder)).stdout
    ctl(*DRY, "-f", "-", stdin=text)
    changed = {} if folder == "deploy/base" else {"image": {"repository": "registry.example.com/your/bitgoeul"}}
    expected = manifests({**changed, "replicas": 1 if folder == "deploy/base" else 2})
    for obj in expected:
        if obj["kind"] == "CustomResourceDefinition":
            del obj["metadata"]["annotations"]
    found = [obj for obj in yaml.safe_load_all(text) if obj["kind"] != "Namespace"]
    assert sorted(found, key=key_of) == sorted(expected, key=key_of)


def key_of(obj: Manifest) -> tuple[str, str]:
    return obj["kind"], obj["metadata"]["name"]


def test_the_pods_run_under_pod_security_restricted(lived: Lived) -> None:
    """The Deployment becomes available in a namespace that enforces it."""
    enforced = lived.world.get(NAMESPACE, OPERATOR_NAMESPACE)["metadata"]["labels"]
    assert enforced["pod-security.kubernetes.io/enforce"] == "restricted"

    def available() -> bool:
        status = lived.world.get(DEPLOYMENT, RELEASE, OPERATOR_NAMESPACE)["status"]
        return bool(status.get("availableReplicas") == 1)

    eventually(available, "its pod was admitted")


def test_nothing_that_the_operator_does_is_refused(lived: Lived) -> None:
    """It grows, suspends, resumes, ends, deletes and restores tenants with what it was granted."""
    assert lived.requests
    assert [request for request in lived.requests if forbidden(request)] == []
    lines = [json.loads(line) for line in lived.process.said().splitlines()]
    assert [line for line in lines if line["level"] not in ("debug", "info")] == []


def test_nothing_is_granted_that_is_not_used(lived: Lived) -> None:
    """Each verb of each resource is in the audit log, or is an exception with a reason."""
    allowed = {*granted(lived.rules("ClusterRole")), *granted(lived.rules("Role"))}
    needed = set(used(lived.requests))
    assert needed <= allowed
    assert allowed - needed <= UNUSED.keys() <= allowed


def test_nothing_is_written_to_the_container(lived: Lived) -> None:
    """Its root file system is read-only."""
    assert WROTE not in lived.process.said()


def test_the_probes_of_the_container_answer(lived: Lived) -> None:
    """On the port and the paths that they name."""
    container = lived.process.container
    (port,) = container["ports"]
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    assert {probe["port"] for probe in probes} == {port["name"]}
    assert f"metrics on http://0.0.0.0:{port['containerPort']}/metrics" in lived.process.said()
    assert [lived.process.fetch(probe["path"])[0] for probe in probes] == [200, 200, 200]


def test_what_was_asked_for_is_not_taken_for_meddling(lived: Lived) -> None:
    """Tenants grow, are suspended, end and are restored; repairs are counted of just what somebody has edited."""
    _, text = lived.process.fetch("/metrics")
    counts = re.findall(r'^bitgoeul_drift_corrections_total{kind="(\w+)"} (.*)$', text, re.MULTILINE)
    assert {kind: float(count) for kind, count in counts if float(count)} == {
        "MutatingAdmissionPolicy": 1,
        "ValidatingAdmissionPolicy": 1,
        "ClusterRole": 1,
    }


PROBE = "system:serviceaccount:default:probe"
READ_ITS_OWN = {
    "apiGroups": [GROUP],
    "resources": [TENANT_ALLOCATIONS],
    "resourceNames": ["x"],
    "verbs": ["get", "list", "watch"],
}


def rbac(kind: str, name: str, **content: Any) -> Manifest:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": {"name": name}, **content}


def reference(role: str) -> Manifest:
    return {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}


@pytest.mark.parametrize(
    ("missing", "written", "command"),
    [
        pytest.param(
            Permission(RBAC, "clusterroles", "bind"),
            rbac("RoleBinding", "bitgoeul:view", roleRef=reference("bitgoeul:tenant-view")),
            ("create",),
            id="bind, to give members access",
        ),
        pytest.param(
            Permission(RBAC, "clusterroles", "escalate"),
            rbac(
                "ClusterRole", "bitgoeul:tenant-view", rules=[{"apiGroups": [""], "resources": ["x"], "verbs": ["get"]}]
            ),
            ("apply", "--server-side", "--force-conflicts"),
            id="escalate, to write the roles of tenants",
        ),
        pytest.param(
            Permission(GROUP, TENANT_ALLOCATIONS, "get"),
            rbac("ClusterRole", "bitgoeul:allocation:x", rules=[READ_ITS_OWN]),
            ("create",),
            id="get of allocations, to let members read theirs",
        ),
    ],
)
def test_what_is_only_looked_up_is_needed(
    ctl: Kubectl, lived: Lived, missing: Permission, written: Manifest, command: tuple[str, ...]
) -> None:
    """With the role as it is the write goes through; without that one verb it is refused."""

    def refusal() -> str:
        """What the API server says to somebody with the role of the name "probe"."""
        arguments = (*command, "--dry-run=server", "--validate=false", "-f", "-")
        return ctl(*arguments, stdin=yaml.safe_dump(written), as_user=PROBE, check=False).stderr

    def give(rules: list[Manifest]) -> None:
        subject = {"kind": "ServiceAccount", "name": "probe", "namespace": "default"}
        binding = rbac("ClusterRoleBinding", "probe", roleRef=reference("probe"), subjects=[subject])
        ctl.apply(rbac("ClusterRole", "probe", rules=rules), binding, arguments=("--server-side",))

    rules = lived.rules("ClusterRole")
    # The API server learns of a role by its own watch.
    give(rules)
    eventually(lambda: refusal() == "", "the whole role is enough")
    give(without(rules, missing))
    eventually(lambda: "is attempting to grant" in refusal(), "the role without it is not")


def test_a_role_that_the_operator_may_not_bind_is_told(lived: Lived) -> None:
    """As where somebody allows it by an argument, and forgets the role: members are in, and the rest follows."""
    world = lived.world
    role = CLUSTER_ROLE.path(RELEASE)
    rules = world.admin.get(role)["rules"]
    left = [rule for rule in rules if rule.get("resourceNames") != [GIVEN_ROLE]]
    assert len(left) == len(rules) - 1
    member = {"kind": "User", "name": "ara", "role": "edit"}
    pool = world.pool("more", devices=1)
    red = world.active("red", {pool: 1}, members=[member])
    world.admin.merge(role, {"rules": left})
    try:
        eventually(lambda: "is attempting to grant" in bound_by_the_operator(lived, red), "it may not bind it")
        world.edit(red, members=[member | {"clusterRoles": [GIVEN_ROLE]}])
        told = world.await_reason(red, "Provisioned", "ApplyFailed")
        assert told["message"].startswith(f"ClusterRole {GIVEN_ROLE} cannot be bound in {red}: ")
        assert said(world.status(red), "Ready") == {"Ready": ("True", "Enforced")}
        assert world.bindings(red) == {"bitgoeul:edit": ["ara"]}
    finally:
        world.admin.merge(role, {"rules": rules})
    world.await_reason(red, "Provisioned", "Provisioned")
    assert world.bindings(red) == {"bitgoeul:edit": ["ara"], f"bitgoeul:role:{GIVEN_ROLE}": ["ara"]}


def bound_by_the_operator(lived: Lived, namespace: str) -> str:
    """What the API server says to the operator's account against binding the role that members may be given."""
    kubectl = Kubectl(lived.plane.binary, lived.plane.kubeconfig)
    binding = rbac("RoleBinding", "probe", roleRef=reference(GIVEN_ROLE))
    arguments = ("create", "--dry-run=server", "--validate=false", "-n", namespace, "-f", "-")
    return kubectl(*arguments, stdin=yaml.safe_dump(binding), as_user=ACCOUNT, check=False).stderr


def without(rules: list[Manifest], missing: Permission) -> list[Manifest]:
    """The rules with one verb of one resource taken out."""
    left = []
    for rule in rules:
        if missing.group in rule["apiGroups"] and missing.resource in rule["resources"]:
            verbs = [verb for verb in rule["verbs"] if verb != missing.verb]
            left += [rule | {"verbs": verbs}] if verbs else []
        else:
            left.append(rule)
    return left


def test_an_upgrade_and_a_way_back_touch_no_tenant(lived: Lived, release: Release, tmp_path: Path) -> None:
    """Deployment and CRDs follow the chart; allocations and namespaces are the same objects as before."""
    newer = shutil.copytree(CHART, tmp_path / CHART.name)
    template = newer / "templates" / "crds" / "bitgoeul.dev_tenantallocations.yaml"
    old, new = "Higher goes first.", "The higher goes first."
    template.write_text(template.read_text().replace(f"description: {old}", f"description: {new}"))
    before = survivors(lived)
    assert told_of_priority(lived) == old
    release.upgrade(newer, replicas=2)
    assert told_of_priority(lived) == new
    assert lived.world.get(DEPLOYMENT, RELEASE, OPERATOR_NAMESPACE)["spec"]["replicas"] == 2
    release.rollback()
    assert told_of_priority(lived) == old
    assert lived.world.get(DEPLOYMENT, RELEASE, OPERATOR_NAMESPACE)["spec"]["replicas"] == 1
    assert survivors(lived) == before


def told_of_priority(lived: Lived) -> str:
    """The text of a column in the CRD of allocations."""
    crd = lived.world.admin.get(f"{CRDS}/{TENANT_ALLOCATIONS}.{GROUP}")
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    return next(str(column["description"]) for column in columns if column["name"] == "Priority")


def test_uninstalling_leaves_kinds_and_tenants(lived: Lived, release: Release) -> None:
    """Only the operator goes, with what it may do; installed again, it goes on where it was."""
    before = survivors(lived)
    lived.process.stop()
    release.uninstall()
    assert lived.world.find(DEPLOYMENT, RELEASE, OPERATOR_NAMESPACE) is None
    assert lived.world.find(CLUSTER_ROLE, RELEASE) is None
    assert survivors(lived) == before
    release.install()
    again = InstalledProcess(lived.plane, lived.process.log.parent)
    with again:
        lived.world.edit(lived.tenant, suspend=True)
        lived.world.await_phase(lived.tenant, "Suspended")
    assert [uid for uid, _ in survivors(lived)] == [uid for uid, _ in before]


def survivors(lived: Lived) -> list[tuple[str, str]]:
    """UIDs and specs of what has to stay; of a CRD, that it is the same object is enough."""
    crds = [(lived.world.admin.get(f"{CRDS}/{name}")["metadata"]["uid"], "") for name in CRD_NAMES]
    tenants = [lived.world.get(kind, lived.tenant) for kind in (TENANT_ALLOCATION, NAMESPACE)]
    return [*crds, *((obj["metadata"]["uid"], json.dumps(obj["spec"])) for obj in tenants)]
