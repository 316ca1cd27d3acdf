"""
The center at one look, one allocation, pools and ends: what these commands print, also to a tenant who may not list.
"""

from __future__ import annotations

import math
import subprocess
import sysconfig
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from bitgoeul.api.names import GROUP
from bitgoeul.api.quantities import format_duration
from tests.cluster.asking import Asker, hours_ahead, of_world, pinned
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import SOURCE
from tests.cluster.scenario import World, resource_of
from tests.cluster.waiting import eventually

pytest_plugins = ["tests.cluster.asking_fixtures"]

DAY = 24


@pytest.fixture
def center(world: World) -> str:
    """
    A pool of 8: 6 are held by ``holder`` for ten days more, with a member; ``waits`` wants 4, ``lost`` what is not.

    Gives the name of the pool.
    """
    pool = world.pool(devices=8)
    member = {"kind": "User", "name": f"dain-{world.suffix}", "role": "view"}
    end = hours_ahead(10 * DAY + 1)
    holder = world.active("holder", {pool: 6}, window={"end": end}, members=[member])
    # A notice counts if it is due after the start: this one was, less than a second later.
    length = datetime.fromisoformat(end) - datetime.fromisoformat(world.status(holder)["window"]["start"])
    seconds = math.ceil(length.total_seconds()) - 1
    world.edit(holder, expiry={"notice": [format_duration(timedelta(seconds=seconds)), "24h"]})
    world.await_phase(holder, "Expiring")
    waits = world.allocate("waits", {pool: 4}, window={"duration": "24h"})
    world.await_status(waits, lambda s: "earliestStart" in s.get("queue", {}), "has an earliest start")
    world.await_phase(world.allocate("lost", {world.name("nowhere"): 1}), "Refused")
    world.await_devices(pool, granted=6, waiting=4)
    eventually(lambda: may_look(world, member["name"]), "the member's rights are in force")
    return pool


def may_look(world: World, user: str) -> bool:
    """Whether the API server knows already that a member of ``holder`` may read it: it learns so a little later."""
    holder = world.name("holder")
    asks = (
        {"verb": "get", "resource": "tenantallocations", "group": GROUP, "name": holder},
        {"verb": "get", "resource": "namespaces", "namespace": holder, "name": holder},
    )
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answers = [world.admin.create(path, {"spec": {"user": user, "resourceAttributes": ask}}) for ask in asks]
    return all(answer["status"]["allowed"] for answer in answers)


def test_the_center_is_shown_at_one_look(world: World, alone: None, asker: Asker, center: str) -> None:
    """Pools, whose turn it is, and the next changes; the last line is the next command."""
    lines = asker.table("status")
    assert pinned(of_world(lines, world.suffix), world.suffix) == [
        "POOL  STAGE  EFFECTIVE  GRANTED  AVAILABLE  WAITING  STATE",
        "gpu  -  8  6  2  4 in 1  Available",
        "TO ACT  TURN  REASON  NEXT",
        "lost  platform engineer  PoolNotFound  kubectl get apool,spool",
        "holder  tenant  NoticeGiven  kubectl get pods -n holder",
        "NEXT CHANGE  POOL  CHANGE  AVAILABLE  CAUSE",
        "DATE  gpu  +6  8  holder is over (6)",
    ]
    assert lines[1].startswith("  Allocations  ")
    assert lines[-1].startswith("Next  ")
    found = asker.json("status")
    assert {"Waiting", "Expiring", "Refused"} <= found["allocations"].keys()
    assert [act["subject"] for act in own_acts(found, world)] == [world.name("lost"), world.name("holder")]
    assert own_acts(yaml.safe_load(asker.run("status", "-o", "yaml").out), world) == own_acts(found, world)
    [wide] = [line for line in asker.table("status", "-o", "wide") if line.startswith(f"{center} ")]
    assert resource_of(center) in wide


def own_acts(found: dict[str, Any], world: World) -> list[dict[str, Any]]:
    """What a world's own people have to do: two answers are of two moments of everybody else's."""
    return [act for act in found["toAct"] if world.suffix in act["subject"]]


