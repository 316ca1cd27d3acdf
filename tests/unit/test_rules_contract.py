"""
The rules name only what the operator shows: metrics, labels and, where they are known beforehand, their values.

That each metric is explained is held by the page about metrics, which has a row for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import promql_parser as promql
import pytest

from bitgoeul.api.conditions import ConditionType, Reason
from bitgoeul.controller.planner import IDLE_SECONDS
from bitgoeul.metrics.collector import SOURCES
from bitgoeul.metrics.families import Family, FamilyType
from bitgoeul.metrics.instruments import DECISION_BUCKETS, FAMILIES
from tests.rules.promtool import alert_named, rules

RULES = [*rules("record"), *rules("alert")]
RECORDED = {rule["record"] for rule in rules("record")}
# What a scrape adds, and rules take away; what label_replace makes.
SCRAPED = {"instance", "pod"}
MADE = {"kind", "sum", "kube_resource", "quota_resource"}
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")

each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("record") or rule["alert"])


def shown() -> Mapping[str, Family]:
    """The family behind each name that Prometheus stores."""
    families: dict[str, Family] = {}
    for family in (*(source.family for source in SOURCES), *FAMILIES):
        suffixes = ("_bucket", "_count", "_sum") if family.type is FamilyType.HISTOGRAM else ("",)
        families |= {f"{family.name}{suffix}": family for suffix in suffixes}
    return families


SHOWN = shown()
LABELS = {label for family in SHOWN.values() for label in family.labels} | {"le"} | SCRAPED | MADE


def selectors(expression: str) -> list[promql.VectorSelector]:
    """Every choice of series."""
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.MatrixSelector):
            found.append(node.vector_selector)
        elif isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(promql.parse(expression), visit)
    return found


def unknown(expression: str) -> Iterator[str]:
    """What of an expression the operator does not show."""
    for selector in selectors(expression):
        name = str(selector.name)
        if name in RECORDED:
            continue
        if name not in SHOWN:
            yield f"metric {name}"
            continue
        for matcher in selector.matchers.matchers:
            if matcher.name not in (*SHOWN[name].labels, "le"):
                yield f"label {matcher.name} of {name}"
                continue
            known = values_of(SHOWN[name], matcher.name)
            for value in matcher.value.split("|"):
                if known and value not in known:
                    yield f"value {value} of {matcher.name} of {name}"
    for names in GROUPING.findall(expression):
        yield from (f"label {label}" for label in re.findall(r"\w+", names) if label not in LABELS)


def values_of(family: Family, label: str) -> set[str]:
    """What a label may say, empty: not known beforehand. A condition's reason is one of all reasons."""
    if label == "le":
        return {str(bound) for bound in DECISION_BUCKETS}
    if label == "reason" and family.name.endswith("_condition"):
        return {str(reason) for reason in Reason}
    if label == "type":
        return {str(value) for value in family.values[label]} & set(ConditionType)
    return {str(value) for value in family.values.get(label, ())}


@each_rule
def test_a_rule_names_only_what_there_is(rule: dict[str, Any]) -> None:
    """A metric that is renamed would otherwise silence an alert without a word."""
    assert selectors(rule["expr"])
    assert list(unknown(rule["expr"])) == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("bitgoeul_pool_free_devices", "metric bitgoeul_pool_free_devices", id="a metric"),
        pytest.param("rate(bitgoeul_gone_total[5m])", "metric bitgoeul_gone_total", id="a metric in a range"),
        pytest.param('bitgoeul_leading{pool="a"}', "label pool of bitgoeul_leading", id="a label"),
        pytest.param(
            'bitgoeul_reconcile_total{result=~"error|defect"}',
            "value defect of result of bitgoeul_reconcile_total",
            id="a value",
        ),
        pytest.param("sum by (tenant) (bitgoeul_leading)", "label tenant", id="a label that is grouped by"),
    ],
)
def test_what_does_not_exist_would_be_noticed(expression: str, expected: str) -> None:
    """The check above bites."""
    assert expected in list(unknown(expression))


@pytest.mark.parametrize("alert", rules("alert"), ids=lambda rule: rule["alert"])
def test_texts_name_labels_that_exist(alert: dict[str, Any]) -> None:
    """A label that is never there would leave a hole."""
    named = set(re.findall(r"\$labels\.(\w+)", str(alert["annotations"])))
    assert named <= LABELS


def test_a_record_comes_before_its_readers() -> None:
    """Groups are evaluated side by side, so a rule reads what was recorded at most one round before."""
    for rule in rules("record"):
        assert not {str(selector.name) for selector in selectors(rule["expr"])} & RECORDED


def test_no_rule_joins_by_a_scalar() -> None:
    """It has no value when two operators are scraped."""
    assert [rule for rule in RULES if "scalar(" in rule["expr"]] == []


def test_state_is_called_stale_after_several_rounds_are_missing() -> None:
    """A round comes at least once a minute where nothing changes."""
    (limit,) = re.findall(r"> (\d+)", alert_named("BitgoeulStateStale")["expr"])
    assert float(limit) >= 3 * IDLE_SECONDS
