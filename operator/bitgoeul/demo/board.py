"""
What the cluster looks like at one moment: the tables that `kubectl get` shows, and whether all is settled.

The cells come from the API server as it formats them for kubectl, so that nothing is told here that kubectl would not
show as well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bitgoeul.api.conditions import ConditionType, Phase
from bitgoeul.api.quantities import parse_bytes
from bitgoeul.cluster.client import Api
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, STORAGE_POOL, TENANT_ALLOCATION
from bitgoeul.demo.samples import GENERATED_LABEL
from bitgoeul.planning.decisions import Decision, Plan, PoolPlan
from bitgoeul.planning.pools import accelerator, storage

AS_TABLE = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}

POOL_COLUMNS = ("Name", "Product", "Stage", "Effective", "Granted", "Available", "Waiting", "In Use", "Ready")
STORAGE_COLUMNS = ("Name", "Class", "Stage", "Capacity", "Granted", "Available", "Ready")
TENANT_COLUMNS = ("Name", "Accelerators", "Phase", "Position", "Earliest", "End", "Reason")
POD_COLUMNS = ("Name", "Ready", "Status", "Node")

#: First those who have something, then those who will, then those who have not, then those who are through.
SHOWN_ORDER = (
    Phase.ACTIVE,
    Phase.EXPIRING,
    Phase.PENDING,
    Phase.SCHEDULED,
    Phase.WAITING,
    Phase.SUSPENDED,
    Phase.REFUSED,
    Phase.EXPIRED,
    Phase.RECLAIMED,
)
SHOWN_FIRST: dict[str, int] = {phase: place for place, phase in enumerate(SHOWN_ORDER)}
#: Whoever is in one of these phases wants something that it has not got.
WANTING = (Phase.PENDING, Phase.WAITING, Phase.REFUSED)


@dataclass(frozen=True)
class Row:
    """One object: its cells by column, and itself."""

    cells: dict[str, str]
    obj: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def status(self) -> dict[str, Any]:
        return self.obj.get("status") or {}

    @property
    def phase(self) -> str:
        """Of an allocation; empty when the operator has not seen it yet."""
        return str(self.status.get("phase", ""))

    @property
    def position(self) -> int:
        """In the queue; 0 when it does not wait."""
        return int(self.status.get("queue", {}).get("position", 0))

    @property
    def generated(self) -> bool:
        return GENERATED_LABEL in self.obj["metadata"].get("labels", {})

    def condition(self, kind: ConditionType) -> dict[str, Any]:
        """One condition; empty when there is none yet."""
        return next((one for one in self.status.get("conditions", ()) if one["type"] == kind), {})

    @property
    def ready(self) -> bool:
        return bool(self.condition(ConditionType.READY).get("status") == "True")

    @property
    def reason(self) -> str:
        """Of the condition Ready; empty when there is none yet."""
        return str(self.condition(ConditionType.READY).get("reason", ""))

    @property
    def message(self) -> str:
        """Of the condition Ready; empty when there is none yet."""
        return str(self.condition(ConditionType.READY).get("message", ""))

    @property
    def why(self) -> str:
        """Reason and message of Ready."""
        return f"{self.reason or 'not seen yet'}: {self.message}".removesuffix(": ")

    @property
    def current(self) -> bool:
        """Whether the status is about the newest spec."""
        return bool(self.status.get("observedGeneration") == self.obj["metadata"]["generation"])

    def tells(self, decision: Decision) -> bool:
        """Of one that waits: whether it is told what was decided."""
        position = decision.queue.position if decision.queue else None
        return self.position == (position or 0) and self.message == decision.message

    def counts(self, plan: PoolPlan) -> bool:
        """Of a pool of devices: whether its figures are those of the plan."""
        devices = self.status.get("devices", {})
        figures = {"granted": plan.granted, "scheduled": plan.scheduled, "waiting": plan.waiting, "inUse": plan.in_use}
        return all(devices.get(name) == amount for name, amount in figures.items())

    @property
    def to_come(self) -> bool:
        """Of a pool: its first stage lies ahead, so that it needs no nodes yet."""
        return "nextStage" in self.status and "currentStage" not in self.status

    @property
    def draining(self) -> bool:
        """Of an allocation: its window is over, and something of it still runs."""
        return self.phase == Phase.EXPIRING and not self.ready


@dataclass(frozen=True)
class Board:
    """Pools and tenants at one moment."""

    pools: tuple[Row, ...]
    storage: tuple[Row, ...]
    tenants: tuple[Row, ...]  # in the order in which they are shown

    @property
    def shown(self) -> list[Row]:
        """The tenants of the model case; generated ones are only counted."""
        return [row for row in self.tenants if not row.generated]

    @property
    def waiting(self) -> list[Row]:
        """Tenants of the model case that want something and have not got it."""
        return [row for row in self.shown if row.phase in ("", *WANTING)]

    def pool(self, name: str) -> Row:
        return next(row for row in self.pools if row.name == name)

    def tenant(self, name: str) -> Row:
        return next(row for row in self.tenants if row.name == name)

    def phases(self, names: Collection[str]) -> set[str]:
        """The phases in which these tenants are."""
        return {row.phase for row in self.tenants if row.name in names}

    @property
    def ready_nodes(self) -> int:
        return sum(row.status.get("nodes", {}).get("ready", 0) for row in self.pools)

    def in_use(self, pool: str) -> int:
        return int(self.pool(pool).status["devices"]["inUse"])

    @property
    def petaflops(self) -> Decimal:
        """Of all pools that say how much a device has."""
        parts = (Decimal(row.status.get("petaflops", {}).get("effective", "0")) for row in self.pools)
        return sum(parts, Decimal(0))

    @property
    def bytes(self) -> int:
        return sum(row.status["bytes"]["effective"] for row in self.storage)

    @property
    def stage(self) -> str:
        """The present stage of all pools that have begun."""
        return ", ".join(sorted({row.status["currentStage"] for row in self.pools if not row.to_come}))

    def unsettled(self) -> list[str]:
        """What the operator has not decided yet, one text each."""
        pools = [
            f"pool {row.name} ({row.why})"
            for row in (*self.pools, *self.storage)
            if not (row.current and (row.ready or row.to_come))
        ]
        tenants = [
            f"{row.name} ({row.phase or 'no phase'}, {row.why})"
            for row in self.tenants
            if not row.current or row.draining or row.phase in ("", Phase.PENDING)
        ]
        return pools + tenants

    def says(self, plan: Plan) -> bool:
        """Whether it says what was decided: the figures of the pools, and what those are told who wait."""
        devices = (
            accelerator(row.name) in plan.pools and row.counts(plan.pools[accelerator(row.name)]) for row in self.pools
        )
        granted = {storage(row.name): row.status.get("bytes", {}).get("granted") for row in self.storage}
        stored = (key in plan.pools and plan.pools[key].granted == amount for key, amount in granted.items())
        told = (row.name in plan.decisions and row.tells(plan.decisions[row.name]) for row in self.waiting)
        return all(devices) and all(stored) and all(told)

    def summary(self) -> str:
        """All of it in one line."""
        parts = [f"{len(self.tenants)} tenants: {count_phases(self.tenants)}"]
        for row in (pool for pool in self.pools if not pool.to_come):
            cells = row.cells
            parts.append(f"{row.name} {cells['Granted']} of {cells['Effective']} granted, {cells['In Use']} in use")
        return "; ".join(parts)


def count_phases(rows: Sequence[Row]) -> str:
    """``12 Active, 3 Waiting, 1 Refused``."""
    counts = Counter(row.phase or "not seen yet" for row in rows)
    return ", ".join(f"{counts[phase]} {phase}" for phase in (*SHOWN_ORDER, "not seen yet") if counts[phase])


async def read_board(api: Api) -> Board:
    """Read all pools and allocations as they are now."""
    kinds = (ACCELERATOR_POOL, STORAGE_POOL, TENANT_ALLOCATION)
    pools, storage, tenants = await asyncio.gather(*(read_table(api, kind.path()) for kind in kinds))
    return Board(tuple(pools), tuple(storage), tuple(sorted(tenants, key=place)))


def place(row: Row) -> tuple[int, int, str]:
    """In the order of the phases, and those who wait in that of the queue."""
    return (SHOWN_FIRST.get(row.phase, SHOWN_FIRST[Phase.PENDING]), row.position, row.name)


async def read_table(api: Api, path: str, headers: dict[str, str] | None = None) -> list[Row]:
    """A collection as the API server formats it for `kubectl get -o wide`."""
    answer = await api.request("GET", path, params={"includeObject": "Object"}, headers={**(headers or {}), **AS_TABLE})
    columns = [column["name"] for column in answer["columnDefinitions"]]
    return [
        Row(
            {name: "" if cell is None else str(cell) for name, cell in zip(columns, row["cells"], strict=True)},
            row["object"],
        )
        for row in answer["rows"] or ()
    ]


def answer(row: Row) -> str:
    """What one is told that has not got what it asks for, in a line."""
    place = f", position {row.position}" if row.position else ""
    return f"{row.cells['Accelerators']} {row.phase}{place}. {row.why}"


def describe_pool(row: Row) -> str:
    """What a pool has, and what its next stage plans, in a line."""
    status, stage = row.status, row.status.get("nextStage")
    if "bytes" in status:
        now = f"{petabytes(status['bytes']['effective'])} as declared"
        then = petabytes(parse_bytes(stage["capacity"])) if stage else ""
    else:
        now = f"{devices_text(row, status['devices']['effective'])} on {status['nodes']['ready']} nodes"
        then = devices_text(row, stage["devices"]) if stage else ""
    ahead = f"; from {stage['from'][:10]}: {then}" if stage else ""
    return f"{row.name}: {'no node yet' if row.to_come else now}{ahead}"


def devices_text(row: Row, devices: int) -> str:
    """Devices of a pool, with their computing power if the pool says one."""
    each = row.obj["spec"].get("petaflopsPerDevice")
    return f"{devices} devices" + (f" ({(Decimal(each) * devices).normalize():f} PF)" if each else "")


def petabytes(size: int) -> str:
    return f"{size / 10**15:g} PB"
