"""What we reckon that a pod takes is what the API server charges for it, whatever the pod is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bitgoeul.api.quantities import parse_quantity
from bitgoeul.cluster.kinds import NAMESPACE, POD, RESOURCE_QUOTA
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.planning.pods import devices_of
from tests.cluster.admin import Admin, Manifest
from tests.cluster.waiting import eventually

RESOURCES = ("a.example.com/x", "b.example.com/x")
REQUESTED = re.compile(r"requests\.([ab]\.example\.com/x)=([0-9kKMGmei.]+)(?=[,\s])")
NAME = "pod-arithmetic"
RUNTIMES = "/apis/node.k8s.io/v1/runtimeclasses"

amounts: st.SearchStrategy[str] = st.sampled_from(["0", "1", "2", "3", "7", "1k", "2e0", "1Ki", "3.0", "4000m"])
devices = st.dictionaries(st.sampled_from(RESOURCES), amounts, max_size=2)


@st.composite
def resources(draw: st.DrawFn) -> Manifest:
    """What a container states: a limit, with or without the same request."""
    limits: dict[str, str] = draw(devices)
    stated: Manifest = {"limits": limits} if limits else {}
    repeated: bool = draw(st.booleans())
    if limits and repeated:
        stated["requests"] = dict(limits)
    if draw(st.booleans()):
        stated.setdefault("requests", dict(limits))["cpu"] = "10m"
    return stated


@st.composite
def pods(draw: st.DrawFn) -> Manifest:
    """A pod of containers, init containers and sidecars, perhaps with requests of its own and of its runtime."""
    containers = [container(f"c{n}", draw(resources())) for n in range(draw(st.integers(1, 3)))]
    init = []
    for number in range(draw(st.integers(0, 4))):
        one = container(f"i{number}", draw(resources()))
        init.append({**one, "restartPolicy": "Always"} if draw(st.booleans()) else one)
    spec: Manifest = {"containers": containers, "initContainers": init}
    if draw(st.booleans()):
        spec["resources"] = {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    if draw(st.booleans()):
        spec["runtimeClassName"] = NAME
    return spec


def container(name: str, stated: Manifest) -> Manifest:
    return {"name": name, "image": "example.org/train:1", "resources": stated}


def sidecar(name: str, stated: Manifest) -> Manifest:
    return {**container(name, stated), "restartPolicy": "Always"}


def of_x(amount: str) -> Manifest:
    return {"limits": {RESOURCES[0]: amount}}


@pytest.fixture(scope="module")
def closed(control_plane: ControlPlane) -> Iterator[Admin]:
    """A namespace, of nobody, whose quota admits no device at all, and a runtime that takes one for itself."""
    with closing(Admin(control_plane)) as admin:
        admin.create(NAMESPACE.path(), {"metadata": {"name": NAME}})
        hard = {f"requests.{resource}": "0" for resource in RESOURCES}
        admin.create(RESOURCE_QUOTA.path("", NAME), {"metadata": {"name": "none"}, "spec": {"hard": hard}})
        quota = RESOURCE_QUOTA.path("none", NAME)
        eventually(lambda: admin.get(quota)["status"]["hard"] == hard, "the quota is enforced")
        overhead = {"overhead": {"podFixed": {RESOURCES[1]: "1", "cpu": "10m"}}}
        admin.create(RUNTIMES, {"metadata": {"name": NAME}, "handler": "none", **overhead})
        account = f"/api/v1/namespaces/{NAME}/serviceaccounts/default"
        eventually(lambda: admin.find(account), "pods can have a service account")
        eventually(lambda: charged(admin, {"containers": [container("c", of_x("5"))]}), "pods are charged")
        yield admin
        admin.delete(f"{RUNTIMES}/{NAME}")
        admin.delete(NAMESPACE.path(NAME))


def charged(admin: Admin, spec: Manifest) -> dict[str, int]:
    """The devices that the quota wants for a pod: what it says against it; nothing against one that takes none."""
    pod = {"metadata": {"name": "asked"}, "spec": spec}
    status, answer = admin.request("POST", f"{POD.path('', NAME)}?dryRun=All", pod)
    assert status == 201 or "exceeded quota" in answer["message"], answer
    if status == 201:
        return {}
    asked, _, _ = answer["message"].partition(" used: ")
    return {resource: int(parse_quantity(amount)) for resource, amount in REQUESTED.findall(asked)}


def reckoned(spec: Manifest) -> dict[str, int]:
    """What we reckon for the pod as it would be stored."""
    overhead: dict[str, Any] = {"overhead": {RESOURCES[1]: "1", "cpu": "10m"}} if "runtimeClassName" in spec else {}
    return {name: amount for name, amount in devices_of({"spec": {**spec, **overhead}}).items() if amount}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pods())
@example({"containers": [container("c", of_x("1"))], "initContainers": [sidecar("s", of_x("2"))]})
@example(
    {
        "containers": [container("c", of_x("1"))],
        "initContainers": [sidecar("s", of_x("2")), container("i", of_x("3")), sidecar("t", of_x("1"))],
    }
)
@example({"containers": [container("c", of_x("1k"))], "initContainers": [container("i", of_x("2e0"))]})
@example({"containers": [container("c", {})], "runtimeClassName": NAME})
def test_devices_are_reckoned_as_the_quota_does(closed: Admin, spec: Manifest) -> None:
    """Also with sidecars, init containers, overhead, pod-level requests, and however a number is written."""
    assert reckoned(spec) == charged(closed, spec)
