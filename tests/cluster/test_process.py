"""The operator as a process: how it ends, what it leaves behind, and what it does while there is nothing to do."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from bitgoeul.cluster.kinds import STORAGE_POOL
from bitgoeul.local.components import API_SERVER
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.processes import listening_addresses
from tests.cluster.api_objects import install_crds, make_claim
from tests.cluster.audit import await_quiet, entries, mark
from tests.cluster.faults import ForkServer, Launch, bring_back_api_server, make_kubeconfig, pass_time, paused
from tests.cluster.kubectl import Kubectl
from tests.cluster.neighbours import EVERYTHING, await_alone
from tests.cluster.operator_process import RUN, SOURCE, START_SECONDS, STOP_SECONDS, OperatorProcess
from tests.cluster.scenario import World
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.fault_fixtures"]

CROWD = 20
REMOVED = "storagepools.bitgoeul.dev"
IDLE_SECONDS = 20.0
RESTART_SECONDS = 6.0  # from the moment it leads: it has listed and decided, and listed once more for what it missed
# What kopf's watch does when it is cut off while it begins.
STUCK_WATCH = """
import asyncio, bitgoeul.controller.operator as operator
from bitgoeul.errors import ClusterError
async def holds_on(*_, **__):
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
operator.watch = holds_on
"""
REMOVED_KIND = """
async def is_removed(_):
    await asyncio.sleep(3)
    raise ClusterError("a kind was removed")
operator.until_a_kind_is_removed = is_removed
"""


@contextlib.contextmanager
def away(plane: ControlPlane) -> Iterator[None]:
    """The API server is dead meanwhile: whoever asks is refused at once."""
    plane.kill_component(API_SERVER)
    try:
        yield
    finally:
        bring_back_api_server(plane)


def test_sigterm_ends_it_in_the_midst_of_work(fault_world: World, launch: Launch) -> None:
    """In the promised time, and with exit code 0."""
    operator = launch()
    pool = fault_world.pool(devices=CROWD)
    tenants = [fault_world.allocate(f"tenant{number}", {pool: 1}) for number in range(CROWD)]
    fault_world.await_phase(tenants[0], "Active")
    assert operator.stop() == 0
    assert operator.said().splitlines()[-1].endswith("stopped")


def test_it_ends_although_a_watch_never_lets_go(launch: Launch) -> None:
    """In the promised time at SIGTERM, and soon when it cannot go on."""
    operator = launch(prelude=STUCK_WATCH)
    assert operator.stop() == 0
    assert operator.said().splitlines()[-1].endswith("stopped")
    operator = launch("ends", prelude=STUCK_WATCH + REMOVED_KIND)
    assert operator.wait_for_end() == 1
    assert operator.said().splitlines()[-1] == "Error: cannot go on: a kind was removed"


def test_sigterm_ends_it_while_the_api_server_is_away(fault_world: World, plane: ControlPlane, launch: Launch) -> None:
    """Nobody has to wait for a Lease that cannot be given back."""
    operator = launch()
    fault_world.pool()  # it watches: one that loses the API server while it starts ends, to start afresh
    with away(plane):
        eventually(lambda: "no answer" in operator.said(), "it has noticed")
        assert operator.stop() == 0
    assert "Traceback" not in operator.said()


def test_sigterm_ends_it_while_the_api_server_hangs(plane: ControlPlane, fault_world: World, launch: Launch) -> None:
    """A server that takes requests and never answers must not hold it up, in the midst of work."""
    operator = launch()
    pool = fault_world.pool()
    fault_world.active("tenant", {pool: 1})
    with paused(plane.pid(API_SERVER)):
        assert operator.stop() == 0
    assert "Traceback" not in operator.said()


def test_sigterm_ends_it_before_it_has_begun(tmp_path: Path) -> None:
    """Also while it waits for the very first answer."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(START_SECONDS)
        file = tmp_path / "kubeconfig"
        file.write_text(yaml.safe_dump(make_kubeconfig(f"http://127.0.0.1:{silent.getsockname()[1]}")))
        command = [sys.executable, "-c", RUN, "run", f"--kubeconfig={file}", "--metrics-port=0"]
        with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)}) as process:
            try:
                connection, _ = silent.accept()
                with connection:
                    process.terminate()
                    assert process.wait(STOP_SECONDS) == 0
            finally:
                process.kill()


def test_sigterm_ends_a_standby(fault_world: World, launch: Launch) -> None:
    """And the leader does not mind."""
    leader = launch("leader")
    standby = launch("standby", leading=False)
    assert standby.stop() == 0
    assert leader.alive


