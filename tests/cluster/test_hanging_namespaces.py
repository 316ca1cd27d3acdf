"""Devices are free when quota and pods are gone, whatever else holds a namespace that is being deleted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bitgoeul.cluster.kinds import NAMESPACE, TENANT_ALLOCATION, VOLUME_CLAIM
from tests.cluster.api_objects import make_claim
from tests.cluster.asking import Asker
from tests.cluster.scenario import World, condition, is_true
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.asking_fixtures"]

MEMBERS = [{"kind": "User", "name": "ann@example.org", "role": "admin"}]
HOLD = "example.org/hold"
DELETE = {"deletionPolicy": "Delete"}
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


def hold(world: World, namespace: str) -> str:
    """A ConfigMap that somebody else's controller would have to release; gives its path."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    world.admin.create(path, {"metadata": {"name": "held", "finalizers": [HOLD]}})
    return f"{path}/held"


def release(world: World, path: str) -> None:
    world.admin.merge(path, {"metadata": {"finalizers": None}})


def test_a_deleted_allocation_gives_devices_back_while_its_namespace_hangs(world: World, asker: Asker) -> None:
    """Who waits gets them; the message quotes the namespace, and the advice is about what holds it."""
    pool = world.pool(devices=4)
    blue = world.active("blue", {pool: 4}, members=MEMBERS, expiry=DELETE)
    green = world.allocate("green", {pool: 4})
    world.await_phase(green, "Waiting")
    held = hold(world, blue)
    world.delete(TENANT_ALLOCATION, blue)
    world.await_phase(green, "Active")
    assert world.grant(blue) == {}
    told = world.await_status(
        blue, lambda s: "NamespaceFinalizersRemaining" in condition(s, "Ready")["message"], "quotes its namespace"
    )
    assert condition(told, "Ready")["message"].startswith(f"namespace {blue} is being deleted; Namespace")
    assert HOLD in condition(told, "Ready")["message"]
    why = asker.json("why", blue)
    assert (why["turn"], why["next"]) == ("platform engineer", f"kubectl get namespace {blue} -o yaml")
    assert "NamespaceFinalizersRemaining" in why["message"]
    assert world.find(TENANT_ALLOCATION, blue) is not None
    release(world, held)
    world.await_gone(TENANT_ALLOCATION, blue)


