"""Commands that only look, as people and programs run them, and their answers in a form that can be compared."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import Manifest
from tests.cluster.faults import Finished, ForkServer

DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\dZ)?")
HEADER = re.compile(r"[A-Z][A-Z ]+  [A-Z]")
LENGTH = re.compile(r"\b\d+(d(\d+h)?|h(\d+m)?|m(\d+s)?)(?![\w.])")


class Asker:
    """Runs commands against the cluster of a world."""

    def __init__(self, commands: ForkServer, plane: ControlPlane, folder: Path) -> None:
        self._commands = commands
        self.kubeconfig = plane.kubeconfig
        self._folder = folder

    def run(self, *arguments: str, kubeconfig: Path | None = None) -> Finished:
        return self._commands.run(*arguments, f"--kubeconfig={kubeconfig or self.kubeconfig}")

    def table(self, *arguments: str) -> list[str]:
        """The lines that a person sees."""
        finished = self.run(*arguments)
        assert (finished.code, finished.err) == (0, ""), finished
        return finished.out.splitlines()

    def json(self, *arguments: str) -> dict[str, Any]:
        """What a program sees."""
        finished = self.run(*arguments, "-o", "json")
        assert (finished.code, finished.err) == (0, ""), finished
        return self.read_json(finished)

    @staticmethod
    def read_json(finished: Finished) -> dict[str, Any]:
        """What it has printed, as a value."""
        found: dict[str, Any] = json.loads(finished.out)
        return found

    def refusal(self, *arguments: str) -> str:
        """The one line that a failure says."""
        finished = self.run(*arguments)
        assert (finished.code, finished.out, len(finished.err.splitlines())) == (1, "", 1), finished
        return finished.err.removeprefix("Error: ").strip()

    def file(self, *objects: Manifest | str) -> str:
        """A file with these documents; gives its path."""
        path = self._folder / "new.yaml"
        path.write_text("---\n".join(one if isinstance(one, str) else yaml.safe_dump(one) for one in objects))
        return str(path)


def hours_ahead(hours: float) -> str:
    """A moment as people write it; whole minutes, so that it reads back equal."""
    moment = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=hours)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def pinned(lines: list[str], suffix: str) -> list[str]:
    """
    Lines as they are in every run: without a world's suffix, and without how wide columns are.

    Dates become DATE, and lengths of time LENGTH.
    """
    plain = (LENGTH.sub("LENGTH", DATE.sub("DATE", line.replace(f"-{suffix}", ""))) for line in lines)
    return [re.sub(r"(?<=\S) {2,}", "  ", line) for line in plain]


def of_world(lines: list[str], suffix: str) -> list[str]:
    """The headers of tables, and the lines about one world: tests share a control plane."""
    return [line for line in lines if suffix in line or HEADER.match(line)]
