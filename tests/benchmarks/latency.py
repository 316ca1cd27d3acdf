"""Latency: how long one tenant waits on an idle cluster, from the POST of its allocation to Ready in a watch."""

from __future__ import annotations

import asyncio

from tests.benchmarks.audit import Write
from tests.benchmarks.figures import Detail, Figure, Goal, Outcome, percentile
from tests.benchmarks.setting import Setting

REPETITIONS = 30
WARM_UP = 3
# Longer than everything that follows a tenant's Ready: Events, figures of pools.
PAUSE_SECONDS = 1.0

P50 = Goal(0.3)
P99 = Goal(1.0)


async def measure_latency(setting: Setting) -> Outcome:
    """One tenant after the other, each on a cluster where nothing else happens."""
    hall = await setting.hall()
    mark = hall.cluster.audit.mark()
    names = [f"single-{number:02}" for number in range(WARM_UP + REPETITIONS)]
    for name in names:
        await hall.tenants.fill([name])
        await asyncio.sleep(PAUSE_SECONDS)
    timed = names[WARM_UP:]
    seconds = hall.tenants.seconds(timed)
    median = sorted(timed, key=lambda name: hall.tenants.seconds([name]))[len(timed) // 2]
    return Outcome(
        name="latency",
        method=(
            f"one tenant on an idle cluster, {REPETITIONS} times one after the other (each stays), from sending the "
            "POST of the TenantAllocation until a watch shows Ready; p99 is the largest"
        ),
        figures=(
            Figure("one tenant to Ready, p50", percentile(seconds, 0.5), "s", P50),
            Figure("one tenant to Ready, p99", percentile(seconds, 0.99), "s", P99),
            Figure("one tenant to Ready, fastest", min(seconds), "s"),
        ),
        details=(timeline(median, hall.cluster.audit.since(mark)),),
    )


def timeline(tenant: str, writes: list[Write]) -> Detail:
    """When the API server received and answered each write about one tenant."""
    about = sorted((write for write in writes if tenant in write.subject), key=lambda write: write.received)
    first = about[0].received
    return Detail(
        "writes for one tenant, that of the median (audit log)",
        ("received at, ms", "took, ms", "who", "verb", "resource", "status"),
        tuple(
            (
                f"{1000 * (write.received - first):.0f}",
                f"{1000 * (write.answered - write.received):.1f}",
                write.agent.split("/")[0],
                write.verb,
                write.resource,
                str(write.status),
            )
            for write in about
        ),
    )
