"""What an admitted allocation consists of: namespaces, quotas, limits, claims, and access when all else is enforced."""

from __future__ import annotations

from typing import Any

from bitgoeul.api.names import (
    ALLOCATION_LABEL,
    ALLOCATION_UID_ANNOTATION,
    MANAGED_BY_LABEL,
    QUOTA_NAME,
    pool_label,
)
from bitgoeul.cluster.kinds import (
    BY_KIND,
    NAMESPACE,
    POD,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    TENANT_ALLOCATION,
    VOLUME_CLAIM,
)
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import Change, History
from tests.cluster.api_objects import make_claim
from tests.cluster.faults import paused
from tests.cluster.kubectl import Kubectl
from tests.cluster.scenario import (
    World,
    condition,
    is_true,
    namespaces,
    quantities,
    resource_of,
    storage_requests,
)
from tests.cluster.waiting import eventually

CONTROLLER_MANAGER = "kube-controller-manager"
MEMBERS = [
    {"kind": "Group", "name": "blue", "role": "admin"},
    {"kind": "User", "name": "ann@example.org", "role": "edit"},
    {"kind": "User", "name": "bob@example.org", "role": "view"},
]


def storage_key(pool: str, what: str = "requests.storage") -> str:
    return f"{pool}.storageclass.storage.k8s.io/{what}"


def test_every_child_stands_and_says_whose_it_is(world: World) -> None:
    """Namespace, quota, claim, bindings, and the right to read the allocation, all with the same labels."""
    pool, disk = world.pool(), world.storage_pool()
    storage = {disk: {"size": "10Ti", "claims": [make_claim("data", "1Ti")]}}
    blue = world.active("blue", {pool: 2}, storage, members=MEMBERS)
    uid = world.get(TENANT_ALLOCATION, blue)["metadata"]["uid"]

    reader = f"bitgoeul:allocation:{blue}"
    children = [
        world.get(NAMESPACE, blue),
        world.quota(blue),
        world.get(VOLUME_CLAIM, "data", blue),
        *(world.get(ROLE_BINDING, f"bitgoeul:{role}", blue) for role in ("admin", "edit", "view")),
        world.get(BY_KIND["ClusterRole"], reader),
        world.get(BY_KIND["ClusterRoleBinding"], reader),
    ]
    for child in children:
        labels = child["metadata"]["labels"]
        assert (labels[MANAGED_BY_LABEL], labels[ALLOCATION_LABEL]) == ("bitgoeul", blue)

    namespace, _, claim, *_ = children
    assert namespace["metadata"]["annotations"][ALLOCATION_UID_ANNOTATION] == uid
    assert (
        namespace["metadata"]["labels"].items()
        >= {
            pool_label(pool): "true",
            "pod-security.kubernetes.io/enforce": "baseline",
            "pod-security.kubernetes.io/warn": "restricted",
        }.items()
    )
    assert claim["spec"]["storageClassName"] == disk
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Ti"
    assert world.bindings(blue) == {
        "bitgoeul:admin": ["blue"],
        "bitgoeul:edit": ["ann@example.org"],
        "bitgoeul:view": ["bob@example.org"],
    }
    (rule,) = world.get(BY_KIND["ClusterRole"], reader)["rules"]
    assert (rule["resourceNames"], set(rule["verbs"])) == ([blue], {"get", "list", "watch"})


def test_the_quota_says_what_is_granted_and_zero_for_all_else(world: World) -> None:
    """Every pool is named, cpu and memory come with the devices, storage is counted by class and as a whole."""
    pool = world.pool("gpu", perDevice={"cpu": "1500m", "memory": "10Gi"})
    other_pool, other_disk = world.pool("npu"), world.storage_pool("slow")
    disk = world.storage_pool("disk")
    blue = world.active("blue", {pool: 3}, {disk: "10Ti"}, compute={"cpu": "2", "memory": "1Gi"})
    wanted = {
        f"requests.{resource_of(pool)}": 3,
        f"requests.{resource_of(other_pool)}": 0,
        "requests.cpu": 6.5,
        "requests.memory": 31 * 2**30,
        storage_key(disk): 10 * 2**40,
        storage_key(other_disk): 0,
        "requests.storage": 10 * 2**40,
        "services.nodeports": 0,
        "count/resourceclaims.resource.k8s.io": 0,
    }

    def enforced() -> bool:
        # Pools of other tests come and go, and are named here as well.
        quota = world.quota(blue)
        assert quantities(quota["status"]["hard"], wanted) == wanted
        return bool(quota["spec"]["hard"] == quota["status"]["hard"])

    eventually(enforced, "all that the quota says is enforced")


