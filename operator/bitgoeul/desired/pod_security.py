"""
What status and Events say of an allocation whose pods may do more than the default pod security level allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitgoeul.api.conditions import Condition, ConditionType, Reason
from bitgoeul.api.pod_security import DEFAULT_LEVEL, RELAXED_LEVELS
from bitgoeul.planning.allocations import Allocation


def pod_security_text(allocation: Allocation) -> str:
    """Say level and reason where the level is not the default, such as ``privileged: RDMA needs IPC_LOCK``."""
    asked = allocation.spec.pod_security if allocation.spec else None
    if asked is None or asked.level is DEFAULT_LEVEL:
        return ""
    return f"{asked.level}: {asked.reason}" if asked.reason else str(asked.level)


def relaxed(allocation: Allocation) -> list[Condition]:
    """Build the condition ``PodSecurityRelaxed`` of an allocation in force; none where its level is not weaker."""
    if allocation.pod_security not in RELAXED_LEVELS:
        return []
    text = pod_security_text(allocation)
    return [Condition(ConditionType.POD_SECURITY_RELAXED, True, Reason.POD_SECURITY_LOWERED, text)]


def level_news(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, str, bool] | None:
    """Give the Event for a level that was lowered, or is the default again: reason, message, and whether it warns."""
    old, new = relaxed_text(before), relaxed_text(after)
    if old == new:
        return None
    if new:
        return Reason.POD_SECURITY_LOWERED, f"pod security is {new}", True
    return Reason.POD_SECURITY_RESTORED, f"pod security is as usual again for new pods; it was {old}", False


def relaxed_text(status: Mapping[str, Any]) -> str:
    """Return the message of the condition ``PodSecurityRelaxed`` that stands in a status."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == ConditionType.POD_SECURITY_RELAXED and condition.get("status") == "True":
            return str(condition.get("message", ""))
    return ""
