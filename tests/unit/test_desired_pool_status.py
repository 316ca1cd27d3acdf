"""Statuses of pools: figures that add up, the stages and changes ahead, and conditions that say what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bitgoeul.api import AcceleratorPool, StoragePool
from bitgoeul.desired.pool_status import build_accelerator_status, build_storage_status
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import (
    NOW,
    Manifest,
    make_accelerator_pool,
    make_allocation,
    make_node,
    make_nodes,
    make_storage_pool,
    plan_of,
    snapshot_of,
    written_back,
)

TIB = 2**40
PILOT = {"name": "pilot-2021", "from": "2021-02-15T00:00:00+09:00", "devices": 16}
FULL = {"name": "full-2024", "from": "2024-01-01T00:00:00+09:00", "devices": 32}


def status_of(objects: Iterable[Manifest], pool: str = "a100", now: datetime = NOW) -> dict[str, Any]:
    """The status of an accelerator pool of such a cluster; fails where the schema would not take it."""
    objects = list(objects)
    snapshot, key = snapshot_of(objects, now), accelerator(pool)
    manifest = next(obj for obj in objects if obj["kind"] == "AcceleratorPool" and obj["metadata"]["name"] == pool)
    spec = AcceleratorPool.model_validate(manifest).spec
    plan = make_plan(snapshot)
    status = build_accelerator_status(spec, 1, snapshot.pools[key], plan.pools[key], snapshot.now, {}, NOW)
    AcceleratorPool.model_validate({**manifest, "status": status})
    return status


def storage_status_of(
    objects: Iterable[Manifest], pool: str = "lustre", now: datetime = NOW, *, class_exists: bool = True
) -> dict[str, Any]:
    """The status of a storage pool of such a cluster."""
    objects = list(objects)
    snapshot, key = snapshot_of(objects, now), storage(pool)
    manifest = next(obj for obj in objects if obj["kind"] == "StoragePool" and obj["metadata"]["name"] == pool)
    plan = make_plan(snapshot)
    status = build_storage_status(1, snapshot.pools[key], plan.pools[key], snapshot.now, class_exists, {}, NOW)
    StoragePool.model_validate({**manifest, "status": status})
    return status


def settled(objects: Iterable[Manifest], now: datetime = NOW) -> list[Manifest]:
    """The cluster after its plan was written down."""
    objects = list(objects)
    return written_back(objects, plan_of(objects, now), now)


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    """Status, reason and message of one condition."""
    (found,) = [one for one in status["conditions"] if one["type"] == kind]
    return found["status"], found["reason"], found["message"]


def scheduled(name: str, devices: int, start: str, end: str = "2025-01-01T00:00:00Z", **fields: Any) -> Manifest:
    """One that asks for a start ahead."""
    window, expiry = {"start": start, "end": end}, {"grace": "0s"}
    return make_allocation(name, {"a100": devices}, window=window, expiry=expiry, **fields)


# -- stages


def test_a_pool_without_stages_says_nothing_of_any() -> None:
    """Absent, not 0: nobody planned anything."""
    status = status_of([make_accelerator_pool(), make_node()])
    assert {"currentStage", "nextStage"}.isdisjoint(status)
    assert "planned" not in status["devices"]
    assert status["calendar"] == []
    assert condition(status, "CapacityMatched") == ("True", "NoStages", "")


def test_a_pool_shows_its_present_stage_and_the_next() -> None:
    """What is planned now stands beside what the nodes really have."""
    later = {"name": "later", "from": "2030-01-01T00:00:00Z", "devices": 64}
    status = status_of([make_accelerator_pool(stages=[PILOT, FULL, later], reserve=2), *make_nodes(3)])
    assert status["currentStage"] == "pilot-2021"
    assert status["nextStage"] == {"name": "full-2024", "from": "2023-12-31T15:00:00Z", "devices": 32}
    assert status["devices"]["planned"] == 16
    assert status["devices"]["installed"] == 24
    assert status["devices"]["effective"] == 14


def test_before_the_first_stage_nothing_is_planned() -> None:
    """0 is said, since there is a plan, and no stage has a name yet."""
    status = status_of([make_accelerator_pool(stages=[FULL]), make_node()])
    assert "currentStage" not in status
    assert status["nextStage"]["name"] == "full-2024"
    assert (status["devices"]["planned"], status["devices"]["effective"]) == (0, 0)


def test_the_last_stage_has_no_next_one() -> None:
    """It lasts for ever."""
    status = status_of([make_accelerator_pool(stages=[PILOT]), *make_nodes(2)])
    assert status["currentStage"] == "pilot-2021"
    assert "nextStage" not in status


def test_storage_shows_its_stages_in_quantities() -> None:
    """From its date a stage stands for the capacity; installed is what is planned."""
    stages = [
        {"name": "pilot", "from": "2021-02-15T00:00:00+09:00", "capacity": "10Ti"},
        {"name": "full", "from": "2024-01-01T00:00:00Z", "capacity": "100Ti"},
    ]
    status = storage_status_of([make_storage_pool(stages=stages, capacity="5Ti", reserve="1Ti")])
    assert status["currentStage"] == "pilot"
    assert status["nextStage"] == {"name": "full", "from": "2024-01-01T00:00:00Z", "capacity": "100Ti"}
    figures = {word: number / TIB for word, number in status["bytes"].items()}
    assert (figures["planned"], figures["installed"], figures["reserved"], figures["effective"]) == (10, 10, 1, 9)
    assert status["calendar"] == [
        {"at": "2024-01-01T00:00:00Z", "available": "99Ti", "change": "90Ti", "cause": "stage full begins"}
    ]


@pytest.mark.parametrize(
    ("stages", "nodes", "expected"),
    [
        pytest.param([PILOT], 2, ("True", "AsPlanned", ""), id="as many as planned"),
        pytest.param(
            [PILOT],
            1,
            ("False", "DiffersFromPlan", "stage pilot-2021 plans 16, 8 installed"),
            id="fewer: the nodes are late",
        ),
        pytest.param(
            [PILOT],
            3,
            ("False", "DiffersFromPlan", "stage pilot-2021 plans 16, 24 installed"),
            id="more than the stage plans",
        ),
        pytest.param(
            [FULL],
            1,
            ("False", "DiffersFromPlan", "no stage has begun, so 0 are planned, 8 installed"),
            id="nodes before the first stage",
        ),
        pytest.param([FULL], 0, ("True", "AsPlanned", ""), id="nothing before the first stage"),
        pytest.param([], 2, ("True", "NoStages", ""), id="no plan to differ from"),
    ],
)
def test_a_pool_says_whether_its_nodes_are_what_the_stage_plans(
    stages: list[Manifest], nodes: int, expected: tuple[str, str, str]
) -> None:
    """Installed counts, whether it can be scheduled now or not."""
    assert condition(status_of([make_accelerator_pool(stages=stages), *make_nodes(nodes)]), "CapacityMatched") == (
        expected
    )


def test_a_broken_node_does_not_change_the_plan() -> None:
    """It was installed as planned, and is unavailable; that is told elsewhere."""
    nodes = [make_node("a"), make_node("b", ready=False)]
    status = status_of([make_accelerator_pool(stages=[PILOT]), *nodes])
    assert condition(status, "CapacityMatched")[1] == "AsPlanned"
    assert status["devices"]["effective"] == 8


# -- the calendar


def test_the_calendar_says_what_changes_when_and_why() -> None:
    """Ends (when the grace is over), promised starts and stages, with what is available from then on."""
    objects = settled(
        [
            make_accelerator_pool(stages=[PILOT, FULL], reserve=2),
            *make_nodes(2),
            make_allocation("blue", {"a100": 10}, window={"end": "2021-12-28T00:00:00Z"}, expiry={"grace": "72h"}),
            scheduled("green", 12, "2022-03-01T00:00:00Z", created=1),
        ]
    )
    status = status_of(objects)
    assert status["devices"]["available"] == 4
    assert status["devices"]["scheduled"] == 12
    assert status["calendar"] == [
        {"at": "2021-12-31T00:00:00Z", "available": 14, "change": 10, "cause": "blue is over (10)"},
        {"at": "2022-03-01T00:00:00Z", "available": 2, "change": -12, "cause": "green starts (12)"},
        {"at": "2023-12-31T15:00:00Z", "available": 18, "change": 16, "cause": "stage full-2024 begins"},
        {"at": "2025-01-01T00:00:00Z", "available": 30, "change": 12, "cause": "green is over (12)"},
    ]


def test_the_calendar_has_the_ten_next_changes() -> None:
    """A pool of a thousand tenants still has a status that can be read."""
    tenants = [
        make_allocation(
            f"t{number:02}",
            {"a100": 1},
            window={"end": f"2022-01-{number:02}T00:00:00Z"},
            expiry={"grace": "0s"},
        )
        for number in range(1, 13)
    ]
    status = status_of(settled([make_accelerator_pool(), *make_nodes(2), *tenants]))
    assert [entry["at"] for entry in status["calendar"]] == [f"2022-01-{day:02}T00:00:00Z" for day in range(1, 11)]


def test_what_the_api_has_no_date_for_is_left_out() -> None:
    """A status that somebody has written by hand must not make the pool's own one invalid."""
    objects = settled(
        [make_accelerator_pool(), make_node(), make_allocation("blue", {"a100": 2}, expiry={"grace": "8760h"})]
    )
    objects[2]["status"]["window"]["end"] = "9998-12-30T00:00:00Z"
    assert status_of(objects)["calendar"] == []


