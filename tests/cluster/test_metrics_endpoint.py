"""What Prometheus reads from a running operator says the same as the status of the objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from prometheus_client.parser import text_string_to_metric_families

from bitgoeul.cluster.kinds import STORAGE_POOL, TENANT_ALLOCATION
from tests.cluster.api_objects import Manifest
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, resource_of
from tests.cluster.waiting import eventually

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

PROMISED = {
    "bitgoeul_build_info",
    "bitgoeul_kube_requests_total",
    "bitgoeul_kube_request_duration_seconds_bucket",
    "bitgoeul_reconcile_total",
    "bitgoeul_reconcile_duration_seconds_bucket",
    "bitgoeul_leading",
    "bitgoeul_drift_corrections_total",
    "bitgoeul_snapshot_timestamp_seconds",
    "bitgoeul_clock_offset_seconds",
    "process_resident_memory_bytes",
}


def scrape(operator: OperatorProcess) -> Series:
    """Every series of one scrape."""
    status, text = operator.fetch("/metrics")
    assert status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float | None:
    """The one series with exactly these labels; None when there is none."""
    return series.get((name, frozenset(labels.items())))


def having(series: Series, **labels: str) -> Series:
    """The series that have these labels among theirs."""
    return {key: number for key, number in series.items() if key[1] >= labels.items()}


def test_health_is_told(operator: OperatorProcess) -> None:
    """The kubelet's probes: one line for each check."""
    assert operator.fetch("/healthz") == (200, "event loop: ok\nlease: ok\n")
    status, text = operator.fetch("/readyz")
    assert (status, text.splitlines()[0]) == (200, "cache: ok")
    assert operator.fetch("/elsewhere")[0] == 404


def test_the_operator_tells_about_itself(operator: OperatorProcess) -> None:
    """Its build, its requests and its work."""

    def told() -> bool:
        # One that has just begun to lead has not decided or done anything yet.
        series = scrape(operator)
        missing = PROMISED - {name for name, _ in series}
        assert not missing, missing
        return value(series, "bitgoeul_leading") == 1

    eventually(told, "all of it is there, and it leads")


def figures_of(part: Manifest) -> Mapping[str, float]:
    """The plain figures of a status, by the words of the metrics."""
    words = {"inUse": "in_use"}
    return {words.get(key, key): number for key, number in part.items() if not isinstance(number, dict)}


def test_a_pool_says_in_metrics_what_it_says_in_status(world: World, operator: OperatorProcess) -> None:
    """Every figure, the partition of what is unavailable, nodes and petaflops."""
    pool = world.declare_pool(reserve=1, petaflopsPerDevice="0.5", vendor="Example", product="X1", region="honam")
    first, _ = world.nodes(pool, "first", "second")
    world.await_effective(pool, 15)
    blue = world.active("blue", {pool: 5})
    world.pod(blue, "busy", pool, 2)
    world.await_phase(world.allocate("green", {pool: 12}), "Waiting")
    world.admin.merge(f"/api/v1/nodes/{first}", {"spec": {"unschedulable": True}})
    world.await_devices(pool, effective=7, granted=5, inUse=2, waiting=12)
    at_one_moment(lambda: assert_pool_agrees(scrape(operator), world.pool_status(pool), pool))


def at_one_moment(agree: Callable[[], None]) -> None:
    """Status and metrics are read one after the other, and may be of two moments: so they are, until they agree."""

    def look() -> bool:
        agree()
        return True

    eventually(look, "status and metrics say the same")


def assert_pool_agrees(series: Series, status: Manifest, pool: str) -> None:
    """Of a pool of two nodes, one of them cordoned, for which one waits."""
    labels = {"pool": pool, "resource": resource_of(pool)}
    for figure, number in figures_of(status["devices"]).items():
        assert value(series, f"bitgoeul_pool_{figure}_devices", **labels) == number, figure
    for reason, number in (("NotReady", 0), ("Cordoned", 8), ("Tainted", 0), ("Unhealthy", 0)):
        assert value(series, "bitgoeul_pool_unavailable_devices", **labels, reason=reason) == number
    for state, number in (("Ready", 1), ("NotReady", 0), ("Cordoned", 1), ("Tainted", 0)):
        assert value(series, "bitgoeul_pool_nodes", pool=pool, state=state) == number
    for figure, petaflops in status["petaflops"].items():
        name = {"inUse": "in_use"}.get(figure, figure)
        assert value(series, f"bitgoeul_pool_{name}_petaflops", pool=pool) == float(petaflops)
    for one in status["conditions"]:
        found = {key: one[key] for key in ("type", "status", "reason")}
        assert value(series, "bitgoeul_pool_condition", pool=pool, **found) == 1
    assert value(series, "bitgoeul_pool_waiting_allocations", pool=pool, reason="WaitingForCapacity") == 1
    info = {**labels, "type": "GPU", "vendor": "Example", "product": "X1", "region": "honam"}
    assert value(series, "bitgoeul_pool_info", **info) == 1


