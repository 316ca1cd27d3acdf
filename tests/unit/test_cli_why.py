"""Why one is where it is: who is ahead, what would fit, whose turn it is; and the advice for each reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bitgoeul.api.conditions import REFUSALS, Reason
from bitgoeul.cli.advice import BY_REASON, Turn, advice_for, advise_without_date, command_on_pool
from bitgoeul.cli.own import find_own
from bitgoeul.cli.picture import Picture, ends_held_up
from bitgoeul.cli.status import allocation_acts
from bitgoeul.cli.why import Answer, as_json, as_lines, explain, why_unseen
from bitgoeul.controller.clock import NOT_ACTED_ON
from bitgoeul.controller.closing import STILL_RUNNING
from bitgoeul.controller.unkept import CHANGED_BACK
from bitgoeul.desired.allocation_status import Progress
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import accelerator, storage
from bitgoeul.planning.snapshot import Observed
from tests.unit.builders import (
    NOW,
    Manifest,
    make_accelerator_pool,
    make_allocation,
    make_namespace,
    make_node,
    make_nodes,
    make_quota,
    make_storage_pool,
    snapshot_of,
)
from tests.unit.lives import POOLS, ahead, holding, recorded, status_of

A100, NPU, LUSTRE = accelerator("a100"), accelerator("npu"), storage("lustre")
TI = 2**40
END = (NOW + timedelta(days=30)).isoformat()
STATUS = {"phase": "Waiting"}
CLUSTER = [make_accelerator_pool(), *make_nodes(2), make_storage_pool()]
POOL_REASONS = set(list(Reason)[list(Reason).index(Reason.AVAILABLE) :])


def holder(name: str, devices: int, **spec: Any) -> Manifest:
    """An allocation that has what it asks for."""
    return make_allocation(name, {"a100": devices}, grant={"accelerators": {"a100": devices}}, **spec)


def dated(name: str, devices: int) -> Manifest:
    """The same for 30 days."""
    obj = holder(name, devices, window={"end": END}, expiry={"grace": "0s"})
    obj["status"]["window"] = {"start": NOW.isoformat(), "end": END}
    obj["status"]["conditions"] = [{"type": "Admitted", "status": "True"}]
    return obj


def waiter(name: str, created: int, *, storage: dict[str, str] | None = None, **devices: int) -> Manifest:
    return make_allocation(name, devices, storage, created=created)


def why(objects: list[Manifest], name: str = "blue", **status: Any) -> Answer:
    snapshot = snapshot_of(objects)
    return explain(snapshot, make_plan(snapshot), name, {**STATUS, **status}, current=True)


def test_those_ahead_are_named() -> None:
    """As many as the position says: only those that want a pool that this one wants too."""
    pools = [
        make_accelerator_pool("npu", "furiosa.ai/npu"),
        *make_nodes(1, "npu", resource="furiosa.ai/npu", devices=1),
    ]
    others = [waiter("one", 1, a100=8), waiter("two", 2, npu=1), waiter("three", 3, npu=1), waiter("four", 4, a100=9)]
    found = why([*CLUSTER, *pools, dated("held", 14), *others, waiter("blue", 5, a100=8)])
    assert found.ahead == ("one", "four")
    assert found.decision.queue is not None
    assert found.decision.queue.position == 3


@pytest.mark.parametrize(
    ("objects", "fits"),
    [
        pytest.param([dated("held", 10), waiter("blue", 1, a100=8)], {A100: 6}, id="all that is available"),
        pytest.param([dated("held", 16), waiter("blue", 1, a100=8)], {}, id="nothing is available"),
        pytest.param(
            [dated("held", 10), waiter("first", 1, a100=16), waiter("blue", 2, a100=8)], {},
            id="what would delay somebody ahead does not fit",
        ),
        pytest.param(
            [dated("held", 10), waiter("blue", 1, a100=8, storage={"lustre": "200Ti"})], {}, id="refused",
        ),
        pytest.param(
            [make_allocation("held", storage={"lustre": "60Ti"}, grant={"storage": {"lustre": "60Ti"}}),
             make_allocation("blue", storage={"lustre": "50Ti"}, created=1)], {LUSTRE: 40 * TI},
            id="storage",
        ),
        pytest.param(
            [dated("held", 10), make_allocation("blue", {"a100": 8}, grant={"accelerators": {"a100": 4}}),
             make_namespace("blue"), make_quota("blue", {"nvidia.com/gpu": 4, "lustre": 0})], {A100: 6}, id="growth",
        ),
        pytest.param(
            [dated("held", 10), make_allocation("blue", {"a100": 8}, created=1, namespaces=[
                {"name": "x", "accelerators": {"a100": 4}}, {"name": "y", "accelerators": {"a100": 4}}])],
            {A100: 6}, id="however it is shared among namespaces",
        ),
    ],
)  # fmt: skip
def test_what_fits_is_what_the_planner_would_give(objects: list[Manifest], fits: dict[Any, int]) -> None:
    """The most of one pool that could start now with all else as asked."""
    assert why([*CLUSTER, *objects]).fits == fits


@pytest.mark.parametrize(
    ("objects", "turn", "command"),
    [
        pytest.param(
            [dated("held", 10), waiter("blue", 1, a100=8)], Turn.NOBODY, "bitgoeul calendar --pool a100", id="time",
        ),
        pytest.param(
            [holder("held", 10), waiter("blue", 1, a100=8)], Turn.ENGINEER, "bitgoeul calendar --pool a100",
            id="no date",
        ),
        pytest.param(
            [make_accelerator_pool("npu", "furiosa.ai/npu"), waiter("blue", 1, npu=1)], Turn.ENGINEER,
            "kubectl get nodes --show-labels", id="no node",
        ),
        pytest.param(
            [make_accelerator_pool("npu", "furiosa.ai/npu"), waiter("blue", 1, npu=8),
             *make_nodes(1, "npu", resource="furiosa.ai/npu", taints=["sick:NoSchedule"])], Turn.ENGINEER,
            "kubectl edit apool npu", id="taints",
        ),
        pytest.param(
            [make_accelerator_pool("npu", "furiosa.ai/npu"), holder("big", 16), waiter("blue", 1, a100=8, npu=8),
             *make_nodes(1, "npu", resource="furiosa.ai/npu", taints=["sick:NoSchedule"])], Turn.ENGINEER,
            "kubectl edit apool npu", id="taints, where another pool is short as well",
        ),
        pytest.param(
            [make_accelerator_pool("npu", "furiosa.ai/npu") | {"status": {"devices": {"highest": 8}}},
             waiter("blue", 1, npu=8)], Turn.ENGINEER,
            "kubectl get nodes --show-labels", id="no node any more",
        ),
        pytest.param(
            [make_accelerator_pool("npu", "furiosa.ai/npu") | {"status": {"devices": {"highest": 8}}},
             *make_nodes(1, "npu", resource="furiosa.ai/npu", devices=0), waiter("blue", 1, npu=8)], Turn.ENGINEER,
            "kubectl get nodes", id="no device any more",
        ),
        pytest.param(
            [make_accelerator_pool("npu", "furiosa.ai/npu"),
             *make_nodes(1, "npu", resource="furiosa.ai/npu", devices=0), waiter("blue", 1, npu=8)], Turn.ENGINEER,
            "kubectl describe nodes", id="no device yet",
        ),
        pytest.param([waiter("blue", 1, a100=99)], Turn.ENGINEER, "kubectl edit ta blue", id="too much"),
        pytest.param(
            [make_accelerator_pool("npu", "furiosa.ai/npu", stopPolicy="Hold"),
             *make_nodes(1, "npu", resource="furiosa.ai/npu"), waiter("blue", 1, npu=1)], Turn.ENGINEER,
            "kubectl edit apool npu", id="on hold",
        ),
        pytest.param(
            [make_storage_pool("slow", "1Ti", stopPolicy="Hold"), waiter("blue", 1, storage={"slow": "1Ti"})],
            Turn.ENGINEER, "kubectl edit spool slow", id="a storage pool on hold",
        ),
        pytest.param(
            [make_allocation("blue", {"a100": 1}, suspend=True)], Turn.ENGINEER,
            """kubectl patch ta blue --type merge -p '{"spec": {"suspend": false}}'""", id="suspended",
        ),
    ],
)  # fmt: skip
def test_whose_turn_it_is(objects: list[Manifest], turn: Turn, command: str) -> None:
    """With the next command, ready to be copied."""
    found = why([*CLUSTER, *objects])
    assert (found.turn, found.command) == (turn, command)


@pytest.mark.parametrize(
    ("conditions", "reason", "turn"),
    [
        pytest.param([("Ready", "True", "Enforced")], "Enforced", Turn.NOBODY, id="all is there"),
        pytest.param([("Ready", "False", "ApplyFailed")], "ApplyFailed", Turn.ENGINEER, id="not enforced"),
        pytest.param(
            [("WithinGrant", "False", "InUseExceedsGrant"), ("Ready", "True", "Enforced")], "InUseExceedsGrant",
            Turn.TENANT, id="too much in use",
        ),
        pytest.param(
            [("Expiring", "True", "NoticeGiven"), ("Ready", "True", "Enforced")], "NoticeGiven", Turn.TENANT,
            id="notice is given",
        ),
        pytest.param(
            [("Stalled", "True", "RoleNotAllowed"), ("PodsPending", "True", "PodsUnschedulable")], "RoleNotAllowed",
            Turn.ENGINEER, id="what is refused does not hide behind pods that no node takes",
        ),
    ],
)  # fmt: skip
def test_of_one_in_force_the_status_tells(conditions: list[tuple[str, str, str]], reason: str, turn: Turn) -> None:
    """How far the enforcement has come is not known to the planner."""
    rows = [{"type": kind, "status": status, "reason": why} for kind, status, why in conditions]
    found = why([*CLUSTER, dated("blue", 8)], phase="Active", conditions=rows)
    assert (found.reason, found.turn) == (reason, turn)


@pytest.mark.parametrize(
    ("said", "command"),
    [
        pytest.param(
            "NamespaceFinalizersRemaining: example.org/hold in 1 resource instances",
            "kubectl get namespace blue -o yaml",
            id="a finalizer",
        ),
        pytest.param(
            "NamespaceDeletionDiscoveryFailure: metrics.k8s.io/v1beta1: stale", "kubectl get apiservice", id="an API"
        ),
    ],
)
def test_of_a_namespace_that_hangs_the_advice_is_about_what_holds_it(said: str, command: str) -> None:
    """Not about pods, of which there are none."""
    space = make_namespace("blue")
    space["metadata"]["deletionTimestamp"] = NOW.isoformat()
    blue = holder("blue", 4)
    blue["metadata"]["deletionTimestamp"] = NOW.isoformat()
    message = f"namespace blue is being deleted; {said}"
    rows = [{"type": "Ready", "status": "False", "reason": "Deleting", "message": message}]
    found = why([*CLUSTER, space, blue], phase="Pending", conditions=rows)
    assert (found.reason, found.message, found.turn) == ("Deleting", message, Turn.ENGINEER)
    assert found.command == command


def one_advice(objects: list[Manifest], progress: Progress, written: datetime = NOW) -> tuple[Turn, str, str]:
    """
    Turn, advice and next command, of which ``why``, ``status NAME`` and the center's ``status`` say the same.

    Args:
        written: When the operator has written the status, by its own clock.
    """
    blue = next(obj for obj in objects if obj["kind"] == "TenantAllocation")
    blue["status"] |= status_of(objects, progress, written) | {"observedGeneration": 1}
    objects = [*POOLS, *objects]
    snapshot = snapshot_of(objects)
    plan = make_plan(snapshot)
    answer = explain(snapshot, plan, "blue", blue["status"], current=True)
    mine = find_own(blue, timedelta(), lists=True)
    assert (mine.advice.turn, mine.advice.text, mine.command) == (answer.turn, answer.advice, answer.command)
    live = {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}
    acts = allocation_acts(Picture(Observed(), live, NOW, timedelta()), snapshot, plan)
    same = [(answer.turn, answer.message, answer.command)]
    assert [(act.turn, act.message, act.command) for act in acts] == (same if answer.turn is not Turn.NOBODY else [])
    return answer.turn, answer.advice, answer.command


def ended(**expiry: Any) -> list[Manifest]:
    """Blue, whose window ended two hours ago, and whose pods have been sent off for one."""
    record = {**recorded(-9, -2, drain=-1), "drainStartedAt": ahead(-1)}
    return holding(record, window={"end": ahead(-2)}, expiry={"grace": "1h", **expiry})


def ended_and_asking_again() -> list[Manifest]:
    """Blue, which ended, and whose later end does not fit."""
    objects = ended()
    objects[0]["spec"]["window"] = {"end": ahead(9)}
    return objects


def compute_only(**expiry: Any) -> list[Manifest]:
    """Blue, which has cpu and memory only, and whose window ended two hours ago."""
    blue = make_allocation(
        "blue", status=recorded(-9, -2), window={"end": ahead(-2)}, expiry={"grace": "1h", **expiry}, compute={"cpu": 8}
    )
    return [blue, make_namespace("blue")]


def in_grace(**expiry: Any) -> list[Manifest]:
    """Blue, whose window ended two hours ago, in the last hour of its grace."""
    return holding(recorded(-9, -2), window={"end": ahead(-2)}, expiry={"grace": "3h", **expiry})


def leaving() -> list[Manifest]:
    """Blue on its way out."""
    objects = holding(recorded(-1))
    objects[0]["metadata"]["deletionTimestamp"] = NOW.isoformat()
    return objects


GOING = "namespace blue is being deleted; NamespaceFinalizersRemaining: example.org/hold in 1 resource instances"
REFUSED = Progress(ready=True, provisioned=False, reason=Reason.APPLY_FAILED, namespaces={"blue": True})
UNPROVED = Progress(reason=Reason.POLICY_NOT_EFFECTIVE)
ROLE = "there is no ClusterRole ray-{edit}, which members are given: make it"
FOREIGN = f"Namespace blue: label x stays 1 although 2 was written: {CHANGED_BACK}"
WEBHOOK = 'Internal error occurred: failed calling webhook "x.example.org": connection refused'
ENGINEER = Turn.ENGINEER


@pytest.mark.parametrize(
    ("objects", "progress", "turn", "advice", "command"),
    [
        pytest.param(
            leaving(), Progress(message=GOING),
            ENGINEER, "if it stays, remove what holds the namespace", "kubectl get namespace blue -o yaml",
            id="a namespace hangs after a deletion",
        ),
        pytest.param(
            ended(deletionPolicy="Delete"), Progress(message=f"1 namespace being deleted; {GOING}"),
            ENGINEER, "if it stays, remove what holds the namespace", "kubectl get namespace blue -o yaml",
            id="a namespace hangs after the end",
        ),
        pytest.param(
            [*ended_and_asking_again(), holder("red", 16)],
            Progress(message=GOING),
            ENGINEER, "if it stays, remove what holds the namespace", "kubectl get namespace blue -o yaml",
            id="a namespace hangs of one that waits to go on",
        ),
        pytest.param(
            ended(), Progress(message=f"2 pods {STILL_RUNNING}", draining=True),
            Turn.TENANT, "delete the pods that are left; what a disruption budget protects is deleted 10 minutes after "
            "draining began (status.drainStartedAt 2021-04-15 14:00Z)", "kubectl get pods,pdb -n blue",
            id="pods outlast the drain",
        ),
        pytest.param(
            ended(workload="Keep"), Progress(message=f"2 pods {STILL_RUNNING}", drained=True),
            Turn.TENANT, "pods still hold a100×8, and nobody evicts them (workload Keep): delete them, or have its end",
            "kubectl get pods -n blue",
            id="pods may stay",
        ),
        pytest.param(
            compute_only(workload="Keep"), Progress(message=f"1 pod {STILL_RUNNING}"),
            Turn.TENANT, "pods still run, and nobody evicts them", "kubectl get pods -n blue",
            id="pods without devices may stay",
        ),
        pytest.param(
            ended(workload="Keep"), Progress(drained=True), ENGINEER, "if it is to go on, move its end",
            "kubectl edit ta blue",
            id="pods might have stayed, and have ended",
        ),
        pytest.param(
            in_grace(workload="Keep"), Progress(message=f"2 pods {STILL_RUNNING}"),
            Turn.TENANT, "pods still hold a100×8, and nobody evicts them", "kubectl get pods -n blue",
            id="after the grace they will not go either",
        ),
        pytest.param(
            in_grace(), Progress(message=f"2 pods {STILL_RUNNING}"), Turn.NOBODY, "pods go when the grace is over",
            "kubectl get pods,pdb -n blue",
            id="pods go when the grace is over",
        ),
        pytest.param(
            ended(), Progress(message=f"2 pods {STILL_RUNNING}; {NOT_ACTED_ON}", draining=True),
            ENGINEER, "set the clock that is wrong", "bitgoeul doctor",
            id="an end is held up by the clocks",
        ),
        pytest.param(
            holding(recorded(-9, 1), window={"end": ahead(1)}, expiry={"notice": ["2h"]}),
            Progress(ready=True, namespaces={"blue": True}, message=NOT_ACTED_ON),
            ENGINEER, "set the clock that is wrong", "bitgoeul doctor",
            id="by one of the clocks the end has come",
        ),
        pytest.param(
            holding(recorded(-1)), replace(REFUSED, message=ROLE),
            ENGINEER, "make the ClusterRole, or take it out of spec.members", "kubectl get clusterrole 'ray-{edit}'",
            id="a ClusterRole is absent",
        ),
        pytest.param(
            holding(recorded(-1)), replace(REFUSED, message=FOREIGN),
            ENGINEER, "find the policy or webhook that changes it",
            "kubectl get mutatingadmissionpolicies,mutatingwebhookconfigurations",
            id="somebody else changes it",
        ),
        pytest.param(
            holding(recorded(-1)), replace(REFUSED, message=WEBHOOK),
            ENGINEER, "mend or remove the webhook that does not answer",
            "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
            id="a webhook does not answer",
        ),
        pytest.param(
            holding(recorded(-1)), replace(UNPROVED, message=f"a trial pod for a100 in blue is refused: {WEBHOOK}"),
            ENGINEER, "mend or remove the webhook that does not answer",
            "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
            id="a webhook does not answer for pods",
        ),
        pytest.param(
            holding(recorded(-1)), replace(UNPROVED, message='forbidden: User "x" cannot create resource "pods"'),
            ENGINEER, "give the operator the right that the reason quotes", "kubectl describe ta blue",
            id="the operator may make no trial pod",
        ),
        pytest.param(
            holding(recorded(-1)), replace(UNPROVED, message="a trial pod is refused: no label", failed=True),
            ENGINEER, "nothing in the first seconds; then give the trial pod", "kubectl describe ta blue",
            id="a policy wants the trial pod otherwise",
        ),
        pytest.param(
            holding(recorded(-1)), replace(REFUSED, message="quota exceeded"),
            ENGINEER, "remove what the reason quotes", "kubectl describe ta blue",
            id="something else is refused",
        ),
    ],
)  # fmt: skip
def test_one_reason_has_several_causes(
    objects: list[Manifest], progress: Progress, turn: Turn, advice: str, command: str
) -> None:
    """The message tells them apart, and all three commands say the same of it."""
    found = one_advice(objects, progress)
    assert (found[0], found[2]) == (turn, command)
    assert found[1].startswith(advice)


OVER = {"window": {"end": ahead(-1)}, "expiry": {"grace": "0s", "retention": "0s", "deletionPolicy": "Delete"}}
RUNS = Progress(ready=True, namespaces={"blue": True}, message=f"quota enforced; {NOT_ACTED_ON}")


@pytest.mark.parametrize(
    ("objects", "progress"),
    [
        pytest.param(holding(recorded(-9, -1, delete=-1), **OVER), RUNS, id="all is in force still"),
        pytest.param(
            holding(recorded(-9, -1, delete=-1), **OVER), replace(RUNS, provisioned=False, reason=Reason.APPLY_FAILED),
            id="something does not stand besides",
        ),
        pytest.param(
            [*holding(recorded(-9, -1), window={"end": ahead(999)}), dated("red", 8), waiter("gray", 1, a100=16)], RUNS,
            id="a later end is asked for in vain",
        ),
    ],
)  # fmt: skip
def test_an_end_that_clocks_hold_up_goes_before_what_is_planned(objects: list[Manifest], progress: Progress) -> None:
    """By the clock of whoever asks all is over, by the operator's it is not: nothing is being deleted."""
    objects[0]["spec"]["priority"] = 50
    found = one_advice(objects, progress, NOW - timedelta(hours=2))
    assert found == (ENGINEER, "set the clock that is wrong", "bitgoeul doctor")


