"""Two operators against one cluster: one acts, the other one waits for its turn, and never both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from bitgoeul.api.names import LEASE_NAME, OPERATOR_NAMESPACE, RUNS_IN_ANNOTATION
from bitgoeul.cluster.kinds import LEASE, RESOURCE_QUOTA
from tests.cluster.faults import Launch, paused
from tests.cluster.faulty_proxy import FaultyProxy
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import RUN, SOURCE, OperatorProcess
from tests.cluster.scenario import World

pytest_plugins = ["tests.cluster.fault_fixtures"]

# A Lease is good for 15 s; then it takes one look, and a start on two busy cores.
TAKEOVER_SECONDS = 120
REQUESTS = re.compile(r'^bitgoeul_kube_requests_total\{code="\d+",resource="(\w+)",verb="(\w+)"\} ([0-9.e+]+)$', re.M)


def writes_of(operator: OperatorProcess) -> dict[str, float]:
    """Writing requests by resource that an operator counts itself, the Lease among them."""
    counts: dict[str, float] = {}
    for resource, verb, count in REQUESTS.findall(operator.fetch("/metrics")[1]):
        if verb != "GET":
            counts[resource] = counts.get(resource, 0) + float(count)
    return counts


def is_leading(operator: OperatorProcess) -> bool:
    return "leading as " in operator.said()


def holder(world: World) -> str:
    """Who has the Lease; empty: nobody."""
    return str(world.get(LEASE, LEASE_NAME, OPERATOR_NAMESPACE)["spec"].get("holderIdentity", ""))


def test_the_second_stands_by_without_a_write_and_takes_over_at_sigterm(fault_world: World, launch: Launch) -> None:
    """All that happens is the leader's work; when it is asked to end, the other one goes on without a pause."""
    first = launch("first")
    second = launch("second", leading=False)
    second.wait_for("standing by: ")
    assert second.fetch("/readyz")[0] == 200
    pool = fault_world.pool()
    tenant = fault_world.active("seen-by-both", {pool: 3})
    assert writes_of(first).keys() >= {"leases", "tenantallocations", "resourcequotas", "namespaces"}
    assert writes_of(second) == {}
    assert not is_leading(second)

    led = holder(fault_world)
    assert first.stop() == 0
    assert holder(fault_world) != led, "it kept the Lease: the other one would have to wait until it runs out"
    second.wait_for("leading as ")
    fault_world.ask(tenant, {pool: 5})
    fault_world.await_grant(tenant, {pool: 5})


def test_a_standby_takes_over_from_one_that_was_killed(fault_world: World, launch: Launch) -> None:
    """Nobody removes the Lease of the dead; it runs out, and what was begun is finished."""
    first = launch("first")
    second = launch("second", leading=False)
    pool = fault_world.pool()
    tenant = fault_world.active("survivor", {pool: 3})
    first.kill()
    killed_at = time.monotonic()
    fault_world.ask(tenant, {pool: 5})
    second.wait_for("leading as ", TAKEOVER_SECONDS)
    assert time.monotonic() - killed_at > 5, "a Lease that is still good was taken"
    fault_world.await_grant(tenant, {pool: 5})


def test_there_is_one_leader_whatever_namespace_is_named(
    fault_world: World, launch: Launch, fault_kubectl: Kubectl
) -> None:
    """A second one for another namespace, a year ahead, stands by and evicts nobody; the Lease says where each runs."""
    first = launch("first")
    pool = fault_world.pool()
    end = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    tenant = fault_world.active("blue", {pool: 3}, window={"end": end}, expiry={"grace": "0s"})
    fault_world.pod(tenant, "train", pool, 3)
    second = launch("second", None, "--namespace=bitgoeul-dev", "--clock-offset=8760h", leading=False)
    second.wait_for("standing by: ")
    assert f"{OPERATOR_NAMESPACE}" in second.said()
    lease = fault_world.get(LEASE, LEASE_NAME, OPERATOR_NAMESPACE)
    assert lease["metadata"]["annotations"][RUNS_IN_ANNOTATION] == OPERATOR_NAMESPACE
    assert writes_of(second) == {}
    assert not is_leading(second)
    assert fault_world.pods(tenant) == {"train": False}
    assert fault_world.find(LEASE, LEASE_NAME, "bitgoeul-dev") is None
    assert "bitgoeul_leading 0.0" in second.fetch("/metrics")[1]

    second.kill()
    third = launch("third", None, "--namespace=bitgoeul-dev", leading=False)
    assert first.stop() == 0
    third.wait_for("leading as ")
    lease = fault_world.get(LEASE, LEASE_NAME, OPERATOR_NAMESPACE)
    assert lease["metadata"]["annotations"][RUNS_IN_ANNOTATION] == "bitgoeul-dev"
    told = subprocess.run(
        [sys.executable, "-c", RUN, "doctor", f"--kubeconfig={fault_kubectl.kubeconfig}"],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "in namespace bitgoeul-dev leads" in told.stdout, told


def test_a_leader_that_was_paused_writes_nothing_any_more(
    fault_world: World, launch: Launch, proxy: FaultyProxy
) -> None:
    """It wakes up behind its time, full of things to do, finds that another one leads, and ends."""
    first = launch("first", proxy.kubeconfig("first"))
    second = launch("second", proxy.kubeconfig("second"), leading=False)
    pool = fault_world.pool()
    tenant = fault_world.active("waiter", {pool: 3})
    proxy.arm()
    with paused(first.pid):
        # There is work: the quota is gone, and more is asked for.
        fault_world.delete(RESOURCE_QUOTA, "bitgoeul", tenant)
        fault_world.ask(tenant, {pool: 5})
        second.wait_for("leading as ", TAKEOVER_SECONDS)
        fault_world.await_grant(tenant, {pool: 5})
        fault_world.ask(tenant, {pool: 2})
        fault_world.await_grant(tenant, {pool: 2})
    first.wait_for_end()
    assert "leads now" in first.said()
    assert first.said().splitlines()[-1].startswith("Error: ")
    writers = [write.client for write in proxy.writes]
    assert "first" not in writers[writers.index("second") :], "\n".join(map(str, proxy.writes))
    assert fault_world.grant(tenant) == {pool: 2}
