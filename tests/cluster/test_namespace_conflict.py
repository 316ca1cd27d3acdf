"""A namespace that is somebody else's is never touched, whoever asks for its name."""

from __future__ import annotations

from bitgoeul.api.names import ALLOCATION_UID_ANNOTATION
from bitgoeul.cluster.kinds import NAMESPACE, RESOURCE_QUOTA, ROLE_BINDING, TENANT_ALLOCATION
from tests.cluster.api_objects import Manifest
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, is_true, said, told

MEMBERS = [{"kind": "User", "name": "ann@example.org", "role": "admin"}]


def foreign(world: World, name: str) -> Manifest:
    """A namespace that nobody of ours has made."""
    return world.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": "a"}}})


def untouched(world: World, name: str) -> None:
    """It has nothing of ours, neither marks nor objects."""
    metadata = world.get(NAMESPACE, name)["metadata"]
    assert set(metadata["labels"]) == {"team", "kubernetes.io/metadata.name"}
    assert not metadata.get("annotations")
    assert world.items(RESOURCE_QUOTA, name) == []
    assert world.items(ROLE_BINDING, name) == []


def test_a_foreign_namespace_is_left_alone(world: World) -> None:
    """The allocation is refused until the namespace is gone, or another name is chosen."""
    pool = world.pool()
    foreign(world, world.name("blue"))
    blue = world.allocate("blue", {pool: 2}, members=MEMBERS)
    world.await_phase(blue, "Refused")
    stalled = world.await_reason(blue, "Stalled", "NamespaceConflict")
    assert stalled["message"] == (
        f"namespace {blue} exists and is not managed by bitgoeul; choose another name or remove it"
    )
    untouched(world, blue)
    world.await_devices(pool, granted=0, waiting=0)
    world.edit(blue, namespaces=[{"name": world.name("blue-2")}])
    world.await_phase(blue, "Active")
    untouched(world, blue)


def test_the_conflict_ends_when_the_namespace_goes(world: World) -> None:
    """Nobody has to tell the operator."""
    pool = world.pool()
    foreign(world, world.name("blue"))
    blue = world.allocate("blue", {pool: 2})
    world.await_phase(blue, "Refused")
    world.delete(NAMESPACE, blue)
    world.await_phase(blue, "Active")


def test_a_namespace_that_is_asked_for_later_may_be_foreign_too(world: World) -> None:
    """An allocation that is Active keeps what it has; the change is stalled."""
    pool = world.pool()
    blue = world.active("blue", {pool: 4})
    other = world.name("other")
    foreign(world, other)
    namespaces = [{"name": blue, "accelerators": {pool: 2}}, {"name": other, "accelerators": {pool: 2}}]
    world.edit(blue, namespaces=namespaces)
    world.await_reason(blue, "Stalled", "NamespaceConflict")
    status = world.status(blue)
    assert status["phase"] == "Active", told(status)
    assert said(status, "Ready", "Stalled") == {
        "Ready": ("True", "Enforced"),
        "Stalled": ("True", "NamespaceConflict"),
    }
    assert world.limit(blue, pool) == 4
    untouched(world, other)


def test_of_two_allocations_the_older_gets_the_namespace(world: World) -> None:
    """The other one is told, and gets it when the first is gone with everything."""
    pool = world.pool()
    shared = [{"name": world.name("shared")}]
    blue = world.active("blue", {pool: 2}, namespaces=shared, expiry={"deletionPolicy": "Delete"})
    green = world.allocate("green", {pool: 2}, namespaces=shared)
    world.await_phase(green, "Refused")
    stalled = world.await_reason(green, "Stalled", "NamespaceConflict")
    assert stalled["message"] == f"namespace {shared[0]['name']} belongs to another allocation; choose another name"
    world.delete(TENANT_ALLOCATION, blue)
    world.await_phase(green, "Active")
    owner = world.get(NAMESPACE, shared[0]["name"])["metadata"]["annotations"][ALLOCATION_UID_ANNOTATION]
    assert owner == world.get(TENANT_ALLOCATION, green)["metadata"]["uid"]


def test_before_it_exists_a_namespace_is_for_the_older_of_two_that_wait(world: World) -> None:
    """Who asked first has the name, also while there is no capacity."""
    pool = world.pool(devices=2)
    holder = world.active("holder", {pool: 2})
    shared = [{"name": world.name("shared")}]
    blue = world.allocate("blue", {pool: 2}, namespaces=shared)
    world.await_phase(blue, "Waiting")
    green = world.allocate("green", {pool: 2}, namespaces=shared)
    stalled = world.await_reason(green, "Stalled", "NamespaceConflict")
    assert stalled["message"] == (
        f"namespace {shared[0]['name']} was asked for by another allocation before; choose another name"
    )
    world.delete(TENANT_ALLOCATION, holder)
    world.await_phase(blue, "Active")


def test_a_foreign_namespace_in_place_of_ours_is_left_alone(world: World, operator: OperatorProcess) -> None:
    """Ours was deleted, and somebody else was faster with the name: it is his now, and the allocation says so."""
    pool = world.pool()
    blue = world.active("blue", {pool: 2}, members=MEMBERS)
    assert operator.stop() == 0
    world.delete(NAMESPACE, blue)
    world.await_gone(NAMESPACE, blue)
    foreign(world, blue)
    operator.start()
    world.await_reason(blue, "Stalled", "NamespaceConflict")
    world.await_status(blue, lambda s: s["phase"] != "Active" and not is_true(s, "Ready"), "is not Active any more")
    untouched(world, blue)
    world.delete(NAMESPACE, blue)
    world.await_phase(blue, "Active")
