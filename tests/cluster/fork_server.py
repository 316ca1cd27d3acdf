"""
Forks commands of bitgoeul from one process that has everything imported: a start costs milliseconds, not a second.

Run as a module. Reads one JSON order a line, and answers with the pid, or with the exit code where the order says that
it is to be waited for. What it has started ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any

from bitgoeul.cli import bundle, calendar, crds, doctor, expiring, plan, pools, queue, run, status, why
from bitgoeul.cli.main import main

# Imported here once, for all children.
COMMANDS = (bundle, calendar, crds, doctor, expiring, plan, pools, queue, run, status, why)

PATIENCE_SECONDS = 180  # a command that should have ended by itself


def serve() -> None:
    """Until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started: list[int] = []
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            become(order)
        if order["wait"]:
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
            continue
        print(pid, flush=True)
        started = [child for child in (*started, pid) if os.waitpid(child, os.WNOHANG)[0] == 0]
    for child in started:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def become(order: dict[str, Any]) -> None:
    """Be the command, as if it had been started by its name."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    if order["wait"]:
        signal.alarm(PATIENCE_SECONDS)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, order["out"]), (2, order["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    main(order["arguments"])


if __name__ == "__main__":
    serve()
