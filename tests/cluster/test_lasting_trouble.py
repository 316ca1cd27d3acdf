"""What the API server refuses for longer than a minute is told where people look, whatever kind of error it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bitgoeul.cluster.kinds import ADMISSION, MUTATING_POLICY, NAMESPACE, TENANT_ALLOCATION
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import Manifest
from tests.cluster.faults import ForkServer, Launch, pass_time
from tests.cluster.faulty_proxy import FaultyProxy
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, condition
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.fault_fixtures"]

WEBHOOKS = f"/apis/{ADMISSION}/v1/validatingwebhookconfigurations"
LASTING_SECONDS = 120.0
SAID = "failed calling webhook: no endpoints"
CROWD = 6
LINES_PER_SECOND = 3  # about three kinds of trouble at the most: of the tenants, of the pool, of promises


def dead_webhook(name: str, group: str, *resources: str) -> Manifest:
    """A webhook of another tool whose service is gone."""
    service = {"name": "webhook", "namespace": "other-tool", "path": "/", "port": 443}
    rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE", "DELETE"]}
    return {
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": "tenant.other-tool.example",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 3,
                "clientConfig": {"service": service},
                "rules": [{**rule, "resources": list(resources)}],
            }
        ],
    }


@pytest.fixture
def block(fault_world: World) -> Iterator[Any]:
    """Has a dead webhook refuse some resources; gone afterwards, or when it is called without any."""
    name = fault_world.name("other-tool")

    def put(group: str = "", *resources: str) -> None:
        fault_world.admin.delete(f"{WEBHOOKS}/{name}")
        if resources:
            fault_world.admin.create(WEBHOOKS, dead_webhook(name, group, *resources))

    yield put
    put()


def metric(operator: OperatorProcess, series: str) -> float:
    """What a series says now."""
    (line,) = (one for one in operator.fetch("/metrics")[1].splitlines() if one.startswith(f"{series} "))
    return float(line.split()[-1])


def test_a_dead_webhook_is_told_in_status_and_heals(
    plane: ControlPlane, fault_world: World, launch: Launch, block: Any, tmp_path: Path
) -> None:
    """Of all its tenants, after a minute and not as stalled; the log has a line a second; it goes on by itself."""
    world = fault_world
    operator = launch()
    pool = world.pool(devices=CROWD)
    block("", "namespaces", "resourcequotas")
    eventually(lambda: refused(world), "the webhook acts")
    began, said = time.monotonic(), len(operator.said())
    tenants = [world.allocate(f"tenant{number}", {pool: 1}) for number in range(CROWD)]
    for tenant in tenants:
        status = world.await_status(
            tenant, lambda s: condition(s, "Ready")["reason"] == "ApplyFailed", "says what is refused"
        )
        assert "failed calling webhook" in condition(status, "Ready")["message"]
        found = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
        assert found["Provisioned"] == ("False", "ApplyFailed")
        assert found["Reconciling"] == ("True", "ApplyFailed")
        assert found["Stalled"][0] == "False"
    lasted = time.monotonic() - began
    assert lasted > 55, "what may pass was told at once"
    lines = operator.said()[said:].splitlines()
    assert len(lines) < LINES_PER_SECOND * lasted, "more than a line a second about the same trouble"
    assert any("more like this were left out" in line for line in lines)
    with ForkServer(tmp_path) as commands:
        why = commands.run("why", tenants[0], f"--kubeconfig={plane.kubeconfig}").out
    assert "failed calling webhook" in why
    assert "platform engineer" in why
    block()
    for tenant in tenants:
        world.await_phase(tenant, "Active")


def test_a_dead_webhook_on_pods_is_told(fault_world: World, launch: Launch, block: Any) -> None:
    """No trial pod proves the policies of a new pool: the status says so at once, and an Event when it has lasted."""
    world = fault_world
    launch()
    first = world.active("first", {world.pool(): 1})
    block("", "pods")
    trial = {"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "one", "image": "example.org/one"}]}}
    path = f"/api/v1/namespaces/{first}/pods?dryRun=All"
    eventually(lambda: world.admin.request("POST", path, trial)[0] >= 500, "the webhook acts")
    blue = world.allocate("blue", {world.pool("new"): 1})
    status = world.await_status(
        blue, lambda s: "failed calling webhook" in condition(s, "Ready").get("message", ""), "says what is refused"
    )
    assert condition(status, "Ready")["reason"] == "PolicyNotEffective"
    assert world.events(blue) == []
    eventually(
        lambda: [event[:2] for event in world.events(blue)] == [("Warning", "PolicyNotEffective")],
        "an Event says it",
        LASTING_SECONDS,
    )
    block()
    world.await_phase(blue, "Active")


def refused(world: World) -> bool:
    """Whether a namespace can be made."""
    name = world.name("probe")
    status, _ = world.admin.request("POST", NAMESPACE.path() + "?dryRun=All", {"metadata": {"name": name}})
    return status >= 500


def test_policies_and_promises_that_are_refused_are_told(
    fault_world: World, proxy: FaultyProxy, launch: Launch
) -> None:
    """A pool whose policies cannot be made is not Ready; of a promise that status does not take there is an Event."""
    world = fault_world
    operator = launch("operator", proxy.kubeconfig("operator"))
    ready = world.pool("ready")
    proxy.refused = {f"PATCH {MUTATING_POLICY.path()}": (500, SAID)}
    bare = world.declare_pool("bare")
    world.nodes(bare)

    def told() -> bool:
        found = condition(world.pool_status(bare), "Ready")
        assert (found["status"], found["reason"]) == ("False", "ApplyFailed"), found
        return SAID in found["message"]

    eventually(told, "the pool says what is refused", LASTING_SECONDS)
    tenant = world.name("blue")
    proxy.refused = {f"PATCH {TENANT_ALLOCATION.path(tenant, '', 'status')}": (500, SAID)}
    world.await_effective(bare, 8)
    world.allocate("blue", {ready: 1})
    eventually(
        lambda: [reason for _, reason, _ in world.events(tenant)] == ["ApplyFailed"],
        "an Event says it",
        LASTING_SECONDS,
    )
    eventually(lambda: metric(operator, 'bitgoeul_check_failing{check="promises"}') == 1, "the metric says so")
    proxy.refused = {}
    world.await_phase(tenant, "Active")
    eventually(lambda: metric(operator, 'bitgoeul_check_failing{check="promises"}') == 0, "nothing is refused any more")


def test_a_server_that_refuses_everything_is_no_flood(fault_world: World, proxy: FaultyProxy, launch: Launch) -> None:
    """Nothing but HTTP 500 for a while: not leading for the metrics, not ready, alive, and lines about each trouble."""
    operator = launch("operator", proxy.kubeconfig("operator"))
    pool = fault_world.pool()
    tenant = fault_world.active("blue", {pool: 1})
    assert operator.fetch("/readyz")[0] == 200
    eventually(lambda: metric(operator, "bitgoeul_leading") == 1, "it leads")
    said, began = len(operator.said()), time.monotonic()
    proxy.refusal = (500, "the disk is full")
    proxy.close_to_watches()
    fault_world.ask(tenant, {pool: 2})
    eventually(lambda: metric(operator, "bitgoeul_leading") == 0, "it may not write, and says so")
    eventually(lambda: operator.fetch("/readyz")[0] == 503, "it is not ready")
    assert "the disk is full" in operator.fetch("/readyz")[1]
    assert operator.fetch("/healthz")[0] == 200
    pass_time(began + 45)
    lines = operator.said()[said:].splitlines()
    assert len(lines) < 6 * (time.monotonic() - began), lines[-20:]
    texts = [line.split(" (")[0][20:] for line in lines]
    assert max(texts.count(text) for text in set(texts)) <= time.monotonic() - began + 1
    proxy.refusal = None
    proxy.open_to_watches()
    fault_world.await_grant(tenant, {pool: 2})
    eventually(lambda: operator.fetch("/readyz")[0] == 200, "it is ready again")


def test_a_kind_that_may_not_be_watched_is_named(fault_world: World, proxy: FaultyProxy, launch: Launch) -> None:
    """While all else works: readiness says which, and why, when it has lasted a minute."""
    operator = launch("operator", proxy.kubeconfig("operator"))
    fault_world.pool()
    proxy.refused = {"GET /api/v1/nodes": (403, "nodes is forbidden")}
    proxy.close_to_watches()
    proxy.open_to_watches()

    def told() -> bool:
        status, text = operator.fetch("/readyz")
        assert status == 503, text
        assert "nodes" in text
        assert "is forbidden" in text
        return True

    eventually(told, "readiness names the kind", LASTING_SECONDS)
    eventually(lambda: metric(operator, 'bitgoeul_check_failing{check="lists"}') == 1, "the metric says so")
    proxy.refused = {}
    eventually(lambda: operator.fetch("/readyz")[0] == 200, "it is ready again")
    assert operator.alive
