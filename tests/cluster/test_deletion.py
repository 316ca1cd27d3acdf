"""The end of an allocation: work ends, data stays unless it is to go, and capacity is free when it is really free."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.api.names import ALLOCATION_UID_ANNOTATION, FINALIZER, MANAGED_BY_LABEL, RETAINED_LABEL
from bitgoeul.cluster.kinds import BY_KIND, NAMESPACE, POD, TENANT_ALLOCATION, VOLUME_CLAIM
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import History
from tests.cluster.api_objects import make_claim
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, condition, is_true, said
from tests.cluster.waiting import eventually

MEMBERS = [{"kind": "User", "name": "ann@example.org", "role": "admin"}]
HOLD = "example.org/hold"
TIB = 2**40


def with_claim(disk: str, size: str = "10Ti", claim: str = "2Ti") -> dict[str, Any]:
    """Storage of a size, with a claim out of it."""
    return {disk: {"size": size, "claims": [make_claim("data", claim)]}}


def remove(world: World, allocation: str) -> str:
    """Delete an allocation and wait until it is gone; gives the UID that it had."""
    uid: str = world.get(TENANT_ALLOCATION, allocation)["metadata"]["uid"]
    world.delete(TENANT_ALLOCATION, allocation)
    world.await_gone(TENANT_ALLOCATION, allocation)
    return uid


def await_bytes(world: World, disk: str, **figures: int) -> None:
    """Wait until a storage pool's status has these figures."""

    def look() -> bool:
        bytes_ = world.storage_status(disk)["bytes"]
        assert {key: bytes_[key] for key in figures} == figures, bytes_
        return True

    eventually(look, f"storage pool {disk} has {figures}")


def test_retained_data_stays_closed_and_charged(world: World) -> None:
    """Pods and access end, the quota is 0; namespace and claim are there, labelled, and still fill their pool."""
    pool, disk = world.pool(), world.storage_pool(capacity="100Ti")
    blue = world.active("blue", {pool: 2}, with_claim(disk), members=MEMBERS)
    claim = world.get(VOLUME_CLAIM, "data", blue)["metadata"]["uid"]
    world.pod(blue, "busy", pool, 2)
    await_bytes(world, disk, granted=10 * TIB, retained=0, available=90 * TIB)
    remove(world, blue)

    assert world.pods(blue) == {}
    assert world.bindings(blue) == {}
    assert set(world.quota(blue)["status"]["hard"].values()) == {"0"}
    assert world.get(NAMESPACE, blue)["metadata"]["labels"][RETAINED_LABEL] == "true"
    kept = world.get(VOLUME_CLAIM, "data", blue)
    assert kept["metadata"]["uid"] == claim
    assert "deletionTimestamp" not in kept["metadata"]
    await_bytes(world, disk, granted=0, retained=2 * TIB, available=98 * TIB)
    world.await_devices(pool, granted=0, available=8)


def test_retained_data_is_labelled(world: World) -> None:
    """Whoever looks for what can be thrown away finds it by the label, on claims that tenants made as well."""
    disk = world.storage_pool()
    blue = world.active("blue", storage=with_claim(disk))
    world.create(volume_claim(blue, "own", disk))
    remove(world, blue)

    def marks() -> dict[str, str]:
        claims = [claim["metadata"] for claim in world.items(VOLUME_CLAIM, blue)]
        return {claim["name"]: claim["labels"].get(RETAINED_LABEL) for claim in claims}

    eventually(lambda: marks() == {"data": "true", "own": "true"}, "both are labelled")


