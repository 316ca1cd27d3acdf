"""
Throughput: how many tenants a second become Ready, as a share of what a bare writer posts in the same run.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

from tests.benchmarks.audit import Write, stored_by_operator
from tests.benchmarks.client import CONCURRENCY
from tests.benchmarks.cluster import Cluster, Tenants, open_cluster
from tests.benchmarks.figures import Detail, Figure, Goal, Outcome, percentile
from tests.benchmarks.floor import Floor, measure_floor, read_back
from tests.benchmarks.operator_process import Labels, Scrape
from tests.benchmarks.processes import Usage
from tests.benchmarks.setting import Setting

WARM_UP = tuple(f"warm-up-{number}" for number in range(3))
RARE = 0.01  # per tenant; what is rarer is not shown
RATIO = Goal(0.5, least=True)


@dataclass(frozen=True, slots=True)
class Run:
    """What the operator did with the tenants."""

    seconds: float
    to_ready: list[float]
    cpu: Usage
    writes: list[Write]
    warnings: list[str]
    before: Scrape
    after: Scrape


async def measure_throughput(setting: Setting) -> Outcome:
    """The operator on one fresh control plane, then the bare writer on another one, with the same flags."""
    names = [f"tenant-{number:05}" for number in range(setting.tenants)]
    devices = len(names) + len(WARM_UP)
    async with open_cluster(devices, setting.kcm_qps) as cluster:
        setting.say(f"{len(names)} tenants, by the operator")
        run = await run_operator(cluster, names)
        objects = await read_back(cluster.client)
    async with open_cluster(devices, setting.kcm_qps) as cluster:
        setting.say(f"{sum(map(len, objects.values()))} objects, by a bare writer")
        floor = await measure_floor(cluster, objects, set(WARM_UP))
    return Outcome(
        name="throughput",
        method=(
            f"{len(names)} tenants asked for {CONCURRENCY} at a time, timed from the first POST until the last one is "
            f"Ready; the bare writer posts the same {floor.objects} objects {CONCURRENCY} at a time on a fresh control "
            f"plane; controller manager with {setting.kcm_text}"
        ),
        figures=figures(run, floor),
        details=details(run, floor),
    )


async def run_operator(cluster: Cluster, names: list[str]) -> Run:
    """Have all of them made Ready, and take down what it cost."""
    tenants = Tenants(cluster.client)
    async with cluster.operator() as operator, tenants.watched():
        await tenants.fill(WARM_UP)
        before = await operator.settled()
        mark = cluster.audit.mark()
        usage_before = cluster.usage(operator)
        started = time.perf_counter()
        await tenants.fill(names)
        cpu = cluster.usage(operator).since(usage_before)
        after = await operator.settled()  # Events come behind, one after the other
        return Run(
            seconds=max(tenants.ready_at[name] for name in names) - started,
            to_ready=tenants.seconds(names),
            cpu=cpu,
            writes=cluster.audit.since(mark),
            warnings=operator.warnings(),
            before=before,
            after=after,
        )


def figures(run: Run, floor: Floor) -> tuple[Figure, ...]:
    count = len(run.to_ready)
    return (
        Figure("tenants to Ready", count / run.seconds, "1/s"),
        Figure("bare writer", count / floor.posted, "tenants/s"),
        Figure("bare writer", floor.objects / floor.posted, "writes/s"),
        Figure("ratio to the bare writer", floor.posted / run.seconds, "", RATIO),
        Figure("ratio to the bare writer until quotas are enforced", floor.enforced / run.seconds, ""),
        Figure("ratio in CPU time of all that take part", cpu_time(floor.cpu) / cpu_time(run.cpu), ""),
        Figure("CPUs used by others, operator's run", 100 * run.cpu.others, "%"),
        Figure("CPUs used by others, bare writer's run", 100 * floor.cpu.others, "%"),
        Figure("burst: to Ready, p50", percentile(run.to_ready, 0.5), "s"),
        Figure("burst: to Ready, p99", percentile(run.to_ready, 0.99), "s"),
        Figure("objects per tenant", floor.objects / count, ""),
        Figure("operator's writes per tenant", stored_by_operator(run.writes) / count, ""),
        Figure("operator's CPU per tenant", 1000 * run.cpu.processes["operator"] / count, "ms"),
        Figure("API server's CPU per tenant", 1000 * run.cpu.processes["kube-apiserver"] / count, "ms"),
        Figure("API server's CPU per tenant, bare writer", 1000 * floor.cpu.processes["kube-apiserver"] / count, "ms"),
    )


def cpu_time(usage: Usage) -> float:
    """CPU seconds of control plane, operator and benchmark together; what others do meanwhile hardly matters to it."""
    return sum(usage.processes.values())


def details(run: Run, floor: Floor) -> tuple[Detail, ...]:
    count = len(run.to_ready)
    return (
        Detail(
            "CPU, ms per tenant",
            ("process", "operator's run", "bare writer's run"),
            tuple(
                (name, f"{1000 * seconds / count:.1f}", f"{1000 * floor.cpu.processes.get(name, 0) / count:.1f}")
                for name, seconds in run.cpu.processes.items()
            ),
            in_page=True,
        ),
        writes_by_kind(run.writes, count),
        requests_by_kind(run, count),
        passes(run, count),
        Detail("operator's warnings", ("line",), tuple((line,) for line in run.warnings)),
    )


def writes_by_kind(writes: list[Write], count: int) -> Detail:
    """From the audit log, also who else wrote, so that the operator's part can be seen."""
    times = Counter((write.agent.split("/")[0], write.label, write.resource, str(write.status)) for write in writes)
    return Detail(
        "writes per tenant (audit log)",
        ("who", "verb", "resource", "status", "per tenant"),
        tuple(
            (*key, f"{number / count:.2f}")
            for key, number in sorted(times.items(), key=lambda row: (row[0][0], -row[1]))
            if number / count >= RARE
        ),
        in_page=True,
    )