@pytest.fixture
def unserved(world: World) -> Iterator[str]:
    """An APIService without endpoints, as metrics-server leaves one behind: no namespace of the cluster goes then."""
    group = f"{world.suffix}.example.org"
    service = {"name": "nobody", "namespace": "kube-system", "port": 443}
    spec = {"group": group, "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100, "service": service}
    metadata = {"name": f"v1.{group}"}
    world.admin.create(API_SERVICES, {"metadata": metadata, "spec": {**spec, "insecureSkipTLSVerify": True}})
    yield group
    world.admin.delete(f"{API_SERVICES}/v1.{group}")


def test_an_api_that_nobody_serves_holds_no_devices(world: World, asker: Asker, unserved: str) -> None:
    """It holds every namespace of the cluster; the advice leads to it."""
    pool = world.pool(devices=4)
    blue = world.active("blue", {pool: 4}, expiry=DELETE)
    world.delete(TENANT_ALLOCATION, blue)
    world.await_status(
        blue,
        lambda s: "NamespaceDeletionDiscoveryFailure: " in condition(s, "Ready")["message"],
        "quotes its namespace",
    )
    world.await_devices(pool, granted=0, available=4)
    why = asker.json("why", blue)
    assert (why["turn"], why["next"]) == ("platform engineer", "kubectl get apiservice")
    world.admin.delete(f"{API_SERVICES}/v1.{unserved}")
    world.await_gone(TENANT_ALLOCATION, blue)


def test_a_claim_that_hangs_keeps_its_storage_and_no_devices(world: World) -> None:
    """What a volume holds is held until the claim is gone."""
    pool, disk = world.pool(devices=4), world.storage_pool()
    storage = {disk: {"size": "10Ti", "claims": [make_claim("data", "2Ti")]}}
    blue = world.active("blue", {pool: 4}, storage, expiry=DELETE)
    claim = VOLUME_CLAIM.path("data", blue)
    world.admin.merge(claim, {"metadata": {"finalizers": [HOLD]}})
    world.delete(TENANT_ALLOCATION, blue)
    world.await_devices(pool, granted=0, available=4)
    world.await_status(blue, lambda s: s["grant"] == {"accelerators": {}, "storage": {disk: "2Ti"}}, "keeps storage")
    release(world, claim)
    world.await_gone(TENANT_ALLOCATION, blue)
    assert world.storage_status(disk)["bytes"]["granted"] == 0


def test_data_that_is_deleted_after_the_end_is_charged_until_it_is_gone(world: World) -> None:
    """Also where the namespace hangs, and its quota is gone long before the claim."""
    pool, disk = world.pool(devices=4), world.storage_pool()
    storage = {disk: {"size": "10Ti", "claims": [make_claim("data", "2Ti")]}}
    expiry = {**DELETE, "grace": "0s", "retention": "0s"}
    blue = world.active("blue", {pool: 4}, storage, window={"duration": "24h"}, expiry=expiry)
    claim = VOLUME_CLAIM.path("data", blue)
    world.admin.merge(claim, {"metadata": {"finalizers": [HOLD]}})
    world.edit(blue, window={"duration": "1s"})
    world.await_status(
        blue, lambda s: f"namespace {blue} is being deleted" in condition(s, "Ready")["message"], "tells what it does"
    )
    eventually(lambda: not quota_of(world, blue), "the quota is gone")
    world.await_status(blue, lambda s: s["grant"] == {"accelerators": {}, "storage": {disk: "2Ti"}}, "keeps storage")
    world.await_devices(pool, granted=0, available=4)
    release(world, claim)
    world.await_phase(blue, "Reclaimed")


def quota_of(world: World, namespace: str) -> list[str]:
    items = world.admin.items(f"/api/v1/namespaces/{namespace}/resourcequotas")
    return [item["metadata"]["name"] for item in items]


def test_a_namespace_that_is_left_and_hangs_keeps_nobody_else_waiting(world: World) -> None:
    """The others of the allocation are Ready and have its share; only the message tells."""
    pool = world.pool(devices=4)
    one, two = world.name("one"), world.name("two")
    shares = [{"name": one, "accelerators": {pool: 2}}, {"name": two, "accelerators": {pool: 2}}]
    blue = world.active("blue", {pool: 4}, namespaces=shares, members=MEMBERS, expiry=DELETE)
    held = hold(world, two)
    world.edit(blue, namespaces=[{"name": one, "accelerators": {pool: 4}}])
    world.await_limit(one, pool, 4)
    told = world.await_status(
        blue, lambda s: f"namespace {two} is being deleted" in condition(s, "Reconciling")["message"], "tells of it"
    )
    assert is_true(told, "Ready")
    release(world, held)
    world.await_gone(NAMESPACE, two)
    world.await_grant(blue, {pool: 4})


def test_a_shrink_does_not_wait_for_a_namespace_that_hangs(world: World) -> None:
    """Somebody has deleted it while the grant is in force: what is no longer asked for goes to others."""
    pool = world.pool(devices=4)
    blue = world.active("blue", {pool: 4}, members=MEMBERS)
    held = hold(world, blue)
    world.delete(NAMESPACE, blue)
    told = world.await_reason(blue, "Ready", "NamespaceTerminating")
    assert "will be made again" in told["message"]
    world.ask(blue, {pool: 1})
    world.await_devices(pool, granted=1, available=3)
    world.await_status(
        blue, lambda s: "NamespaceFinalizersRemaining" in condition(s, "Ready")["message"], "quotes its namespace"
    )
    release(world, held)
    world.await_grant(blue, {pool: 1})
