"""What must hold for every plan over time, whatever is held, promised and asked for."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bitgoeul.api.conditions import REFUSALS
from bitgoeul.planning.decisions import Decision, Plan
from bitgoeul.planning.life import Course
from bitgoeul.planning.moments import FOREVER, date, moment
from tests.unit.builders import NOW, Manifest, in_hours, plan_of, written_back
from tests.unit.planning_reference import LAST, Case, Tenant, level, occupied, turn
from tests.unit.planning_reference import NOW as THIS_HOUR
from tests.unit.planning_timelines import cases, object_of, objects_of, tenants

examples = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def taken(case: Case, plan: Plan) -> dict[str, list[int]]:
    """What is in force, promised or foreseen in each pool, hour by hour."""
    sums = {pool: [0] * (LAST + 1) for pool in case.pools}

    def add(tenant: Tenant, amounts: dict[str, int], start: int, end: int | None) -> None:
        for pool, amount in amounts.items():
            for slot in occupied(tenant, pool, start, end):
                sums[pool][slot] += amount

    for tenant in case.tenants:
        decision = plan.decisions[tenant.name]
        window, queue = decision.window, decision.queue
        end = None if window is None or window.end >= FOREVER else int(in_hours(window.end) or 0)
        if decision.course is Course.OPEN:
            units = {p.name: n if p.name != "lustre" else n // 2**40 for p, n in decision.grant.items()}
            add(tenant, units, THIS_HOUR, end)
            growth = {p: n - units.get(p, 0) for p, n in tenant.ask.items() if n > units.get(p, 0)}
            if growth and queue and queue.earliest:
                add(tenant, growth, int(in_hours(queue.earliest) or 0), end)
        elif decision.promised is not None and window is not None:
            add(tenant, tenant.ask, int(in_hours(window.start) or 0), end)
        elif queue is not None and queue.earliest is not None:
            start = int(in_hours(queue.earliest) or 0)
            add(tenant, tenant.ask, start, start + tenant.length if tenant.length is not None else tenant.end)
    return sums


def given_by(decision: Decision) -> tuple[object, ...]:
    """What a decision gives or foretells, without texts and places in line, which others may change."""
    earliest = decision.queue.earliest if decision.queue else None
    return (decision.course, decision.met, dict(decision.grant), decision.window, decision.promised, earliest)


@examples
@given(cases())
def test_nothing_is_planned_above_capacity_at_any_time(case: Case) -> None:
    """Grants, promises and forecasts together fit into every pool at every hour to come."""
    sums = taken(case, plan_of(objects_of(case)))
    for pool, stages in case.pools.items():
        for slot in range(THIS_HOUR, LAST + 1):
            assert sums[pool][slot] <= level(stages, slot), (pool, slot)


@examples
@given(cases(), st.randoms(use_true_random=False))
def test_a_plan_over_time_does_not_depend_on_the_order_of_objects(case: Case, dice: random.Random) -> None:
    """Lists from the API server come in any order."""
    objects = objects_of(case)
    shuffled = [*objects]
    dice.shuffle(shuffled)
    assert plan_of(shuffled) == plan_of(objects)


@examples
@given(cases(), tenants("late"))
def test_a_later_request_never_changes_the_start_of_one_ahead(case: Case, late: Tenant) -> None:
    """All that are ahead of a request are given, promised and told the same without it."""
    plan = plan_of(objects_of(case))
    with_late = plan_of([*objects_of(case), object_of(late)])
    for tenant in case.tenants:
        asks_anew = tenant.record is not None and not tenant.promised  # growth is younger than any object
        if turn(tenant) < turn(late) and not asks_anew:
            before, after = plan.decisions[tenant.name], with_late.decisions[tenant.name]
            assert given_by(after) == given_by(before)


@examples
@given(cases(), tenants("rich"))
def test_what_is_in_force_or_promised_stays_whoever_comes(case: Case, rich: Tenant) -> None:
    """A request of the highest priority moves no grant and no promised start, not even when they are taken up again."""
    objects = objects_of(case)
    first = plan_of(objects)
    later = [*written_back(objects, first), object_of(replace(rich, priority=1000, created=0))]
    second = plan_of(later)
    for name, before in first.decisions.items():
        after = second.decisions[name]
        if before.course is Course.OPEN:
            assert after.course is Course.OPEN
            assert after.grant == before.grant
            assert after.window == before.window
        if before.promised is not None:
            assert (after.promised, after.window) == (before.promised, before.window)


@examples
@given(cases())
def test_a_plan_over_time_decides_the_same_again_on_its_own_result(case: Case) -> None:
    """To the letter, at once; and until the next due moment nothing is given, and no forecast moves."""
    objects = objects_of(case)
    first = plan_of(objects)
    after = written_back(objects, first)
    assert plan_of(after) == first
    if first.due is not None:
        second = plan_of(after, date(first.due) - timedelta(seconds=1))
        for name, decision in first.decisions.items():
            assert given_by(second.decisions[name]) == given_by(decision)
        assert second.due == first.due


@examples
@given(cases(), st.integers(1, 4))
def test_more_capacity_never_delays_the_first_in_line(case: Case, more: int) -> None:
    """Who is first of all that ask starts no later when a pool is larger at all times."""
    asking = [t for t in case.tenants if t.record is None]
    plan = plan_of(objects_of(case))
    refused = any(d.reason in REFUSALS for d in plan.decisions.values())
    assume(asking and not refused)
    assume(all(t.promised or t.record is None or turn(t) > turn(min(asking, key=turn)) for t in case.tenants))
    pools = {
        pool: [(at, n + more) for at, n in stages] if pool == "a100" else stages for pool, stages in case.pools.items()
    }
    larger = plan_of(objects_of(Case(pools, case.tenants)))
    name = min(asking, key=turn).name
    assert start_of(larger.decisions[name]) <= start_of(plan.decisions[name])


def start_of(decision: Decision) -> int:
    """When an ask begins, as far as is known."""
    if decision.window is not None and (decision.admitted or decision.promised is not None):
        return decision.window.start
    return decision.queue.earliest if decision.queue and decision.queue.earliest else FOREVER


def live(objects: list[Manifest], now: datetime, moments: int) -> Iterator[tuple[datetime, Plan]]:
    """Let time go by from due moment to due moment; what is closed is drained at its time, and given back."""
    for _ in range(moments):
        for _ in range(2):
            plan = plan_of(objects, now)
            objects[:] = written_back(objects, plan)
            for obj in objects:
                decision = plan.decisions.get(obj["metadata"]["name"])
                if decision is not None and decision.course is Course.CLOSED and decision.evict:
                    obj["status"]["grant"] = obj["status"]["grant"] | {"accelerators": {}}
                if decision is not None and decision.course is Course.ERASED:
                    obj["status"].pop("grant", None)
        yield now, plan
        if plan.due is None:
            return
        now = date(plan.due)


@examples
@given(cases(most=5))
def test_time_goes_by_as_planned(case: Case) -> None:
    """Whoever was promised a start is in force from it on, forecasts come true or better, and nothing is owed."""
    objects = objects_of(case)
    promised: dict[str, int] = {}
    foreseen: dict[str, int] = {}
    changes_asked = any(t.record is not None and not t.promised for t in case.tenants)  # growth and extensions
    for now, plan in live(objects, NOW, 40):
        assert all(pool.available >= 0 for pool in plan.pools.values())
        assert all(pool.short_from is None for pool in plan.pools.values())
        for name, decision in plan.decisions.items():
            window = decision.window
            if decision.promised is not None and window is not None:
                assert promised.setdefault(name, window.start) == window.start
                assert window.start > moment(now)
            elif name in promised and moment(now) == promised[name]:
                assert decision.course is Course.OPEN
                assert window is not None
                assert window.start == promised[name]
            elif decision.queue and decision.queue.earliest and decision.course is Course.NOTHING and not changes_asked:
                assert decision.queue.earliest <= foreseen.get(name, FOREVER)
                foreseen[name] = decision.queue.earliest
    assert plan.due is None
    again = copy.deepcopy(objects)
    assert plan_of(again, now).decisions == plan.decisions
