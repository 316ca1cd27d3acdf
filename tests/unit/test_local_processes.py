"""Processes are known again by more than their pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bitgoeul.local.processes import end, identify, listening_addresses, send

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process and wait until it runs its program."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    return child


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that would run for ten minutes."""
    child = start(SLEEPER)
    yield child
    child.kill()
    child.wait()


def test_a_recycled_pid_is_never_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    """A process with our pid but another start time, or of another boot, is somebody else's."""
    ours = identify(sleeper.pid)
    for stranger in (replace(ours, started=ours.started - 1), replace(ours, boot="another")):
        assert not stranger.alive
        end([stranger], grace_seconds=0)
    assert ours.alive
    assert sleeper.poll() is None


def test_an_obedient_process_ends_on_being_asked(sleeper: subprocess.Popen[bytes]) -> None:
    """A process that obeys ends by SIGTERM."""
    end([identify(sleeper.pid)], grace_seconds=10)
    assert sleeper.wait() == -signal.SIGTERM


def test_a_stubborn_process_is_killed_after_its_grace() -> None:
    """Nothing stays behind, whatever it does with SIGTERM."""
    child = start(STUBBORN)
    end([identify(child.pid)], grace_seconds=0.2)
    assert child.wait() == -signal.SIGKILL


def test_a_zombie_counts_as_gone(sleeper: subprocess.Popen[bytes]) -> None:
    """Where nobody collects the dead, ``down`` must not wait for them."""
    ours = identify(sleeper.pid)
    end([ours], grace_seconds=0)
    assert not ours.alive
    send(ours, signal.SIGTERM)  # nothing happens


def test_listening_addresses_are_those_of_one_process() -> None:
    """What a process listens on is read from the kernel, not from its flags."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert listener.getsockname() in listening_addresses(os.getpid())
