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
from bitgoeul.desired.tenant_policies import MAX_GRACE_SECONDS
from bitgoeul.planning.life import PATIENCE
from bitgoeul.planning.pods import may_hold

log = logging.getLogger(__name__)

# How long a disruption budget may hold up the end of a grant: as long as planning reckons with.
BUDGET_PATIENCE = timedelta(milliseconds=PATIENCE)
# A pod keeps at least LEAST_GRACE_SECONDS of what it asks for, however late it is sent off.
LEAST_GRACE_SECONDS = 30
DEFAULT_GRACE_SECONDS = 30  # Kubernetes' own


async def unfinished_pods(api: Api, namespace: str) -> list[Object]:
    """The pods that may hold something, as the API server has them this moment."""
    pods, _ = await api.list_all(POD.path("", namespace))
    return [pod for pod in pods if may_hold(pod)]


def grace_of(pod: Mapping[str, Any], ended: datetime, now: datetime) -> int:
    """
    Return the seconds that a pod gets to stop: what it asks for, as far as patience lasts.

    A kubelet does not shorten a stop that is under way, so the first request for it has to carry the time that is left.

    Args:
        ended: When the grant ended; patience counts from there.
    """
    own = (pod.get("spec") or {}).get("terminationGracePeriodSeconds")
    left = int((ended + BUDGET_PATIENCE - now).total_seconds())
    asked = DEFAULT_GRACE_SECONDS if own is None else max(1, int(own))  # 0 would free devices while the process runs
    return min(asked, MAX_GRACE_SECONDS, max(LEAST_GRACE_SECONDS, left))


async def send_off(writer: Writer, pods: Iterable[Object], ended: datetime, clock: Callable[[], datetime]) -> None:
    """
    Evict pods; those that a disruption budget protects are asked again, and deleted when patience is over.

    Args:
        ended: When the grant ended; patience counts from there.
    Raises:
        ApiError: One of them is refused for another reason; the others were sent off all the same.
    """
    refused: ApiError | None = None
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue  # a stop that is under way takes no other grace
        try:
            await send_off_one(writer, pod, ended, clock())
        except ApiError as error:
            if not error.terminating:  # else the whole namespace is on its way out, its pods with it
                refused = refused or error
    if refused is not None:
        raise refused


async def send_off_one(writer: Writer, pod: Object, ended: datetime, now: datetime) -> None:
    """Evict one pod, or, once patience is over, delete it; the first request carries how long the pod may take."""
    grace = grace_of(pod, ended, now)
    try:
        await writer.evict(pod, grace)
    except ApiError as error:
        several_budgets = error.status == 500 and "more than one PodDisruptionBudget" in error.message
        if error.status != 429 and not several_budgets:
            raise
        if several_budgets or now > ended + BUDGET_PATIENCE:
            await writer.delete(POD, pod, grace_seconds=grace)
        else:
            log.info("pod %s/%s: %s", pod["metadata"]["namespace"], pod["metadata"]["name"], error.message)
