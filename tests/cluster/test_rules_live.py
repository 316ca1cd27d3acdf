"""The rules on a real Prometheus that scrapes the real operator, in a center where everything goes on at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.busy_center import Center
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.prometheus_server import Prometheus
from tests.cluster.scenario import World, resource_of
from tests.cluster.waiting import eventually
from tests.prometheus import Tools
from tests.rules.promtool import BROKEN, rule_groups, rules
from tests.unit.test_docs import ROOT, fences

HOUR = 3600.0
Labels = Mapping[str, str]
# What a runbook looks at that is not in the test's cluster: kubectl has understood it all the same.
NOT_HERE = ("NotFound", "not found", "Metrics API not available")


@pytest.fixture(scope="module")
def ruled(
    busy_center: Center, _running: OperatorProcess, prometheus_tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A server with the rules, of which none waits before it fires."""
    found = re.search(r"metrics on http://([0-9.]+:\d+)/metrics", _running.said())
    assert found is not None
    folder = tmp_path_factory.mktemp("ruled")
    groups = rule_groups()
    for group in groups:
        group["rules"] = [{key: value for key, value in rule.items() if key != "for"} for rule in group["rules"]]
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": groups}))
    data = folder / "prometheus"
    data.mkdir()
    with Prometheus(prometheus_tools, data, found[1], [file]) as server:
        yield server


def alerts(server: Prometheus, name: str, **labels: str) -> list[dict[str, Any]]:
    """The alerts of a name that fire with these labels among theirs."""
    return [
        alert
        for rule in server.rules()
        if rule["name"] == name
        for alert in rule.get("alerts", ())
        if alert["labels"].items() >= labels.items()
    ]


def test_every_rule_can_be_evaluated(ruled: Prometheus) -> None:
    """On what the operator really shows, where a join that does not fit is an error."""
    expected = {rule.get("record") or rule["alert"] for rule in (*rules("record"), *rules("alert"))}

    def healthy() -> bool:
        found = {rule["name"]: (rule["health"], rule.get("lastError", "")) for rule in ruled.rules()}
        assert found == dict.fromkeys(expected, ("ok", ""))
        return True

    eventually(healthy, "every rule is healthy")


def records(center: Center) -> list[tuple[str, Labels, float | None]]:
    """What is recorded of the center: name, labels beside those of the scrape, and the value; None: any above 0."""
    gpu, npu = ({"pool": pool, "resource": resource_of(pool)} for pool in (center.gpu, center.npu))
    disk = {"pool": center.disk, "storage_class": center.disk}
    expiring = {"allocation": center.expiring}
    made_of = {"type": "GPU", "vendor": "Example", "product": "X1", "region": "honam"}
    names = {
        "kube_resource": re.sub(r"\W", "_", resource_of(center.gpu)),
        "quota_resource": f"requests.{resource_of(center.gpu)}",
    }
    who = {"class": "Startup", "organization": "Expiring"}
    return [
        ("pool:bitgoeul_granted_devices:ratio", gpu, 1.0),
        ("pool:bitgoeul_granted_devices:ratio", npu, 1.5),
        ("pool:bitgoeul_in_use_devices:ratio", gpu, 9 / 13),
        ("storage_pool:bitgoeul_granted_bytes:ratio", disk, 6 / 7),
        ("storage_pool:bitgoeul_in_use_bytes:ratio", disk, 1 / 6),
        ("pool:bitgoeul_kube_resource:info", gpu | made_of | names, 1.0),
        ("organization:bitgoeul_granted_devices:sum", gpu | who, 8.0),
        ("organization:bitgoeul_granted_storage_bytes:sum", disk | who, 6.0 * 2**40),
        ("allocation:bitgoeul_expiry:remaining_seconds", expiring, None),
        ("allocation:bitgoeul_drain:remaining_seconds", expiring, None),
        ("allocation:bitgoeul_data_delete:remaining_seconds", expiring, None),
    ]


def test_what_is_recorded_is_right(ruled: Prometheus, busy_center: Center) -> None:
    """With the labels by which dashboards look it up, and those of the scrape but for the replica's own."""
    expected = records(busy_center)
    burn = {rule["record"] for rule in rules("record") if "burnrate" in rule["record"]}
    assert {name for name, _, _ in expected} | burn == {rule["record"] for rule in rules("record")}
    for name, labels, value in expected:

        def right(name: str = name, labels: Labels = labels, value: float | None = value) -> bool:
            wanted = {"__name__": name, "job": "bitgoeul", **labels}
            found = [one.value for one in ruled.query(name) if one.labels == wanted]
            assert len(found) == 1, [one.labels for one in ruled.query(name)]
            assert found[0] == pytest.approx(value) if value is not None else found[0] > 0
            return True

        eventually(right, f"{name} of {labels}")


