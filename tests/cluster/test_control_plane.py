"""The embedded control plane is a real one: its processes, its doors, its nodes and pods."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitgoeul.local.components import COMPONENTS
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.nodes import NodeShape, build_node
from bitgoeul.local.processes import listening_addresses
from tests.cluster.audit import entries
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import eventually

DEVICE = "example.org/widget"
NODE = "widgets-0"
NAMESPACE = "control-plane-test"


@pytest.fixture(scope="module")
def room(kubectl: Kubectl) -> Iterator[str]:
    """A namespace, and one node with 8 devices that nobody else uses; both are gone afterwards."""
    kubectl.apply(build_node(NODE, NodeShape(devices={DEVICE: "8"})))
    kubectl("create", "namespace", NAMESPACE)
    eventually(lambda: kubectl.get("serviceaccount", "default", "-n", NAMESPACE), "a service account in the namespace")
    yield NAMESPACE
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    kubectl("delete", "node", NODE)


@pytest.fixture
def namespace(kubectl: Kubectl, room: str) -> Iterator[str]:
    """The namespace, with no pods before and after."""
    yield room
    kubectl("delete", "pods", "--all", "-n", room)


def make_pod(name: str, devices: int, **extra: Any) -> dict[str, Any]:
    """A pod that asks for devices; ``extra`` goes into its metadata."""
    resources = {"limits": {DEVICE: devices}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, **extra},
        "spec": {"containers": [{"name": "main", "image": "example.org/none", "resources": resources}]},
    }


def pod_phase(kubectl: Kubectl, name: str) -> str:
    return str(kubectl.get("pod", name, "-n", NAMESPACE)["status"]["phase"])


def node_ready(kubectl: Kubectl) -> str | None:
    """Status of the node's condition Ready; None when it has none yet."""
    conditions = kubectl.get("node", NODE)["status"].get("conditions", [])
    return next((condition["status"] for condition in conditions if condition["type"] == "Ready"), None)


def test_it_is_the_version_that_go_mod_names(control_plane: ControlPlane) -> None:
    """The server reports its real version, not v0.0.0."""
    status, answer = control_plane.call("GET", "/version")
    assert status == 200
    assert json.loads(answer)["gitVersion"] == control_plane.state.kubernetes == "v1.36.3"


def test_each_component_runs_under_its_own_name(control_plane: ControlPlane) -> None:
    """One binary, yet ps and top show which component is which."""
    for component in COMPONENTS:
        process = Path(f"/proc/{control_plane.pid(component)}")
        assert (process / "cmdline").read_bytes().split(b"\0")[0].decode() == component
        assert (process / "comm").read_text().strip() == component[:15]


def test_nothing_listens_beyond_this_machine(control_plane: ControlPlane) -> None:
    """127.0.0.1 for those with a port; etcd and kwok have none."""
    ports = control_plane.ports
    assert {component: listening_addresses(control_plane.pid(component)) for component in COMPONENTS} == {
        "etcd": [],
        "kube-apiserver": [("127.0.0.1", ports.api_server)],
        "kube-controller-manager": [("127.0.0.1", ports.controller_manager)],
        "kube-scheduler": [("127.0.0.1", ports.scheduler)],
        "kwok": [],
    }


def test_only_the_owner_may_read_keys(control_plane: ControlPlane) -> None:
    """The folder with etcd's socket and all keys is closed to other users; each key is 0600 by itself."""
    folder = control_plane.layout.directory
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secret = [path for path in folder.rglob("*") if path.name.endswith((".key", "kubeconfig"))]
    assert len(secret) > 8
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_rbac_is_on(kubectl: Kubectl) -> None:
    """A user without a role may do nothing."""
    refused = kubectl("get", "nodes", as_user="nobody", check=False)
    assert refused.returncode == 1
    assert 'User "nobody" cannot list resource "nodes"' in refused.stderr


def test_a_pod_gets_devices_until_they_are_used_up(kubectl: Kubectl, namespace: str) -> None:
    """Nodes turn Ready, the real scheduler counts devices, and a pod that does not fit waits."""
    eventually(lambda: node_ready(kubectl) == "True", "the node is Ready")
    kubectl.apply(make_pod("fits", 6))
    eventually(lambda: pod_phase(kubectl, "fits") == "Running", "the pod runs")
    kubectl.apply(make_pod("waits", 3))
    eventually(
        lambda: f"Insufficient {DEVICE}" in kubectl("describe", "pod", "waits", "-n", namespace).stdout,
        "the scheduler says why the second pod waits",
    )
    kubectl("delete", "pod", "fits", "-n", namespace)
    eventually(lambda: pod_phase(kubectl, "waits") == "Running", "the second pod takes the freed devices")


