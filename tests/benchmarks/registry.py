"""
The list of all measures, in the order in which they run: those that share the hall as it fills up.

Planning comes first: it keeps the event loop busy, which nobody else needs yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.benchmarks.figures import Outcome
from tests.benchmarks.forecasts import measure_forecasts
from tests.benchmarks.idle import measure_idle
from tests.benchmarks.latency import measure_latency
from tests.benchmarks.nodes import measure_nodes
from tests.benchmarks.planning import measure_planning
from tests.benchmarks.repair import measure_repair
from tests.benchmarks.restart import measure_restart
from tests.benchmarks.scrape import measure_scrape
from tests.benchmarks.setting import Setting
from tests.benchmarks.throughput import measure_throughput


@dataclass(frozen=True)
class Measure:
    """One measure; ``tenants`` is how many it has unless told otherwise, 0: it makes its own."""

    name: str
    tenants: int
    run: Callable[[Setting], Awaitable[Outcome]]


MEASURES = (
    Measure("planning", 0, measure_planning),
    Measure("scrape", 0, measure_scrape),
    Measure("forecasts", 0, measure_forecasts),
    Measure("throughput", 200, measure_throughput),
    Measure("latency", 0, measure_latency),
    Measure("nodes", 0, measure_nodes),
    Measure("repair", 100, measure_repair),
    Measure("idle", 1000, measure_idle),
    Measure("restart", 1000, measure_restart),
)