def processes_with(setting: str) -> list[int]:
    """Pids of the processes that have a setting in their environment."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            if setting.encode() in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
    return found


@pytest.mark.parametrize("end", [
    pytest.param(OperatorProcess.stop, id="after SIGTERM"),
    pytest.param(OperatorProcess.kill, id="after kill -9"),
])  # fmt: skip
def test_nothing_is_left_behind(
    end: Callable[[OperatorProcess], object],
    fault_world: World,
    launch: Launch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No process, no port, no file; the keys of the kubeconfig least of all."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    operator = launch()
    monkeypatch.undo()
    fault_world.pool()
    assert processes_with(f"TMPDIR={scratch}") == [operator.pid]
    ((host, port),) = listening_addresses(operator.pid)
    end(operator)
    assert processes_with(f"TMPDIR={scratch}") == []
    assert list(scratch.iterdir()) == []
    with socket.socket() as probe:
        assert probe.connect_ex((host, port)) != 0, "somebody still listens on the port of the metrics"


def test_a_kind_that_is_removed_ends_it(plane: ControlPlane, fault_world: World, launch: Launch) -> None:
    """Even if it was made anew at once: the watch of the old one is open still, and sees nothing of the new."""
    kubectl = Kubectl(plane.binary, plane.kubeconfig)
    operator = launch()
    # Its watch is in place.
    disk = fault_world.storage_pool()
    fault_world.delete(STORAGE_POOL, disk)
    fault_world.await_gone(STORAGE_POOL, disk)
    try:
        kubectl("delete", "crd", REMOVED, "--timeout=90s")
    finally:
        install_crds(kubectl)
    assert operator.wait_for_end() == 1
    assert operator.said().splitlines()[-1].startswith("Error: cannot go on: ")
    # Where a watch begins anew just then, kopf is the first to notice, and names the kind before the last line.
    assert "storagepool" in operator.said().lower()
    operator.start()
    fault_world.storage_pool("again")


def test_a_kind_that_is_missing_is_told_with_the_command_that_helps(plane: ControlPlane, tmp_path: Path) -> None:
    """And the command does help."""
    kubectl = Kubectl(plane.binary, plane.kubeconfig)
    operator = OperatorProcess(plane.kubeconfig, tmp_path / "log")
    try:
        kubectl("delete", "crd", REMOVED, "--timeout=90s")
        with ForkServer(tmp_path) as bitgoeul:
            finished = bitgoeul.run("run", f"--kubeconfig={plane.kubeconfig}", "--metrics-port=0")
            assert finished.code == 1
            assert finished.err.splitlines() == [
                "Error: the cluster does not know StoragePool (bitgoeul.dev); run: bitgoeul crds | kubectl apply -f -"
            ]
            kubectl("apply", "-f", "-", stdin=bitgoeul.run("crds").out)
        with operator:
            pass
    finally:
        install_crds(kubectl)


def written_since(plane: ControlPlane, place: int) -> list[str]:
    """What operators have written since a place in the audit log, Leases left out."""
    return [
        f"{entry['verb']} {entry['requestURI']}"
        for entry in entries(plane, place)
        if entry.get("userAgent", "").startswith("bitgoeul/") and entry["objectRef"]["resource"] != "leases"
    ]


def test_nothing_is_written_where_there_is_nothing_to_do(
    plane: ControlPlane, fault_world: World, launch: Launch
) -> None:
    """Twenty tenants that have what they want and one that waits: not a byte, and none after a restart either."""
    # What nobody looks after any more goes in the background, and would be something to do.
    await_alone(fault_world, EVERYTHING)
    operator = launch()
    pool = fault_world.pool(devices=CROWD)
    disk = fault_world.storage_pool()
    members = [{"kind": "Group", "name": "blue", "role": "admin"}]
    storage = {disk: {"size": "10Gi", "claims": [make_claim(size="5Gi")]}}
    words = [f"tenant{number}" for number in range(CROWD)]
    tenants = [fault_world.allocate(word, {pool: 1}, storage, members=members) for word in words]
    for tenant in tenants:
        fault_world.await_grant(tenant, {pool: 1})
    fault_world.await_phase(fault_world.allocate("waits", {pool: 1}), "Waiting")
    await_quiet(plane, lambda place: written_since(plane, place))

    place = mark(plane)
    pass_time(time.monotonic() + IDLE_SECONDS)
    assert written_since(plane, place) == []

    assert operator.stop() == 0
    operator.start()
    pass_time(time.monotonic() + RESTART_SECONDS)
    assert written_since(plane, place) == []
    # It was not idle because it was blind.
    fault_world.ask(tenants[0], {})
    fault_world.await_status(tenants[0], lambda status: status["phase"] == "Active", "gives its device back")
    assert written_since(plane, place)
