"""Waiting until nothing of other worlds is left: tests share a control plane, and worlds go in the background."""

from __future__ import annotations

from bitgoeul.api.names import OPERATOR_NAMESPACE
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    NAMESPACE,
    NODE,
    STORAGE_CLASS,
    STORAGE_POOL,
    TENANT_ALLOCATION,
    Kind,
)
from tests.cluster.scenario import GOING_SECONDS, World
from tests.cluster.waiting import eventually

# What planning looks at, and every quota names.
PLANNED = (TENANT_ALLOCATION, ACCELERATOR_POOL, STORAGE_POOL, NODE, STORAGE_CLASS)
EVERYTHING = (*PLANNED, NAMESPACE)
NOBODYS = {"default", "kube-system", "kube-public", "kube-node-lease", OPERATOR_NAMESPACE}


def await_alone(world: World, kinds: tuple[Kind, ...] = PLANNED) -> None:
    """
    Wait until what is there of these kinds is of this world.

    For tests that look at answers about the whole cluster, or at what names the whole cluster, as quotas do. The
    operator has to run: it lets go what other worlds had.
    """

    def alone() -> bool:
        others = [
            f"{kind.kind} {name}"
            for kind in kinds
            for name in (one["metadata"]["name"] for one in world.items(kind))
            if not name.endswith(world.suffix) and not (kind is NAMESPACE and name in NOBODYS)
        ]
        assert not others, f"still there: {', '.join(others)}"
        return True

    eventually(alone, "what other tests have left behind is gone", GOING_SECONDS)
