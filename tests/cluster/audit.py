"""What the audit log says about the operator: its writes, and how many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bitgoeul.local.launcher import ControlPlane

OPERATOR_AGENT = "bitgoeul/"


def mark(plane: ControlPlane) -> int:
    """A place in the log: its present end."""
    assert plane.audit_log is not None
    return plane.audit_log.stat().st_size


def writes_since(plane: ControlPlane, place: int, names: Iterable[str]) -> list[str]:
    """Writes of the operator to objects of these names, or in namespaces of these names, as ``verb resource name``."""
    assert plane.audit_log is not None
    wanted = set(names)
    with plane.audit_log.open("rb") as log:
        log.seek(place)
        lines = log.read().split(b"\n")[:-1]  # what is being written now is not complete
    found = []
    for line in lines:
        entry: dict[str, Any] = json.loads(line)
        target = entry.get("objectRef") or {}
        about = {target.get("name"), target.get("namespace")}
        if entry.get("userAgent", "").startswith(OPERATOR_AGENT) and about & wanted:
            parts = (entry["verb"], target["resource"], target.get("subresource", ""), target.get("name", ""))
            found.append(" ".join(part for part in parts if part))
    return found
