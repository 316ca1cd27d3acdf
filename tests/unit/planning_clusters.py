"""
Hypothesis strategies for clusters, small and odd, as lists of objects.

``fresh``: requests and pools, nothing granted yet. ``settled``: a fresh one whose first plan was written back, and then
changed: asks grow, shrink and move, new requests come. ``clusters``: anything, also what should never be (quotas raised
by hand, lost statuses, more granted than there is).
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.unit.builders import (
    Manifest,
    at,
    make_accelerator_pool,
    make_allocation,
    make_namespace,
    make_node,
    make_queue,
    make_quota,
    make_storage_pool,
    plan_of,
    written_back,
)

ACCELERATORS = {"a100": "nvidia.com/gpu", "h100": "nvidia.com/gpu", "npu": "furiosa.ai/npu"}
STORAGE = ("lustre", "nvme")
LIMITS = sorted({*ACCELERATORS.values(), *STORAGE})

rarely = st.sampled_from([False] * 11 + [True])
at_times = st.sampled_from([False, False, True])
held_devices = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 4])
held_sizes = st.sampled_from(["0", "0", "0", "1Ti", "3Ti"])


@st.composite
def pools(draw: st.DrawFn) -> list[Manifest]:
    """All pools, with nodes in every state."""
    objects = []
    for name, resource in ACCELERATORS.items():
        objects.append(make_accelerator_pool(name, resource, reserve=draw(st.integers(0, 1)), deleting=draw(rarely)))
        for number in range(draw(st.sampled_from([0, 1, 1, 1, 2, 2]))):
            states: list[dict[str, Any]] = [{}, {}, {}, {"ready": False}, {"cordoned": True}, {"healthy": 2}]
            states.append({"taints": ["sick:NoSchedule"]})
            state = draw(st.sampled_from(states))
            objects.append(make_node(f"{name}-{number}", name, draw(st.integers(4, 8)), resource, **state))
    return objects + [make_storage_pool(name, f"{draw(st.integers(3, 15))}Ti", reserve="1Ti") for name in STORAGE]


@st.composite
def requests(draw: st.DrawFn, name: str) -> Manifest:
    """An allocation to which nothing has happened yet; rarely for a pool that does not exist."""
    wanted = draw(st.sets(st.sampled_from(["a100", "a100", "npu", "h100"]), min_size=1, max_size=2))
    accelerators = {pool: draw(st.integers(1, 5)) for pool in sorted(wanted)} | ({"gone": 1} if draw(rarely) else {})
    storage = {"lustre": f"{draw(st.integers(1, 5))}Ti"} if draw(at_times) else {}
    priority = draw(st.sampled_from([100, 100, 100, 0, 200]))
    return make_allocation(name, accelerators, storage, created=draw(st.integers(0, 3)), priority=priority)


@st.composite
def fresh(draw: st.DrawFn) -> list[Manifest]:
    """Pools and requests, nothing granted."""
    return draw(pools()) + [draw(requests(f"t{number}")) for number in range(draw(st.integers(2, 7)))]


@st.composite
def settled(draw: st.DrawFn) -> list[Manifest]:
    """A cluster with grants that were planned, after which something changed."""
    before = draw(fresh())
    objects = written_back(before, plan_of(before))
    for obj in objects:
        if obj["kind"] == "TenantAllocation" and draw(at_times):
            obj["spec"] = draw(requests(obj["metadata"]["name"]))["spec"]
    return objects + [draw(requests(f"n{number}")) for number in range(draw(st.integers(0, 3)))]


@st.composite
def clusters(draw: st.DrawFn) -> list[Manifest]:
    """Anything at all: statuses and quotas that no plan has made, namespaces of the dead, heirs, unreadable objects."""
    objects = draw(pools())
    dead = [name for name in ("dead-1", "dead-2") if draw(st.booleans())]
    for name in dead:
        objects += [make_namespace(name, retained=not draw(rarely)), make_quota(name, *draw(quotas()))]
    for number in range(draw(st.integers(2, 7))):
        name = f"t{number}"
        allocation = draw(requests(name))
        if draw(at_times):
            allocation["status"] = draw(statuses())
        if draw(rarely):
            allocation["metadata"]["deletionTimestamp"] = at(5)
        if draw(rarely):
            allocation["spec"]["priority"] = "unreadable"
        if "dead-1" in dead and draw(at_times):
            heritage = {"restoreFrom": "uid-dead-1", "namespaces": [{"name": "dead-1"}]}
            stored = [{"pool": pool, "size": "3Ti"} for pool in STORAGE]
            allocation["spec"] |= heritage | {"storage": stored}
        objects.append(allocation)
        if draw(at_times):
            labels = draw(st.sets(st.sampled_from([*ACCELERATORS]), max_size=2))
            objects += [make_namespace(name, pools=sorted(labels)), make_quota(name, *draw(quotas()))]
    return objects


@st.composite
def quotas(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What a quota asks, counts and enforces; rarely a key is missing."""

    def amounts() -> dict[str, Any]:
        named = LIMITS[1:] if draw(rarely) else LIMITS
        return {limit: draw(held_devices if "/" in limit else held_sizes) for limit in named}

    return amounts(), amounts(), amounts()


@st.composite
def statuses(draw: st.DrawFn) -> Manifest:
    """Status.grant and status.queue, made up."""
    status: Manifest = {}
    if draw(st.booleans()):
        pools_held = draw(st.sets(st.sampled_from([*ACCELERATORS, "gone"]), max_size=2))
        status["grant"] = {
            "accelerators": {pool: draw(held_devices) for pool in sorted(pools_held)},
            "storage": {"lustre": draw(held_sizes)} if draw(at_times) else {},
        }
    if draw(st.booleans()):
        status["queue"] = make_queue(draw(st.integers(0, 3)), {"a100": draw(st.integers(1, 5))})
    return status
