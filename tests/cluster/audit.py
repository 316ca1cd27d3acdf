"""What the audit log says about the operator: its writes, and how many there are."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.waiting import eventually

OPERATOR_AGENT = "bitgoeul/"
# Longer than the operator holds back what is not urgent.
QUIET_SECONDS = 3.0
SETTLING_SECONDS = 180.0
TAIL_BYTES = 2**17  # more than any line has


def mark(plane: ControlPlane) -> int:
    """A place in the log: the end of its last whole line."""
    assert plane.audit_log is not None
    with plane.audit_log.open("rb") as log:
        begin = max(0, log.seek(0, os.SEEK_END) - TAIL_BYTES)
        log.seek(begin)
        return begin + log.read().rfind(b"\n") + 1


def entries(plane: ControlPlane, place: int = 0) -> Iterator[dict[str, Any]]:
    """What has been written to the log since a place."""
    assert plane.audit_log is not None
    with plane.audit_log.open("rb") as log:
        log.seek(place)
        lines = log.read().split(b"\n")[:-1]  # what is being written now is not complete
    yield from map(json.loads, lines)


def await_quiet(plane: ControlPlane, writes: Callable[[int], Sized]) -> None:
    """Wait until ``writes`` since a place in the log have stopped for a while: figures follow a little later."""
    place, since = mark(plane), time.monotonic()

    def quiet() -> bool:
        nonlocal place, since
        now = mark(plane)
        if len(writes(place)):
            place, since = now, time.monotonic()
        return time.monotonic() > since + QUIET_SECONDS

    eventually(quiet, "nothing is written any more", SETTLING_SECONDS)


def writes_since(plane: ControlPlane, place: int, names: Iterable[str]) -> list[str]:
    """Writes of the operator to objects of these names, or in namespaces of these names, as ``verb resource name``."""
    wanted = set(names)
    found = []
    for entry in entries(plane, place):
        target = entry.get("objectRef") or {}
        about = {target.get("name"), target.get("namespace")}
        if entry.get("userAgent", "").startswith(OPERATOR_AGENT) and about & wanted:
            parts = (entry["verb"], target["resource"], target.get("subresource", ""), target.get("name", ""))
            found.append(" ".join(part for part in parts if part))
    return found
