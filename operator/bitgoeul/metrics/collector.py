"""
Gives Prometheus the figures of pools and allocations, from what the last round of planning looked at and decided.

One frozen state is read for each scrape: all figures of a scrape belong together, and whatever is deleted leaves no
series behind. The partitions hold in each: installed = schedulable + all unavailable, the lesser of planned and
schedulable = reserved + effective, effective = granted + available, for storage also + retained. A replica that stands
by has decided nothing, and shows none of these families.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client import Metric
from prometheus_client.registry import Collector

from bitgoeul.metrics.allocations import ALLOCATION_SOURCES
from bitgoeul.metrics.exposition import RowMetric
from bitgoeul.metrics.pools import ACCELERATOR_SOURCES, STORAGE_SOURCES
from bitgoeul.metrics.state import State, gauge
from bitgoeul.planning.moments import moment

__all__ = ["SOURCES", "STATE_SOURCES", "State", "StateCollector"]

SNAPSHOT_SOURCE = gauge(
    "bitgoeul_snapshot_timestamp_seconds",
    (),
    "When the state behind all figures of pools and allocations was looked at, in seconds since 1970. It moves with "
    "every round of planning: at least once a minute, also where nothing changes.",
    lambda state: [((), state.snapshot.wall.timestamp())],
    unit="seconds",
)
OFFSET_SOURCE = gauge(
    "bitgoeul_clock_offset_seconds",
    (),
    "How far the time by which is planned runs ahead of real time (--clock-offset); below 0, behind. Starts, ends and "
    "stages are moments of the time by which is planned, all else is real time.",
    # Both clocks are read one after the other; the shift has whole seconds.
    lambda state: [((), round((state.snapshot.now - moment(state.snapshot.wall)) / 1000))],
    unit="seconds",
)
STATE_SOURCES = (SNAPSHOT_SOURCE, OFFSET_SOURCE)
SOURCES = (*ACCELERATOR_SOURCES, *STORAGE_SOURCES, *ALLOCATION_SOURCES, *STATE_SOURCES)


class StateCollector(Collector):
    """
    See the module's text.

    ``read`` is called when metrics are gathered, and gives a state that nobody changes any more, or None when nothing
    is decided yet. Rows are read off it only when they are written, which may be in another thread.
    """

    def __init__(self, read: Callable[[], State | None]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """All families that a state has."""
        state = self._read()
        if state is None:
            return
        for source in SOURCES:
            yield RowMetric(source.family, partial(source.rows, state))