def test_a_pool_that_comes_later_is_named_in_every_quota(world: World) -> None:
    """A quota ignores what it does not list, so what nobody has been granted is listed with 0."""
    pool = world.pool("gpu")
    blue = world.active("blue", {pool: 1})
    late_pool, late_disk = world.pool("late"), world.storage_pool("late")
    eventually(lambda: world.limit(blue, late_pool) == 0, "the new pool is closed here")
    eventually(lambda: world.quota(blue)["status"]["hard"][storage_key(late_disk)] == "0", "and the new class too")


def test_without_perdevice_and_compute_cpu_is_not_capped(world: World) -> None:
    """A cap that nobody asked for would refuse pods."""
    pool = world.pool()
    blue = world.active("blue", {pool: 1})
    assert not {"requests.cpu", "requests.memory"} & world.quota(blue)["spec"]["hard"].keys()


def test_a_pod_without_requests_is_admitted(world: World) -> None:
    """With cpu and memory capped, a quota refuses pods that state none; a policy gives them a little."""
    pool = world.pool(perDevice={"cpu": "4", "memory": "8Gi"})
    blue = world.active("blue", {pool: 1})
    (container,) = world.pod(blue, "plain")["spec"]["containers"]
    assert container["resources"] == {"requests": {"cpu": "100m", "memory": "128Mi"}}


def test_the_quota_holds_what_it_says(world: World) -> None:
    """Up to the grant pods are admitted, and the API server itself refuses the next one."""
    pool = world.pool(devices=4)
    blue = world.active("blue", {pool: 2})
    world.pod(blue, "fits", pool, 2)
    said = world.refused(blue, "more", pool, 1)
    assert f"exceeded quota: {QUOTA_NAME}, requested: requests.{resource_of(pool)}=1" in said


def test_several_namespaces_have_their_shares(world: World) -> None:
    """A pool that no entry names is the first one's; compute and claims go there too, unless they say otherwise."""
    pool, spare, disk = world.pool("gpu", perDevice={"cpu": "1"}), world.pool("npu"), world.storage_pool()
    train, serve = world.name("train"), world.name("serve")
    blue = world.allocate(
        "blue",
        {pool: 6, spare: 2},
        {disk: {"size": "10Ti", "claims": [make_claim("data", "1Ti"), make_claim("models", "1Ti", namespace=serve)]}},
        compute={"cpu": "4"},
        members=MEMBERS,
        namespaces=[
            {"name": train, "accelerators": {pool: 4}, "storage": {disk: "6Ti"}},
            {"name": serve, "accelerators": {pool: 1}, "storage": {disk: "4Ti"}},
        ],
    )
    status = world.await_phase(blue, "Active")
    assert status["summary"]["namespaces"] == "2/2"
    assert namespaces(status) == {train: True, serve: True}
    assert [world.limit(name, pool) for name in (train, serve)] == [4, 1]
    assert [world.limit(name, spare) for name in (train, serve)] == [2, 0]
    hard = [world.quota(name)["status"]["hard"] for name in (train, serve)]
    assert [one[storage_key(disk)] for one in hard] == ["6Ti", "4Ti"]
    assert [one["requests.cpu"] for one in hard] == ["8", "1"]
    assert [names(world.items(VOLUME_CLAIM, name)) for name in (train, serve)] == [["data"], ["models"]]
    assert world.bindings(train) == world.bindings(serve)
    assert world.find(NAMESPACE, blue) is None


def names(objects: list[dict[str, Any]]) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in objects)


