"""
Forecasts: what share of the status writes that an API server can take goes into positions and earliest starts.

When thousands wait, one early end moves the forecasts of all of them; the operator writes them at a fixed rate, however
many there are. The rate is compared with that of a bare writer that patches the same fields as fast as it can.
"""

from __future__ import annotations

import time

from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import TENANT_ALLOCATION
from bitgoeul.controller.reports import MINOR_WRITES_PER_SECOND
from tests.benchmarks.client import in_parallel
from tests.benchmarks.cluster import open_cluster
from tests.benchmarks.figures import Figure, Goal, Outcome
from tests.benchmarks.objects import build_tenant
from tests.benchmarks.setting import Setting

ALLOCATIONS = 100
WRITES = 2000
SHARE = Goal(5.0)


async def measure_forecasts(setting: Setting) -> Outcome:
    """Patch position and earliest start of allocations that nobody looks after, as fast as the API server takes it."""
    names = [f"waiting-{number:03}" for number in range(ALLOCATIONS)]
    async with open_cluster(1, setting.kcm_qps) as cluster:
        client = cluster.client

        async def create(name: str) -> None:
            await client.create(TENANT_ALLOCATION, build_tenant(name))

        async def write(number: int) -> None:
            await client.merge(TENANT_ALLOCATION, names[number % ALLOCATIONS], forecast(number), subresource="status")

        await in_parallel(create, names)
        await in_parallel(write, range(ALLOCATIONS))
        started = time.perf_counter()
        await in_parallel(write, range(WRITES))
        rate = WRITES / (time.perf_counter() - started)
    return Outcome(
        name="forecasts",
        method=(
            f"{WRITES} status patches of {ALLOCATIONS} waiting allocations, sixteen at a time, against the "
            f"{MINOR_WRITES_PER_SECOND:g} that the operator allows itself in a second for positions and forecasts of "
            "all that wait"
        ),
        figures=(
            Figure("status patches that the API server takes", rate, "1/s"),
            Figure("share of positions and forecasts at most", 100 * MINOR_WRITES_PER_SECOND / rate, "%", SHARE),
        ),
    )


def forecast(number: int) -> Object:
    """A status that differs from the one before."""
    queue = {
        "position": number + 1,
        "since": "2021-04-15T00:00:00Z",
        "earliestStart": f"2021-06-01T00:{number // 60 % 60:02}:{number % 60:02}Z",
        "asked": {"accelerators": {"a100": 1}},
    }
    return {"status": {"phase": "Waiting", "queue": queue}}
