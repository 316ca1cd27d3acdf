"""How the answer of ``bitgoeul plan`` is put: a table with what follows from it, or fields for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import click

from bitgoeul.api.quantities import format_offset
from bitgoeul.cli.consequences import Inventory, consequence_lines, in_short, uncounted_line
from bitgoeul.cli.consequences import as_json as consequences_as_json
from bitgoeul.cli.output import amounts_in_brief, brief, clean, instant_of, print_table, shift_text
from bitgoeul.cli.picture import Picture
from bitgoeul.desired.allocation_status import holdings
from bitgoeul.desired.pool_status import as_field
from bitgoeul.planning.moments import day, moment
from bitgoeul.whatif.comparison import Comparison, Outcome, Row, Shortage
from bitgoeul.whatif.consequences import NONE, Consequences

COLUMNS = ("Allocation", "Organization", "Priority", "Asks", "Before", "After", "Moves")


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What is told.

    Attributes:
        losses: Allocation → what it loses by the change.
        inventory: What runs and lies in the namespaces that lose something, as far as somebody has looked.
    """

    comparison: Comparison
    losses: Mapping[str, Consequences] = field(default_factory=dict)
    inventory: Inventory = field(default_factory=Inventory)

    @property
    def summary(self) -> str:
        return ", ".join([self.comparison.summary, *in_short(self.losses, self.inventory)])


def print_answer(answer: Answer, now: int, at: str) -> None:
    """The rows, what the change does to those in them, why some do not start, and the summary as the last line."""
    comparison = answer.comparison
    if comparison.rows:
        print_table(COLUMNS, [as_row(row) for row in comparison.rows])
        click.echo()
    for row in comparison.rows:
        if row.after.message and (row.subject or row.later or row.refused):
            click.echo(f"{row.name}  {row.after.reason}: {row.after.message}")
        for line in consequence_lines(row.name, answer.losses.get(row.name, NONE), answer.inventory, now):
            click.echo(clean(line))
    for shortage in comparison.shortages:
        click.echo(shortage_text(shortage, now, at))
    if uncounted := uncounted_line(answer.inventory):
        click.echo(uncounted)
    click.echo(f"{f'at {at}: ' if at else ''}{answer.summary}")


def as_row(row: Row) -> list[str]:
    return [
        row.name,
        row.organization,
        str(row.priority),
        amounts_in_brief(row.asks),
        "new" if row.before is None else row.before.text,
        row.after.text,
        "" if row.moves is None else shift_text(row.moves),
    ]


def shortage_text(shortage: Shortage, now: int, at: str) -> str:
    amount = brief(shortage.pool, shortage.amount)
    since = "from now on" if shortage.since <= now and not at else f"from {day(shortage.since)} on"
    hurt = f"; hurts the promised start of {', '.join(shortage.hurts)}" if shortage.hurts else ""
    if shortage.there is None:
        return f"{shortage.pool.name}  {since} up to {amount} more promised than there is{hurt}"
    held = brief(shortage.pool, shortage.there + shortage.amount)
    return (
        f"{shortage.pool.name}  {held} granted, {brief(shortage.pool, shortage.there)} there {since}: {amount} more "
        f"granted than there is; nothing new is granted, nobody is stopped{hurt}"
    )


def as_json(answer: Answer, picture: Picture, present: datetime) -> dict[str, Any]:
    comparison = answer.comparison
    return {
        "time": instant_of(moment(present)),
        "clockOffset": format_offset(picture.offset),
        "allocations": [
            {
                **row_as_json(row),
                "consequences": consequences_as_json(answer.losses.get(row.name, NONE), answer.inventory),
            }
            for row in comparison.rows
        ],
        "notCounted": sorted(answer.inventory.refused),
        "overcommitted": [
            {
                "pool": shortage.pool.name,
                "kind": shortage.pool.kind,
                "reason": shortage.reason,
                "from": instant_of(shortage.since),
                "amount": as_field(shortage.pool, shortage.amount),
                "hurts": list(shortage.hurts),
            }
            for shortage in comparison.shortages
        ],
        "summary": {
            "later": comparison.later,
            "mayBeLate": comparison.in_danger,
            "earlier": comparison.earlier,
            "refused": comparison.refused,
            "text": answer.summary,
        },
    }


def row_as_json(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "organization": row.organization,
        "priority": row.priority,
        "asks": holdings(row.asks),
        "subject": row.subject,
        "before": None if row.before is None else outcome_as_json(row.before),
        "after": outcome_as_json(row.after),
        "movesSeconds": None if row.moves is None else row.moves // 1000,
        "later": row.later,
        "earlier": row.earlier,
    }


def outcome_as_json(found: Outcome) -> dict[str, Any]:
    return {
        "phase": found.phase,
        "starts": instant_of(found.begins),
        "end": instant_of(found.end),
        "pending": found.pending,
        "position": found.position,
        "reason": found.reason,
        "message": found.message,
    }
