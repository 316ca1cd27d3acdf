"""What a tenant namespace holds and what it refuses, in the words of the API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bitgoeul.desired.resource_quota import build_resource_quota
from bitgoeul.desired.world import Manifest
from tests.cluster.desired_tenancy import (
    GPU,
    NPU,
    WORLD,
    Tenant,
    apply,
    await_quota,
    await_refusal,
    create,
    make_pod,
    refusal,
    tenant_policies,
    tenants,
)
from tests.cluster.kubectl import Kubectl
from tests.cluster.waiting import eventually

BLUE = "desired-limits"


@pytest.fixture(scope="module")
def tenant(kubectl: Kubectl) -> Iterator[Tenant]:
    """A namespace with 2 A100, a little compute and 2Ti of lustre."""
    with tenants(kubectl) as make:
        make("limits", devices={"a100": 2}, storage={"lustre": 2 * 2**40}, cpu_millis=64_000, memory_bytes=512 * 2**30)
        with tenant_policies(kubectl, BLUE):
            yield make


def make_claim(name: str, size: str, storage_class: str | None) -> Manifest:
    """A volume claim; None: it names no class."""
    spec: Manifest = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": size}}}
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": BLUE},
        "spec": spec,
    }


def make_service(name: str, **spec: Any) -> Manifest:
    """A service on port 80."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": BLUE},
        "spec": {"ports": [{"port": 80}], "selector": {"app": name}, **spec},
    }


@pytest.mark.parametrize(
    ("name", "devices", "reason"),
    [
        pytest.param("npu", {NPU: "1"}, "requests.furiosa.ai/npu=1, used", id="a pool that gives nothing"),
        pytest.param("many", {GPU: "3"}, "requests.nvidia.com/gpu=3, used", id="one device too many"),
    ],
)
def test_devices_beyond_the_grant_are_refused(
    kubectl: Kubectl, tenant: Tenant, name: str, devices: dict[str, str], reason: str
) -> None:
    """The quota says which key was exceeded, and by how much."""
    said = refusal(kubectl, make_pod(name, BLUE, devices))
    assert "exceeded quota: bitgoeul" in said
    assert f"requested: {reason}" in said


def test_granted_devices_are_admitted(kubectl: Kubectl, tenant: Tenant) -> None:
    """The whole grant can be used in one pod."""
    create(kubectl, make_pod("whole", BLUE, {GPU: "2"}))
    kubectl("delete", "pod", "whole", "-n", BLUE)


@pytest.mark.parametrize(
    ("name", "storage_class", "key"),
    [
        pytest.param("nvme", "nvme", "nvme.storageclass.storage.k8s.io/requests.storage", id="another pool's class"),
        pytest.param("unknown", "unknown", "requests.storage", id="a class of no pool, beyond the total"),
        pytest.param("none", "", "requests.storage", id="an empty class"),
        pytest.param("unnamed", None, "requests.storage", id="no class"),
        pytest.param("large", "lustre", "lustre.storageclass.storage.k8s.io/requests.storage", id="more than granted"),
    ],
)
def test_storage_beyond_the_grant_is_refused(
    kubectl: Kubectl, tenant: Tenant, name: str, storage_class: str | None, key: str
) -> None:
    """A claim fits its class and the total, or is refused."""
    said = refusal(kubectl, make_claim(name, "3Ti", storage_class))
    assert "exceeded quota: bitgoeul" in said
    assert f"{key}=3Ti" in said


def test_granted_storage_is_admitted(kubectl: Kubectl, tenant: Tenant) -> None:
    """A claim of the granted class and size is stored."""
    create(kubectl, make_claim("data", "2Ti", "lustre"))


@pytest.mark.parametrize(
    ("name", "spec", "key"),
    [
        pytest.param("port", {"type": "NodePort"}, "services.nodeports=1", id="a port on every node"),
        pytest.param("outside", {"type": "LoadBalancer"}, "services.loadbalancers=1", id="an outside address"),
    ],
)
def test_services_stay_inside(kubectl: Kubectl, tenant: Tenant, name: str, spec: dict[str, Any], key: str) -> None:
    """What opens the cluster to the outside has a quota of 0; a plain service is fine."""
    assert key in refusal(kubectl, make_service(name, **spec))
    create(kubectl, make_service(f"plain-{name}"))


def test_devices_by_claim_are_refused(kubectl: Kubectl, tenant: Tenant) -> None:
    """There is no grant by resource claim yet, so the road is closed, also to whoever may create claims."""
    claim = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": "aside", "namespace": BLUE},
        "spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.org"}}]}},
    }
    assert "count/resourceclaims.resource.k8s.io=1" in refusal(kubectl, claim)


def test_draining_namespace_admits_no_pod(kubectl: Kubectl, tenant: Tenant) -> None:
    """With the quota of a draining namespace no pod starts, whatever it asks for; afterwards it does again."""
    target = tenant("drain", devices={"a100": 2})
    create(kubectl, make_pod("before", target.name, {GPU: "1"}))
    closed = replace(target, closed=True)
    apply(kubectl, build_resource_quota(closed, WORLD))
    await_quota(kubectl, target.name)
    closed_now = "pods=1, used: pods=1, limited: pods=0"
    assert closed_now in await_refusal(kubectl, make_pod("late", target.name), closed_now)
    apply(kubectl, build_resource_quota(target, WORLD))
    await_quota(kubectl, target.name)

    def admitted() -> bool:
        create(kubectl, make_pod("after", target.name, {GPU: "1"}))
        return True

    eventually(admitted, "afterwards it does again")


def test_retained_namespace_takes_nothing(kubectl: Kubectl, tenant: Tenant) -> None:
    """Kept data stays; nothing is added, not even a ConfigMap."""
    target = tenant("kept", storage={"lustre": 2**40})
    apply(kubectl, build_resource_quota(replace(target, retained=True), WORLD))
    await_quota(kubectl, target.name)
    note = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note", "namespace": target.name}}
    assert "exceeded quota" in await_refusal(kubectl, note, "exceeded quota")
