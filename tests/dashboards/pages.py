"""How a dashboard is put together: its variables, its links to the others, and its panels in rows on a grid."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from tests.dashboards.panels import SOURCE, Panel
from tests.dashboards.promql import select

Json = dict[str, Any]

GRID = 24
TAG = "bitgoeul"
ALL = ".*"

POOL_PAGE = "bitgoeul-pool"
TENANT_PAGE = "bitgoeul-tenant"


class Variable(NamedTuple):
    """A choice at the top: the values that a label of a metric has."""

    name: str
    label: str
    metric: str
    matchers: tuple[str, ...] = ()
    value_label: str = ""  # empty: called as the variable
    expand: bool = False  # "All" stands for the values that are listed, not for any


CLUSTERS = Variable("cluster", "Cluster", "bitgoeul_build_info")
POOLS = Variable("pool", "Pool", "bitgoeul_pool_installed_devices")
STORAGE_POOLS = Variable("storage_pool", "Storage pool", "bitgoeul_storage_pool_installed_bytes", value_label="pool")
ORGANIZATIONS = Variable("organization", "Organisation", "bitgoeul_allocation_info")
# All of the chosen organisations, so it has to be spelled out.
ALLOCATIONS = Variable(
    "allocation", "Allocation", "bitgoeul_allocation_info", ('organization=~"$organization"',), expand=True
)


class Row(NamedTuple):
    """Panels under a heading, from left to right; they wrap where the grid ends."""

    title: str
    panels: Sequence[Panel]


def page(uid: str, title: str, description: str, variables: Sequence[Variable], rows: Iterable[Row]) -> Json:
    """A whole dashboard as JSON."""
    builder = (
        dashboard_builders.Dashboard(f"Bitgoeul / {title}")
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .time("now-24h", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(other_pages())
        .with_variable(dashboard_builders.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for variable in (CLUSTERS, *variables):
        builder = builder.with_variable(choice(variable))
    made = builder.build()
    made.panels = list(laid_out(rows))
    content: Json = json.loads(json.dumps(made, cls=JSONEncoder))
    return content


def other_pages() -> dashboard_builders.DashboardLink:
    """The menu of all dashboards of ours; it keeps the time and the choices."""
    return (
        dashboard_builders.DashboardLink("Bitgoeul")
        .type(DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .keep_time(True)
        .include_vars(True)
    )


def choice(variable: Variable) -> dashboard_builders.QueryVariable:
    """A variable that offers everything, and begins with all of it."""
    matchers = () if variable is CLUSTERS else variable.matchers
    series = variable.metric if variable is CLUSTERS else select(variable.metric, *matchers)
    query = f"label_values({series}, {variable.value_label or variable.name})"
    made = (
        dashboard_builders.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(SOURCE)
        .query({"query": query, "refId": f"PrometheusVariableQueryEditor-{variable.name}"})
        .definition(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
    return made if variable.expand else made.all_value(ALL)


def laid_out(rows: Iterable[Row]) -> Iterable[dashboard.Panel | dashboard.RowPanel]:
    """All panels with their numbers and places."""
    number = top = 0
    for row in rows:
        number += 1
        yield dashboard.RowPanel(title=row.title, id_val=number, grid_pos=GridPos(h=1, w=GRID, x=0, y=top), panels=[])
        top += 1
        left = height = 0
        for builder in row.panels:
            panel = builder.build()
            assert panel.grid_pos is not None
            if left + panel.grid_pos.w > GRID:
                left, top, height = 0, top + height, 0
            number += 1
            panel.id_val = number
            panel.grid_pos.x, panel.grid_pos.y = left, top
            left, height = left + panel.grid_pos.w, max(height, panel.grid_pos.h)
            yield panel
        top += height


def link_to(uid: str, variable: str) -> str:
    """The address of the dashboard of what a cell names; it keeps time and cluster."""
    return f"/d/{uid}?var-{variable}=${{__value.text}}&${{cluster:queryparam}}&${{__url_time_range}}"
