"""What Linux says of processes: the CPU time that they have had, their memory, and what is left for others."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CPUS = os.cpu_count() or 1


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads so far, in steps of 10 ms."""
    # The name in parentheses may hold anything; fields 14 and 15 are counted from its end.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def busy_seconds() -> float:
    """CPU time that all processes, and the host of a virtual machine, have used since boot."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far, or between two looks; ``processes`` are those that take part, by name."""

    elapsed: float
    everybody: float
    processes: Mapping[str, float]

    @classmethod
    def now(cls, pids: Mapping[str, int]) -> Usage:
        taking_part = {**pids, "benchmark": os.getpid()}
        return cls(time.monotonic(), busy_seconds(), {name: cpu_seconds(pid) for name, pid in taking_part.items()})

    def since(self, before: Usage) -> Usage:
        return Usage(
            self.elapsed - before.elapsed,
            self.everybody - before.everybody,
            {name: seconds - before.processes[name] for name, seconds in self.processes.items()},
        )

    @property
    def others(self) -> float:
        """Share of the machine's CPUs, 0 to 1, that was used by processes that do not take part."""
        return max(0.0, self.everybody - sum(self.processes.values())) / (self.elapsed * CPUS)


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MB (10⁶ bytes): now, and at most since the process began."""

    now: float
    peak: float


def memory(pid: int) -> Memory:
    """Pages shared with others count in full, so this is an upper bound."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return Memory(kib["VmRSS"] * 1024 / 1e6, kib["VmHWM"] * 1024 / 1e6)
