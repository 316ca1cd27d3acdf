"""
The operator as a process of its own, as users run it, and what can be seen of it from outside.

Nothing is imported from it: what it has done is read from its metrics, and what it costs from the kernel.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

import bitgoeul
from tests.benchmarks.client import STEP_SECONDS

METRICS_AT = re.compile(r"metrics on (http://\S+)")
WARNING = re.compile(r"^\S+ (WARNING|ERROR|CRITICAL) ")
END_SECONDS = 15.0
QUIET_SECONDS = 1.0
LOOK_SECONDS = 0.05

Labels = tuple[str, ...]


class Done(NamedTuple):
    """What the operator has done so far; it stands still when nothing is going on."""

    passes: float
    plans: float
    requests: float  # those for the Lease are left out


@dataclass(frozen=True)
class Scrape:
    """The operator's own metrics at one moment; the labels' values in the order of the labels' names."""

    series: dict[str, dict[Labels, float]]

    def total(self, name: str) -> float:
        """The sum over all series of a name; 0 when there is none."""
        return sum(self.series.get(name, {}).values())

    def since(self, earlier: Scrape, name: str) -> dict[Labels, float]:
        """What each series has grown by; those that have not are left out."""
        before = earlier.series.get(name, {})
        grown = {labels: value - before.get(labels, 0) for labels, value in self.series.get(name, {}).items()}
        return {labels: value for labels, value in grown.items() if value}

    @property
    def leading(self) -> bool:
        return self.total("bitgoeul_leading") == 1

    @property
    def done(self) -> Done:
        requests = self.series.get("bitgoeul_kube_requests_total", {})
        return Done(
            passes=self.total("bitgoeul_reconcile_total"),
            plans=self.total("bitgoeul_plan_duration_seconds_count"),
            requests=sum(number for labels, number in requests.items() if "leases" not in labels),
        )


@contextmanager
def frozen_source() -> Iterator[None]:
    """Have operators of this block run from a copy of the source as it is now: a run takes minutes, and edits go on."""
    with tempfile.TemporaryDirectory(prefix="bitgoeul-source-") as folder:
        package = Path(bitgoeul.__file__).parent
        shutil.copytree(package, Path(folder) / package.name, symlinks=True)
        os.environ["PYTHONPATH"] = folder
        try:
            yield
        finally:
            del os.environ["PYTHONPATH"]


class OperatorProcess:
    """One run of ``bitgoeul run``, from its start to ``end``."""

    def __init__(self, kubeconfig: Path, log: Path) -> None:
        command = Path(sysconfig.get_path("scripts")) / "bitgoeul"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [command, "run", "--kubeconfig", kubeconfig, "--metrics-port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for us; we end it
            )
        self._log = log
        self.pid = self._process.pid

    async def end(self) -> None:
        """SIGTERM, and after a grace SIGKILL; may be repeated."""
        deadline = time.monotonic() + END_SECONDS
        self._process.send_signal(signal.SIGTERM)
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                self._process.kill()
            await asyncio.sleep(LOOK_SECONDS)

    async def scrape(self) -> Scrape | None:
        """Its metrics; None while nothing answers there yet."""
        if self._process.poll() is not None:
            raise RuntimeError(f"the operator ended: {(self._lines() or ['it said nothing'])[-1]}")
        address = METRICS_AT.search(self._log.read_text())
        if address is None:
            return None
        async with aiohttp.ClientSession() as session, session.get(address[1]) as answer:
            text = await answer.text()
        series: dict[str, dict[Labels, float]] = defaultdict(dict)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                series[sample.name][tuple(sample.labels[key] for key in sorted(sample.labels))] = sample.value
        return Scrape(dict(series))

    async def settled(self, seconds: float = STEP_SECONDS) -> Scrape:
        """
        Wait until it leads, has looked at something, and has done nothing for a second.

        Raises:
            TimeoutError: It does not come to rest.
        """
        deadline = time.monotonic() + seconds
        last: Scrape | None = None
        while True:
            current = await self.scrape()
            if current and last and current.leading and current.done.passes and current.done == last.done:
                return current
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"the operator is not at rest within {seconds:g} s: {current.done if current else 'no metrics'}"
                )
            last = current
            await asyncio.sleep(QUIET_SECONDS if current else LOOK_SECONDS)

    def warnings(self) -> list[str]:
        """What it has warned of so far."""
        return [line for line in self._lines() if WARNING.match(line)]

    def _lines(self) -> list[str]:
        return self._log.read_text().strip().splitlines()
