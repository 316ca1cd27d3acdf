"""Whatever adds up, and whatever nodes report: a status is one that the API server takes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.api import AcceleratorPool
from bitgoeul.api.accelerator_pool import AcceleratorPoolSpec, StopPolicy
from bitgoeul.api.quantities import MOST
from bitgoeul.desired.allocation_status import holdings, queue_status
from bitgoeul.desired.pool_status import build_accelerator_status, build_storage_status
from bitgoeul.planning.decisions import CalendarEntry, PoolPlan, QueueEntry
from bitgoeul.planning.pools import Capacity, Pool, accelerator, storage
from tests.schema import status_schema, violations
from tests.unit.builders import NOW, make_accelerator_pool

amounts = st.one_of(st.integers(0, 2**70), st.sampled_from([0, MOST, MOST + 1, 12 * 10**18, 10**24]))
differences = st.one_of(amounts, amounts.map(lambda amount: -amount))
capacities = st.builds(
    Capacity,
    installed=amounts,
    not_ready=amounts,
    cordoned=amounts,
    tainted=amounts,
    unhealthy=amounts,
    reserve=amounts,
    planned=st.one_of(st.none(), amounts),
).filter(lambda capacity: capacity.schedulable >= 0)
entries = st.builds(
    CalendarEntry, at=st.integers(0, 10**13), available=differences, change=differences, cause=st.just("a stage begins")
)
plans = st.builds(
    PoolPlan,
    granted=amounts,
    retained=amounts,
    available=differences,
    in_use=amounts,
    waiting=amounts,
    waiters=st.integers(0, 100),
    scheduled=amounts,
    calendar=st.lists(entries, max_size=10).map(tuple),
    short_from=st.one_of(st.none(), st.integers(0, 10**13)),
    short_by=amounts,
)


def spec_of(petaflops: str) -> AcceleratorPoolSpec:
    pool = make_accelerator_pool("a100", petaflopsPerDevice=petaflops)
    return AcceleratorPool.model_validate(pool).spec


@given(capacity=capacities, plan=plans, petaflops=st.sampled_from(["0.000001", "999999999.999999"]))
def test_the_status_of_an_accelerator_pool_is_always_taken(capacity: Capacity, plan: PoolPlan, petaflops: str) -> None:
    """Also where nodes report more devices than an integer holds, or sums are larger."""
    pool = Pool(accelerator("a100"), "example.org/gpu", capacity, ready_nodes=3)
    status = build_accelerator_status(spec_of(petaflops), 1, pool, plan, 0, {}, NOW)
    assert list(violations(status, status_schema("AcceleratorPool"), "status")) == []


@given(capacity=capacities, plan=plans, deleting=st.booleans())
def test_the_status_of_a_storage_pool_is_always_taken(capacity: Capacity, plan: PoolPlan, deleting: bool) -> None:
    """Twelve who ask for an exabyte each are more than an integer holds."""
    pool = Pool(storage("lustre"), "lustre", capacity, deleting=deleting, stop=StopPolicy.HOLD)
    status = build_storage_status(1, pool, plan, 0, True, {}, NOW)
    assert list(violations(status, status_schema("StoragePool"), "status")) == []


@given(devices=amounts, size=amounts)
def test_what_an_allocation_holds_is_always_taken(devices: int, size: int) -> None:
    """What quotas count is somebody else's, and adds up over namespaces."""
    held = {accelerator("a100"): devices, storage("lustre"): size}
    entry = QueueEntry(1, NOW, held, held)
    status: dict[str, Any] = {name: holdings(held) for name in ("grant", "promised", "inUse", "excess")}
    status["queue"] = queue_status(entry)
    assert list(violations(status, status_schema("TenantAllocation"), "status")) == []


def test_sums_stop_at_the_most_that_can_stand_there() -> None:
    """They stay what they are where that can be said, and the short texts say the rest."""
    plan = PoolPlan(granted=10**18, waiting=11 * 10**18, available=-12 * 10**18)
    status = build_storage_status(1, Pool(storage("exa"), "exa", Capacity(10**18)), plan, 0, True, {}, NOW)
    bytes_ = status["bytes"]
    assert (bytes_["granted"], bytes_["waiting"], bytes_["available"]) == (10**18, MOST, -MOST - 1)
    assert status["summary"] == {"capacity": "1E", "granted": "1E", "available": "-12E"}


def test_short_texts_are_short() -> None:
    """500T less 10Ti has no short exact text."""
    plan = PoolPlan(granted=10 * 2**40, available=500 * 10**12 - 10 * 2**40)
    status = build_storage_status(1, Pool(storage("x"), "x", Capacity(500 * 10**12)), plan, 0, True, {}, NOW)
    assert status["summary"] == {"capacity": "500T", "granted": "10Ti", "available": "444.7Ti"}
    assert status["bytes"]["available"] == 500 * 10**12 - 10 * 2**40
