"""
What the person sees: the story line by line, and the board beneath it, live on a terminal and now and then elsewhere.

Where standard output is not a terminal there are no colours, no escapes and no line over ``WIDTH``.
"""

from __future__ import annotations

import logging
import textwrap
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bitgoeul.demo.board import POOL_COLUMNS, STORAGE_COLUMNS, TENANT_COLUMNS, Board, Row, count_phases

WIDTH = 98
QUIET_SECONDS = 5.0  # nothing is said about changes so soon after something else was said
SILENT_SECONDS = 60.0  # nor is nothing said for longer than this

OTHER_LINES = 12  # of the board: headers, gaps, and what is left out

PHASE_STYLES = {
    "Active": "green",
    "Expiring": "magenta",
    "Scheduled": "cyan",
    "Waiting": "yellow",
    "Refused": "red",
    "Pending": "dim",
    "Expired": "dim",
}


class Screen:
    """Plain lines, for pipes and files."""

    def __init__(self) -> None:
        self.date = ""  # of the operator's clock
        self._said_at = time.monotonic()
        self._said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to put back."""

    def say(self, text: str = "", *, first: str = "", rest: str = "") -> None:
        """One paragraph; ``first`` stands before its first line, ``rest`` before the others."""
        lines = textwrap.wrap(
            text,
            WIDTH,
            initial_indent=first,
            subsequent_indent=rest or " " * len(first),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in lines or [""]:
            self.write(line)

    def command(self, line: str) -> None:
        """A command that shows the same; never wrapped, so that it can be copied."""
        self.write(f"   $ {line}", "cyan")

    def write(self, line: str, style: str = "") -> None:
        """One line as it is."""
        print(line, flush=True)
        self._said_at = time.monotonic()

    def table(self, rows: Iterable[Row], columns: Sequence[str], indent: str = "   ") -> None:
        """Rows under headers, as kubectl prints them."""
        for line in format_table(rows, columns):
            self.write(indent + line)

    def show(self, board: Board) -> None:
        """The board has been looked at again: tell it when it has changed, but do not chatter."""
        summary = board.summary()
        quiet = time.monotonic() - self._said_at
        if quiet > SILENT_SECONDS or (quiet > QUIET_SECONDS and summary != self._said):
            self.say(summary, first=time.strftime("   %H:%M:%S "))
            self._said = summary


class LiveScreen(Screen):
    """On a terminal: the story scrolls, and the board stays beneath it."""

    def __init__(self, *, keep_board: bool) -> None:
        super().__init__()
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, transient=not keep_board, refresh_per_second=4)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def write(self, line: str, style: str = "") -> None:
        self._console.print(Text(line, style), soft_wrap=True)

    def show(self, board: Board) -> None:
        self._live.update(render(board, self._console.height, self.date))


class ScreenHandler(logging.Handler):
    """Log records as lines of the story; a handler of its own would write across the board."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(message)s"))
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            self._screen.say(line, first="   ! ")


def format_table(rows: Iterable[Row], columns: Sequence[str]) -> list[str]:
    """Lines with columns as wide as they need to be, and nothing after the last word."""
    cells = [[column.upper() for column in columns], *([row.cells[column] for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def render(board: Board, height: int, date: str = "") -> Group:
    """
    The board for a terminal of so many lines, and why some wait.

    Where not everybody fits, those are left out who are through, then those who have all.
    """
    wanting = board.waiting
    generated = [row for row in board.tenants if row.generated]
    room = height - OTHER_LINES - len(board.pools) - len(board.storage) - len(wanting)
    others = [row for row in board.shown if row not in wanting]
    hidden = others[len(others) - max(0, min(len(others), len(board.shown) - room)) :]
    more = [f"and {len(hidden)} more: {count_phases(hidden)}"] if hidden else []
    more += [f"and generated ones: {count_phases(generated)}"] if generated else []
    return Group(
        Text(date, "bold"),
        render_table(board.pools, POOL_COLUMNS),
        Text(),
        render_table(board.storage, STORAGE_COLUMNS),
        Text(),
        render_table((row for row in board.shown if row not in hidden), TENANT_COLUMNS),
        *(Text(line, "dim") for line in more),
        Text(),
        *(
            Text(f"{row.name}  {row.why}", PHASE_STYLES.get(row.phase, ""), no_wrap=True, overflow="ellipsis")
            for row in wanting
        ),
    )


def render_table(rows: Iterable[Row], columns: Sequence[str]) -> Table:
    table = Table(*(column.upper() for column in columns), box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(row.cells[column] for column in columns), style=PHASE_STYLES.get(row.phase, ""))
    return table