def test_nothing_changes_while_nothing_happens() -> None:
    """An hour later, and no date between: the same status to the letter, which is then not written again."""
    objects = settled(
        [
            make_accelerator_pool(stages=[PILOT, FULL]),
            *make_nodes(1),
            make_allocation("blue", {"a100": 6}, window={"duration": "2160h"}),
            make_allocation("green", {"a100": 4}, window={"duration": "24h"}, created=1),
            scheduled("red", 20, "2024-02-01T00:00:00Z", created=2),
        ]
    )
    assert status_of(objects) == status_of(objects, now=NOW + timedelta(hours=1))


def test_a_promise_that_is_late_does_not_make_the_status_move() -> None:
    """More is promised than there is, at every moment from now on: the message names no time that moves with it."""
    start = NOW + timedelta(hours=1)
    pool, nodes = make_accelerator_pool(), [make_node("a"), make_node("b")]
    promised = settled([pool, *nodes, scheduled("blue", 16, start.isoformat())])
    late = [obj for obj in promised if obj["metadata"]["name"] != "b"]
    after = start + timedelta(hours=1)
    status = status_of(late, now=after)
    assert condition(status, "Overcommitted") == (
        "True",
        "PromisesExceedPlan",
        "up to 8 more granted and promised than there is; promised starts that it may delay: blue",
    )
    assert status == status_of(late, now=after + timedelta(hours=1))


