"""A real Prometheus reads the real operator: its answers agree with the status of the objects."""

from __future__ import annotations

import re

import pytest

from tests.cluster.busy_center import Center
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.prometheus_server import Prometheus, QueryError
from tests.cluster.waiting import eventually


def test_prometheus_reads_every_series(prometheus: Prometheus, busy_center: Center, operator: OperatorProcess) -> None:
    """Nothing is dropped, and the job's labels do not displace ours."""
    text = operator.fetch("/metrics")[1]
    told = {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line.startswith("bitgoeul_")}

    def read_all() -> bool:
        read = set(prometheus.label_values("__name__", '{__name__=~"bitgoeul_.+"}'))
        assert told - read == set()
        return True

    eventually(read_all, "Prometheus has every series")
    assert not prometheus.query('{exported_job!=""} or {exported_instance!=""}')


def test_the_parts_add_up_in_prometheus(prometheus: Prometheus, busy_center: Center) -> None:
    """What the reference of metrics promises, as the queries that a platform engineer would write."""
    gpu, npu, disk = (f'{{pool="{pool}"}}' for pool in (busy_center.gpu, busy_center.npu, busy_center.disk))
    for figure, expected in {
        f"bitgoeul_pool_effective_devices{gpu}": 13,
        f"bitgoeul_pool_available_devices{gpu}": 0,
        f"bitgoeul_pool_available_devices{npu}": -4,
        f"bitgoeul_storage_pool_available_bytes{disk}": 0,
        f'bitgoeul_allocation_excess_devices{{allocation="{busy_center.shrinking}"}}': 3,
    }.items():
        eventually(lambda f=figure, e=expected: values(prometheus, f) == [e], f"{figure} is {expected}")  # type: ignore[misc]
    for whole, parts in {
        "installed": "bitgoeul_pool_schedulable_devices + on (pool) sum by (pool) (bitgoeul_pool_unavailable_devices)",
        "granted": "sum by (pool) (bitgoeul_allocation_granted_devices)",
    }.items():
        for pool in (gpu, npu):
            query = f"bitgoeul_pool_{whole}_devices{pool} == on (pool) {parts}"
            eventually(lambda q=query: len(prometheus.query(q)) == 1, f"{whole} of {pool} adds up")  # type: ignore[misc]


def values(prometheus: Prometheus, query: str) -> list[float]:
    return [one.value for one in prometheus.query(query)]


def test_a_wrong_query_is_told(prometheus: Prometheus) -> None:
    """A panel with a mistake cannot pass as one without data."""
    with pytest.raises(QueryError, match="parse error"):
        prometheus.query("sum by (pool) (bitgoeul_pool_granted_devices")
