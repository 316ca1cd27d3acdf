"""Idle: what the operator does and costs while nothing happens, with all tenants in place."""

from __future__ import annotations

import asyncio
import time

from tests.benchmarks.audit import stored_by_operator, writes_by_anybody
from tests.benchmarks.figures import Figure, Goal, Outcome
from tests.benchmarks.processes import cpu_seconds, memory
from tests.benchmarks.setting import Setting

SECONDS = 60.0
NO_WRITES = Goal(0)
REQUESTS = Goal(0.2)
CPU = Goal(2.0)
RSS = Goal(250.0)


async def measure_idle(setting: Setting) -> Outcome:
    """Fill up, wait until the operator is at rest, and look at a minute in which nobody changes anything."""
    hall = await setting.hall()
    setting.say(f"filling up to {setting.tenants} tenants")
    await hall.fill(setting.tenants)
    setting.say(f"{SECONDS:.0f} s in which nothing happens")
    before = await hall.operator.settled()
    mark = hall.cluster.audit.mark()
    cpu_before, started = cpu_seconds(hall.operator.pid), time.perf_counter()
    await asyncio.sleep(SECONDS)
    seconds = time.perf_counter() - started
    cpu = cpu_seconds(hall.operator.pid) - cpu_before
    writes = hall.cluster.audit.since(mark)
    used = memory(hall.operator.pid)
    after = await hall.operator.settled()
    count = len(hall.tenants.ready_at)
    return Outcome(
        name="idle",
        method=(
            f"{count} tenants without pods, at rest for {SECONDS:.0f} s; requests and CPU are the operator's, the "
            "Lease (two requests every 5 s) is not counted; memory is resident, after that time"
        ),
        figures=(
            Figure(f"writes in {SECONDS:.0f} s, idle", stored_by_operator(writes), "", NO_WRITES),
            Figure("requests, idle", (after.done.requests - before.done.requests) / seconds, "1/s", REQUESTS),
            Figure("CPU of a core, idle", 100 * cpu / seconds, "%", CPU),
            Figure("resident memory", used.now, "MB", RSS),
            Figure("resident memory, peak since the start", used.peak, "MB"),
        ),
        details=(writes_by_anybody("writes while idle (audit log)", writes),),
    )
