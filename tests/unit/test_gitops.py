"""What Argo CD and Flux make of our kinds: the checks that are shipped, run on statuses as the operator writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cel
import pytest
import yaml
from lupa.lua51 import LuaRuntime  # type: ignore[import-untyped]  # Argo CD runs Lua 5.1

from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION, GROUP
from tests.chart import ROOT, Manifest
from tests.unit.builders import make_accelerator_pool, make_allocation, make_node, make_nodes, make_storage_pool
from tests.unit.lives import LIVES, holding, recorded, status_of
from tests.unit.test_desired_pool_status import settled, storage_status_of
from tests.unit.test_desired_pool_status import status_of as pool_status_of

CHECKS: dict[str, str] = yaml.safe_load((ROOT / "deploy" / "argocd" / "argocd-cm.yaml").read_text())["data"]
FLUX = list(yaml.safe_load_all((ROOT / "deploy" / "flux" / "kustomization.yaml").read_text()))
EXPRESSIONS = {check["kind"]: check for obj in FLUX for check in obj["spec"].get("healthCheckExprs", ())}

# What each turn of an allocation's life is to Argo CD, and to Flux.
EXPECTED = {
    "in force": ("Healthy", "Current"),
    "being provisioned": ("Progressing", "InProgress"),
    "after a notice": ("Healthy", "Current"),
    "past its end, not yet drained": ("Healthy", "Current"),
    "past its end and drained": ("Healthy", "Current"),
    "never admitted, and over": ("Healthy", "Current"),
    "over, and its data deleted": ("Healthy", "Current"),
    "suspended": ("Suspended", "Current"),
    "suspended before it began": ("Suspended", "Current"),
    "promised": ("Suspended", "Current"),
    "asking for what is not there": ("Suspended", "Current"),
    "asking for what will never be there": ("Degraded", "Failed"),
    "being deleted": ("Progressing", "InProgress"),
}


def argo(kind: str, obj: Manifest) -> tuple[str, str]:
    """Status and message that Argo CD shows, by the script of the kind."""
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    # As Argo CD does: without the libraries that reach outside.
    for library in ("os", "io", "require", "dofile", "loadfile", "python"):
        lua.globals()[library] = None
    found = lua.execute(CHECKS[f"resource.customizations.health.{GROUP}_{kind}"])
    return str(found.status), str(found.message)


def flux(kind: str, obj: Manifest) -> str:
    """What Flux makes of an object: an older generation first, then in progress, failed and current, in this order."""
    status = obj.get("status")
    if status is None or status["observedGeneration"] != obj["metadata"]["generation"]:
        # Without a status no expression can be evaluated, and Flux looks again.
        return "InProgress"
    for word in ("inProgress", "failed", "current"):
        expression = EXPRESSIONS[kind].get(word)
        if expression is not None and cel.evaluate(expression, obj):
            return word[0].upper() + word[1:]
    return "InProgress"


def allocation(status: Mapping[str, Any]) -> Manifest:
    return {"metadata": {"name": "blue", "generation": 1}, "spec": {}, "status": dict(status)}


@pytest.mark.parametrize("life", LIVES)
def test_an_allocation_is_judged_at_each_turn_of_its_life(life: str) -> None:
    """Who waits is no failure, and is not in progress either: it was decided, and nobody has to act."""
    objects, progress, _ = LIVES[life]
    obj = allocation(status_of(objects, progress))
    assert (argo("TenantAllocation", obj)[0], flux("TenantAllocation", obj)) == EXPECTED[life]


def test_one_that_wants_more_is_judged_by_what_waits() -> None:
    """It has what it had; the message is about what it asks for beyond that."""
    objects = holding(recorded(-1))
    objects[0]["spec"]["accelerators"][0]["devices"] = 16
    red = make_allocation("red", {"a100": 8}, grant={"accelerators": {"a100": 8}})
    status = status_of([*objects, red])
    assert status["phase"] == "Active"
    word, message = argo("TenantAllocation", allocation(status))
    assert (word, flux("TenantAllocation", allocation(status))) == ("Suspended", "Current")
    assert message.startswith("needs 8 of a100, 0 available")


def test_a_refusal_says_why() -> None:
    """In the words of the condition."""
    objects, progress, _ = LIVES["asking for what will never be there"]
    _, message = argo("TenantAllocation", allocation(status_of(objects, progress)))
    assert message.startswith("needs 99 of a100, which can never give more than 16")


POOL_LIVES: dict[str, tuple[str, Manifest, str, str]] = {
    "ready": ("AcceleratorPool", pool_status_of([make_accelerator_pool(), make_node()]), "Healthy", "Current"),
    "without nodes": ("AcceleratorPool", pool_status_of([make_accelerator_pool()]), "Suspended", "Current"),
    "on hold": (
        "AcceleratorPool",
        pool_status_of([make_accelerator_pool(stopPolicy="Hold"), make_node()]),
        "Suspended",
        "Current",
    ),
    "being deleted": (
        "AcceleratorPool",
        pool_status_of([make_accelerator_pool(deleting=True), make_node()]),
        "Progressing",
        "InProgress",
    ),
    "overcommitted": (
        "AcceleratorPool",
        pool_status_of(
            settled([make_accelerator_pool(), *make_nodes(2), make_allocation("blue", {"a100": 16})])[:2]
            + settled([make_accelerator_pool(), *make_nodes(2), make_allocation("blue", {"a100": 16})])[3:]
        ),
        "Degraded",
        "Current",
    ),
    "a ready one of storage": ("StoragePool", storage_status_of([make_storage_pool()]), "Healthy", "Current"),
    "one of storage on hold": (
        "StoragePool",
        storage_status_of([make_storage_pool(stopPolicy="Hold")]),
        "Suspended",
        "Current",
    ),
    "one whose class is another's": (
        "StoragePool",
        storage_status_of([make_storage_pool(created=1), make_storage_pool("older", storageClassName="lustre")]),
        "Degraded",
        "Failed",
    ),
    "one without its class": (
        "StoragePool",
        storage_status_of([make_storage_pool()], class_exists=False),
        "Degraded",
        "Failed",
    ),
}


@pytest.mark.parametrize("life", POOL_LIVES)
def test_a_pool_is_judged(life: str) -> None:
    """By what it is, not by what is asked of it."""
    kind, status, argo_word, flux_word = POOL_LIVES[life]
    obj = {"metadata": {"name": "one", "generation": status["observedGeneration"]}, "status": status}
    assert (argo(kind, obj)[0], flux(kind, obj)) == (argo_word, flux_word)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
@pytest.mark.parametrize(
    "status",
    [
        pytest.param(None, id="none yet"),
        pytest.param({"observedGeneration": 1, "conditions": []}, id="of an older spec"),
    ],
)
def test_without_a_status_of_this_spec_all_is_in_progress(kind: str, status: Manifest | None) -> None:
    """What stands there is about something else."""
    obj = {"metadata": {"name": "one", "generation": 2}, "spec": {}} | ({"status": status} if status else {})
    assert argo(kind, obj) == ("Progressing", "the operator has not looked at it yet")
    assert flux(kind, obj) == "InProgress"


def test_every_kind_has_its_checks() -> None:
    """And nothing is checked that is not ours."""
    names = {kind.name for kind in KINDS}
    assert {key.removeprefix(f"resource.customizations.health.{GROUP}_") for key in CHECKS} == names
    assert EXPRESSIONS.keys() == names
    assert {check["apiVersion"] for check in EXPRESSIONS.values()} == {API_VERSION}
