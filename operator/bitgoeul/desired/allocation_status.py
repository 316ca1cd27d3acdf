"""
The status of an allocation: one place that turns what was decided and what was achieved into phase and conditions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bitgoeul.api.conditions import REFUSALS, Condition, ConditionType, Phase, Reason, merge_conditions
from bitgoeul.api.quantities import format_bytes, saturated
from bitgoeul.desired.pod_security import relaxed
from bitgoeul.planning.allocations import Allocation, Amounts, devices_in
from bitgoeul.planning.checks import amount_text
from bitgoeul.planning.decisions import Decision, QueueEntry, Window
from bitgoeul.planning.life import Course, Halt
from bitgoeul.planning.moments import FOREVER, date, day
from bitgoeul.planning.pending import Pending, pending_text
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
    excess_drain_at: datetime | None = None  # when pods beyond it are evicted; None: they are not
    draining: bool = False
    patient: bool = False  # draining, but nothing is sent off yet
    drained: bool = False  # after the end, or suspended: nothing runs any more, and what was held is given back
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
    pending: Pending | None = None,
) -> dict[str, Any]:
    """
    Build the whole status.

    Args:
        grant: What status.grant is to say; the caller answers for it.
        written: The status as it stands, for transition times.
        now: Wall time.
        pending: Pods that no node takes; None: nobody has looked yet, so that what is written of it stays.
    """
    placed = decision.course is not Course.NOTHING  # there are namespaces, in force or not
    ready = decision.admitted and progress.ready and not allocation.deleting
    rows = namespace_rows(allocation, progress, written) if placed else []
    status: dict[str, Any] = {
        "observedGeneration": allocation.generation,
        "phase": str(phase_of(allocation, decision, progress, ready)),
        "summary": {
            "accelerators": devices_text(grant if decision.admitted else allocation.ask),
            "namespaces": f"{sum(bool(row.get('ready')) for row in rows)}/{len(rows)}" if placed else "",
            **when(allocation, decision),
        },
        "conditions": merge_conditions(
            [
                *conditions(allocation, decision, grant, progress, ready, types_of(written)),
                *pods_pending(allocation, decision, pending, written),
            ],
            written.get("conditions") or (),
            allocation.generation,
            now,
        ),
    }
    if placed:
        status["grant"] = holdings(grant)
        status["inUse"] = holdings(in_use)
        status["namespaces"] = rows
        status["shares"] = share_rows(progress) if progress.namespaces else written.get("shares") or []
    elif allocation.placed and not decision.reclaimed:
        status["shares"] = written.get("shares") or []
    if progress.excess:
        status["excess"] = holdings(progress.excess)
    if progress.excess_drain_at is not None:
        status["excessDrainAt"] = instant(progress.excess_drain_at)
    if decision.admitted and not progress.ready:
        # It was not looked at: a grace that has begun goes on.
        status |= {key: written[key] for key in ("excess", "excessDrainAt") if key in written}
    status |= taking_status(decision)
    if decision.window is not None:
        status["window"] = window_status(decision.window)
    if decision.promised is not None:
        status["promised"] = holdings(decision.promised)
    if decision.reclaimed:
        status["reclaimed"] = True
    if decision.queue is not None:
        status["queue"] = queue_status(decision.queue)
    return status


def when(allocation: Allocation, decision: Decision) -> dict[str, str]:
    """The columns EARLIEST and END, as far as there is anything to say."""
    earliest = decision.queue.earliest if decision.queue else None
    if earliest is None and decision.promised is not None and decision.window is not None:
        earliest = decision.window.start
    end = decision.window.end if decision.window else allocation.terms.end
    return {
        **({"earliest": day(earliest)} if earliest is not None else {}),
        **({"end": day(end)} if end is not None and end < FOREVER else {}),
    }


def window_status(window: Window) -> dict[str, str]:
    """A window as status fields; moments that do not come are left out."""
    moments = {
        "start": window.start,
        "end": window.end if window.end < FOREVER else None,
        "drainAt": window.drain_at if window.drain_at is not None and window.drain_at < FOREVER else None,
        "dataDeleteAt": window.delete_at,
    }
    return {name: instant(date(at)) for name, at in moments.items() if at is not None}


def taking_status(decision: Decision) -> dict[str, str]:
    """Since when what is due is taken back, as status fields."""
    moments = {"drainStartedAt": decision.drain_started, "dataDeleteStartedAt": decision.delete_started}
    return {name: instant(date(at)) for name, at in moments.items() if at is not None}


def types_of(status: Mapping[str, Any]) -> frozenset[str]:
    """The types of the conditions that stand in a status."""
    return frozenset(str(condition.get("type")) for condition in status.get("conditions") or ())


def namespace_rows(allocation: Allocation, progress: Progress, written: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Whether members can work in each namespace; while nothing was looked at, what is remembered stays."""
    if progress.namespaces:
        return [{"name": name, "ready": done} for name, done in progress.namespaces.items()]
    rows = written.get("namespaces") or []
    # A deletion begins with the access.
    return [{**row, "ready": False} for row in rows] if allocation.deleting else rows


