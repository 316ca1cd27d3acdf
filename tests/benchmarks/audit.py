"""
Counts writes where they cannot be hidden: in the API server's audit log.

A write is any request that is no get, list or watch, whatever became of it. Leases are left out, whoever renews them;
dry runs store nothing and are told apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import orjson

from tests.benchmarks.figures import Detail

OPERATOR = "bitgoeul/"
LEASES = "leases"


@dataclass(frozen=True, slots=True)
class Write:
    """One request as the API server answered it."""

    agent: str
    verb: str
    resource: str  # with the subresource, as "tenantallocations/status"
    subject: str  # namespace/name; the name is missing where the API server made one up
    status: int
    dry_run: bool
    received: float  # seconds since 1970, to the microsecond
    answered: float

    @property
    def of_operator(self) -> bool:
        return self.agent.startswith(OPERATOR)

    @property
    def label(self) -> str:
        """The verb, and that it was only tried."""
        return f"{self.verb}, dry run" if self.dry_run else self.verb


class AuditLog:
    """The log of a running control plane; ``mark`` remembers where it ends now."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> int:
        return self._path.stat().st_size

    def since(self, mark: int) -> list[Write]:
        """Everything that was answered after the mark, but Leases."""
        with self._path.open("rb") as log:
            log.seek(mark)
            lines = log.read().splitlines(keepends=True)
        writes = [read(line) for line in lines if line.endswith(b"\n")]
        return [write for write in writes if write.resource != LEASES]


def read(line: bytes) -> Write:
    entry = orjson.loads(line)
    about = entry.get("objectRef") or {}
    resource = about.get("resource", "other")
    return Write(
        agent=entry.get("userAgent", ""),
        verb=entry["verb"],
        resource=f"{resource}/{about['subresource']}" if about.get("subresource") else resource,
        subject=f"{about.get('namespace', '')}/{about.get('name', '')}",
        status=(entry.get("responseStatus") or {}).get("code", 0),
        dry_run="dryRun=All" in entry.get("requestURI", ""),
        received=datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp(),
        answered=datetime.fromisoformat(entry["stageTimestamp"]).timestamp(),
    )


def stored_by_operator(writes: Iterable[Write]) -> int:
    """How many of the writes are the operator's, dry runs left out."""
    return sum(write.of_operator and not write.dry_run for write in writes)


def writes_by_anybody(title: str, writes: Iterable[Write]) -> Detail:
    """Who wrote what how often, with one example each; the operator first."""
    groups: dict[tuple[bool, str, str, str, int], list[str]] = defaultdict(list)
    for write in writes:
        key = (not write.of_operator, write.agent.split("/")[0], write.label, write.resource, write.status)
        groups[key].append(write.subject)
    return Detail(
        title,
        ("who", "verb", "resource", "status", "times", "first"),
        tuple(
            (who, verb, resource, str(status), str(len(subjects)), subjects[0])
            for (_, who, verb, resource, status), subjects in sorted(groups.items())
        ),
    )
