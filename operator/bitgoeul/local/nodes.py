"""
Simulated nodes: says what they look like, and adds them to a control plane of ours.

kwok plays the kubelet of every node. In a real cluster such an object would attract pods that never run: hence the
check.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bitgoeul.cluster.client import Api, ApiError
from bitgoeul.errors import UserError
from bitgoeul.local.launcher import MARK_NAME, MARK_NAMESPACE

AT_A_TIME = 16
PODS_PER_NODE = "110"  # a kubelet's default
EPHEMERAL_STORAGE = "100Gi"  # every kubelet reports some; a pod that asks for any would else never be scheduled

Object = dict[str, Any]


@dataclass(frozen=True)
class Taint:
    """What keeps pods off that do not tolerate it."""

    key: str
    value: str
    effect: str  # NoSchedule, PreferNoSchedule or NoExecute


@dataclass(frozen=True)
class NodeShape:
    """What all nodes of one call have in common; quantities as Kubernetes writes them."""

    cpu: str = "128"
    memory: str = "1Ti"
    devices: Mapping[str, str] = field(default_factory=dict)  # resource name → count
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()


def build_node(name: str, shape: NodeShape) -> Object:
    """The Node object, with the capacity that its kubelet would report; kwok turns it Ready."""
    own = {"cpu": shape.cpu, "memory": shape.memory, "pods": PODS_PER_NODE, "ephemeral-storage": EPHEMERAL_STORAGE}
    resources = {**own, **shape.devices}
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "type": "kwok",
        **shape.labels,
    }
    spec: Object = {"taints": [vars(taint) for taint in shape.taints]} if shape.taints else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": spec,
        "status": {"capacity": resources, "allocatable": resources},
    }


def next_names(existing: set[str], prefix: str, count: int) -> list[str]:
    """``prefix-N``, going on after the highest number that exists: a second call adds, and never repeats."""
    pattern = re.compile(re.escape(prefix) + r"-(\d+)")
    numbers = [int(match[1]) for name in existing if (match := pattern.fullmatch(name))]
    first = max(numbers, default=-1) + 1
    return [f"{prefix}-{number}" for number in range(first, first + count)]


async def add_nodes(api: Api, prefix: str, count: int, shape: NodeShape) -> list[str]:
    """
    Create ``count`` nodes and return their names.

    Raises:
        UserError: The cluster is not one that `bitgoeul up` made, or it refused a node.
    """
    await check_is_ours(api)
    nodes, _ = await api.list_all("/api/v1/nodes")
    names = next_names({node["metadata"]["name"] for node in nodes}, prefix, count)
    at_a_time = asyncio.Semaphore(AT_A_TIME)

    async def create(name: str) -> None:
        async with at_a_time:
            await api.request("POST", "/api/v1/nodes", build_node(name, shape))

    try:
        await asyncio.gather(*map(create, names))
    except ApiError as error:
        raise UserError(f"the API server refused a node: {error.message}") from error
    return names


async def check_is_ours(api: Api) -> None:
    """Refuse a cluster that does not bear our mark; see the module's reason."""
    path = f"/api/v1/namespaces/{MARK_NAMESPACE}/configmaps/{MARK_NAME}"
    if await api.get(path) is None:
        raise UserError(
            f"{api.server} was not made by 'bitgoeul up' (it has no ConfigMap {MARK_NAMESPACE}/{MARK_NAME}): "
            "simulated nodes are added to such control planes only"
        )
