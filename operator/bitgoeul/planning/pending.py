"""
Pods of tenants that no node takes: what a tenant was granted and cannot have.

Takes pods as the API server lists them, and gives one small value for each allocation. Pure; the clock is an argument.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bitgoeul.planning.moments import day, moment
from bitgoeul.planning.observed import NamespaceView
from bitgoeul.planning.pods import devices_of

#: How long a pod waits for a node before that is worth a word: an autoscaler may bring one until then.
PENDING_AFTER = timedelta(minutes=10)
GATED = "SchedulingGated"  # held back on purpose, by whoever queues the pods
MAX_WHY = 500


@dataclass(frozen=True, slots=True)
class PendingPods:
    """Those of one allocation; ``since`` and ``why`` are of the one that has waited longest."""

    pods: int
    with_devices: int  # of these, how many ask for devices
    since: datetime
    why: str  # in the scheduler's words


Pending = Mapping[str, PendingPods]  # by UID of the allocation


def find_pending(
    pods: Iterable[Mapping[str, Any]],
    namespaces: Mapping[str, NamespaceView],
    now: datetime,
    after: timedelta = PENDING_AFTER,
) -> dict[str, PendingPods]:
    """
    Find the pods of tenants that have had no node for long.

    Args:
        pods: In any order; those that are scheduled, gated or being deleted are passed over.
        namespaces: By name; those without an allocation are passed over.
        now: Real time: pods carry the time of the API server.
    """
    found: dict[str, list[tuple[datetime, str, bool, str]]] = {}
    for pod in pods:
        metadata = pod["metadata"]
        namespace = namespaces.get(metadata.get("namespace", ""))
        if namespace is None or not namespace.allocation_uid or namespace.retained:
            continue
        wait = unscheduled(pod)
        if wait is None or wait[0] + after > now:
            continue
        since, why = wait
        found.setdefault(namespace.allocation_uid, []).append(
            (since, f"{namespace.name}/{metadata.get('name', '')}", any(devices_of(pod).values()), why)
        )
    result = {}
    for uid, waits in found.items():
        since, _, _, why = min(waits)
        result[uid] = PendingPods(len(waits), sum(devices for _, _, devices, _ in waits), since, why)
    return result


def unscheduled(pod: Mapping[str, Any]) -> tuple[datetime, str] | None:
    """Since when a pod has waited for a node, and why; None: it does not wait for one."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    if metadata.get("deletionTimestamp") or spec.get("nodeName") or status.get("phase", "Pending") != "Pending":
        return None
    said = [row for row in status.get("conditions") or () if row.get("type") == "PodScheduled"]
    if not said:
        created = read_time(metadata.get("creationTimestamp"))
        scheduler = spec.get("schedulerName") or "default-scheduler"
        return (created, f"no scheduler has looked at it; it asks for {scheduler}"[:MAX_WHY]) if created else None
    (row,) = said[:1]
    since = read_time(row.get("lastTransitionTime") or metadata.get("creationTimestamp"))
    if since is None or row.get("status") == "True" or row.get("reason") == GATED:
        return None
    return since, " ".join(str(row.get("message") or row.get("reason") or "no reason is given").split())[:MAX_WHY]


def read_time(raw: object) -> datetime | None:
    """A time of the API server; None where it cannot be read."""
    try:
        return datetime.fromisoformat(raw).astimezone(UTC) if isinstance(raw, str) else None
    except ValueError:
        return None


def pending_text(found: PendingPods) -> str:
    """What is told of them; as long as the same pods wait for the same reason it is the same to the letter."""
    pods, devices = found.pods, found.with_devices
    which = "" if devices == pods else f" ({devices} of them ask{'s' if devices == 1 else ''} for devices)"
    which = " (for no devices)" if not devices else which
    verb = "pods have" if pods != 1 else "pod has"
    return f"{pods} {verb} been Pending since {day(moment(found.since))}{which}: {found.why}"
