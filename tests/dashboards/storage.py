"""Storage: where the capacity of storage pools is, who has it, and which data goes soon."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from tests.dashboards import colors
from tests.dashboards.pages import STORAGE_POOLS, Json, Row, page
from tests.dashboards.panels import BYTES, DATE, SHARE, SPAN, Column, Query, lines, number, rows, sized
from tests.dashboards.promql import STORAGE_POOL, as_date, latest, seconds_until, storage, whose
from tests.dashboards.shared import (
    ALLOCATION_LINK,
    NEAR,
    PROMISED_TOO_MUCH,
    conditions,
    next_stages,
    storage_forecast,
    waiting_by_reason,
    words,
)

FIGURES = (
    ("installed", colors.INSTALLED, "What the pools have now, as the current stage or the capacity says."),
    ("effective", colors.GREEN, "What can be promised: installed less reserved."),
    ("granted", colors.SKY, "What is promised to allocations now, whether volumes use it or not."),
    ("in_use", colors.BLUE, "Granted storage that tenants' volume claims ask for now."),
    ("retained", colors.YELLOW, "What volumes of deleted allocations still hold, as deletionPolicy Retain asked for."),
    ("available", colors.AVAILABLE, "What can still be granted: effective less granted less retained."),
)


def everything(figure: str) -> str:
    """A figure of all chosen pools together."""
    return f"sum({storage(figure)})"


def figures() -> list[stat.Panel]:
    """All pools together."""
    return [
        number(
            f"{words(figure)} storage",
            meaning,
            Query(everything(figure), words(figure)),
            unit=BYTES,
            steps=PROMISED_TOO_MUCH if figure == "available" else ((None, color),),
        )
        for figure, color, meaning in FIGURES
    ]


def partition() -> timeseries.Panel:
    """The layers add up to what is installed."""
    idle = f"clamp_min({everything('granted')} - {everything('in_use')}, 0)"
    return lines(
        "Where the capacity is",
        "Each byte is in one layer, and the layers add up to the line. Where they stand above it, more is promised "
        "than there is.",
        Query(everything("in_use"), "In use", colors.IN_USE),
        Query(idle, "Granted and not in use", colors.GRANTED),
        Query(everything("retained"), "Retained", colors.RETAINED),
        Query(f"sum(clamp_min({storage('available')}, 0))", "Available", colors.AVAILABLE),
        Query(everything("reserved"), "Reserved", colors.RESERVED),
        Query(everything("installed"), "Installed", colors.INSTALLED, line=True),
        unit=BYTES,
        stacked=True,
    )


def pools_table() -> table.Panel:
    """A row for each pool."""
    return rows(
        "Storage pools",
        "What each pool has and has promised. Retained is charged until somebody deletes or takes over the data.",
        {"pool": "Pool", "stage": "Stage"},
        Column("", latest("bitgoeul_storage_pool_stage_info", "pool", "stage", where=(STORAGE_POOL,))),
        Column("Planned", storage("planned"), BYTES),
        *(Column(words(figure), storage(figure), BYTES) for figure, _, _ in FIGURES[:5]),
        Column("Granted share", f"{storage('granted')} / ({storage('effective')} > 0)", SHARE, 0),
        Column("Available", storage("available"), BYTES, steps=PROMISED_TOO_MUCH),
        Column("Promised for later", storage("scheduled"), BYTES),
        Column("Waiting", storage("waiting"), BYTES),
        sort="Pool",
    )


def by_organization(figure: str, title: str, meaning: str) -> timeseries.Panel:
    """Who has how much of the chosen pools."""
    held = latest(f"bitgoeul_allocation_{figure}_storage_bytes", "allocation", "pool", where=(STORAGE_POOL,))
    return lines(
        title,
        meaning,
        Query(f"sum by (organization) ({whose(held)}) > 0", "{{organization}}"),
        unit=BYTES,
        stacked=True,
    )


def by_pool(figure: str, title: str, meaning: str) -> timeseries.Panel:
    """One figure of each pool."""
    query = Query(f"sum by (pool) ({storage(figure)})", "{{pool}}")
    return lines(title, meaning, query, unit=BYTES, stacked=True)


def deletions() -> table.Panel:
    """Which data goes when."""
    at = latest("bitgoeul_allocation_data_delete_timestamp_seconds", "allocation")
    held = latest("bitgoeul_allocation_in_use_storage_bytes", "allocation", "pool")
    of_each = f"sum by (cluster, allocation) ({held})"
    return rows(
        "Data to be deleted",
        "When namespaces and data are deleted, the next one first: of allocations that have an end and whose "
        "deletionPolicy is Delete. By the time by which is planned.",
        {"allocation": "Allocation", "organization": "Organisation"},
        Column("Deleted", as_date(whose(at)), DATE),
        Column("In", seconds_until(at), SPAN, steps=NEAR),
        Column("In use", f"{of_each} and {at}", BYTES),
        sort="Deleted",
        links=ALLOCATION_LINK,
    )


def storage_page() -> Json:
    """The dashboard."""
    return page(
        "bitgoeul-storage",
        "Storage",
        "All storage pools: where their capacity is, who has it, and which data goes soon.",
        [STORAGE_POOLS],
        [
            Row("All pools together", figures()),
            Row(
                "Capacity",
                [
                    partition(),
                    storage_forecast(),
                    sized(waiting_by_reason(("bitgoeul_storage_pool", STORAGE_POOL)), 24, 6),
                    pools_table(),
                ],
            ),
            Row(
                "Who has it",
                [
                    by_organization("granted", "Granted by organisation", "Storage promised to each organisation."),
                    by_organization(
                        "in_use",
                        "In use by organisation",
                        "Storage that the volume claims of each organisation ask for.",
                    ),
                    by_pool("in_use", "In use by pool", "Granted storage that volume claims ask for, of each pool."),
                    by_pool(
                        "retained",
                        "Retained by pool",
                        "What volumes of deleted allocations still hold, of each pool. restoreFrom takes it over.",
                    ),
                ],
            ),
            Row(
                "What goes and what comes",
                [sized(deletions(), 14), sized(next_stages(("bitgoeul_storage_pool", STORAGE_POOL)), 10)],
            ),
            Row("Conditions", [conditions("storage_pool", "pool", STORAGE_POOL)]),
        ],
    )
