"""
Which labels the answer to a query has, read off the query: so that a legend, a column or a join cannot name one that is
not there, or forget one that is.

``cluster`` is the one label that may be missing: a scraper sets it or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce

import promql_parser as promql

from bitgoeul.metrics.collector import SOURCES
from bitgoeul.metrics.families import Family, FamilyType
from bitgoeul.metrics.instruments import FAMILIES

Labels = frozenset[str]

SCRAPED = frozenset({"cluster", "job", "instance"})
# What stands beside our own metrics: Prometheus' series of alerts, with labels of our rules, and the client's own.
FOREIGN: Mapping[str, Labels] = {
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "pool", "allocation", "kind", "reason", "cluster"}),
    "process_resident_memory_bytes": SCRAPED,
    "process_cpu_seconds_total": SCRAPED,
    "process_open_fds": SCRAPED,
}
# What Grafana puts in.
INSERTED = {"$__rate_interval": "5m", "$__range": "1h"}
SETS = {"and", "unless", "or"}
# What leaves some of the series away, and the others as they are.
CHOOSING = {"topk", "bottomk"}
# Answers have the labels of what a function is given, but for these.
LOST = {"histogram_quantile": frozenset({"le"})}


class LabelError(Exception):
    """A query names a metric or a label that does not exist, or joins what does not fit."""


def series_of(family: Family) -> Iterator[tuple[str, Labels]]:
    """The names under which a family is stored, with their labels."""
    labels = frozenset(family.labels) | SCRAPED
    if family.type is FamilyType.HISTOGRAM:
        yield f"{family.name}_bucket", labels | {"le"}
        yield from ((f"{family.name}_{part}", labels) for part in ("count", "sum"))
    else:
        yield family.name, labels


OURS = (*(source.family for source in SOURCES), *FAMILIES)
KNOWN: Mapping[str, Labels] = {**FOREIGN, **dict(series for family in OURS for series in series_of(family))}
# Of labels whose values are all known beforehand.
VALUES = {name: family.values for family in OURS for name, _ in series_of(family)}


def inserted(query: str, choices: Mapping[str, str] | None = None) -> str:
    """
    A query as Grafana would send it.

    Args:
        choices: Variable → what stands for it; all others are any text.
    """
    for name, text in INSERTED.items():
        query = query.replace(name, text)
    return re.sub(r"\$(\w+)", lambda found: (choices or {}).get(found[1], ".*"), query)


def parsed(query: str) -> promql.Expr:
    """
    The tree of a query.

    Raises:
        LabelError: It is no PromQL.
    """
    try:
        return promql.parse(inserted(query))
    except ValueError as error:
        raise LabelError(f"no PromQL: {error}") from None


def selectors(query: str) -> list[promql.VectorSelector]:
    """Every choice of series in a query."""
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(parsed(query), visit)
    # Whether the walk also goes into what a range is of is the parser's own affair.
    return list({str(selector): selector for selector in found}.values())


def figures(query: str) -> str:
    """
    The part of a query that gives the numbers: what stands behind an ``and`` only chooses among them.

    Raises:
        LabelError: It is no PromQL.
    """
    node = parsed(query)
    while isinstance(node, promql.BinaryExpr) and str(node.op) == "and":
        node = node.lhs
    return node.prettify()


def labels_of(query: str) -> Labels:
    """
    The labels of each series of the answer.

    Raises:
        LabelError: See there.
    """
    labels = infer(parsed(query))
    return frozenset() if labels is None else labels


def infer(node: promql.Expr) -> Labels | None:
    """The labels of what a part of a query gives; None: it is a number, not series."""
    if isinstance(node, promql.VectorSelector):
        return selected(node)
    if isinstance(node, promql.MatrixSelector):
        return selected(node.vector_selector)
    if isinstance(node, promql.AggregateExpr):
        return aggregated(node)
    if isinstance(node, promql.BinaryExpr):
        return joined(node)
    if isinstance(node, promql.Call):
        return called(node)
    if isinstance(node, promql.ParenExpr | promql.UnaryExpr | promql.SubqueryExpr):
        return infer(node.expr)
    return None


def selected(selector: promql.VectorSelector) -> Labels:
    name = selector.name or ""
    if name not in KNOWN:
        raise LabelError(f"there is no metric {name!r}")
    if unknown := {matcher.name for matcher in selector.matchers.matchers} - KNOWN[name]:
        raise LabelError(f"{name} has no label {sorted(unknown)}")
    for matcher in selector.matchers.matchers:
        values = VALUES.get(name, {}).get(matcher.name)
        if values and matcher.op == promql.MatchOp.Equal and matcher.value not in values:
            raise LabelError(f"{matcher.name} of {name} is never {matcher.value}")
    return KNOWN[name]


def aggregated(node: promql.AggregateExpr) -> Labels:
    below = infer(node.expr) or frozenset()
    if str(node.op) in CHOOSING:
        return below
    if node.modifier is None:
        return frozenset()
    assert node.modifier.type == promql.AggModifierType.By, "nothing here says without"
    return checked(frozenset(node.modifier.labels), below, "by")


def called(node: promql.Call) -> Labels | None:
    if node.func.name in {"time", "scalar"}:
        return None
    if node.func.name == "vector":
        return frozenset()
    given = [labels for labels in map(infer, node.args) if labels is not None]
    found = reduce(frozenset.union, given, frozenset[str]())
    return found - LOST.get(node.func.name, frozenset())


def joined(node: promql.BinaryExpr) -> Labels | None:
    left, right = infer(node.lhs), infer(node.rhs)
    if left is None or right is None:
        return right if left is None else left
    operator = str(node.op)
    modifier = node.modifier
    on = frozenset(modifier.matching.labels) if modifier is not None and modifier.matching is not None else None
    if on is not None:
        checked(on, left, f"{operator} on, on its left,")
        checked(on, right, f"{operator} on, on its right,")
    elif left != right and operator != "or":
        raise LabelError(f"{operator} without on: {sorted(left)} never match {sorted(right)}")
    if operator == "or":
        return left & right
    if operator in SETS or on is None:
        return left
    if modifier is not None and modifier.card == promql.VectorMatchCardinality.ManyToOne:
        return left | checked(frozenset(modifier.group_labels or ()), right, "group_left")
    return on


def checked(wanted: Labels, there: Labels, where: str) -> Labels:
    """What is wanted, if it is there."""
    if missing := wanted - there - {"cluster"}:
        raise LabelError(f"{where} names {sorted(missing)}, of {sorted(there)}")
    return wanted
