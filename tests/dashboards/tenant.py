"""Tenant: what an organisation asked for, has and uses, when it ends, and what it waits for."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from tests.dashboards import colors
from tests.dashboards.pages import ALLOCATIONS, ORGANIZATIONS, Json, Row, page
from tests.dashboards.panels import (
    BYTES,
    COUNT,
    DATE,
    DEVICES,
    SPAN,
    Column,
    Panel,
    Query,
    lines,
    number,
    rows,
    sized,
)
from tests.dashboards.promql import ALLOCATION, as_date, latest, nearest, seconds_until, total, whose
from tests.dashboards.shared import NEAR, POOL_LINK, conditions, waiters, words

WHERE = (ALLOCATION,)
SHOWN = 12  # countdowns beside each other
SPELLED = {"organization": "Organisation"}
FIGURES = (
    ("requested", colors.PURPLE, "What the allocations ask for."),
    ("granted", colors.SKY, "What is promised to them, whether they use it or not."),
    ("in_use", colors.BLUE, "What their pods and volume claims hold, as quotas count it."),
)


def moment(name: str) -> str:
    """A moment of the window of each chosen allocation."""
    return latest(f"bitgoeul_allocation_{name}_timestamp_seconds", "allocation", where=WHERE)


def amounts(suffix: str, unit: str, things: str) -> list[stat.Panel]:
    """Asked for, granted and in use, as numbers."""
    return [
        number(
            f"{words(figure)} {things}",
            f"{meaning} Of all chosen allocations and all pools together.",
            Query(total(f"bitgoeul_allocation_{figure}_{suffix}", "allocation", "pool", where=WHERE), words(figure)),
            unit=unit,
            steps=((None, color),),
        )
        for figure, color, meaning in FIGURES
    ]


def over_time(suffix: str, unit: str, things: str) -> timeseries.Panel:
    """The same over time."""
    return lines(
        f"{words(things)} over time",
        "Granted above in use: promised and idle. In use above requested: it is to shrink, and what runs goes on.",
        *(
            Query(
                total(f"bitgoeul_allocation_{figure}_{suffix}", "allocation", "pool", where=WHERE), words(figure), color
            )
            for figure, color, _ in FIGURES
        ),
        unit=unit,
        label=things,
    )


def countdown() -> Panel:
    """How long there is until the end."""
    panel = number(
        "Until the end",
        "Time until what was granted or promised ends, of the chosen allocations whose end is next, at most 12. By the "
        "time by which is planned. Nothing shown: open-ended, or neither granted nor promised.",
        Query(nearest(SHOWN, seconds_until(moment("expiry"))), "{{allocation}}"),
        unit=SPAN,
        steps=NEAR,
        nothing="no end",
    )
    return sized(panel, 12)


def until_start() -> Panel:
    """How long there is until the start, for those that wait."""
    panel = number(
        "Until the earliest start",
        "Time until what waits can start as forecast today, of those who are next, at most 12; it holds if nobody "
        "extends and nobody of higher priority comes. Nothing shown: nothing waits, or nobody can say.",
        Query(nearest(SHOWN, seconds_until(moment("earliest_start"))), "{{allocation}}"),
        unit=SPAN,
        nothing="nothing waits, or nobody can say",
    )
    return sized(panel, 12)


def who() -> table.Panel:
    """Who is behind each allocation, and its dates."""
    labels = ("allocation", "organization", "class", "sector", "region", "priority")
    return rows(
        "Allocations",
        "Who is behind each allocation, and the moments of its window. Pending pods: for 10 minutes no node has taken "
        "them. Pods are evicted where workload is Drain, and "
        "data is deleted where deletionPolicy is Delete.",
        {label: SPELLED.get(label, label.capitalize()) for label in labels},
        Column("", latest("bitgoeul_allocation_info", *labels, where=WHERE)),
        Column("Namespaces", latest("bitgoeul_allocation_namespaces", "allocation", where=WHERE), COUNT),
        Column(
            "Pending pods",
            latest("bitgoeul_allocation_pending_pods", "allocation", where=WHERE),
            COUNT,
            steps=((None, colors.GREY), (1, colors.WARNING)),
        ),
        Column("Starts", as_date(moment("start")), DATE),
        Column("Ends", as_date(moment("expiry")), DATE),
        Column("Pods are evicted", as_date(moment("drain")), DATE),
        Column("Data is deleted", as_date(moment("data_delete")), DATE),
        sort="Allocation",
    )


def per_pool(title: str, suffix: str, unit: str, links: dict[str, str] | None = None) -> table.Panel:
    """What each allocation has of each pool."""

    def amount(figure: str) -> str:
        return latest(f"bitgoeul_allocation_{figure}_{suffix}", "allocation", "pool", where=WHERE)

    return rows(
        title,
        "What each allocation has of each pool. Excess: what is in use beyond what is asked for, after a shrink.",
        {"allocation": "Allocation", "pool": "Pool"},
        Column("Requested", amount("requested"), unit),
        Column("Granted", amount("granted"), unit),
        Column("In use", amount("in_use"), unit),
        Column("Excess", amount("excess"), unit, steps=((None, colors.GREY), (1, colors.WARNING))),
        sort="Allocation",
        links=links,
    )


def beside_others() -> timeseries.Panel:
    """Which of the chosen organisations has how much."""
    held = latest("bitgoeul_allocation_granted_devices", "allocation", "pool", where=WHERE)
    return lines(
        "Granted by organisation",
        "Devices promised to the chosen allocations of each organisation.",
        Query(f"sum by (organization) ({whose(held)})", "{{organization}}"),
        unit=DEVICES,
        label="devices",
        stacked=True,
    )


def tenant() -> Json:
    """The dashboard."""
    return page(
        "bitgoeul-tenant",
        "Tenant",
        "What an organisation asked for, has and uses, when it ends, and what it waits for.",
        [ORGANIZATIONS, ALLOCATIONS],
        [
            Row(
                "Do I have it, and how much is used",
                [*amounts("devices", DEVICES, "devices"), *amounts("storage_bytes", BYTES, "storage")],
            ),
            Row("When does it end, when does it begin", [countdown(), until_start(), sized(who(), 24, 6)]),
            Row("What is ahead of me", [sized(waiters(where=WHERE), 24, 6)]),
            Row(
                "Devices",
                [
                    over_time("devices", DEVICES, "devices"),
                    beside_others(),
                    sized(per_pool("Devices by pool", "devices", DEVICES, POOL_LINK), 24, 6),
                ],
            ),
            Row(
                "Storage",
                [
                    over_time("storage_bytes", BYTES, "storage"),
                    sized(per_pool("Storage by pool", "storage_bytes", BYTES), 12),
                ],
            ),
            Row("Conditions", [conditions("allocation", "allocation", ALLOCATION)]),
        ],
    )
