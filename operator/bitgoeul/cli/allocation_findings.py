"""
Whether allocations get what they were granted: pods that no node takes, and what cannot be enforced or does not go.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bitgoeul.api.conditions import ConditionType, Reason
from bitgoeul.cli.evidence import Evidence, Finding, Verdict, count, named, unread
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import TENANT_ALLOCATION
from bitgoeul.desired.allocation_status import pending_message

# Namespaces that nothing holds are gone by then.
LONG_DELETION = timedelta(minutes=1)


def check_pods(evidence: Evidence) -> Finding:
    """Check whether tenants can have what they were granted: allocations tell of pods that no node takes."""
    name = "pods"
    allocations = evidence.objects.get(TENANT_ALLOCATION)
    if allocations is None:
        return unread(name, f"list {TENANT_ALLOCATION.plural}")
    stuck = sorted(obj["metadata"]["name"] for obj in allocations if pending_message(obj.get("status") or {}))
    if not stuck:
        return Finding(name, Verdict.OK, "no allocation has pods that no node takes")
    found = f"{count(len(stuck), 'allocation has', 'allocations have')} pods that no node takes: {named(stuck)}"
    return Finding(name, Verdict.WARN, found, f"bitgoeul why {stuck[0]}")


def check_allocations(evidence: Evidence) -> Finding:
    """Check whether one that is granted is not enforced or is refused something, and whether a deletion takes long."""
    name = "enforced"
    if TENANT_ALLOCATION not in evidence.objects:
        if TENANT_ALLOCATION in evidence.unserved:
            return Finding(name, Verdict.OK, "no allocation yet")
        return unread(name, "list tenantallocations")
    allocations = evidence.objects[TENANT_ALLOCATION]
    now = evidence.server_time or evidence.here
    hindered = {obj["metadata"]["name"]: why for obj in allocations if (why := hindrance(obj, now))}
    if hindered:
        texts = named(f"{one} ({why})" for one, why in sorted(hindered.items()))
        return Finding(name, Verdict.WARN, f"not as they should be: {texts}", f"bitgoeul why {min(hindered)}")
    return Finding(name, Verdict.OK, "nothing holds up any allocation")


def hindrance(allocation: Object, now: datetime) -> str:
    """Return what holds up an allocation that is granted or goes; empty: nothing does, or it only waits."""
    deleted = allocation["metadata"].get("deletionTimestamp")
    if deleted and now - datetime.fromisoformat(deleted) > LONG_DELETION:
        return f"in deletion since {deleted}"
    rows = (allocation.get("status") or {}).get("conditions") or ()
    reasons = {row.get("reason") for row in rows if row.get("type") in (ConditionType.READY, ConditionType.PROVISIONED)}
    unenforced = next((str(one) for one in (Reason.APPLY_FAILED, Reason.POLICY_NOT_EFFECTIVE) if one in reasons), "")
    return unenforced or refused_of_granted(rows)


def refused_of_granted(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return why one with a grant is refused something, by its conditions; empty: it is not, or has no grant."""
    true = {row.get("type"): str(row.get("reason", "")) for row in rows if row.get("status") == "True"}
    return true.get(ConditionType.STALLED, "") if ConditionType.ADMITTED in true else ""
