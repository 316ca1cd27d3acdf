"""
What commands print: tables whose columns stay aligned whatever stands in them, and JSON or YAML for programs.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import click
import orjson
import yaml

from bitgoeul.api.quantities import format_brief, format_duration
from bitgoeul.desired.allocation_status import instant
from bitgoeul.planning.allocations import Amounts
from bitgoeul.planning.moments import LATEST, date
from bitgoeul.planning.pools import PoolKey, PoolKind

WIDEST_CELL = 48


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, whole: frozenset[int] = frozenset({0})
) -> None:
    """Print rows under headers, on standard output."""
    for line in format_table(columns, rows, whole=whole):
        click.echo(line)


def format_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, whole: frozenset[int] = frozenset({0})
) -> list[str]:
    """
    Lines with columns as wide as they need to be, and nothing after the last word.

    Args:
        whole: Columns whose cells are never cut, by number, beside the last one: names that are to be copied.
    """
    last = len(columns) - 1
    cells = [
        [clean(cell) if number in whole or number == last else cut(clean(cell)) for number, cell in enumerate(line)]
        for line in ([column.upper() for column in columns], *rows)
    ]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell + " " * (most - width(cell)) for cell, most in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def print_next(command: str) -> None:
    """Print the command to run next, below everything else that is for people."""
    click.echo(f"\nNext  {clean(command)}")


def format_facts(title: str, facts: Sequence[tuple[str, str]]) -> list[str]:
    """A title and, indented below it, each fact with its label; those without a text are left out."""
    told = [(label, clean(text)) for label, text in facts if text]
    widest = max((len(label) for label, _ in told), default=0)
    return [clean(title), *(f"  {label:{widest}}  {text}" for label, text in told)]


def clean(text: str) -> str:
    """A text without what would break a line: control characters and direction marks."""
    return "".join(" " if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") else letter for letter in text)


def width(text: str) -> int:
    """Columns that a text takes on a terminal: Korean letters take two, combining marks none."""
    return sum(letter_width(letter) for letter in text)


def letter_width(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, most: int = WIDEST_CELL) -> str:
    """A text that is at most so wide; what is cut off shows as an ellipsis."""
    if width(text) <= most:
        return text
    taken, used = "", 0
    for letter in text:
        used += letter_width(letter)
        if used > most - 1:
            break
        taken += letter
    return f"{taken.rstrip()}…"


def print_data(form: str, data: Any) -> None:
    """Print a value as ``json`` or ``yaml``, on standard output."""
    # By way of JSON: what it has no word for, such as the kinds of pools, is a text there.
    plain, unicode = json.loads(orjson.dumps(data)), is_unicode(getattr(sys.stdout, "encoding", None))
    if form == "json":
        click.echo(json.dumps(plain, indent=2, ensure_ascii=not unicode))
    else:
        click.echo(yaml.safe_dump(plain, sort_keys=False, allow_unicode=unicode, width=120), nl=False)


def is_unicode(encoding: str | None) -> bool:
    """Tell whether an encoding holds every letter as JSON and YAML want it; in any other, letters are escaped."""
    return (encoding or "").lower().replace("-", "").replace("_", "") == "utf8"


def brief(pool: PoolKey, amount: int) -> str:
    """An amount for a table: devices as a number, bytes in short, rounded where an exact text would be long."""
    return str(amount) if pool.kind is PoolKind.ACCELERATORS else format_brief(amount)


def amounts_in_brief(amounts: Amounts) -> str:
    """All amounts as one short text, such as ``a100×8, lustre 50Ti``."""
    parts = [
        f"{pool.name}×{amount}" if pool.kind is PoolKind.ACCELERATORS else f"{pool.name} {brief(pool, amount)}"
        for pool, amount in sorted(amounts.items())
        if amount
    ]
    return ", ".join(parts) or "compute only"


def shift_text(milliseconds: int) -> str:
    """By how much something moves, such as ``+30d``, ``-1d12h`` or ``0``; parts of a minute only below an hour."""
    if not milliseconds:
        return "0"
    sign, seconds = "+" if milliseconds > 0 else "-", abs(milliseconds) // 1000
    if seconds < 3600:
        return f"{sign}{format_duration(timedelta(seconds=seconds))}"
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    parts = [(days, "d"), (hours, "h"), (0 if days else minutes, "m")]
    return sign + "".join(f"{number}{unit}" for number, unit in parts if number)


def instant_of(at: int | None) -> str | None:
    """A moment for programs, in UTC and RFC 3339; None where there is none."""
    return None if at is None or at > LATEST else instant(date(at))
