"""Operator health: who leads, whether work succeeds and how long it takes, what the API server answers."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from tests.dashboards import colors
from tests.dashboards.pages import Json, Row, page
from tests.dashboards.panels import (
    BYTES,
    COUNT,
    OPERATIONS,
    REQUESTS,
    SECONDS,
    SHARE,
    SPAN,
    Column,
    Query,
    lines,
    number,
    rows,
    sized,
)
from tests.dashboards.promql import RATE, latest, process, quantile, rate, select
from tests.dashboards.shared import firing_alerts

ERROR = 'result="error"'
# As the alert BitgoeulStateStale has it.
STALE = 300.0
# As the alert BitgoeulClockSkew has it.
SKEW = 30.0
NO_ANSWER = 'code="0"'
RESULT_COLORS = {"success": colors.OK, "retry": colors.WARNING, "error": colors.BAD}


def standing() -> list[stat.Panel]:
    """Who is there, and how old what is shown is."""
    snapshot = latest("bitgoeul_snapshot_timestamp_seconds")
    return [
        number(
            "Leading",
            "Replicas that hold the Lease and may write: exactly 1 in each cluster.",
            Query(f"sum by (cluster) ({select('bitgoeul_leading')})", "leading {{cluster}}"),
            unit=COUNT,
            steps=((None, colors.BAD), (1, colors.OK), (2, colors.BAD)),
        ),
        number(
            "Replicas",
            "Replicas that are scraped, those that stand by included.",
            Query(f"count({select('bitgoeul_build_info')})", "Replicas"),
            unit=COUNT,
        ),
        number(
            "Age of the state",
            "How long ago the state behind all figures of pools and allocations was looked at. It moves at least once "
            "a minute, also where nothing changes; from 5 minutes on it is stale.",
            Query(f"time() - {snapshot}", "age {{cluster}}"),
            unit=SECONDS,
            decimals=0,
            steps=((None, colors.OK), (STALE / 2, colors.WARNING), (STALE, colors.BAD)),
            nothing="nobody leads",
        ),
        number(
            "Clock offset",
            "How far the time by which is planned runs ahead of real time, by --clock-offset; below 0: behind. 0 where "
            "tenants work.",
            Query(latest("bitgoeul_clock_offset_seconds"), "offset {{cluster}}"),
            unit=SPAN,
            nothing="nobody leads",
        ),
        number(
            "Clock skew",
            "How far the API server's clock is ahead of that of an operator's host; below 0: behind. Beyond 30 s "
            "nothing is evicted or deleted because a date has come.",
            Query(latest("bitgoeul_clock_skew_seconds"), "skew {{cluster}}"),
            unit=SECONDS,
            decimals=0,
            steps=(
                (None, colors.BAD),
                (-SKEW, colors.WARNING),
                (-5, colors.OK),
                (5, colors.WARNING),
                (SKEW, colors.BAD),
            ),
            nothing="not compared",
        ),
        number(
            "Errors of passes",
            "Share of the passes that ended with an error. They come again by themselves.",
            Query(
                f"({rate('bitgoeul_reconcile_total', where=(ERROR,))}) / ({rate('bitgoeul_reconcile_total')} > 0)",
                "Errors",
            ),
            unit=SHARE,
            decimals=1,
            steps=((None, colors.OK), (0.01, colors.WARNING), (0.05, colors.BAD)),
            nothing="no passes",
        ),
        number(
            "API server does not answer",
            "Requests to the API server each second that got no answer.",
            Query(f"{rate('bitgoeul_kube_requests_total', where=(NO_ANSWER,))} or vector(0)", "No answer"),
            unit=REQUESTS,
            decimals=1,
            steps=((None, colors.OK), (0.1, colors.WARNING), (1, colors.BAD)),
        ),
    ]


def passes() -> list[timeseries.Panel]:
    """Reconciliation: how much, how well, how fast."""
    return [
        lines(
            "Passes by kind",
            "Passes over one subject, each second. A pass looks at what is, and does what can be done now.",
            Query(rate("bitgoeul_reconcile_total", "kind"), "{{kind}}"),
            unit=OPERATIONS,
            label="passes per second",
            stacked=True,
        ),
        lines(
            "Passes by result",
            "retry: somebody else was faster, or the API server did not answer; error: it refused. Both come again by "
            "themselves.",
            *(
                Query(rate("bitgoeul_reconcile_total", where=(f'result="{result}"',)), result, color)
                for result, color in RESULT_COLORS.items()
            ),
            unit=OPERATIONS,
            label="passes per second",
        ),
        lines(
            "Duration of a pass",
            "Seconds in which 99 % of the passes over a subject of each kind end.",
            Query(quantile(0.99, "bitgoeul_reconcile_duration_seconds", "kind"), "{{kind}}"),
            unit=SECONDS,
        ),
        lines(
            "Duration of planning",
            "Seconds that one round of planning takes to look at everything and decide; writing promises is not in it.",
            Query(quantile(0.5, "bitgoeul_plan_duration_seconds"), "Half of the rounds", colors.SKY),
            Query(quantile(0.99, "bitgoeul_plan_duration_seconds"), "99 %", colors.BLUE),
            unit=SECONDS,
        ),
    ]


def requests() -> list[timeseries.Panel]:
    """What the API server is asked and answers."""
    return [
        lines(
            "Requests by answer",
            "Requests to the API server each second by HTTP status, watches left out; 0: no answer. 409 is somebody "
            "else being faster.",
            Query(rate("bitgoeul_kube_requests_total", "code"), "{{code}}"),
            unit=REQUESTS,
            label="requests per second",
            stacked=True,
        ),
        lines(
            "Requests by resource",
            "What the operator reads and writes, by HTTP method.",
            Query(rate("bitgoeul_kube_requests_total", "verb", "resource"), "{{verb}} {{resource}}"),
            unit=REQUESTS,
            label="requests per second",
            stacked=True,
        ),
        lines(
            "Time to an answer",
            "Seconds in which 99 % of the requests of each HTTP method are answered, or given up.",
            Query(quantile(0.99, "bitgoeul_kube_request_duration_seconds", "verb"), "{{verb}}"),
            unit=SECONDS,
        ),
        lines(
            "Put right",
            "Objects of the operator that somebody else had changed or deleted and that were put right, in the "
            "minutes up to each point, by kind. What goes on for long is a fight with another tool.",
            Query(
                f"sum by (kind) (increase({select('bitgoeul_drift_corrections_total')}{RATE}))",
                "{{kind}}",
            ),
            unit=COUNT,
            label="corrections",
            stacked=True,
        ),
        lines(
            "Does not stand",
            "Objects of the operator that another admission policy or webhook changes as they are written, by kind.",
            Query(f"max by (kind) ({select('bitgoeul_unkept_objects')})", "{{kind}}"),
            unit=COUNT,
            label="objects",
        ),
    ]


def resources() -> list[timeseries.Panel]:
    """What the process takes."""
    return [
        lines(
            "Lag of the event loop",
            "Seconds by which the event loop is late. From a quarter of a second on, people notice.",
            Query(quantile(0.5, "bitgoeul_event_loop_lag_seconds"), "half of the time", colors.SKY),
            Query(quantile(0.99, "bitgoeul_event_loop_lag_seconds"), "99 %", colors.BLUE),
            unit=SECONDS,
        ),
        lines(
            "Memory",
            "Resident memory of each replica.",
            Query(process(select("process_resident_memory_bytes")), "{{instance}}"),
            unit=BYTES,
        ),
        lines(
            "CPU",
            "Cores that each replica keeps busy.",
            Query(process(f"rate({select('process_cpu_seconds_total')}{RATE})"), "{{instance}}"),
            unit=COUNT,
            label="cores",
        ),
        lines(
            "Open files",
            "File descriptors that each replica has open, sockets included.",
            Query(process(select("process_open_fds")), "{{instance}}"),
            unit=COUNT,
            label="files",
        ),
    ]


def build() -> table.Panel:
    """Versions of each replica."""
    labels = {
        "instance": "Instance",
        "version": "Version",
        "python": "Python",
        "kopf": "kopf",
        "kubernetes_client": "Kubernetes client",
    }
    return rows(
        "Builds",
        "Versions of each replica and of what it runs on.",
        labels,
        Column("", latest("bitgoeul_build_info", *labels)),
        Column("Leading", latest("bitgoeul_leading", "instance"), COUNT),
        sort="Instance",
    )


def checks() -> table.Panel:
    """Which checks fail where."""
    return rows(
        "Checks",
        "Checks of each replica, those of /readyz among them: 1 fails. What is wrong, /readyz itself says.",
        {"check": "Check", "instance": "Instance"},
        Column("Fails", latest("bitgoeul_check_failing", "check", "instance"), COUNT),
        sort="Fails",
        descending=True,
    )


def last_success() -> table.Panel:
    """When work on each kind last succeeded."""
    last = latest("bitgoeul_reconcile_last_success_timestamp_seconds", "kind")
    return rows(
        "Last success",
        "How long ago a pass over a subject of each kind last succeeded. Long is fine where nothing had to be done.",
        {"kind": "Kind"},
        Column("Ago", f"time() - {last}", SPAN),
        sort="Ago",
        descending=True,
    )


def operator_health() -> Json:
    """The dashboard."""
    return page(
        "bitgoeul-operator",
        "Operator health",
        "Who leads, whether work succeeds and how long it takes, what the API server answers, what is repaired.",
        [],
        [
            Row("How it stands", standing()),
            Row("Work", passes()),
            Row("API server", requests()),
            Row("Process", resources()),
            Row(
                "Builds and alerts",
                [
                    *(sized(build(), 14, 6), sized(last_success(), 10, 6)),
                    *(sized(checks(), 10, 6), sized(firing_alerts(), 14, 6)),
                ],
            ),
        ],
    )
