"""The pools and tenant namespaces of the tests of what is desired, put in place as the operator would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from bitgoeul.api import names
from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec
from bitgoeul.api.crd import render_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.desired.namespace import build_namespace
from bitgoeul.desired.resource_quota import build_resource_quota, empty_hard
from bitgoeul.desired.tenant_policies import (
    POLICY_NAME,
    build_tenant_policies,
    build_tenant_proof_pod,
    refused_for_grace,
)
from bitgoeul.desired.trial_pod import TrialPod
from bitgoeul.desired.world import Manifest, NamespaceTarget, World
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import eventually
from tests.unit.desired_objects import make_pool, make_storage

GPU = "nvidia.com/gpu"
NPU = "furiosa.ai/npu"
PRODUCT = "desired.example/product"

POOLS = {
    "a100": make_pool(
        GPU,
        # Valid label values, if odd ones: dots and underscores, what looks like a boolean, and nothing.
        nodeSelector={PRODUCT: "A100_SXM4.80GB", "desired.example/mig": "true", "desired.example/zone": ""},
        tolerations=[
            {"key": GPU, "operator": "Exists", "effect": "NoSchedule"},
            {"key": "desired.example/spot", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 3600},
        ],
    ),
    "h100": make_pool(GPU, nodeSelector={PRODUCT: "H100"}),
    "npu": make_pool(NPU, type="NPU", nodeSelector={PRODUCT: "warboy"}),
}
WORLD = World(accelerators=POOLS, storage={"lustre": make_storage("lustre"), "nvme": make_storage("nvme")})

Tenant = Callable[..., NamespaceTarget]


def apply(kubectl: Kubectl, *objects: Manifest) -> list[Manifest]:
    """Server-side apply as the operator does it; gives the stored objects in the same order."""
    arguments = ("--server-side", f"--field-manager={names.FIELD_MANAGER}", "--force-conflicts", "-o", "json")
    stored: Manifest = json.loads(kubectl.apply(*objects, arguments=arguments).stdout)
    items: list[Manifest] = stored["items"] if stored["kind"] == "List" else [stored]
    return items


def create(kubectl: Kubectl, *objects: Manifest, **options: Any) -> None:
    """POST objects; a refusal is an AssertionError with the server's text."""
    kubectl("create", "-f", "-", stdin="---\n".join(json.dumps(one) + "\n" for one in objects), **options)


def refusal(kubectl: Kubectl, manifest: Manifest, **options: Any) -> str:
    """What the API server says against creating this; empty when it was created."""
    return kubectl("create", "-f", "-", stdin=json.dumps(manifest), check=False, **options).stderr


def await_refusal(kubectl: Kubectl, manifest: Manifest, text: str) -> str:
    """
    Wait until the API server would refuse this with a text, then have it refused; gives what it says.

    Admission goes by what the API server has seen of quotas and limits, which is a little behind what is stored.
    """

    def refused() -> bool:
        dry = kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest), check=False)
        assert text in dry.stderr, dry
        return True

    eventually(refused, f"it is refused: {text}")
    return refusal(kubectl, manifest)


def apply_crd(kubectl: Kubectl, plural: str) -> None:
    """Put one of our kinds in place, as it is generated now."""
    (kind,) = (kind for kind in KINDS if kind.plural == plural)
    kubectl("apply", "--server-side", "-f", "-", stdin=render_crd(kind))
    kubectl("wait", "--for=condition=Established", "crd", f"{plural}.{names.GROUP}")


def store_pool(kubectl: Kubectl, name: str, spec: AcceleratorPoolSpec) -> str:
    """Create an AcceleratorPool and give its UID: objects whose owner does not exist are collected as garbage."""
    body = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    kind = {"apiVersion": names.API_VERSION, "kind": "AcceleratorPool"}
    (stored,) = apply(kubectl, {**kind, "metadata": {"name": name}, "spec": body})
    uid: str = stored["metadata"]["uid"]
    return uid


@contextmanager
def tenants(kubectl: Kubectl) -> Iterator[Tenant]:
    """Gives a function that makes a namespace with its quota; all of them go at the end."""
    made: list[str] = []

    def make(name: str, **holdings: Any) -> NamespaceTarget:
        target = NamespaceTarget(name=f"desired-{name}", allocation=name, uid="an-allocation", **holdings)
        create(kubectl, build_namespace(target))
        made.append(target.name)
        quota = build_resource_quota(target, WORLD)
        apply(kubectl, empty_hard(quota))
        apply(kubectl, quota)
        await_quota(kubectl, target.name)
        eventually(
            lambda: kubectl.get("serviceaccount", "default", "-n", target.name), "pods can have a service account"
        )
        return target

    try:
        yield make
    finally:
        if made:
            kubectl("delete", "namespace", "--wait=false", *made)


@contextmanager
def tenant_policies(kubectl: Kubectl, namespace: str) -> Iterator[None]:
    """The admission policies of all tenants, seen to act in one of their namespaces; they go at the end."""
    policies = build_tenant_policies()
    apply(kubectl, *policies)
    proof = build_tenant_proof_pod(namespace, TrialPod())
    eventually(lambda: refused_for_grace(refusal(kubectl, proof)), "the policies of tenants act")
    try:
        yield
    finally:
        kubectl("delete", ",".join(policy["kind"].lower() for policy in policies), POLICY_NAME, "--ignore-not-found")


def await_quota(kubectl: Kubectl, namespace: str) -> None:
    """Wait until the quota is enforced: admission reads what status says."""

    def enforced() -> bool:
        quota = kubectl.get("resourcequota", names.QUOTA_NAME, "-n", namespace)
        return bool(quota["spec"]["hard"] == quota["status"].get("hard"))

    eventually(enforced, f"the quota of {namespace} is enforced")


def make_pod(name: str, namespace: str, devices: dict[str, str] | None = None, **spec: Any) -> Manifest:
    """A pod whose one container asks for these devices; further fields of its spec as they are."""
    container = {"name": "main", "image": "example.org/train:1", "resources": {"limits": devices or {}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }
