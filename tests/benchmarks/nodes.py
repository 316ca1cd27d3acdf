"""Nodes: how long a pool's status takes to follow a node that is cordoned or opened again."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, NODE
from tests.benchmarks.client import until
from tests.benchmarks.figures import Figure, Goal, Outcome, percentile
from tests.benchmarks.objects import DEVICES_PER_NODE
from tests.benchmarks.setting import Setting

REPETITIONS = 30
PAUSE_SECONDS = 0.5
P99 = Goal(2.0)


async def measure_nodes(setting: Setting) -> Outcome:
    """Cordon one node and open it again, in turns, on a cluster where nothing else happens."""
    hall = await setting.hall()
    client = hall.cluster.client
    nodes = sorted(node["metadata"]["name"] for node in await client.items(NODE))
    cordoned_devices, seen_at = -1, 0.0

    def seen(_change: str, pool: Object, at: float) -> None:
        nonlocal cordoned_devices, seen_at
        shown = ((pool.get("status") or {}).get("devices") or {}).get("unavailable") or {}
        if shown.get("cordoned", 0) != cordoned_devices:
            cordoned_devices, seen_at = shown.get("cordoned", 0), at

    def shows(cordoned: int) -> bool:
        return cordoned == cordoned_devices

    seconds = []
    async with client.watching(ACCELERATOR_POOL, seen):
        for number in range(REPETITIONS):
            cordon = number % 2 == 0
            expected = DEVICES_PER_NODE if cordon else 0
            await asyncio.sleep(PAUSE_SECONDS)
            sent = time.perf_counter()
            await client.merge(NODE, nodes[number // 2 % len(nodes)], {"spec": {"unschedulable": cordon}})
            await until(partial(shows, expected), "the pool's status follows the node", 30)
            seconds.append(seen_at - sent)
    return Outcome(
        name="nodes",
        method=(
            f"one of {len(nodes)} nodes is cordoned or opened again, {REPETITIONS} times, from sending the change "
            "until a watch shows it in the pool's status; p99 is the largest"
        ),
        figures=(
            Figure("node change to pool status, p50", percentile(seconds, 0.5), "s"),
            Figure("node change to pool status, p99", percentile(seconds, 0.99), "s", P99),
        ),
    )