def volume_claim(namespace: str, name: str, disk: str) -> dict[str, Any]:
    """A claim of 1Ti as a tenant makes it."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "theirs"}},
        "spec": {
            "storageClassName": disk,
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Ti"}},
        },
    }


def test_retained_data_is_not_handed_over_by_a_name(world: World) -> None:
    """A new allocation of the old name is refused, and told the UID by which it can take the data over."""
    disk = world.storage_pool()
    uid = remove(world, world.active("blue", storage=with_claim(disk)))
    blue = world.allocate("blue", storage=with_claim(disk), members=MEMBERS)
    world.await_phase(blue, "Refused")
    stalled = world.await_reason(blue, "Stalled", "NamespaceConflict")
    assert stalled["message"] == (
        f"namespace {blue} keeps the data of a deleted allocation with UID {uid}; create this one with "
        f"restoreFrom: {uid} to take it over, or choose another name"
    )
    namespace = world.get(NAMESPACE, blue)["metadata"]
    assert namespace["annotations"][ALLOCATION_UID_ANNOTATION] == uid
    assert namespace["labels"][RETAINED_LABEL] == "true"
    assert world.bindings(blue) == {}
    await_bytes(world, disk, granted=0, retained=2 * TIB)


def test_restore_from_takes_the_data_over(world: World) -> None:
    """The claim is the same one, its charge moves from retained to granted, and all is open again."""
    pool, disk = world.pool(), world.storage_pool(capacity="10Ti")
    old = world.active("blue", storage=with_claim(disk, "10Ti", "2Ti"))
    claim = world.get(VOLUME_CLAIM, "data", old)["metadata"]["uid"]
    uid = remove(world, old)
    # All of the pool, of which the retained part is its own already.
    blue = world.active("blue", {pool: 2}, with_claim(disk, "10Ti", "2Ti"), restoreFrom=uid, members=MEMBERS)
    assert world.get(VOLUME_CLAIM, "data", blue)["metadata"]["uid"] == claim
    namespace = world.get(NAMESPACE, blue)["metadata"]
    assert namespace["annotations"][ALLOCATION_UID_ANNOTATION] == world.get(TENANT_ALLOCATION, blue)["metadata"]["uid"]
    assert RETAINED_LABEL not in namespace["labels"]
    assert RETAINED_LABEL not in world.get(VOLUME_CLAIM, "data", blue)["metadata"]["labels"]
    assert world.limit(blue, pool) == 2
    assert world.bindings(blue) == {"bitgoeul:admin": ["ann@example.org"]}
    await_bytes(world, disk, granted=10 * TIB, retained=0, available=0)


def test_restore_from_works_under_another_name(world: World) -> None:
    """The namespace is named, the allocation may be called anything."""
    disk = world.storage_pool()
    old = world.active("blue", storage=with_claim(disk))
    uid = remove(world, old)
    heir = world.active("heir", storage=with_claim(disk), restoreFrom=uid, namespaces=[{"name": old}])
    world.await_status(heir, lambda s: s["inUse"]["storage"] == {disk: "2Ti"}, "has the data of the former one")
    assert world.find(NAMESPACE, heir) is None


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        pytest.param(
            {"restoreFrom": "00000000-0000-0000-0000-000000000000"},
            "restoreFrom 00000000-0000-0000-0000-000000000000: no namespace is retained under this UID; "
            "leave it out to start afresh",
            id="a UID that nobody had",
        ),
        pytest.param(
            {"namespaces": [{"name": "elsewhere"}]},
            "restoreFrom {uid} keeps its data in {old}: name these under spec.namespaces",
            id="another namespace",
        ),
        pytest.param(
            {"storage": [{"pool": "{disk}", "size": "1Ti"}]},
            "namespace {old} keeps 2Ti of {disk}, more than the 1Ti asked for it; ask for at least what is kept",
            id="less than what is kept",
        ),
    ],
)
def test_a_restore_that_cannot_work_says_why(world: World, wish: dict[str, Any], message: str) -> None:
    """Nothing changes hands before the request makes sense."""
    disk = world.storage_pool()
    old = world.active("blue", storage=with_claim(disk))
    uid = remove(world, old)
    storage = wish.pop("storage", None) and {disk: "1Ti"}
    world.allocate("blue", storage=storage or with_claim(disk), **{"restoreFrom": uid, **wish})
    stalled = world.await_reason(old, "Stalled", "Misconfigured")
    assert stalled["message"] == message.format(uid=uid, old=old, disk=disk)
    assert world.get(NAMESPACE, old)["metadata"]["annotations"][ALLOCATION_UID_ANNOTATION] == uid


def test_a_living_allocation_is_not_restored_from(world: World) -> None:
    """Nobody takes over what somebody still has."""
    disk = world.storage_pool()
    blue = world.active("blue", storage=with_claim(disk))
    uid = world.get(TENANT_ALLOCATION, blue)["metadata"]["uid"]
    thief = world.allocate("thief", storage=with_claim(disk), restoreFrom=uid, namespaces=[{"name": blue}])
    stalled = world.await_reason(thief, "Stalled", "Misconfigured")
    assert stalled["message"] == (f"restoreFrom {uid} is not deleted yet; what it keeps can be taken over afterwards")


def test_delete_takes_namespaces_and_data_away(world: World) -> None:
    """With deletionPolicy Delete nothing remains, and the object itself is gone last."""
    pool, disk = world.pool(), world.storage_pool(capacity="100Ti")
    expiry = {"deletionPolicy": "Delete"}
    blue = world.active("blue", {pool: 2}, with_claim(disk), members=MEMBERS, expiry=expiry)
    world.pod(blue, "busy", pool, 2)
    remove(world, blue)
    assert world.find(NAMESPACE, blue) is None
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        world.await_gone(BY_KIND[kind], f"bitgoeul:allocation:{blue}")
    await_bytes(world, disk, granted=0, retained=0, available=100 * TIB)
    world.await_devices(pool, granted=0)


def test_capacity_is_free_only_when_pods_are_gone(world: World) -> None:
    """A pod that hangs in termination is not counted by quota any more, and holds its devices all the same."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, members=MEMBERS)
    world.pod(blue, "stuck", pool, 8, HOLD)
    green = world.allocate("green", {pool: 8})
    world.await_phase(green, "Waiting")
    world.delete(TENANT_ALLOCATION, blue)
    world.await_status(
        blue, lambda s: condition(s, "Admitted")["message"] == f"1 pod still in {blue}", "says what it waits for"
    )
    eventually(lambda: world.used(blue, pool) == 0, "the quota does not count the dying pod any more")
    eventually(lambda: world.pods(blue) == {"stuck": True}, "the pod is evicted")
    world.await_devices(pool, granted=8, available=0, waiting=8)
    assert world.status(green)["phase"] == "Waiting"
    assert world.bindings(blue) == {}
    assert FINALIZER in world.get(TENANT_ALLOCATION, blue)["metadata"]["finalizers"]
    world.release(blue, "stuck")
    world.await_phase(green, "Active")
    world.await_gone(TENANT_ALLOCATION, blue)


