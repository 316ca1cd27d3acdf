"""
A control plane of its own for a benchmark: CRDs, nodes and pools in place, an audit log, and tenants by the hundred.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import yaml

from bitgoeul.api.crd import render_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.cluster.client import Object, connect
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, STORAGE_CLASS, STORAGE_POOL, TENANT_ALLOCATION, Kind
from bitgoeul.local.components import COMPONENTS
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.local.nodes import add_nodes
from tests.benchmarks import objects
from tests.benchmarks.audit import AuditLog
from tests.benchmarks.client import Client, in_parallel, until
from tests.benchmarks.operator_process import OperatorProcess
from tests.benchmarks.processes import Usage

CRD = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")


@dataclass(frozen=True)
class Cluster:
    """One running control plane, without an operator yet."""

    plane: ControlPlane
    client: Client
    audit: AuditLog

    def start_operator(self) -> OperatorProcess:
        """Start the operator against it; whoever calls this ends it."""
        return OperatorProcess(self.plane.kubeconfig, self.plane.layout.logs / "operator.log")

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[OperatorProcess]:
        """Run the operator during the block; it leads and is at rest when the block begins."""
        operator = self.start_operator()
        try:
            await operator.settled()
            yield operator
        finally:
            await operator.end()

    def usage(self, operator: OperatorProcess | None = None) -> Usage:
        """CPU time of the control plane, and of the operator where there is one."""
        pids = {component: self.plane.pid(component) for component in COMPONENTS}
        return Usage.now({**({"operator": operator.pid} if operator else {}), **pids})


@asynccontextmanager
async def open_cluster(devices: int, kcm_qps: int | None) -> AsyncIterator[Cluster]:
    """
    Start a control plane with at least so many devices, and end it with the block.

    Args:
        kcm_qps: Requests per second of each controller of the controller manager; None: its default of 20.
    """
    with ControlPlane.temporary(audit=True, kcm_qps=kcm_qps) as plane:
        assert plane.audit_log is not None
        async with connect(plane.kubeconfig) as api:
            client = Client(api)
            await install_crds(client)
            await add_nodes(api, "node", -(-devices // objects.DEVICES_PER_NODE), objects.NODE_SHAPE)
            await client.create(STORAGE_CLASS, objects.build_storage_class())
            await client.create(STORAGE_POOL, objects.build_storage_pool())
            await client.create(ACCELERATOR_POOL, objects.build_pool())
            yield Cluster(plane, client, AuditLog(plane.audit_log))


async def install_crds(client: Client) -> None:
    """Create the CRDs, and wait until the API server serves them."""
    served: set[str] = set()

    def seen(_change: str, crd: Object, _at: float) -> None:
        conditions = (crd.get("status") or {}).get("conditions") or ()
        if any(one["type"] == "Established" and one["status"] == "True" for one in conditions):
            served.add(crd["metadata"]["name"])

    async with client.watching(CRD, seen):
        for kind in KINDS:
            await client.create(CRD, yaml.safe_load(render_crd(kind)))
        await until(lambda: len(served) == len(KINDS), "the CRDs are established", 60)
    for ours in (ACCELERATOR_POOL, STORAGE_POOL, TENANT_ALLOCATION):
        await _until_listed(client, ours)


async def _until_listed(client: Client, kind: Kind) -> None:
    """Established comes a moment before the first list succeeds."""
    deadline = time.monotonic() + 30
    while True:
        try:
            await client.items(kind)
            return
        except Exception:
            if time.monotonic() > deadline:
                raise


@dataclass
class Tenants:
    """Tenants of one cluster, and when each of them was asked for and became Ready, on time.perf_counter."""

    client: Client
    asked_at: dict[str, float] = field(default_factory=dict)
    ready_at: dict[str, float] = field(default_factory=dict)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Take down who becomes Ready, during the block."""
        async with self.client.watching(TENANT_ALLOCATION, self._seen):
            yield

    def _seen(self, _change: str, allocation: Object, at: float) -> None:
        name = allocation["metadata"]["name"]
        if name not in self.ready_at and is_ready(allocation):
            self.ready_at[name] = at

    async def ask(self, name: str) -> None:
        self.asked_at[name] = time.perf_counter()
        await self.client.create(TENANT_ALLOCATION, objects.build_tenant(name))

    async def fill(self, names: Iterable[str]) -> None:
        """Ask for all of them, and wait until they are Ready; to be called inside ``watched``."""
        wanted = list(names)
        await in_parallel(self.ask, wanted)
        await until(
            lambda: all(name in self.ready_at for name in wanted),
            f"{len(wanted)} tenants are Ready",
            seconds=120 + len(wanted),
        )

    def seconds(self, names: Iterable[str]) -> list[float]:
        """From asking to Ready, for each."""
        return [self.ready_at[name] - self.asked_at[name] for name in names]


def is_ready(obj: Object) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