def share_rows(progress: Progress) -> list[dict[str, Any]]:
    """One row for each namespace: which one it is, and what it is to hold in the end."""
    places = {name: progress.places.get(name, Place("", {})) for name in progress.namespaces}
    return [{"name": name, "uid": place.uid, **holdings(place.amounts)} for name, place in places.items()]


def phase_of(allocation: Allocation, decision: Decision, progress: Progress, ready: bool) -> Phase:
    """The one word for people."""
    if allocation.deleting:
        return Phase.PENDING
    if decision.admitted:
        if not ready:
            return Phase.PENDING
        return Phase.ACTIVE if decision.notice is None else Phase.EXPIRING
    if decision.reclaimed:
        return Phase.RECLAIMED
    if decision.passed:
        return Phase.EXPIRED if decision.course is Course.NOTHING or progress.drained else Phase.EXPIRING
    if decision.halt is Halt.SUSPEND or (decision.halt is Halt.POOL and decision.course is Course.CLOSED):
        return Phase.SUSPENDED
    if decision.reason in REFUSALS:
        return Phase.REFUSED
    if decision.reason is Reason.POOL_ON_HOLD:
        return Phase.PENDING
    if decision.promised is not None and decision.reason is Reason.WINDOW_NOT_OPEN:
        return Phase.SCHEDULED
    return Phase.WAITING


def conditions(
    allocation: Allocation,
    decision: Decision,
    grant: Amounts,
    progress: Progress,
    ready: bool,
    before: frozenset[str] = frozenset(),
) -> list[Condition]:
    """
    All conditions; Ready is computed here and nowhere else.

    Args:
        before: Types that stand in the status: what was once True is said to be over.
    """
    if not decision.admitted or allocation.deleting:
        result = without_grant(allocation, decision, progress)
    else:
        result = with_grant(decision, grant, progress, ready)
    if decision.course is not Course.NOTHING and decision.window is not None and decision.window.end < FOREVER:
        result.append(expiring(decision, progress))
    if decision.halt is Halt.SUSPEND or (decision.halt is Halt.POOL and decision.course is Course.CLOSED):
        why = Reason.SUSPENDED if decision.halt is Halt.SUSPEND else Reason.POOL_ON_HOLD
        result.append(Condition(ConditionType.SUSPENDED, True, why, decision.message))
    elif ConditionType.SUSPENDED in before:
        result.append(Condition(ConditionType.SUSPENDED, False, Reason.NOT_SUSPENDED))
    # Told when namespaces have the level, not with the promise: the Event comes with the change of the condition.
    stands = bool(progress.namespaces) or ConditionType.POD_SECURITY_RELAXED in before
    if decision.admitted and not allocation.deleting and stands:
        result += relaxed(allocation)
    return result


def without_grant(allocation: Allocation, decision: Decision, progress: Progress) -> list[Condition]:
    """For one that has nothing in force: it waits, is refused, over, suspended, or on its way out."""
    reason, message = decision.reason, decision.message
    if allocation.deleting:
        reason, message = Reason.DELETING, progress.message
    elif progress.message and decision.course in (Course.CLOSED, Course.ERASED):
        message = f"{message}; {progress.message}"
    phase = phase_of(allocation, decision, progress, ready=False)
    stalled = reason in REFUSALS or progress.failed
    expected = phase in (Phase.PENDING, Phase.WAITING)
    expected = expected or (decision.queue is not None and phase is not Phase.SUSPENDED)
    return [
        Condition(ConditionType.ADMITTED, False, reason, message),
        Condition(ConditionType.PROVISIONED, False, reason, message),
        Condition(ConditionType.READY, False, reason, message),
        Condition(ConditionType.RECONCILING, expected and not stalled, reason, message),
        Condition(ConditionType.STALLED, stalled, reason, message if stalled else ""),
    ]


def with_grant(decision: Decision, grant: Amounts, progress: Progress, ready: bool) -> list[Condition]:
    """For one whose grant is in force."""
    reason, message = decision.reason, decision.message
    stalled = reason in REFUSALS or progress.failed
    asks = not decision.met or decision.queue is not None
    unsettled = not ready or asks or progress.draining or not progress.provisioned
    if not asks:  # what keeps it from being settled is enforcement, not capacity
        reason = progress.reason if unsettled else Reason.NOTHING_TO_DO
        message = progress.message if unsettled else ""
    within = not progress.excess
    excess = "; ".join(
        f"{amount_text(p, n)} of {p.name} in use beyond what is asked for" for p, n in progress.excess.items()
    )
    return [
        Condition(ConditionType.ADMITTED, True, Reason.GRANTED, amounts_text(grant)),
        Condition(
            ConditionType.PROVISIONED, progress.ready and progress.provisioned, progress.reason, progress.message
        ),
        Condition(
            ConditionType.READY, ready, Reason.ENFORCED if ready else progress.reason, ready_text(ready, progress)
        ),
        Condition(ConditionType.RECONCILING, unsettled and not stalled, reason, message),
        Condition(ConditionType.STALLED, stalled, reason, message if stalled else ""),
        Condition(
            ConditionType.WITHIN_GRANT, within, Reason.IN_USE_FITS if within else Reason.IN_USE_EXCEEDS_GRANT, excess
        ),
    ]


