"""What dashboards are built of: numbers, lines, tables and timelines, all with title, description and unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common, units
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tests.dashboards import colors

Panel = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel
Steps = Sequence[tuple[float | None, str]]

SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")

DEVICES = units.NoUnit
COUNT = units.NoUnit
PETAFLOPS = units.PetaFlopsPerSecond
BYTES = units.BytesIEC
SHARE = units.PercentUnit
SECONDS = units.Seconds
SPAN = units.DurationSeconds
OPERATIONS = units.OpsPerSecond
REQUESTS = units.RequestsPerSecond
DATE = units.DatetimeISO
TEXT = units.String

NOTHING = "–"
FIRST_LETTER = ord("A")


class Query(NamedTuple):
    """One query: its legend, with ``{{label}}`` where it gives several series, and its colour if it has one."""

    expr: str
    legend: str
    color: str = ""
    line: bool = False  # not part of a stack, but a line above it


class Column(NamedTuple):
    """A column of numbers in a table; without a header it is not shown, and only brings rows and labels."""

    header: str
    expr: str
    unit: str = COUNT
    decimals: int | None = None
    steps: Steps = ()


def ref_id(index: int) -> str:
    """A, B, C and so on."""
    return chr(FIRST_LETTER + index)


def thresholds(steps: Steps) -> dashboard_builders.ThresholdsConfig:
    """Colours from a value on; None: from below all."""
    made = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard_builders.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(made)


def number(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    steps: Steps = ((None, colors.GREY),),
    decimals: int | None = None,
    nothing: str = NOTHING,
) -> stat.Panel:
    """What holds at the end of the time looked at, in large figures."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(4)
        .height(4)
        .unit(unit)
        .no_value(nothing)
        .thresholds(thresholds(steps))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.AUTO)
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    for index, query in enumerate(queries):
        panel = panel.with_target(
            prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref_id(index)).instant()
        )
    return panel


def lines(
    title: str, description: str, *queries: Query, unit: str, label: str = "", stacked: bool = False
) -> timeseries.Panel:
    """How figures went over time, as lines or as layers that add up."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(12)
        .height(8)
        .unit(unit)
        .axis_label(label)
        .axis_soft_min(0)
        .fill_opacity(60 if stacked else 0)
        .show_points(common.VisibilityMode.NEVER)
        .color_scheme(dashboard_builders.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .stacking(
            common_builders.StackingConfig().mode(common.StackingMode.NORMAL if stacked else common.StackingMode.NONE)
        )
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .legend(
            common_builders.VizLegendOptions()
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    for index, query in enumerate(queries):
        panel = panel.with_target(
            prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref_id(index)).range()
        )
        if looks := appearance(query, stacked):
            panel = panel.override_by_name(query.legend, looks)
    return panel


def appearance(query: Query, stacked: bool) -> list[DynamicConfigValue]:
    """How the one series of a query differs from what holds for its panel."""
    looks = []
    if query.color:
        looks.append(DynamicConfigValue("color", {"mode": "fixed", "fixedColor": query.color}))
    if query.line and stacked:
        looks.append(DynamicConfigValue("custom.stacking", {"mode": "none", "group": "A"}))
        looks.append(DynamicConfigValue("custom.fillOpacity", 0))
        looks.append(DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}))
    return looks


def rows(
    title: str,
    description: str,
    labels: Mapping[str, str],
    *columns: Column,
    sort: str = "",
    descending: bool = False,
    links: Mapping[str, str] | None = None,
    mapped: Mapping[str, Mapping[str, str]] | None = None,
) -> table.Panel:
    """
    A table of what holds at the end of the time looked at: a row for each combination of labels.

    Args:
        labels: Label → header, in the order of the columns; they come before the numbers. A cluster comes first, if the
            figures name one.
        links: Header → address of what one of its cells leads to.
        mapped: Header → text of a cell → its colour.
    """
    panel = table.Panel().title(title).description(description).datasource(SOURCE).span(24).height(8)
    panel = panel.unit(TEXT).no_value(NOTHING).cell_height(common.TableCellHeight.SM)
    for index, column in enumerate(columns):
        panel = panel.with_target(
            prometheus.Dataquery()
            .expr(column.expr)
            .format(PromQueryFormat.TABLE)
            .legend_format(column.header or title)
            .ref_id(ref_id(index))
            .instant()
        )
    names = [f"Value #{ref_id(index)}" for index in range(len(columns))] if len(columns) > 1 else ["Value"]
    headers = {"cluster": "Cluster", **labels, **dict(zip(names, [column.header for column in columns], strict=True))}
    shown = {name: header for name, header in headers.items() if header}
    hidden = ["Time", *(name for name, header in headers.items() if not header)]
    panel = panel.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(
        DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": dict.fromkeys(hidden, True),
                "indexByName": {name: place for place, name in enumerate(shown)},
                "renameByName": shown,
            },
        )
    )
    if sort:
        order = common_builders.TableSortByFieldState().display_name(sort).desc(descending)
        panel = panel.sort_by([order])
    for column in columns:
        if column.header:
            panel = panel.override_by_name(column.header, cell(column))
    for header, url in (links or {}).items():
        link = {"title": f"{header}: ${{__value.text}}", "url": url}
        panel = panel.override_by_name(header, [DynamicConfigValue("links", [link])])
    for header, texts in (mapped or {}).items():
        panel = panel.override_by_name(header, colored(texts))
    return panel


def cell(column: Column) -> list[DynamicConfigValue]:
    """How the numbers of a column are written."""
    looks = [DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        looks.append(DynamicConfigValue("decimals", column.decimals))
    if column.steps:
        steps = [{"value": value, "color": color} for value, color in column.steps]
        looks.append(DynamicConfigValue("thresholds", {"mode": "absolute", "steps": steps}))
        looks.append(DynamicConfigValue("color", {"mode": "thresholds"}))
        looks.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    return looks


def colored(texts: Mapping[str, str]) -> list[DynamicConfigValue]:
    """Texts of a column in colours."""
    options = {
        text: {"text": text, "color": color, "index": index} for index, (text, color) in enumerate(texts.items())
    }
    return [
        DynamicConfigValue("mappings", [{"type": "value", "options": options}]),
        DynamicConfigValue("custom.cellOptions", {"type": "color-text"}),
    ]


def timeline(title: str, description: str, query: Query, states: Mapping[str, tuple[str, str]]) -> statetimeline.Panel:
    """
    Which of a few states each series was in, over time.

    Args:
        states: Value → its text and colour.
    """
    options = {
        value: ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(states.items())
    }
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .span(12)
        .height(8)
        .unit(COUNT)
        .mappings([ValueMap(options=options)])
        .color_scheme(dashboard_builders.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds([(None, colors.GREY)]))
        .show_value(common.VisibilityMode.AUTO)
        .merge_values(True)
        .with_target(prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id("A").range())
    )


def sized(panel: Panel, width: int, height: int | None = None) -> Panel:
    """The same panel in another size; the grid is 24 wide."""
    made = panel.span(width)
    return made if height is None else made.height(height)
