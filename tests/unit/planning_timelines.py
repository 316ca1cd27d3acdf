"""
Hypothesis strategies for clusters in time, for planning and for the reference planner alike.

Two accelerator pools, one of them with stages, and a storage pool. Whole hours; now is hour 24.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.unit.builders import (
    Manifest,
    hour,
    make_accelerator_pool,
    make_allocation,
    make_node,
    make_record,
    make_storage_pool,
)
from tests.unit.planning_reference import LAST, NOW, Case, Stage, Tenant, kept_until, level, occupied

NPU = "furiosa.ai/npu"
often = st.sampled_from([True, True, False])
rarely = st.sampled_from([False, False, False, True])


@st.composite
def capacities(draw: st.DrawFn) -> dict[str, list[Stage]]:
    """What the pools give, from hour 0 on and from later stages on."""
    first = draw(st.integers(2, 8))
    later = draw(st.lists(st.integers(25, 50), max_size=2, unique=True))
    stages = [(0, first), *((at, draw(st.integers(1, 9))) for at in sorted(later))]
    return {"a100": stages, "npu": [(0, draw(st.integers(2, 4)))], "lustre": [(0, draw(st.integers(2, 8)))]}


@st.composite
def tenants(draw: st.DrawFn, name: str) -> Tenant:
    """A request to which nothing has happened yet."""
    pools = draw(st.sets(st.sampled_from(["a100", "a100", "npu", "lustre"]), min_size=1, max_size=2))
    ask = {pool: draw(st.integers(1, 4)) for pool in sorted(pools)}
    start = draw(st.sampled_from([None, None, 10, 26, 30, 34]))
    kind = draw(st.sampled_from(["end", "length", "length", "open"]))
    return Tenant(
        name,
        ask,
        priority=draw(st.sampled_from([100, 100, 100, 50, 200])),
        created=draw(st.integers(0, 5)),
        start=start,
        end=draw(st.integers(max(start or 0, NOW) + 1, 50)) if kind == "end" else None,
        length=draw(st.integers(1, 12)) if kind == "length" else None,
        grace=draw(st.sampled_from([0, 0, 0, 2])),
        retention=draw(st.sampled_from([None, 0, 3])),
    )


@st.composite
def cases(draw: st.DrawFn, most: int = 7) -> Case:
    """A cluster in which some hold, some are promised a start, and the rest asks; nothing is owed at any time."""
    pools = draw(capacities())
    free = {pool: [level(stages, at) for at in range(LAST + 1)] for pool, stages in pools.items()}
    found: list[Tenant] = []
    for number in range(draw(st.integers(1, most))):
        tenant = draw(tenants(f"t{number}"))
        kind = draw(st.sampled_from(["asks", "asks", "holds", "promised"]))
        if kind != "asks":
            settled = draw(settle(tenant, promised=kind == "promised"))
            slots = [
                (pool, amount, slot)
                for pool, amount in (settled.ask if settled.promised else settled.held).items()
                for slot in occupied(settled, pool, begin(settled), kept_until(settled))
            ]
            if all(free[pool][slot] >= amount for pool, amount, slot in slots):
                for pool, amount, slot in slots:
                    free[pool][slot] -= amount
                tenant = settled
        found.append(tenant)
    return Case(pools, found)


def begin(tenant: Tenant) -> int:
    """When what it has begins to count."""
    assert tenant.record is not None
    return max(NOW, tenant.record[0])


@st.composite
def settle(draw: st.DrawFn, tenant: Tenant, promised: bool) -> Tenant:
    """The same tenant with something in its hands: a promised start, or a grant that may be asked to grow or last."""
    start = draw(st.integers(20, 36)) if promised else draw(st.integers(14, NOW))
    length = draw(st.integers(1, 12)) + max(0, NOW - start)
    kind = draw(st.sampled_from(["end", "length", "open"]))
    end = None if kind == "open" else start + length
    later = 0 if promised else draw(st.sampled_from([0, 0, 0, 3, 9, -1]))
    if end is not None and end + later <= NOW:
        later = 0
    held = {p: draw(st.integers(1, n)) for p, n in tenant.ask.items() if draw(often)} if draw(rarely) else tenant.ask
    return Tenant(
        tenant.name,
        tenant.ask,
        priority=tenant.priority,
        created=tenant.created,
        start=start if promised else tenant.start if (tenant.start or NOW) <= NOW else None,
        end=end + later if kind == "end" and end is not None else None,
        length=length + later if kind == "length" else None,
        grace=tenant.grace,
        retention=tenant.retention,
        record=(start, end),
        held={} if promised else held,
        promised=promised,
    )


def pools_of(case: Case) -> list[Manifest]:
    """The pools with their nodes: enough for every stage."""
    objects: list[Manifest] = []
    for name, resource in (("a100", "nvidia.com/gpu"), ("npu", NPU)):
        stages = [{"name": f"s{at}", "from": hour(at), "devices": amount} for at, amount in case.pools[name]]
        given: Manifest = {"stages": stages} if len(stages) > 1 else {}
        objects.append(make_accelerator_pool(name, resource, **given))
        objects.append(make_node(name, name, max(amount for _, amount in case.pools[name]), resource))
    return [*objects, make_storage_pool(capacity=f"{case.pools['lustre'][0][1]}Ti")]


def object_of(tenant: Tenant) -> Manifest:
    """The tenant as the API server returns it."""
    devices, sizes = apart(tenant.ask)
    held_devices, held_sizes = apart(tenant.held)
    window = {
        "start": None if tenant.start is None else hour(tenant.start),
        "end": None if tenant.end is None else hour(tenant.end),
        "duration": None if tenant.length is None else f"{tenant.length}h",
    }
    policy = "Retain" if tenant.retention is None else "Delete"
    status: Manifest = {}
    if tenant.record is not None:
        status = make_record(*tenant.record, admitted=not tenant.promised)
    if tenant.promised:
        status["promised"] = {"accelerators": devices, "storage": sizes}
    elif tenant.record is not None:
        status["grant"] = {"accelerators": held_devices, "storage": held_sizes}
    return make_allocation(
        tenant.name,
        devices,
        sizes,
        created=tenant.created,
        priority=tenant.priority,
        window={name: value for name, value in window.items() if value is not None},
        expiry={"grace": f"{tenant.grace}h", "retention": f"{tenant.retention or 0}h", "deletionPolicy": policy},
        status=status,
    )


def apart(amounts: dict[str, int]) -> tuple[dict[str, int], dict[str, str]]:
    """Devices and sizes."""
    devices = {pool: amount for pool, amount in amounts.items() if pool != "lustre"}
    return devices, {"lustre": f"{amounts['lustre']}Ti"} if "lustre" in amounts else {}


def objects_of(case: Case) -> list[Manifest]:
    """The whole cluster."""
    return pools_of(case) + [object_of(tenant) for tenant in case.tenants]
