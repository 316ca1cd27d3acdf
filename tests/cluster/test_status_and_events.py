"""What people and programs read: columns, conditions, Events; and that nothing is written that nobody needs."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bitgoeul.api.names import QUOTA_NAME
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, NAMESPACE, RESOURCE_QUOTA, STORAGE_POOL, TENANT_ALLOCATION
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import make_claim
from tests.cluster.audit import await_quiet, mark, writes_since
from tests.cluster.kubectl import Kubectl
from tests.cluster.neighbours import await_alone
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import NO_DATE, World, await_later, condition, is_true, open_world
from tests.cluster.waiting import eventually

ANN = "ann@example.org"
MEMBERS = [{"kind": "User", "name": ANN, "role": "view"}]


def rows(text: str) -> list[list[str]]:
    """The cells of a table of kubectl: columns are at least two blanks or more apart, unless a cell is empty."""
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


# -- columns


def test_columns_of_an_allocation_answer_the_first_questions(world: World, kubectl: Kubectl) -> None:
    """Who, what, how it stands, the place in the queue, since and until when; more with -o wide."""
    pool = world.pool(devices=4)
    window = {"end": "2199-01-01T00:00:00Z"}
    blue = world.active("blue", {pool: 3}, window=window, expiry={"grace": "0s"})
    green = world.allocate("green", {pool: 2}, priority=7)
    world.await_phase(green, "Waiting")
    header, *cells = rows(kubectl("get", "ta", blue, green).stdout)
    assert header == ["NAME", "ORGANIZATION", "ACCELERATORS", "PHASE", "POSITION", "EARLIEST", "END", "AGE"]
    assert [row[:-1] for row in cells] == [
        [blue, "Blue", f"{pool}×3", "Active", "2199-01-01"],
        [green, "Green", f"{pool}×2", "Waiting", "1", "2199-01-01"],
    ]
    header, wide = rows(kubectl("get", "ta", blue, "-o", "wide").stdout)
    assert header[-3:] == ["PRIORITY", "REASON", "NAMESPACES"]
    assert wide[-3:] == ["100", "Enforced", "1/1"]
    waiting = rows(kubectl("get", "ta", green, "-o", "wide").stdout)[1]
    assert waiting[-2:] == ["7", "WaitingForCapacity"]
    assert green in kubectl("get", "ta", "--field-selector=status.phase=Waiting").stdout


def test_columns_of_pools_answer_what_is_left(world: World, kubectl: Kubectl) -> None:
    """Granted, available, waiting, and whether the pool is Ready; all three kinds with one word."""
    pool, disk = world.pool(devices=4, product="A100"), world.storage_pool(capacity="10Ti")
    blue = world.active("blue", {pool: 3}, {disk: "4Ti"})
    green = world.allocate("green", {pool: 2})
    world.await_phase(green, "Waiting")
    world.await_devices(pool, granted=3, waiting=2)
    header, cells = rows(kubectl("get", "apool", pool).stdout)
    assert header == ["NAME", "PRODUCT", "STAGE", "EFFECTIVE", "GRANTED", "AVAILABLE", "WAITING", "READY", "AGE"]
    assert cells[:-1] == [pool, "A100", "4", "3", "1", "2", "True"]
    eventually(lambda: world.storage_status(disk)["summary"]["granted"] == "4Ti", "the storage pool has followed")
    header, cells = rows(kubectl("get", "spool", disk).stdout)
    assert header == ["NAME", "CLASS", "STAGE", "CAPACITY", "GRANTED", "AVAILABLE", "READY", "AGE"]
    assert cells[:-1] == [disk, disk, "10Ti", "4Ti", "6Ti", "True"]
    everything = kubectl("get", "bitgoeul", "-o", "name").stdout
    assert {f"acceleratorpool.bitgoeul.dev/{pool}", f"storagepool.bitgoeul.dev/{disk}"} < set(everything.split())
    assert f"tenantallocation.bitgoeul.dev/{blue}" in everything


# -- conditions for programs


def test_kubectl_wait_sees_readiness(world: World, kubectl: Kubectl) -> None:
    """GitOps and scripts need nothing of ours."""
    pool = world.pool()
    blue = world.allocate("blue", {pool: 1})
    kubectl("wait", "--for=condition=Ready", f"ta/{blue}", "--timeout=90s")
    kubectl("wait", "--for=jsonpath={.status.phase}=Active", f"ta/{blue}", "--timeout=90s")


def test_kubectl_wait_fails_fast_on_what_cannot_work(world: World, kubectl: Kubectl) -> None:
    """Stalled is True at once where waiting would be in vain, and never for one that waits."""
    pool = world.pool(devices=4)
    impossible = world.allocate("impossible", {pool: 5})
    kubectl("wait", "--for=condition=Stalled", f"ta/{impossible}", "--timeout=90s")
    world.active("holder", {pool: 4})
    waiting = world.allocate("waiting", {pool: 4})
    kubectl("wait", "--for=condition=Reconciling", f"ta/{waiting}", "--timeout=90s")
    kubectl("wait", "--for=condition=Stalled=False", f"ta/{waiting}", "--timeout=90s")


def test_every_condition_says_which_spec_it_is_about(world: World) -> None:
    """observedGeneration follows every edit, in status and in each condition."""
    pool, disk = world.pool(), world.storage_pool()
    blue = world.active("blue", {pool: 1}, {disk: "1Ti"})
    world.ask(blue, {pool: 2})
    world.await_grant(blue, {pool: 2})
    world.admin.merge(ACCELERATOR_POOL.path(pool), {"spec": {"vendor": "Example"}})
    world.admin.merge(STORAGE_POOL.path(disk), {"spec": {"capacity": "2Ti"}})
    for kind, name in ((TENANT_ALLOCATION, blue), (ACCELERATOR_POOL, pool), (STORAGE_POOL, disk)):

        def current() -> bool:
            obj = world.get(kind, name)  # noqa: B023
            status = obj["status"]
            seen = {status["observedGeneration"], *(one["observedGeneration"] for one in status["conditions"])}
            return seen == {obj["metadata"]["generation"]}

        eventually(current, f"{name} is about its newest spec")
        assert world.get(kind, name)["metadata"]["generation"] > 1


def test_transition_times_are_those_of_changes(world: World) -> None:
    """A condition that stays as it is keeps its time, whatever else is written."""
    pool = world.pool(devices=2)
    blue = world.active("blue", {pool: 1})
    ready = condition(world.status(blue), "Ready")["lastTransitionTime"]
    await_later(ready)
    world.ask(blue, {pool: 3})
    world.await_reason(blue, "Stalled", "ExceedsPoolCapacity")
    status = world.status(blue)
    assert condition(status, "Ready")["lastTransitionTime"] == ready
    assert condition(status, "Stalled")["lastTransitionTime"] > ready


# -- tenants


def test_a_member_reads_exactly_its_own_allocation(world: World, kubectl: Kubectl) -> None:
    """get, describe, watch and wait work by name; others' allocations, lists and edits are refused."""
    pool = world.pool()
    blue = world.active("blue", {pool: 1}, members=MEMBERS)
    green = world.active("green", {pool: 1})
    # The API server learns of a role by its own watch.
    found = eventually(lambda: kubectl.get("ta", blue, as_user=ANN), "the member may read it")
    assert found["status"]["phase"] == "Active"
    assert "Active" in kubectl("describe", "ta", blue, as_user=ANN).stdout
    kubectl("wait", "--for=condition=Ready", f"ta/{blue}", "--timeout=90s", as_user=ANN)
    for arguments in (
        ["get", "ta", green],
        ["get", "ta"],
        ["get", "ta", "-l", "a=b"],
        ["get", "apool", pool],
        ["delete", "ta", blue],
        ["patch", "ta", blue, "--type=merge", "-p", json.dumps({"spec": {"priority": 1000}})],
        ["patch", "ta", blue, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {"phase": "X"}})],
    ):
        refused = kubectl(*arguments, as_user=ANN, check=False)
        assert refused.returncode == 1, arguments
        assert f'User "{ANN}" cannot' in refused.stderr


