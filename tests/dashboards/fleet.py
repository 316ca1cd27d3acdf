"""Fleet: all pools at one look, from what is installed to what is in use, who holds it, and what lies ahead."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from tests.dashboards import colors
from tests.dashboards.pages import POOLS, Json, Row, page
from tests.dashboards.panels import (
    DATE,
    DEVICES,
    PETAFLOPS,
    SHARE,
    Column,
    Panel,
    Query,
    lines,
    number,
    rows,
    sized,
)
from tests.dashboards.promql import POOL, as_date, latest, pools, whose
from tests.dashboards.shared import (
    POOL_LINK,
    PROMISED_TOO_MUCH,
    devices_forecast,
    firing_alerts,
    waiting_by_reason,
    words,
)

# Figure, colour, and what it means: each is part of the one before, but for the last.
FUNNEL = (
    ("installed", colors.INSTALLED, "Devices that the pools' nodes have, usable or not."),
    ("schedulable", colors.GREY, "Devices that new pods can get: installed less unavailable."),
    ("effective", colors.GREEN, "Devices that can be promised: as the stage plans and nodes allow, less reserved."),
    ("granted", colors.SKY, "Devices promised to allocations now, whether they use them or not."),
    ("in_use", colors.BLUE, "Granted devices that tenants' pods hold now."),
    ("waiting", colors.ORANGE, "Devices that waiting allocations ask for beyond what they hold."),
)


def devices(figure: str, color: str, meaning: str) -> stat.Panel:
    """One step of the funnel."""
    query = Query(f"sum({pools(f'{figure}_devices')})", words(figure))
    return number(f"{words(figure)} devices", meaning, query, unit=DEVICES, steps=((None, color),))


def petaflops(figure: str, color: str) -> Panel:
    """The same in petaflops, where pools say what a device is worth."""
    panel = number(
        f"{words(figure)} petaflops",
        "Only of pools that say petaflopsPerDevice.",
        Query(f"sum({pools(f'{figure}_petaflops')})", words(figure)),
        unit=PETAFLOPS,
        steps=((None, color),),
        decimals=2,
    )
    return sized(panel, 6)


def pools_table() -> table.Panel:
    """A row for each pool."""
    held = latest("bitgoeul_allocation_granted_devices", "allocation", "pool", where=(POOL,))
    ends = latest("bitgoeul_allocation_expiry_timestamp_seconds", "allocation")
    next_end = f"min by (cluster, pool) (({held} > 0) * 0 + on (cluster, allocation) group_left () {ends})"
    next_stage = pools("next_stage_timestamp_seconds")
    return rows(
        "Pools",
        "What each pool has and has promised. The next end is the next one of those who hold devices of it: then some "
        "come free, when what runs on them has ended.",
        {"pool": "Pool", "type": "Type", "product": "Product", "stage": "Stage"},
        Column("", latest("bitgoeul_pool_info", "pool", "type", "product", where=(POOL,))),
        Column("", latest("bitgoeul_pool_stage_info", "pool", "stage", where=(POOL,))),
        Column("Installed", pools("installed_devices"), DEVICES),
        Column("Effective", pools("effective_devices"), DEVICES),
        Column("Granted", pools("granted_devices"), DEVICES),
        Column("Granted share", f"{pools('granted_devices')} / ({pools('effective_devices')} > 0)", SHARE, 0),
        Column("In use", pools("in_use_devices"), DEVICES),
        Column("Available", pools("available_devices"), DEVICES, steps=PROMISED_TOO_MUCH),
        Column("Waiting", pools("waiting_devices"), DEVICES),
        Column("Next end", as_date(next_end), DATE),
        Column("Next stage", as_date(next_stage), DATE),
        sort="Pool",
        links=POOL_LINK,
    )


def by_organization() -> timeseries.Panel:
    """Who holds what of the chosen pools."""
    held = latest("bitgoeul_allocation_granted_devices", "allocation", "pool", where=(POOL,))
    return lines(
        "Granted by organisation",
        "Devices promised to the allocations of each organisation, whether they use them or not.",
        Query(f"sum by (organization) ({whose(held)}) > 0", "{{organization}}"),
        unit=DEVICES,
        label="devices",
        stacked=True,
    )


def unavailable() -> timeseries.Panel:
    """What is there and cannot be used, and why."""
    figures = latest("bitgoeul_pool_unavailable_devices", "pool", "reason", where=(POOL,))
    return lines(
        "Unavailable by reason",
        "Installed devices that new pods cannot get, each counted once: its node is not ready, cordoned or "
        "tainted, or the device itself is unhealthy.",
        Query(f"sum by (reason) ({figures})", "{{reason}}"),
        unit=DEVICES,
        label="devices",
        stacked=True,
    )


def promised_and_idle() -> timeseries.Panel:
    """Granted and not in use, by organisation."""
    held, busy = (
        latest(f"bitgoeul_allocation_{figure}_devices", "allocation", "pool", where=(POOL,))
        for figure in ("granted", "in_use")
    )
    return lines(
        "Granted and not in use",
        "Devices that are promised to an organisation and that no pod of it holds.",
        Query(f"sum by (organization) ({whose(f'{held} - {busy}')}) > 0", "{{organization}}"),
        unit=DEVICES,
        label="devices",
        stacked=True,
    )


def pod_security() -> table.Panel:
    """Whose pods are held to another level than the default, and why."""
    labels = ("allocation", "level", "reason")
    return rows(
        "Pod security other than the default",
        "Allocations in force whose pods are held to another pod security level than the default, baseline, and why. "
        "Privileged pods can take over their nodes.",
        {label: label.capitalize() for label in labels},
        Column("", latest("bitgoeul_allocation_pod_security_info", *labels)),
        sort="Allocation",
    )


def given_roles() -> table.Panel:
    """Which ClusterRoles members have beside their role."""
    return rows(
        "ClusterRoles given to members",
        "ClusterRoles that members of an allocation in force have beside their role, out of those that the operator is "
        "allowed to give.",
        {"allocation": "Allocation", "cluster_role": "ClusterRole"},
        Column("Members", latest("bitgoeul_allocation_cluster_role_members", "allocation", "cluster_role")),
        sort="Allocation",
    )


def fleet() -> Json:
    """The dashboard."""
    return page(
        "bitgoeul-fleet",
        "Fleet",
        "All accelerator pools: what there is, what is promised, what is in use, and what lies ahead.",
        [POOLS],
        [
            Row("From installed to in use", [devices(*step) for step in FUNNEL]),
            Row(
                "Petaflops",
                [
                    petaflops(figure, color)
                    for figure, color, _ in FUNNEL
                    if figure in {"installed", "effective", "granted", "in_use"}
                ],
            ),
            Row("Pools", [pools_table()]),
            Row("Who holds it", [by_organization(), promised_and_idle()]),
            Row("What is lost, and what lies ahead", [unavailable(), devices_forecast()]),
            Row("Which doors are open", [sized(pod_security(), 12, 6), sized(given_roles(), 12, 6)]),
            Row("What to look at", [sized(waiting_by_reason(("bitgoeul_pool", POOL)), 12), sized(firing_alerts(), 12)]),
        ],
    )
