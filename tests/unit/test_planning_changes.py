"""What becomes of a wish that changes: growth, shrinking, swapping pools, and taking over what another has left."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.decisions import PoolPlan
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import (
    GPU,
    NO_DATE,
    NOW,
    START,
    Manifest,
    decide,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_nodes,
    make_queue,
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


# -- growth and shrinking


def growing(**fields: Any) -> Manifest:
    """A holder of 4 A100 that asks for 12."""
    return make_allocation("blue", {"a100": 12}, grant={"accelerators": {"a100": 4}}, **fields)


def test_growth_is_a_request_for_the_difference() -> None:
    """8 more fit into 12 that are free."""
    decision = decide([*CLUSTER, growing()])
    assert (decision.met, decision.grant) == (True, {A100: 12})


def test_growth_that_waits_keeps_what_is_held() -> None:
    """All or nothing goes for the difference; what is held is no bargaining matter."""
    decision = decide([*CLUSTER, growing(), holder("big", a100=6)])
    assert (decision.met, decision.admitted, decision.grant) == (False, True, {A100: 4})
    assert decision.message == f"needs 8 of a100, 6 available; {NO_DATE}; 6 devices could start now"
    assert decision.queue is not None
    assert decision.queue.asked == {A100: 12}
    assert decision.queue.blocked_by == {A100: 2}


def test_growth_joins_the_queue_when_it_is_first_seen() -> None:
    """The age of the allocation does not count for what it asks for only now; status has whole milliseconds."""
    late = NOW + timedelta(microseconds=700_123)
    decision = decide([*CLUSTER, growing(created=0), holder("big", a100=6)], now=late)
    assert decision.queue is not None
    assert decision.queue.since == NOW + timedelta(milliseconds=700)
    plan = plan_of([*CLUSTER, growing(created=0), waiter("older", created=5, a100=12)])
    assert plan.decisions["older"].met
    assert not plan.decisions["blue"].met


def test_growth_of_higher_priority_goes_first() -> None:
    """Priority counts for growth as for anything that waits."""
    plan = plan_of([*CLUSTER, growing(priority=101), waiter("older", created=5, a100=12)])
    assert plan.decisions["blue"].met
    assert not plan.decisions["older"].met


@pytest.mark.parametrize(
    ("queue", "since"),
    [
        pytest.param(make_queue(7, {"a100": 12}), START + timedelta(minutes=7), id="the same ask keeps its age"),
        pytest.param(make_queue(7, {"a100": 14}), START + timedelta(minutes=7), id="a smaller ask keeps its age"),
        pytest.param(make_queue(7, {"a100": 11}), NOW, id="a larger ask starts anew"),
        pytest.param(make_queue(7, {"npu": 12}), NOW, id="another pool starts anew"),
        pytest.param(make_queue(7, {"a100": 12}, lustre="1Ti"), START + timedelta(minutes=7), id="a pool less"),
        pytest.param(None, START + timedelta(minutes=3), id="a first wish is as old as its object"),
    ],
)
def test_enlarging_a_waiting_ask_resets_its_age(queue: Manifest | None, since: Any) -> None:
    """Nobody keeps a place by asking for little and enlarging later."""
    wish = make_allocation(accelerators={"a100": 12}, created=3, queue=queue)
    decision = decide([*CLUSTER, holder("big", a100=16), wish])
    assert decision.queue is not None
    assert decision.queue.since == since


def test_a_single_device_of_another_pool_starts_anew() -> None:
    """However little it is, it was not asked for before."""
    wish = make_allocation(accelerators={"a100": 12, "npu": 1}, queue=make_queue(7, {"a100": 12}))
    decision = decide([*CLUSTER, holder("big", a100=16), wish])
    assert decision.queue is not None
    assert decision.queue.since == NOW


def test_a_shrink_is_met_at_once_and_stays_charged() -> None:
    """What is given up is free only when quota and pods have gone down, which the plan cannot see."""
    shrunk = make_allocation(accelerators={"a100": 2}, grant={"accelerators": {"a100": 8}})
    decision = decide([*CLUSTER, shrunk])
    assert (decision.met, decision.grant) == (True, {A100: 8})


def test_a_pool_is_swapped_by_acquiring_first() -> None:
    """While the new pool is waited for, nothing of the old one is given up."""
    swap = make_allocation(accelerators={"npu": 4}, grant={"accelerators": {"a100": 8}})
    granted = decide([*CLUSTER, swap])
    assert (granted.met, granted.grant) == (True, {A100: 8, NPU: 4})
    waiting = decide([*CLUSTER, swap, holder("other", npu=1)])
    assert (waiting.met, waiting.grant) == (False, {A100: 8})


def test_what_is_held_without_a_promise_is_promised() -> None:
    """A status that was lost is restored from the quotas."""
    lost = make_allocation(accelerators={"a100": 8})
    decision = decide([*CLUSTER, lost, *make_held("blue", {GPU: 8}), holder("big", a100=8)])
    assert (decision.met, decision.grant) == (True, {A100: 8})


def test_what_is_held_without_a_promise_is_kept_while_more_is_waited_for() -> None:
    """It counts as admitted: nobody loses a namespace because a status was lost."""
    lost = make_allocation(accelerators={"a100": 8})
    decision = decide([*CLUSTER, lost, *make_held("blue", {GPU: 4, "furiosa.ai/npu": 0}), holder("big", a100=12)])
    assert (decision.met, decision.admitted, decision.grant) == (False, True, {A100: 4})


# -- inheritance

KEPT = make_held("dead", {"lustre": "0"}, {"lustre": "90Ti"}, retained=True)


def make_heir(size: str, **fields: Any) -> Manifest:
    """An allocation that takes over the namespace ``dead``."""
    named = [{"name": "dead"}]
    return make_allocation("heir", storage={"lustre": size}, restoreFrom="uid-dead", namespaces=named, **fields)


def test_kept_data_leaves_less_to_others() -> None:
    """90 of 100Ti are retained."""
    plan = plan_of([*CLUSTER, *KEPT, make_allocation(storage={"lustre": "20Ti"})])
    message = f"needs 20Ti of lustre, 10Ti available; {NO_DATE}; 10Ti could start now"
    assert plan.decisions["blue"].message == message
    assert plan.pools[LUSTRE] == PoolPlan(retained=90 * TI, available=10 * TI, waiting=20 * TI, waiters=1)


def test_an_heir_needs_room_only_for_what_it_asks_beyond_the_kept_data() -> None:
    """The data is charged to the pool already; the charge moves, and the partition adds up at every step."""
    objects = [*CLUSTER, *KEPT, make_heir("95Ti")]
    first = plan_of(objects)
    assert first.decisions["heir"].grant == {LUSTRE: 95 * TI}
    assert first.pools[LUSTRE] == PoolPlan(granted=95 * TI, available=5 * TI)
    assert plan_of(written_back(objects, first)) == first


def test_an_heir_of_exactly_the_kept_data_needs_no_room_at_all() -> None:
    """Not even in a pool that owes."""
    small = [make_accelerator_pool(), make_storage_pool(capacity="50Ti", reserve="0")]
    crowd = make_allocation("crowd", storage={"lustre": "10Ti"}, grant={"storage": {"lustre": "10Ti"}})
    capacity = make_storage_pool(capacity="95Ti")
    plan = plan_of([small[0], capacity, *KEPT, crowd, make_heir("90Ti")])
    assert plan.decisions["heir"].met
    assert plan.pools[LUSTRE] == PoolPlan(granted=100 * TI, available=-5 * TI)


def test_an_heir_that_waits_moves_nothing() -> None:
    """Whole or not at all, also for the data."""
    plan = plan_of(
        [*CLUSTER, *KEPT, make_heir("95Ti"), make_allocation("elder", storage={"lustre": "6Ti"}, created=-1)]
    )
    decision = plan.decisions["heir"]
    assert (decision.met, decision.grant) == (False, {})
    assert decision.message == f"needs 5Ti of lustre, 4Ti available; {NO_DATE}; 4Ti could start now"
    assert plan.pools[LUSTRE].retained == 90 * TI


def test_a_refusal_in_between_does_not_make_an_enlarged_ask_older() -> None:
    """Who asks for more, then for the impossible, then for the same again, does not stand where it stood at first."""
    queue = make_queue(7, {"a100": 12})
    refused = make_allocation("blue", {"nowhere": 1}, queue=queue)
    decision = decide([*CLUSTER, refused])
    assert decision.reason is Reason.POOL_NOT_FOUND
    assert decision.queue is not None
    assert decision.queue.position is None
    assert decision.queue.since == START + timedelta(minutes=7)
    assert set(decision.queue.asked.values()) == {12}
