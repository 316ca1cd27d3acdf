"""
The control planes that `bitgoeul up` leaves running: finds them by name, brings them up, takes them down.

Both may be repeated, and both hold one lock for all names, so that two commands never work on the same folder. A
control plane that is half dead is cleaned up and started again on its data.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bitgoeul.errors import UserError
from bitgoeul.local.build import Report, user_directory
from bitgoeul.local.components import Options
from bitgoeul.local.kubeconfig import build_kubeconfig, check_is_ours, owner, write_kubeconfig
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.state import State, load_state, save_state

DEFAULT_NAME = "bitgoeul"
NAME_PATTERN = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


def state_directory() -> Path:
    """``$XDG_STATE_HOME/bitgoeul``, or ``~/.local/state/bitgoeul``."""
    return user_directory("XDG_STATE_HOME", ".local/state") / "bitgoeul"


def directory_of(name: str) -> Path:
    """The folder of a control plane; the name must not lead anywhere else."""
    if not NAME_PATTERN.fullmatch(name):
        raise UserError(f"--name {name!r}: a name has lower-case letters, digits and '-', and at most 40 of them")
    return state_directory() / name


def bring_up(
    name: str, options: Options, kubeconfig: Path | None, report: Report, check: Callable[[], None]
) -> ControlPlane:
    """
    Make sure that a control plane of this name is running, also after we are gone.

    Args:
        options: What is None stays as it is where one is running or has left data.
        kubeconfig: A file that the user wants besides the one in the state directory.
        check: Called again and again during a start; raises when it is to end.
    Raises:
        UserError: It cannot be started, runs with other options, or the file is somebody else's.
    """
    directory = directory_of(name)
    if kubeconfig is not None:
        check_is_ours(kubeconfig, name)
    check_audit_log(options.audit_log)
    with locked(report):
        state = load_state(directory)
        if state is not None and state.processes and not state.dead:
            check_same_options(state, options)
            plane = ControlPlane(directory)
            plane.wait_ready()
            report(f"'{name}' is running already")
        else:
            if state is not None:
                say_how_it_goes_on(state, report)
                options = Options(
                    port=options.port or state.options.port,
                    audit_log=options.audit_log or state.options.audit_log,
                    kcm_qps=options.kcm_qps or state.options.kcm_qps,
                )
            plane = start(directory, name, options, report, check)
        if kubeconfig is not None:
            copy_kubeconfig(plane, kubeconfig)
    return plane


def start(directory: Path, name: str, options: Options, report: Report, check: Callable[[], None]) -> ControlPlane:
    plane = ControlPlane(directory, name=name, options=options, report=report, check=check)
    _ = plane.binary  # a build is not part of the time to start
    started = time.monotonic()
    plane.start()
    plane.release()
    report(f"Kubernetes {plane.state.kubernetes} is ready after {time.monotonic() - started:.1f} s at {plane.server}")
    return plane


def take_down(name: str, *, keep_data: bool, report: Report) -> None:
    """End what `bring_up` started under this name, and remove it; nothing happens when there is nothing."""
    directory = directory_of(name)
    with locked(report):
        state = load_state(directory)
        if state is None:
            report(f"there is no control plane '{name}'")
            return
        ControlPlane(directory).stop(keep_data=keep_data)
        for copy in state.kubeconfigs:
            if owner(copy) == name:
                copy.unlink(missing_ok=True)
        if keep_data:
            save_state(directory, replace(state, processes={}, kubeconfigs=()))
            report(f"'{name}' is down; its data stays in {directory}")
        else:
            report(f"'{name}' is down and removed")


@contextmanager
def locked(report: Report) -> Iterator[None]:
    """Hold the lock of all names. It is on the folder itself, so that no lock file remains."""
    directory = state_directory()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UserError(f"the state directory {directory} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another 'bitgoeul up' or 'down' is at work: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_audit_log(path: Path | None) -> None:
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise UserError(f"--audit-log {path}: not a file in a folder that exists")


def check_same_options(state: State, wanted: Options) -> None:
    """A running control plane does not change: other options need a restart, which is not ours to decide."""
    has = state.options
    port = state.ports.api_server if state.ports else None
    changes = {
        "--port": (wanted.port, port),
        "--audit-log": (wanted.audit_log, has.audit_log),
        "--kcm-qps": (wanted.kcm_qps, has.kcm_qps),
    }
    for option, (new, old) in changes.items():
        if new is not None and new != old:
            running = f"{option} {old}" if old is not None else f"no {option}"
            change = f"bitgoeul down --keep-data --name {state.name}"
            raise UserError(f"'{state.name}' is running with {running}: to change that, run '{change}' first")


def say_how_it_goes_on(state: State, report: Report) -> None:
    if state.processes:
        report(f"'{state.name}' is not whole ({', '.join(state.dead)} ended): starting it again on its data")
    else:
        report(f"'{state.name}' goes on with the data it has")


def copy_kubeconfig(plane: ControlPlane, path: Path) -> None:
    write_kubeconfig(path, build_kubeconfig(plane.state.name, plane.server, plane.layout.pki, "admin"))
    if path not in plane.state.kubeconfigs:
        plane.state = replace(plane.state, kubeconfigs=(*plane.state.kubeconfigs, path))
        save_state(plane.layout.directory, plane.state)
