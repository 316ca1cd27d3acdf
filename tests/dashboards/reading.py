"""Dashboards read from their JSON: panels, queries with their units, and the labels that are shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.dashboards.pages import Json


class Asked(NamedTuple):
    """One query of a panel with what is made of its answer."""

    panel: Json
    target: Json
    unit: str

    @property
    def expr(self) -> str:
        return str(self.target["expr"])

    @property
    def name(self) -> str:
        return f"{self.panel['title']} {self.target.get('refId', '?')}"

    @property
    def shown(self) -> frozenset[str]:
        """The labels that its legend names."""
        return frozenset(re.findall(r"{{\s*(\w+)\s*}}", str(self.target.get("legendFormat", ""))))


def panels(page: Json) -> list[Json]:
    """The panels that show something."""
    return [panel for panel in page["panels"] if panel["type"] != "row"]


def variables(page: Json) -> list[Json]:
    """The choices at the top, but for the data source."""
    return [variable for variable in page["templating"]["list"] if variable["type"] != "datasource"]


def asked(panel: Json) -> Iterator[Asked]:
    """Each query of a panel; a column of a table may have a unit of its own."""
    units = column_units(panel)
    names = value_names(panel)
    for target in panel["targets"]:
        header = headers(panel).get(names[target.get("refId", "")], "")
        yield Asked(panel, target, units.get(header, panel["fieldConfig"]["defaults"].get("unit", "")))


def value_names(panel: Json) -> dict[str, str]:
    """What Grafana calls the numbers of each query of a table."""
    several = len(panel["targets"]) > 1
    return {
        target.get("refId", ""): f"Value #{target.get('refId', '')}" if several else "Value"
        for target in panel["targets"]
    }


def organized(panel: Json) -> dict[str, Any]:
    """How the columns of a table are ordered, renamed and hidden."""
    for transformation in panel.get("transformations", []):
        if transformation["id"] == "organize":
            options: dict[str, Any] = transformation["options"]
            return options
    return {}


def headers(panel: Json) -> dict[str, str]:
    """Label, or name of numbers → header."""
    renamed: dict[str, str] = organized(panel).get("renameByName", {})
    return renamed


def column_units(panel: Json) -> dict[str, str]:
    """Header, or legend → unit."""
    return {
        override["matcher"]["options"]: looks["value"]
        for override in panel["fieldConfig"]["overrides"]
        for looks in override["properties"]
        if looks["id"] == "unit"
    }


def columns(panel: Json) -> frozenset[str]:
    """The labels that a table shows; a cluster only where there is one."""
    return frozenset(name for name in headers(panel) if not name.startswith("Value")) - {"cluster"}


def strings(node: Any) -> Iterator[str]:
    """Every text in a piece of JSON."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for child in node.values():
            yield from strings(child)
    elif isinstance(node, list):
        for child in node:
            yield from strings(child)
