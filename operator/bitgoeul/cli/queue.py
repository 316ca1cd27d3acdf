"""``bitgoeul queue``: who waits, in order, until when, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from bitgoeul.api.conditions import Reason
from bitgoeul.cli.output import amounts_in_brief, instant_of, print_data, print_next, print_table
from bitgoeul.cli.picture import Target, output_option, read_picture, target_options
from bitgoeul.desired.allocation_status import holdings, instant
from bitgoeul.planning.decisions import Decision, Plan, QueueEntry
from bitgoeul.planning.moments import day, moment
from bitgoeul.planning.snapshot import Snapshot, Standing

COLUMNS = ("Position", "Allocation", "Organization", "Priority", "Asks", "Since", "Earliest start", "Reason")


@dataclass(frozen=True, slots=True)
class Waiter:
    """One that waits."""

    standing: Standing
    decision: Decision
    entry: QueueEntry

    @property
    def name(self) -> str:
        return self.standing.allocation.name

    @property
    def turn(self) -> tuple[bool, int, datetime, str]:
        """Its place: promised starts that could not be kept go first, then priority, age and name."""
        allocation, decision = self.standing.allocation, self.decision
        late = decision.promised is not None and decision.window is not None
        # A later end goes by the age of what it extends.
        extends = decision.admitted and decision.met
        since = allocation.created if extends else self.entry.since
        return (not late, -allocation.priority, since, allocation.name)


@click.command(short_help="Show who waits, in order.")
@target_options
@output_option("table", "json", "yaml")
def queue(target: Target, output: str) -> None:
    """
    Show the queue in order: position, what is asked, since when, the earliest start, and why it is not now.

    The position counts those ahead that want a pool that this one wants too. An earliest start is a forecast: it
    holds if nobody extends and nobody of higher priority comes.
    """
    waiting = line_up(*read_picture(target).planned())
    if output != "table":
        print_data(output, {"queue": [as_json(waiter) for waiter in waiting]})
    elif waiting:
        print_table(COLUMNS, [as_row(waiter) for waiter in waiting], whole=frozenset({1}))
        print_next(f"bitgoeul why {waiting[0].name}")
    else:
        click.echo("nobody waits", err=True)
        print_next("bitgoeul calendar")


def line_up(snapshot: Snapshot, plan: Plan) -> list[Waiter]:
    """All who wait, in the order in which they are looked at; who is refused or suspended does not wait."""
    waiting = (
        Waiter(standing, decision, decision.queue)
        for standing in snapshot.standings
        if (decision := plan.decisions[standing.allocation.name]).queue is not None
    )
    return sorted(filter(in_line, waiting), key=lambda waiter: waiter.turn)


def in_line(waiter: Waiter) -> bool:
    """Whether it has a position, or would have one but for a pool that is on hold."""
    return waiter.entry.position is not None or waiter.decision.reason is Reason.POOL_ON_HOLD


def as_row(waiter: Waiter) -> list[str]:
    allocation, entry = waiter.standing.allocation, waiter.entry
    return [
        "-" if entry.position is None else str(entry.position),
        allocation.name,
        allocation.organization,
        str(allocation.priority),
        amounts_in_brief(entry.asked),
        day(moment(entry.since)),
        "-" if entry.earliest is None else day(entry.earliest),
        waiter.decision.reason,
    ]


def as_json(waiter: Waiter) -> dict[str, Any]:
    allocation, entry = waiter.standing.allocation, waiter.entry
    return {
        "position": entry.position,
        "name": allocation.name,
        "organization": allocation.organization,
        "priority": allocation.priority,
        "asks": holdings(entry.asked),
        "since": instant(entry.since),
        "earliestStart": instant_of(entry.earliest),
        "blockedBy": holdings(entry.blocked_by),
        "reason": waiter.decision.reason,
        "message": waiter.decision.message,
    }
