"""What must hold for every plan, whatever the cluster looks like."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bitgoeul.api.conditions import REFUSALS, Reason
from bitgoeul.planning.decisions import Decision, Plan
from bitgoeul.planning.line import missing
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import PoolKey, PoolKind
from bitgoeul.planning.snapshot import Snapshot, build_snapshot
from tests.unit.builders import (
    NOW,
    Manifest,
    holdings_of,
    make_allocation,
    make_node,
    make_storage_pool,
    observe,
    plan_of,
    snapshot_of,
    written_back,
)
from tests.unit.planning_clusters import ACCELERATORS, LIMITS, clusters, fresh, settled

anything = st.one_of(clusters(), fresh(), settled())
many_examples = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def turn_of(snapshot: Snapshot, decision: Decision) -> tuple[int, datetime, str]:
    """The place in the order of the queue, as the design words it: priority, then age of the ask, then name."""
    standing = next(s for s in snapshot.standings if s.allocation.name == decision.name)
    allocation = standing.allocation
    since = allocation.created
    if allocation.queued_since is not None:
        grown = [p for p, n in allocation.ask.items() if n > allocation.queued_ask.get(p, 0)]
        since = NOW if grown else allocation.queued_since
    elif standing.housed or standing.charged:
        since = NOW
    return (-allocation.priority, since, allocation.name)


def competitors(snapshot: Snapshot, plan: Plan) -> list[tuple[Decision, dict[PoolKey, int]]]:
    """Those who need something, with their need, in the order of the queue."""
    needs = {s.allocation.name: missing(s) for s in snapshot.standings}
    decisions = [d for d in plan.decisions.values() if needs[d.name] and d.reason not in REFUSALS | {Reason.DELETING}]
    return [(d, needs[d.name]) for d in sorted(decisions, key=lambda d: turn_of(snapshot, d))]


def free_in(snapshot: Snapshot, pool: PoolKey) -> int:
    """What nobody holds before the plan; negative where more is held than there is."""
    charged = sum(s.charged.get(pool, 0) for s in snapshot.standings)
    return snapshot.pools[pool].capacity.effective - charged - snapshot.retained.get(pool, 0)


@many_examples
@given(anything)
def test_the_partition_of_every_pool_adds_up(objects: list[Manifest]) -> None:
    """Installed is schedulable or unavailable, schedulable reserved or effective, effective handed out or available."""
    snapshot = snapshot_of(objects)
    plan = make_plan(snapshot)
    assert plan.pools.keys() == snapshot.pools.keys()
    for key, pool in snapshot.pools.items():
        capacity, handed_out = pool.capacity, plan.pools[key]
        unavailable = (capacity.not_ready, capacity.cordoned, capacity.tainted, capacity.unhealthy)
        assert capacity.installed == capacity.schedulable + sum(unavailable)
        assert capacity.schedulable == capacity.reserved + capacity.effective
        assert capacity.effective == handed_out.granted + handed_out.retained + handed_out.available
        assert min(capacity.installed, *unavailable, capacity.reserved, capacity.effective) >= 0
        assert min(handed_out.granted, handed_out.retained, handed_out.waiting, handed_out.waiters) >= 0


@many_examples
@given(anything)
def test_nothing_new_is_granted_beyond_capacity(objects: list[Manifest]) -> None:
    """What is free pays for every new grant, and where nothing is free nothing is granted."""
    snapshot = snapshot_of(objects)
    plan = make_plan(snapshot)
    for key in snapshot.pools:
        before, after = free_in(snapshot, key), plan.pools[key].available
        assert after <= before
        if after != before:
            assert after >= 0
        if key.kind is PoolKind.STORAGE and before >= 0:
            assert plan.pools[key].granted + plan.pools[key].retained <= snapshot.pools[key].capacity.effective


@many_examples
@given(anything)
def test_requests_are_granted_whole_or_not_at_all(objects: list[Manifest]) -> None:
    """A grant is never below what is charged; beyond that it is the whole ask or nothing."""
    snapshot = snapshot_of(objects)
    plan = make_plan(snapshot)
    assert plan.decisions.keys() == {s.allocation.name for s in snapshot.standings}
    for standing in snapshot.standings:
        decision = plan.decisions[standing.allocation.name]
        charged = {pool: amount for pool, amount in standing.charged.items() if amount}
        if decision.met:
            wanted = {pool: max(n, charged.get(pool, 0)) for pool, n in standing.allocation.ask.items()}
            assert decision.grant == charged | wanted
            assert decision.reason is Reason.GRANTED
            assert decision.queue is None
        else:
            assert decision.grant == charged
            assert decision.message


@many_examples
@given(anything)
def test_what_is_promised_or_held_is_always_charged(objects: list[Manifest]) -> None:
    """No promise and no quota escapes the account, whatever was lost; data of the dead counts too."""
    observed = observe(objects)
    snapshot = build_snapshot(observed, NOW)
    for standing in snapshot.standings:
        for pool, amount in standing.allocation.granted.items():
            assert standing.charged.get(pool, 0) >= amount
    for limit in LIMITS:
        behind = [key for key, pool in snapshot.pools.items() if pool.limit == limit]
        taken = sum(s.charged.get(key, 0) for s in snapshot.standings for key in behind)
        taken += sum(snapshot.retained.get(key, 0) for key in behind)
        assert taken >= sum(quota.held(limit) for quota in observed.quotas)


@many_examples
@given(anything, st.randoms(use_true_random=False))
def test_the_order_of_the_objects_does_not_matter(objects: list[Manifest], dice: random.Random) -> None:
    """Lists from the API server come in any order."""
    shuffled = [*objects]
    dice.shuffle(shuffled)
    assert plan_of(shuffled) == plan_of(objects)


@many_examples
@given(anything)
def test_a_plan_decides_the_same_again_on_its_own_result(objects: list[Manifest]) -> None:
    """
    Written back, the plan asks for no further write: same grants, positions, ages, reasons and messages.

    After 10 minutes nobody expects any more that one that is being deleted gives back at any moment.
    """
    first = plan_of(objects, NOW + timedelta(microseconds=123_456))
    assert plan_of(written_back(objects, first), NOW + timedelta(minutes=9)) == first


@many_examples
@given(anything, st.data())
def test_nobody_takes_anything_from_somebody_ahead(objects: list[Manifest], data: st.DataObject) -> None:
    """Without a later request, all earlier ones are decided the same."""
    snapshot = snapshot_of(objects)
    plan = make_plan(snapshot)
    queue = [d for d, _ in competitors(snapshot, plan) if not holds_anything(snapshot, d.name)]
    assume(len(queue) > 1)
    index = data.draw(st.integers(1, len(queue) - 1))
    gone = queue[index].name
    without = plan_of([o for o in objects if o["metadata"]["name"] != gone])
    for earlier in queue[:index]:
        assert without.decisions[earlier.name] == earlier


def holds_anything(snapshot: Snapshot, name: str) -> bool:
    """Whether an allocation is charged, has a namespace, or has something to inherit."""
    standing = next(s for s in snapshot.standings if s.allocation.name == name)
    return bool(standing.charged or standing.inherits or standing.left_in or name in snapshot.namespaces)


@many_examples
@given(anything)
def test_refused_requests_block_nobody(objects: list[Manifest]) -> None:
    """Without those that are refused and hold nothing, all others are decided the same."""
    snapshot = snapshot_of(objects)
    plan = make_plan(snapshot)
    refused = {d.name for d in plan.decisions.values() if d.reason in REFUSALS and not holds_anything(snapshot, d.name)}
    without = plan_of([o for o in objects if o["metadata"]["name"] not in refused])
    # Who asks for a namespace may stand in for one that was refused it.
    conflicts = any(d.reason is Reason.NAMESPACE_CONFLICT for d in plan.decisions.values())
    assume(not conflicts)
    assert without.decisions == {name: d for name, d in plan.decisions.items() if name not in refused}
    assert without.pools == plan.pools


BROKEN: dict[str, Callable[[Manifest], None]] = {
    "no spec": lambda obj: obj.pop("spec"),
    "a spec that is text": lambda obj: obj.update(spec="8 GPUs please"),
    "a priority that is text": lambda obj: obj["spec"].update(priority="high"),
    "a size that is no quantity": lambda obj: obj["spec"].update(storage=[{"pool": "lustre", "size": "plenty"}]),
    "less than nothing": lambda obj: obj["spec"].update(storage=[{"pool": "lustre", "size": "-5Ti"}]),
    "a class from the future": lambda obj: obj["spec"]["organization"].update({"class": "Hyperscaler"}),
    "a status that is text": lambda obj: obj.update(status={"grant": "all", "queue": "first"}, spec=None),
}


@many_examples
@given(anything, st.sampled_from(sorted(BROKEN)))
def test_unreadable_objects_disturb_nobody(objects: list[Manifest], how: str) -> None:
    """An allocation, a pool and a node that nobody can read change nothing for the others."""
    broken = make_allocation("broken", {"a100": 1}, created=0, priority=1000)
    BROKEN[how](broken)
    odd_pool = make_storage_pool("odd", "plenty", created=9)
    odd_node = make_node("odd", "a100", "eight", healthy="-3")
    plan = plan_of(objects)
    disturbed = plan_of([broken, odd_pool, odd_node, *objects])
    assert disturbed.decisions["broken"].reason is Reason.MISCONFIGURED
    empty_pool_filled = any("no node matches" in d.message for d in plan.decisions.values())
    assume(not empty_pool_filled)  # the odd node turns "no node matches" into "shows no device"
    unnamed = any(o["kind"] == "ResourceQuota" for o in objects)  # no quota names the odd pool, which alone waits
    assert {n: d for n, d in disturbed.decisions.items() if n != "broken"} == plan.decisions
    assert {k: p for k, p in disturbed.pools.items() if k.name != "odd"} == plan.pools
    assert unnamed or not disturbed.pools[PoolKey(PoolKind.STORAGE, "odd")].granted


@many_examples
@given(anything, st.sampled_from([*ACCELERATORS]), st.integers(1, 4))
def test_more_capacity_takes_nothing_from_anybody(objects: list[Manifest], product: str, more: int) -> None:
    """A further node never ends a grant, unless it makes possible a request that was too large before and is ahead."""
    before = plan_of(objects)
    after = plan_of([*objects, make_node("extra", product, more, ACCELERATORS[product])])
    assume(all(d.reason is not Reason.EXCEEDS_POOL_CAPACITY for d in before.decisions.values()))
    assume(all(d.reason is not Reason.EXCEEDS_POOL_CAPACITY for d in after.decisions.values()))
    for name, decision in before.decisions.items():
        assert after.decisions[name].met or not decision.met


@many_examples
@given(anything, st.data())
def test_asking_for_less_or_with_more_priority_never_hurts(objects: list[Manifest], data: st.DataObject) -> None:
    """Who is granted stays granted when its priority rises or its ask shrinks."""
    before = plan_of(objects)
    readable = [o for o in objects if o["kind"] == "TenantAllocation" and isinstance(o["spec"].get("priority"), int)]
    assume(readable)
    chosen = data.draw(st.sampled_from(readable))
    changed = copy.deepcopy(chosen)
    changed["spec"]["priority"] = 1000
    for request in changed["spec"].get("accelerators", []):
        request["devices"] = max(1, request["devices"] - data.draw(st.integers(0, 2)))
    after = plan_of([changed if o is chosen else o for o in objects])
    name = chosen["metadata"]["name"]
    assert after.decisions[name].met or not before.decisions[name].met


@many_examples
@given(anything)
def test_a_position_counts_the_earlier_waiters_of_the_same_pools(objects: list[Manifest]) -> None:
    """Position is 1 + the waiters ahead that need any of the same pools; ``blocked_by`` is what is short now."""
    snapshot = snapshot_of(objects)
    plan = make_plan(snapshot)
    ahead: list[set[PoolKey]] = []
    for decision, need in competitors(snapshot, plan):
        if decision.met:
            assert decision.queue is None
            continue
        assert decision.queue is not None
        assert decision.queue.position == 1 + sum(1 for pools in ahead if pools & need.keys())
        assert decision.queue.since == turn_of(snapshot, decision)[1]
        short = {pool: need[pool] - max(0, plan.pools[pool].available) for pool in need}
        assert decision.queue.blocked_by == {pool: amount for pool, amount in short.items() if amount > 0}
        ahead.append(set(need))
    waiting = {d.name for d in plan.decisions.values() if d.queue is not None and d.queue.position is not None}
    assert waiting == {d.name for d, _ in competitors(snapshot, plan) if not d.met}
    for key in snapshot.pools:
        assert plan.pools[key].waiters == sum(1 for pools in ahead if key in pools)


@many_examples
@given(anything)
def test_the_plan_agrees_with_the_rule_taken_literally(objects: list[Manifest]) -> None:
    """Somebody is granted exactly if all ahead, granted or not, could have their whole need and it would still fit."""
    snapshot = snapshot_of(objects)
    plan = make_plan(snapshot)
    queue = competitors(snapshot, plan)
    for index, (decision, need) in enumerate(queue):
        ahead = [earlier for _, earlier in queue[:index]]
        fits = all(
            amount + sum(earlier.get(pool, 0) for earlier in ahead) <= free_in(snapshot, pool)
            for pool, amount in need.items()
        )
        prepared = all(snapshot.pools[pool].unnamed_in == 0 for pool in need)
        assert decision.met is (fits and prepared)
        could_start = all(
            amount + sum(e.get(pool, 0) for (d, e) in queue[:index] if d.met) <= free_in(snapshot, pool)
            for pool, amount in need.items()
        )
        if not decision.met:
            assert (decision.reason is Reason.BLOCKED_BY_EARLIER) is (could_start and not fits)


@settings(max_examples=60, deadline=None)
@given(fresh(), st.integers(0, 2**16))
def test_a_cluster_lives_through_rounds_without_ever_owing_too_much(objects: list[Manifest], seed: int) -> None:
    """Rounds of changes and write-backs: while capacity stays, no pool is ever overcommitted, and grants are kept."""
    dice = random.Random(seed)
    for number in range(6):
        plan = plan_of(objects, NOW + timedelta(minutes=number))
        assert all(pool.available >= 0 for pool in plan.pools.values())
        objects = written_back(objects, plan)
        snapshot = snapshot_of(objects)
        for name, decision in plan.decisions.items():
            standing = next(s for s in snapshot.standings if s.allocation.name == name)
            assert holdings_of(standing.charged) == holdings_of(decision.grant)
        for obj in objects:
            if obj["kind"] == "TenantAllocation" and obj["spec"].get("accelerators") and dice.random() < 0.3:
                obj["spec"]["accelerators"][0]["devices"] = dice.randint(1, 6)
