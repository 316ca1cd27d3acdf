"""The API server goes away and comes back: the operator stays, keeps quiet, and goes on where it was."""

from __future__ import annotations

import os
import time

import pytest

from bitgoeul.api.names import MANAGED_BY_LABEL, QUOTA_NAME
from bitgoeul.cluster.kinds import BY_KIND, RESOURCE_QUOTA, ROLE_BINDING, TENANT_ALLOCATION
from bitgoeul.desired.tenant_policies import POLICY_NAME
from bitgoeul.local.components import API_SERVER
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.faults import Launch, bring_back_api_server, compact, pass_time
from tests.cluster.faulty_proxy import FaultyProxy
from tests.cluster.scenario import World, resource_of
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.fault_fixtures"]

MUTATING_POLICY = BY_KIND["MutatingAdmissionPolicy"]
ADMINS = "bitgoeul:admin"
MEMBERS = [{"kind": "Group", "name": "blue", "role": "admin"}]
SLOW = pytest.mark.skipif("SLOW_TESTS" not in os.environ, reason="takes more than a minute; set SLOW_TESTS=1")

# There are 16 watches. Each asks twice in 5 s while nobody answers, and the Lease once a second.
FIRST_SECONDS = 5.0  # quicker, because a short interruption is more likely than a long one
AWAY_PER_SECOND = 20
# Afterwards everything is listed and watched anew, once more to find what was deleted, and the work goes on.
RETURN_SECONDS = 6.0
RETURN_REQUESTS = 200


@pytest.mark.parametrize("seconds", [
    pytest.param(12.0, id="a short one"),
    pytest.param(60.0, id="a long one", marks=SLOW),
])  # fmt: skip
def test_an_outage_is_survived_without_a_storm(
    plane: ControlPlane, fault_world: World, proxy: FaultyProxy, launch: Launch, seconds: float
) -> None:
    """The same process goes on afterwards; it asks now and then while nobody answers, and not all at once later."""
    operator = launch("operator", proxy.kubeconfig("operator"))
    pid = operator.pid
    pool = fault_world.pool()
    tenant = fault_world.active("patient", {pool: 3}, members=MEMBERS)

    plane.kill_component(API_SERVER)
    away_at = time.monotonic()
    try:
        pass_time(away_at + seconds)
        asked = len(proxy.requests_since(away_at + FIRST_SECONDS, seconds - FIRST_SECONDS))
        assert operator.fetch("/healthz")[0] == 200, "a probe would have restarted it"
    finally:
        bring_back_api_server(plane)
    back_at = time.monotonic()
    fault_world.edit(tenant, compute={"cpu": "4"})
    fault_world.delete(ROLE_BINDING, ADMINS, tenant)
    eventually(lambda: fault_world.quota(tenant)["spec"]["hard"].get("requests.cpu") == "4", "the change is acted upon")
    eventually(lambda: fault_world.find(ROLE_BINDING, ADMINS, tenant), "the members' access is back")
    pass_time(back_at + RETURN_SECONDS)

    assert asked < AWAY_PER_SECOND * (seconds - FIRST_SECONDS)
    assert len(proxy.requests_since(back_at, RETURN_SECONDS)) < RETURN_REQUESTS
    assert operator.alive
    assert operator.pid == pid
    assert "Traceback" not in operator.said()


def test_a_watch_that_has_to_begin_anew_misses_nothing(
    plane: ControlPlane, fault_world: World, proxy: FaultyProxy, launch: Launch
) -> None:
    """The versions it knew are compacted away; what was deleted meanwhile, of which no event tells, is noticed."""
    operator = launch("operator", proxy.kubeconfig("operator"))
    pool = fault_world.pool(devices=4)
    tenant = fault_world.active("held", {pool: 3}, members=MEMBERS)
    ahead = fault_world.allocate("ahead", {pool: 2}, priority=200)
    fault_world.await_phase(ahead, "Waiting")
    behind = fault_world.allocate("behind", {pool: 1})
    fault_world.await_phase(behind, "Waiting")

    proxy.close_to_watches()
    fault_world.delete(ROLE_BINDING, ADMINS, tenant)
    fault_world.delete(MUTATING_POLICY, POLICY_NAME)
    fault_world.admin.merge(RESOURCE_QUOTA.path(QUOTA_NAME, tenant), {
        "metadata": {"labels": {MANAGED_BY_LABEL: None}},
        "spec": {"hard": {f"requests.{resource_of(pool)}": "4"}},
    })  # fmt: skip
    fault_world.delete(TENANT_ALLOCATION, ahead)
    compact(plane, fault_world.admin)
    changed_at = time.monotonic()
    plane.kill_component(API_SERVER)  # it keeps a window of changes in memory
    bring_back_api_server(plane)
    proxy.open_to_watches()

    fault_world.await_phase(behind, "Active")
    eventually(lambda: fault_world.find(ROLE_BINDING, ADMINS, tenant), "the members' access is back")
    eventually(lambda: fault_world.find(MUTATING_POLICY, POLICY_NAME), "the policy of all tenants is back")
    eventually(lambda: fault_world.quota(tenant)["metadata"]["labels"].get(MANAGED_BY_LABEL), "the quota is ours again")
    key = f"requests.{resource_of(pool)}"
    eventually(lambda: fault_world.quota(tenant)["spec"]["hard"][key] == "3", "it says again what is granted")
    lists = [text for text in proxy.requests_since(changed_at) if text.startswith(f"GET {ROLE_BINDING.path()}?limit")]
    assert lists, "its watch went on where it was: nothing was shown"
    assert operator.alive