# -- Events


def test_events_tell_what_has_changed(world: World) -> None:
    """One for each change of phase or reason, with the message of the condition; none for being provisioned."""
    pool = world.pool(devices=4)
    holder = world.active("holder", {pool: 4})
    blue = world.allocate("blue", {pool: 2})
    world.await_phase(blue, "Waiting")
    world.delete(TENANT_ALLOCATION, holder)
    world.await_phase(blue, "Active")
    world.ask(blue, {pool: 5})
    world.await_reason(blue, "Stalled", "ExceedsPoolCapacity")
    world.ask(blue, {pool: 3})
    world.await_grant(blue, {pool: 3})
    enforced = ("Normal", "Enforced", "quota enforced and access given in 1 namespace")
    eventually(lambda: len(world.events(blue)) >= 4, "four Events")
    told = world.events(blue)
    assert told[:2] == [
        ("Normal", "WaitingForCapacity", f"needs 2 of {pool}, 0 available; {NO_DATE}"),
        enforced,
    ]
    assert told[2][1:] == (
        "ExceedsPoolCapacity",
        f"needs 5 of {pool}, which can never give more than 4; ask for at most that",
    )
    assert told[3:] == [enforced]


def test_a_refusal_is_a_warning(world: World) -> None:
    """`kubectl get events --field-selector type=Warning` shows what somebody has to change."""
    pool = world.pool(devices=4)
    blue = world.allocate("blue", {pool: 5})
    world.await_phase(blue, "Refused")
    eventually(lambda: world.events(blue), "an Event")
    assert [(kind, reason) for kind, reason, _ in world.events(blue)] == [("Warning", "ExceedsPoolCapacity")]