def test_a_pod_completes_when_asked(kubectl: Kubectl, namespace: str) -> None:
    """The annotation ends a running pod, successfully."""
    kubectl.apply(make_pod("job", 1, annotations={"simulate.bitgoeul.dev/complete-after": "0s"}))
    eventually(lambda: pod_phase(kubectl, "job") == "Succeeded", "the pod completes")


def test_nobody_strips_finalizers(kubectl: Kubectl, namespace: str) -> None:
    """A deleted pod with a finalizer stays until its owner takes the finalizer away."""
    kubectl.apply(make_pod("kept", 1, finalizers=["example.org/keep"]), make_pod("other", 1))
    eventually(lambda: pod_phase(kubectl, "other") == "Running", "both pods run")
    kubectl("delete", "pod", "kept", "--wait=false", "-n", namespace)
    kubectl("delete", "pod", "other", "-n", namespace)  # kwok has been through its deletions now
    assert kubectl.get("pod", "kept", "-n", namespace)["metadata"]["finalizers"] == ["example.org/keep"]
    kubectl("patch", "pod", "kept", "-n", namespace, "--type=merge", '-p={"metadata":{"finalizers":null}}')
    kubectl("wait", "--for=delete", "pod/kept", "-n", namespace, "--timeout=90s")


def test_a_node_breaks_and_recovers_when_asked(kubectl: Kubectl, namespace: str) -> None:
    """The annotation turns a node NotReady, and its removal turns it Ready; devices stay as they are."""
    eventually(lambda: node_ready(kubectl) == "True", "the node is Ready")
    kubectl("annotate", "node", NODE, "simulate.bitgoeul.dev/not-ready=broken fan")
    eventually(lambda: node_ready(kubectl) == "False", "the node is NotReady")
    kubectl("annotate", "node", NODE, "simulate.bitgoeul.dev/not-ready-")
    eventually(lambda: node_ready(kubectl) == "True", "the node is Ready again")
    assert kubectl.get("node", NODE)["status"]["allocatable"][DEVICE] == "8"


def test_claims_get_volumes(kubectl: Kubectl, namespace: str) -> None:
    """A claim of any class is bound, and its volume goes with it."""
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "control-plane-test"},
        "provisioner": "example.org/disk",
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {
            "storageClassName": "control-plane-test",
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "10Ti"}},
        },
    }
    kubectl.apply(storage_class, claim)
    try:
        bound = eventually(
            lambda: (found := kubectl.get("pvc", "data", "-n", namespace))["status"]["phase"] == "Bound" and found,
            "the claim is bound",
        )
        kubectl("delete", "pvc", "data", "-n", namespace)
        kubectl("wait", "--for=delete", f"pv/{bound['spec']['volumeName']}", "--timeout=90s")
    finally:
        kubectl("delete", "storageclass", "control-plane-test")


def test_the_audit_log_tells_who_wrote(control_plane: ControlPlane, kubectl: Kubectl, namespace: str) -> None:
    """Each component has its own user agent, though all are one binary."""
    kubectl.apply(make_pod("audited", 1))
    eventually(lambda: pod_phase(kubectl, "audited") == "Running", "the pod runs")
    agents = {entry.get("userAgent", "").split("/")[0] for entry in entries(control_plane)}
    writers = {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl"}
    assert writers <= agents
    assert not {agent for agent in agents if "controlplane" in agent}


@pytest.mark.parametrize("component", [name for name in COMPONENTS if name != "etcd"])
def test_a_killed_component_comes_back(control_plane: ControlPlane, kubectl: Kubectl, component: str) -> None:
    """Fault tests kill and start single components; nothing of the cluster's state is lost."""
    kubectl("create", "configmap", "before", "-n", "default")
    try:
        control_plane.kill_component(component)
        control_plane.start_component(component)
        control_plane.wait_ready()
        kubectl("get", "configmap", "before", "-n", "default")
    finally:
        kubectl("delete", "configmap", "before", "-n", "default")
