"""Why one is where it is: who is ahead, what would fit, whose turn it is; and the advice for each reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bitgoeul.api.conditions import REFUSALS, Reason
from bitgoeul.cli.advice import BY_REASON, Turn, advice_for
from bitgoeul.cli.why import Answer, as_json, as_lines, explain
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import (
    NOW,
    Manifest,
    make_accelerator_pool,
    make_allocation,
    make_namespace,
    make_nodes,
    make_quota,
    make_storage_pool,
    snapshot_of,
)

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
