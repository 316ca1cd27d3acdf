"""Runs promtool on cases, and on rules."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.chart import CHART
from tests.rules.series import Case

RULES = CHART / "files" / "rules.yaml"
# What a text has that refers to a label or a value that is not there.
BROKEN = ".*(  |<no value>|error expanding| , | [.]).*"


def rule_groups() -> list[dict[str, Any]]:
    """The groups of the file."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return groups


def rules(kind: str) -> list[dict[str, Any]]:
    """All rules of one kind: ``alert`` or ``record``."""
    return [rule for group in rule_groups() for rule in group["rules"] if kind in rule]


def alert_named(name: str) -> dict[str, Any]:
    """The one alert of this name."""
    (found,) = (rule for rule in rules("alert") if rule["alert"] == name)
    return found


def ask(promtool: Path, *arguments: str | Path) -> tuple[bool, str]:
    """Whether promtool is content, and what it says."""
    finished = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
    return finished.returncode == 0, finished.stdout + finished.stderr


def document(case: Case, rule_file: Path, expressions: list[dict[str, Any]]) -> str:
    """A file for ``promtool test rules``."""
    interval = f"{case.step_seconds}s"
    test = {"interval": interval, "input_series": case.input_series(), "promql_expr_test": expressions}
    return yaml.safe_dump({"rule_files": [str(rule_file)], "evaluation_interval": interval, "tests": [test]})


def life_of(case: Case) -> list[dict[str, Any]]:
    """It does not fire, fires, in cluster ``a`` alone, and is resolved."""
    firing = []
    if case.labels is not None:
        labels = alert_named(case.alert)["labels"] | {"cluster": "a", "job": "bitgoeul"} | case.labels
        firing = [{"labels": sample("ALERTS", case, "firing", labels), "value": 1}]
    moments = {case.quiet_at: [], case.firing_at: firing, case.resolved_at: []}
    expression = f'ALERTS{{alertname="{case.alert}"}}'
    return [
        {"expr": expression, "eval_time": f"{step * case.step_seconds}s", "exp_samples": expected}
        for step, expected in moments.items()
    ]


def sample(name: str, case: Case, state: str, labels: Mapping[str, str]) -> str:
    """A series as promtool compares it."""
    all_labels = {"alertname": case.alert, "alertstate": state, **labels}
    return f"{name}{{{', '.join(f'{key}={yaml_text(value)}' for key, value in sorted(all_labels.items()))}}}"


def yaml_text(value: str) -> str:
    return '"' + value.replace('"', '\\"') + '"'


def only(case: Case) -> dict[str, Any]:
    """The alert of a case with the groups of records that it reads: all others would only take time."""
    alert = alert_named(case.alert)
    read = [
        group for group in rule_groups() if any(rule.get("record", "?") in alert["expr"] for rule in group["rules"])
    ]
    return {"groups": [*read, {"name": "alert", "rules": [alert]}]}


def with_texts_as_labels(case: Case) -> dict[str, Any]:
    """The same, at once, and with the texts among the labels, where a query can look at them."""
    document = only(case)
    alert = document["groups"][-1]["rules"][0]
    texts = {key: alert["annotations"][key] for key in ("summary", "description")}
    document["groups"][-1]["rules"] = [{"alert": alert["alert"], "expr": alert["expr"], "labels": texts}]
    return document


def texts_of(case: Case) -> list[dict[str, Any]]:
    """While it fires there is a text, and none with a hole in it."""
    moment = f"{case.firing_at * case.step_seconds}s"
    one = f'alertname="{case.alert}", cluster="a"'
    whole = f'count(ALERTS{{{one}, summary!="", description!=""}}) > bool 0'
    broken = f'ALERTS{{{one}, summary=~"{BROKEN}"}} or ALERTS{{{one}, description=~"{BROKEN}"}}'
    return [
        {"expr": whole, "eval_time": moment, "exp_samples": [{"labels": "{}", "value": 1}]},
        {"expr": broken, "eval_time": moment, "exp_samples": []},
    ]