def test_one_that_waits_goes_at_once(world: World) -> None:
    """Nothing stands for it, so nothing has to be taken down."""
    pool = world.pool(devices=1)
    green = world.allocate("green", {pool: 2})
    world.await_phase(green, "Refused")
    remove(world, green)
    assert world.find(NAMESPACE, green) is None


def test_a_finalizer_removed_by_hand_loses_nothing(world: World) -> None:
    """Without its allocation a namespace is closed like any other, and its data kept."""
    pool, disk = world.pool(devices=8), world.storage_pool()
    blue = world.active("blue", {pool: 8}, with_claim(disk), members=MEMBERS)
    uid = world.get(TENANT_ALLOCATION, blue)["metadata"]["uid"]
    world.pod(blue, "busy", pool, 8)
    world.pod(blue, "stuck", pool, 0, HOLD)
    green = world.allocate("green", {pool: 8})
    world.await_phase(green, "Waiting")
    world.delete(TENANT_ALLOCATION, blue)
    world.admin.merge(TENANT_ALLOCATION.path(blue), {"metadata": {"finalizers": None}})
    world.await_gone(TENANT_ALLOCATION, blue)
    eventually(lambda: world.bindings(blue) == {}, "access is taken")
    eventually(lambda: world.pods(blue) == {"stuck": True}, "its pods are evicted")
    eventually(lambda: world.quota(blue)["status"]["hard"]["pods"] == "0", "nothing new begins")
    world.release(blue, "stuck")
    eventually(
        lambda: world.get(NAMESPACE, blue)["metadata"]["labels"].get(RETAINED_LABEL) == "true", "is kept as retained"
    )
    assert world.get(NAMESPACE, blue)["metadata"]["annotations"][ALLOCATION_UID_ANNOTATION] == uid
    assert world.find(VOLUME_CLAIM, "data", blue) is not None
    world.await_phase(green, "Active")


def test_devices_stay_taken_after_a_finalizer_was_removed_by_hand(world: World, operator: OperatorProcess) -> None:
    """Nobody else gets them while a pod of the former tenant still hangs on them."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8})
    world.pod(blue, "stuck", pool, 8, HOLD)
    green = world.allocate("green", {pool: 8})
    world.await_phase(green, "Waiting")
    assert operator.stop() == 0
    world.delete(TENANT_ALLOCATION, blue)
    world.admin.merge(TENANT_ALLOCATION.path(blue), {"metadata": {"finalizers": None}})
    world.await_gone(TENANT_ALLOCATION, blue)
    operator.start()
    eventually(lambda: world.used(blue, pool) == 0, "the quota does not count the dying pod any more")
    late = world.pool("late")
    world.await_limit(blue, late, 0)
    world.await_devices(pool, granted=8, available=0)
    world.edit(green, priority=101)  # makes the operator look again
    assert eventually(lambda: world.status(green), "is decided anew")["phase"] == "Waiting"
    world.release(blue, "stuck")
    world.await_phase(green, "Active")
    world.await_limit(blue, pool, 0)


def test_a_namespace_that_somebody_deletes_is_made_again(world: World) -> None:
    """Its allocation keeps what it was promised, says what is going on, and is Active again by itself."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 8}, members=MEMBERS)
    green = world.allocate("green", {pool: 1})
    world.await_phase(green, "Waiting")
    before = world.get(NAMESPACE, blue)["metadata"]["uid"]
    # What is over in a few seconds is not told.
    world.pod(blue, "stuck", pool, 0, HOLD)
    world.delete(NAMESPACE, blue)
    ready = world.await_reason(blue, "Ready", "NamespaceTerminating")
    assert ready["message"].startswith(f"namespace {blue} is being deleted and will be made again")
    status = world.status(blue)
    assert (status["phase"], status["grant"]["accelerators"]) == ("Pending", {pool: 8})
    assert said(status, "Admitted", "Stalled") == {
        "Admitted": ("True", "Granted"),
        "Stalled": ("False", "NamespaceTerminating"),
    }
    world.release(blue, "stuck")
    world.await_phase(blue, "Active")
    assert world.get(NAMESPACE, blue)["metadata"]["uid"] != before
    world.await_limit(blue, pool, 8)
    assert world.bindings(blue) == {"bitgoeul:admin": ["ann@example.org"]}
    assert condition(world.status(green), "Ready")["reason"] == "WaitingForCapacity"