def test_one_allocation_is_shown(world: World, asker: Asker, center: str) -> None:
    """What it has and uses, how much of its window is left, notices, namespaces and conditions."""
    holder = world.name("holder")
    world.pod(holder, "train", center, 2)
    eventually(lambda: world.status(holder)["inUse"]["accelerators"] == {center: 2}, "the pod is counted")
    assert pinned(asker.table("status", holder), world.suffix) == [
        "holder (Holder) is Expiring",
        "  Has  gpu×6",
        "  In use  gpu×2",
        "  Window  DATE to DATE, LENGTH left",
        "  Notices  given DATE, due DATE",
        "  After the end  pods go DATE, data is kept",
        "  Namespaces  holder",
        "  Conditions  Admitted yes (Granted), Provisioned yes (Provisioned), Ready yes (Enforced), Reconciling no "
        "(NothingToDo), Stalled no (NothingToDo), WithinGrant yes (InUseFits), Expiring yes (NoticeGiven)",
        "  Reason  NoticeGiven: notice of DATE: ends DATE, no new pods from then on; pods are evicted DATE",
        "  Turn  tenant: save what is needed before the end; a platform engineer can move it",
        "  Next  kubectl get pods -n holder",
    ]
    wide = pinned(asker.table("status", holder, "-o", "wide"), world.suffix)
    assert "  Conditions  Admitted yes since DATE (Granted): gpu×6" in wide
    found = asker.json("status", holder)
    assert (found["has"]["accelerators"], found["inUse"]["accelerators"]) == ({center: 6}, {center: 2})
    assert 0 <= (10 * DAY + 1) * 3600 - found["window"]["leftSeconds"] < 600
    assert [row["name"] for row in found["namespaces"]] == [holder]


def test_one_that_waits_is_shown(world: World, asker: Asker, center: str) -> None:
    """What it asks, what is short, and when it could start; then the command that says more."""
    lines = pinned(asker.table("status", world.name("waits")), world.suffix)
    assert lines[:6] == [
        "waits (Waits) is Waiting, position 1",
        "  Has  nothing",
        "  Asks  gpu×4",
        "  Since  DATE",
        "  Short now  2 of gpu",
        "  Earliest start  DATE",
    ]
    assert lines[-2:] == [
        "  Turn  nobody: it starts by itself when its time has come",
        "  Next  bitgoeul why waits",
    ]
    assert "there is no TenantAllocation nobody" in asker.refusal("status", "nobody")


def test_a_tenant_is_shown_its_own(world: World, asker: Asker, center: str) -> None:
    """Who may not list is shown the allocation of the namespace, and nothing of others."""
    holder = world.name("holder")
    dain = ("--as", f"dain-{world.suffix}")
    lines = asker.table("status", "-n", holder, *dain)
    assert pinned(lines, world.suffix)[0] == "holder (Holder) is Expiring"
    assert pinned(lines, world.suffix) == pinned(asker.table("status", holder, *dain), world.suffix)
    assert world.name("waits") not in "".join(lines)
    assert "refuses" in asker.refusal("status", world.name("waits"), *dain)
    said = asker.refusal("status", "-n", "default", *dain)
    assert said.startswith("you may neither list allocations nor read namespace default; name one of yours with -n")
    assert "belongs to no allocation" in asker.refusal("status", "-n", "default")


def test_a_group_counts_as_its_members(world: World, asker: Asker) -> None:
    """With --as-group the rights of a group are added."""
    pool = world.pool(devices=2)
    lab = world.name("lab")
    name = world.active("team", {pool: 1}, members=[{"kind": "Group", "name": lab, "role": "view"}])
    assert "refuses" in asker.refusal("status", name, "--as", "somebody")
    groups = ("--as-group", "other", "--as-group", lab)
    found = eventually(lambda: asker.json("status", name, "--as", "somebody", *groups), "the API server knows of it")
    assert (found["name"], found["turn"]) == (name, "nobody")


