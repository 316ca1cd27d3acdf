"""Refusals by namespaces: what is taken, what is kept for an heir, and what one namespace cannot tell apart."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.api.conditions import Reason
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.pools import accelerator
from tests.unit.builders import (
    GPU,
    Manifest,
    decide,
    make_accelerator_pool,
    make_allocation,
    make_held,
    make_namespace,
    make_nodes,
    make_storage_pool,
    plan_of,
)

A100 = accelerator("a100")
# 16 A100, 8 H100 of the same resource name, 4 NPUs, 100Ti of lustre.
CLUSTER = [
    make_accelerator_pool("a100", created=1),
    make_accelerator_pool("h100", created=2),
    make_accelerator_pool("npu", "furiosa.ai/npu", created=3),
    *make_nodes(2, "a100"),
    *make_nodes(1, "h100"),
    *make_nodes(1, "npu", devices=4, resource="furiosa.ai/npu"),
    make_storage_pool(),
]


def refuse(*objects: Manifest, name: str = "blue") -> tuple[Reason, str]:
    """Reason and message of one allocation in the cluster with these objects beside."""
    decision = decide([*CLUSTER, *objects], name)
    assert not decision.met
    assert decision.queue is None
    return decision.reason, decision.message


def shares(*entries: dict[str, Any]) -> dict[str, Any]:
    """``spec.namespaces`` with these shares, named n1, n2 and so on."""
    return {"namespaces": [{"name": f"n{number}", **entry} for number, entry in enumerate(entries, start=1)]}


# -- what is kept for an heir

KEPT = make_held("dead", {"lustre": "0"}, {"lustre": "10Ti"}, retained=True)


def make_heir(*namespaces: str, size: str = "10Ti", **spec: Any) -> Manifest:
    """An allocation that takes over what uid-dead has left."""
    named = [{"name": name} for name in namespaces]
    return make_allocation("heir", storage={"lustre": size}, restoreFrom="uid-dead", namespaces=named, **spec)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        pytest.param(
            [make_heir("dead")],
            "restoreFrom uid-dead: no namespace is retained under this UID; leave it out to start afresh",
            id="nothing is kept",
        ),
        pytest.param(
            [make_heir("elsewhere"), *KEPT],
            "restoreFrom uid-dead keeps its data in dead: name these under spec.namespaces",
            id="the namespace is not named",
        ),
        pytest.param(
            [make_heir("elsewhere"), *KEPT, make_namespace("a-dead-one", "dead", retained=True)],
            "restoreFrom uid-dead keeps its data in a-dead-one, dead: name these under spec.namespaces",
            id="none of the namespaces is named",
        ),
        pytest.param(
            [make_heir("dead"), make_allocation("dead", deleting=True), make_namespace("dead")],
            "restoreFrom uid-dead is not deleted yet; what it keeps can be taken over afterwards",
            id="the former allocation is still on its way out",
        ),
        pytest.param(
            [make_heir("dead"), make_allocation("dead", {"npu": 1}), *KEPT],
            "restoreFrom uid-dead is not deleted yet; what it keeps can be taken over afterwards",
            id="the former allocation lives, though it has given up the namespace",
        ),
        pytest.param(
            [make_heir("dead"), make_namespace("dead")],
            "restoreFrom uid-dead is not deleted yet; what it keeps can be taken over afterwards",
            id="its namespace is not marked as retained yet",
        ),
        pytest.param(
            [make_heir("dead", size="9Ti"), *KEPT],
            "namespace dead keeps 10Ti of lustre, more than the 9Ti asked for it; ask for at least what is kept",
            id="the size is smaller than what is kept",
        ),
        pytest.param(
            [make_heir("new", "dead", size="20Ti"), *KEPT],
            "namespace dead keeps 10Ti of lustre, more than the 0 asked for it; ask for at least what is kept",
            id="the size goes to another namespace",
        ),
        pytest.param(
            [make_allocation("heir", {"npu": 1}, restoreFrom="uid-dead", namespaces=[{"name": "dead"}]), *KEPT],
            "namespace dead keeps 10Ti of lustre, more than the 0 asked for it; ask for at least what is kept",
            id="no storage is asked for",
        ),
    ],
)
def test_an_inheritance_that_does_not_fit_is_misconfigured(objects: list[Manifest], message: str) -> None:
    """``restoreFrom`` names data that is there, and each namespace gets at least what it keeps."""
    assert refuse(*objects, name="heir") == (Reason.MISCONFIGURED, message)


def test_of_several_legacies_that_do_not_fit_the_first_is_shown() -> None:
    """By namespace, then by pool, whatever the order in which they are seen."""
    pools = [make_storage_pool("nvme"), make_storage_pool("beegfs")]
    kept = [
        *make_held("dead-2", {}, {"lustre": "1Ti"}, owner="dead", retained=True),
        *make_held("dead-1", {}, {"nvme": "1Ti", "lustre": "1Ti", "beegfs": "1Ti"}, owner="dead", retained=True),
    ]
    heir = make_allocation(
        "heir", {"npu": 1}, restoreFrom="uid-dead", namespaces=[{"name": "dead-2"}, {"name": "dead-1"}]
    )
    message = "namespace dead-1 keeps 1Ti of beegfs, more than the 0 asked for it; ask for at least what is kept"
    assert refuse(*pools, *kept, heir, name="heir") == (Reason.MISCONFIGURED, message)


def test_devices_that_pods_of_the_dead_still_hold_keep_no_heir_out() -> None:
    """They go with the pods; only data stays."""
    limits = {GPU: 0, "furiosa.ai/npu": 0, "lustre": 0}
    kept = make_held("dead", limits, {GPU: 8}, retained=True, pools=["a100"])
    assert decide([*CLUSTER, *kept, make_heir("dead")], "heir").met


def test_an_heir_that_was_promised_is_not_asked_for_its_inheritance_again() -> None:
    """After the handing over nothing is kept under the old UID, and that is right."""
    promised = make_heir("dead", grant={"storage": {"lustre": "10Ti"}})
    assert decide([*CLUSTER, promised], "heir").met
    assert decide([*CLUSTER, make_heir("dead"), make_namespace("dead", "heir")], "heir").met


# -- NamespaceConflict


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        pytest.param(
            [make_namespace("blue", "")],
            "namespace blue exists and is not managed by bitgoeul; choose another name or remove it",
            id="foreign",
        ),
        pytest.param(
            [make_namespace("blue", "", retained=True)],
            "namespace blue exists and is not managed by bitgoeul; choose another name or remove it",
            id="foreign, with a label that anybody may write",
        ),
        pytest.param(
            [make_namespace("blue", "red")],
            "namespace blue belongs to another allocation; choose another name",
            id="somebody else's",
        ),
        pytest.param(
            [make_namespace("blue", "red", retained=True), make_allocation("red", {"npu": 1})],
            "namespace blue belongs to another allocation; choose another name",
            id="given up by somebody who is still there",
        ),
        pytest.param(
            [make_namespace("blue", "dead", retained=True)],
            "namespace blue keeps the data of a deleted allocation with UID uid-dead; create this one with "
            "restoreFrom: uid-dead to take it over, or choose another name",
            id="kept data of the dead",
        ),
        pytest.param(
            [make_allocation("elder", {"npu": 1}, created=-1, namespaces=[{"name": "blue"}])],
            "namespace blue was asked for by another allocation before; choose another name",
            id="wanted by an older one",
        ),
    ],
)
def test_a_namespace_that_is_taken_is_never_touched(beside: list[Manifest], message: str) -> None:
    """Data of a former tenant is never handed over by a name alone."""
    assert refuse(make_allocation(accelerators={"a100": 1}), *beside) == (Reason.NAMESPACE_CONFLICT, message)


def test_the_wrong_uid_takes_nothing_over() -> None:
    """Another dead allocation's UID opens only its own namespaces."""
    spec: dict[str, Any] = {"restoreFrom": "uid-dead", "namespaces": [{"name": "dead"}, {"name": "dead-too"}]}
    heir = make_allocation("heir", storage={"lustre": "10Ti"}, **spec)
    reason, message = refuse(heir, *KEPT, make_namespace("dead-too", "else", retained=True), name="heir")
    assert reason is Reason.NAMESPACE_CONFLICT
    assert "namespace dead-too keeps the data of a deleted allocation with UID uid-else" in message


