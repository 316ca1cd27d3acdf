"""
The story of the model case, step by step: each step does something to the cluster or turns the operator's clock, waits
until it shows, and says in a line what happened and why, and which command shows the same.

Nothing is said before it was seen on the API server. A step whose effect does not come ends the story with a UserError.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone

from bitgoeul import __version__
from bitgoeul.api import AcceleratorPool
from bitgoeul.api.conditions import ConditionType, Phase, Reason
from bitgoeul.cluster.kinds import POD
from bitgoeul.demo.board import (
    POD_COLUMNS,
    POOL_COLUMNS,
    STORAGE_COLUMNS,
    TENANT_COLUMNS,
    Board,
    Row,
    answer,
    count_phases,
    describe_pool,
    petabytes,
)
from bitgoeul.demo.cluster import Cluster, listed
from bitgoeul.demo.samples import Object, find_tester, generate_tenants, read_model_case
from bitgoeul.demo.screen import Screen
from bitgoeul.demo.tenant import DEVICES_PER_POD, Tenant, listing
from bitgoeul.errors import UserError

FOLLOW_SECONDS = 1.0
RUNNING_ON = "still running"  # says the operator of pods in their grace
KOREA = timezone(timedelta(hours=9))


def morning(year: int, month: int, day: int) -> datetime:
    """09:00 in Korea, when everything in the model case begins and ends."""
    return datetime(year, month, day, 9, tzinfo=KOREA)


PILOT_BEGINS = morning(2021, 2, 15)
NOTICE_GIVEN = morning(2021, 3, 29)
PILOT_ENDS = morning(2021, 4, 1)
GRACE_ENDS = morning(2021, 4, 2)
FORMAL_SERVICE_BEGINS = morning(2021, 4, 15)
FIRST_GRANT_ENDS = morning(2022, 1, 1)
FULL_STAGE_BEGINS = morning(2024, 1, 1)


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
        """All steps; the operator has to run meanwhile, with its clock at the beginning of the pilot."""
        self._screen.date = when(PILOT_BEGINS)
        await self._hardware()
        await self._pools()
        await self._pilot()
        await self._formal_service()
        if self._generated:
            await self._crowd()
        tenant = await self._work()
        await self._notice()
        await self._end(tenant)
        await self._begin()
        await self._forecast()
        await self._full_stage()

    async def conclude(self) -> None:
        """The tables as they are in the end."""
        board = await self._cluster.settle("the final state")
        self._screen.say()
        self._screen.say("In the end, as kubectl shows it too, with more columns:")
        pilots = names_of(self._case.pilot)
        over = [row for row in board.shown if row.name in pilots and row.phase == Phase.EXPIRED]
        for kinds, rows, columns in (
            ("apool -o wide", board.pools, POOL_COLUMNS),
            ("spool", board.storage, STORAGE_COLUMNS),
            ("ta -o wide", [row for row in board.shown if row not in over], TENANT_COLUMNS),
        ):
            self._screen.command(f"kubectl get {kinds}")
            self._screen.table(rows, columns)
        others = [f"{len(over)} pilot tenants, Expired"] if over else []
        others += [f"{self._generated} generated tenants"] if self._generated else []
        if others:
            self._screen.say(f"(left out here: {' and '.join(others)})", first="   ")
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
        board = await self._cluster.settle("the pools", lambda board: board.ready_nodes == len(self._case.nodes))
        self._say(
            f"On the operator's clock it is {when(PILOT_BEGINS)}, 09:00 in Korea, which is 00:00 UTC: stage "
            f"{board.stage} begins. Pools have a dated plan, and count the devices that their nodes really have:"
        )
        for row in (*board.pools, *board.storage):
            self._screen.say(describe_pool(row), first="   ")
        await self._close("kubectl get apool,spool")

    async def _pilot(self) -> None:
        started = time.monotonic()
        await self._cluster.create(self._case.pilot)
        names = names_of(self._case.pilot)
        board = await self._cluster.settle("the pilot")
        seconds = time.monotonic() - started
        self._check(board, names, Phase.ACTIVE)
        a100 = board.pool("a100").status["devices"]
        ends = {row.cells["End"] for row in board.tenants if row.name in names}
        self._say(
            f"The {len(names)} pilot tenants apply, until {', '.join(ends)} (exclusive). All fit, and are Active "
            f"{seconds:.1f} s later: namespaces, quotas and access stand, and {a100['granted']} of {a100['effective']} "
            "A100 are promised."
        )
        await self._close("kubectl get ta")

    async def _formal_service(self) -> None:
        await self._cluster.create(self._case.formal)
        names = names_of(self._case.formal)
        board = await self._cluster.settle("the formal service")
        rows = [row for row in board.tenants if row.name in names]
        scheduled = [row for row in rows if row.phase == Phase.SCHEDULED]
        starts = {row.cells["Earliest"] for row in scheduled}
        a100 = board.pool("a100").status["devices"]
        self._say(
            f"{len(names)} apply for the formal service. Local firms, firms moving to the region and project "
            f"participants come first, by priority. Who fits is promised its start, {', '.join(starts)}: "
            f"{a100['scheduled']} of {a100['effective']} A100 from then on. The others are told their earliest start:"
        )
        self._screen.say(
            ", ".join(f"{row.name} {row.cells['Accelerators']}" for row in scheduled), first="   Scheduled: "
        )
        self._answers(row for row in rows if row not in scheduled)
        await self._close("kubectl describe ta nabi")

    async def _crowd(self) -> None:
        started = time.monotonic()
        await self._cluster.create(generate_tenants(self._generated))
        board = await self._cluster.settle("the crowd")
        rows = [row for row in board.tenants if row.generated]
        seconds = time.monotonic() - started
        self._say(f"A crowd of {len(rows)} generated tenants applies; {seconds:.1f} s later: {count_phases(rows)}.")
        await self._close("kubectl get ta -l example.org/generated")

    async def _work(self) -> Tenant:
        tester = find_tester(self._case.pilot)
        pool = next(
            AcceleratorPool.model_validate(obj)
            for obj in self._case.pools
            if obj["kind"] == "AcceleratorPool" and name_of(obj) == tester.pool
        )
        tenant = Tenant(self._cluster.api, tester, pool.spec.resource_name)
        before = (await self._cluster.look()).in_use(tester.pool)

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
        wanted = before + count * DEVICES_PER_POD
        board = await self._cluster.settle("use", lambda board: board.in_use(tester.pool) == wanted)
        granted = board.pool(tester.pool).status["devices"]["granted"]
        self._say(
            f"One pod more, and the API server itself says no. Of {tester.pool} {granted} are granted, and "
            f"{before} → {wanted} in use: that is counted apart."
        )
        self._screen.say(refusal, first="   > ", rest="     ")
        await self._close(f"{tenant.kubectl} describe quota bitgoeul")
        return tenant

    async def _notice(self) -> None:
        names = names_of(self._case.pilot)
        board = await self._turn(NOTICE_GIVEN, "the notice", lambda board: board.phases(names) == {Phase.EXPIRING})
        notices = {row.condition(ConditionType.EXPIRING)["message"] for row in board.tenants if row.name in names}
        self._say(
            f"The clock goes to {when(NOTICE_GIVEN)}, three days before the end. All {len(names)} pilot tenants work "
            "on, now Expiring, and are told:"
        )
        for notice in sorted(notices):
            self._screen.say(notice, first="   > ", rest="     ")
        await self._close("kubectl describe ta sarangbang")

    async def _end(self, tenant: Tenant) -> None:
        tester, names = tenant.tester, names_of(self._case.pilot)
        others = names - {tester.allocation}
        self._cluster.turn_clock(PILOT_ENDS)
        self._screen.date = when(PILOT_ENDS)
        board = await self._cluster.until(
            "the end of the pilot",
            lambda board: board.phases(others) == {Phase.EXPIRED} and RUNNING_ON in board.tenant(tester.allocation).why,
        )
        pods = await tenant.table(POD)
        refusal = await tenant.overstep(len(pods) + 1)
        self._say(
            f"{when(PILOT_ENDS)}: the windows are over, the quotas 0, the {len(others)} without pods Expired. The "
            f"{len(pods)} pods of {tester.allocation} have a day of grace, but no new one is let in:"
        )
        self._screen.say(refusal, first="   > ", rest="     ")
        await self._close(f"{tenant.kubectl} get pods")

        board = await self._turn(GRACE_ENDS, "the end of the grace", lambda b: b.phases(names) == {Phase.EXPIRED})
        left = await tenant.table(POD)
        if left:
            raise UserError(f"after the grace pods are left in {tester.namespace}: {listing(left)}")
        claims = await tenant.bound_claims()
        kept = ", ".join(f"{claim.name} ({claim.cells['Capacity']})" for claim in claims)
        self._say(
            f"{when(GRACE_ENDS)}: the grace is over, the pods are evicted, all {len(names)} are Expired, and "
            f"{board.pool(tester.pool).status['devices']['available']} A100 are free. Data is kept: {kept} of "
            f"{tester.allocation} is still bound, and its members may look at it."
        )
        await self._close(f"{tenant.kubectl} get pvc")

    async def _begin(self) -> None:
        board = await self._cluster.look()
        promised = {row.name for row in board.tenants if row.phase == Phase.SCHEDULED}
        board = await self._turn(
            FORMAL_SERVICE_BEGINS, "the formal service", lambda board: board.phases(promised) == {Phase.ACTIVE}
        )
        a100 = board.pool("a100").status["devices"]
        self._say(
            f"{when(FORMAL_SERVICE_BEGINS)}: the formal service begins. The {len(promised)} promised starts are kept, "
            f"{a100['granted']} of {a100['effective']} A100 granted. The others wait on, and see how long:"
        )
        self._screen.table((row for row in board.shown if row.phase != Phase.EXPIRED), TENANT_COLUMNS)
        self._answers(row for row in board.shown if row.reason == Reason.BLOCKED_BY_EARLIER)
        await self._close("kubectl get ta -o wide")

    async def _forecast(self) -> None:
        board = await self._cluster.look()
        free = (FIRST_GRANT_ENDS + timedelta(days=1)).date()  # after the grace
        foretold = {row.name for row in board.shown if row.cells["Earliest"] == free.isoformat()}
        board = await self._turn(
            FIRST_GRANT_ENDS, "the first forecast", lambda board: board.phases(foretold) == {Phase.ACTIVE}
        )
        ended = {row.name for row in board.shown if row.phase == Phase.EXPIRED} - names_of(self._case.pilot)
        self._say(
            f"{when(FIRST_GRANT_ENDS)}: {' and '.join(sorted(ended))} end. No pod of theirs needs the day of grace, so "
            f"that {', '.join(sorted(foretold))}, told {free} nine months ago, starts a day sooner and has its year:"
        )
        self._screen.table((row for row in board.shown if row.name in ended | foretold), TENANT_COLUMNS)
        await self._close("kubectl get ta")

    async def _full_stage(self) -> None:
        nodes = self._case.full_stage
        total = (await self._cluster.look()).ready_nodes + len(nodes)
        await self._cluster.create(nodes)
        board = await self._cluster.settle("the new hardware", lambda board: board.ready_nodes == total)
        due = FULL_STAGE_BEGINS.date().isoformat()
        foretold = {row.name for row in board.shown if row.cells["Earliest"] == due}
        sooner = {row.name: row.cells["Earliest"] for row in board.shown if "" < row.cells["Earliest"] < due}
        new = board.pool("h100").status["devices"]
        self._say(
            f"The hardware of the next stage comes early, {len(nodes)} simulated nodes, {count_devices(nodes)}. "
            f"{new['installed']} H100 are installed and {new['effective']} can be granted: the stage has not begun."
        )
        await self._close("kubectl get apool h100 -o yaml")

        board = await self._turn(
            FULL_STAGE_BEGINS, "the next stage", lambda board: board.phases({*foretold, *sooner}) == {Phase.ACTIVE}
        )
        self._say(
            f"{when(FULL_STAGE_BEGINS)}: stage {board.stage} begins, with {board.petaflops:.1f} PF and "
            f"{petabytes(board.bytes)}. {' and '.join(sorted(foretold))} are Active, on the day that they were told in "
            f"2021; so is {' and '.join(sorted(sooner))}, told {', '.join(sooner.values())}, which the clock jumped "
            "over. Who still waits:"
        )
        self._answers(row for row in board.shown if row.phase == Phase.WAITING)
        await self._close("kubectl get bitgoeul")

    # -- what steps have in common

    async def _turn(self, moment: datetime, what: str, shows: Callable[[Board], bool]) -> Board:
        """Turn the clock, and wait until all is settled and the effect shows."""
        self._cluster.turn_clock(moment)
        self._screen.date = when(moment)
        return await self._cluster.settle(what, shows)

    def _check(self, board: Board, names: set[str], phase: Phase) -> None:
        """Somebody in another phase ends the story."""
        others = [f"{row.name} ({row.why})" for row in board.tenants if row.name in names and row.phase != phase]
        if others:
            raise UserError(f"tenants that fit are not {phase}: {listed(others)}")

    def _answers(self, rows: Iterable[Row]) -> None:
        """What each of those is told that have not got what they ask for."""
        rows = list(rows)
        width = max((len(row.name) for row in rows), default=0)
        for row in rows:
            self._screen.say(answer(row), first=f"   {row.name.ljust(width)}  ")

    def _say(self, text: str) -> None:
        """The line of a new step."""
        self._step += 1
        self._screen.say(text, first=f"{self._step:<3}")

    async def _close(self, command: str) -> None:
        """The end of a step: the command that shows the same, and time to read."""
        self._screen.command(command)
        if self._pause_seconds:
            await self._cluster.look()
            await asyncio.sleep(self._pause_seconds)


def introduce(screen: Screen) -> None:
    """What is real here and what is not, before anything happens."""
    screen.say(f"Bitgoeul {__version__}, the model case: a national AI data center from 2021 to 2024.")
    for line in (
        "Real: Kubernetes, the operator, quotas, scheduling. Simulated: nodes, what runs on them, time.",
        "Exact: 280 A100 of 5.46 PF, 10.7 PB, 11 pilot tenants, their dates; 88.5 PF, 107 PB in 2024.",
        "Assumed: NPUs, how 88.5 PF divide into devices, the day in 2024, what tenants ask for.",
        "All organisations are invented examples.",
    ):
        screen.say(line, first="  ")
    screen.say()


def when(moment: datetime) -> str:
    """``15 February 2021``."""
    return f"{moment.day} {moment:%B %Y}"


def name_of(obj: Object) -> str:
    return str(obj["metadata"]["name"])


def names_of(objects: Iterable[Object]) -> set[str]:
    return {name_of(obj) for obj in objects}


def count_devices(nodes: Iterable[Object]) -> str:
    """``35 with nvidia.com/gpu=8 and 4 with furiosa.ai/rngd=8``."""
    shapes = Counter(
        f"{resource}={amount}"
        for node in nodes
        for resource, amount in node["status"]["capacity"].items()
        if "/" in resource
    )
    return " and ".join(f"{count} with {shape}" for shape, count in shapes.items())
