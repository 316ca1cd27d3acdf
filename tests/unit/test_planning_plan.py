"""Who gets what now, who waits for what, and what pools say: by example. What holds always is in the properties."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.decisions import PoolPlan
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import (
    GPU,
    NO_DATE,
    NOW,
    Manifest,
    decide,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_namespace,
    make_node,
    make_nodes,
    make_queue,
    make_quota,
    make_storage_pool,
    plan_of,
    written_back,
)

TI = 2**40
A100, NPU, LUSTRE = accelerator("a100"), accelerator("npu"), storage("lustre")
# 16 A100, 4 NPUs, 100Ti of lustre.
CLUSTER = [
    make_accelerator_pool("a100"),
    make_accelerator_pool("npu", "furiosa.ai/npu"),
    *make_nodes(2, "a100"),
    *make_nodes(1, "npu", devices=4, resource="furiosa.ai/npu"),
    make_storage_pool(),
]


def holder(name: str, created: int = 0, **devices: int) -> Manifest:
    """An allocation that has what it asks for."""
    return make_allocation(name, devices, created=created, grant={"accelerators": devices})


def waiter(name: str, created: int = 0, **devices: int) -> Manifest:
    """An allocation that asks and has nothing."""
    return make_allocation(name, devices, created=created)


# -- granting


def test_a_request_that_fits_is_granted_at_once() -> None:
    """All of it, and nothing waits."""
    decision = decide([*CLUSTER, make_allocation(accelerators={"a100": 16}, storage={"lustre": "100Ti"})])
    assert (decision.met, decision.admitted, decision.reason) == (True, True, Reason.GRANTED)
    assert decision.grant == {A100: 16, LUSTRE: 100 * TI}
    assert (decision.message, decision.queue) == ("", None)


def test_compute_alone_is_granted_and_stays_admitted() -> None:
    """It holds nothing of any pool, and yet it is promised; a later wish that must wait takes nothing away."""
    compute = make_allocation(compute={"cpu": "4"})
    decision = decide([*CLUSTER, compute])
    assert (decision.met, decision.admitted, decision.grant) == (True, True, {})
    wish = make_allocation(accelerators={"a100": 4}, compute={"cpu": "4"})
    waiting = decide([*CLUSTER, holder("big", a100=16), wish, make_namespace()])
    assert (waiting.met, waiting.admitted, waiting.reason) == (False, True, Reason.WAITING_FOR_CAPACITY)
    assert waiting.queue is not None
    assert waiting.queue.since == NOW
    assert decide([*CLUSTER, compute, make_namespace()]) == decision, "its namespace is no news"


def test_a_first_wish_that_waits_is_not_admitted() -> None:
    """Nothing was promised yet; a promise that was taken back, or a namespace that was given up, is none."""
    for taken_back in ([waiter("blue", a100=1)], [make_allocation("blue", {"a100": 1}, grant={})]):
        assert not decide([*CLUSTER, holder("big", a100=16), *taken_back]).admitted
    given_up = [waiter("blue", a100=1), make_namespace("old", "blue", retained=True)]
    assert not decide([*CLUSTER, holder("big", a100=16), *given_up]).admitted


def test_an_allocation_that_is_being_deleted_keeps_its_charge_and_gets_nothing() -> None:
    """What it holds becomes free only when it is really gone."""
    leaving = make_allocation(accelerators={"a100": 9}, grant={"accelerators": {"a100": 8}}, deleting=True)
    plan = plan_of([*CLUSTER, leaving, waiter("next", a100=9)])
    decision = plan.decisions["blue"]
    assert (decision.met, decision.reason, decision.message) == (
        False,
        Reason.DELETING,
        "the allocation is being deleted",
    )
    assert decision.grant == {A100: 8}
    assert plan.decisions["next"].reason is Reason.WAITING_FOR_CAPACITY


# -- the order of the queue


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        pytest.param({"priority": 200, "created": 9}, {"created": 1}, "a", id="priority goes before age"),
        pytest.param({"created": 2}, {"created": 1}, "b", id="age goes before name"),
        pytest.param({"created": 1}, {"created": 1}, "a", id="name decides at last"),
        pytest.param(
            {"created": 1, "queue": make_queue(50, {"a100": 12})},
            {"created": 40},
            "b",
            id="the age of the wish counts, not that of the object",
        ),
        pytest.param({"priority": 0}, {"priority": 1}, "b", id="priority 0 is the last"),
    ],
)
def test_the_queue_is_ordered_by_priority_age_and_name(
    first: dict[str, Any], second: dict[str, Any], winner: str
) -> None:
    """Total and deterministic: of two that do not both fit the first has it."""
    objects = [make_allocation("a", {"a100": 12}, **first), make_allocation("b", {"a100": 12}, **second)]
    plan = plan_of([*CLUSTER, *objects])
    assert [name for name, decision in plan.decisions.items() if decision.met] == [winner]


# -- waiting: reasons and messages


@pytest.mark.parametrize(
    ("objects", "message", "short"),
    [
        pytest.param(
            [holder("big", a100=14), waiter("blue", a100=8)],
            f"needs 8 of a100, 2 available; {NO_DATE}; 2 devices could start now",
            {A100: 6},
            id="some are free",
        ),
        pytest.param(
            [holder("big", a100=15), waiter("blue", a100=8)],
            f"needs 8 of a100, 1 available; {NO_DATE}; 1 device could start now",
            {A100: 7},
            id="one is free",
        ),
        pytest.param(
            [holder("big", a100=16), waiter("blue", a100=8)],
            f"needs 8 of a100, 0 available; {NO_DATE}",
            {A100: 8},
            id="none is free",
        ),
        pytest.param(
            [holder("big", a100=14), waiter("red", created=-1, a100=4), waiter("blue", a100=8)],
            f"needs 8 of a100, 2 available; 1 ahead; {NO_DATE}",
            {A100: 6},
            id="what is free is claimed by one ahead",
        ),
        pytest.param(
            [holder("big", a100=20), waiter("blue", a100=8)],
            f"needs 8 of a100, 0 available, 4 overcommitted; {NO_DATE}",
            {A100: 8},
            id="the pool owes already",
        ),
        pytest.param(
            [holder("big", a100=10, npu=4), waiter("blue", a100=8, npu=2)],
            f"needs 8 of a100, 6 available; 2 of npu, 0 available; {NO_DATE}",
            {A100: 2, NPU: 2},
            id="two pools are short, so there is no single way out",
        ),
        pytest.param(
            [holder("big", npu=3), waiter("blue", a100=8, npu=2)],
            f"needs 2 of npu, 1 available; {NO_DATE}; 1 device could start now",
            {NPU: 1},
            id="of two pools only the one that is short is spoken of",
        ),
        pytest.param(
            [
                make_allocation("big", storage={"lustre": "90Ti"}, grant={"storage": {"lustre": "90Ti"}}),
                make_allocation(storage={"lustre": "20Ti"}),
            ],
            f"needs 20Ti of lustre, 10Ti available; {NO_DATE}; 10Ti could start now",
            {LUSTRE: 10 * TI},
            id="storage",
        ),
        pytest.param(
            [make_accelerator_pool("h100", "example.org/h"), waiter("blue", h100=8)],
            f"needs 8 of h100, no node matches; {NO_DATE}",
            {accelerator("h100"): 8},
            id="a pool without nodes",
        ),
        pytest.param(
            [
                make_accelerator_pool("h100", "example.org/h"),
                make_node("h", "h100", 0, "example.org/h"),
                waiter("blue", h100=8),
            ],
            f"needs 8 of h100, its nodes show no device yet; {NO_DATE}",
            {accelerator("h100"): 8},
            id="a pool whose nodes have no devices yet",
        ),
        pytest.param(
            [make_accelerator_pool("h100", "example.org/h"), holder("big", h100=3), waiter("blue", h100=8)],
            f"needs 8 of h100, no node matches, 3 overcommitted; {NO_DATE}",
            {accelerator("h100"): 8},
            id="a pool that lost all its nodes",
        ),
        pytest.param(
            [
                make_accelerator_pool("h100", "example.org/h"),
                make_node("h1", "h100", 8, "example.org/h"),
                make_node("h2", "h100", 8, "example.org/h", taints=["sick:NoSchedule"]),
                waiter("blue", h100=12),
            ],
            "needs 12 of h100, 8 available (8 of 16 devices are there now; 8 on nodes with taints that the pool does "
            f"not tolerate); {NO_DATE}; 8 devices could start now",
            {accelerator("h100"): 4},
            id="a pool with tainted nodes",
        ),
        pytest.param(
            [
                make_accelerator_pool("h100", "example.org/h") | {"status": {"devices": {"highest": 16}}},
                waiter("blue", h100=8),
            ],
            f"needs 8 of h100, 0 available (0 of 16 devices are there now; no node matches); {NO_DATE}",
            {accelerator("h100"): 8},
            id="a pool whose nodes match no longer",
        ),
    ],
)
def test_who_waits_for_capacity_is_told_the_numbers(objects: list[Manifest], message: str, short: Any) -> None:
    """What is needed, what is available, who is ahead, and what could be had at once."""
    decision = decide([*CLUSTER, *objects])
    assert (decision.reason, decision.message) == (Reason.WAITING_FOR_CAPACITY, message)
    assert decision.queue is not None
    assert decision.queue.blocked_by == short
    assert not decision.met


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        pytest.param(
            {"a100": 4},
            f"would fit now (4 of a100 with 6 available), but would delay somebody ahead; 1 ahead; {NO_DATE}",
            id="one pool",
        ),
        pytest.param(
            {"a100": 4, "npu": 1},
            f"would fit now (4 of a100 with 6 available), but would delay somebody ahead; 1 ahead; {NO_DATE}",
            id="of two pools the one where somebody is ahead is spoken of",
        ),
    ],
)
def test_who_would_delay_somebody_ahead_is_told_so(ask: dict[str, int], message: str) -> None:
    """A large request is not starved by small ones: what it waits for is set aside."""
    objects = [holder("big", a100=10), waiter("large", created=-1, a100=8), waiter("blue", **ask)]
    decision = decide([*CLUSTER, *objects])
    assert (decision.reason, decision.message) == (Reason.BLOCKED_BY_EARLIER, message)
    assert decision.queue is not None
    assert decision.queue.blocked_by == {}
    assert decision.queue.position == 2


def test_what_those_ahead_leave_could_start_now() -> None:
    """The way out counts what is neither granted nor set aside."""
    ahead = waiter("ahead", created=-1, a100=4, npu=4)
    decision = decide([*CLUSTER, holder("big", a100=6, npu=1), ahead, waiter("blue", a100=8)])
    assert (decision.reason, decision.message) == (
        Reason.BLOCKED_BY_EARLIER,
        f"would fit now (8 of a100 with 10 available), but would delay somebody ahead; 1 ahead; {NO_DATE}; "
        "6 devices could start now",
    )


def test_a_later_request_that_takes_nothing_from_anybody_starts() -> None:
    """Another pool, or what those ahead do not need."""
    ahead = waiter("ahead", created=-1, a100=4, npu=4)
    plan = plan_of([*CLUSTER, holder("big", a100=6, npu=1), ahead, waiter("small", a100=6)])
    assert plan.decisions["ahead"].reason is Reason.WAITING_FOR_CAPACITY
    assert plan.decisions["small"].met


def test_a_message_does_not_change_when_somebody_behind_starts() -> None:
    """Statuses are written once: a message names only numbers that stay."""
    ahead = waiter("ahead", created=-1, a100=4, npu=4)
    objects = [*CLUSTER, holder("big", npu=1), ahead, waiter("small", a100=12)]
    first = plan_of(objects)
    assert first.decisions["small"].met
    assert first.decisions["ahead"].message == f"needs 4 of npu, 3 available; {NO_DATE}; 3 devices could start now"
    assert plan_of(written_back(objects, first)).decisions == first.decisions


# -- positions


def test_positions_count_earlier_waiters_of_the_same_pools() -> None:
    """Who waits for other pools is not ahead."""
    objects = [
        holder("big", a100=16, npu=4),
        waiter("w1", 1, a100=1),
        waiter("w2", 2, npu=1),
        waiter("w3", 3, a100=1, npu=1),
        waiter("w4", 4, npu=1),
        make_allocation("gone", {"none-such": 1}),
    ]
    decisions = plan_of([*CLUSTER, *objects]).decisions
    positions = {name: d.queue.position for name, d in decisions.items() if d.queue}
    assert positions == {"w1": 1, "w2": 1, "w3": 3, "w4": 3}


def test_only_pools_that_are_waited_for_count_in_a_position() -> None:
    """A holder that grows in one pool is not ahead of those who wait for its other pool."""
    grower = make_allocation("grower", {"a100": 8, "npu": 4}, grant={"accelerators": {"a100": 8, "npu": 2}})
    objects = [grower, holder("big", a100=8, npu=2), make_allocation("blue", {"a100": 1}, priority=1)]
    decision = decide([*CLUSTER, *objects])
    assert decision.queue is not None
    assert decision.queue.position == 1


# -- what cannot be granted from


def test_a_pool_that_a_quota_does_not_name_grants_nothing() -> None:
    """A quota that does not name it leaves it open to that tenant."""
    open_quota = [make_namespace("red"), make_quota("red", {"furiosa.ai/npu": 0, "lustre": "0"})]
    objects = [*CLUSTER, *open_quota, waiter("blue", a100=1), waiter("npu-only", npu=1)]
    plan = plan_of(objects)
    decision = plan.decisions["blue"]
    assert (decision.met, decision.reason, decision.message) == (
        False,
        Reason.WAITING_FOR_CAPACITY,
        "a100 grants nothing new before every quota names it",
    )
    assert decision.queue is not None
    assert (decision.queue.position, decision.queue.blocked_by) == (1, {})
    assert plan.decisions["npu-only"].met


def test_who_waits_for_capacity_anyway_is_not_told_of_quotas() -> None:
    """A quota that is out of order for a second must not rewrite every waiter's status; but no way out is offered."""
    open_quota = [make_namespace("red"), make_quota("red", {"furiosa.ai/npu": 0, "lustre": "0"})]
    decision = decide([*CLUSTER, *open_quota, holder("big", a100=14), waiter("blue", a100=8)])
    assert decision.message == f"needs 8 of a100, 2 available; {NO_DATE}"


