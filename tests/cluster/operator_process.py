"""`bitgoeul run` as a process of its own, as users run it: start, wait until it leads, end it in several ways."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import bitgoeul
from tests.cluster.waiting import PATIENCE_SECONDS, eventually

# The same code as the tests import, wherever it comes from.
SOURCE = Path(bitgoeul.__file__).parents[1]

START_SECONDS = 90
# By its own limits it ends within 7 s, also where nothing answers. One that waited for an answer would take 10 s.
STOP_SECONDS = 9
# The kernel ends it with us, even if we are killed ourselves. 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
RUN = "import ctypes; ctypes.CDLL(None).prctl(1, 9); from bitgoeul.cli.main import main; main()"
# Has it say at SIGUSR1 where its threads are.
SHOW_STACKS = "import faulthandler, signal; faulthandler.register(signal.SIGUSR1); "
STACKS = "most recent call first"  # what faulthandler says above each stack


class OperatorProcess:
    """
    One instance; use it as a context manager, or ``start`` and ``stop`` it.

    Attributes:
        log: Everything that it has said, from all its starts.

    ``prelude`` is Python that runs before it, and changes what no option does.
    """

    def __init__(self, kubeconfig: Path, log: Path, *options: str, prelude: str = "") -> None:
        self.log = log
        self._command = [
            sys.executable,
            "-c",
            SHOW_STACKS + prelude + RUN,
            "run",
            f"--kubeconfig={kubeconfig}",
            "--metrics-port=0",
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0  # size of the log when the present process started

    def __enter__(self) -> OperatorProcess:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive:
            self.kill()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll() if self._process is not None else None

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started yet"
        return self._process.pid

    def start(self, *, leading: bool = True) -> None:
        """Start it; with ``leading`` wait until it acts, else a standby is fine."""
        assert not self.alive, "it runs already"
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_for("leading as " if leading else "metrics on ")

    def revive(self) -> None:
        """Start it again if it was ended."""
        if not self.alive:
            self.start()

    def wait_for(self, text: str, seconds: float = START_SECONDS) -> None:
        """Wait until its present process has said something; an AssertionError with its log when it ends instead."""

        def said() -> bool:
            if text in self.said():
                return True
            if not self.alive:
                raise RuntimeError(f"the operator ended before it said {text!r}:\n{self.said()}")
            return False

        eventually(said, f"the operator says {text!r}", seconds)

    def wait_for_end(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait until it has ended by itself, and give its exit code; an AssertionError with its log when it goes on."""
        assert self._process is not None, "not started yet"
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGUSR1)
            eventually(lambda: STACKS in self.said(), "it says where its threads are")
            raise AssertionError(f"the operator has not ended within {seconds:g} s:\n{self.said()}") from None

    def stop(self) -> int:
        """End it as Kubernetes would, and give its exit code; AssertionError when it takes longer than promised."""
        assert self._process is not None, "not started yet"
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM did not end the operator in {STOP_SECONDS} s") from None

    def kill(self) -> None:
        """End it without any warning."""
        assert self._process is not None, "not started yet"
        self._process.kill()
        self._process.wait()

    def said(self) -> str:
        """The log of its present process."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._said_before :].decode(errors="replace")

    @property
    def metrics_address(self) -> str:
        """Where its present process tells its metrics, as ``host:port``."""
        found = re.search(r"metrics on http://([0-9.]+:\d+)/metrics", self.said())
        assert found is not None, "it has not said where its metrics are"
        return found[1]

    def fetch(self, path: str) -> tuple[int, str]:
        """Status and body of a GET on its own HTTP port."""
        try:
            with urllib.request.urlopen(f"http://{self.metrics_address}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