def test_whether_clocks_differ_is_what_the_operator_says() -> None:
    """It says so of whoever is held up; one is enough."""
    objects = holding(recorded(-9, -1, delete=-1), **OVER)
    live = {(obj["kind"], obj["metadata"]["name"]): obj for obj in [*POOLS, *objects, waiter("red", 1, a100=1)]}
    assert not ends_held_up(live)
    objects[0]["status"] |= status_of(objects, RUNS, NOW - timedelta(hours=2))
    assert ends_held_up(live)


def test_who_has_what_a_pool_has_lost_is_told_so() -> None:
    """The status of an allocation does not tell it; that of the pool does."""
    blue = holder("blue", 16)
    blue["status"] |= {"phase": "Active", "conditions": [{"type": "Ready", "status": "True", "reason": "Enforced"}]}
    sick = make_node("a100-2", taints=["sick:NoSchedule"])
    snapshot = snapshot_of([make_accelerator_pool(), *make_nodes(1), sick, blue])
    found = explain(snapshot, make_plan(snapshot), "blue", blue["status"], current=True)
    text = "granted, but a100 has 8 of 16 granted devices now; pods that start now may stay Pending"
    assert (found.turn, found.advice, found.command) == (ENGINEER, text, "kubectl describe apool a100")
    pool = make_accelerator_pool() | {"status": {"devices": {"schedulable": 8, "granted": 16}}}
    mine = find_own(blue, timedelta(), lists=True, pools=[pool])
    assert (mine.advice.turn, mine.advice.text, mine.command) == (ENGINEER, text, "kubectl describe apool a100")
    assert find_own(blue, timedelta(), lists=True).advice.turn is Turn.NOBODY


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        pytest.param(
            "needs 8 of npu, 0 available (0 of 8 devices are there now)",
            "8 devices that were there are away: bring them back; or add capacity, give a holder an end, or ask for "
            "less",
            id="all are away",
        ),
        pytest.param(
            "needs 8 of npu, 0 available (7 of 8 devices are there now)",
            "1 device that was there is away: bring it back; or add capacity, give a holder an end, or ask for less",
            id="one is",
        ),
        pytest.param(
            "needs 8 of npu, 0 available (6 of 8 devices are there now; 2 on nodes with taints that the pool does not "
            "tolerate)", "take the taint away, or tolerate it", id="nodes are tainted",
        ),
        pytest.param(
            "needs 8 of npu, 0 available; no earliest start: no date is known at which enough comes free",
            "nothing that would free enough has a date: add capacity, give a holder an end, or ask for less",
            id="nothing is away",
        ),
    ],
)  # fmt: skip
def test_devices_that_are_away_are_to_be_brought_back(said: str, advice: str) -> None:
    """More of what there is would not be needed."""
    assert advise_without_date(said).text == advice