def ready_text(ready: bool, progress: Progress) -> str:
    """What Ready says: of one that is, how far it is, and not what else does not stand."""
    if not ready or progress.provisioned:
        return progress.message
    return f"{enforced_text(progress.namespaces)}; what does not stand is in condition Provisioned"


def enforced_text(namespaces: Mapping[str, bool]) -> str:
    """Say in how many namespaces members can work."""
    count = sum(namespaces.values())
    return f"quota enforced and access given in {count} namespace{'s' if count != 1 else ''}"


def pods_pending(
    allocation: Allocation, decision: Decision, pending: Pending | None, written: Mapping[str, Any]
) -> list[Condition]:
    """The condition that pods of one in force have been Pending for long; none where there are no such."""
    if not decision.admitted or allocation.deleting:
        return []
    if pending is None:
        message = pending_message(written)
    else:
        found = pending.get(allocation.uid)
        message = pending_text(found) if found else ""
    return [Condition(ConditionType.PODS_PENDING, True, Reason.PODS_UNSCHEDULABLE, message)] if message else []


def pending_message(status: Mapping[str, Any]) -> str:
    """What a status says of pods that no node takes; empty where it says nothing."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == ConditionType.PODS_PENDING and condition.get("status") == "True":
            return str(condition.get("message", ""))
    return ""


def expiring(decision: Decision, progress: Progress) -> Condition:
    """Whether the end is near, and what it brings."""
    window = decision.window
    assert window is not None  # noqa: S101 - the caller has looked
    if decision.passed:
        return Condition(ConditionType.EXPIRING, not progress.drained, Reason.WINDOW_ENDED, f"ended {day(window.end)}")
    if decision.notice is None:
        return Condition(ConditionType.EXPIRING, False, Reason.NOT_EXPIRING)
    goes = f"; pods are evicted {day(window.drain_at)}" if window.drain_at is not None else ""
    erased = f"; data is deleted {day(window.delete_at)}" if window.delete_at is not None else ""
    text = f"notice of {day(decision.notice)}: ends {day(window.end)}, no new pods from then on{goes}{erased}"
    return Condition(ConditionType.EXPIRING, True, Reason.NOTICE_GIVEN, text)


def amounts_text(amounts: Amounts) -> str:
    """All amounts as one short text, such as ``a100×8, lustre 50Ti``."""
    parts = [
        f"{pool.name}×{amount}" if pool.kind is PoolKind.ACCELERATORS else f"{pool.name} {format_bytes(amount)}"
        for pool, amount in sorted(amounts.items())
    ]
    return ", ".join(parts) or "compute only"


def devices_text(amounts: Amounts) -> str:
    """The devices alone, for the printer column."""
    devices = sorted((pool.name, n) for pool, n in devices_in(amounts).items())
    return ",".join(f"{name}×{amount}" for name, amount in devices)[:MAX_SUMMARY]


def holdings(amounts: Amounts) -> dict[str, dict[str, Any]]:
    """Amounts as status fields."""
    result: dict[str, dict[str, Any]] = {"accelerators": {}, "storage": {}}
    for pool, amount in sorted(amounts.items()):
        if amount:
            result[pool.kind][pool.name] = (
                saturated(amount) if pool.kind is PoolKind.ACCELERATORS else format_bytes(amount)
            )
    return result


def queue_status(entry: QueueEntry) -> dict[str, Any]:
    """A place in the queue as status fields."""
    blocked = [
        {"pool": pool.name, "devices": saturated(amount)}
        if pool.kind is PoolKind.ACCELERATORS
        else {"pool": pool.name, "size": format_bytes(amount)}
        for pool, amount in sorted(entry.blocked_by.items())
    ]
    return {
        **({"position": entry.position} if entry.position is not None else {}),
        "since": instant(entry.since),
        **({"earliestStart": instant(date(entry.earliest))} if entry.earliest is not None else {}),
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

    Being provisioned or taken down is not news: it lasts moments, and Active follows. What keeps it from that is, and
    so is each notice before the end.
    """
    notice = notice_of(after)
    if notice and notice != notice_of(before):
        return Reason.NOTICE_GIVEN, notice, True
    reason, message = headline_condition(after)
    hindered = reason == Reason.APPLY_FAILED or is_stalled(after)
    if (after.get("phase") == Phase.PENDING and not hindered) or headline(before) == headline(after):
        return None
    return reason, message, hindered


def is_stalled(status: Mapping[str, Any]) -> bool:
    """Whether a status says that nothing happens before somebody changes something."""
    rows = status.get("conditions") or ()
    return any(row.get("type") == ConditionType.STALLED and row.get("status") == "True" for row in rows)


def notice_of(status: Mapping[str, Any]) -> str:
    """The text of the notice that stands in a status."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == ConditionType.EXPIRING and condition.get("reason") == Reason.NOTICE_GIVEN:
            return str(condition.get("message", ""))
    return ""


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
