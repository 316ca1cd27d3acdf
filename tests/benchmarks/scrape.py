"""
Scrape: how long Prometheus waits for the metrics of thousands of allocations, and what the event loop feels of it.

Needs no cluster: the server, the collector and the state are the operator's, the allocations are made here. The scraper
is a process of its own, as Prometheus is.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bitgoeul.controller.rounds import build_world
from bitgoeul.metrics.collector import State, StateCollector
from bitgoeul.metrics.instruments import Instruments
from bitgoeul.metrics.server import Server
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.snapshot import build_snapshot
from tests.benchmarks.figures import Detail, Figure, Goal, Outcome, percentile
from tests.benchmarks.planning import TICK_SECONDS
from tests.benchmarks.population import Population, build_population
from tests.benchmarks.setting import Setting
from tests.unit.builders import NOW

SIZES = (1_000, 5_000, 10_000)
FULL = 5_000  # what the goals are about
SCRAPES = 20
SECONDS = Goal(0.5)
STALL = Goal(50.0)

# As Prometheus asks: the newest format, compressed.
SCRAPER = """\
import sys, time, urllib.request
url, scrapes = sys.argv[1], int(sys.argv[2])
formats = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
headers = {"Accept": formats, "Accept-Encoding": "gzip"}
for _ in range(scrapes):
    started = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        size = len(answer.read())
    print(time.perf_counter() - started, size)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one size of a center costs."""

    allocations: int
    series: int
    kilobytes: float  # compressed
    seconds: list[float]  # of each scrape
    cpu: float  # of the server, for one
    gap: float  # the longest of the event loop, while there are scrapes
    quiet: float  # the same while there are none


async def measure_scrape(setting: Setting) -> Outcome:
    """One population after the other, each forgotten before the next is made."""
    costs = []
    for size in SIZES:
        setting.say(f"{size} allocations")
        costs.append(await measure_cost(size))
    full = next(cost for cost in costs if cost.allocations == FULL)
    return Outcome(
        name="scrape",
        method=(
            f"without a cluster: the allocations of the measure planning, {SCRAPES} scrapes one after the other in "
            "OpenMetrics with gzip by another process on the same machine; seconds are what the scraper waits, CPU "
            "time is that of the server's process; a gap is the longest time between two turns of a coroutine that "
            f"sleeps {1000 * TICK_SECONDS:.0f} ms"
        ),
        figures=(
            Figure(f"scrape at {FULL} allocations, p50", statistics.median(full.seconds), "s", SECONDS),
            Figure(f"scrape at {FULL} allocations, p95", percentile(full.seconds, 0.95), "s"),
            Figure(f"CPU of a scrape at {FULL} allocations", full.cpu, "s"),
            Figure(f"longest gap of the event loop during scrapes at {FULL}", 1000 * full.gap, "ms", STALL),
            Figure("longest gap of the event loop without scrapes", 1000 * full.quiet, "ms"),
            Figure(f"series at {FULL} allocations", full.series, ""),
        ),
        details=(by_size(costs),),
    )


async def measure_cost(size: int) -> Cost:
    """The cost of one size."""
    instruments = Instruments("benchmark")
    instruments.registry.register(StateCollector(reader(build_population(size))))
    gc.collect()
    gc.freeze()  # as the operator does when it begins to lead
    server = Server(instruments.registry, "127.0.0.1", 0, dict, dict)
    await server.start()
    try:
        await scrape(server, 2)
        quiet = await longest_gap(asyncio.sleep(1.0))
        before = time.process_time()
        scraping = asyncio.create_task(scrape(server, SCRAPES))
        gap = await longest_gap(scraping)
        cpu = (time.process_time() - before) / SCRAPES
        rows = scraping.result()
    finally:
        await server.stop()
        gc.unfreeze()
    series = sum(1 for metric in instruments.registry.collect() for _ in metric.samples)
    return Cost(size, series, rows[-1][1] / 1000, [seconds for seconds, _ in rows], cpu, gap, quiet)


def reader(population: Population) -> Callable[[], State]:
    """What the operator does when it is scraped: the last round, and all statuses as they stand."""
    snapshot = build_snapshot(population.observed, NOW)
    plan, world = make_plan(snapshot), build_world(population.observed, frozenset())
    statuses: Mapping[str, Mapping[str, object]] = population.statuses
    return lambda: State(snapshot, plan, world, {name: status or {} for name, status in statuses.items()}, {})


async def scrape(server: Server, times: int) -> list[tuple[float, int]]:
    """Seconds and bytes of so many scrapes."""
    url = f"http://127.0.0.1:{server.port}/metrics"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SCRAPER, url, str(times), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("the scraper has failed")
    return [(float(seconds), int(size)) for seconds, size in map(str.split, output.decode().splitlines())]


async def longest_gap(work: Awaitable[object]) -> float:
    """The longest time in seconds that the event loop is away until something is done."""
    task = asyncio.ensure_future(work)
    longest = 0.0
    seen = time.perf_counter()
    while not task.done():
        await asyncio.sleep(TICK_SECONDS)
        now = time.perf_counter()
        longest, seen = max(longest, now - seen), now
    await task
    return longest


def by_size(costs: list[Cost]) -> Detail:
    """How a scrape grows with the number of allocations."""
    return Detail(
        "scrapes by number of allocations",
        ("allocations", "series", "compressed, kB", "p50, ms", "p95, ms", "CPU, ms", "longest gap, ms"),
        tuple(
            (
                str(cost.allocations),
                str(cost.series),
                f"{cost.kilobytes:.0f}",
                f"{1000 * statistics.median(cost.seconds):.0f}",
                f"{1000 * percentile(cost.seconds, 0.95):.0f}",
                f"{1000 * cost.cpu:.0f}",
                f"{1000 * cost.gap:.1f}",
            )
            for cost in costs
        ),
        in_page=True,
    )