def test_a_share_that_moves_is_lowered_before_the_other_is_raised(world: World, control_plane: ControlPlane) -> None:
    """At no moment do the quotas of an allocation together allow more than its grant."""
    pool = world.pool(devices=4)
    train, serve = world.name("train"), world.name("serve")
    blue = world.active("blue", {pool: 4}, namespaces=split(pool, train, 4, serve, 0))
    key = f"requests.{resource_of(pool)}"
    with History(control_plane, RESOURCE_QUOTA.path()) as history:
        # As long as nobody confirms the lower quota, it lets in as much as before.
        with paused(control_plane.pid(CONTROLLER_MANAGER)):
            world.edit(blue, namespaces=split(pool, train, 1, serve, 3))
            eventually(lambda: world.quota(train)["spec"]["hard"][key] == "1", "one quota is lowered")
            assert world.quota(serve)["spec"]["hard"][key] == "0"
        world.await_limit(serve, pool, 3)
        world.await_grant(blue, {pool: 4})
    now: dict[str, int] = {}
    for change in history.changes():
        if change.name == QUOTA_NAME and change.namespace in (train, serve):
            now[change.namespace] = most(change, pool)
            assert sum(now.values()) <= 4, f"{now} at version {change.version}"
    assert now == {train: 1, serve: 3}


def split(pool: str, one: str, first: int, other: str, second: int) -> list[dict[str, Any]]:
    return [{"name": one, "accelerators": {pool: first}}, {"name": other, "accelerators": {pool: second}}]


def most(change: Change, pool: str) -> int:
    """The most that a quota may let in: what it says, or what is enforced still."""
    key = f"requests.{resource_of(pool)}"
    status = change.obj.get("status", {}).get("hard", {})
    return max(int(change.obj["spec"]["hard"][key]), int(status.get(key, "0")))


def test_a_share_in_use_moves_when_its_pods_are_gone(world: World) -> None:
    """What the pods of one namespace hold is not given to the other one, also not while they are in termination."""
    pool = world.pool(devices=4)
    train, serve = world.name("train"), world.name("serve")
    blue = world.active("blue", {pool: 4}, namespaces=split(pool, train, 4, serve, 0))
    world.pod(train, "busy", pool, 3, "example.org/hold")
    world.edit(blue, namespaces=split(pool, train, 0, serve, 4))
    world.await_limit(train, pool, 0)
    world.await_limit(serve, pool, 1)
    world.delete(POD, "busy", train)
    eventually(lambda: world.used(train, pool) == 0, "the quota does not count the dying pod any more")
    status = world.await_reason(blue, "Reconciling", "Draining")
    assert status["message"] == "shares are moving between namespaces"
    assert world.limit(serve, pool) == 1
    world.release(train, "busy")
    world.await_limit(serve, pool, 4)
    world.await_grant(blue, {pool: 4})


def test_a_namespace_that_is_dropped_is_closed_and_kept(world: World) -> None:
    """Its pods are sent off, its quota is 0, its data stays; the other one gets its share afterwards."""
    pool = world.pool(devices=4)
    train, serve = world.name("train"), world.name("serve")
    blue = world.active("blue", {pool: 4}, members=MEMBERS, namespaces=split(pool, train, 2, serve, 2))
    world.pod(serve, "busy", pool, 1)
    world.edit(blue, namespaces=[{"name": train}])
    world.await_limit(train, pool, 4)
    status = world.await_grant(blue, {pool: 4})
    assert namespaces(status) == {train: True}
    assert world.pods(serve) == {}
    assert world.limit(serve, pool) == 0
    assert world.bindings(serve) == {}
    labels = world.get(NAMESPACE, serve)["metadata"]["labels"]
    assert labels.get("bitgoeul.dev/retained") == "true", labels


def test_members_get_access_when_every_quota_is_enforced(world: World, control_plane: ControlPlane) -> None:
    """Before that, pods of theirs would pass by a quota that has not been counted yet."""
    pool = world.pool(devices=4)
    spaces = [world.name("train"), world.name("serve")]
    with History(control_plane, RESOURCE_QUOTA.path(), ROLE_BINDING.path()) as history:
        with paused(control_plane.pid(CONTROLLER_MANAGER)):
            blue = world.allocate(
                "blue", {pool: 4}, members=MEMBERS, namespaces=split(pool, spaces[0], 2, spaces[1], 2)
            )
            said = f"the quota in {', '.join(spaces)} is not enforced yet"
            world.await_status(blue, lambda s: condition(s, "Ready")["message"] == said, "says what it waits for")
            assert world.status(blue)["phase"] == "Pending"
            assert [world.bindings(space) for space in spaces] == [{}, {}]
        world.await_phase(blue, "Active")
    enforced: dict[str, bool] = {}
    bound = set()
    for change in history.changes():
        if change.namespace not in spaces:
            continue
        if change.kind == "ResourceQuota":
            enforced[change.namespace] = change.obj["spec"]["hard"] == change.obj["status"].get("hard")
        else:
            assert all(enforced.get(space) for space in spaces), f"{change.name} in {change.namespace} came too early"
            bound.add((change.namespace, change.name))
    assert bound == {(space, f"bitgoeul:{role}") for space in spaces for role in ("admin", "edit", "view")}


