"""
What would be, who waits, what is to come, and why: the answers of commands that only look, beside what status says.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitgoeul.api.names import CLOCK_OFFSET_ANNOTATION, LEASE_NAME, OPERATOR_NAMESPACE
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    LEASE,
    NAMESPACE,
    OWN_KINDS,
    RESOURCE_QUOTA,
    TENANT_ALLOCATION,
)
from tests.cluster.api_objects import Manifest, make
from tests.cluster.asking import Asker, hours_ahead
from tests.cluster.faults import Finished, forget_lease
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.asking_fixtures"]

DAY = 24


def until(end: str) -> Manifest:
    """A window that ends then, after which devices come free at once."""
    return {"window": {"end": end}, "expiry": {"grace": "0s"}}


def allocation(name: str, pool: str, devices: int, **spec: Any) -> Manifest:
    given = {
        "organization": {"name": "Example", "class": "Other"},
        "accelerators": [{"pool": pool, "devices": devices}],
    }
    return make("TenantAllocation", name, given | spec)


def versions(world: World) -> dict[str, str]:
    """The version of everything of a world."""
    return {
        f"{kind.kind} {one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for kind in (*OWN_KINDS, NAMESPACE, RESOURCE_QUOTA)
        for one in world.items(kind)
        if world.suffix in one["metadata"]["name"] + one["metadata"].get("namespace", "")
    }


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in found["allocations"]}


@pytest.fixture
def full(world: World) -> tuple[str, str, str]:
    """A pool of 8 of which 6 are held for ten days, and somebody who waits for 4 for a day; gives the three names."""
    pool = world.pool(devices=8)
    holder = world.active("holder", {pool: 6}, **until(hours_ahead(10 * DAY)))
    waits = world.allocate("waits", {pool: 4}, window={"duration": "24h"}, expiry={"grace": "0s"})
    world.await_status(waits, lambda s: "earliestStart" in s.get("queue", {}), "has an earliest start")
    world.await_devices(pool, granted=6, waiting=4)
    return pool, holder, waits


def test_a_new_allocation_is_tried_and_nothing_changes(
    world: World, alone: None, asker: Asker, full: tuple[str, str, str]
) -> None:
    """It shows who would wait until when and who would move by how much; every object stays as it was."""
    pool, holder, waits = full
    end = world.get(TENANT_ALLOCATION, holder)["spec"]["window"]["end"]
    big = world.name("big")
    file = asker.file(allocation(big, pool, 8, priority=500, window={"duration": "48h"}, expiry={"grace": "0s"}))
    found = asker.json("plan", "-f", file)
    rows = by_name(found)
    assert rows.keys() == {big, waits}
    assert (rows[big]["subject"], rows[big]["before"], rows[big]["after"]["starts"]) == (True, None, end)
    assert (rows[waits]["before"]["starts"], rows[waits]["movesSeconds"]) == (end, 48 * 3600)
    assert found["summary"] == {"later": 1, "earlier": 0, "refused": 0, "mayBeLate": 0, "text": "1 starts later"}
    lines = asker.table("plan", "-f", file)
    assert lines[0].split() == ["ALLOCATION", "ORGANIZATION", "PRIORITY", "ASKS", "BEFORE", "AFTER", "MOVES"]
    assert [line.split()[0] for line in lines[1:3]] == [big, waits]
    assert lines[2].endswith("+2d")
    apply = f"kubectl --kubeconfig {asker.kubeconfig} apply -f {file}"
    assert lines[-3:] == ["1 starts later", "", f"Next  {apply}"]
    assert asker.table("plan", "-f", file, "--at", hours_ahead(1))[-1] == "Next  bitgoeul pools"

    def nothing_changes() -> bool:
        # The operator itself may write a figure meanwhile; that passes.
        before = versions(world)
        asker.table("plan", "-f", file)
        return versions(world) == before

    eventually(nothing_changes, "every object stays as it was")
    assert world.find(TENANT_ALLOCATION, big) is None


def test_a_file_is_tried_as_kubectl_would_apply_it(world: World, alone: None, asker: Asker, kubectl: Kubectl) -> None:
    """What somebody has set since by kubectl patch stays, and what the file no longer says goes."""
    pool = world.pool(devices=8)
    obj = allocation(world.name("blue"), pool, 4, priority=300)
    blue = obj["metadata"]["name"]
    kubectl("apply", "-f", asker.file(obj))
    world.await_phase(blue, "Active")
    kubectl("patch", "ta", blue, "--type=merge", "-p", '{"spec":{"suspend":true}}')
    world.await_phase(blue, "Suspended")
    del obj["spec"]["priority"]
    file = asker.file(obj)
    row = by_name(asker.json("plan", "-f", file))[blue]
    assert (row["after"]["phase"], row["priority"]) == ("Suspended", 100)
    kubectl("apply", "-f", file)
    spec = world.get(TENANT_ALLOCATION, blue)["spec"]
    assert (spec["suspend"], spec["priority"]) == (True, 100)


def test_what_a_suspension_takes_is_free_at_once(
    world: World, alone: None, asker: Asker, full: tuple[str, str, str]
) -> None:
    """Whoever waits for it starts; and so it is when it is done."""
    _, holder, waits = full
    spec = world.get(TENANT_ALLOCATION, holder)["spec"]
    found = asker.json("plan", "-f", asker.file(make("TenantAllocation", holder, {**spec, "suspend": True})))
    row = by_name(found)[waits]
    assert (row["after"]["phase"], row["earlier"], found["summary"]["later"]) == ("Active", True, 0)
    world.edit(holder, suspend=True)
    world.await_phase(waits, "Active")


def test_an_allocation_can_be_made_up(alone: None, asker: Asker, full: tuple[str, str, str]) -> None:
    """Without any file; behind all who ask already it delays nobody."""
    pool, _, waits = full
    rows = by_name(asker.json("plan", "--pool", pool, "--devices", "2", "--duration", "1d"))
    assert rows["what-if"]["after"]["phase"] == "Active"
    lines = asker.table("plan", "--pool", pool, "--devices", "99")
    assert "refused: ExceedsPoolCapacity" in lines[1]
    assert lines[-3:] == ["nobody is delayed, 1 is refused", "", "Next  bitgoeul pools"]
    assert waits not in "".join(lines)


def test_a_stage_in_a_file_moves_an_earliest_start(
    world: World, alone: None, asker: Asker, full: tuple[str, str, str]
) -> None:
    """The changed pool counts, with the nodes and the grants of the live one."""
    pool, _, waits = full
    spec = world.get(ACCELERATOR_POOL, pool)["spec"]
    soon = hours_ahead(2 * DAY)
    stages = [
        {"name": "now", "from": hours_ahead(-DAY), "devices": 8},
        {"name": "more", "from": soon, "devices": 16},
    ]
    found = asker.json("plan", "-f", asker.file(make("AcceleratorPool", pool, {**spec, "stages": stages})))
    row = by_name(found)[waits]
    assert (row["after"]["starts"], row["earlier"]) == (soon, True)
    assert found["summary"]["text"] == "nobody is delayed, 1 starts earlier"


def test_a_pool_in_a_file_can_be_granted_from(world: World, asker: Asker) -> None:
    """It need not wait for quotas that do not name it, and has the nodes that it matches."""
    world.active("other", {world.pool("old"): 1})
    name = world.name("new")
    world.nodes(name, devices=4)
    pool = {"type": "NPU", "nodeSelector": {"example.org/pool": name}, "resourceName": f"{name}.example.org/device"}
    blue = world.name("blue")
    file = asker.file(make("AcceleratorPool", name, pool), allocation(blue, name, 4))
    # A new node is Ready a little later.
    eventually(
        lambda: by_name(asker.json("plan", "-f", file))[blue]["after"]["phase"] == "Active", "its node is reckoned with"
    )


def test_a_later_time_is_played(asker: Asker, full: tuple[str, str, str]) -> None:
    """Who waits has started by then, and what ended is given back."""
    pool, holder, waits = full
    rows = by_name(asker.json("plan", "--at", f"{10 * DAY + 12}h"))
    assert (rows[holder]["after"]["phase"], rows[waits]["after"]["phase"]) == ("Expired", "Active")
    rows = by_name(asker.json("plan", "--at", hours_ahead(20 * DAY), "--pool", pool, "--devices", "8"))
    assert rows["what-if"]["after"]["phase"] == "Active"


def test_all_who_wait_are_shown_when_nothing_is_asked(asker: Asker, full: tuple[str, str, str]) -> None:
    """The plan as it is."""
    _, _, waits = full
    lines = asker.table("plan")
    assert waits in [line.split()[0] for line in lines if line]
    assert lines[-3] == "nobody is delayed"
    assert lines[-1].startswith("Next  bitgoeul why ")


@pytest.mark.parametrize(("content", "said"), [
    pytest.param("a: [", "new.yaml, line 1", id="no YAML"),
    pytest.param(
        allocation("blue", "a100", 0), "document 1, TenantAllocation blue: spec.accelerators[0].devices: 0",
        id="a number out of bounds",
    ),
    pytest.param(
        allocation("blue", "a100", 1, window={"start": hours_ahead(48), "end": hours_ahead(24)}),
        "TenantAllocation blue: spec.window.end: Invalid value", id="what only the API server knows",
    ),
    pytest.param(allocation("Blue", "a100", 1), "metadata.name", id="a name that cannot be"),
    pytest.param(
        make("StoragePool", "lustre", {"storageClassName": "lustre", "capacity": "much"}),
        "StoragePool lustre: spec.capacity: Invalid value", id="a size that cannot be read",
    ),
    pytest.param(
        make("AcceleratorPool", "a100", {
            "type": "GPU", "resourceName": "nvidia.com/gpu", "nodeSelector": {"a": "b"},
            "stages": [
                {"name": "later", "from": hours_ahead(48), "devices": 1},
                {"name": "sooner", "from": hours_ahead(24), "devices": 1},
            ],
        }),
        "stages must begin one after the other", id="stages in disorder",
    ),
])  # fmt: skip
def test_a_wrong_file_is_told_in_one_line(world: World, asker: Asker, content: Any, said: str) -> None:
    """With file, document, object and field, by the words of the API server where it knows better."""
    line = asker.refusal("plan", "-f", asker.file(content))
    assert said in line
    assert "new.yaml" in line


def test_what_cannot_be_changed_is_told(world: World, asker: Asker, full: tuple[str, str, str]) -> None:
    """A changed object is judged as a change of the live one."""
    spec = world.get(ACCELERATOR_POOL, full[0])["spec"]
    pool = make("AcceleratorPool", full[0], {**spec, "resourceName": "example.org/other"})
    assert "spec.resourceName" in asker.refusal("plan", "-f", asker.file(pool))


def test_the_queue_is_that_of_status(world: World, asker: Asker, full: tuple[str, str, str]) -> None:
    """Position, age, earliest start, shortage and reason, in the order in which all are looked at."""
    pool, _, first = full
    second = world.allocate("urgent", {pool: 8}, priority=900)
    world.await_status(first, lambda s: s["queue"]["position"] == 2, "is second")
    rows = [row for row in asker.json("queue")["queue"] if row["name"].endswith(world.suffix)]
    assert [row["name"] for row in rows] == [second, first]
    for row in rows:

        def agrees(row: dict[str, Any] = row) -> bool:
            status = world.status(row["name"])
            queue = status["queue"]
            assert (row["position"], row["since"]) == (queue["position"], queue["since"])
            assert row["earliestStart"] == queue.get("earliestStart")
            assert row["blockedBy"]["accelerators"] == {s["pool"]: s["devices"] for s in queue["blockedBy"]}
            ready = next(c for c in status["conditions"] if c["type"] == "Ready")
            assert (row["reason"], row["message"]) == (ready["reason"], ready["message"])
            return True

        eventually(agrees, f"status of {row['name']} says {row}")
    lines = asker.table("queue")
    table = [line.split() for line in lines[:-2] if world.suffix in line]
    assert [(line[0], line[1]) for line in table] == [("1", second), ("2", first)]
    assert lines[-2:] == ["", f"Next  bitgoeul why {lines[1].split()[1]}"]


def test_the_calendar_is_that_of_status(world: World, asker: Asker, full: tuple[str, str, str]) -> None:
    """The steps of the pool's status are the first of all steps."""
    pool, holder, _ = full
    promised = world.allocate("later", {pool: 2}, window={"start": hours_ahead(DAY), "end": hours_ahead(2 * DAY)})
    world.await_phase(promised, "Scheduled")

    def agrees() -> bool:
        [found] = asker.json("calendar", "--pool", pool)["pools"]
        status = world.pool_status(pool)
        assert found["available"] == status["devices"]["available"]
        assert found["steps"] == status["calendar"]
        return len(found["steps"]) == 3

    eventually(agrees, "status has the calendar")
    lines = asker.table("calendar", "--pool", pool)
    assert lines[0].split() == ["POOL", "DATE", "CHANGE", "AVAILABLE", "CAUSE"]
    assert [line.split()[0] for line in lines[1:-2]] == [pool] * 4
    assert lines[2].split()[-5:] == ["-2", "0", promised, "starts", "(2)"]
    assert f"{holder} is over (6)" in lines[4]
    assert lines[-2:] == ["", "Next  bitgoeul queue"]
    assert "there is no pool nowhere" in asker.refusal("calendar", "--pool", "nowhere")


