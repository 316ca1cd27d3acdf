"""Clocks of the operator's host and of the API server that differ: nothing that cannot be taken back is done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bitgoeul.cluster.kinds import NAMESPACE
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.admin import Manifest
from tests.cluster.asking import Asker
from tests.cluster.faults import ForkServer, Launch
from tests.cluster.faulty_proxy import FaultyProxy
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, condition
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.asking_fixtures", "tests.cluster.fault_fixtures"]

HOUR = 3600.0
APART = "differ by more than 30 s"
MEMBERS = [{"kind": "Group", "name": "blue", "role": "admin"}]


def ahead(seconds: float) -> str:
    """A moment so far ahead, by this machine's clock."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def window(seconds: float, **expiry: Any) -> Manifest:
    """A window that ends so soon, after which pods go at once."""
    return {"window": {"end": ahead(seconds)}, "expiry": {"grace": "0s", "notice": [], **expiry}}


def await_readiness(operator: OperatorProcess, status: int) -> str:
    """Wait until /readyz answers so; gives its text."""

    def look() -> str:
        found, text = operator.fetch("/readyz")
        assert found == status, text
        return text

    return eventually(look, f"readiness is {status}")


def skew_of(operator: OperatorProcess) -> float:
    """What the metric says."""
    (line,) = (one for one in operator.fetch("/metrics")[1].splitlines() if one.startswith("bitgoeul_clock_skew_sec"))
    return float(line.split()[1])


def await_held(world: World, tenant: str) -> None:
    """Wait until an allocation's status says why its end is not acted on."""
    world.await_status(tenant, lambda s: APART in condition(s, "Ready")["message"], "says that clocks differ")


@pytest.mark.parametrize("at_start", [pytest.param(True, id="from the start"), pytest.param(False, id="later on")])
def test_a_clock_that_is_ahead_ends_nothing(
    fault_world: World,
    proxy: FaultyProxy,
    launch: Launch,
    commands: ForkServer,
    plane: ControlPlane,
    tmp_path: Path,
    at_start: bool,
) -> None:
    """The end has come by the host's clock only: the pod stays, everybody says why; when clocks agree, it goes."""
    world = fault_world
    proxy.date_shift = -HOUR if at_start else 0.0
    operator = launch("operator", proxy.kubeconfig("operator"))
    pool = world.pool(devices=2)
    tenant = world.active("blue", {pool: 1}, **window(HOUR))
    world.pod(tenant, "train", pool, 1)
    if not at_start:
        proxy.date_shift = -HOUR
        await_readiness(operator, 503)
    world.edit(tenant, window={"end": ahead(15)})
    world.await_status(tenant, lambda s: "window" in s, "has seen the new end")
    end = datetime.fromisoformat(world.status(tenant)["window"]["end"])
    eventually(lambda: datetime.now(UTC) > end + timedelta(seconds=3), "the host's clock has passed the end")
    await_held(world, tenant)
    assert world.status(tenant)["phase"] == "Active"
    assert world.limit(tenant, pool) == 1
    assert world.pods(tenant) == {"train": False}
    assert "s ahead of the API server's" in await_readiness(operator, 503)
    assert skew_of(operator) == pytest.approx(-HOUR, abs=5)
    # By this machine's clock it is over, and commands say all the same what the operator says.
    asker = Asker(commands, plane, tmp_path)
    said = asker.json("why", tenant)
    assert (said["reason"], said["next"]) == ("Enforced", "bitgoeul doctor")
    assert APART in said["message"]
    assert tenant in [act["subject"] for act in asker.json("status")["toAct"] if act["next"] == "bitgoeul doctor"]

    proxy.date_shift = 0.0
    await_readiness(operator, 200)
    world.await_phase(tenant, "Expired")
    assert world.pods(tenant) == {}


def test_a_clock_that_is_behind_ends_nothing(fault_world: World, proxy: FaultyProxy, launch: Launch) -> None:
    """The end has come by the API server's clock only; and what people say goes on: a suspension evicts."""
    world = fault_world
    operator = launch("operator", proxy.kubeconfig("operator"))
    pool = world.pool(devices=2)
    tenant = world.active("blue", {pool: 1}, **window(HOUR / 2))
    world.pod(tenant, "train", pool, 1)
    proxy.date_shift = HOUR
    assert "s behind the API server's" in await_readiness(operator, 503)
    await_held(world, tenant)
    assert world.pods(tenant) == {"train": False}
    world.edit(tenant, suspend=True)
    world.await_phase(tenant, "Suspended")
    eventually(lambda: world.pods(tenant) == {}, "a suspension is somebody's word")
    proxy.date_shift = 0.0
    await_readiness(operator, 200)


def test_an_end_by_both_clocks_waits_until_they_agree(fault_world: World, proxy: FaultyProxy, launch: Launch) -> None:
    """The quota is closed, which can be taken back; pods and data stay, and go when the clocks are compared anew."""
    world = fault_world
    operator = launch("operator", proxy.kubeconfig("operator"))
    pool = world.pool(devices=2)
    tenant = world.active("blue", {pool: 1}, members=MEMBERS, **window(HOUR, retention="5s", deletionPolicy="Delete"))
    world.pod(tenant, "train", pool, 1)
    proxy.date_shift = 2 * 24 * HOUR  # behind: the host's is the earlier, and comes to the end by itself
    await_readiness(operator, 503)
    world.edit(tenant, window={"end": ahead(15)})
    world.await_reason(tenant, "Admitted", "WindowPassed")
    world.await_limit(tenant, pool, 0)
    await_held(world, tenant)
    end = datetime.fromisoformat(world.status(tenant)["window"]["end"])
    eventually(lambda: datetime.now(UTC) > end + timedelta(seconds=25), "all times are over")
    assert world.pods(tenant) == {"train": False}
    assert world.find(NAMESPACE, tenant) is not None

    proxy.date_shift = 0.0
    await_readiness(operator, 200)
    world.await_phase(tenant, "Reclaimed")
    world.await_gone(NAMESPACE, tenant)