def test_the_namespace_of_the_kubeconfig_is_meant(world: World, asker: Asker, center: str, tmp_path: Path) -> None:
    """A tenant need not say where it works."""
    content: dict[str, Any] = yaml.safe_load(asker.kubeconfig.read_text())
    for context in content["contexts"]:
        context["context"]["namespace"] = world.name("holder")
    kubeconfig = tmp_path / "tenant"
    kubeconfig.write_text(yaml.safe_dump(content))
    finished = asker.run("status", "--as", f"dain-{world.suffix}", kubeconfig=kubeconfig)
    assert (finished.code, finished.err) == (0, ""), finished
    assert finished.out.startswith(f"{world.name('holder')} (Holder) is Expiring\n")


def test_pools_are_shown(world: World, asker: Asker, center: str) -> None:
    """What they have and have left, the next change, and in one word what is wrong."""
    world.declare_pool("bare")
    world.await_devices(world.name("bare"), installed=0)
    lines = asker.table("pools")
    assert lines[-2] == ""
    assert lines[-1].startswith("Next  ")
    assert pinned(of_world(lines[:-2], world.suffix), world.suffix) == [
        "POOL  STAGE  EFFECTIVE  GRANTED  AVAILABLE  IN USE  WAITING  NEXT CHANGE  STATE",
        "bare  -  0  0  0  0  -  -  NoNodesMatch",
        "gpu  -  8  6  2  0  4 in 1  DATE +6  Available",
    ]
    lines = of_world(asker.table("pools", "-o", "wide"), world.suffix)
    assert pinned(lines, world.suffix)[2] == (
        "gpu  -  8  6  2  0  4 in 1  DATE +6  gpu.example.org/device  8  0  0  0  0  -  Available"
    )
    rows = {row["name"]: row for row in asker.json("pools")["pools"]}
    status = world.pool_status(center)["devices"]
    assert {key: rows[center][key] for key in ("effective", "granted", "available", "waiting")} == {
        key: status[key] for key in ("effective", "granted", "available", "waiting")
    }
    assert rows[world.name("bare")]["troubles"][0]["next"] == "kubectl get nodes --show-labels"


def test_ends_are_shown_in_order(world: World, asker: Asker, center: str) -> None:
    """Who ends when, with notice given, due or none; further away than asked for is left out."""
    end: dict[str, Any] = {"window": {"end": hours_ahead(3 * DAY)}, "expiry": {"notice": [], "grace": "0s"}}
    world.active("soon", {center: 1}, **end)
    world.active("later", {center: 1}, window={"end": hours_ahead(20 * DAY)}, expiry={"notice": ["24h"]})
    lines = asker.table("expiring")
    assert lines[-2:] == ["", f"Next  bitgoeul status {lines[1].split()[0]}"]
    assert pinned(of_world(lines[:-2], world.suffix), world.suffix) == [
        "ALLOCATION  ORGANIZATION  HOLDS  ENDS  LEFT  NOTICE  THEN",
        "soon  Soon  gpu×1  DATE  LENGTH  none  pods go DATE, data is kept",
        "holder  Holder  gpu×6  DATE  LENGTH  given DATE  pods go DATE, data is kept",
        "later  Later  gpu×1  DATE  LENGTH  due DATE  pods go DATE, data is kept",
    ]
    rows = [row for row in asker.json("expiring", "--within", "11d")["expiring"] if world.suffix in row["name"]]
    assert [row["name"] for row in rows] == [world.name("soon"), world.name("holder")]
    assert rows[0]["noticeGiven"] is None
    assert len(of_world(asker.table("expiring", "-o", "wide")[:-2], world.suffix)) == 4
    assert "--within: not a length of time: '2w'" in asker.refusal("expiring", "--within", "2w")


def test_kubectl_finds_it_as_a_plugin(world: World, kubectl: Kubectl, center: str) -> None:
    """``kubectl bitgoeul`` is the same, and help calls it so."""
    scripts = sysconfig.get_path("scripts")
    environment = {"PATH": f"{scripts}:/usr/bin:/bin", "KUBECONFIG": str(kubectl.kubeconfig), "PYTHONPATH": str(SOURCE)}

    def run(*arguments: str) -> str:
        command = [str(kubectl.binary), "kubectl", "bitgoeul", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=180, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    assert run("status", world.name("waits")).startswith(f"{world.name('waits')} (Waits) is Waiting")
    assert run("pools", "--help").startswith("Usage: kubectl bitgoeul pools [OPTIONS]")
