"""
What a measure is given: how many tenants, with which flags, and the hall, the cluster that several measures share.

The hall fills up while they run: latency on the empty one, repair at a hundred tenants, idling and restart when it is
full. So a thousand tenants are made once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.benchmarks.cluster import Cluster, Tenants, open_cluster
from tests.benchmarks.operator_process import OperatorProcess

SPARE_DEVICES = 100


@dataclass
class Hall:
    """One cluster, its operator, and the tenants in it so far."""

    cluster: Cluster
    tenants: Tenants
    operator: OperatorProcess

    async def fill(self, count: int) -> None:
        """Have at least so many tenants, all of them Ready, and the operator at rest."""
        present = len(self.tenants.asked_at)
        await self.tenants.fill([f"tenant-{number:05}" for number in range(present, count)])
        await self.operator.settled()

    def start_operator(self) -> None:
        """Start the next operator, after the last one has ended; does not wait until it leads."""
        self.operator = self.cluster.start_operator()


@asynccontextmanager
async def open_hall(tenants: int, kcm_qps: int | None) -> AsyncIterator[Hall]:
    """A hall with devices for so many tenants and some more, without any tenant yet."""
    async with open_cluster(tenants + SPARE_DEVICES, kcm_qps) as cluster:
        hall = Hall(cluster, Tenants(cluster.client), cluster.start_operator())
        try:
            async with hall.tenants.watched():
                await hall.operator.settled()
                yield hall
        finally:
            await hall.operator.end()


@dataclass(frozen=True)
class Setting:
    """
    The conditions of one measure.

    Attributes:
        kcm_qps: Requests per second of each controller of the controller manager; None: its default of 20.
        hall: Gives the hall; opens it when it is first asked for.
        say: Tells the person at the terminal what is going on.
    """

    tenants: int
    kcm_qps: int | None
    hall: Callable[[], Awaitable[Hall]]
    say: Callable[[str], None]

    @property
    def kcm_text(self) -> str:
        return f"--kube-api-qps={self.kcm_qps}" if self.kcm_qps else "its default of 20 requests per second"
