"""``bitgoeul calendar``: what each pool will have available, step by step, as far as it is known today."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from bitgoeul.cli.completion import pool_names
from bitgoeul.cli.output import brief, instant_of, print_data, print_next, print_table
from bitgoeul.cli.picture import Target, output_option, read_picture, target_options
from bitgoeul.desired.pool_status import as_field
from bitgoeul.errors import UserError
from bitgoeul.planning.board import Hold
from bitgoeul.planning.decisions import CalendarEntry, Plan
from bitgoeul.planning.moments import LATEST, day
from bitgoeul.planning.outlook import calendar as steps_of
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.snapshot import Snapshot
from bitgoeul.planning.succession import advance
from bitgoeul.planning.walk import Walk

COLUMNS = ("Pool", "Date", "Change", "Available", "Cause")


@dataclass(frozen=True, slots=True)
class PoolCalendar:
    """One pool: what is available now, and every change ahead."""

    pool: PoolKey
    available: int
    steps: tuple[CalendarEntry, ...]


@click.command(short_help="Show what pools will have available.")
@target_options
@output_option("table", "json", "yaml")
@click.option(
    "--pool", metavar="NAME", shell_complete=pool_names, help="Only this pool, of either kind.  [default: all]"
)
def calendar(target: Target, output: str, pool: str | None) -> None:
    """
    Show the steps to come of each pool: when what is available changes, by how much, and why.

    Stages of the capacity plan, promised starts, and the ends of what is held. What only waits is not in it: see
    bitgoeul queue.
    """
    picture = read_picture(target)
    snapshot, plan = picture.planned()
    calendars = read_calendars(snapshot, plan)
    if pool is not None:
        calendars = [one for one in calendars if one.pool.name == pool]
        if not calendars:
            raise UserError(f"there is no pool {pool}; {known_text(snapshot.pools)}")
    if output != "table":
        print_data(output, {"time": instant_of(snapshot.now), "pools": [as_json(one) for one in calendars]})
    elif calendars:
        print_table(COLUMNS, [row for one in calendars for row in as_rows(one, snapshot.now)])
        print_next("bitgoeul queue")
    else:
        click.echo("there is no pool yet", err=True)
        print_next("kubectl explain apool.spec")


def read_calendars(snapshot: Snapshot, plan: Plan) -> list[PoolCalendar]:
    """The calendars of all pools, accelerators first; with all that the plan gives."""
    given = advance(snapshot, plan.decisions) or snapshot
    by_pool: dict[PoolKey, list[Hold]] = {key: [] for key in snapshot.pools}
    for hold in Walk(given).holds:
        if hold.pool in by_pool:
            by_pool[hold.pool].append(hold)
    return [
        PoolCalendar(
            key,
            plan.pools[key].available,
            tuple(step for step in steps_of(pool, by_pool[key], snapshot.now) if step.at <= LATEST),
        )
        for key, pool in sorted(snapshot.pools.items())
    ]


def known_text(pools: Iterable[PoolKey]) -> str:
    """Which pools there are."""
    known = sorted({key.name for key in pools})
    return f"there are: {', '.join(known)}" if known else "there is none at all"


def as_rows(one: PoolCalendar, now: int) -> list[list[str]]:
    """What there is now, and each change."""
    rows = [[one.pool.name, f"{day(now)} (now)", "", brief(one.pool, one.available), ""]]
    for step in one.steps:
        change = brief(one.pool, step.change)
        signed = f"+{change}" if step.change > 0 else change
        rows.append([one.pool.name, day(step.at), signed, brief(one.pool, step.available), step.cause])
    return rows


def as_json(one: PoolCalendar) -> dict[str, Any]:
    return {
        "name": one.pool.name,
        "kind": one.pool.kind,
        "available": as_field(one.pool, one.available),
        "steps": [
            {
                "at": instant_of(step.at),
                "change": as_field(one.pool, step.change),
                "available": as_field(one.pool, step.available),
                "cause": step.cause,
            }
            for step in one.steps
        ],
    }
