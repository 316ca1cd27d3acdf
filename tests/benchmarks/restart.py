"""Restart: how long a new operator takes, with all tenants in place, until it leads and everything is looked at."""

from __future__ import annotations

import asyncio
import time

from tests.benchmarks.audit import Write, stored_by_operator, writes_by_anybody
from tests.benchmarks.client import STEP_SECONDS
from tests.benchmarks.figures import Figure, Goal, Outcome, percentile
from tests.benchmarks.operator_process import OperatorProcess, Scrape
from tests.benchmarks.processes import cpu_seconds, memory
from tests.benchmarks.setting import Setting

REPETITIONS = 3
SETTLED = Goal(15.0)
NO_WRITES = Goal(0)
RSS = Goal(250.0)

# Each look costs the operator a scrape, so not more often.
LOOK_SECONDS = 0.5
# A second look at everything is spread over a minute. Passes over a smaller share of the tenants in a second than this
# are of that kind; more are the first look.
SLOW_SHARE = 0.04


async def measure_restart(setting: Setting) -> Outcome:
    """End the operator by SIGTERM and start the next one, several times; the worst counts."""
    hall = await setting.hall()
    setting.say(f"filling up to {setting.tenants} tenants")
    await hall.fill(setting.tenants)
    count = len(hall.tenants.ready_at)
    leading, settled, cpu, rss, peaks = [], [], [], [], []
    writes: list[Write] = []
    for number in range(REPETITIONS):
        setting.say(f"restart {number + 1} of {REPETITIONS}")
        await hall.operator.end()
        mark = hall.cluster.audit.mark()
        started = time.perf_counter()
        hall.start_operator()
        leading.append(await until_leading(hall.operator) - started)
        settled.append(await until_looked_at(hall.operator, count) - started)
        cpu.append(cpu_seconds(hall.operator.pid))
        await hall.operator.settled()  # its second look may write as well
        writes += hall.cluster.audit.since(mark)
        used = memory(hall.operator.pid)
        rss.append(used.now)
        peaks.append(used.peak)
    return Outcome(
        name="restart",
        method=(
            f"at {count} tenants the operator is ended by SIGTERM and started again, {REPETITIONS} times, from "
            "starting the process until it leads, has planned, has made a pass over every tenant, and no further ones "
            f"are due (looked at every {LOOK_SECONDS} s); writes and memory are those of the minute after it, too; the "
            "Lease is not counted as a write"
        ),
        figures=(
            Figure("start to leading, slowest", max(leading), "s"),
            Figure("start to settled, median", percentile(settled, 0.5), "s"),
            Figure("start to settled, slowest", max(settled), "s", SETTLED),
            Figure(f"writes in {REPETITIONS} restarts", stored_by_operator(writes), "", NO_WRITES),
            Figure("CPU of one start", percentile(cpu, 0.5), "s"),
            Figure("resident memory, largest", max(rss), "MB", RSS),
            Figure("resident memory, peak", max(peaks), "MB"),
        ),
        # Everybody's: what others change meanwhile is a reason for the operator to write.
        details=(writes_by_anybody("writes during restarts (audit log)", writes),),
    )


async def until_leading(operator: OperatorProcess) -> float:
    """When it was first seen to lead, on time.perf_counter."""
    deadline = time.monotonic() + STEP_SECONDS
    while True:
        scrape = await operator.scrape()
        if scrape and scrape.leading:
            return time.perf_counter()
        if time.monotonic() > deadline:
            raise TimeoutError(f"the operator does not lead within {STEP_SECONDS:g} s")
        await asyncio.sleep(0.05)


async def until_looked_at(operator: OperatorProcess, tenants: int) -> float:
    """When it was first seen to have planned and to have looked at every tenant, on time.perf_counter."""
    deadline = time.monotonic() + STEP_SECONDS
    last, last_at = -float(tenants), time.perf_counter()
    while True:
        at = time.perf_counter()
        scrape = await operator.scrape()
        if scrape is not None:
            passes = passes_over_tenants(scrape)
            slow = passes - last <= SLOW_SHARE * tenants * (at - last_at)
            if scrape.done.plans and passes >= tenants and slow:
                return last_at
            last, last_at = passes, at
        if time.monotonic() > deadline:
            raise TimeoutError(f"not every tenant is looked at within {STEP_SECONDS:g} s; passes: {last:.0f}")
        await asyncio.sleep(LOOK_SECONDS)


def passes_over_tenants(scrape: Scrape) -> float:
    """How many succeeded so far; labels in the order kind, result."""
    return scrape.series.get("bitgoeul_reconcile_total", {}).get(("TenantAllocation", "success"), 0)
