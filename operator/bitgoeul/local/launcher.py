"""
Starts and stops one control plane: etcd, API server, controller manager, scheduler and kwok as processes.

Takes a folder and options, gives a kubeconfig. Every process hangs on a pipe that this process holds: however we end,
they end too, until ``release`` lets them go on alone. Fault tests kill and restart single components.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bitgoeul.errors import UserError
from bitgoeul.local import components
from bitgoeul.local.build import Report, ensure_binary, read_source
from bitgoeul.local.components import API_SERVER, COMPONENTS, ETCD, Layout, Options, Ports
from bitgoeul.local.kubeconfig import build_kubeconfig, write_kubeconfig
from bitgoeul.local.pki import ensure_pki
from bitgoeul.local.ports import choose_ports
from bitgoeul.local.processes import end, identify, send, spawn, wait_gone
from bitgoeul.local.requests import request
from bitgoeul.local.state import State, load_state, save_state

START_SECONDS = 120.0  # a busy machine with two cores is slow; usually it takes 6
POLL_SECONDS = 0.05
PORT_ATTEMPTS = 5
END_GRACE_SECONDS = 5.0

# How an error looks in a log: a command's own last word, Kubernetes' log lines, etcd's.
REASON = re.compile(r'Error:|panic:|[EF]\d{4} |.*"level":"(error|fatal)"')

# How `nodes add` knows a cluster of ours again.
MARK_NAMESPACE, MARK_NAME = "kube-system", "bitgoeul-local-control-plane"


class PortTakenError(Exception):
    """Somebody took a port between our choosing it and the component's listening on it."""