def test_why_says_what_status_says_and_what_would_fit(world: World, asker: Asker, full: tuple[str, str, str]) -> None:
    """Phase, position, shortage, earliest start, what fits now, whose turn it is, and the next command."""
    pool, holder, waits = full
    behind = world.allocate("yonder", {pool: 8})  # by age, or else by name
    world.await_status(behind, lambda s: s["queue"]["position"] == 2, "is second")
    status = world.status(waits)

    def explained() -> dict[str, Any]:
        # The status says a little later what the plan says.
        found = asker.json("why", waits)
        assert found["current"], found
        return found

    found = eventually(explained, "the answer is what status says")
    assert (found["phase"], found["reason"]) == ("Waiting", "WaitingForCapacity")
    assert found["queue"]["position"] == status["queue"]["position"] == 1
    assert found["queue"]["earliestStart"] == status["queue"]["earliestStart"]
    assert found["queue"]["blockedBy"]["accelerators"] == {pool: 2}
    assert found["queue"]["fitsNow"]["accelerators"] == {pool: 2}
    assert "2 devices could start now" in found["message"]
    assert (found["turn"], found["next"]) == ("nobody", f"bitgoeul calendar --pool {pool}")
    lines = asker.table("why", waits)
    assert lines[0] == f"{waits} (Waits) is Waiting, position 1"
    assert lines[-1].split(maxsplit=1) == ["Next", f"bitgoeul calendar --pool {pool}"]
    assert asker.json("why", behind)["queue"]["ahead"] == [waits]
    assert asker.json("why", holder)["turn"] == "nobody"


