"""
The status of an allocation: one place that turns what was decided and what was achieved into phase and conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bitgoeul.api.conditions import REFUSALS, Condition, ConditionType, Phase, Reason, merge_conditions
from bitgoeul.api.quantities import format_bytes
from bitgoeul.planning.allocations import Allocation, Amounts
from bitgoeul.planning.checks import amount_text
from bitgoeul.planning.plan import Decision, QueueEntry
from bitgoeul.planning.pools import PoolKind

MAX_SUMMARY = 1024  # as the schema says; 16 pools with the longest names go beyond


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace as status remembers it: its UID (empty: not seen yet), and what it is to hold in the end."""

    uid: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the enforcement of a grant has come."""

    ready: bool = False
    reason: Reason = Reason.PROVISIONING
    message: str = "namespaces and quotas are being made"
    namespaces: Mapping[str, bool] = field(default_factory=dict)  # name → ready
    places: Mapping[str, Place] = field(default_factory=dict)
    excess: Amounts = field(default_factory=dict)  # in use beyond what is asked for
    draining: bool = False
    provisioned: bool = True  # False: something that does not keep members out could not be made
    failed: bool = False  # the API server refuses something for good; retrying is slow


def build_allocation_status(
    allocation: Allocation,
    decision: Decision,
    grant: Amounts,
    in_use: Amounts,
    progress: Progress,
    written: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """
    Build the whole status.

    Args:
        grant: What status.grant is to say; the caller answers for it.
        written: The status as it stands, for transition times.
        now: Wall time.
    """
    admitted = decision.admitted
    ready = admitted and progress.ready and not allocation.deleting
    status: dict[str, Any] = {
        "observedGeneration": allocation.generation,
        "phase": str(phase_of(allocation, decision, ready)),
        "summary": {
            "accelerators": devices_text(grant if admitted else allocation.ask),
            "namespaces": f"{sum(progress.namespaces.values())}/{len(progress.namespaces)}" if admitted else "",
        },
        "conditions": merge_conditions(
            conditions(allocation, decision, grant, progress, ready),
            written.get("conditions") or (),
            allocation.generation,
            now,
        ),
    }
    if admitted:
        status["grant"] = holdings(grant)
        status["inUse"] = holdings(in_use)
        # While nothing was looked at, what is remembered stays.
        seen = bool(progress.namespaces)
        rows = [{"name": name, "ready": done} for name, done in progress.namespaces.items()]
        status["namespaces"] = rows if seen else written.get("namespaces") or []
        status["shares"] = share_rows(progress) if seen else written.get("shares") or []
    if decision.queue is not None:
        status["queue"] = queue_status(decision.queue)
    return status


def share_rows(progress: Progress) -> list[dict[str, Any]]:
    """One row for each namespace: which one it is, and what it is to hold in the end."""
    places = {name: progress.places.get(name, Place("", {})) for name in progress.namespaces}
    return [{"name": name, "uid": place.uid, **holdings(place.amounts)} for name, place in places.items()]


def phase_of(allocation: Allocation, decision: Decision, ready: bool) -> Phase:
    """The one word for people."""
    if allocation.deleting:
        return Phase.PENDING
    if decision.admitted:
        return Phase.ACTIVE if ready else Phase.PENDING
    return Phase.REFUSED if decision.reason in REFUSALS else Phase.WAITING


def conditions(
    allocation: Allocation, decision: Decision, grant: Amounts, progress: Progress, ready: bool
) -> list[Condition]:
    """All conditions; Ready is computed here and nowhere else."""
    reason, message = decision.reason, decision.message
    if allocation.deleting:
        reason, message = Reason.DELETING, progress.message
    refused = reason in REFUSALS
    if not decision.admitted or allocation.deleting:
        return [
            Condition(ConditionType.ADMITTED, False, reason, message),
            Condition(ConditionType.PROVISIONED, False, reason, message),
            Condition(ConditionType.READY, False, reason, message),
            Condition(ConditionType.RECONCILING, not refused, reason, message),
            Condition(ConditionType.STALLED, refused, reason, message if refused else ""),
        ]
    stalled = refused or progress.failed
    unsettled = not ready or not decision.met or progress.draining or not progress.provisioned
    if decision.met:  # what keeps it from being settled is enforcement, not capacity
        settled_reason = Reason.NOTHING_TO_DO if not unsettled else progress.reason
        reason, message = settled_reason, progress.message if unsettled else ""
    within = not progress.excess
    excess = "; ".join(
        f"{amount_text(p, n)} of {p.name} in use beyond what is asked for" for p, n in progress.excess.items()
    )
    return [
        Condition(ConditionType.ADMITTED, True, Reason.GRANTED, amounts_text(grant)),
        Condition(
            ConditionType.PROVISIONED, progress.ready and progress.provisioned, progress.reason, progress.message
        ),
        Condition(ConditionType.READY, ready, Reason.ENFORCED if ready else progress.reason, progress.message),
        Condition(ConditionType.RECONCILING, unsettled and not stalled, reason, message),
        Condition(ConditionType.STALLED, stalled, reason, message if stalled else ""),
        Condition(
            ConditionType.WITHIN_GRANT, within, Reason.IN_USE_FITS if within else Reason.IN_USE_EXCEEDS_GRANT, excess
        ),
    ]


def amounts_text(amounts: Amounts) -> str:
    """All amounts as one short text, such as ``a100×8, lustre 50Ti``."""
    parts = [
        f"{pool.name}×{amount}" if pool.kind is PoolKind.ACCELERATORS else f"{pool.name} {format_bytes(amount)}"
        for pool, amount in sorted(amounts.items())
    ]
    return ", ".join(parts) or "compute only"


def devices_text(amounts: Amounts) -> str:
    """The devices alone, for the printer column."""
    devices = sorted((pool.name, n) for pool, n in amounts.items() if pool.kind is PoolKind.ACCELERATORS and n)
    return ",".join(f"{name}×{amount}" for name, amount in devices)[:MAX_SUMMARY]


def holdings(amounts: Amounts) -> dict[str, dict[str, Any]]:
    """Amounts as status fields."""
    result: dict[str, dict[str, Any]] = {"accelerators": {}, "storage": {}}
    for pool, amount in sorted(amounts.items()):
        if amount:
            result[pool.kind][pool.name] = amount if pool.kind is PoolKind.ACCELERATORS else format_bytes(amount)
    return result


def queue_status(entry: QueueEntry) -> dict[str, Any]:
    """A place in the queue as status fields."""
    blocked = [
        {"pool": pool.name, "devices": amount}
        if pool.kind is PoolKind.ACCELERATORS
        else {"pool": pool.name, "size": format_bytes(amount)}
        for pool, amount in sorted(entry.blocked_by.items())
    ]
    return {
        **({"position": entry.position} if entry.position is not None else {}),
        "since": instant(entry.since),
        "asked": holdings(entry.asked),
        "blockedBy": blocked,
    }


def instant(moment: datetime) -> str:
    """A moment as the API server writes it; milliseconds only where there are any."""
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")


def news(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, str, bool] | None:
    """
    What is worth an Event: reason, message and whether it is a warning; None when phase and reason are as before.

    Being provisioned is not news: it lasts milliseconds, and Active follows.
    """
    if after.get("phase") == Phase.PENDING or headline(before) == headline(after):
        return None
    reason, message = headline_condition(after)
    return reason, message, after.get("phase") == Phase.REFUSED


def headline(status: Mapping[str, Any]) -> tuple[str, str]:
    return (str(status.get("phase", "")), headline_condition(status)[0])


def headline_condition(status: Mapping[str, Any]) -> tuple[str, str]:
    """Reason and message that matter most: an open wish of one that is Active, else why it is Ready or not."""
    by_type = {condition["type"]: condition for condition in status.get("conditions") or ()}
    for kind in (ConditionType.STALLED, ConditionType.RECONCILING):
        condition = by_type.get(kind)
        if condition and condition["status"] == "True":
            return condition["reason"], condition.get("message", "")
    condition = by_type.get(ConditionType.READY, {})
    return condition.get("reason", ""), condition.get("message", "")