def test_a_retained_namespace_is_kept_closed(world: World) -> None:
    """Whoever raises its quota or adds our binding finds it closed again; so does one who takes the label off."""
    pool = world.pool()
    blue = world.active("blue", {pool: 2}, members=MEMBERS)
    binding = world.get(BY_KIND["RoleBinding"], "bitgoeul:admin", blue)
    remove(world, blue)
    world.admin.merge(f"/api/v1/namespaces/{blue}/resourcequotas/bitgoeul", {"spec": {"hard": {"pods": "10"}}})
    eventually(lambda: world.quota(blue)["status"]["hard"]["pods"] == "0", "the quota is 0 again")
    binding["metadata"] = {key: binding["metadata"][key] for key in ("name", "namespace", "labels")}
    world.create(binding)
    eventually(lambda: world.bindings(blue) == {}, "nobody has access")
    labels = {RETAINED_LABEL: None, MANAGED_BY_LABEL: None}
    world.admin.merge(NAMESPACE.path(blue), {"metadata": {"labels": labels}})
    eventually(
        lambda: world.get(NAMESPACE, blue)["metadata"]["labels"].get(RETAINED_LABEL) == "true", "is labelled again"
    )


def test_what_was_deleted_while_the_operator_was_away_is_taken_down(world: World, operator: OperatorProcess) -> None:
    """The finalizer keeps the allocation until somebody has seen to it."""
    pool = world.pool()
    blue = world.active("blue", {pool: 2}, members=MEMBERS)
    world.pod(blue, "busy", pool, 2)
    assert operator.stop() == 0
    world.delete(TENANT_ALLOCATION, blue)
    assert is_deleting(world, blue)
    operator.start()
    world.await_gone(TENANT_ALLOCATION, blue)
    assert world.pods(blue) == {}
    assert world.limit(blue, pool) == 0
    assert world.find(POD, "busy", blue) is None


def is_deleting(world: World, allocation: str) -> bool:
    return "deletionTimestamp" in world.get(TENANT_ALLOCATION, allocation)["metadata"]


def test_an_allocation_that_is_being_deleted_is_not_ready(world: World, control_plane: ControlPlane) -> None:
    """Whoever waits for Ready is not misled by an old status."""
    pool = world.pool()
    blue, green = world.active("blue", {pool: 2}), world.active("green", {pool: 2})
    for name in (blue, green):
        world.pod(name, "stuck", pool, 1, HOLD)
    with History(control_plane, TENANT_ALLOCATION.path()) as history:
        # One that is Ready is given some seconds to be so again after a repair; in a deletion there is nothing to wait
        # for. So of two that are not Ready any more, the one whose namespace goes is told so later.
        world.delete(NAMESPACE, green)
        world.delete(TENANT_ALLOCATION, blue)
        status = world.await_status(blue, lambda s: condition(s, "Ready")["reason"] == "Deleting", "is not Ready")
        world.await_reason(green, "Ready", "NamespaceTerminating")
    told = [c.name for c in history.changes() if c.name in (blue, green) and not is_true(c.obj["status"], "Ready")]
    assert told[0] == blue
    assert status["phase"] == "Pending"
    assert not is_true(status, "Ready")
    assert is_true(status, "Reconciling")
    # What its pod holds; the rest is free at once.
    world.await_status(blue, lambda s: s["grant"]["accelerators"] == {pool: 1}, "gives back what nobody holds")