class ControlPlane:
    """
    One control plane in one folder.

    Use it as a context manager, or ``start`` and ``stop`` it; ``temporary`` makes the folder as well. Its processes end
    with this one unless ``release`` is called. Not safe for use from several threads.
    """

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "bitgoeul",
        options: Options | None = None,
        binary: Path | None = None,
        report: Report = lambda line: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            directory: Where certificates, data and logs go; created when missing. One that is there is continued.
            options: None: those of the last start, or the defaults.
            binary: None: the cached one, built when missing (minutes; ``report`` tells about it).
            check: Called again and again during a start; raises when it is to end.
        Raises:
            UserError: The folder holds something that is not ours.
        """
        self.layout = Layout(directory.absolute())
        known = load_state(self.layout.directory)
        self.state = known or State(name, options or Options(), read_source().kubernetes)
        if options is not None:
            self.state = replace(self.state, options=options)
        self.report = report
        self._check = check
        self._binary = binary
        self._created_directory = known is None
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lifeline: tuple[int, int] | None = None

    @classmethod
    @contextmanager
    def temporary(
        cls, *, audit: bool = False, kcm_qps: int | None = None, report: Report = lambda line: None
    ) -> Iterator[ControlPlane]:
        """A control plane in a new temporary folder; nothing remains of it afterwards, whatever happens."""
        binary = ensure_binary(report)
        try:
            parent = Path(tempfile.gettempdir())
        except FileNotFoundError as error:
            raise UserError("there is no temporary folder: set TMPDIR to a folder that you may write to") from error
        directory = parent / f"bitgoeul-{secrets.token_hex(8)}"
        audit_log = directory / "audit.log" if audit else None
        with cls(directory, options=Options(audit_log=audit_log, kcm_qps=kcm_qps), binary=binary) as plane:
            yield plane

    def __enter__(self) -> ControlPlane:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def binary(self) -> Path:
        """The binary that holds all components, and kubectl."""
        self._binary = self._binary or ensure_binary(self.report)
        return self._binary

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, certificates inside."""
        return self.layout.admin_kubeconfig

    @property
    def audit_log(self) -> Path | None:
        """JSON lines, one for each write; None when not asked for."""
        return self.state.options.audit_log

    @property
    def ports(self) -> Ports:
        assert self.state.ports is not None, "not started yet"  # noqa: S101
        return self.state.ports

    @property
    def server(self) -> str:
        """The API server's address."""
        return f"https://127.0.0.1:{self.ports.api_server}"

    def pid(self, component: str) -> int:
        """The process id of a component as it was last started."""
        return self.state.processes[component].pid

    # -- starting and stopping the whole

    def start(self, timeout_seconds: float = START_SECONDS) -> None:
        """
        Start everything and wait until it is ready.

        Ready means: the API server says so, the controller manager and the scheduler say so, and namespaces get their
        service account. What is left of an earlier start is ended first. A start that fails, or is interrupted, leaves
        no process, and no folder that was not there.

        Raises:
            UserError: A component ended, the time is up, or the port that was asked for is taken.
        """
        _ = self.binary  # built before anything else begins
        self._end_all(END_GRACE_SECONDS)
        try:
            self._prepare()
            deadline = time.monotonic() + timeout_seconds
            for attempts_left in reversed(range(PORT_ATTEMPTS)):
                try:
                    self._start_components(deadline)
                    return
                except PortTakenError as error:
                    self._end_all(grace_seconds=0)
                    if not attempts_left:
                        raise UserError(f"no free port on 127.0.0.1: {error}") from error
        except BaseException:
            self.stop(keep_data=not self._created_directory)
            raise

    def stop(self, *, keep_data: bool = False) -> None:
        """
        End all processes and remove the folder; may be repeated.

        With ``keep_data`` etcd's files, certificates and keys stay, and a next start goes on with them.
        """
        # What is thrown away needs no orderly end.
        self._end_all(grace_seconds=END_GRACE_SECONDS if keep_data else 0)
        if keep_data:
            self.kubeconfig.unlink(missing_ok=True)
        else:
            shutil.rmtree(self.layout.directory, ignore_errors=True)

    def release(self) -> None:
        """Let the processes go on after this one; from here on only ``stop`` ends them."""
        if self._lifeline:
            os.write(self._lifeline[1], b"." * len(self._children))
        self._close_lifeline()
        for child in self._children.values():
            child.returncode = 0  # no longer ours to wait for; without it Popen warns that it still runs
        self._children.clear()

    # -- single components, for fault tests

    def kill_component(self, component: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End one component and wait until it is gone."""
        process = self.state.processes[component]
        send(process, number)
        if not wait_gone(process, 60):
            raise TimeoutError(f"{component} did not end on {number.name}")
        self._reap()

    def start_component(self, component: str) -> None:
        """Start one component again, with the flags and ports it had; see ``wait_ready``."""
        layout = self.layout
        arguments = [component, *components.flags(component, layout, self.ports, self.state.options)]
        if self._lifeline is None:
            self._lifeline = os.pipe()
        # Nothing of the caller's environment: etcd, kubectl and Go would read settings from it.
        environment = {"PATH": os.defpath, "HOME": str(layout.directory), "BITGOEUL_LIFELINE": "stdin"}
        if self._created_directory:
            environment["BITGOEUL_TEMPORARY"] = str(layout.directory)
        with layout.log(component).open("ab") as log:
            child = spawn(
                arguments,
                executable=self.binary,
                directory=layout.directory,
                environment=environment,
                stdin=self._lifeline[0],
                log=log,
            )
        self._children[component] = child
        self.state = self.state.with_process(component, identify(child.pid))
        save_state(layout.directory, self.state)

    def restart_apiserver(self) -> None:
        """Kill the API server, start it again and wait until all is ready."""
        self.kill_component(API_SERVER)
        self.start_component(API_SERVER)
        self.wait_ready()

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> None:
        """Wait as ``start`` does; a component that was killed and not started again is a UserError."""
        self._wait_ready(time.monotonic() + timeout_seconds)

    def unready(self) -> str | None:
        """The first thing that is not ready; None when all is."""
        checks = [
            ("the API server is not ready", self.ports.api_server, "/readyz"),
            ("the controller manager is not healthy", self.ports.controller_manager, "/healthz"),
            ("the scheduler is not ready", self.ports.scheduler, "/readyz"),
            (
                "namespaces get no service account yet",
                self.ports.api_server,
                "/api/v1/namespaces/default/serviceaccounts/default",
            ),
        ]
        for what, port, path in checks:
            if self.call("GET", path, port=port)[0] != 200:
                return what
        return None

    def call(self, method: str, path: str, body: Any = None, *, port: int | None = None) -> tuple[int, bytes]:
        """Send one request as administrator, to the API server or another component's port; see ``request``."""
        return request(self.layout.pki, port or self.ports.api_server, method, path, body)

    # -- helpers

    def _prepare(self) -> None:
        """Make everything that the components read."""
        layout = self.layout
        try:
            layout.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._change(kubernetes=read_source().kubernetes)
            layout.logs.mkdir(exist_ok=True)
            layout.etcd_data.mkdir(mode=0o700, exist_ok=True)
            ensure_pki(layout.pki.directory)
            layout.audit_policy.write_text(components.AUDIT_POLICY, encoding="utf-8")
        except OSError as error:
            raise UserError(f"{error.filename or layout.directory} cannot be written: {error.strerror}") from error

    def _start_components(self, deadline: float) -> None:
        self._change(ports=choose_ports(self.state.options.port, self.state.ports))
        for old_log in self.layout.logs.iterdir():
            old_log.unlink()  # an error of an earlier start would be taken for one of this
        for client, path in {
            "admin": self.kubeconfig,
            **{component: self.layout.kubeconfig(component) for component in components.CLIENTS},
        }.items():
            write_kubeconfig(path, build_kubeconfig(self.state.name, self.server, self.layout.pki, client))
        self.start_component(ETCD)
        self.start_component(API_SERVER)
        # The controller manager gives up when it finds no API server for ten seconds.
        self._wait(deadline, lambda: None if self.call("GET", "/readyz")[0] == 200 else "the API server is not ready")
        for component in components.CLIENTS:
            self.start_component(component)
        self._wait_ready(deadline)
        self._mark()

    def _mark(self) -> None:
        mark = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": MARK_NAME, "namespace": MARK_NAMESPACE},
            "data": {"name": self.state.name, "kubernetes": self.state.kubernetes},
        }
        status, answer = self.call("POST", f"/api/v1/namespaces/{MARK_NAMESPACE}/configmaps", mark)
        if status not in (201, 409):
            raise UserError(f"the new control plane refused its mark: HTTP {status} {answer.decode()[:200]}")

    def _change(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        save_state(self.layout.directory, self.state)

    def _wait_ready(self, deadline: float) -> None:
        self._wait(deadline, self.unready)

    def _wait(self, deadline: float, missing: Callable[[], str | None]) -> None:
        while what := missing():
            self._reap()
            for component in self.state.processes:
                if not self.state.processes[component].alive:
                    said = last_error(self.layout.log(component))
                    if "address already in use" in said:
                        raise PortTakenError(said)
                    raise UserError(f"{component} ended: {said}")
            if time.monotonic() > deadline:
                raise UserError(f"the control plane did not get ready in time: {what}")
            self._check()
            time.sleep(POLL_SECONDS)
        self._check()

    def _end_all(self, grace_seconds: float) -> None:
        processes = [self.state.processes[name] for name in reversed(COMPONENTS) if name in self.state.processes]
        end(processes, grace_seconds)
        self._close_lifeline()
        for child in self._children.values():
            child.wait()
        self._children.clear()
        if processes and self.layout.directory.exists():
            self._change(processes={})

    def _reap(self) -> None:
        for child in self._children.values():
            child.poll()

    def _close_lifeline(self) -> None:
        lifeline, self._lifeline = self._lifeline, None
        for descriptor in lifeline or ():
            os.close(descriptor)


def last_error(log: Path) -> str:
    """The last line of a log that looks like the reason for an end; else the last line."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    reasons = [line for line in lines if REASON.match(line)]
    return (reasons or lines or ["it said nothing"])[-1][:400]