# -- more promised than there will be


def test_a_stage_that_slips_says_whom_it_hurts() -> None:
    """From when, how much, and the promised starts in danger."""
    full = FULL | {"from": "2022-01-01T00:00:00Z"}
    objects = settled(
        [
            make_accelerator_pool(stages=[PILOT, full]),
            *make_nodes(2),
            make_allocation("blue", {"a100": 10}),
            scheduled("green", 20, "2022-03-01T00:00:00Z", created=1),
        ]
    )
    assert condition(status_of(objects), "Overcommitted") == ("False", "WithinCapacity", "")
    objects[0]["spec"]["stages"][1]["from"] = "2022-06-01T00:00:00Z"
    assert condition(status_of(objects), "Overcommitted") == (
        "True",
        "PromisesExceedPlan",
        "from 2022-03-01 on up to 14 more granted and promised than there will be; promised starts that it may delay: "
        "green",
    )


def test_only_the_first_five_are_named() -> None:
    """The message stays short; the rest is a number."""
    full = FULL | {"from": "2022-01-01T00:00:00Z"}
    asks = [scheduled(f"t{number}", 2, "2022-03-01T00:00:00Z", created=number) for number in range(1, 8)]
    objects = settled([make_accelerator_pool(stages=[PILOT, full]), *make_nodes(2), *asks])
    objects[0]["spec"]["stages"][1]["devices"] = 8
    message = condition(status_of(objects), "Overcommitted")[2]
    assert message.endswith("promised starts that it may delay: t1, t2, t3, t4, t5 and 2 more")


