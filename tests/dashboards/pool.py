"""Pool: where the capacity of a pool is, who waits for it, its nodes and stages, and whose time ends."""

from __future__ import annotations

from grafana_foundation_sdk.builders import statetimeline, table, timeseries

from tests.dashboards import colors
from tests.dashboards.pages import POOLS, Json, Row, page
from tests.dashboards.panels import COUNT, DEVICES, Column, Query, lines, rows, sized, timeline
from tests.dashboards.promql import POOL, latest, pools, select, whose
from tests.dashboards.shared import (
    ALLOCATION_LINK,
    conditions,
    devices_forecast,
    ends,
    next_stages,
    waiters,
    waiting_by_reason,
)

SHORT = (
    f"{select('bitgoeul_allocation_requested_devices', POOL)} > {select('bitgoeul_allocation_granted_devices', POOL)}"
)


def devices(figure: str) -> str:
    """A figure of all chosen pools together."""
    return f"sum({pools(f'{figure}_devices')})"


def partition() -> timeseries.Panel:
    """The layers add up to what is installed."""
    unavailable = latest("bitgoeul_pool_unavailable_devices", "pool", "reason", where=(POOL,))
    idle = f"clamp_min({devices('granted')} - {devices('in_use')}, 0)"
    beyond = f"{devices('schedulable')} - {devices('reserved')} - {devices('effective')}"
    return lines(
        "Where the devices are",
        "Each installed device is in one layer, and the layers add up to the line. Where they stand above it, more is "
        "promised than there is. Beyond the plan: usable devices that the current stage does not plan.",
        Query(devices("in_use"), "In use", colors.IN_USE),
        Query(idle, "Granted and not in use", colors.GRANTED),
        Query(f"sum(clamp_min({pools('available_devices')}, 0))", "Available", colors.AVAILABLE),
        Query(devices("reserved"), "Reserved", colors.RESERVED),
        Query(beyond, "Beyond the plan", colors.YELLOW),
        Query(f"sum({unavailable})", "Unavailable", colors.UNAVAILABLE),
        Query(devices("installed"), "Installed", colors.INSTALLED, line=True),
        unit=DEVICES,
        label="devices",
        stacked=True,
    )


def plan_and_truth() -> timeseries.Panel:
    """What the stage plans beside what nodes give."""
    return lines(
        "Planned and installed",
        "Devices that the current stage plans beside those that the nodes have and that new pods can get. Pools "
        "without stages plan nothing. Highest: the most that was ever installed at once.",
        Query(devices("planned"), "Planned", colors.BLUE),
        Query(devices("installed"), "Installed", colors.INSTALLED),
        Query(devices("schedulable"), "Schedulable", colors.GREEN),
        Query(devices("highest"), "Highest", colors.PURPLE),
        unit=DEVICES,
        label="devices",
    )


def nodes() -> timeseries.Panel:
    """Nodes by state."""
    return lines(
        "Nodes by state",
        "Nodes that count for the pool; each counts once, in the order NotReady, Cordoned, Tainted.",
        *(
            Query(f"sum({latest('bitgoeul_pool_nodes', 'pool', where=(POOL, matcher))})", state, color)
            for state, matcher, color in (
                ("Ready", 'state="Ready"', colors.OK),
                ("Cordoned", 'state="Cordoned"', colors.WARNING),
                ("Tainted", 'state="Tainted"', colors.YELLOW),
                ("NotReady", 'state="NotReady"', colors.BAD),
            )
        ),
        unit=COUNT,
        label="nodes",
        stacked=True,
    )


def condition_timeline() -> statetimeline.Panel:
    """Which conditions held when."""
    held = latest("bitgoeul_pool_condition", "pool", "type", where=(POOL, 'status="True"'))
    known = latest("bitgoeul_pool_condition", "pool", "type", where=(POOL,))
    return timeline(
        "Conditions over time",
        "When each condition was True. Ready and CapacityMatched are to be True, the others are not.",
        Query(f"{held} or {known} * 0", "{{pool}} {{type}}"),
        {"1": ("True", colors.BLUE), "0": ("not True", colors.GREY)},
    )


def holders() -> table.Panel:
    """Who has what of the pool."""

    def amount(figure: str) -> str:
        return latest(f"bitgoeul_allocation_{figure}_devices", "allocation", "pool", where=(POOL,))

    held = f"({amount('granted')} > 0)"
    return rows(
        "Who holds it",
        "Allocations that are granted devices of the pool. Requested above granted: they wait for more.",
        {"allocation": "Allocation", "organization": "Organisation", "pool": "Pool"},
        Column("Granted", whose(held), DEVICES),
        Column("In use", f"{amount('in_use')} and {held}", DEVICES),
        Column("Requested", f"{amount('requested')} and {held}", DEVICES),
        sort="Granted",
        descending=True,
        links=ALLOCATION_LINK,
    )


def pool() -> Json:
    """The dashboard."""
    granted = latest("bitgoeul_allocation_granted_devices", "allocation", where=(POOL,))
    holding = f"{select('bitgoeul_allocation_granted_devices', POOL)} > 0"
    return page(
        "bitgoeul-pool",
        "Pool",
        "Accelerator pools one by one: capacity, queue, nodes, stages, and whose time ends.",
        [POOLS],
        [
            Row("Capacity", [partition(), devices_forecast(), plan_and_truth(), nodes()]),
            Row("Queue", [sized(waiting_by_reason(("bitgoeul_pool", POOL)), 24, 6), waiters(SHORT)]),
            Row(
                "Who holds it, and until when",
                [
                    sized(holders(), 12),
                    sized(ends(holding, amounts=Column("Granted", f"{granted} > 0", DEVICES)), 12),
                ],
            ),
            Row(
                "Conditions and stages",
                [
                    condition_timeline(),
                    sized(conditions("pool", "pool", POOL), 12),
                    sized(next_stages(("bitgoeul_pool", POOL)), 24, 6),
                ],
            ),
        ],
    )