def test_first_decisions_are_measured(ruled: Prometheus, busy_center: Center, world: World) -> None:
    """While allocations come, how many of them are late is known; while none come, nothing is said."""
    for number in range(3):
        world.await_phase(world.allocate(f"new-{number}", {busy_center.npu: 1}), "Waiting")
    for window in ("5m", "30m", "1h", "6h"):
        name = f"job:bitgoeul_decision_errors:burnrate{window}"
        (found,) = eventually(lambda name=name: ruled.query(name), f"there is {name}")  # type: ignore[misc]
        assert found.labels == {"__name__": name, "job": "bitgoeul"}
        assert 0 <= found.value <= 100


def test_what_is_wrong_with_the_center_is_told(ruled: Prometheus, busy_center: Center) -> None:
    """Each alert that the center gives rise to fires, with the names of those whom it is about."""
    center = busy_center
    for name, labels in (
        ("BitgoeulPoolOvercommitted", {"pool": center.npu}),
        ("BitgoeulPoolExhausted", {"pool": center.gpu}),
        ("BitgoeulPoolExhausted", {"pool": center.npu}),
        ("BitgoeulStoragePoolExhausted", {"pool": center.disk}),
        ("BitgoeulPoolForecastExhausted", {"pool": center.gpu}),
        ("BitgoeulPoolForecastExhausted", {"pool": center.npu}),
        ("BitgoeulStoragePoolForecastExhausted", {"pool": center.disk}),
        ("BitgoeulPoolCapacityLost", {"pool": center.gpu}),
        ("BitgoeulPoolStageDiffersFromPlan", {"pool": center.gpu, "reason": "DiffersFromPlan"}),
        ("BitgoeulAllocationMisconfigured", {"allocation": center.refused, "reason": "PoolNotFound"}),
        ("BitgoeulAllocationExpiringSoon", {"allocation": center.expiring}),
    ):
        found = eventually(lambda n=name, w=labels: alerts(ruled, n, **w), f"{name} of {labels} fires")  # type: ignore[misc]
        assert len(found) == 1
        texts = [found[0]["annotations"][key] for key in ("summary", "description")]
        assert not [text for text in texts if re.fullmatch(BROKEN, text)]


def test_what_is_well_with_the_center_is_not_told(ruled: Prometheus, busy_center: Center) -> None:
    """An alert that always fires is not read any more."""
    eventually(lambda: alerts(ruled, "BitgoeulPoolOvercommitted", pool=busy_center.npu), "rules are evaluated")
    for name in ("BitgoeulOperatorDown", "BitgoeulStateStale", "BitgoeulNoAnswer"):
        # A scrape that takes longer than a second is none, and for a moment nobody leads.
        eventually(lambda n=name: not alerts(ruled, n), f"{name} does not fire")  # type: ignore[misc]
    for pool in (busy_center.gpu, busy_center.npu, busy_center.disk):
        for name in ("BitgoeulLedgerMismatch", "BitgoeulPoolNotReady", "BitgoeulPoolPromisesExceedPlan"):
            assert alerts(ruled, name, pool=pool) == []
    assert alerts(ruled, "BitgoeulPoolOvercommitted", pool=busy_center.gpu) == []
    assert alerts(ruled, "BitgoeulStoragePoolOvercommitted", pool=busy_center.disk) == []
    for allocation in busy_center[3:]:
        for name in ("BitgoeulExpiredNotReclaimed", "BitgoeulDataDeletionSoon"):
            assert alerts(ruled, name, allocation=allocation) == []


# -- runbooks


def kubectl_lines() -> list[str]:
    """Every call of kubectl in the runbooks, once."""
    page = Path(ROOT / "docs" / "runbooks.md")
    lines = {line for block in fences(page, "sh") for line in block.splitlines() if line.startswith("kubectl ")}
    return sorted(lines)


@pytest.mark.parametrize("line", kubectl_lines())
def test_a_command_of_a_runbook_works(line: str, busy_center: Center, kubectl: Kubectl) -> None:
    """As it stands, with names put in."""
    names = {"NAMESPACE": busy_center.expiring, "NAME": busy_center.expiring, "NODE": f"good-{busy_center.gpu}"}
    pool = busy_center.disk if " spool " in line else busy_center.gpu
    words = [re.sub(r"^(\w+)$", lambda found: names.get(found[1], found[1]), word) for word in line.split()[1:]]
    done = kubectl(*(pool if word == "POOL" else word.strip("'") for word in words), check=False)
    assert done.returncode == 0 or any(reason in done.stderr for reason in NOT_HERE), done.stderr