def test_what_to_do_about_a_pool_goes_by_its_kind() -> None:
    """A storage pool has no nodes."""
    assert command_on_pool(Reason.CAPACITY_LOST, "a100", "apool") == "kubectl get nodes"
    assert command_on_pool(Reason.CAPACITY_LOST, "lustre", "spool") == "kubectl edit spool lustre"
    assert command_on_pool(Reason.CLASS_SHARED, "lustre", "spool") == "kubectl edit spool lustre"
    assert command_on_pool(Reason.AVAILABLE, "a100", "apool") == ""


def test_there_is_advice_for_each_reason_of_an_allocation() -> None:
    """But for those of pools, and those that say that nothing is the matter."""
    unsaid = {
        Reason.NOT_EXPIRING,
        Reason.NOT_SUSPENDED,
        Reason.POD_SECURITY_LOWERED,
        Reason.POD_SECURITY_RESTORED,
    }
    assert set(BY_REASON) == set(Reason) - POOL_REASONS - unsaid
    assert all(BY_REASON[reason].turn is Turn.ENGINEER for reason in REFUSALS)
    assert advice_for("SomethingNew").command == "kubectl describe ta {name}"


def test_a_person_reads_it_line_by_line() -> None:
    """What is not known or not the case has no line; the last one is a command."""
    found = why([*CLUSTER, dated("held", 10), waiter("blue", 1, a100=8)])
    lines = as_lines(found)
    assert lines[0] == "blue (blue (example)) is Waiting, position 1"
    assert [line[2:18].rstrip() for line in lines[1:]] == [
        "Asks", "Since", "Short now", "Earliest start", "Fits now", "Reason", "Turn", "Next",
    ]  # fmt: skip
    assert lines[3].endswith("2 of a100")
    assert lines[4].endswith("2021-05-15 15:00Z, if nobody extends")
    assert lines[5].endswith("6 of a100")
    assert lines[8].endswith("bitgoeul calendar --pool a100")


