"""
The pod security level of an allocation: what its pods may do to the nodes, and why more than usual.

The levels are those of Kubernetes (https://kubernetes.io/docs/concepts/security/pod-security-standards). Which one is
the default is said here and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from bitgoeul.api.fields import Rule, RuleReason
from bitgoeul.api.meta import ApiModel
from bitgoeul.api.values import DisplayText


class PodSecurityLevel(StrEnum):
    """A level of Kubernetes' pod security standards, the weakest first."""

    PRIVILEGED = "privileged"
    BASELINE = "baseline"
    RESTRICTED = "restricted"


DEFAULT_LEVEL = PodSecurityLevel.BASELINE

_ORDER = tuple(PodSecurityLevel)
#: Levels that let pods do more than the default.
RELAXED_LEVELS = _ORDER[: _ORDER.index(DEFAULT_LEVEL)]


def warned_level(level: PodSecurityLevel) -> PodSecurityLevel:
    """Return the level whose violations are warned about where this one is enforced: the next stricter one."""
    return _ORDER[min(_ORDER.index(level) + 1, len(_ORDER) - 1)]


class PodSecurity(ApiModel):
    """What pods of the allocation may do to their nodes, other than usual."""

    rules = (
        Rule(
            rule=f"!(self.level in {[str(level) for level in RELAXED_LEVELS]}) || has(self.reason)",
            message=f"is required for a level weaker than {DEFAULT_LEVEL}: say what needs it, such as RDMA needs "
            "IPC_LOCK; it is shown in status, Events and metrics",
            field_path=".reason",
            reason=RuleReason.REQUIRED,
        ),
    )

    level: PodSecurityLevel = Field(
        description="Pod security level that is enforced in all namespaces of the allocation while its grant is in "
        f"force: privileged, baseline or restricted. Default without podSecurity: {DEFAULT_LEVEL}. Whoever runs "
        "privileged pods can take over the nodes that they run on. Pods that run already stay as they are."
    )
    reason: DisplayText | None = Field(
        default=None,
        description="What needs the level, such as RDMA needs IPC_LOCK; shown in condition PodSecurityRelaxed, in "
        f"Events and in metrics. Required for a level weaker than {DEFAULT_LEVEL}. At most 128 characters. Absent: not "
        "said.",
    )
