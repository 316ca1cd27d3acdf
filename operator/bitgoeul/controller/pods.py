"""
Pods of a tenant, looked at only when something is taken away: what they hold in truth, and how they are sent off.

Quota stops charging a pod that is stuck in termination, while its devices are still taken. So whoever hands devices
on, asks here and not the quota.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bitgoeul.cluster.client import Api, ApiError, Object
from bitgoeul.cluster.kinds import POD
from bitgoeul.cluster.writer import Writer
from bitgoeul.planning.life import PATIENCE
from bitgoeul.planning.observed import whole

log = logging.getLogger(__name__)

# How long a disruption budget may hold up the end of a grant: as long as planning reckons with.
BUDGET_PATIENCE = timedelta(milliseconds=PATIENCE)
# What is left to a pod that would take longer than that patience to go.
LAST_GRACE_SECONDS = 30
FINISHED = ("Succeeded", "Failed")


async def unfinished_pods(api: Api, namespace: str) -> list[Object]:
    """The pods that may hold something, as the API server has them this moment."""
    pods, _ = await api.list_all(POD.path("", namespace))
    return [pod for pod in pods if (pod.get("status") or {}).get("phase") not in FINISHED]


def devices_of(pod: Mapping[str, Any]) -> dict[str, int]:
    """
    Devices that one pod takes: its containers and sidecars together, or its largest init container if that is more.

    Source: Kubernetes documentation, "Resource sharing within containers" of init containers.
    """
    spec = pod.get("spec") or {}
    together: dict[str, int] = {}
    largest: dict[str, int] = {}
    init = spec.get("initContainers") or ()
    for container in (*(spec.get("containers") or ()), *(c for c in init if c.get("restartPolicy") == "Always")):
        for resource, amount in requested(container).items():
            together[resource] = together.get(resource, 0) + amount
    for container in init:
        for resource, amount in requested(container).items():
            largest[resource] = max(largest.get(resource, 0), amount)
    return {name: max(together.get(name, 0), largest.get(name, 0)) for name in together.keys() | largest.keys()}


def requested(container: Mapping[str, Any]) -> dict[str, int]:
    """Devices that one container asks for; requests and limits of extended resources are equal."""
    resources = container.get("resources") or {}
    stated = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: whole(amount) for name, amount in stated.items() if "/" in name}


async def send_off(writer: Writer, pods: Iterable[Object], ended: datetime, clock: Callable[[], datetime]) -> None:
    """
    Evict pods; those that a disruption budget protects are asked again, and deleted when patience is over.

    Args:
        ended: When the grant ended; patience counts from there.
    Raises:
        ApiError: One of them is refused for another reason; the others were sent off all the same.
    """
    impatient = clock() > ended + BUDGET_PATIENCE
    refused: ApiError | None = None
    for pod in pods:
        try:
            await send_off_one(writer, pod, impatient=impatient)
        except ApiError as error:
            if not error.terminating:  # else the whole namespace is on its way out, its pods with it
                refused = refused or error
    if refused is not None:
        raise refused


async def send_off_one(writer: Writer, pod: Object, *, impatient: bool) -> None:
    """Evict one pod, or, once patience is over, delete it; its own grace then counts no longer than ours."""
    metadata = pod["metadata"]
    if metadata.get("deletionTimestamp"):
        if impatient and (metadata.get("deletionGracePeriodSeconds") or 0) > LAST_GRACE_SECONDS:
            await writer.delete(POD, pod, grace_seconds=LAST_GRACE_SECONDS)
        return
    try:
        await writer.evict(pod)
    except ApiError as error:
        several_budgets = error.status == 500 and "more than one PodDisruptionBudget" in error.message
        if error.status != 429 and not several_budgets:
            raise
        if impatient or several_budgets:
            await writer.delete(POD, pod)
        else:
            log.info("pod %s/%s: %s", metadata["namespace"], metadata["name"], error.message)