def test_a_smaller_stage_ahead_is_told_even_if_nobody_is_promised_a_start() -> None:
    """What is held then is more than there will be."""
    objects = settled([make_accelerator_pool(), *make_nodes(2), make_allocation("blue", {"a100": 10})])
    objects[0]["spec"]["stages"] = [PILOT, FULL | {"devices": 8}]
    assert condition(status_of(objects), "Overcommitted") == (
        "True",
        "PromisesExceedPlan",
        "from 2023-12-31 15:00Z on up to 2 more granted and promised than there will be",
    )


def test_what_is_lost_now_goes_before_what_will_be_short() -> None:
    """And it names the promised starts that it hurts as well."""
    objects = settled(
        [
            make_accelerator_pool(),
            *make_nodes(2),
            make_allocation("blue", {"a100": 10}),
            scheduled("green", 6, "2022-03-01T00:00:00Z", created=1),
        ]
    )
    assert condition(status_of(objects[:2] + objects[3:]), "Overcommitted") == (
        "True",
        "CapacityLost",
        "2 more granted than there is; nothing new is granted, nobody is stopped; promised starts that it may delay: "
        "green",
    )


# -- stopPolicy


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        pytest.param(
            "Hold",
            "stopPolicy Hold: nothing new is granted and no scheduled start begins; what is held and promised stays",
            id="on hold",
        ),
        pytest.param(
            "HoldAndDrain",
            "stopPolicy HoldAndDrain: nothing new is granted and no scheduled start begins; holders are suspended, and "
            "drained after their grace",
            id="on hold and drained",
        ),
    ],
)
def test_a_stopped_pool_is_not_ready(policy: str, message: str) -> None:
    """It says which policy, and what that does."""
    assert condition(status_of([make_accelerator_pool(stopPolicy=policy), make_node()]), "Ready") == (
        "False",
        "OnHold",
        message,
    )


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        pytest.param([make_accelerator_pool(stopPolicy="Hold")], "NoNodesMatch", id="no nodes"),
        pytest.param(
            [make_accelerator_pool(stopPolicy="Hold", deleting=True), make_node()], "StillHeld", id="being deleted"
        ),
    ],
)
def test_what_is_more_fundamental_goes_before_a_hold(objects: list[Manifest], reason: str) -> None:
    """Lifting the hold would not help."""
    assert condition(status_of(objects), "Ready")[1] == reason


def test_a_storage_pool_can_be_on_hold() -> None:
    """The same reason for both kinds."""
    assert condition(storage_status_of([make_storage_pool(stopPolicy="Hold")]), "Ready")[:2] == ("False", "OnHold")


def test_waiting_is_exhausted_only_while_nothing_is_available() -> None:
    """One that waits for more than is left does not exhaust a pool."""
    objects = [make_accelerator_pool(), make_node(), make_allocation("blue", {"a100": 5})]
    more = [*objects, make_allocation("green", {"a100": 5}, created=1)]
    all_gone = [*more, make_allocation("red", {"a100": 3}, created=-1)]
    assert condition(status_of(settled(more)), "Exhausted")[:2] == ("False", "CapacityAvailable")
    assert condition(status_of(settled(all_gone)), "Exhausted") == (
        "True",
        "NothingAvailable",
        "nothing available, 1 waiting for 5",
    )


def test_taints_that_the_pool_does_not_tolerate_are_told_with_the_way_out() -> None:
    """Which ones, on which nodes, how much cannot be had for it, and how to tolerate it."""
    nodes = [make_node(f"n{number}", taints=["sick=fan:NoSchedule"]) for number in range(7)]
    status = status_of([make_accelerator_pool(), make_node("well"), *nodes])
    assert condition(status, "NodesTainted") == (
        "True",
        "TaintsNotTolerated",
        "56 devices cannot be had, by taints that the pool does not tolerate: sick=fan:NoSchedule on n0, n1, n2, n3, "
        "n4 and 2 more. Take the taint away, or add it to spec.tolerations, such as "
        "{key: sick, operator: Exists, effect: NoSchedule}",
    )
    assert (status["devices"]["unavailable"]["tainted"], status["nodes"]["tainted"]) == (56, 7)
    tolerant = make_accelerator_pool(tolerations=[{"key": "sick", "operator": "Exists"}])
    assert "NodesTainted" not in [one["type"] for one in status_of([tolerant, *nodes])["conditions"]]
