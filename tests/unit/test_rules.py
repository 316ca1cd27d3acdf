"""The rules for Prometheus: each alert fires when it should, not when it should not, and ends; and has its runbook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bitgoeul.api.conditions import REFUSALS
from bitgoeul.api.names import OPERATOR_NAMESPACE
from tests.chart import ROOT, manifests
from tests.prometheus import Tools
from tests.rules import allocations, operator, pools
from tests.rules.promtool import RULES, alert_named, ask, document, life_of, only, rules, texts_of, with_texts_as_labels
from tests.rules.series import Case
from tests.unit.test_docs import fences, find_command

CASES = [*operator.CASES, *pools.CASES, *allocations.CASES]
RUNBOOKS = ROOT / "docs" / "runbooks.md"
BASE = "docs/runbooks.md"
SEVERITIES = {"critical", "warning", "info"}

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}: {case.what}")
each_alert = pytest.mark.parametrize("alert", rules("alert"), ids=lambda rule: rule["alert"])


# -- promtool


def test_promtool_finds_nothing_wrong(prometheus_tools: Tools) -> None:
    """Neither in the file nor in what the chart makes of it."""
    content, said = ask(prometheus_tools.promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert content, said


@each_case
def test_an_alert_fires_when_it_should(case: Case, prometheus_tools: Tools, tmp_path: Path) -> None:
    """Not before, not in another cluster, not any more afterwards; and over a change of leader."""
    chosen, file = tmp_path / "rules.yaml", tmp_path / "test.yaml"
    chosen.write_text(yaml.safe_dump(only(case)))
    file.write_text(document(case, chosen, life_of(case)))
    content, said = ask(prometheus_tools.promtool, "test", "rules", file)
    assert content, said


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.labels is not None], ids=lambda case: f"{case.alert}: {case.what}"
)
def test_the_texts_of_an_alert_are_whole(case: Case, prometheus_tools: Tools, tmp_path: Path) -> None:
    """Every label and value that they name is there."""
    changed, file = tmp_path / "rules.yaml", tmp_path / "test.yaml"
    changed.write_text(yaml.safe_dump(with_texts_as_labels(case)))
    file.write_text(document(case, changed, texts_of(case)))
    content, said = ask(prometheus_tools.promtool, "test", "rules", file)
    assert content, said


def test_no_operator_at_all_is_noticed(prometheus_tools: Tools, tmp_path: Path) -> None:
    """Where none was ever scraped there is nothing to take labels from."""
    expected = {
        "labels": 'ALERTS{alertname="BitgoeulOperatorDown", alertstate="firing", severity="critical"}',
        "value": 1,
    }
    queries = [{"expr": "ALERTS", "eval_time": "10m", "exp_samples": [expected]}]
    file = tmp_path / "test.yaml"
    file.write_text(document(Case("", "", {}), RULES, queries))
    content, said = ask(prometheus_tools.promtool, "test", "rules", file)
    assert content, said


def test_every_alert_has_a_case() -> None:
    """One in which it fires."""
    fires = {case.alert for case in CASES if case.labels is not None}
    assert fires == {rule["alert"] for rule in rules("alert")}


# -- conventions


@each_alert
def test_an_alert_says_what_people_need(alert: dict[str, object]) -> None:
    """How bad it is, in one line, in a sentence or two, and where to read on."""
    assert re.fullmatch(r"Bitgoeul([A-Z][a-z]+|SLO)+", str(alert["alert"]))
    assert alert["labels"] == {"severity": alert["labels"]["severity"]}  # type: ignore[index]
    assert alert["labels"]["severity"] in SEVERITIES
    annotations = alert["annotations"]
    assert isinstance(annotations, dict)
    assert list(annotations) == ["summary", "description", "runbook_url"]
    assert all(str(annotations[key]).strip().endswith(".") for key in ("summary", "description"))
    assert annotations["runbook_url"] == f"{BASE}#{str(alert['alert']).lower()}"


def test_records_are_named_by_level_metric_and_operation() -> None:
    """As Prometheus recommends; each name once."""
    names = [rule["record"] for rule in rules("record")]
    assert [name for name in names if not re.fullmatch(r"[a-z_]+:bitgoeul_[a-z_]+:[a-z0-9_]+", name)] == []
    assert len(set(names)) == len(names)


def test_refusals_are_those_of_the_api() -> None:
    """Those for which waiting does not help."""
    (reasons,) = re.findall(r'reason=~"([^"]+)"', alert_named("BitgoeulAllocationMisconfigured")["expr"])
    assert set(reasons.split("|")) == set(REFUSALS)


# -- runbooks


def sections() -> dict[str, str]:
    """The sections of the runbooks, by their titles."""
    parts = re.split(r"^## (.*)\n", RUNBOOKS.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_alert_has_a_runbook_and_none_is_left_over() -> None:
    """In the same order."""
    assert list(sections()) == [rule["alert"] for rule in rules("alert")]


@pytest.mark.parametrize(("title", "text"), sections().items(), ids=sections().keys())
def test_a_runbook_answers_four_questions(title: str, text: str) -> None:
    """What it means, whom it hurts, how to look, what to do; with commands."""
    assert re.findall(r"^- \*\*(\w+)\.\*\*", text, re.MULTILINE) == ["Meaning", "Impact", "Check", "Fix"]
    assert "```sh\n" in text


def calls_of_ours() -> list[str]:
    """Every call of our own command in the runbooks, once."""
    lines = {line for block in fences(RUNBOOKS, "sh") for line in block.splitlines() if line.startswith("bitgoeul ")}
    return sorted(lines)


@pytest.mark.parametrize("line", calls_of_ours())
def test_a_command_of_a_runbook_is_understood(line: str) -> None:
    """With its arguments and options."""
    command, rest = find_command(line.split()[1:])
    command.make_context("bitgoeul", rest)  # raises what a reader would be told


def test_the_contents_name_every_alert() -> None:
    """At the top, each with its link."""
    head = RUNBOOKS.read_text().partition("\n## ")[0]
    assert re.findall(r"\[(\w+)\]\(#(\w+)\)", head) == [
        (name.removeprefix("Bitgoeul"), name.lower()) for name in sections()
    ]


# -- how they come into a Prometheus


def test_the_chart_carries_the_rules(prometheus_tools: Tools, tmp_path: Path) -> None:
    """The same groups, linked to where the runbooks are said to be; nothing by default."""
    assert "PrometheusRule" not in {obj["kind"] for obj in manifests()}
    url = "https://docs.example.com/bitgoeul/runbooks"
    values = {"metrics": {"rules": {"enabled": True, "labels": {"release": "prometheus"}, "runbookUrl": url}}}
    (rule,) = (obj for obj in manifests(values, namespace="operators") if obj["kind"] == "PrometheusRule")
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["metadata"]["namespace"] == "operators"
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    assert set(rule["spec"]) == {"groups"}
    assert rule["spec"] == yaml.safe_load(RULES.read_text().replace(f"{BASE}#", f"{url}#"))
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(rule["spec"]))
    content, said = ask(prometheus_tools.promtool, "check", "rules", file)
    assert content, said


def test_the_example_of_a_configuration_is_valid(prometheus_tools: Tools, tmp_path: Path) -> None:
    """What the page on installation shows for a Prometheus without its operator."""
    (example,) = fences(ROOT / "docs" / "installation.md", "yml")
    configuration = yaml.safe_load(example)
    configuration["rule_files"] = [str(RULES)]
    (scrape,) = configuration["scrape_configs"]
    assert scrape.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": [OPERATOR_NAMESPACE]}}]
    scrape["static_configs"] = []  # Debian's Prometheus cannot look for pods
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    content, said = ask(prometheus_tools.promtool, "check", "config", file)
    assert content, said
