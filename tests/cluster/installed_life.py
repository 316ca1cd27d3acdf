"""The life of tenants that needs everything the operator may do: the measure of its role."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bitgoeul.api.names import RESUMED_ANNOTATION
from bitgoeul.cluster.kinds import (
    CLUSTER_ROLE,
    DEPLOYMENT,
    MUTATING_POLICY,
    NAMESPACE,
    POD,
    RBAC,
    STATEFUL_SET,
    TENANT_ALLOCATION,
    VALIDATING_POLICY,
    VOLUME_CLAIM,
    Kind,
)
from bitgoeul.desired.tenant_policies import POLICY_NAME
from tests.chart import Manifest
from tests.cluster.installed import GIVEN_ROLE
from tests.cluster.scenario import World, said
from tests.cluster.waiting import eventually

GROUP: Manifest = {"kind": "Group", "name": "blue", "role": "admin"}
USER: Manifest = {"kind": "User", "name": "ara", "role": "admin"}
GUEST: Manifest = {"kind": "User", "name": "bom", "role": "view"}


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def live(world: World) -> str:
    """Play it; gives the name of a tenant that lives on."""
    pool, disk = world.pool(devices=8), world.storage_pool()
    claims = [{"name": "data", "size": "1Ti", "accessModes": ["ReadWriteMany"]}]
    storage = {disk: {"size": "10Ti", "claims": claims}}
    blue = world.active(
        "blue",
        {pool: 4},
        storage,
        members=[GROUP, USER, GUEST],
        window={"duration": "24h"},
        expiry={"grace": "0s"},
        podSecurity={"level": "privileged", "reason": "RDMA needs IPC_LOCK"},
    )
    grow(world, blue, pool)
    give_a_role(world, blue)
    lose_members(world, blue)
    meddle(world, blue, pool)
    suspend_and_resume(world, blue, pool)
    expire(world, blue, disk)
    restore(world, blue, pool, disk)
    end_with_data(world, pool)
    return world.active("green", {pool: 2}, members=[GROUP])


def grow(world: World, blue: str, pool: str) -> None:
    world.pod(blue, "train", pool, 4)
    world.ask(blue, {pool: 6})
    world.await_grant(blue, {pool: 6})


def give_a_role(world: World, blue: str) -> None:
    """Beside the member's own, out of those that the chart allows."""
    rules = [{"apiGroups": ["ray.io"], "resources": ["rayclusters"], "verbs": ["get", "create"]}]
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": GIVEN_ROLE}, "rules": rules}
    world.create(role)
    world.edit(blue, members=[GROUP, USER | {"clusterRoles": [GIVEN_ROLE]}, GUEST])
    eventually(lambda: world.bindings(blue).get(f"bitgoeul:role:{GIVEN_ROLE}") == ["ara"], "ara has the role")
    world.await_status(blue, lambda s: s["phase"] == "Active" and said(s)["Provisioned"][0] == "True", "is settled")


def lose_members(world: World, blue: str) -> None:
    """One of two in a role, then the only one in a role."""
    world.edit(blue, members=[GROUP, GUEST])
    eventually(lambda: world.bindings(blue) == {"bitgoeul:admin": ["blue"], "bitgoeul:view": ["bom"]}, "ara is out")
    world.edit(blue, members=[GROUP])
    eventually(lambda: world.bindings(blue) == {"bitgoeul:admin": ["blue"]}, "bom is out")


def meddle(world: World, blue: str, pool: str) -> None:
    """Somebody edits what the operator keeps; it comes back."""
    defaults = MUTATING_POLICY.path(POLICY_NAME)
    before = world.admin.get(defaults)["spec"]
    world.admin.merge(defaults, {"spec": {"mutations": before["mutations"][:1]}})
    eventually(lambda: world.admin.get(defaults)["spec"] == before, "default requests are back")
    policy = VALIDATING_POLICY.path(f"bitgoeul-pool-{pool}")
    world.admin.merge(policy, {"spec": {"failurePolicy": "Ignore"}})
    eventually(lambda: world.admin.get(policy)["spec"]["failurePolicy"] == "Fail", "the policy is back")
    role = CLUSTER_ROLE.path("bitgoeul:tenant-view")
    wider = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    rules = world.admin.get(role)["rules"]
    world.admin.merge(role, {"rules": [*rules, wider]})
    eventually(lambda: world.admin.get(role)["rules"] == rules, "the role of tenants is back")


def suspend_and_resume(world: World, blue: str, pool: str) -> None:
    """With workloads that have to be told, and a pod that two budgets cover, which can only be deleted."""
    for kind, more in ((DEPLOYMENT, {}), (STATEFUL_SET, {"serviceName": "none"})):
        world.admin.create(kind.path("", blue), workload(kind.kind, more))
    for name in ("first", "second"):
        budget = {"minAvailable": 0, "selector": {"matchLabels": {"covered": "twice"}}}
        body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": budget}
        world.admin.create(f"/apis/policy/v1/namespaces/{blue}/poddisruptionbudgets", body)
    world.admin.merge(POD.path("train", blue), {"metadata": {"labels": {"covered": "twice"}}})
    world.pod(blue, "serve", pool, 1)
    world.edit(blue, suspend=True)
    world.await_phase(blue, "Suspended")
    eventually(lambda: world.pods(blue) == {}, "its pods are gone")
    world.edit(blue, suspend=False)
    world.await_phase(blue, "Active")
    eventually(lambda: all(resumed(world, blue, kind) for kind in (DEPLOYMENT, STATEFUL_SET)), "workloads are told")


def resumed(world: World, namespace: str, kind: Kind) -> bool:
    return RESUMED_ANNOTATION in (world.get(kind, "idle", namespace)["metadata"].get("annotations") or {})


def workload(kind: str, more: Manifest) -> Manifest:
    labels = {"app": "idle"}
    containers = [{"name": "main", "image": "example.org/idle:1"}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template, **more}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "idle"}, "spec": spec}


def expire(world: World, blue: str, disk: str) -> None:
    world.edit(blue, window={"duration": None, "end": soon(2)})
    status = world.await_phase(blue, "Expired")
    assert status["grant"]["storage"] == {disk: "1Ti"}


def restore(world: World, blue: str, pool: str, disk: str) -> None:
    """Deleted with its data kept, and taken over by a new one of the same name."""
    uid = world.get(TENANT_ALLOCATION, blue)["metadata"]["uid"]
    world.delete(TENANT_ALLOCATION, blue)
    world.await_gone(TENANT_ALLOCATION, blue)
    kept = world.get(VOLUME_CLAIM, "data", blue)["metadata"]["uid"]
    again = world.active("blue", {pool: 2}, {disk: "10Ti"}, members=[GROUP], restoreFrom=uid)
    assert again == blue
    assert world.get(VOLUME_CLAIM, "data", blue)["metadata"]["uid"] == kept
    assert world.bindings(blue) == {"bitgoeul:admin": ["blue"]}


def end_with_data(world: World, pool: str) -> None:
    """One whose last member leaves, and whose data goes with it."""
    red = world.active("red", {pool: 1}, members=[GUEST], expiry={"deletionPolicy": "Delete"})
    reader = CLUSTER_ROLE.path(f"bitgoeul:allocation:{red}")
    assert world.admin.find(reader) is not None
    world.edit(red, members=[])
    eventually(lambda: world.admin.find(reader) is None, "nobody is left to read it")
    world.delete(TENANT_ALLOCATION, red)
    world.await_gone(NAMESPACE, red)