def test_whose_turn_it_is_when_somebody_has_to_act(world: World, asker: Asker) -> None:
    """A refusal is the platform engineer's, with the command that mends it."""
    name = world.allocate("lost", {world.name("nowhere"): 1})
    world.await_phase(name, "Refused")
    found = asker.json("why", name)
    assert (found["phase"], found["reason"], found["queue"]) == ("Refused", "PoolNotFound", None)
    assert (found["turn"], found["next"]) == ("platform engineer", "kubectl get apool,spool")
    assert "there is no TenantAllocation nobody" in asker.refusal("why", "nobody")


def test_the_operators_clock_is_reckoned_with(
    world: World, asker: Asker, operator: OperatorProcess, full: tuple[str, str, str]
) -> None:
    """What it publishes on its Lease shifts every answer, and is told on standard error."""
    pool, _, _ = full
    path = LEASE.path(LEASE_NAME, OPERATOR_NAMESPACE)
    operator.stop()
    try:
        world.admin.merge(path, {"metadata": {"annotations": {CLOCK_OFFSET_ANNOTATION: "-72h"}}})
        finished = asker.run("calendar", "--pool", pool, "-o", "json")
        world.admin.merge(path, {"metadata": {"annotations": {CLOCK_OFFSET_ANNOTATION: "soon"}}})
        refusal = asker.refusal("queue")
    finally:
        forget_lease(world.admin)
        operator.start()
    assert finished.err == "planning by a clock that is shifted by -72h\n"
    time = datetime.fromisoformat(json.loads(finished.out)["time"])
    assert timedelta(hours=71) < datetime.now(UTC) - time < timedelta(hours=73)
    assert "not a shift of time: 'soon'" in refusal