def test_a_storage_pool_says_in_metrics_what_it_says_in_status(world: World, operator: OperatorProcess) -> None:
    """In bytes, with what is retained."""
    disk = world.storage_pool(capacity="10Ti", reserve="1Ti")
    world.active("blue", storage={disk: "4Ti"})
    eventually(lambda: world.storage_status(disk)["bytes"]["granted"] == 4 * 2**40, "the pool has followed")

    def agree() -> None:
        series, status = scrape(operator), world.storage_status(disk)
        for figure, number in figures_of(status["bytes"]).items():
            found = value(series, f"bitgoeul_storage_pool_{figure}_bytes", pool=disk, storage_class=disk)
            assert found == number, figure

    at_one_moment(agree)


def test_an_allocation_says_in_metrics_what_it_says_in_status(world: World, operator: OperatorProcess) -> None:
    """Asked, granted and used; conditions; the place in the queue; and who it is."""
    pool, disk = world.pool(devices=8), world.storage_pool()
    blue = world.active("blue", {pool: 5}, {disk: "4Ti"}, priority=7)
    world.pod(blue, "busy", pool, 2)
    world.await_status(blue, lambda s: s["inUse"]["accelerators"] == {pool: 2}, "shows what is in use")
    first, second = world.allocate("c-first", {pool: 4}), world.allocate("d-second", {pool: 4})
    world.await_status(second, lambda s: s["queue"]["position"] == 2, "is the second")

    def holder_agrees() -> None:
        series = scrape(operator)
        labels = {"allocation": blue, "pool": pool, "resource": resource_of(pool)}
        for word, number in (("requested", 5), ("granted", 5), ("in_use", 2)):
            assert value(series, f"bitgoeul_allocation_{word}_devices", **labels) == number
        stored = {"allocation": blue, "pool": disk, "storage_class": disk}
        for word, number in (("requested", 4 * 2**40), ("granted", 4 * 2**40), ("in_use", 0)):
            assert value(series, f"bitgoeul_allocation_{word}_storage_bytes", **stored) == number
        who = {"organization": "Blue", "class": "Startup", "sector": "", "region": "", "priority": "7"}
        assert value(series, "bitgoeul_allocation_info", allocation=blue, **who) == 1
        assert value(series, "bitgoeul_allocation_queue_position", allocation=blue) is None

    def queue_agrees() -> None:
        series, waiting = scrape(operator), world.status(second)
        for name, position in ((first, 1), (second, 2)):
            assert value(series, "bitgoeul_allocation_queue_position", allocation=name) == position
        for one in waiting["conditions"]:
            found = {key: one[key] for key in ("type", "status", "reason")}
            assert value(series, "bitgoeul_allocation_condition", allocation=second, **found) == 1
        since = value(series, "bitgoeul_allocation_queued_timestamp_seconds", allocation=second)
        assert since == world.created(second).timestamp()

    at_one_moment(holder_agrees)
    at_one_moment(queue_agrees)


