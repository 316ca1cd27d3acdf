"""Describes where and when a run was made: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bitgoeul import __version__
from bitgoeul.local.build import read_source
from tests.benchmarks.processes import CPUS, busy_seconds

SAMPLE_SECONDS = 2.0


def describe(arguments: Sequence[str]) -> Mapping[str, str]:
    """What a reader needs to judge the figures and to repeat them, in the order in which it is shown."""
    return {
        "machine": f"{CPUS} CPUs ({cpu_model()}), {memory_gb():.0f} GB, Linux {platform.release()}",
        "software": f"Python {platform.python_version()}, Kubernetes v{read_source().kubernetes.lstrip('v')}",
        "version": f"bitgoeul {__version__}, {commit()}",
        "etcd": "on a temporary folder, --unsafe-no-fsync",
        "before the run": f"{busy_share(SAMPLE_SECONDS):.0%} of the CPUs were busy with something else",
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join(["python -m tests.benchmarks", *arguments]),
    }


def cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def memory_gb() -> float:
    """10⁹ bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def commit() -> str:
    """The commit that was measured, and whether files differed from it."""
    found = subprocess.run(["git", "describe", "--always", "--dirty=, with changes"], capture_output=True, text=True)
    return f"commit {found.stdout.strip()}" if found.returncode == 0 else "no git repository"


def busy_share(seconds: float) -> float:
    """How much of all CPUs is in use, by anybody, over so many seconds from now."""
    before = busy_seconds()
    time.sleep(seconds)
    return (busy_seconds() - before) / (seconds * CPUS)
