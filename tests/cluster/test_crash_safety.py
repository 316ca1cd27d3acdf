"""
Whatever dies between two writes: the end is the same, and on the way nothing is handed out twice.

Every step of a tenant's life is hit after its first write, its second, and so on, once each. What was promised is
checked at every change that the API server has streamed meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from bitgoeul.cluster.kinds import NAMESPACE, POD, TENANT_ALLOCATION
from tests.cluster.crash_stage import DEVICES, NPU, Stage, Story, ask, blue, make_pod, open_stage
from tests.cluster.faulty_proxy import Fault, FaultyProxy
from tests.cluster.waiting import eventually

QUIET_SECONDS = 3.0  # longer than the operator holds back what is not urgent
# Fewer writes cannot do: a sweep that met less has not gone through all of a step.
STEPS = ("admit", "grow", "shrink", "delete", "restore", "suspend", "resume", "spread")
LEAST_OWN = dict(zip(STEPS, (7, 3, 3, 4, 6, 5, 6, 6), strict=True))  # about the tenant itself
LEAST = dict(zip(STEPS, (10, 4, 8, 5, 9, 6, 7, 8), strict=True))


@pytest.fixture(scope="module")
def stage(_binary: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One control plane for all of these tests."""
    with open_stage(tmp_path_factory.mktemp("crash-safety")) as stage:
        yield stage


@pytest.fixture(scope="module")
def reference(stage: Stage) -> dict[str, dict[str, Any]]:
    """The picture after each step when nothing goes wrong."""
    story = Story(stage, 0)
    pictures = {}
    for name, act in story.steps.items():
        stage.proxy.arm()
        act()
        story.await_outcome(name)
        await_quiet(stage.proxy)
        pictures[name] = story.picture()
    return pictures


def await_quiet(proxy: FaultyProxy) -> None:
    """Wait until nothing has been written for a while."""
    seen, since = -1, time.monotonic()

    def quiet() -> bool:
        nonlocal seen, since
        if len(proxy.writes) != seen:
            seen, since = len(proxy.writes), time.monotonic()
        return time.monotonic() > since + QUIET_SECONDS

    eventually(quiet, "no write any more")


def sweep(stage: Stage, reference: dict[str, dict[str, Any]], first_story: int, fault: Fault) -> dict[str, int]:
    """
    Play the story as often as it has writes in a step, and have the fault hit the first write of each step, then the
    second, and so on; gives how often it hit each step.
    """
    hits = dict.fromkeys(reference, 0)
    number = 0
    while number in (0, *hits.values()):  # the last story still met a write to hit
        number += 1
        story = Story(stage, first_story + number)
        for name, act in story.steps.items():
            faults = [] if name == "leave" else [Fault(number, fault.about.format(blue=story.blue), fault.then)]
            stage.proxy.arm(*faults)
            act()
            story.await_picture(reference[name], f"{name}, hit after write {number}, ends as without")
            hits[name] += sum(one.fired for one in faults)
    return hits


def test_a_crash_after_any_write_changes_nothing_but_time(stage: Stage, reference: dict[str, dict[str, Any]]) -> None:
    """For every i: killed when its i-th write has been applied, and started again, it ends where it should."""
    hits = sweep(stage, reference, 100, Fault(0, then=stage.crash))
    assert {name: count for name, count in LEAST.items() if hits[name] < count} == {}, hits
    stage.check_promises()


def test_a_lost_answer_to_any_write_changes_nothing_but_time(
    stage: Stage, reference: dict[str, dict[str, Any]]
) -> None:
    """For every i: the i-th write about a tenant is applied, and the operator never hears of it."""
    hits = sweep(stage, reference, 200, Fault(0, about="{blue}"))
    assert {name: count for name, count in LEAST_OWN.items() if hits[name] < count} == {}, hits
    stage.check_promises()


def test_a_deletion_with_all_data_survives_a_fault_after_any_write(stage: Stage) -> None:
    """
    For every i: one tenant's deletion kills the operator with its i-th write, another's i-th answer is lost.

    All at once, as namespaces take their time; and somebody waits for the devices of all of them together.
    """
    crowd = [f"{word}-{number}" for word in ("killed", "unheard") for number in range(1, DEVICES[NPU] // 2 + 1)]
    stage.proxy.arm()
    for name in crowd:
        stage.create(blue(name, 0, accelerators=ask(1, "crowd"), expiry={"deletionPolicy": "Delete"}))
    eventually(lambda: all(phase(stage, name) == "Active" for name in crowd), "all are Active")
    stage.create(blue("heir", 0, accelerators=ask(DEVICES[NPU], "crowd")))
    for name in crowd:
        eventually(lambda: start_pod(stage, name), f"a pod runs in {name}")  # noqa: B023

    faults = [Fault(int(name.partition("-")[2]), about=name) for name in crowd]
    for fault in faults:
        fault.then = stage.crash if fault.about.startswith("killed") else fault.then
    stage.proxy.arm(*faults)
    for name in crowd:
        stage.admin.delete(TENANT_ALLOCATION.path(name))

    def settled() -> bool:
        stage.restart_if_dead()
        left = [
            f"{kind.kind} {name}"
            for kind in (TENANT_ALLOCATION, NAMESPACE)
            for name in crowd
            if stage.admin.find(kind.path(name))
        ]
        assert not left, left
        return phase(stage, "heir") == "Active"

    eventually(settled, "all are gone, and the one that waited has what they had", 240)
    for word in ("killed", "unheard"):
        hits = [fault.at for fault in faults if fault.fired and fault.about.startswith(word)]
        assert 6 <= len(hits) < len(crowd) / 2, f"{word}: not after every write, but after {hits}"
    stage.check_promises()


def phase(stage: Stage, name: str) -> str:
    found = stage.admin.get(TENANT_ALLOCATION.path(name))
    return str(found.get("status", {}).get("phase"))


def start_pod(stage: Stage, namespace: str) -> bool:
    """Create a pod with one device if there is none; True once it runs."""
    found = stage.admin.find(POD.path("train", namespace))
    if found is None:
        # A new namespace has no service account for a moment.
        stage.admin.request("POST", POD.path("", namespace), make_pod(namespace, NPU))
    return found is not None and found["status"]["phase"] == "Running"
