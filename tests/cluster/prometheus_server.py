"""A real Prometheus server that scrapes what a test runs, and answers queries."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bitgoeul.local.processes import listening_addresses
from tests.cluster.waiting import eventually
from tests.prometheus import Tools

# Short, so that tests need not wait; rates over a minute still have dozens of samples.
INTERVAL = "1s"
JOB = "bitgoeul"
START_SECONDS = 60
# The kernel ends it with us, even if we are killed ourselves. 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
RUN = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


class Sample(NamedTuple):
    """One series of an answer: its labels with ``__name__``, and its value."""

    labels: dict[str, str]
    value: float


class QueryError(Exception):
    """Prometheus refuses a query, and says why."""


class Prometheus:
    """
    One server with its data in a folder of its own; a context manager.

    Args:
        tools: The programs.
        folder: For its data, configuration and log; empty.
        target: What it scrapes, as ``host:port``.
        rules: Files with rule groups.
        labels: What every series gets, such as the name of a cluster. With several sets of labels the target is scraped
            once for each, as if it were so many.
    """

    def __init__(
        self,
        tools: Tools,
        folder: Path,
        target: str,
        rules: Sequence[Path] = (),
        labels: Sequence[Mapping[str, str]] = ({},),
    ) -> None:
        self._binary = tools.prometheus
        self._folder = folder
        self.log = folder / "log"
        targets = [{"targets": [target], "labels": dict(each)} for each in labels]
        configuration = {
            "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
            "scrape_configs": [{"job_name": JOB, "static_configs": targets}],
            "rule_files": [str(path) for path in rules],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def __enter__(self) -> Prometheus:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    RUN,
                    self._binary,
                    f"--config.file={self._folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={self._folder / 'data'}",
                    "--web.listen-address=127.0.0.1:0",
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._url = eventually(self._address, "Prometheus listens", START_SECONDS)
            eventually(self._ready, "Prometheus is ready", START_SECONDS)
            eventually(lambda: self.query(f'up{{job="{JOB}"}} == 1'), "Prometheus has scraped", START_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def query(self, expression: str) -> list[Sample]:
        """
        The answer to an instant query, now; a scalar is one sample without labels.

        Raises:
            QueryError: The query is wrong.
        """
        answer = self._get("query", query=expression)
        if answer["resultType"] == "scalar":
            return [Sample({}, float(answer["result"][1]))]
        return [Sample(one["metric"], float(one["value"][1])) for one in answer["result"]]

    def label_values(self, label: str, selector: str) -> list[str]:
        """The values that a label has among the series of a selector."""
        values: list[str] = self._get(f"label/{label}/values", **{"match[]": selector})
        return values

    def rules(self) -> list[dict[str, Any]]:
        """Every rule of every group, with its health, last error and, for an alert, its alerts."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def firing(self) -> set[tuple[str, str]]:
        """Name and state (pending, firing) of the alerts that are there."""
        return {(one["labels"]["alertname"], one["state"]) for one in self._get("alerts")["alerts"]}

    def _get(self, path: str, **arguments: str) -> Any:
        url = f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own process
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise QueryError(f"{json.load(error)['error']}: {arguments}") from None

    def _address(self) -> str:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Prometheus ended:\n{self.log.read_text()}")
        return next((f"http://{host}:{port}" for host, port in listening_addresses(self._process.pid)), "")

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=10) as answer:  # noqa: S310 - our own process
                return bool(answer.status == 200)
        except OSError:
            return False

    def _end(self) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
