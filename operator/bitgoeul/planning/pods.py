"""
What a pod may hold, as Kubernetes reckons it. Takes pods as the API server gives them; pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitgoeul.planning.observed import extended_resources

FINISHED = ("Succeeded", "Failed")


def may_hold(pod: Mapping[str, Any]) -> bool:
    """
    Tell whether a pod may hold something: it has not ended, and a node has it or may still get it.

    A pod that is deleted before a node had it is bound to none any more: the API server refuses the binding. Else
    tenants could charge devices to themselves that nobody gave them, by pods that only a finalizer of theirs keeps.
    """
    if (pod.get("status") or {}).get("phase") in FINISHED:
        return False
    return "deletionTimestamp" not in pod["metadata"] or bool((pod.get("spec") or {}).get("nodeName"))


def devices_of(pod: Mapping[str, Any]) -> dict[str, int]:
    """
    Count the devices that one pod takes, as quota and scheduler do.

    Containers and sidecars (init containers with ``restartPolicy: Always``) run together. An ordinary init container
    runs beside the sidecars that were started before it. What a RuntimeClass adds as overhead comes on top. Requests of
    the pod as a whole hold no devices.

    Source: ``AggregateContainerRequests`` and ``PodRequests`` of k8s.io/component-helpers/resource.
    """
    spec = pod.get("spec") or {}
    sidecars: dict[str, int] = {}
    starting: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            sidecars = summed(sidecars, requested(container))
            beside = sidecars
        else:
            beside = summed(sidecars, requested(container))
        starting = {name: max(starting.get(name, 0), beside.get(name, 0)) for name in starting.keys() | beside.keys()}
    running = summed(sidecars, *(requested(container) for container in spec.get("containers") or ()))
    most = {name: max(running.get(name, 0), starting.get(name, 0)) for name in running.keys() | starting.keys()}
    return summed(most, extended_resources(spec.get("overhead")))


def requested(container: Mapping[str, Any]) -> dict[str, int]:
    """Return the devices that one container asks for; a limit without a request is the request, as for Kubernetes."""
    resources = container.get("resources") or {}
    return extended_resources({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def summed(*parts: Mapping[str, int]) -> dict[str, int]:
    """Return the sum of amounts, name by name."""
    result: dict[str, int] = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = result.get(name, 0) + amount
    return result
