"""
Whose turn it is for each reason of an allocation, what they do, and with which command; docs/reasons.md in short.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bitgoeul.api.conditions import Reason
from bitgoeul.cli.output import amounts_in_brief
from bitgoeul.controller.clock import NOT_ACTED_ON
from bitgoeul.controller.closing import STILL_RUNNING
from bitgoeul.controller.trial import NO_RIGHT
from bitgoeul.controller.unkept import CHANGED_BACK
from bitgoeul.desired.allocation_status import headline_condition
from bitgoeul.planning.allocations import Allocation, devices_in
from bitgoeul.planning.explain import NO_NODE, NONE_SHOWN, THERE, UNTOLERATED
from bitgoeul.planning.moments import day


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
# What a message says of a namespace in deletion, of devices that are there, of a webhook that does not answer, and of a
# ClusterRole for members.
GOING = re.compile(r"\bnamespace (\S+) is being deleted\b")
PRESENT = re.compile(rf"([0-9]+) of ([0-9]+) {THERE}")
NO_WEBHOOK = "failed calling webhook"
ABSENT_ROLE = re.compile(r"there is no ClusterRole (\S+),")
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
CLOCKS_DIFFER = Advice(Turn.ENGINEER, "set the clock that is wrong", "bitgoeul doctor")
CHANGED = Advice(
    Turn.ENGINEER,
    "find the policy or webhook that changes it",
    "kubectl get mutatingadmissionpolicies,mutatingwebhookconfigurations",
)
UNANSWERED = Advice(
    Turn.ENGINEER,
    "mend or remove the webhook that does not answer",
    "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
)
NOT_PERMITTED = Advice(
    Turn.ENGINEER,
    "give the operator the right that the reason quotes, as its chart does",
    "kubectl describe ta {name}",
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
    Reason.WINDOW_PASSED: Advice(Turn.ENGINEER, "if it is to go on, move its end", EDIT),
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
    Reason.CAPACITY_LOST: "kubectl get nodes",
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
NOT_SHOWN = Advice(
    Turn.ENGINEER,
    "see why the pool's nodes show no device: the device plugin does not run, or resourceName is another",
    "kubectl describe nodes",
)
TAINTED = Advice(Turn.ENGINEER, "take the taint away, or tolerate it", "kubectl edit {kind} {pool}")
NO_ROOM = Advice(Turn.ENGINEER, "there is no room before its end: move its window, or ask for less", CALENDAR)
UNPREPARED = Advice(Turn.NOBODY, "quotas are being told of the pool; that takes seconds", "kubectl get apool,spool")
EXTENSION = Advice(Turn.ENGINEER, "choose an earlier end, or make room", CALENDAR)


def advice_for(reason: str, message: str = "", allocation: Allocation | None = None) -> Advice:
    """
    What is to be done for a reason; for one that is not an allocation's, nothing is known.

    Args:
        message: What is said with the reason; the same reason may have causes that different people mend.
        allocation: Which one it is said of; None: any.
    """
    held_up = advise_on_held_up(message)
    if held_up is not None:
        return held_up
    if reason == Reason.APPLY_FAILED:
        return advise_on_refused(message)
    if reason == Reason.POLICY_NOT_EFFECTIVE:
        return advise_on_unproved(message)
    if reason == Reason.WINDOW_PASSED and STILL_RUNNING in message and allocation is not None:
        return advise_on_pods_left(allocation)
    try:
        return BY_REASON[Reason(reason)]
    except (KeyError, ValueError):
        return Advice(Turn.ENGINEER, "see what the conditions say", "kubectl describe ta {name}")


def held_up_by_clocks(status: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return reason and message of what a status says of an end that clocks hold up; None: it says nothing of it."""
    # Where more is asked for, or something does not stand, it is not the headline that tells of the end.
    rows = ((str(one.get("reason", "")), str(one.get("message", ""))) for one in status.get("conditions") or ())
    return next((said for said in (headline_condition(status), *rows) if NOT_ACTED_ON in said[1]), None)


