"""The pod security level of an allocation: a door that a platform engineer opens, with a reason that everybody sees."""

from __future__ import annotations

import re

import pytest

from bitgoeul.api.names import TENANT_ALLOCATIONS
from bitgoeul.cluster.kinds import NAMESPACE, POD, TENANT_ALLOCATION
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, condition, resource_of
from tests.cluster.waiting import eventually

ENFORCE = "pod-security.kubernetes.io/enforce"
WHY = "RDMA needs IPC_LOCK"
PRIVILEGED = {"level": "privileged", "reason": WHY}


def rdma(world: World, namespace: str, name: str, pool: str = "", *, keep: bool = False) -> str:
    """Try the usual pod for NCCL over InfiniBand, or make it; gives the refusal, or nothing when it was admitted."""
    limits = {"rdma/hca_shared_devices_a": "1"} | ({resource_of(pool): "1"} if pool else {})
    container = {
        "name": "nccl",
        "image": "nvcr.io/nvidia/pytorch:24.05-py3",
        "securityContext": {"capabilities": {"add": ["IPC_LOCK"]}},
        "resources": {"limits": limits},
    }
    body = {"metadata": {"name": name}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    path = POD.path("", namespace)
    status, answer = world.admin.request("POST", path if keep else f"{path}?dryRun=All", body)
    return str(answer["message"]) if status >= 400 else ""


def level(world: World, namespace: str) -> str:
    return str(world.get(NAMESPACE, namespace)["metadata"]["labels"][ENFORCE])


def metric(operator: OperatorProcess, allocation: str) -> list[str]:
    """The series about the pod security of an allocation, as they are exposed."""
    _, text = operator.fetch("/metrics")
    return re.findall(
        rf'^bitgoeul_allocation_pod_security_info\{{allocation="{allocation}",(.*)\}} 1', text, re.MULTILINE
    )


def test_the_door_opens_and_shuts(world: World, operator: OperatorProcess) -> None:
    """Refused as it is, admitted with the door, refused again afterwards; what runs by then stays, and all is told."""
    pool = world.pool(devices=8)
    more = world.name("more")
    blue = world.name("blue")
    world.active("blue", {pool: 4}, namespaces=[{"name": blue, "accelerators": {pool: 4}}, {"name": more}])
    eventually(lambda: 'violates PodSecurity "baseline:latest"' in rdma(world, blue, "nccl", pool), "it is refused")
    assert metric(operator, blue) == []

    world.edit(blue, podSecurity=PRIVILEGED)
    eventually(lambda: rdma(world, blue, "nccl", pool, keep=True) == "", "it is admitted")
    eventually(lambda: rdma(world, more, "nccl") == "", "in every namespace")
    status = world.await_status(blue, lambda s: s["phase"] == "Active", "is Active")
    relaxed = condition(status, "PodSecurityRelaxed")
    assert (relaxed["status"], relaxed["reason"], relaxed["message"]) == (
        "True",
        "PodSecurityLowered",
        f"privileged: {WHY}",
    )
    assert metric(operator, blue) == [f'level="privileged",reason="{WHY}"']

    def told(reason: str) -> list[tuple[str, str]]:
        return [(kind, text) for kind, why, text in world.events(blue) if why == reason]

    eventually(
        lambda: told("PodSecurityLowered") == [("Warning", f"pod security is privileged: {WHY}")],
        "an Event says so, once",
    )

    world.edit(blue, podSecurity=None)
    eventually(lambda: "violates PodSecurity" in rdma(world, blue, "second", pool), "it is refused again")
    assert world.pods(blue) == {"nccl": False}
    status = world.await_status(blue, lambda s: s["phase"] == "Active", "is Active")
    assert not [one for one in status["conditions"] if one["type"] == "PodSecurityRelaxed"]
    eventually(lambda: metric(operator, blue) == [], "the metric is gone")
    eventually(
        lambda: (
            told("PodSecurityRestored")
            == [("Normal", f"pod security is as usual again for new pods; it was privileged: {WHY}")]
        ),
        "an Event says so",
    )


def test_a_door_that_is_open_from_the_start_is_told_as_well(world: World) -> None:
    """The Event comes with the first grant, too."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 4}, podSecurity=PRIVILEGED)
    eventually(
        lambda: ("Warning", "PodSecurityLowered", f"pod security is privileged: {WHY}") in world.events(blue),
        "an Event says so",
    )
    assert condition(world.status(blue), "PodSecurityRelaxed")["status"] == "True"


def test_members_can_neither_set_nor_keep_it(world: World, kubectl: Kubectl) -> None:
    """Neither by the field nor by the label; and what an administrator changes by hand is put back, open or shut."""
    pool = world.pool(devices=8)
    ara = f"{world.name('ara')}@example.org"
    blue = world.active("blue", {pool: 4}, members=[{"kind": "User", "name": ara, "role": "admin"}])
    eventually(lambda: kubectl("get", "namespace", blue, as_user=ara, check=False).returncode == 0, "the member is in")
    patch = f'{{"spec":{{"podSecurity":{{"level":"privileged","reason":"{WHY}"}}}}}}'
    for command in (
        ("patch", TENANT_ALLOCATIONS, blue, "--type=merge", "-p", patch),
        ("label", "namespace", blue, "--overwrite", f"{ENFORCE}=privileged"),
    ):
        done = kubectl(*command, as_user=ara, check=False)
        assert done.returncode != 0
        assert "forbidden" in done.stderr.lower()
    assert level(world, blue) == "baseline"
    for wanted, other in (("baseline", "privileged"), ("privileged", "restricted")):
        world.edit(blue, podSecurity=PRIVILEGED if wanted == "privileged" else None)
        eventually(lambda: level(world, blue) == wanted, f"it is {wanted}")  # noqa: B023
        world.admin.merge(NAMESPACE.path(blue), {"metadata": {"labels": {ENFORCE: other}}})
        eventually(lambda: level(world, blue) == wanted, f"it is {wanted} again")  # noqa: B023


def test_a_stricter_level_needs_no_reason(world: World, operator: OperatorProcess) -> None:
    """It holds, the trial pod passes it, and nothing is relaxed; the metric shows it."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 4}, podSecurity={"level": "restricted"})
    assert level(world, blue) == "restricted"
    said = world.refused(blue, "plain", pool, 1)
    assert 'violates PodSecurity "restricted:latest"' in said
    assert not [one for one in world.status(blue)["conditions"] if one["type"] == "PodSecurityRelaxed"]
    assert metric(operator, blue) == ['level="restricted",reason=""']


def test_it_holds_only_while_the_grant_is_in_force(world: World) -> None:
    """Suspended it is shut, resumed it is open again."""
    pool = world.pool(devices=8)
    blue = world.active("blue", {pool: 4}, podSecurity=PRIVILEGED)
    assert level(world, blue) == "privileged"
    world.edit(blue, suspend=True)
    status = world.await_phase(blue, "Suspended")
    assert level(world, blue) == "baseline"
    assert not [one for one in status["conditions"] if one["type"] == "PodSecurityRelaxed"]
    world.edit(blue, suspend=False)
    status = world.await_phase(blue, "Active")
    assert level(world, blue) == "privileged"
    assert condition(status, "PodSecurityRelaxed")["status"] == "True"


@pytest.mark.parametrize(
    "whole", [True, False], ids=["an allocation that is deleted", "a namespace taken from the list"]
)
def test_what_is_kept_goes_back_to_the_default(world: World, whole: bool) -> None:
    """Nobody looks after the reason any more."""
    pool = world.pool(devices=8)
    blue, more = world.name("blue"), world.name("more")
    spaces = [{"name": blue, "accelerators": {pool: 4}}, {"name": more}]
    world.active("blue", {pool: 4}, podSecurity=PRIVILEGED, namespaces=spaces)
    assert level(world, more) == "privileged"
    if whole:
        world.delete(TENANT_ALLOCATION, blue)
        world.await_gone(TENANT_ALLOCATION, blue)
        assert level(world, blue) == "baseline"
    else:
        world.edit(blue, namespaces=spaces[:1])
    eventually(lambda: level(world, more) == "baseline", "the kept namespace is at the default")