def test_tenants_find_their_events_in_their_namespace(world: World, kubectl: Kubectl) -> None:
    """Events of cluster-scoped objects are in `default`, where tenants may not read: a copy is on their quota."""
    pool = world.pool(devices=4)
    blue = world.active("blue", {pool: 2}, members=MEMBERS)
    world.ask(blue, {pool: 5})
    world.await_reason(blue, "Stalled", "ExceedsPoolCapacity")
    eventually(lambda: len(world.events(QUOTA_NAME, blue)) >= 2, "two Events")
    reasons = [reason for _, reason, _ in world.events(QUOTA_NAME, blue)]
    assert reasons == ["Enforced", "ExceedsPoolCapacity"]
    assert "ExceedsPoolCapacity" in kubectl("get", "events", "-n", blue, as_user=ANN).stdout
    assert kubectl("get", "events", "-n", "default", as_user=ANN, check=False).returncode == 1


def test_figures_that_drift_are_not_events(world: World) -> None:
    """Moving up in the queue changes position and message, and is no news."""
    pool = world.pool(devices=4)
    holder = world.active("holder", {pool: 4})
    first = world.allocate("a-first", {pool: 3})
    second = world.allocate("b-second", {pool: 4})
    world.await_status(second, lambda s: s["queue"]["position"] == 2, "is the second")
    world.delete(TENANT_ALLOCATION, first)
    world.await_status(second, lambda s: s["queue"]["position"] == 1, "has moved up")
    world.delete(TENANT_ALLOCATION, holder)
    world.await_phase(second, "Active")
    eventually(lambda: "Enforced" in [reason for _, reason, _ in world.events(second)], "the last Event")
    assert [reason for _, reason, _ in world.events(second)] == ["WaitingForCapacity", "Enforced"]


def test_pools_tell_when_something_is_wrong(world: World) -> None:
    """Lost capacity is a warning on the pool, and so is that it has come back."""
    pool = world.pool(devices=4)
    world.active("blue", {pool: 4})
    world.admin.merge(ACCELERATOR_POOL.path(pool), {"spec": {"reserve": 1}})
    eventually(lambda: is_true(world.pool_status(pool), "Overcommitted"), "the pool is overcommitted")
    eventually(lambda: "CapacityLost" in [reason for _, reason, _ in world.events(pool)], "an Event")
    (lost,) = [event for event in world.events(pool) if event[1] == "CapacityLost"]
    assert lost == (
        "Warning",
        "CapacityLost",
        "1 more granted than there is; nothing new is granted, nobody is stopped",
    )
    world.admin.merge(ACCELERATOR_POOL.path(pool), {"spec": {"reserve": 0}})
    eventually(lambda: "WithinCapacity" in [reason for _, reason, _ in world.events(pool)], "an Event of the end")


