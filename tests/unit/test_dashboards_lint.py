"""Each rule for dashboards bites: what passes as it is fails as soon as one thing is broken."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from tests.dashboards import lint
from tests.dashboards.files import dashboards
from tests.dashboards.pages import Json
from tests.dashboards.reading import panels

GOOD = {page["uid"]: page for page in dashboards()}
Breaker = Callable[[Json], object]


def broken(uid: str, how: Breaker) -> Json:
    """A dashboard with one thing changed."""
    page = copy.deepcopy(GOOD[uid])
    how(page)
    return page


def panel(page: Json, title: str) -> Json:
    """The panel of that title."""
    (found,) = (one for one in panels(page) if one["title"] == title)
    it: Json = found
    return it


def change(name: str, **changes: object) -> Breaker:
    """Give a panel other fields."""
    return lambda page: panel(page, name).update(changes)


def ask(name: str, expr: str, **changes: object) -> Breaker:
    """Give the first query of a panel another expression."""
    return lambda page: panel(page, name)["targets"][0].update(expr=expr, **changes)


def unit(title: str, name: str) -> Breaker:
    return lambda page: panel(page, title)["fieldConfig"]["defaults"].update(unit=name)


def place(title: str, **changes: int) -> Breaker:
    return lambda page: panel(page, title)["gridPos"].update(changes)


def organize(title: str, **renamed: str) -> Breaker:
    """Add columns to a table."""
    return lambda page: panel(page, title)["transformations"][1]["options"]["renameByName"].update(renamed)


def variable(index: int, **changes: object) -> Breaker:
    return lambda page: page["templating"]["list"][index].update(changes)


FLEET, HEALTH, QUEUE = "bitgoeul-fleet", "bitgoeul-operator", "bitgoeul-queue"
INSTALLED, GRANTED, UNAVAILABLE = "Installed devices", "Granted by organisation", "Unavailable by reason"
ANY = '{cluster=~"$cluster", pool=~"$pool"}'
OTHER_SOURCE = {"type": "prometheus", "uid": "PBFA97CFB590B2093"}
COUNTED = 'bitgoeul_reconcile_total{cluster=~"$cluster"}'
LATEST = 'max by (cluster, pool) (bitgoeul_pool_info{cluster=~"$cluster", pool=~"$pool"})'
EXPIRY = 'max by (cluster, allocation) (bitgoeul_allocation_expiry_timestamp_seconds{cluster=~"$cluster"})'


@pytest.mark.parametrize(
    ("uid", "how", "rule", "says"),
    [
        (FLEET, lambda p: p.update(uid=None), "identity", "uid None"),
        (FLEET, lambda p: p.update(uid="abc123"), "identity", "uid 'abc123'"),
        (FLEET, lambda p: p.update(description=""), "identity", "no description"),
        (FLEET, lambda p: p.update(tags=[]), "identity", "not tagged"),
        (FLEET, lambda p: p.update(editable=True), "identity", "can be edited"),
        (FLEET, lambda p: p.update(links=[]), "identity", "no way to the other"),
        (FLEET, lambda p: p["templating"]["list"].reverse(), "data_source", "first variable"),
        (FLEET, change(INSTALLED, datasource=OTHER_SOURCE), "data_source", "Installed devices has data source"),
        (FLEET, lambda p: panel(p, INSTALLED).pop("datasource"), "data_source", "has data source None"),
        (FLEET, ask(INSTALLED, "vector(1)", datasource=OTHER_SOURCE), "data_source", "A has data source"),
        (FLEET, variable(2, datasource=OTHER_SOURCE), "data_source", "pool has data source"),
        (FLEET, change(INSTALLED, description=""), "words", "no description"),
        (FLEET, change(INSTALLED, title=""), "words", "no title"),
        (FLEET, change(INSTALLED, title="Granted devices"), "words", "two panels are called"),
        (FLEET, unit(INSTALLED, ""), "words", "unit ''"),
        (FLEET, unit(INSTALLED, "gigagpus"), "words", "unit 'gigagpus'"),
        (FLEET, change(INSTALLED, targets=[]), "targets", "asks nothing"),
        (
            QUEUE,
            lambda p: panel(p, "Waiting allocations by reason")["targets"][1].update(refId="A"),
            "targets",
            "refId",
        ),
        (FLEET, ask(INSTALLED, "vector(1)", legendFormat=""), "targets", "legendFormat"),
        (FLEET, ask(INSTALLED, "vector(1)", instant=False, range=True), "targets", "the wrong way"),
        (FLEET, ask("Pools", LATEST, format="time_series"), "targets", "wrong format"),
        (FLEET, ask(INSTALLED, "sum(bitgoeul_pool_installed_devices"), "promql", "no PromQL"),
        (FLEET, ask(INSTALLED, f"sum(bitgoeul_pool_devices{ANY})"), "promql", "no metric 'bitgoeul_pool_devices'"),
        (FLEET, ask(INSTALLED, 'sum(bitgoeul_leading{pool="a"})'), "promql", "no label ['pool']"),
        (FLEET, ask(GRANTED, "bitgoeul_pool_nodes", legendFormat="{{node}}"), "legends", "names ['node']"),
        (FLEET, ask(UNAVAILABLE, LATEST, legendFormat="all"), "legends", "called the same"),
        (FLEET, organize("Pools", node="Node"), "tables", "shows"),
        (FLEET, organize("Pools", **{"Value #Z": "Devices"}), "tables", "which no query gives"),
        (FLEET, organize("Pools", **{"Value #B": "Granted"}), "tables", "two columns of one name"),
        (
            FLEET,
            lambda p: panel(p, "Pools")["options"].update(sortBy=[{"displayName": "Name"}]),
            "tables",
            "columns ['Name']",
        ),
        (HEALTH, ask("Passes by kind", f"sum by (kind) (rate({COUNTED}[5m]))"), "ranges", "looks over ['5m']"),
        (HEALTH, ask("Passes by kind", f"sum by (kind) (rate({COUNTED}[$__range]))"), "ranges", "$__range"),
        (HEALTH, ask("Passes by kind", f"sum by (kind) ({COUNTED})"), "ranges", "as it is"),
        (FLEET, unit(INSTALLED, "dateTimeAsIso"), "moments", "dates are milliseconds"),
        (FLEET, ask(INSTALLED, f"({EXPIRY}) * 1000"), "moments", "dates are milliseconds"),
        (FLEET, ask(INSTALLED, f"max({EXPIRY})"), "moments", "as a number"),
        (FLEET, ask(INSTALLED, f"max({EXPIRY}) - time()"), "moments", "wrong clock"),
        (
            FLEET,
            ask(INSTALLED, "time() - max(bitgoeul_snapshot_timestamp_seconds + bitgoeul_clock_offset_seconds)"),
            "moments",
            "wrong clock",
        ),
        (FLEET, ask(INSTALLED, f'sum(bitgoeul_pool_info{{pool="$tenant"}}) + sum({LATEST})'), "choices", "'tenant'"),
        (HEALTH, lambda p: p["templating"]["list"].append(GOOD[FLEET]["templating"]["list"][2]), "choices", "'pool'"),
        (FLEET, variable(2, includeAll=False), "choices", "cannot be all"),
        (FLEET, variable(2, refresh=0), "choices", "not renewed"),
        (FLEET, variable(2, label=""), "choices", "has no label"),
        (FLEET, ask(INSTALLED, 'sum(bitgoeul_pool_info{pool=~"$pool"})'), "choices", "from all clusters"),
        (
            FLEET,
            ask(INSTALLED, 'sum(bitgoeul_pool_info{cluster=~"$cluster", pool="$pool"})'),
            "choices",
            "several values",
        ),
        (
            FLEET,
            ask(INSTALLED, f"sum({LATEST} * on (pool) {LATEST})"),
            "clusters",
            "joins on (pool)",
        ),
        (FLEET, place(INSTALLED, x=22), "grid", "outside of the grid"),
        (FLEET, place("Granted devices", x=1), "grid", "lies over"),
        (FLEET, lambda p: panel(p, INSTALLED).update(id=1), "grid", "one number"),
        (
            FLEET,
            lambda p: panel(p, INSTALLED)["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(color="#FF0000"),
            "palette",
            "#FF0000",
        ),
        (
            "bitgoeul-pool",
            lambda p: panel(p, "Planned and installed")["fieldConfig"]["overrides"].append(
                {
                    "matcher": {"id": "byName", "options": "x"},
                    "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "#0072B2"}}],
                }
            ),
            "palette",
            "one colour",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_dashboard_is_found(uid: str, how: Breaker, rule: str, says: str) -> None:
    """By the rule that it breaks, and in words that say what."""
    found = [text for text in lint.findings(broken(uid, how)) if text.startswith(f"{rule}: ")]
    assert [text for text in found if says in text], found


def test_every_rule_is_shown_to_bite() -> None:
    """A rule that finds nothing in anything would be no rule."""
    marks = test_a_broken_dashboard_is_found.pytestmark  # type: ignore[attr-defined]
    (cases,) = (mark.args[1] for mark in marks if mark.name == "parametrize")
    assert {case[2] for case in cases} == {rule.__name__ for rule in lint.RULES}