def test_the_rightful_heir_takes_over() -> None:
    """No conflict with what is retained under its ``restoreFrom``."""
    assert decide([*CLUSTER, *KEPT, make_heir("dead")], "heir").met


def test_an_allocation_keeps_its_own_namespace_though_an_older_one_asks_for_it() -> None:
    """The present owner goes first, so that an edit of somebody else takes nothing away."""
    elder = make_allocation("elder", {"npu": 1}, created=-1, namespaces=[{"name": "blue"}])
    plan = plan_of([*CLUSTER, elder, make_allocation(accelerators={"a100": 1}), make_namespace("blue")])
    assert plan.decisions["blue"].met
    assert plan.decisions["elder"].reason is Reason.NAMESPACE_CONFLICT


# -- ResourceNameCollision


def test_two_pools_of_one_resource_in_one_namespace_collide() -> None:
    """A quota cannot tell an A100 from an H100."""
    assert refuse(make_allocation(accelerators={"h100": 1, "a100": 1})) == (
        Reason.RESOURCE_NAME_COLLISION,
        f"a100 and h100 are both {GPU}, which one namespace cannot tell apart; give them to two namespaces under "
        "spec.namespaces",
    )


@pytest.mark.parametrize(
    ("accelerators", "entries"),
    [
        pytest.param(
            {"a100": 1, "h100": 1},
            [{"accelerators": {"a100": 1}}, {"accelerators": {"h100": 1}}],
            id="two namespaces, one for each",
        ),
        pytest.param({"a100": 1, "npu": 1}, [], id="two resources in one namespace"),
        pytest.param(
            {"a100": 1, "h100": 1},
            [{"accelerators": {"a100": 1, "h100": 0}}, {"accelerators": {"h100": 1}}],
            id="a share of 0 beside",
        ),
    ],
)
def test_pools_that_a_quota_can_tell_apart_do_not_collide(accelerators: dict[str, int], entries: list[Any]) -> None:
    """The way out that the message names works."""
    assert decide([*CLUSTER, make_allocation(accelerators=accelerators, **shares(*entries))]).met


