"""Queue and calendar: who waits and why, how long it takes, what ends and which stages come."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from tests.dashboards import colors
from tests.dashboards.pages import POOLS, STORAGE_POOLS, Json, Row, page
from tests.dashboards.panels import (
    BYTES,
    COUNT,
    DEVICES,
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
from tests.dashboards.promql import POOL, RANGE, STORAGE_POOL, latest, pools, quantile, select, storage
from tests.dashboards.shared import ends, longest_wait, next_stages, waiters, waiting_by_reason

KINDS = (("bitgoeul_pool", POOL), ("bitgoeul_storage_pool", STORAGE_POOL))
SHARES = ((0.5, "Half of them"), (0.9, "90 %"), (0.99, "99 %"))
IN_TIME = 'le="30.0"'
OBJECTIVE = 0.99


def waiting() -> list[stat.Panel]:
    """How much is waited for."""
    position = latest("bitgoeul_allocation_queue_position", "allocation")
    refused = latest("bitgoeul_allocation_condition", "allocation", where=('type="Stalled"', 'status="True"'))
    return [
        number(
            "Waiting allocations",
            "Allocations that have a place in the queue; one that waits for several pools counts once.",
            Query(f"count({position}) or vector(0)", "Waiting"),
            unit=COUNT,
            steps=((None, colors.GREY), (1, colors.WAITING)),
        ),
        number(
            "Waiting devices",
            "Devices that waiting allocations ask for beyond what they hold.",
            Query(f"sum({pools('waiting_devices')})", "Devices"),
            unit=DEVICES,
            steps=((None, colors.GREY), (1, colors.WAITING)),
        ),
        number(
            "Waiting storage",
            "Storage that waiting allocations ask for beyond what they hold.",
            Query(f"sum({storage('waiting')})", "Storage"),
            unit=BYTES,
            steps=((None, colors.GREY), (1, colors.WAITING)),
        ),
        longest_wait(),
        number(
            "Waiting will not help",
            "Allocations that are refused as they are written, or that the API server refuses: somebody has to change "
            "something.",
            Query(f"count({refused}) or vector(0)", "Stalled"),
            unit=COUNT,
            steps=((None, colors.OK), (1, colors.BAD)),
        ),
        number(
            "Promised for later",
            "Devices promised for a start ahead; they are not part of granted.",
            Query(f"sum({pools('scheduled_devices')})", "Scheduled"),
            unit=DEVICES,
        ),
    ]


def waits() -> table.Panel:
    """How long it took those who were granted something in the time that is looked at."""
    histogram = "bitgoeul_allocation_wait_seconds"
    granted = f"sum by (kind, pool) (increase({select(f'{histogram}_count')}{RANGE}))"
    some = f"({granted} > 0)"
    return rows(
        "How long it took",
        "Of those to whom something was granted in the time looked at: from joining the queue until then, for each "
        "pool. Half of them, and 90 and 99 %, waited no longer than this; an estimate from buckets.",
        {"kind": "Kind", "pool": "Pool"},
        Column("Granted", some, COUNT, 0),
        *(
            Column(text, f"{quantile(share, histogram, 'kind', 'pool', over=RANGE)} and {some}", SPAN)
            for share, text in SHARES
        ),
        sort="Pool",
    )


def transitions() -> timeseries.Panel:
    """What became of allocations."""
    return lines(
        "Changes of phase",
        "Changes of the phase of allocations in the minutes up to each point, by the new phase and its reason.",
        Query(
            f"sum by (to, reason) (increase({select('bitgoeul_allocation_transitions_total')}[$__rate_interval]))",
            "{{to}}: {{reason}}",
        ),
        unit=COUNT,
        label="changes",
        stacked=True,
    )


def decided_in_time() -> stat.Panel:
    """The share of decisions that were written within half a minute."""
    buckets = select("bitgoeul_allocation_decision_seconds_bucket", IN_TIME)
    everything = select("bitgoeul_allocation_decision_seconds_count")
    panel = number(
        "Decided within 30 s",
        "Share of the allocations created in the time looked at whose first decision was written within 30 seconds. "
        "The objective is 99 %. Nothing shown: none was created.",
        Query(f"sum(increase({buckets}{RANGE})) / (sum(increase({everything}{RANGE})) > 0)", "Within 30 s"),
        unit=SHARE,
        steps=((None, colors.BAD), (OBJECTIVE, colors.OK)),
        decimals=2,
        nothing="none was created",
    )
    return panel.span(6).height(8)


def decisions() -> timeseries.Panel:
    """How long it took to say something."""
    return lines(
        "Time to the first decision",
        "Seconds from the creation of an allocation until its first decision was written to its status. The API server "
        "tells the time of a creation in whole seconds.",
        *(Query(quantile(share, "bitgoeul_allocation_decision_seconds"), text) for share, text in SHARES),
        unit=SECONDS,
    )


def queue_and_calendar() -> Json:
    """The dashboard."""
    return page(
        "bitgoeul-queue",
        "Queue and calendar",
        "Who waits and why, how long it takes, what ends and which stages come.",
        [POOLS, STORAGE_POOLS],
        [
            Row("How much is waited for", waiting()),
            Row("Queue", [waiters(), sized(waiting_by_reason(*KINDS), 12), transitions()]),
            Row("How long it takes", [sized(waits(), 24, 6), decided_in_time(), sized(decisions(), 18)]),
            Row("Calendar", [sized(ends(), 14), sized(next_stages(*KINDS), 10)]),
        ],
    )