def requests_by_kind(run: Run, count: int) -> Detail:
    """From the operator's metrics; reads too. Labels in the order code, resource, verb."""
    requests = run.after.since(run.before, "bitgoeul_kube_requests_total")
    seconds = run.after.since(run.before, "bitgoeul_kube_request_duration_seconds_sum")
    numbers = run.after.since(run.before, "bitgoeul_kube_request_duration_seconds_count")

    def mean(labels: Labels) -> str:
        key = labels[1:]
        return f"{1000 * seconds.get(key, 0) / numbers[key]:.1f}" if numbers.get(key) else "-"

    return Detail(
        "operator's requests per tenant (its metrics)",
        ("verb", "resource", "code", "per tenant", "mean ms of all codes"),
        tuple(
            (labels[2], labels[1], labels[0], f"{number / count:.2f}", mean(labels))
            for labels, number in sorted(requests.items(), key=lambda row: -row[1])
        ),
    )


def passes(run: Run, count: int) -> Detail:
    """How often the operator looked: passes by kind and result, and rounds of planning."""
    rows = [
        (f"passes over {labels[0]}: {labels[1]}", f"{number / count:.2f}")
        for labels, number in run.after.since(run.before, "bitgoeul_reconcile_total").items()
    ]
    for labels, seconds in run.after.since(run.before, "bitgoeul_reconcile_duration_seconds_sum").items():
        rows.append((f"seconds in passes over {labels[0]}", f"{seconds / count:.3f}"))
    plans = sum(run.after.since(run.before, "bitgoeul_plan_duration_seconds_count").values())
    planning = sum(run.after.since(run.before, "bitgoeul_plan_duration_seconds_sum").values())
    rows.append(("rounds of planning", f"{plans / count:.2f}"))
    rows.append(("seconds of planning", f"{planning / count:.4f}"))
    return Detail("operator's passes", ("what", "per tenant"), tuple(rows))
