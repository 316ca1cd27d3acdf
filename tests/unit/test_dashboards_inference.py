"""The labels of an answer are read off the query, and a query that names what is not there is refused."""

from __future__ import annotations

import pytest

from tests.dashboards.inference import LabelError, figures, inserted, labels_of, selectors

SCRAPED = {"cluster", "instance", "job"}


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        pytest.param(
            "bitgoeul_pool_nodes", {"pool", "state", *SCRAPED}, id="a metric has its labels and the scraper's"
        ),
        pytest.param("sum(bitgoeul_pool_nodes)", set(), id="a sum has none"),
        pytest.param("sum by (pool) (bitgoeul_pool_nodes) * 2", {"pool"}, id="a number adds none"),
        pytest.param("vector(1)", set(), id="vector has none"),
        pytest.param("time()", set(), id="the time is a number"),
        pytest.param(
            "histogram_quantile(0.9, sum by (le, kind) (rate(bitgoeul_reconcile_duration_seconds_bucket[5m])))",
            {"kind"},
            id="a quantile is over buckets",
        ),
        pytest.param(
            "max by (pool) (bitgoeul_pool_info) * on (pool) group_left (stage) max by (pool, stage) "
            "(bitgoeul_pool_stage_info)",
            {"pool", "stage"},
            id="group_left brings labels",
        ),
        pytest.param(
            "max by (pool, state) (bitgoeul_pool_nodes) and on (pool) bitgoeul_pool_info",
            {"pool", "state"},
            id="and keeps the left",
        ),
        pytest.param(
            "max by (pool, stage) (bitgoeul_pool_stage_info) or max by (pool) (bitgoeul_pool_info)",
            {"pool"},
            id="or has what both have",
        ),
        pytest.param("bottomk(3, max by (pool) (bitgoeul_pool_nodes))", {"pool"}, id="some of the series"),
        pytest.param("sum by (cluster) (ALERTS)", {"cluster"}, id="Prometheus' own series"),
    ],
)
def test_labels_are_inferred(query: str, labels: set[str]) -> None:
    """As Prometheus would give them."""
    assert labels_of(query) == labels


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param("sum(", "no PromQL", id="half a query"),
        pytest.param("rate(bitgoeul_reconcile_total)", "no PromQL", id="a rate of no stretch"),
        pytest.param("bitgoeul_pool_gpus", "no metric", id="a metric that is not"),
        pytest.param("bitgoeul_reconcile_duration_seconds", "no metric", id="a histogram without its part"),
        pytest.param('bitgoeul_pool_nodes{node="a"}', "no label", id="a label that is not"),
        pytest.param('bitgoeul_pool_nodes{state="Broken"}', "never Broken", id="a value that is not"),
        pytest.param("sum by (node) (bitgoeul_pool_nodes)", "by names", id="a sum by a label that is not"),
        pytest.param("sum by (state) (sum by (pool) (bitgoeul_pool_nodes))", "by names", id="by one that is gone"),
        pytest.param("sum(bitgoeul_leading) * on (pool) bitgoeul_pool_info", "on its left", id="a join without a left"),
        pytest.param("bitgoeul_pool_info * on (pool) sum(bitgoeul_leading)", "on its right", id="without a right"),
        pytest.param("bitgoeul_pool_info * bitgoeul_pool_nodes", "never match", id="labels that differ"),
        pytest.param(
            "bitgoeul_pool_nodes * on (pool) group_left (stage) bitgoeul_pool_info",
            "group_left names",
            id="a label that the other has not",
        ),
    ],
)
def test_what_is_not_there_is_refused(query: str, says: str) -> None:
    """Prometheus would give an empty answer, and nobody would know why."""
    with pytest.raises(LabelError, match=says):
        labels_of(query)


def test_variables_are_put_in() -> None:
    """Stretches of time, choices, and anything for the rest."""
    assert inserted('rate(a{b=~"$b", c=~"$c"}[$__rate_interval])', {"b": "x"}) == 'rate(a{b=~"x", c=~".*"}[5m])'


def test_what_only_chooses_is_no_figure() -> None:
    """The left of every ``and``."""
    assert figures("bitgoeul_leading and on () bitgoeul_build_info").strip() == "bitgoeul_leading"


def test_all_choices_of_series_are_found() -> None:
    """Also those under a range."""
    query = "rate(bitgoeul_reconcile_total[5m]) and on (job) (bitgoeul_leading > 0)"
    assert {selector.name for selector in selectors(query)} == {"bitgoeul_reconcile_total", "bitgoeul_leading"}