def test_dates_in_metrics_are_those_in_status(world: World, operator: OperatorProcess) -> None:
    """Stages, windows, forecasts and promised starts, as moments."""
    stages = [
        {"name": "pilot", "from": "2021-02-15T00:00:00Z", "devices": 8},
        {"name": "full", "from": "2124-01-01T00:00:00Z", "devices": 16},
    ]
    pool = world.pool(devices=8, stages=stages)
    blue = world.active("blue", {pool: 8}, window={"end": "2123-01-01T00:00:00Z"}, expiry={"deletionPolicy": "Delete"})
    green = world.allocate("c-green", {pool: 4})
    world.await_status(green, lambda s: "earliestStart" in s["queue"], "is told when it can start")
    red = world.allocate("d-red", {pool: 6}, window={"start": "2124-06-01T00:00:00Z", "duration": "24h"})
    world.await_phase(red, "Scheduled")
    world.await_devices(pool, planned=8, scheduled=6, granted=8)

    def pool_agrees() -> None:
        series, status = scrape(operator), world.pool_status(pool)
        labels = {"pool": pool, "resource": resource_of(pool)}
        for figure, number in figures_of(status["devices"]).items():
            assert value(series, f"bitgoeul_pool_{figure}_devices", **labels) == number, figure
        assert value(series, "bitgoeul_pool_stage_info", pool=pool, stage=status["currentStage"]) == 1
        following = status["nextStage"]
        found = value(series, "bitgoeul_pool_next_stage_timestamp_seconds", pool=pool, stage=following["name"])
        assert found == seconds(following["from"])

    def windows_agree() -> None:
        series, window = scrape(operator), world.status(blue)["window"]
        for field, word in (("start", "start"), ("end", "expiry"), ("dataDeleteAt", "data_delete")):
            found = value(series, f"bitgoeul_allocation_{word}_timestamp_seconds", allocation=blue)
            assert found == seconds(window[field]), field
        found = value(series, "bitgoeul_allocation_earliest_start_timestamp_seconds", allocation=green)
        assert found == seconds(world.status(green)["queue"]["earliestStart"])
        assert value(series, "bitgoeul_allocation_start_timestamp_seconds", allocation=green) is None
        found = value(series, "bitgoeul_allocation_start_timestamp_seconds", allocation=red)
        assert found == seconds(world.status(red)["window"]["start"])

    at_one_moment(pool_agrees)
    at_one_moment(windows_agree)


def seconds(text: str) -> float:
    """A moment in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


def test_waits_and_decisions_are_counted(world: World, operator: OperatorProcess) -> None:
    """One that got what it asked for at once, one that waited for it; the first decision about each, and its phases."""
    before = scrape(operator)
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 5})
    labels = {"kind": "AcceleratorPool", "pool": pool}
    name = "bitgoeul_allocation_wait_seconds"
    eventually(lambda: value(scrape(operator), f"{name}_count", **labels) == 1, "the grant is counted")
    at_once = value(scrape(operator), f"{name}_sum", **labels) or 0
    green = world.allocate("green", {pool: 4})
    world.await_phase(green, "Waiting")
    world.delete(TENANT_ALLOCATION, blue)
    world.await_phase(green, "Active")
    eventually(lambda: value(scrape(operator), f"{name}_count", **labels) == 2, "the second grant is counted")
    series = scrape(operator)
    waited = value(series, f"{name}_sum", **labels)
    assert waited is not None
    assert waited > at_once
    decided = "bitgoeul_allocation_decision_seconds_count"
    assert (value(series, decided) or 0) - (value(before, decided) or 0) >= 2
    moved = "bitgoeul_allocation_transitions_total"
    for to, reason in (("Waiting", "WaitingForCapacity"), ("Active", "Enforced")):
        of_both = [value(one, moved, to=to, reason=reason) or 0 for one in (series, before)]
        assert of_both[0] > of_both[1], to


def test_the_forecast_in_metrics_is_that_of_the_calendar(world: World, operator: OperatorProcess) -> None:
    """What is available once the last change within the time has come."""
    pool = world.pool(devices=8)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    world.active("blue", {pool: 5}, window={"end": end.isoformat()}, expiry={"grace": "0s"})
    world.active("green", {pool: 2})
    world.await_devices(pool, granted=7)
    (change,) = world.pool_status(pool)["calendar"]
    labels = {"pool": pool, "resource": resource_of(pool)}
    name = "bitgoeul_pool_forecast_available_devices"

    def foreseen() -> dict[str, float | None]:
        series = scrape(operator)
        return {horizon: value(series, name, **labels, horizon=horizon) for horizon in ("1d", "7d", "30d")}

    expected = {"1d": 1, "7d": change["available"], "30d": change["available"]}
    assert change["available"] == 6
    eventually(lambda: foreseen() == expected, "the forecast is that of the calendar")


def test_what_is_gone_leaves_no_series(world: World, operator: OperatorProcess) -> None:
    """Dashboards do not show the dead."""
    disk = world.storage_pool()
    blue = world.active("blue", storage={disk: "1Ti"})
    assert having(scrape(operator), allocation=blue)
    world.delete(TENANT_ALLOCATION, blue)
    world.await_gone(TENANT_ALLOCATION, blue)
    world.delete(STORAGE_POOL, disk)
    world.await_gone(STORAGE_POOL, disk)
    # Waits of a pool are kept until the next round of planning.
    eventually(
        lambda: not having(scrape(operator), allocation=blue) and not having(scrape(operator), pool=disk),
        "no series is left",
    )