def test_a_storage_class_of_an_older_pool_collides() -> None:
    """Of two pools with one class only the older grants."""
    young = make_storage_pool("lustre-2", created=9, storageClassName="lustre")
    assert refuse(make_allocation(storage={"lustre-2": "1Ti"}), young) == (
        Reason.RESOURCE_NAME_COLLISION,
        "lustre-2 has the storage class lustre of the older StoragePool lustre; ask for that",
    )


def swapped(used: int, *entries: dict[str, Any]) -> Decision:
    """A holder of 8 A100 that now asks for 4 H100 instead, with this many A100 in use in its namespace n1."""
    grant = {"accelerators": {"a100": 8}}
    allocation = make_allocation(accelerators={"h100": 4}, grant=grant, **shares(*(entries or ({},))))
    held = make_held("n1", {GPU: 8}, {GPU: used}, owner="blue", pools=["a100"])
    return decide([*CLUSTER, allocation, *held])


def test_a_pool_in_use_cannot_be_swapped_for_one_of_the_same_resource() -> None:
    """Pods would go on holding devices of the old pool under the quota of the new one."""
    decision = swapped(3)
    assert (decision.reason, decision.message) == (
        Reason.RESOURCE_NAME_COLLISION,
        f"3 of a100 are in use in namespace n1, and h100 is {GPU} too; stop those pods first, or add a second "
        "namespace for it",
    )
    assert decision.grant == {A100: 8}
    assert decision.admitted


def test_of_several_pools_in_use_the_first_is_shown() -> None:
    """Two swaps at once in one namespace."""
    cluster = [*CLUSTER, make_accelerator_pool("npu-2", "furiosa.ai/npu", created=9)]
    allocation = make_allocation(accelerators={"h100": 4, "npu-2": 1})
    held = make_held("blue", {}, {GPU: 3, "furiosa.ai/npu": 2}, pools=["npu", "a100"])
    assert decide([*cluster, allocation, *held]).message.startswith("3 of a100 are in use in namespace blue, and h100")


def test_a_pool_that_is_not_in_use_can_be_swapped() -> None:
    """Both are held until the old one is given back."""
    decision = swapped(0)
    assert decision.met
    assert decision.grant == {A100: 8, accelerator("h100"): 4}


def test_a_second_namespace_is_a_way_to_swap_under_use() -> None:
    """The way out that the message names works."""
    assert swapped(3, {}, {"accelerators": {"h100": 4}}).met


def test_use_of_the_same_pool_is_no_collision() -> None:
    """Growth and shrinking of one pool under use are ordinary."""
    holder = make_allocation(accelerators={"a100": 10}, grant={"accelerators": {"a100": 8}})
    assert decide([*CLUSTER, holder, *make_held("blue", {GPU: 8}, {GPU: 8}, pools=["a100"])]).met
