"""
The story of the model case, step by step: each step does something to the cluster, waits until it shows, and says in a
line what happened and why, and which command shows the same.

Nothing is said before it was seen on the API server. A step whose effect does not come ends the story with a UserError.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable

from bitgoeul import __version__
from bitgoeul.api import AcceleratorPool
from bitgoeul.api.conditions import Phase
from bitgoeul.demo.board import (
    POD_COLUMNS,
    POOL_COLUMNS,
    STORAGE_COLUMNS,
    TENANT_COLUMNS,
    Board,
    Row,
    count_phases,
)
from bitgoeul.demo.cluster import Cluster, listed
from bitgoeul.demo.samples import Object, find_tester, generate_tenants, read_model_case
from bitgoeul.demo.screen import Screen
from bitgoeul.demo.tenant import DEVICES_PER_POD, Tenant
from bitgoeul.errors import UserError

FOLLOW_SECONDS = 1.0


class Story:
    """
    Tells the story on one fresh cluster.

    Args:
        generated: How many example tenants are added to those of the model case.
        pause_seconds: After each step, for people who watch.
    """

    def __init__(self, cluster: Cluster, screen: Screen, *, generated: int = 0, pause_seconds: float = 0) -> None:
        self._cluster = cluster
        self._screen = screen
        self._generated = generated
        self._pause_seconds = pause_seconds
        self._step = 0
        self._case = read_model_case()

    async def tell(self) -> None:
        """All steps; the operator has to run meanwhile."""
        await self._hardware()
        await self._pools()
        await self._pilot()
        await self._formal_service()
        if self._generated:
            await self._crowd()
        await self._work()

    async def conclude(self) -> None:
        """The tables as they are in the end."""
        board = await self._cluster.settle("the final state")
        self._screen.say()
        self._screen.say("In the end, as kubectl shows it too, with a few columns more:")
        for kinds, rows, columns in (
            ("apool -o wide", board.pools, POOL_COLUMNS),
            ("spool", board.storage, STORAGE_COLUMNS),
            ("ta -o wide", board.shown, TENANT_COLUMNS),
        ):
            self._screen.command(f"kubectl get {kinds}")
            self._screen.table(rows, columns)
        if self._generated:
            self._screen.say(f"(the {self._generated} generated tenants are left out here)", first="   ")
        self._screen.say()
        self._screen.say(f"All is settled, {len(board.tenants)} tenants: {count_phases(board.tenants)}.")

    async def follow(self) -> None:
        """Keep the board up to date until cancelled."""
        while True:
            await self._cluster.look()
            await asyncio.sleep(FOLLOW_SECONDS)

    # -- the steps

    async def _hardware(self) -> None:
        nodes = self._case.nodes
        await self._cluster.create(nodes)
        self._say(f"{len(nodes)} nodes join, {count_devices(nodes)}. They are simulated: kwok plays their kubelets.")
        await self._close("kubectl get nodes -L nvidia.com/gpu.product,furiosa.ai/npu.product")

    async def _pools(self) -> None:
        await self._cluster.create(self._case.pools)
        board = await self._cluster.settle("the pools", lambda board: ready_nodes(board) == len(self._case.nodes))
        self._say("Pools say what may be granted; the operator counts the devices that their nodes really have:")
        for row in board.pools:
            petaflops = row.status.get("petaflops", {}).get("effective")
            power = f", {petaflops} PF" if petaflops else ""
            devices, ready = row.status["devices"]["effective"], row.status["nodes"]["ready"]
            self._screen.say(f"{row.name}: {devices} devices on {ready} nodes{power}", first="   ")
        for row in board.storage:
            petabytes = row.status["bytes"]["installed"] / 10**15
            self._screen.say(f"{row.name}: {petabytes:g} PB of storage, as declared", first="   ")
        await self._close("kubectl get apool,spool")

    async def _pilot(self) -> None:
        started = time.monotonic()
        await self._cluster.create(self._case.pilot)
        names = {name_of(obj) for obj in self._case.pilot}
        board = await self._cluster.settle("the pilot")
        seconds = time.monotonic() - started
        late = [row for row in board.tenants if row.name in names and row.phase != Phase.ACTIVE]
        if late:
            raise UserError(
                f"pilot tenants that fit are not Active: {listed([f'{row.name} ({row.why})' for row in late])}"
            )
        a100 = board.pool("a100").status["devices"]
        self._say(
            f"The {len(names)} pilot tenants apply. All fit, and are Active {seconds:.1f} s later: namespaces, quotas "
            f"and access stand, and {a100['granted']} of {a100['effective']} A100 are promised."
        )
        await self._close("kubectl get ta")

    async def _formal_service(self) -> None:
        await self._cluster.create(self._case.formal)
        names = {name_of(obj) for obj in self._case.formal}
        board = await self._cluster.settle("the formal service")
        self._say(
            f"The formal service opens: {len(names)} more apply. Local firms, firms moving to the region and project "
            "participants come first, by priority; each is told why it waits:"
        )
        width = max(map(len, names))
        for row in (row for row in board.tenants if row.name in names):
            self._screen.say(answer(row), first=f"   {row.name.ljust(width)}  ")
        await self._close("kubectl describe ta solbit")

    async def _crowd(self) -> None:
        started = time.monotonic()
        await self._cluster.create(generate_tenants(self._generated))
        board = await self._cluster.settle("the crowd")
        rows = [row for row in board.tenants if row.generated]
        seconds = time.monotonic() - started
        self._say(f"A crowd of {len(rows)} generated tenants applies; {seconds:.1f} s later: {count_phases(rows)}.")
        await self._close("kubectl get ta -l example.org/generated")

    async def _work(self) -> None:
        tester = find_tester(self._case.pilot)
        pool = next(
            AcceleratorPool.model_validate(obj)
            for obj in self._case.pools
            if obj["kind"] == "AcceleratorPool" and name_of(obj) == tester.pool
        )
        tenant = Tenant(self._cluster.api, tester, pool.spec.resource_name)
        before = in_use(await self._cluster.look(), tester.pool)

        count = await tenant.fill()
        pods = await tenant.running(count)
        astray = await self._cluster.astray(pods, pool.spec.node_selector)
        if astray:
            raise UserError(f"pods outside the nodes of pool {tester.pool}: {listed(astray)}")
        self._say(
            f"{tester.user}, a member of {tester.allocation}, starts {count} pods of {DEVICES_PER_POD} devices in "
            f"{tester.namespace}: all {tester.devices} that it has there. The pods name no node; the pool's admission "
            f"policy keeps them on nodes of {tester.pool}:"
        )
        self._screen.table(pods, POD_COLUMNS)
        await self._close(f"{tenant.kubectl} get pods -o wide")

        refusal = await tenant.overstep(count + 1)
        self._say("One pod more, and the API server itself says no:")
        self._screen.say(refusal, first="   > ", rest="     ")
        await self._close(f"{tenant.kubectl} describe quota bitgoeul")

        wanted = before + count * DEVICES_PER_POD
        board = await self._cluster.settle("use", lambda board: in_use(board, tester.pool) == wanted)
        granted = board.pool(tester.pool).status["devices"]["granted"]
        self._say(
            f"What is granted and what is in use are counted apart: {tester.pool} {granted} granted, "
            f"{before} → {wanted} in use."
        )
        await self._close(f"kubectl get apool {tester.pool} -o wide")

    def _say(self, text: str) -> None:
        """The line of a new step."""
        self._step += 1
        self._screen.say(text, first=f"{self._step}  ")

    async def _close(self, command: str) -> None:
        """The end of a step: the command that shows the same, and time to read."""
        self._screen.command(command)
        if self._pause_seconds:
            await self._cluster.look()
            await asyncio.sleep(self._pause_seconds)


def introduce(screen: Screen) -> None:
    """What is real here and what is not, before anything happens."""
    screen.say(f"Bitgoeul {__version__}, the model case: a national AI data center in its stage of 2021.")
    for line in (
        "Real: Kubernetes, the operator, quotas, scheduling. Simulated: the nodes, and what runs on them.",
        "Exact: 280 A100 of 5.46 PF, 10.7 PB, 11 pilot tenants. Assumed: NPUs, what tenants ask for.",
        "All organisations are invented examples.",
    ):
        screen.say(line, first="  ")
    screen.say()


def name_of(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def count_devices(nodes: Iterable[Object]) -> str:
    """``35 with nvidia.com/gpu=8 and 4 with furiosa.ai/rngd=8``."""
    shapes = Counter(
        f"{resource}={amount}"
        for node in nodes
        for resource, amount in node["status"]["capacity"].items()
        if "/" in resource
    )
    return " and ".join(f"{count} with {shape}" for shape, count in shapes.items())


def answer(row: Row) -> str:
    """What became of a request, in a line."""
    if row.phase == Phase.ACTIVE:
        return f"Active with {row.cells['Accelerators']}: that takes nothing from anybody ahead"
    place = f", position {row.position}, priority {row.cells['Priority']}" if row.position else ""
    return f"{row.phase}{place}. {row.why}"


def ready_nodes(board: Board) -> int:
    return sum(row.status.get("nodes", {}).get("ready", 0) for row in board.pools)


def in_use(board: Board, pool: str) -> int:
    return int(board.pool(pool).status["devices"]["inUse"])