def test_who_may_only_read_may_ask(world: World, asker: Asker, full: tuple[str, str, str], tmp_path: Path) -> None:
    """Then the API server does not judge the file, which is told; the answer is the same."""
    name = world.name("reader")
    rules = [
        {"apiGroups": ["bitgoeul.dev", "", "coordination.k8s.io"], "resources": ["*"], "verbs": ["get", "list"]},
    ]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    world.admin.create(f"{rbac}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    world.admin.create(f"{rbac}/clusterrolebindings", {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    })  # fmt: skip
    try:
        world.admin.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": name}})
        asked = world.admin.create(f"/api/v1/namespaces/default/serviceaccounts/{name}/token", {"spec": {}})
        content = yaml.safe_load(asker.kubeconfig.read_text())
        content["users"][0]["user"] = {"token": asked["status"]["token"]}
        kubeconfig = tmp_path / "reader"
        kubeconfig.write_text(yaml.safe_dump(content))
        file = asker.file(allocation(world.name("blue"), full[0], 1))

        def answered() -> Finished:
            # The API server learns of a role by its own watch.
            finished = asker.run("plan", "-f", file, kubeconfig=kubeconfig)
            assert finished.code == 0, finished
            return finished

        finished = eventually(answered, "the reader may read")
        assert finished.err.startswith("not judged by the API server")
        assert finished.out.splitlines()[-3] == "nobody is delayed"
    finally:
        for path in (f"{rbac}/clusterrolebindings/{name}", f"{rbac}/clusterroles/{name}"):
            world.admin.delete(path)
        world.admin.delete(f"/api/v1/namespaces/default/serviceaccounts/{name}")
