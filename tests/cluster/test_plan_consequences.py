"""What plan says that an edit would do is what the edit does, and nothing is done before."""

from __future__ import annotations

import json
from typing import Any

from bitgoeul.cluster.kinds import ACCELERATOR_POOL, NAMESPACE, TENANT_ALLOCATION
from tests.cluster.api_objects import Manifest, make
from tests.cluster.asking import Asker, hours_ahead
from tests.cluster.faults import Finished
from tests.cluster.scenario import World
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.asking_fixtures"]

MEMBERS = [
    {"kind": "User", "name": "kim@example.org", "role": "admin"},
    {"kind": "Group", "name": "example", "role": "edit"},
]


def holder(world: World, pool: str, disk: str) -> str:
    """An allocation in force in two namespaces, with three pods and a claim."""
    train, dev = world.name("train"), world.name("dev")
    claim = {"name": "data", "namespace": dev, "size": "1Ti", "accessModes": ["ReadWriteOnce"]}
    name = world.active(
        "holder",
        {pool: 4},
        {disk: {"size": "4Ti", "claims": [claim]}},
        namespaces=[
            {"name": train, "accelerators": {pool: 3}, "storage": {disk: "3Ti"}},
            {"name": dev, "accelerators": {pool: 1}, "storage": {disk: "1Ti"}},
        ],
        members=MEMBERS,
        window={"end": hours_ahead(240)},
        expiry={"grace": "0s"},
    )
    for pod in ("one", "two"):
        world.pod(train, pod, pool, 1)
    world.pod(dev, "three", pool, 1)
    eventually(lambda: (world.used(train, pool), world.used(dev, pool)) == (2, 1), "pods are counted")
    return name


def edited(world: World, name: str, **changes: Any) -> Manifest:
    """The allocation with changes, as somebody has it in a file."""
    return make("TenantAllocation", name, world.get(TENANT_ALLOCATION, name)["spec"] | changes)


def await_only_lookers(world: World, namespace: str) -> None:
    eventually(lambda: set(world.bindings(namespace)) == {"bitgoeul:view"}, f"members may only look at {namespace}")


def losses(asker: Asker, name: str, *objects: Manifest) -> dict[str, Any]:
    rows = asker.json("plan", "-f", asker.file(*objects))["allocations"]
    found: dict[str, Any] = next(row["consequences"] for row in rows if row["name"] == name)
    return found


def test_an_edit_does_what_plan_has_said(world: World, asker: Asker) -> None:
    """Pods, access, namespaces and data, in lines and in fields; suspending then does just that."""
    pool, disk = world.pool(devices=4), world.storage_pool()
    name = holder(world, pool, disk)
    train, dev = world.name("train"), world.name("dev")
    file = asker.file(edited(world, name, suspend=True))
    lines = [line for line in asker.table("plan", "-f", file) if line.startswith(f"{name}  ")]
    assert lines[2:] == [
        f"{name}  evicts 3 pods at once (suspend)",
        f"{name}  User kim@example.org, Group example may only look at once (suspend)",
    ]
    summary = asker.json("plan", "-f", file)["summary"]["text"]
    assert "3 pods are evicted" in summary
    assert "2 members lose access or rights" in summary

    fewer = [{"name": train, "accelerators": {pool: 1}, "storage": {disk: "4Ti"}}]
    policy = {"grace": "0s", "deletionPolicy": "Delete"}
    less = edited(
        world,
        name,
        accelerators=[{"pool": pool, "devices": 1}],
        storage=[{"pool": disk, "size": "4Ti"}],
        namespaces=fewer,
        members=MEMBERS[:1],
        expiry=policy,
    )
    found = losses(asker, name, less)
    assert [(one["namespace"], one["pods"]) for one in found["evictions"]] == [(dev, 1), (train, 1)]
    assert {(one["member"]["name"], one["to"], one["namespace"]) for one in found["accessLost"]} == {
        ("example", None, None),
        ("kim@example.org", None, dev),
    }
    assert [(one["name"], one["fate"]) for one in found["namespaces"]] == [(dev, "deleted"), (train, "deleted")]
    [data] = found["data"]
    assert (data["namespace"], data["pool"], data["bytes"], data["claims"]) == (dev, disk, 2**40, ["data"])
    assert len(world.pods(train)) + len(world.pods(dev)) == 3

    world.edit(name, suspend=True)
    eventually(lambda: not world.pods(train) and not world.pods(dev), "all three pods are evicted")
    for namespace in (train, dev):
        await_only_lookers(world, namespace)
    assert world.find(NAMESPACE, dev) is not None


def test_a_pool_says_whom_it_drains(world: World, asker: Asker) -> None:
    """Those who hold something of it are named, although the file names only the pool."""
    pool, disk = world.pool(devices=4), world.storage_pool()
    name = holder(world, pool, disk)
    spec = world.get(ACCELERATOR_POOL, pool)["spec"]
    found = losses(asker, name, make("AcceleratorPool", pool, spec | {"stopPolicy": "HoldAndDrain"}))
    assert sum(one["pods"] for one in found["evictions"]) == 3
    assert {one["reason"] for one in found["evictions"]} == {f"{pool} is being drained"}
    harmless = asker.json("plan", "-f", asker.file(make("AcceleratorPool", pool, spec | {"stopPolicy": "Hold"})))
    assert not [row for row in harmless["allocations"] if row["consequences"]["evictions"]]


def test_who_may_not_list_pods_is_told_the_rest(world: World, asker: Asker) -> None:
    """How many pods go is then not said, and everything else is."""
    pool, disk = world.pool(devices=4), world.storage_pool()
    name = holder(world, pool, disk)
    reader = world.name("reader")
    rules = [
        {"apiGroups": ["bitgoeul.dev"], "resources": ["*"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["nodes", "namespaces", "resourcequotas"], "verbs": ["get", "list"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"]},
    ]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    world.admin.create(f"{rbac}/clusterroles", {"metadata": {"name": reader}, "rules": rules})
    world.admin.create(
        f"{rbac}/clusterrolebindings",
        {
            "metadata": {"name": reader},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": reader},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": reader}],
        },
    )
    try:
        file = asker.file(edited(world, name, suspend=True))

        def answered() -> Finished:
            # The API server learns of a role by its own watch.
            finished = asker.run("plan", "-f", file, f"--as={reader}")
            assert finished.code == 0, finished
            return finished

        lines = eventually(answered, "the reader may read").out.splitlines()
        assert f"{name}  evicts pods at once (suspend)" in lines
        assert "pods not counted: you may not list pods" in lines
        found = json.loads(asker.run("plan", "-f", file, f"--as={reader}", "-o", "json").out)
        assert found["notCounted"] == ["pods"]
    finally:
        for path in (f"{rbac}/clusterrolebindings/{reader}", f"{rbac}/clusterroles/{reader}"):
            world.admin.delete(path)
