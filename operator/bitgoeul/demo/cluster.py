"""
The cluster as the story uses it: creates objects in order, turns the operator's clock, and waits until the effect is
seen and nothing is open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from bitgoeul.api.crd import build_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.cluster.client import Api, ApiError
from bitgoeul.cluster.kinds import BY_KIND, NODE, OWN_KINDS
from bitgoeul.demo.board import Board, Row, read_board
from bitgoeul.demo.samples import Object
from bitgoeul.demo.screen import Screen
from bitgoeul.errors import UserError

USER_AGENT = {"User-Agent": "bitgoeul-demo"}
CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
CRD_SECONDS = 15.0
LOOK_SECONDS = 0.2
NAMED = 5  # of what is wrong, in one line; the rest is a number


class Cluster:
    """
    One cluster that nobody else uses, with an operator at work.

    Args:
        screen: Is shown the board whenever it is looked at.
        at_rest: Whether the operator has nothing to do at this moment, and the board says what it decided last.
        shift: Shifts the time by which the operator plans against the real one.
        patience_seconds: How long any one effect may take.
    """

    def __init__(
        self,
        api: Api,
        screen: Screen,
        at_rest: Callable[[Board], bool],
        shift: Callable[[timedelta], None],
        patience_seconds: float,
    ) -> None:
        self.api = api
        self._screen = screen
        self._at_rest = at_rest
        self._shift = shift
        self._patience_seconds = patience_seconds

    async def install(self) -> None:
        """
        Create the CustomResourceDefinitions, and wait until their objects can be listed.

        Raises:
            UserError: They are not served within the time.
        """
        for kind in KINDS:
            await self.api.request("POST", CRD_PATH, build_crd(kind), headers=USER_AGENT)
        deadline = time.monotonic() + CRD_SECONDS
        for own in OWN_KINDS:
            while not await self._serves(own.path()):
                if time.monotonic() > deadline:
                    raise UserError(f"the API server does not serve {own.kind} within {CRD_SECONDS:.0f} s")
                await asyncio.sleep(LOOK_SECONDS)

    async def _serves(self, path: str) -> bool:
        """At first the API server knows nothing of a new kind, then it is busy with it."""
        try:
            return await self.api.get(path) is not None
        except ApiError as error:
            if error.transient:
                return False
            raise

    async def create(self, objects: Iterable[Object]) -> None:
        """
        Create one object after the other: creation time is part of the order of the queue.

        Raises:
            UserError: The API server refuses one.
        """
        for obj in objects:
            try:
                await self.api.request("POST", BY_KIND[obj["kind"]].path(), obj, headers=USER_AGENT)
            except ApiError as error:
                name = obj["metadata"]["name"]
                raise UserError(f"the API server refused {obj['kind']} {name}: {error.message}") from error

    def turn_clock(self, moment: datetime) -> None:
        """Have the operator plan as if it were this moment; its time goes on from there."""
        self._shift(offset_to(moment))

    async def look(self) -> Board:
        """The board as it is now."""
        board = await read_board(self.api)
        self._screen.show(board)
        return board

    async def settle(self, what: str, shows: Callable[[Board], bool] = lambda board: True) -> Board:
        """
        Look until nothing is undecided, the operator is at rest and the effect shows, twice in a row.

        Raises:
            UserError: It takes too long; the message names what has not settled.
        """
        deadline = time.monotonic() + self._patience_seconds
        settled = 0
        while True:
            board = await self.look()
            unsettled = board.unsettled()
            at_rest = self._at_rest(board)
            settled = settled + 1 if not unsettled and at_rest and shows(board) else 0
            if settled == 2:
                return board
            if time.monotonic() > deadline:
                left = listed(unsettled) or ("the effect does not show" if at_rest else "the operator is busy")
                raise UserError(f"{what} did not settle within {self._patience_seconds:.0f} s: {left}")
            await asyncio.sleep(LOOK_SECONDS)

    async def until(self, what: str, shows: Callable[[Board], bool]) -> Board:
        """
        Look until an effect shows, whatever else is open.

        Raises:
            UserError: It takes too long.
        """
        deadline = time.monotonic() + self._patience_seconds
        while not shows(board := await self.look()):
            if time.monotonic() > deadline:
                raise UserError(f"{what} does not show within {self._patience_seconds:.0f} s")
            await asyncio.sleep(LOOK_SECONDS)
        return board

    async def astray(self, pods: Iterable[Row], selector: dict[str, str]) -> list[str]:
        """Those of the pods that are not on nodes with these labels."""
        nodes, _ = await self.api.list_all(NODE.path())
        inside = {node["metadata"]["name"] for node in nodes if selector.items() <= node["metadata"]["labels"].items()}
        return [f"{pod.name} on {pod.cells['Node']}" for pod in pods if pod.cells["Node"] not in inside]


def offset_to(moment: datetime) -> timedelta:
    """By how much a clock has to be shifted that is to show this moment now."""
    return moment - datetime.now(UTC)


def listed(texts: list[str]) -> str:
    """The first few, and how many more."""
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more
