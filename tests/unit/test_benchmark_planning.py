"""What planning is measured with is what its benchmark says; nothing is measured here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import PoolKind
from bitgoeul.planning.snapshot import build_snapshot
from tests.benchmarks.planning import at_rest
from tests.benchmarks.population import POOLS, STAGES_AHEAD, Population, build_population
from tests.unit.builders import NOW

COUNT = 300


@pytest.fixture(scope="module")
def population() -> Population:
    return build_population(COUNT)


def test_population_is_at_rest(population: Population) -> None:
    """Half holds all that it asks for, half waits, and a plan gives nobody anything: it walks once."""
    snapshot = build_snapshot(population.observed, NOW)
    plan = make_plan(snapshot)
    assert at_rest(snapshot, plan)
    admitted = [name for name, decision in plan.decisions.items() if decision.admitted]
    assert len(admitted) == COUNT // 2
    assert all(plan.decisions[name].met for name in admitted)
    reasons = {decision.reason for decision in plan.decisions.values() if not decision.admitted}
    assert reasons == {Reason.WAITING_FOR_CAPACITY, Reason.WINDOW_NOT_OPEN}


def test_those_who_wait_have_different_prospects(population: Population) -> None:
    """Starts are promised, forecast for many days, and for some nobody can say one."""
    decisions = make_plan(build_snapshot(population.observed, NOW)).decisions.values()
    queued = [decision.queue for decision in decisions if decision.queue is not None]
    assert any(decision.promised is not None for decision in decisions)
    assert any(entry.earliest is None for entry in queued)
    assert len({entry.earliest for entry in queued}) > len(queued) // 2


def test_pools_have_stages_ahead_and_nothing_free(population: Population) -> None:
    """Each of the pools has its stages ahead, and all of its devices are held in namespaces and counted as used."""
    snapshot = build_snapshot(population.observed, NOW)
    plan = make_plan(snapshot)
    pools = [pool for key, pool in snapshot.pools.items() if key.kind is PoolKind.ACCELERATORS]
    assert [len(pool.stages) for pool in pools] == [STAGES_AHEAD] * POOLS
    assert all(plan.pools[pool.key].available == 0 for pool in pools)
    assert all(plan.pools[pool.key].in_use == plan.pools[pool.key].granted for pool in pools)


def test_same_number_gives_the_same_population() -> None:
    """Runs are compared with each other."""
    assert build_population(20) == build_population(20)


def test_newcomers_wait_and_are_admitted(population: Population) -> None:
    """One allocation more is measured as one that changes nothing, and as one that makes a second walk necessary."""
    for newcomer, admitted in zip(population.newcomers, (False, True), strict=True):
        grown = replace(population.observed, allocations=(*population.observed.allocations, newcomer))
        snapshot = build_snapshot(grown, NOW)
        plan = make_plan(snapshot)
        assert plan.decisions[newcomer.name].admitted is admitted
        assert at_rest(snapshot, plan) is not admitted
