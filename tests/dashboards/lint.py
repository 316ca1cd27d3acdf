"""
What every dashboard keeps to, as rules that are read off its JSON.

They follow the rules of Grafana's own dashboard-linter, where those fit dashboards without a fixed job, and add what
went wrong elsewhere: overlapping panels, fixed data sources, moments shown as numbers, series that share a legend.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations

from grafana_foundation_sdk.models import units
from promql_parser import MatchOp

from tests.dashboards import colors
from tests.dashboards.inference import LabelError, figures, labels_of, selectors
from tests.dashboards.pages import GRID, TAG, Json
from tests.dashboards.reading import Asked, asked, columns, headers, panels, strings, value_names, variables

Rule = Callable[[Json], Iterator[str]]

UNITS = {value for name, value in vars(units).items() if not name.startswith("_") and isinstance(value, str)}
DATES = {unit for unit in UNITS if unit.startswith("dateTime")}
COUNTED = re.compile(r"\w+_(total|bucket|count|sum)\b")
# Moments by the time by which is planned; all others are real time.
PLANNED = re.compile(r"_(expiry|start|drain|data_delete|next_stage)_timestamp_seconds")
OFFSET = "bitgoeul_clock_offset_seconds"
CHOSEN = re.compile(r"\$\{?(?!__)(\w+)")


def queries(page: Json) -> Iterator[Asked]:
    """All queries of all panels."""
    for panel in panels(page):
        yield from asked(panel)


def identity(page: Json) -> Iterator[str]:
    """A uid that stays, a title, a description, our tag; nobody edits what is made from code."""
    if not re.fullmatch(r"bitgoeul-[a-z-]{1,31}", page.get("uid") or ""):
        yield f"uid {page.get('uid')!r} is not bitgoeul-…"
    for what in ("title", "description"):
        if not page.get(what):
            yield f"the dashboard has no {what}"
    if TAG not in page.get("tags", []):
        yield f"the dashboard is not tagged {TAG}"
    if page.get("editable", True):
        yield "the dashboard can be edited, and changes would be lost"
    if not any(link["type"] == "dashboards" and TAG in link["tags"] for link in page.get("links", [])):
        yield "there is no way to the other dashboards"


def data_source(page: Json) -> Iterator[str]:
    """The reader chooses it; no panel and no variable has one of its own."""
    first = page["templating"]["list"][0]
    if (first["type"], first["name"], first.get("query")) != ("datasource", "datasource", "prometheus"):
        yield "the first variable is not the data source"
    for thing in [*panels(page), *variables(page), *(query.target for query in queries(page))]:
        given = thing.get("datasource", {"uid": "${datasource}"} if "refId" in thing else None)
        if not isinstance(given, dict) or given.get("uid") != "${datasource}":
            yield f"{thing.get('title') or thing.get('name') or thing.get('refId')} has data source {given}"


def words(page: Json) -> Iterator[str]:
    """Each panel says what it shows and in what unit, and no two are called the same."""
    titles = [panel.get("title") for panel in panels(page)]
    for panel in panels(page):
        for what in ("title", "description"):
            if not panel.get(what):
                yield f"panel {panel['id']} has no {what}"
        if titles.count(panel.get("title")) > 1:
            yield f"two panels are called {panel.get('title')}"
    for query in queries(page):
        if query.unit not in UNITS:
            yield f"{query.name} has unit {query.unit!r}"


def targets(page: Json) -> Iterator[str]:
    """Each panel asks something; its queries have names and legends that differ; only lines are asked over time."""
    for panel in panels(page):
        found = panel.get("targets", [])
        if not found:
            yield f"{panel.get('title')} asks nothing"
        for what in ("refId", "legendFormat"):
            given = [target.get(what) for target in found]
            if not all(given) or (len(set(given)) < len(given) and panel["type"] != "table"):
                yield f"{panel.get('title')} has {what} {given}"
        instant = panel["type"] in {"stat", "table"}
        for target in found:
            if bool(target.get("instant")) is not instant or bool(target.get("range")) is instant:
                yield f"{panel.get('title')} {target.get('refId')} is asked the wrong way"
            if (target.get("format") == "table") is not (panel["type"] == "table"):
                yield f"{panel.get('title')} {target.get('refId')} has the wrong format"


def promql(page: Json) -> Iterator[str]:
    """Each query is PromQL, and names metrics and labels that there are."""
    for query in queries(page):
        try:
            labels_of(query.expr)
        except LabelError as error:
            yield f"{query.name}: {error}"


def legends(page: Json) -> Iterator[str]:
    """A legend names the labels by which series differ, and no others."""
    for query in queries(page):
        if query.panel["type"] == "table":
            continue
        try:
            there = labels_of(query.expr)
        except LabelError:
            continue
        if query.shown - there - {"cluster"}:
            yield f"{query.name}: the legend names {sorted(query.shown - there)}, of {sorted(there)}"
        if (there - query.shown) - ({"cluster"} if query.shown else frozenset()):
            yield f"{query.name}: series that differ in {sorted(there - query.shown)} are called the same"


def tables(page: Json) -> Iterator[str]:
    """Columns, links, orders and colours belong to labels and numbers that the queries give."""
    for panel in panels(page):
        if panel["type"] != "table":
            continue
        try:
            there = frozenset().union(*(labels_of(target["expr"]) for target in panel["targets"]))
        except LabelError:
            continue
        if columns(panel) != there - {"cluster"}:
            yield f"{panel['title']} shows {sorted(columns(panel))}, its queries give {sorted(there)}"
        shown = headers(panel)
        if unknown := {name for name in shown if name.startswith("Value")} - set(value_names(panel).values()):
            yield f"{panel['title']} has columns {sorted(unknown)}, which no query gives"
        if len(set(shown.values())) < len(shown):
            yield f"{panel['title']} has two columns of one name"
        named = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        named |= {order["displayName"] for order in panel["options"].get("sortBy", [])}
        if unknown := named - set(shown.values()):
            yield f"{panel['title']} orders or changes columns {sorted(unknown)}, which it does not have"


def ranges(page: Json) -> Iterator[str]:
    """Counters are read as rates, over a stretch that fits the time looked at and the pace of the scraper."""
    for query in queries(page):
        stretches = re.findall(r"\[(.*?)\]", query.expr)
        allowed = {"$__rate_interval"} if query.target.get("range") else {"$__rate_interval", "$__range"}
        if wrong := set(stretches) - allowed:
            yield f"{query.name} looks over {sorted(wrong)}"
        bare = re.sub(r"(?:rate|increase)\(\w+\{[^}]*\}\[", "", query.expr)
        if found := COUNTED.search(bare):
            yield f"{query.name} shows {found[0]} as it is: a counter is only good for rates"


def moments(page: Json) -> Iterator[str]:
    """Moments are shown as dates, in milliseconds; what is counted from them goes by the clock that they go by."""
    for query in queries(page):
        date = query.unit in DATES
        if date is not query.expr.endswith("* 1000"):
            yield f"{query.name} has unit {query.unit}: dates are milliseconds, and milliseconds dates"
        try:
            shown = figures(query.expr)
        except LabelError:
            continue
        if "_timestamp_seconds" in shown and not date and "time()" not in shown:
            yield f"{query.name} shows a moment as a number"
        if "time()" in query.expr and bool(PLANNED.search(query.expr)) is not (OFFSET in query.expr):
            yield f"{query.name} goes by the wrong clock"


def choices(page: Json) -> Iterator[str]:
    """Variables that are used are there, and the other way round; each can be all, and is matched as an expression."""
    named = {variable["name"] for variable in page["templating"]["list"]}
    used = {name for text in strings([page["panels"], page["templating"]]) for name in CHOSEN.findall(text)}
    if named != used:
        yield f"variables {sorted(named)} are there, {sorted(used)} are used"
    for variable in variables(page):
        if not (variable.get("multi") and variable.get("includeAll") and variable.get("refresh")):
            yield f"variable {variable['name']} cannot be all, or is not renewed"
        if not variable.get("label"):
            yield f"variable {variable['name']} has no label"
    for query in queries(page):
        try:
            chosen = selectors(query.expr)
        except LabelError:
            continue
        # What stands for a choice while it is parsed is ".*".
        for selector in chosen:
            matchers = [(matcher.name, matcher.op, matcher.value) for matcher in selector.matchers.matchers]
            if ("cluster", MatchOp.Re, ".*") not in matchers:
                yield f"{query.name}: {selector.name} is read from all clusters"
            if any(value == ".*" and op != MatchOp.Re for _, op, value in matchers):
                yield f"{query.name}: several values of a variable would not match"


def clusters(page: Json) -> Iterator[str]:
    """Two clusters may have pools and tenants of one name: what is joined is of one cluster."""
    for query in queries(page):
        for labels in re.findall(r"\bon \(([^)]*)\)", query.expr):
            if "cluster" not in labels.split(", "):
                yield f"{query.name} joins on ({labels})"


def grid(page: Json) -> Iterator[str]:
    """Panels stand inside the grid and beside each other, and each has a number of its own."""
    places = [(panel["title"], panel["gridPos"]) for panel in page["panels"]]
    for title, place in places:
        if place["x"] < 0 or place["x"] + place["w"] > GRID or place["w"] < 1 or place["h"] < 1:
            yield f"{title} stands outside of the grid"
    for (title, one), (other_title, other) in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        if not (beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]):
            yield f"{title} lies over {other_title}"
    numbers = [panel["id"] for panel in page["panels"]]
    if len(set(numbers)) < len(numbers):
        yield "two panels have one number"


def palette(page: Json) -> Iterator[str]:
    """Colours are those that everybody can tell apart."""
    for text in strings(page["panels"]):
        for color in re.findall(r"#[0-9a-fA-F]{6}\b", text):
            if color not in colors.PALETTE:
                yield f"{color} is not in the palette"
    for panel in panels(page):
        fixed = [looks["value"]["fixedColor"] for looks in overrides(panel) if looks["value"].get("mode") == "fixed"]
        if len(set(fixed)) < len(fixed):
            yield f"{panel['title']} gives two series one colour"


def overrides(panel: Json) -> Iterator[Json]:
    """How single fields of a panel are coloured."""
    for override in panel["fieldConfig"]["overrides"]:
        yield from (looks for looks in override["properties"] if looks["id"] == "color")


RULES: tuple[Rule, ...] = (
    identity,
    data_source,
    words,
    targets,
    promql,
    legends,
    tables,
    ranges,
    moments,
    choices,
    clusters,
    grid,
    palette,
)


def findings(page: Json) -> list[str]:
    """All that is wrong with a dashboard, with the rule that it breaks."""
    return [f"{rule.__name__}: {text}" for rule in RULES for text in rule(page)]
