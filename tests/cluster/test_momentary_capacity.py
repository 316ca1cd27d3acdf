"""What nodes show for a moment moves nobody; what lasts is told, and still nobody in the queue loses the place."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from bitgoeul.cluster.kinds import ACCELERATOR_POOL, NODE
from bitgoeul.planning.sightings import HOLD_SECONDS
from tests.cluster.api_objects import make
from tests.cluster.scenario import POOL_LABEL, World, is_true, resource_of, said
from tests.cluster.waiting import eventually

Change = Callable[[World, str], object]  # of the node of a pool


def show(world: World, pool: str, **devices: int) -> None:
    """The node reports other devices."""
    status = {what: {resource_of(pool): str(number)} for what, number in devices.items()}
    world.admin.merge(NODE.path(f"node-{pool}", subresource="status"), {"status": status})


def relabel(world: World, pool: str, label: str) -> None:
    world.admin.merge(NODE.path(f"node-{pool}"), {"metadata": {"labels": {POOL_LABEL: label}}})


def not_ready(world: World, pool: str, why: str | None) -> None:
    annotations = {"simulate.bitgoeul.dev/not-ready": why}
    world.admin.merge(NODE.path(f"node-{pool}"), {"metadata": {"annotations": annotations}})


MOMENTS = [
    pytest.param(
        lambda world, pool: show(world, pool, allocatable=0),
        lambda world, pool: show(world, pool, allocatable=8),
        id="a device plugin starts anew",
    ),
    pytest.param(
        lambda world, pool: show(world, pool, capacity=0, allocatable=0),
        lambda world, pool: show(world, pool, capacity=8, allocatable=8),
        id="a kubelet starts anew",
    ),
    pytest.param(
        lambda world, pool: relabel(world, pool, "elsewhere"),
        lambda world, pool: relabel(world, pool, pool),
        id="a label is rewritten",
    ),
    pytest.param(
        lambda world, pool: world.delete(NODE, f"node-{pool}"),
        lambda world, pool: world.nodes(pool),
        id="a node object is replaced",
    ),
    pytest.param(
        lambda world, pool: not_ready(world, pool, "a moment"),
        lambda world, pool: not_ready(world, pool, None),
        id="a node is not Ready",
    ),
]


def planned_since(world: World, word: str, pool: str) -> None:
    """Return when the operator has planned with what the cluster shows now."""
    world.active(word, {pool: 1})


def warnings(world: World, name: str) -> list[str]:
    return [reason for kind, reason, _ in world.events(name) if kind == "Warning"]


@pytest.mark.parametrize(("goes", "comes"), MOMENTS)
def test_a_moment_moves_nobody(world: World, goes: Change, comes: Change) -> None:
    """Who waits for the whole pool keeps the place before an open-ended request that would fit; nothing is told."""
    other, pool = world.pool("other"), world.pool("gpu")
    holder = world.active("holder", {pool: 6})
    head = world.allocate("head", {pool: 8})
    world.await_reason(head, "Admitted", "WaitingForCapacity")
    small = world.allocate("small", {pool: 2})
    world.await_reason(small, "Admitted", "BlockedByEarlier")
    before = warnings(world, pool)

    began = time.monotonic()
    goes(world, pool)
    planned_since(world, "meanwhile", other)
    comes(world, pool)
    ended = time.monotonic()
    planned_since(world, "after", other)
    if ended - began < HOLD_SECONDS:  # else the machine was slow, and it was no moment
        assert warnings(world, pool) == before
        assert is_true(world.pool_status(pool), "Ready")
    assert said(world.status(head), "Admitted") == {"Admitted": ("False", "WaitingForCapacity")}
    assert said(world.status(small), "Admitted") == {"Admitted": ("False", "BlockedByEarlier")}
    assert (warnings(world, head), warnings(world, small)) == ([], [])

    goes(world, pool)
    eventually(lambda: is_true(world.pool_status(pool), "Overcommitted"), "what is gone for longer is told")
    assert world.pool_status(pool)["devices"]["highest"] == 8
    planned_since(world, "later", other)
    for waiting in (head, small):
        assert world.status(waiting)["phase"] == "Waiting", "nobody is refused, and nobody passes"
    assert world.status(holder)["phase"] == "Active"
    comes(world, pool)
    eventually(lambda: not is_true(world.pool_status(pool), "Overcommitted"), "all is well again")
    assert (warnings(world, head), warnings(world, small)) == ([], [])


def test_who_asks_for_what_was_there_waits_with_numbers(world: World) -> None:
    """Growth too; who asks for more than there ever was is refused."""
    pool = world.pool(devices=8)
    world.nodes(pool, "second", devices=4)
    world.await_effective(pool, 12)
    blue = world.active("blue", {pool: 2})
    world.delete(NODE, f"node-{pool}")
    world.await_devices(pool, installed=4, highest=12)
    green = world.allocate("green", {pool: 12})
    message = world.await_reason(green, "Admitted", "WaitingForCapacity")["message"]
    assert message.startswith(f"needs 12 of {pool}, 2 available (4 of 12 devices are there now)")
    world.ask(blue, {pool: 10})
    world.await_reason(blue, "Reconciling", "WaitingForCapacity")
    red = world.allocate("red", {pool: 13})
    assert "can never give more than 12" in world.await_reason(red, "Stalled", "ExceedsPoolCapacity")["message"]


def test_a_pool_that_is_replaced_finds_its_line_as_it_was(world: World) -> None:
    """Deleted and created anew, as GitOps tools do: nobody is refused or passed, in other pools neither."""
    other, pool = world.pool("other"), world.declare_pool()  # the latter without a node: who wants it waits
    world.active("holder", {other: 6})
    first = world.allocate("first", {pool: 8, other: 8})
    since = world.await_phase(first, "Waiting")["queue"]["since"]
    small = world.allocate("small", {other: 2})
    world.await_reason(small, "Admitted", "BlockedByEarlier")
    spec = world.get(ACCELERATOR_POOL, pool)["spec"]
    began = time.monotonic()
    world.delete(ACCELERATOR_POOL, pool)
    world.await_gone(ACCELERATOR_POOL, pool)
    world.create(make("AcceleratorPool", pool, spec))
    seen = time.monotonic()
    third = world.pool("third")
    planned_since(world, "after", third)
    if seen - began < HOLD_SECONDS:  # else the machine was slow, and the pool was away
        assert world.status(small)["phase"] == "Waiting"
        assert "PoolNotFound" not in [reason for _, reason, _ in world.events(first)]
    status = world.await_phase(first, "Waiting")
    assert (status["queue"]["since"], status["queue"]["position"]) == (since, 1)
    world.delete(ACCELERATOR_POOL, pool)
    world.await_reason(first, "Stalled", "PoolNotFound")
    world.await_phase(small, "Active")
