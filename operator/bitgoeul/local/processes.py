"""
Starts processes, knows them again later, and ends exactly those.

A process is remembered by its pid, the kernel's start time and the boot: a pid alone is handed out again, and then
somebody else's process would be killed. Linux only: it reads ``/proc`` and signals through pidfds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.02


@dataclass(frozen=True)
class ProcessId:
    """One process of one boot of this machine."""

    pid: int
    started: int  # clock ticks after boot
    boot: str

    @property
    def alive(self) -> bool:
        """Whether exactly this process is still running; a zombie is not."""
        running, started = read_stat(self.pid)
        return running and started == self.started and self.boot == boot_id()


def identify(pid: int) -> ProcessId:
    """Remember a child that we have not waited for, so that its pid cannot be another's yet."""
    return ProcessId(pid, read_stat(pid)[1], boot_id())


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read_stat(pid: int) -> tuple[bool, int]:
    """Whether a process runs, and its start time; (False, -1) when there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False, -1
    # The second field is the name in parentheses and may hold anything; the others (3, 20 and 22) count from its end.
    fields = text.rpartition(")")[2].split()
    state, threads, started = fields[0], int(fields[17]), int(fields[19])
    # The first thread turns into a zombie before the others, which may still hold ports.
    return state not in "ZX" or threads > 1, started


def spawn(
    arguments: Sequence[str],
    *,
    executable: Path,
    directory: Path,
    environment: Mapping[str, str],
    stdin: int,
    log: IO[bytes],
) -> subprocess.Popen[bytes]:
    """Start a process in its own session (a terminal's Ctrl-C is not for it); ``arguments[0]`` is its name."""
    return subprocess.Popen(
        arguments,
        executable=executable,
        cwd=directory,
        env=dict(environment),
        stdin=stdin,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def send(process: ProcessId, number: signal.Signals) -> None:
    """Signal exactly this process; nothing happens when it is gone."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            # Checked while the handle is held: the pid cannot change its owner in between.
            if process.alive:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def end(processes: Iterable[ProcessId], grace_seconds: float) -> None:
    """
    Ask the processes to end, one after the other, and kill each that is still there after its grace.

    A grace of 0 kills all of them at once.
    """
    processes = list(processes)
    if grace_seconds == 0:
        for process in processes:
            send(process, signal.SIGKILL)
    for process in processes:
        if grace_seconds > 0:
            send(process, signal.SIGTERM)
            if wait_gone(process, grace_seconds):
                continue
            send(process, signal.SIGKILL)
        wait_gone(process, 10)


def wait_gone(process: ProcessId, seconds: float) -> bool:
    """Wait until the process is gone; False when it is not within the time."""
    deadline = time.monotonic() + seconds
    while process.alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def listening_addresses(pid: int) -> list[tuple[str, int]]:
    """The TCP addresses (IPv4 dotted, IPv6 as 32 hex digits; port) that a process listens on."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == "0A" and fields[9] in inodes:  # 0A: LISTEN
                octets = ".".join(str(byte) for byte in reversed(bytes.fromhex(address)))
                found.append((octets if table == "tcp" else address, int(port, 16)))
    return found