def test_an_overcommitted_pool_grants_nothing_new_and_takes_nothing_back() -> None:
    """Nodes were lost: holders keep what they have, everybody else waits."""
    objects = [make_accelerator_pool(), make_node(), holder("big", a100=12), waiter("blue", a100=1)]
    plan = plan_of(objects)
    assert plan.decisions["big"].grant == {A100: 12}
    assert not plan.decisions["blue"].met
    assert plan.pools[A100] == PoolPlan(granted=12, available=-4, waiting=1, waiters=1)


def test_a_large_request_holds_its_pool_while_nodes_are_away() -> None:
    """It asks for no more than is installed, so it waits, and smaller ones wait behind it."""
    nodes = [make_node("n1"), make_node("n2", ready=False)]
    plan = plan_of([make_accelerator_pool(), *nodes, waiter("large", 1, a100=12), waiter("small", 2, a100=2)])
    assert plan.decisions["large"].reason is Reason.WAITING_FOR_CAPACITY
    assert plan.decisions["small"].reason is Reason.BLOCKED_BY_EARLIER


# -- what pools say


def test_pools_add_up_what_is_granted_used_and_waited_for() -> None:
    """Waiting is what is missing, by those who wait for capacity; refused asks do not count."""
    objects = [
        make_allocation("blue", {"a100": 8}, {"lustre": "10Ti"}, grant={"accelerators": {"a100": 4}}),
        *make_held("blue", {GPU: 4, "lustre": "0", "furiosa.ai/npu": 0}, {GPU: 3}),
        holder("big", a100=9),
        waiter("late", created=9, a100=5),
        waiter("never", a100=500),
    ]
    plan = plan_of([*CLUSTER, *objects])
    assert plan.pools == {
        A100: PoolPlan(granted=13, available=3, in_use=3, waiting=9, waiters=2),
        NPU: PoolPlan(available=4),
        LUSTRE: PoolPlan(available=100 * TI, waiting=10 * TI, waiters=1),
    }