def test_members_come_and_go(world: World) -> None:
    """Bindings follow the list, also down to nobody; so does the right to read the allocation."""
    pool = world.pool()
    blue = world.active("blue", {pool: 1}, members=MEMBERS)
    world.edit(blue, members=[{"kind": "User", "name": "bob@example.org", "role": "admin"}])
    eventually(lambda: world.bindings(blue) == {"bitgoeul:admin": ["bob@example.org"]}, "only Bob is left, as admin")
    reader = BY_KIND["ClusterRoleBinding"]

    def readers() -> list[str]:
        return [subject["name"] for subject in world.get(reader, f"bitgoeul:allocation:{blue}")["subjects"]]

    eventually(lambda: readers() == ["bob@example.org"], "he alone may read the allocation")
    world.edit(blue, members=[])
    eventually(lambda: world.bindings(blue) == {}, "nobody is bound")
    world.await_gone(reader, f"bitgoeul:allocation:{blue}")
    world.await_status(blue, lambda s: is_true(s, "Ready"), "is Ready as before")


def test_a_service_account_can_be_a_member(world: World, kubectl: Kubectl) -> None:
    """A pipeline of another namespace gets its role, and nothing beyond the allocation's namespaces."""
    pool = world.pool()
    account = f"system:serviceaccount:{world.name('ci')}:deployer"
    member = {"kind": "ServiceAccount", "namespace": world.name("ci"), "name": "deployer", "role": "edit"}
    blue = world.active("blue", {pool: 1}, members=[member])
    may = ["auth", "can-i", "create", "deployments.apps", "-n"]
    # The API server learns of a binding by its own watch.
    eventually(lambda: kubectl(*may, blue, as_user=account).stdout.strip() == "yes", "its role is in force")
    assert kubectl(*may, "default", as_user=account, check=False).stdout.strip() == "no"


def test_members_can_ask_why_they_wait(world: World, kubectl: Kubectl) -> None:
    """The right to read the allocation is there before anything is granted."""
    pool = world.pool(devices=1)
    world.active("blue", {pool: 1})
    green = world.allocate("green", {pool: 1}, members=[{"kind": "User", "name": "eve@example.org", "role": "view"}])
    world.await_phase(green, "Waiting")
    # The API server learns of a binding by its own watch.
    found = eventually(lambda: kubectl.get("ta", green, as_user="eve@example.org"), "the member may read it")
    assert found["status"]["phase"] == "Waiting"


def test_claims_are_made_and_grown_but_never_shrunk(world: World) -> None:
    """What a tenant has grown within its quota stays as large as it is."""
    disk = world.storage_pool()

    def storage(size: str) -> dict[str, Any]:
        return {disk: {"size": "10Ti", "claims": [make_claim("data", size)]}}

    def size() -> str:
        return str(world.get(VOLUME_CLAIM, "data", blue)["spec"]["resources"]["requests"]["storage"])

    blue = world.active("blue", storage=storage("1Ti"))
    # A volume has to be there before it can be expanded.
    eventually(lambda: world.get(VOLUME_CLAIM, "data", blue)["status"]["phase"] == "Bound", "the claim is bound")
    world.edit(blue, storage=storage_requests(storage("2Ti")))
    eventually(lambda: size() == "2Ti", "the claim grows")
    grown = {"spec": {"resources": {"requests": {"storage": "4Ti"}}}}
    world.admin.merge(VOLUME_CLAIM.path("data", blue), grown)
    world.edit(blue, storage=storage_requests(storage("3Ti")))
    world.await_status(blue, lambda s: s["inUse"]["storage"] == {disk: "4Ti"}, "counts what the tenant has")
    assert size() == "4Ti"
    world.await_status(blue, lambda s: is_true(s, "Ready"), "is Ready as before")
