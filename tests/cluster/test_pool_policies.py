"""The pods of a pool stay on the nodes of that pool, also where two pools share a resource name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec
from bitgoeul.api.names import ACCELERATOR_POOLS
from bitgoeul.desired.admission_policies import build_pool_policies, build_proof_pod, policy_acts
from bitgoeul.desired.drift import differs
from bitgoeul.desired.trial_pod import TrialPod
from bitgoeul.desired.world import Manifest, NamespaceTarget
from bitgoeul.local.nodes import NodeShape, Taint, build_node
from tests.cluster.desired_tenancy import (
    GPU,
    NPU,
    POOLS,
    PRODUCT,
    Tenant,
    apply,
    apply_crd,
    create,
    make_pod,
    refusal,
    store_pool,
    tenants,
)
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import eventually
from tests.unit.desired_objects import make_pool

# Nobody gets onto the A100 nodes without the pool's tolerations.
TAINTS = {"a100": (Taint(GPU, "", "NoSchedule"), Taint("desired.example/spot", "yes", "NoExecute"))}
SPACES = {"a100": "desired-blue", "h100": "desired-green"}
TOLERATION = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
ONE = {"resources": {"limits": {GPU: "1"}}}


def node_of(pool: str) -> str:
    """The name of the pool's one node."""
    return f"desired-{pool}"


@pytest.fixture(scope="module")
def tenant(kubectl: Kubectl) -> Iterator[Tenant]:
    """A node, a pool and its policies for each of the pools, and namespaces blue with A100, green with H100."""
    apply_crd(kubectl, ACCELERATOR_POOLS)
    shapes = {
        pool: NodeShape(
            devices={spec.resource_name: "64"}, labels=spec.node_selector, taints=TAINTS.get(pool, ()), cpu="512"
        )
        for pool, spec in POOLS.items()
    }
    create(kubectl, *(build_node(node_of(pool), shape) for pool, shape in shapes.items()))
    policies = {name: build_pool_policies(name, spec, store_pool(kubectl, name, spec)) for name, spec in POOLS.items()}
    apply(kubectl, *(policy for of_pool in policies.values() for policy in of_pool))
    with tenants(kubectl) as make:
        for namespace, devices in {"blue": {"a100": 32, "npu": 8}, "green": {"h100": 32}}.items():
            make(namespace, devices=devices)
        for pool, namespace in SPACES.items():
            eventually(lambda: policy_acts(prove(kubectl, namespace), POOLS[pool]), f"{pool}'s policy acts")  # noqa: B023
        npu = POOLS["npu"]
        eventually(lambda: policy_acts(prove(kubectl, SPACES["a100"], npu), npu), "the NPU's policy acts")
        yield make
    for name, of_pool in policies.items():
        kubectl("delete", ",".join(policy["kind"].lower() for policy in of_pool), f"bitgoeul-pool-{name}")
    kubectl("delete", "acceleratorpool", *POOLS)
    kubectl("delete", "node", *(node_of(pool) for pool in POOLS))


def prove(kubectl: Kubectl, namespace: str, pool: AcceleratorPoolSpec = POOLS["a100"]) -> Manifest:
    """The proof pod as it comes back from a dry run."""
    proof = json.dumps(build_proof_pod(NamespaceTarget(namespace, "", ""), pool, TrialPod()))
    answer: Manifest = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=proof).stdout)
    return answer


def placed(kubectl: Kubectl, namespace: str, name: str) -> str:
    """The node that the scheduler chose."""

    def node() -> str:
        found: str = kubectl.get("pod", name, "-n", namespace)["spec"].get("nodeName", "")
        return found

    return eventually(node, f"pod {name} is placed")


@pytest.mark.parametrize("pool", ["a100", "h100"])
@pytest.mark.parametrize(
    ("name", "spec"),
    [
        pytest.param("plain", {}, id="a plain pod"),
        pytest.param("empty", {"nodeSelector": {}}, id="an empty nodeSelector"),
        pytest.param("other", {"nodeSelector": {"kubernetes.io/os": "linux"}}, id="a nodeSelector about other things"),
        pytest.param(
            "init",
            {
                "containers": [{"name": "main", "image": "example.org/serve:1"}],
                "initContainers": [{"name": "load", "image": "example.org/load:1", **ONE}],
            },
            id="an init container alone",
        ),
    ],
)
def test_pods_land_in_their_pool(kubectl: Kubectl, tenant: Tenant, pool: str, name: str, spec: dict[str, Any]) -> None:
    """Two pools share nvidia.com/gpu; the namespace decides whose nodes a pod gets."""
    create(kubectl, make_pod(name, SPACES[pool], {GPU: "1"}, **spec))
    assert placed(kubectl, SPACES[pool], name) == node_of(pool)


def test_pods_of_a_deployment_land_in_their_pool(kubectl: Kubectl, tenant: Tenant) -> None:
    """Pods that a controller makes are placed like those of a person."""
    create(kubectl, deployment("train", {}))

    def nodes() -> set[str]:
        pods = kubectl.get("pods", "-n", SPACES["a100"], "-l", "app=train")["items"]
        return {pod["spec"].get("nodeName", "") for pod in pods}

    eventually(lambda: nodes() == {node_of("a100")}, "the deployment's pods are placed")


def test_a_namespace_may_have_pools_of_different_devices(kubectl: Kubectl, tenant: Tenant) -> None:
    """The NPU's policy acts beside the A100's, and each only on its own devices."""
    create(kubectl, make_pod("npu", SPACES["a100"], {NPU: "1"}))
    assert placed(kubectl, SPACES["a100"], "npu") == node_of("npu")


