"""Panels that several dashboards have: who waits, what ends, which stages come, conditions, alerts."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from tests.dashboards import colors
from tests.dashboards.pages import POOL_PAGE, TENANT_PAGE, link_to
from tests.dashboards.panels import (
    BYTES,
    COUNT,
    DATE,
    DEVICES,
    SECONDS,
    SPAN,
    Column,
    Query,
    Steps,
    lines,
    number,
    rows,
)
from tests.dashboards.promql import POOL, STORAGE_POOL, as_date, by, latest, only, seconds_until, select, total, whose

DAY = 86400
# A week and three days before something ends or begins.
NEAR: Steps = ((None, colors.BAD), (3 * DAY, colors.WARNING), (7 * DAY, colors.GREY))
# Below 0 more is promised than there is.
PROMISED_TOO_MUCH: Steps = ((None, colors.BAD), (0, colors.AVAILABLE))
STATUS_COLORS = {"True": colors.BLUE, "False": colors.ORANGE, "Unknown": colors.GREY}
REASON_COLORS = {
    "WaitingForCapacity": colors.ORANGE,
    "BlockedByEarlier": colors.BLUE,
    "WindowNotOpen": colors.GREEN,
}
ALLOCATION_LINK = {"Allocation": link_to(TENANT_PAGE, "allocation")}
POOL_LINK = {"Pool": link_to(POOL_PAGE, "pool")}

FIRING = 'ALERTS{cluster=~"$cluster", alertname=~"Bitgoeul.+", alertstate="firing"}'


def words(figure: str) -> str:
    """A figure's name as a title."""
    return figure.replace("_", " ").capitalize()


def waiters(among: str = "", where: tuple[str, ...] = ()) -> table.Panel:
    """
    Everybody in the queue, in its order.

    Args:
        among: An expression that has the allocations to show; empty: all.
        where: Matchers for the allocations to show.
    """

    def shown(metric: str, *labels: str) -> str:
        figures = latest(metric, "allocation", *labels, where=where)
        return only(figures, among) if among else figures

    queued = select("bitgoeul_allocation_queue_position", *where)
    reason = latest(
        "bitgoeul_allocation_condition",
        "allocation",
        "reason",
        where=('type="Reconciling"', 'status="True"', *where),
    )
    since = shown("bitgoeul_allocation_queued_timestamp_seconds")
    start = shown("bitgoeul_allocation_earliest_start_timestamp_seconds")
    return rows(
        "Who waits",
        "Everybody in the queue. Position: 1 and the number of earlier waiters that share any pool. The earliest start "
        "is a forecast: it holds if nobody extends and nobody of higher priority comes; empty: nobody can say.",
        {"allocation": "Allocation", "organization": "Organisation", "reason": "Reason"},
        Column("Position", whose(shown("bitgoeul_allocation_queue_position")), COUNT),
        Column("", only(f"{reason} and on (cluster, allocation) {queued}", among) if among else only(reason, queued)),
        Column("Waiting since", as_date(since), DATE),
        Column("Waits for", f"time() - ({since})", SPAN),
        Column("Earliest start", as_date(start), DATE),
        Column("Until then", seconds_until(start), SPAN),
        sort="Position",
        links=ALLOCATION_LINK,
        mapped={"Reason": REASON_COLORS},
    )


def ends(among: str = "", where: tuple[str, ...] = (), amounts: Column | None = None) -> table.Panel:
    """
    What was granted or promised, by its end.

    Args:
        among: An expression that has the allocations to show; empty: all.
        where: Matchers for the allocations to show.
        amounts: What each of them has.
    """
    end = latest("bitgoeul_allocation_expiry_timestamp_seconds", "allocation", where=where)
    start = latest("bitgoeul_allocation_start_timestamp_seconds", "allocation", where=where)
    shown = only(end, among) if among else end
    return rows(
        "Ends to come",
        "What was granted or promised and has an end, the next one first. An end that has passed stays until nothing "
        "is held any more. By the time by which is planned.",
        {"allocation": "Allocation", "organization": "Organisation"},
        Column("Ends", as_date(whose(shown)), DATE),
        Column("In", seconds_until(shown), SPAN, steps=NEAR),
        Column("Starts", as_date(only(start, shown)), DATE),
        *([amounts._replace(expr=only(amounts.expr, shown))] if amounts else []),
        sort="Ends",
        links=ALLOCATION_LINK,
    )


