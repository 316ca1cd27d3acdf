"""What the operator counts about itself."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry

from bitgoeul.cluster.kinds import BY_KIND
from bitgoeul.metrics.instruments import CHILD_KINDS, FAMILIES, Instruments
from bitgoeul.planning.pools import accelerator, storage


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """The number of one series; None when it is absent."""
    return registry.get_sample_value(name, labels)


def test_requests_are_counted_by_their_answer() -> None:
    """No answer at all is code 0, and has a duration like any other."""
    instruments = Instruments("1.2.3")
    instruments.observe_request("GET", "nodes", 200, 0.003)
    instruments.observe_request("GET", "nodes", 0, 10.0)
    registry = instruments.registry
    assert value(registry, "bitgoeul_kube_requests_total", verb="GET", resource="nodes", code="200") == 1
    assert value(registry, "bitgoeul_kube_requests_total", verb="GET", resource="nodes", code="0") == 1
    seconds = "bitgoeul_kube_request_duration_seconds"
    assert value(registry, f"{seconds}_sum", verb="GET", resource="nodes") == pytest.approx(10.003)
    assert value(registry, f"{seconds}_bucket", verb="GET", resource="nodes", le="0.005") == 1


def test_all_results_of_a_kind_are_there_from_its_first_pass() -> None:
    """A rate sees the first error, because the series was 0 before."""
    instruments = Instruments("1.2.3")
    instruments.observe_reconcile("TenantAllocation", "success", 0.1)
    registry = instruments.registry
    counts = {
        result: value(registry, "bitgoeul_reconcile_total", kind="TenantAllocation", result=result)
        for result in ("success", "retry", "error")
    }
    assert counts == {"success": 1, "retry": 0, "error": 0}
    assert value(registry, "bitgoeul_reconcile_duration_seconds_count", kind="TenantAllocation") == 1


def test_the_last_success_is_the_time_of_a_success() -> None:
    """Failures do not touch it, and before any success it is absent."""
    instruments = Instruments("1.2.3")
    name = "bitgoeul_reconcile_last_success_timestamp_seconds"
    instruments.observe_reconcile("Pool", "error", 0.1)
    instruments.observe_reconcile("Pool", "retry", 0.1)
    assert value(instruments.registry, name, kind="Pool") is None
    before = time.time()
    instruments.observe_reconcile("Pool", "success", 0.1)
    last = value(instruments.registry, name, kind="Pool")
    assert last is not None
    assert before <= last <= time.time()


def test_planning_and_the_event_loop_have_histograms() -> None:
    """How long rounds take and how late the loop is, without any label."""
    instruments = Instruments("1.2.3")
    instruments.observe_plan(0.004)
    instruments.observe_loop_lag(0.3)
    registry = instruments.registry
    assert value(registry, "bitgoeul_plan_duration_seconds_bucket", le="0.005") == 1
    assert value(registry, "bitgoeul_event_loop_lag_seconds_bucket", le="0.25") == 0
    assert value(registry, "bitgoeul_event_loop_lag_seconds_bucket", le="0.5") == 1


def test_leading_is_one_or_zero() -> None:
    """A replica stands by until told otherwise."""
    instruments = Instruments("1.2.3")
    assert value(instruments.registry, "bitgoeul_leading") == 0
    instruments.set_leading(True)
    assert value(instruments.registry, "bitgoeul_leading") == 1
    instruments.set_leading(False)
    assert value(instruments.registry, "bitgoeul_leading") == 0


def test_the_build_is_named() -> None:
    """Versions of the operator and of what it runs on are labels of one series."""
    metrics = {metric.name: metric for metric in Instruments("1.2.3").registry.collect()}
    (sample,) = metrics["bitgoeul_build_info"].samples
    assert sample.value == 1
    assert sample.labels["version"] == "1.2.3"
    assert all(sample.labels[name] for name in ("python", "kopf", "kubernetes_client"))


def test_memory_and_garbage_collection_are_shown() -> None:
    """The Prometheus client's own collectors are in the registry."""
    registry = Instruments("1.2.3").registry
    memory = value(registry, "process_resident_memory_bytes")
    assert memory is not None
    assert memory > 1_000_000
    assert value(registry, "python_gc_collections_total", generation="0") is not None


def test_two_operators_in_one_process_share_no_figures() -> None:
    """Each has a registry of its own."""
    one, other = Instruments("1"), Instruments("2")
    one.observe_plan(1.0)
    assert value(other.registry, "bitgoeul_plan_duration_seconds_count") == 0


def test_exactly_the_declared_families_are_registered() -> None:
    """With the labels that the reference names, and no times of birth beside them."""
    instruments = Instruments("1.2.3")
    instruments.observe_request("GET", "nodes", 200, 0.1)
    instruments.observe_reconcile("Pool", "success", 0.1)
    instruments.observe_transition("Active", "Enforced")
    instruments.keep_pools([accelerator("a100")])
    declared = {family.name: set(family.labels) for family in FAMILIES}
    found = {}
    for metric in instruments.registry.collect():
        for sample in metric.samples:
            assert not sample.name.endswith("_created")
            name = metric.name + "_total" if metric.type == "counter" else metric.name
            if name.startswith("bitgoeul_"):
                found[name] = sample.labels.keys() - {"le"}
    assert found == declared


def test_waits_are_shown_of_the_pools_that_there_are() -> None:
    """From 0 on for a new one; of one that is gone nothing is left, and nothing is counted for it any more."""
    instruments = Instruments("1.2.3")
    a100, disk = accelerator("a100"), storage("a100")
    count = "bitgoeul_allocation_wait_seconds_count"
    instruments.keep_pools([a100, disk])
    instruments.observe_wait(a100, 90.0)
    registry = instruments.registry
    assert value(registry, count, kind="AcceleratorPool", pool="a100") == 1
    assert value(registry, count, kind="StoragePool", pool="a100") == 0
    bucket = "bitgoeul_allocation_wait_seconds_bucket"
    assert value(registry, bucket, kind="AcceleratorPool", pool="a100", le="60.0") == 0
    assert value(registry, bucket, kind="AcceleratorPool", pool="a100", le="600.0") == 1
    instruments.keep_pools([disk])
    instruments.observe_wait(a100, 90.0)
    assert value(registry, count, kind="AcceleratorPool", pool="a100") is None
    assert value(registry, count, kind="StoragePool", pool="a100") == 0
    instruments.keep_pools([a100])
    assert value(registry, count, kind="AcceleratorPool", pool="a100") == 0


def test_corrections_begin_with_zero_for_every_kind_that_is_made() -> None:
    """A rate sees the first one; the kinds are those that the writer knows."""
    instruments = Instruments("1.2.3")
    instruments.observe_correction("ResourceQuota")
    counts = {kind: value(instruments.registry, "bitgoeul_drift_corrections_total", kind=kind) for kind in CHILD_KINDS}
    assert counts == dict.fromkeys(CHILD_KINDS, 0) | {"ResourceQuota": 1}
    assert set(CHILD_KINDS) <= BY_KIND.keys()
