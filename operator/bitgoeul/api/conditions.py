"""
Phases, condition types and reasons: the words of status, Events and metric labels.

One enum serves all three, so that a reason read in ``kubectl get`` can be searched for in a dashboard. Conditions
follow kstatus: waiting is Ready=False with Reconciling=True, impossible is Stalled=True.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Phase(StrEnum):
    """A summary for people; programs read the conditions."""

    PENDING = "Pending"  # undecided, being provisioned or taken down, or its pool is on hold
    WAITING = "Waiting"  # nothing wrong, no capacity yet; also a promise whose capacity slipped
    SCHEDULED = "Scheduled"  # promised for a start ahead
    ACTIVE = "Active"  # admitted and Ready: quota enforced, access given
    EXPIRING = "Expiring"  # from the first notice until drained; still usable until the end
    SUSPENDED = "Suspended"  # by suspend or HoldAndDrain: nothing runs, data and view access stay
    EXPIRED = "Expired"  # window over and drained, data kept
    RECLAIMED = "Reclaimed"  # window over, data deleted as deletionPolicy Delete said
    REFUSED = "Refused"  # cannot work as written


class ConditionType(StrEnum):
    """Condition types; each is always present unless said otherwise."""

    ADMITTED = "Admitted"  # True: the grant is promised
    PROVISIONED = "Provisioned"  # True: every child object stands as wanted
    READY = "Ready"  # True: quota enforced and access given
    RECONCILING = "Reconciling"  # True: something is still expected to happen by itself
    STALLED = "Stalled"  # True: nothing will happen until somebody changes something
    WITHIN_GRANT = "WithinGrant"  # False: pods or claims still hold more than was asked for
    EXPIRING = "Expiring"  # True: the end is near, or reached and being drained
    SUSPENDED = "Suspended"  # True: quota 0 by suspend or HoldAndDrain, while the window runs on
    POD_SECURITY_RELAXED = "PodSecurityRelaxed"  # True, else absent: pods may do more than the default level allows
    PODS_PENDING = "PodsPending"  # True, else absent: pods have been Pending for long, as no node takes them
    # pools only
    OVERCOMMITTED = "Overcommitted"  # True: granted exceeds what the nodes give
    EXHAUSTED = "Exhausted"  # True: nothing is available while somebody waits
    CAPACITY_MATCHED = "CapacityMatched"  # accelerator pools: installed equals what the stage plans
    NODES_OVERLAP = "NodesOverlap"  # True, else absent: nodes also match another pool of this resource
    NODES_TAINTED = "NodesTainted"  # True, else absent: nodes have taints that the pool does not tolerate
    CLASS_FOUND = "StorageClassFound"  # storage pools: the class exists in the cluster


class Reason(StrEnum):
    """Why. ``Admitted=False`` reasons stand in order of precedence: the first that holds is shown."""

    MISCONFIGURED = "Misconfigured"
    ROLE_NOT_ALLOWED = "RoleNotAllowed"
    POOL_NOT_FOUND = "PoolNotFound"
    NAMESPACE_CONFLICT = "NamespaceConflict"
    RESOURCE_NAME_COLLISION = "ResourceNameCollision"
    EXCEEDS_POOL_CAPACITY = "ExceedsPoolCapacity"
    WINDOW_PASSED = "WindowPassed"
    SUSPENDED = "Suspended"
    POOL_ON_HOLD = "PoolOnHold"
    WINDOW_NOT_OPEN = "WindowNotOpen"
    BLOCKED_BY_EARLIER = "BlockedByEarlier"
    WAITING_FOR_CAPACITY = "WaitingForCapacity"

    # Admitted=True and what follows from it
    GRANTED = "Granted"
    PROVISIONING = "Provisioning"
    QUOTA_NOT_ENFORCED = "QuotaNotEnforced"
    POLICY_NOT_EFFECTIVE = "PolicyNotEffective"
    APPLY_FAILED = "ApplyFailed"
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    PROVISIONED = "Provisioned"
    ENFORCED = "Enforced"
    DRAINING = "Draining"
    DELETING = "Deleting"
    NOTHING_TO_DO = "NothingToDo"
    IN_USE_EXCEEDS_GRANT = "InUseExceedsGrant"
    IN_USE_FITS = "InUseFits"
    PODS_UNSCHEDULABLE = "PodsUnschedulable"

    # the end of the window, and suspension
    NOTICE_GIVEN = "NoticeGiven"
    NOT_EXPIRING = "NotExpiring"
    WINDOW_ENDED = "WindowEnded"  # the end is reached, draining
    NOT_SUSPENDED = "NotSuspended"
    DATA_DELETED = "DataDeleted"

    # the pod security level
    POD_SECURITY_LOWERED = "PodSecurityLowered"
    POD_SECURITY_RESTORED = "PodSecurityRestored"  # only in Events: the default level is enforced again

    # pools
    AVAILABLE = "Available"
    PREPARING = "Preparing"  # quotas do not carry the pool's key yet
    NO_NODES_MATCH = "NoNodesMatch"
    CAPACITY_LOST = "CapacityLost"
    WITHIN_CAPACITY = "WithinCapacity"
    NOTHING_AVAILABLE = "NothingAvailable"
    CAPACITY_AVAILABLE = "CapacityAvailable"
    NODES_SHARED = "NodesShared"
    TAINTS_NOT_TOLERATED = "TaintsNotTolerated"
    STILL_HELD = "StillHeld"
    CLASS_SHARED = "ClassShared"
    CLASS_FOUND = "ClassFound"
    CLASS_NOT_FOUND = "ClassNotFound"
    AS_PLANNED = "AsPlanned"
    DIFFERS_FROM_PLAN = "DiffersFromPlan"
    NO_STAGES = "NoStages"
    PROMISES_EXCEED_PLAN = "PromisesExceedPlan"  # a slipped or smaller stage hurts what is promised
    ON_HOLD = "OnHold"


#: Reasons for which waiting does not help: somebody has to change something.
REFUSALS = frozenset(
    {
        Reason.MISCONFIGURED,
        Reason.ROLE_NOT_ALLOWED,
        Reason.POOL_NOT_FOUND,
        Reason.NAMESPACE_CONFLICT,
        Reason.RESOURCE_NAME_COLLISION,
        Reason.EXCEEDS_POOL_CAPACITY,
    }
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as the core decides it; times and generation are added when it is written."""

    type: ConditionType
    status: bool
    reason: Reason
    message: str = ""


def merge_conditions(
    wanted: Iterable[Condition],
    written: Iterable[Mapping[str, object]],
    generation: int,
    now: datetime,
) -> list[dict[str, object]]:
    """
    Turn conditions into what stands in status, keeping the transition time of those that did not change.

    Args:
        wanted: The complete new set; a type that is missing disappears.
        written: What stands in status now.
        generation: The generation of the spec that was looked at.
        now: Wall time, with zone.
    """
    before = {str(old.get("type")): old for old in written}
    result: list[dict[str, object]] = []
    for condition in wanted:
        status = "True" if condition.status else "False"
        old = before.get(condition.type)
        same = old is not None and old.get("status") == status
        since = old.get("lastTransitionTime") if same and old is not None else None
        result.append(
            {
                "type": str(condition.type),
                "status": status,
                "reason": str(condition.reason),
                "message": condition.message[:1024],
                "observedGeneration": generation,
                "lastTransitionTime": since or now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
    return result
