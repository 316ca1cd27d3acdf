"""
The PromQL that dashboards are made of.

A figure of a pool or an allocation is shown by the replica that leads. While another one takes over, or an upgrade goes
on, both are there for a scrape or two: so each figure is read through ``latest``, which counts it once, and keeps just
the labels that are asked for. Clusters are kept apart by a label ``cluster``, where the scraper sets one; without it an
empty label is the same as a missing one.
"""

from __future__ import annotations

CLUSTER = 'cluster=~"$cluster"'
POOL = 'pool=~"$pool"'
STORAGE_POOL = 'pool=~"$storage_pool"'
ALLOCATION = 'allocation=~"$allocation"'

# What Grafana puts in: wide enough for four scrapes, and the stretch of time that is looked at.
RATE = "[$__rate_interval]"
RANGE = "[$__range]"


def select(metric: str, *matchers: str) -> str:
    """The series of a metric in the clusters that are looked at."""
    return f"{metric}{{{', '.join((CLUSTER, *matchers))}}}"


def by(*labels: str) -> str:
    """What is kept apart: clusters, and these labels."""
    return f"by ({', '.join(('cluster', *labels))})"


def latest(metric: str, *labels: str, where: tuple[str, ...] = ()) -> str:
    """One series for each combination of labels, however many replicas show it."""
    return f"max {by(*labels)} ({select(metric, *where)})"


def total(metric: str, *labels: str, where: tuple[str, ...] = ()) -> str:
    """The sum over those combinations: one number."""
    return f"sum({latest(metric, *labels, where=where)})"


def pools(figure: str) -> str:
    """A figure of the chosen accelerator pools, one series each."""
    return latest(f"bitgoeul_pool_{figure}", "pool", where=(POOL,))


def storage(figure: str) -> str:
    """A figure of the chosen storage pools, one series each."""
    return latest(f"bitgoeul_storage_pool_{figure}_bytes", "pool", where=(STORAGE_POOL,))


def whose(expression: str) -> str:
    """The same figures of allocations, with the label ``organization``."""
    who = latest("bitgoeul_allocation_info", "allocation", "organization")
    return f"({expression}) * on (cluster, allocation) group_left (organization) {who}"


def only(expression: str, allocations: str) -> str:
    """The same figures of allocations, as far as the second expression has the allocation too."""
    return f"({expression}) and on (cluster, allocation) ({allocations})"


def planning_time() -> str:
    """Seconds since 1970 by which is planned: real time, but with ``--clock-offset``; one series for each cluster."""
    return f"(time() + {latest('bitgoeul_clock_offset_seconds')})"


def seconds_until(moments: str) -> str:
    """Seconds until moments of planning; below 0 when they have passed."""
    return f"({moments}) - on (cluster) group_left () {planning_time()}"


def nearest(count: int, expression: str) -> str:
    """Of many series those with the lowest values: what is next, or overdue."""
    return f"bottomk({count}, {expression})"


def as_date(moments: str) -> str:
    """Moments as Grafana's units of dates want them: in milliseconds."""
    return f"({moments}) * 1000"


def rate(metric: str, *labels: str, where: tuple[str, ...] = ()) -> str:
    """How much of a counter is added each second, summed over replicas."""
    kept = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{kept} (rate({select(metric, *where)}{RATE}))"


def quantile(share: float, histogram: str, *labels: str, over: str = RATE, where: tuple[str, ...] = ()) -> str:
    """The value below which this share of what was observed lies."""
    buckets = f"{select(f'{histogram}_bucket', *where)}{over}"
    return f"histogram_quantile({share}, sum by ({', '.join(('le', *labels))}) (rate({buckets})))"


def process(figures: str) -> str:
    """Figures that every process has, of our own, whatever the scraper calls its job; one for each replica."""
    ours = f"({figures}) and on (cluster, job, instance) {select('bitgoeul_build_info')}"
    return f"sum {by('instance')} ({ours})"