def advise_on_held_up(message: str) -> Advice | None:
    """Give advice where clocks or a namespace hold up an end, whatever the reason is; None: they do not."""
    if NOT_ACTED_ON in message:
        return CLOCKS_DIFFER
    going = GOING.search(message)
    return advise_on_going(going[1], message) if going else None


def advise_on_going(namespace: str, message: str) -> Advice:
    """Give advice where a namespace does not go."""
    advice = UNSERVED if "NamespaceDeletionDiscoveryFailure" in message else HELD
    return replace(advice, command=advice.command.format(namespace=namespace))


def advise_on_refused(message: str) -> Advice:
    """Give advice where something could not be written, or does not stand as it was written."""
    if absent := ABSENT_ROLE.search(message):
        role = shlex.quote(absent[1]).replace("{", "{{").replace("}", "}}")
        text = "make the ClusterRole, or take it out of spec.members"
        return Advice(Turn.ENGINEER, text, f"kubectl get clusterrole {role}")
    if CHANGED_BACK in message:
        return CHANGED
    return UNANSWERED if NO_WEBHOOK in message else BY_REASON[Reason.APPLY_FAILED]


def advise_on_unproved(message: str) -> Advice:
    """Give advice where it is not proved that policies act; what is about no pod, no other pod mends."""
    if NO_WEBHOOK in message:
        return UNANSWERED
    return NOT_PERMITTED if NO_RIGHT in message else BY_REASON[Reason.POLICY_NOT_EFFECTIVE]


def advise_on_pods_left(allocation: Allocation) -> Advice:
    """Give advice where pods outlast the end of a grant."""
    if not allocation.terms.drain:
        devices = devices_in(allocation.granted)
        doing = f"hold {amounts_in_brief(devices)}" if devices else "run"
        text = f"pods still {doing}, and nobody evicts them (workload Keep): delete them, or have its end moved"
        return Advice(Turn.TENANT, text, PODS)
    if allocation.drain_started is None:
        return BY_REASON[Reason.WINDOW_ENDED]
    text = (
        "delete the pods that are left; what a disruption budget protects is deleted 10 minutes after draining began "
        f"(status.drainStartedAt {day(allocation.drain_started)})"
    )
    return Advice(Turn.TENANT, text, HOLDERS)


def advise_without_date(message: str) -> Advice:
    """Give advice where no date is known at which enough comes free."""
    if UNTOLERATED in message:
        return TAINTED
    if NO_NODE in message:
        return NO_DEVICES
    if NONE_SHOWN in message:
        return NOT_SHOWN
    away = sum(int(all_) - int(there) for there, all_ in PRESENT.findall(message))
    return advise_on_away(away) if away > 0 else NO_DATE


def advise_on_away(devices: int) -> Advice:
    """Give advice where a pool shows fewer devices than it has had."""
    what = (
        "1 device that was there is away: bring it back"
        if devices == 1
        else (f"{devices} devices that were there are away: bring them back")
    )
    return Advice(Turn.ENGINEER, f"{what}; or add capacity, give a holder an end, or ask for less", "kubectl get nodes")


def command_on_pool(reason: Reason, pool: str, kind: str) -> str:
    """Return what a platform engineer looks at when a pool is not as it should be; empty: nobody has to act."""
    if reason is Reason.CAPACITY_LOST and kind == "spool":
        return f"kubectl edit spool {pool}"  # it has no nodes; only its spec says how much there is
    return POOL_COMMANDS.get(reason, "").format(pool=pool, kind=kind)


def advise_on_lost(pool: str, there: int, granted: int) -> Advice:
    """Give advice where a pool of a holder has fewer devices than are granted from it."""
    text = f"granted, but {pool} has {there} of {granted} granted devices now; pods that start now may stay Pending"
    return Advice(Turn.ENGINEER, text, f"kubectl describe apool {pool}")
