"""
What the cluster looks like at one moment: the tables that `kubectl get` shows, and whether all is settled.

The cells come from the API server as it formats them for kubectl, so that nothing is told here that kubectl would not
show as well.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bitgoeul.api.conditions import ConditionType, Phase
from bitgoeul.cluster.client import Api
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, STORAGE_POOL, TENANT_ALLOCATION
from bitgoeul.demo.samples import GENERATED_LABEL

AS_TABLE = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}

POOL_COLUMNS = ("Name", "Product", "Effective", "Granted", "Available", "Waiting", "In Use", "Ready")
STORAGE_COLUMNS = ("Name", "Class", "Capacity", "Granted", "Available", "Ready")
TENANT_COLUMNS = ("Name", "Organization", "Accelerators", "Phase", "Position", "Reason")
POD_COLUMNS = ("Name", "Ready", "Status", "Node")

SHOWN_FIRST: dict[str, int] = {Phase.ACTIVE: 0, Phase.PENDING: 1, Phase.WAITING: 2, Phase.REFUSED: 3}


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

    def ready(self) -> dict[str, Any]:
        """The condition Ready; empty when there is none yet."""
        found = (one for one in self.status.get("conditions", ()) if one["type"] == ConditionType.READY)
        return next(found, {})

    @property
    def why(self) -> str:
        """Reason and message of Ready."""
        ready = self.ready()
        return f"{ready.get('reason', 'not seen yet')}: {ready.get('message', '')}".removesuffix(": ")

    @property
    def current(self) -> bool:
        """Whether the status is about the newest spec."""
        return bool(self.status.get("observedGeneration") == self.obj["metadata"]["generation"])


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
        """Tenants of the model case that have not got what they asked for."""
        return [row for row in self.shown if row.phase != Phase.ACTIVE]

    def pool(self, name: str) -> Row:
        return next(row for row in self.pools if row.name == name)

    def tenant(self, name: str) -> Row:
        return next(row for row in self.tenants if row.name == name)

    def unsettled(self) -> list[str]:
        """What the operator has not decided yet, one text each."""
        pools = [
            f"pool {row.name} ({row.why})"
            for row in (*self.pools, *self.storage)
            if not row.current or row.ready().get("status") != "True"
        ]
        tenants = [
            f"{row.name} ({row.phase or 'no phase'}, {row.why})"
            for row in self.tenants
            if not row.current or row.phase in ("", Phase.PENDING)
        ]
        return pools + tenants

    def summary(self) -> str:
        """All of it in one line."""
        parts = [f"{len(self.tenants)} tenants: {count_phases(self.tenants)}"]
        for row in self.pools:
            cells = row.cells
            parts.append(f"{row.name} {cells['Granted']} of {cells['Effective']} granted, {cells['In Use']} in use")
        return "; ".join(parts)


def count_phases(rows: Sequence[Row]) -> str:
    """``12 Active, 3 Waiting, 1 Refused``."""
    counts = Counter(row.phase or "not seen yet" for row in rows)
    return ", ".join(f"{counts[phase]} {phase}" for phase in (*SHOWN_FIRST, "not seen yet") if counts[phase])


async def read_board(api: Api) -> Board:
    """Read all pools and allocations as they are now."""
    kinds = (ACCELERATOR_POOL, STORAGE_POOL, TENANT_ALLOCATION)
    pools, storage, tenants = await asyncio.gather(*(read_table(api, kind.path()) for kind in kinds))
    return Board(tuple(pools), tuple(storage), tuple(sorted(tenants, key=place)))


def place(row: Row) -> tuple[int, int, str]:
    """Those who have what they asked for, then the queue, then the refused."""
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