def test_a_program_reads_the_same() -> None:
    """The shape is part of the documentation."""
    found = as_json(why([*CLUSTER, dated("held", 10), waiter("blue", 1, a100=8)]))
    assert list(found) == [
        "name", "organization", "phase", "current", "reason", "message", "pods", "asks", "podSecurity", "window",
        "queue", "turn", "advice", "next",
    ]  # fmt: skip
    assert found["queue"] == {
        "position": 1,
        "since": "2021-04-14T15:01:00Z",
        "earliestStart": "2021-05-15T15:00:00Z",
        "blockedBy": {"accelerators": {"a100": 2}, "storage": {}},
        "ahead": [],
        "fitsNow": {"accelerators": {"a100": 6}, "storage": {}},
    }


def test_pods_that_no_node_takes_are_told_with_whose_turn_it_is() -> None:
    """All that is asked for is granted, and cannot be had."""
    pends = {"type": "PodsPending", "status": "True", "reason": "PodsUnschedulable", "message": "8 pods have been …"}
    found = why([*CLUSTER, holder("blue", 8)], phase="Active", conditions=[pends])
    assert (found.reason, found.turn, found.pods) == ("PodsUnschedulable", Turn.ENGINEER, "8 pods have been …")
    assert found.command == "kubectl get pods -n blue --field-selector status.phase=Pending"
    assert "Pods  8 pods have been …" in [" ".join(line.split()).replace("Pods ", "Pods  ") for line in as_lines(found)]


@pytest.mark.parametrize(("led", "server", "said"), [
    pytest.param(False, 90, "the operator has not seen it; is it running? bitgoeul run", id="nobody leads"),
    pytest.param(True, 90, "the operator runs and has not taken it up for 90 s; see: bitgoeul doctor", id="one leads"),
    pytest.param(True, None, "the operator runs and has not taken it up for 5 s; see: bitgoeul doctor", id="untold"),
    pytest.param(True, -1, "the operator runs and has not taken it up for 0 s; see: bitgoeul doctor", id="just made"),
])  # fmt: skip
def test_what_has_no_status_is_told_by_whether_an_operator_leads(led: bool, server: float | None, said: str) -> None:
    """By the API server's clock, which also wrote when it was created."""
    obj = {"metadata": {"creationTimestamp": NOW.isoformat()}}
    told = None if server is None else NOW + timedelta(seconds=server)
    picture = Picture(Observed(), {}, NOW + timedelta(seconds=5), timedelta(), led=led, server_time=told)
    assert why_unseen(picture, obj) == said