def test_devices_in_namespaces_of_the_dead_are_handed_out() -> None:
    """There is no such thing as a retained device: it is granted until the quota there is closed."""
    plan = plan_of([*CLUSTER, *make_held("dead", {GPU: 3, "furiosa.ai/npu": 0, "lustre": "0"}, retained=True)])
    assert plan.pools[A100] == PoolPlan(granted=3, available=13)


def test_bytes_are_added_exactly() -> None:
    """The 10.7 PB of the model case, to the last byte."""
    pool = make_storage_pool(capacity="10700T")
    one_less = make_allocation("one-less", storage={"lustre": "10699999999999999"}, created=-1)
    plan = plan_of(
        [
            pool,
            one_less,
            make_allocation("last", storage={"lustre": "1"}),
            make_allocation("z", storage={"lustre": "1"}),
        ]
    )
    assert plan.decisions["one-less"].met
    assert plan.decisions["last"].met
    assert plan.decisions["z"].message == f"needs 1 of lustre, 0 available; {NO_DATE}"
    assert plan.pools[LUSTRE].granted == 10_700_000_000_000_000


def test_a_promise_of_a_pool_that_is_gone_is_kept() -> None:
    """The pool may come back; until then there is nothing to add it up in."""
    plan = plan_of([*CLUSTER, holder("blue", gone=8)])
    assert plan.decisions["blue"].reason is Reason.POOL_NOT_FOUND
    assert plan.decisions["blue"].grant == {accelerator("gone"): 8}
    assert accelerator("gone") not in plan.pools


def test_nothing_at_all_is_a_plan() -> None:
    """An empty cluster has no decisions and no pools."""
    plan = plan_of([])
    assert (plan.decisions, plan.pools) == ({}, {})
