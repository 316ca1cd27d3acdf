"""
Planning: CPU time of one round's snapshot and plan by the number of allocations, and what the event loop feels of it.

Needs no cluster: everything that planning looks at is made here, and read as the cache reads it.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from bitgoeul.controller.planner import collector_paused
from bitgoeul.planning.allocations import Allocation
from bitgoeul.planning.decisions import Plan
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.snapshot import Observed, Snapshot, build_snapshot
from bitgoeul.planning.succession import advance
from tests.benchmarks.figures import Detail, Figure, Goal, Outcome
from tests.benchmarks.population import POOLS, STAGES_AHEAD, build_population
from tests.benchmarks.setting import Setting
from tests.unit.builders import NOW

SIZES = (1_000, 3_000, 10_000, 20_000, 30_000)
CHANGED = 10_000  # where one allocation more is planned
FULL = 20_000  # what the goals are about
REPETITIONS = 5
TICK_SECONDS = 0.005

PLAN = Goal(1.0)
STALL = Goal(50.0)


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds for so many allocations, and how these stand."""

    allocations: int
    snapshot: float
    plan: float
    holding: int
    promised: int
    dated: int  # wait with an earliest start

    @property
    def plan_each(self) -> float:
        return self.plan / self.allocations

    @property
    def snapshot_each(self) -> float:
        return self.snapshot / self.allocations


async def measure_planning(setting: Setting) -> Outcome:
    """One population after the other, each forgotten before the next is made."""
    costs: list[Cost] = []
    more: tuple[float, ...] = ()
    collected = gap = collected_gap = quiet = 0.0
    for size in SIZES:
        setting.say(f"{size} allocations")
        population = build_population(size)
        gc.collect()  # what making them has left is not what is measured
        with collector_paused():
            costs.append(measure_cost(population.observed))
            if size == CHANGED:
                more = tuple(measure_one_more(population.observed, newcomer) for newcomer in population.newcomers)
        if size == FULL:
            snapshot = build_snapshot(population.observed, NOW)
            with collector_paused():
                gap = max([await longest_gap(partial(make_plan, snapshot)) for _ in range(REPETITIONS)])
            collected = cpu_seconds(partial(make_plan, snapshot))
            collected_gap = max([await longest_gap(partial(make_plan, snapshot)) for _ in range(REPETITIONS)])
            quiet = await longest_gap(partial(time.sleep, 1.0))
            del snapshot
        del population
    first, full = costs[0], next(cost for cost in costs if cost.allocations == FULL)
    return Outcome(
        name="planning",
        method=(
            f"without a cluster: {POOLS} accelerator pools with {STAGES_AHEAD} stages ahead each, half of the "
            "allocations in force with all devices, half waiting, nothing new to give; CPU time is that of the "
            f"process, the median of {REPETITIONS}; one allocation more is a whole snapshot and plan; a gap is the "
            f"longest time between two turns of a coroutine that sleeps {1000 * TICK_SECONDS:.0f} ms, of "
            f"{REPETITIONS} plans in a thread; Python's garbage collector pauses meanwhile, as in the operator"
        ),
        figures=(
            Figure(f"plan of {FULL} allocations, CPU", full.plan, "s", PLAN),
            Figure(f"plan of {FULL} allocations, CPU, with the garbage collector", collected, "s"),
            Figure(f"snapshot of {FULL} allocations, CPU", full.snapshot, "s"),
            Figure(f"plan: time per allocation, {FULL} to {first.allocations}", full.plan_each / first.plan_each, ""),
            Figure(
                f"snapshot: time per allocation, {FULL} to {first.allocations}",
                full.snapshot_each / first.snapshot_each,
                "",
            ),
            Figure(f"one more that waits, at {CHANGED}, CPU", more[0], "s"),
            Figure(f"one more that is admitted, at {CHANGED}, CPU", more[1], "s"),
            Figure(f"longest gap of the event loop while {FULL} are planned", 1000 * gap, "ms", STALL),
            Figure("longest gap of the event loop, with the garbage collector", 1000 * collected_gap, "ms"),
            Figure("longest gap of the event loop while a thread sleeps", 1000 * quiet, "ms"),
        ),
        details=(by_size(costs),),
    )


def measure_cost(observed: Observed) -> Cost:
    """
    The cost of a round that finds nothing to do.

    Raises:
        RuntimeError: There is something to give, so that more than one walk would be measured.
    """
    snapshot = build_snapshot(observed, NOW)
    plan = make_plan(snapshot)
    if not at_rest(snapshot, plan):
        raise RuntimeError("the allocations are not at rest: a plan gives something new")
    decisions = plan.decisions.values()
    return Cost(
        allocations=len(observed.allocations),
        snapshot=cpu_seconds(partial(build_snapshot, observed, NOW)),
        plan=cpu_seconds(partial(make_plan, snapshot)),
        holding=sum(decision.admitted for decision in decisions),
        promised=sum(decision.promised is not None for decision in decisions),
        dated=sum(decision.queue is not None and decision.queue.earliest is not None for decision in decisions),
    )


def at_rest(snapshot: Snapshot, plan: Plan) -> bool:
    """Whether a plan leaves everything as it is."""
    return advance(snapshot, plan.decisions) is None


def measure_one_more(observed: Observed, newcomer: Allocation) -> float:
    """CPU seconds of the round after one allocation has come."""
    grown = replace(observed, allocations=(*observed.allocations, newcomer))
    return cpu_seconds(lambda: make_plan(build_snapshot(grown, NOW)))


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process for one run, the median of several."""
    seconds = []
    for _ in range(REPETITIONS):
        before = time.process_time()
        work()
        seconds.append(time.process_time() - before)
    return statistics.median(seconds)


async def longest_gap(work: Callable[[], object]) -> float:
    """The longest time in seconds that the event loop is away while work is done in a thread."""
    task = asyncio.create_task(asyncio.to_thread(work))
    longest = 0.0
    seen = time.perf_counter()
    while not task.done():
        await asyncio.sleep(TICK_SECONDS)
        now = time.perf_counter()
        longest, seen = max(longest, now - seen), now
    await task
    return longest


def by_size(costs: list[Cost]) -> Detail:
    """How time grows with the number of allocations."""
    first = costs[0]
    return Detail(
        "CPU time by number of allocations",
        (
            "allocations",
            "in force",
            "promised",
            "wait with a date",
            "snapshot, ms",
            "plan, ms",
            "snapshot, µs each",
            "plan, µs each",
            "snapshot each, ratio",
            "plan each, ratio",
        ),
        tuple(
            (
                str(cost.allocations),
                str(cost.holding),
                str(cost.promised),
                str(cost.dated),
                f"{1e3 * cost.snapshot:.0f}",
                f"{1e3 * cost.plan:.0f}",
                f"{1e6 * cost.snapshot_each:.1f}",
                f"{1e6 * cost.plan_each:.1f}",
                f"{cost.snapshot_each / first.snapshot_each:.2f}",
                f"{cost.plan_each / first.plan_each:.2f}",
            )
            for cost in costs
        ),
        in_page=True,
    )