@pytest.mark.parametrize("devices", [pytest.param({}, id="no devices"), pytest.param({GPU: "0"}, id="a quantity of 0")])
def test_pods_without_devices_are_left_alone(kubectl: Kubectl, tenant: Tenant, devices: dict[str, str]) -> None:
    """Who asks for nothing may run anywhere, and gets none of the pool's tolerations."""
    pod = json.dumps(make_pod("idle", SPACES["a100"], devices))
    answer = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=pod).stdout)
    assert "nodeSelector" not in answer["spec"]
    assert {one["key"].split("/")[0] for one in answer["spec"]["tolerations"]} == {"node.kubernetes.io"}


def test_tolerations_are_completed_not_repeated(kubectl: Kubectl, tenant: Tenant) -> None:
    """A pod that has one of two tolerations gets the other one, and keeps its own."""
    own = {"key": "desired.example/own", "operator": "Exists"}
    pod = make_pod("tolerant", SPACES["a100"], {GPU: "1"}, tolerations=[own, TOLERATION])
    answer = json.loads(kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(pod)).stdout)
    keys = [one["key"] for one in answer["spec"]["tolerations"] if not one["key"].startswith("node.kubernetes.io")]
    assert keys == ["desired.example/own", GPU, "desired.example/spot"]
    assert policy_acts(answer, POOLS["a100"])


@pytest.mark.parametrize(
    ("spec", "way_out"),
    [
        pytest.param({"nodeSelector": {PRODUCT: "H100"}}, "leave nodeSelector out", id="another pool's label"),
        pytest.param(
            {"nodeSelector": {"desired.example/zone": "b"}}, "leave nodeSelector out", id="one label of several"
        ),
        pytest.param({"nodeName": "desired-h100"}, "leave nodeName out", id="a node chosen past the scheduler"),
    ],
)
def test_contradiction_is_refused(kubectl: Kubectl, tenant: Tenant, spec: dict[str, Any], way_out: str) -> None:
    """The refusal names the pool, the devices and what to do."""
    said = refusal(kubectl, make_pod("contrary", SPACES["a100"], {GPU: "1"}, **spec))
    assert "denied request: pool a100: " in said
    assert GPU in said
    assert way_out in said


def test_deployment_says_why_it_has_no_pods(kubectl: Kubectl, tenant: Tenant) -> None:
    """Whoever looks at the Deployment finds the pool's message there."""
    create(kubectl, deployment("contrary", {"nodeSelector": {PRODUCT: "H100"}}))

    def failure() -> dict[str, Any]:
        status = kubectl.get("deployment", "contrary", "-n", SPACES["a100"]).get("status", {})
        return next((one for one in status.get("conditions", ()) if one["type"] == "ReplicaFailure"), {})

    condition = eventually(failure, "the deployment reports a failure")
    assert condition["reason"] == "FailedCreate"
    assert "pool a100: " in condition["message"]


def test_two_pools_of_one_resource_fail_closed(kubectl: Kubectl, tenant: Tenant) -> None:
    """A namespace that carries both labels by mistake gets no pod, rather than one on either pool's nodes."""
    both = tenant("both", devices={"a100": 1, "h100": 1})
    said = refusal(kubectl, make_pod("torn", both.name, {GPU: "1"}))
    assert "denied request: pool " in said
    create(kubectl, make_pod("idle", both.name))


def test_exception_added_to_a_policy_is_taken_back(kubectl: Kubectl, tenant: Tenant) -> None:
    """An exemption is an edit of the policy or its binding, although no field of ours changed."""
    uid = store_pool(kubectl, "npu", POOLS["npu"])
    exemption = [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*"}
    ]
    for policy in build_pool_policies("npu", POOLS["npu"], uid):
        place = "matchResources" if policy["kind"].endswith("Binding") else "matchConstraints"
        patch = {"spec": {place: {"excludeResourceRules": exemption, "objectSelector": {"matchLabels": {"a": "b"}}}}}
        kind = policy["kind"].lower()
        kubectl("patch", kind, "bitgoeul-pool-npu", "--type=merge", "-p", json.dumps(patch))
        assert differs(policy, kubectl.get(kind, "bitgoeul-pool-npu"))
        (repaired,) = apply(kubectl, policy)
        assert not differs(policy, repaired)
        assert "excludeResourceRules" not in repaired["spec"][place]
        assert repaired["spec"][place]["objectSelector"] == {}


def test_policies_go_with_their_pool(kubectl: Kubectl, tenant: Tenant) -> None:
    """Nothing of a deleted pool keeps acting on pods."""
    spec = make_pool("example.org/passing")
    policies = build_pool_policies("passing", spec, store_pool(kubectl, "passing", spec))
    apply(kubectl, *policies)
    kubectl("delete", "acceleratorpool", "passing")
    kinds = ",".join(policy["kind"].lower() for policy in policies)

    def gone() -> bool:
        left = kubectl.get(kinds)["items"]
        return not [one for one in left if one["metadata"]["name"] == "bitgoeul-pool-passing"]

    eventually(gone, "the policies are collected", seconds=180)


def deployment(name: str, spec: dict[str, Any]) -> Manifest:
    """Two pods with a device each, in the namespace that has A100."""
    template = make_pod("", SPACES["a100"], {GPU: "1"}, **spec)["spec"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SPACES["a100"]},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": template},
        },
    }