def next_stages(*families: tuple[str, str]) -> table.Panel:
    """
    When capacity changes by plan.

    Args:
        families: Prefix of the metrics of a kind of pool, and a matcher of the pools to show.
    """
    next_ones = [
        latest(f"{prefix}_next_stage_timestamp_seconds", "pool", "stage", where=(where,)) for prefix, where in families
    ]
    stages = " or ".join(next_ones)
    return rows(
        "Next stages",
        "The next stage of the capacity plan of each pool that has one ahead. By the time by which is planned.",
        {"pool": "Pool", "stage": "Stage"},
        Column("Begins", as_date(stages), DATE),
        Column("In", seconds_until(stages), SPAN),
        sort="Begins",
    )


def conditions(prefix: str, name: str, where: str) -> table.Panel:
    """What is said of pools or allocations, as it is written in their statuses."""
    metric = f"bitgoeul_{prefix}_condition"
    return rows(
        "Conditions",
        "Status and reason of each condition, as they are written in the object. What each reason asks of whom stands "
        "in the page about reasons.",
        {name: name.capitalize(), "type": "Condition", "status": "Status", "reason": "Reason"},
        Column("", latest(metric, name, "type", "status", "reason", where=(where,))),
        sort="Condition",
        mapped={"Status": STATUS_COLORS},
    )


def waiting_by_reason(*families: tuple[str, str]) -> timeseries.Panel:
    """
    How many wait, and why.

    Args:
        families: Prefix of the metrics of a kind of pool, and a matcher of the pools to show.
    """
    figures = [
        f"sum by (reason) ({latest(f'{prefix}_waiting_allocations', 'pool', 'reason', where=(where,))})"
        for prefix, where in families
    ]
    legends = ["devices: {{reason}}", "storage: {{reason}}"] if len(families) > 1 else ["{{reason}}"]
    return lines(
        "Waiting allocations by reason",
        "Allocations that wait for a pool, by reason. One that waits for several pools counts in each of them.",
        *(Query(figure, legend) for figure, legend in zip(figures, legends, strict=True)),
        unit=COUNT,
        label="allocations",
        stacked=True,
    )


def forecast(available: str, ahead: str, where: str, unit: str, things: str) -> timeseries.Panel:
    """
    What of the chosen pools can be granted now and later.

    Args:
        available, ahead: Metrics of what is available now and at the horizons.
        where: A matcher of the pools to show.
    """
    later = latest(ahead, "pool", "horizon", where=(where,))
    return lines(
        "Available now and ahead",
        f"{things.capitalize()} that can be granted now, and how many will be at each horizon, by what is promised "
        "now and by the stages, if nobody extends and nobody new comes. Below 0: more is promised than there will be.",
        Query(total(available, "pool", where=(where,)), "now", colors.AVAILABLE),
        Query(f"sum by (horizon) ({later})", "in {{horizon}}"),
        unit=unit,
        label=things,
    )


def devices_forecast() -> timeseries.Panel:
    """Of accelerator pools."""
    available, ahead = "bitgoeul_pool_available_devices", "bitgoeul_pool_forecast_available_devices"
    return forecast(available, ahead, POOL, DEVICES, "devices")


def storage_forecast() -> timeseries.Panel:
    """Of storage pools."""
    available, ahead = "bitgoeul_storage_pool_available_bytes", "bitgoeul_storage_pool_forecast_available_bytes"
    return forecast(available, ahead, STORAGE_POOL, BYTES, "bytes")


def firing_alerts() -> table.Panel:
    """The alerts of the chart's rules that fire now."""
    labels = {
        "alertname": "Alert",
        "severity": "Severity",
        "pool": "Pool",
        "allocation": "Allocation",
        "kind": "Kind",
        "reason": "Reason",
    }
    return rows(
        "Firing alerts",
        "Alerts of Bitgoeul's rules that fire now. Empty: none fires, or the rules are not loaded.",
        labels,
        Column("", f"max {by(*labels)} ({FIRING})"),
        sort="Severity",
        links=ALLOCATION_LINK,
        mapped={"Severity": {"critical": colors.BAD, "warning": colors.WARNING, "info": colors.SKY}},
    )


def longest_wait() -> stat.Panel:
    """How long the one that joined the queue first has been in it."""
    since = latest("bitgoeul_allocation_queued_timestamp_seconds", "allocation")
    return number(
        "Longest wait",
        "How long the one that has waited longest has been in the queue. Empty: nobody waits.",
        Query(f"time() - min({since})", "Longest wait"),
        unit=SECONDS,
        nothing="nobody waits",
    )
