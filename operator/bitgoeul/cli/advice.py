"""
Whose turn it is for each reason of an allocation, what they do, and with which command; docs/reasons.md in short.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bitgoeul.api.conditions import Reason


class Turn(StrEnum):
    """Who has to act."""

    TENANT = "tenant"
    ENGINEER = "platform engineer"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Advice:
    """What is to be done; ``command`` may name {name}, {namespace}, {pool} and {kind} of that pool."""

    turn: Turn
    text: str
    command: str


EDIT = "kubectl edit ta {name}"
WATCH = "kubectl get ta {name} --watch"
CALENDAR = "bitgoeul calendar --pool {pool}"
PODS = "kubectl get pods -n {namespace}"
HOLDERS = "kubectl get pods,pdb -n {namespace}"
RESUME = 'kubectl patch ta {name} --type merge -p \'{{"spec": {{"suspend": false}}}}\''
# A namespace that does not go: what it says itself names what holds it.
HELD = Advice(
    Turn.ENGINEER,
    "if it stays, remove what holds the namespace, as the reason quotes it",
    "kubectl get namespace {namespace} -o yaml",
)
UNSERVED = Advice(
    Turn.ENGINEER,
    "mend or delete the APIService that nobody serves: the namespace waits for it",
    "kubectl get apiservice",
)
ALL_IS_THERE = Advice(Turn.NOBODY, "all that is asked for is there", "kubectl get quota -n {namespace}")

BY_REASON = {
    Reason.MISCONFIGURED: Advice(Turn.ENGINEER, "do what the reason says", EDIT),
    Reason.ROLE_NOT_ALLOWED: Advice(
        Turn.ENGINEER,
        "take the role out of spec.members, or allow it to the operator with --allowed-cluster-role",
        "kubectl edit ta {name}",
    ),
    Reason.POOL_NOT_FOUND: Advice(
        Turn.ENGINEER, "make the pool, or ask for another one of these", "kubectl get apool,spool"
    ),
    Reason.NAMESPACE_CONFLICT: Advice(Turn.ENGINEER, "choose another namespace, or free this one", EDIT),
    Reason.RESOURCE_NAME_COLLISION: Advice(Turn.ENGINEER, "do what the reason says", EDIT),
    Reason.EXCEEDS_POOL_CAPACITY: Advice(Turn.ENGINEER, "ask for less, or add nodes or a stage", EDIT),
    Reason.WINDOW_PASSED: Advice(Turn.ENGINEER, "if it is to go on, move spec.window.end", EDIT),
    Reason.SUSPENDED: Advice(Turn.ENGINEER, "let it ask again", RESUME),
    Reason.POOL_ON_HOLD: Advice(Turn.ENGINEER, "open the pool again: stopPolicy None", "kubectl edit {kind} {pool}"),
    Reason.WINDOW_NOT_OPEN: Advice(Turn.NOBODY, "it starts by itself when its time has come", WATCH),
    Reason.BLOCKED_BY_EARLIER: Advice(Turn.NOBODY, "it starts by itself when its time has come", CALENDAR),
    Reason.WAITING_FOR_CAPACITY: Advice(Turn.NOBODY, "it starts by itself when its time has come", CALENDAR),
    Reason.GRANTED: ALL_IS_THERE,
    Reason.PROVISIONED: ALL_IS_THERE,
    Reason.ENFORCED: ALL_IS_THERE,
    Reason.NOTHING_TO_DO: ALL_IS_THERE,
    Reason.IN_USE_FITS: ALL_IS_THERE,
    Reason.PROVISIONING: Advice(Turn.NOBODY, "it is being set up; that takes seconds", WATCH),
    Reason.QUOTA_NOT_ENFORCED: Advice(
        Turn.NOBODY,
        "Kubernetes has to confirm the quota; if it stays, see that kube-controller-manager runs",
        "kubectl get quota -n {namespace} -o yaml",
    ),
    Reason.POLICY_NOT_EFFECTIVE: Advice(
        Turn.ENGINEER,
        "nothing in the first seconds; then give the trial pod what the policy that refuses it wants: --trial-pod-… of "
        "the operator, trialPod of the chart",
        "kubectl describe ta {name}",
    ),
    Reason.APPLY_FAILED: Advice(Turn.ENGINEER, "remove what the reason quotes", "kubectl describe ta {name}"),
    Reason.NAMESPACE_TERMINATING: HELD,
    Reason.DRAINING: Advice(Turn.TENANT, "delete pods or claims that are in the way", HOLDERS),
    Reason.DELETING: Advice(Turn.NOBODY, "pods are being evicted", HOLDERS),
    Reason.IN_USE_EXCEEDS_GRANT: Advice(Turn.TENANT, "delete the pods or claims that are too many", PODS),
    Reason.PODS_UNSCHEDULABLE: Advice(
        Turn.ENGINEER,
        "see what the scheduler says: nodes may be tainted or taken by others, or a pod asks for more than a node has",
        "kubectl get pods -n {namespace} --field-selector status.phase=Pending",
    ),
    Reason.NOTICE_GIVEN: Advice(
        Turn.TENANT, "save what is needed before the end; a platform engineer can move it", PODS
    ),
    Reason.WINDOW_ENDED: Advice(Turn.NOBODY, "pods go when the grace is over", HOLDERS),
    Reason.DATA_DELETED: Advice(Turn.NOBODY, "namespaces and data are gone", "kubectl get ta {name} -o yaml"),
}

# What a platform engineer looks at when a pool is not as it should be; in other cases nobody has to act.
POOL_COMMANDS = {
    Reason.APPLY_FAILED: "kubectl describe {kind} {pool}",
    Reason.NO_NODES_MATCH: "kubectl get nodes --show-labels",
    Reason.CAPACITY_LOST: "bitgoeul calendar --pool {pool}",
    Reason.PROMISES_EXCEED_PLAN: "bitgoeul calendar --pool {pool}",
    Reason.DIFFERS_FROM_PLAN: "kubectl edit {kind} {pool}",
    Reason.NODES_SHARED: "kubectl edit {kind} {pool}",
    Reason.TAINTS_NOT_TOLERATED: "kubectl edit {kind} {pool}",
    Reason.CLASS_SHARED: "kubectl edit {kind} {pool}",
    Reason.CLASS_NOT_FOUND: "kubectl get storageclass",
    Reason.STILL_HELD: "kubectl get ta",
}

# Of those who wait where waiting is not enough, or where something else is waited for.
NO_DATE = Advice(
    Turn.ENGINEER,
    "nothing that would free enough has a date: add capacity, give a holder an end, or ask for less",
    CALENDAR,
)
NO_DEVICES = Advice(Turn.ENGINEER, "add nodes that the pool's nodeSelector matches", "kubectl get nodes --show-labels")
NO_ROOM = Advice(Turn.ENGINEER, "there is no room before its end: move its window, or ask for less", CALENDAR)
UNPREPARED = Advice(Turn.NOBODY, "quotas are being told of the pool; that takes seconds", "kubectl get apool,spool")
EXTENSION = Advice(Turn.ENGINEER, "choose an earlier end, or make room", CALENDAR)


def advice_for(reason: str) -> Advice:
    """What is to be done for a reason; for one that is not an allocation's, nothing is known."""
    try:
        return BY_REASON[Reason(reason)]
    except (KeyError, ValueError):
        return Advice(Turn.ENGINEER, "see what the conditions say", "kubectl describe ta {name}")
