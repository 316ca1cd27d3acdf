"""How the operator's process ends when it cannot go on."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

STUCK = """\
import asyncio
from bitgoeul.cli import run

async def holds_on():
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass

async def work():
    asyncio.create_task(holds_on())
    await asyncio.sleep(0)
    ENDING

run.LAST_SECONDS = 0.1
asyncio.run(work())
"""


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ('raise run.give_up("cannot go on: a kind was removed")', 1, "Error: cannot go on: a kind was removed\n"),
        ("run.end_in_any_case(0)", 0, ""),
    ],
)
def test_it_ends_although_something_never_lets_go(ending: str, code: int, said: str) -> None:
    """With the reason in its last line; who waits for the loop would wait for ever."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", STUCK.replace("ENDING", ending)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (code, said)