# -- no writes without a reason


@dataclass(frozen=True)
class Settled:
    """All that can stand: Active with everything, waiting, refused, retained, pools; nothing is left to do."""

    world: World
    active: str
    waiting: str
    refused: str
    retained: str
    pool: str
    disk: str

    @property
    def names(self) -> list[str]:
        allocations = [self.active, self.waiting, self.refused, self.retained]
        readers = [f"bitgoeul:allocation:{name}" for name in allocations]
        return [*allocations, *readers, self.pool, self.disk, f"bitgoeul-pool-{self.pool}"]


@pytest.fixture(scope="module")
def _settled(control_plane: ControlPlane, _running: OperatorProcess) -> Iterator[Settled]:
    _running.revive()
    with open_world(control_plane) as world:
        # Every quota names every pool, so a pool of an earlier test that goes away is written in ours.
        await_alone(world)
        pool, disk = world.pool(devices=4, perDevice={"cpu": "4", "memory": "8Gi"}), world.storage_pool()
        storage = {disk: {"size": "10Ti", "claims": [make_claim("data", "1Ti")]}}
        old = world.active("old", storage=storage)
        world.delete(TENANT_ALLOCATION, old)
        world.await_gone(TENANT_ALLOCATION, old)
        blue = world.active("blue", {pool: 3}, storage, members=MEMBERS, compute={"cpu": "1"})
        world.pod(blue, "busy", pool, 2)
        green, red = world.allocate("green", {pool: 2}), world.allocate("red", {pool: 9})
        world.await_phase(green, "Waiting")
        world.await_phase(red, "Refused")
        world.await_status(blue, lambda s: s["inUse"]["accelerators"] == {pool: 2}, "shows what is in use")
        world.await_devices(pool, granted=3, waiting=2, inUse=2)
        yield Settled(world, blue, green, red, old, pool, disk)


@pytest.fixture
def settled(control_plane: ControlPlane, operator: OperatorProcess, _settled: Settled) -> Settled:
    """The same, with the operator running, and the last figures written."""
    come_round(_settled.world)
    await_quiet(control_plane, lambda place: writes_since(control_plane, place, _settled.names))
    return _settled


def come_round(world: World) -> None:
    """Wait until everything that is due now has been seen to: what comes later is worked on later."""
    world.active(f"round-{secrets.token_hex(2)}", compute={"cpu": "1"})


def test_a_restart_writes_nothing(control_plane: ControlPlane, operator: OperatorProcess, settled: Settled) -> None:
    """Everything is compared, and everything is as it should be."""
    assert operator.stop() == 0
    place = mark(control_plane)
    operator.start()
    come_round(settled.world)
    assert writes_since(control_plane, place, settled.names) == []


def test_looking_again_writes_nothing(control_plane: ControlPlane, settled: Settled) -> None:
    """Changes that mean nothing to us set off a look at the object, and no write."""
    world = settled.world
    place = mark(control_plane)
    namespaces = (settled.active, settled.retained)
    paths = [
        *(TENANT_ALLOCATION.path(name) for name in (settled.active, settled.waiting, settled.refused)),
        *(NAMESPACE.path(name) for name in namespaces),
        *(RESOURCE_QUOTA.path(QUOTA_NAME, name) for name in namespaces),
        ACCELERATOR_POOL.path(settled.pool),
        STORAGE_POOL.path(settled.disk),
    ]
    for path in paths:
        world.admin.merge(path, {"metadata": {"annotations": {"example.org/note": "look"}}})
    come_round(world)
    # What is not urgent is written later; so this goes on for longer than that may take.
    until = time.monotonic() + 2.5
    eventually(lambda: time.monotonic() > until, "time passes")
    come_round(world)
    assert writes_since(control_plane, place, settled.names) == []
