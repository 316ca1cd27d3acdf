"""What happens while nobody looks, and what somebody falsifies: the cluster itself says how it stands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from bitgoeul.api.names import MANAGED_BY_LABEL, QUOTA_NAME
from bitgoeul.cluster.kinds import NAMESPACE, RESOURCE_QUOTA, ROLE_BINDING, TENANT_ALLOCATION
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import History
from tests.cluster.faults import Launch, forget_lease, pass_time
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.promises import FOLLOWED, Capacity, Replay
from tests.cluster.scenario import World, resource_of
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.fault_fixtures"]

ADMINS = "bitgoeul:admin"
MEMBERS = [{"kind": "Group", "name": "blue", "role": "admin"}]
DEVICES = 10


@pytest.fixture
def operator(launch: Launch, fault_world: World) -> OperatorProcess:
    """An operator that leads."""
    return launch()


@pytest.fixture
def pool(fault_world: World, operator: OperatorProcess) -> str:
    return fault_world.pool(devices=DEVICES)


@pytest.fixture
def history(plane: ControlPlane, pool: str) -> Iterator[None]:
    """Watches that nothing of the pool is handed out twice, whatever the test does."""
    with History(plane, *FOLLOWED) as history:
        yield
        # What was falsified by hand is no promise; what quotas say and enforce counts.
        capacity = Capacity(f"requests.{resource_of(pool)}", ("accelerators", pool), DEVICES)
        assert Replay([capacity], believe_status=False).play(history.changes()) == []


def test_what_changed_while_the_operator_was_down_is_made_good(
    fault_world: World, pool: str, operator: OperatorProcess, history: None
) -> None:
    """Edited, deleted, relabelled, asked for, taken back: there was no event, and it is done all the same."""
    world = fault_world
    stays = world.active("stays", {pool: 2}, members=MEMBERS)
    grows = world.active("grows", {pool: 1})
    goes = world.active("goes", {pool: 2}, members=MEMBERS)
    world.pod(goes, "train", pool, 2)
    waits = world.allocate("waits", {pool: 7})
    world.await_phase(waits, "Waiting")

    operator.kill()
    world.delete(ROLE_BINDING, ADMINS, stays)
    world.delete(RESOURCE_QUOTA, QUOTA_NAME, stays)
    world.admin.merge(NAMESPACE.path(stays), {"metadata": {"labels": {f"bitgoeul.dev/pool-{pool}": None}}})
    world.admin.merge(RESOURCE_QUOTA.path(QUOTA_NAME, grows), {"metadata": {"labels": {MANAGED_BY_LABEL: None}}})
    world.ask(grows, {pool: 2})
    world.delete(TENANT_ALLOCATION, goes)
    world.delete(TENANT_ALLOCATION, waits)
    comes = world.allocate("comes", {pool: 6})
    forget_lease(world.admin)
    operator.start()

    world.await_gone(TENANT_ALLOCATION, goes)
    world.await_grant(grows, {pool: 2})
    world.await_grant(comes, {pool: 6})
    world.await_grant(stays, {pool: 2})
    eventually(lambda: world.bindings(stays) == {ADMINS: ["blue"]}, "the members' access is back")
    assert world.limit(stays, pool) == 2
    assert world.get(NAMESPACE, stays)["metadata"]["labels"][f"bitgoeul.dev/pool-{pool}"] == "true"
    assert MANAGED_BY_LABEL in world.quota(grows)["metadata"]["labels"]
    assert world.limit(goes, pool) == 0
    assert world.bindings(goes) == {}
    assert world.pods(goes) == {}


FALSIFIED: dict[str, dict[str, object]] = {
    "no-promise": {"grant": None},
    "empty-promise": {"grant": {"accelerators": None}},
    "raised-promise": {"grant": {"accelerators": {"POOL": 7}}},
    "lowered-promise": {"grant": {"accelerators": {"POOL": 1}}},
    "no-report": {"conditions": [], "namespaces": [], "phase": "Refused", "observedGeneration": 0},
}


@pytest.mark.parametrize("down", [
    pytest.param(False, id="under the eyes of the operator"),
    pytest.param(True, id="while the operator is down"),
])  # fmt: skip
def test_a_falsified_status_is_repaired_from_the_cluster(
    fault_world: World, pool: str, operator: OperatorProcess, history: None, down: bool
) -> None:
    """What the quotas enforce stays charged, so nobody else gets it; and what was written is written again."""
    world = fault_world
    holders = {world.allocate(word, {pool: 2}, members=MEMBERS): status for word, status in FALSIFIED.items()}
    for holder in holders:
        world.await_grant(holder, {pool: 2})
    waiter = world.allocate("waiter", {pool: 1})
    world.await_phase(waiter, "Waiting")

    if down:
        operator.kill()
    for holder, status in holders.items():
        written = json.loads(json.dumps(status).replace("POOL", pool))
        world.admin.merge(TENANT_ALLOCATION.path(holder, "", "status"), {"status": written})
    if down:
        forget_lease(world.admin)
        operator.start()

    for holder in holders:
        found = world.await_grant(holder, {pool: 2})
        assert [(row["name"], row["ready"]) for row in found["namespaces"]] == [(holder, True)]
        assert world.bindings(holder) == {ADMINS: ["blue"]}
        assert world.limit(holder, pool) == 2
    pass_time(time.monotonic() + 1)
    assert world.status(waiter)["phase"] == "Waiting"
