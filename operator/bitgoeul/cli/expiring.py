"""``bitgoeul expiring``: whose time ends when, what goes with it, and whether they were told."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from bitgoeul.api.conditions import Phase
from bitgoeul.cli.lengths import read_length
from bitgoeul.cli.output import amounts_in_brief, instant_of, print_data, print_next, print_table, shift_text
from bitgoeul.cli.picture import Picture, Target, output_option, read_picture, target_options
from bitgoeul.cluster.kinds import TENANT_ALLOCATION
from bitgoeul.desired.allocation_status import holdings
from bitgoeul.errors import QuantityError, UserError
from bitgoeul.planning.allocations import devices_in
from bitgoeul.planning.decisions import Decision, Plan, Window
from bitgoeul.planning.life import Course
from bitgoeul.planning.moments import day
from bitgoeul.planning.snapshot import Snapshot, Standing

COLUMNS = ("Allocation", "Organization", "Holds", "Ends", "Left", "Notice", "Then")
WIDE_COLUMNS = (*COLUMNS[:-1], "Started", "Pods go", "Data goes")
WITHIN = "30d"
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Ending:
    """
    One whose time ends, or has ended while pods, devices or data are still there.

    Attributes:
        next_notice: The next moment at which notice is given; None: no further one is.
        pods: Whether pods may be there, with devices or without.
    """

    standing: Standing
    decision: Decision
    window: Window
    next_notice: int | None
    pods: bool


@click.command(short_help="Show whose time ends, and whether they were told.")
@target_options
@output_option("table", "wide", "json", "yaml")
@click.option("--within", default=WITHIN, show_default=True, metavar="DURATION", help="How far to look ahead.")
def expiring(target: Target, output: str, within: str) -> None:
    """
    Show whose time ends within 30 days or the time given, the first to end first: what they hold, how much time is
    left, and whether notice was given. Those whose time is over stay in it until their pods are gone, and the data
    that is to be deleted.
    """
    length = read_within(within)
    picture = read_picture(target)
    snapshot, plan = picture.planned()
    endings = find_endings(snapshot, plan, snapshot.now + length, undrained(picture))
    if output in ("json", "yaml"):
        rows = [as_json(one, snapshot.now) for one in endings]
        print_data(output, {"time": instant_of(snapshot.now), "within": within, "expiring": rows})
    elif not endings:
        click.echo(f"nobody's time ends within {within}", err=True)
        print_next("bitgoeul calendar")
    else:
        if output == "wide":
            print_table(WIDE_COLUMNS, [as_wide_row(one, snapshot.now) for one in endings])
        else:
            print_table(COLUMNS, [as_row(one, snapshot.now) for one in endings])
        print_next(f"bitgoeul status {endings[0].standing.allocation.name}")


def read_within(text: str) -> int:
    """
    A length of time in milliseconds.

    Raises:
        UserError: It is none.
    """
    try:
        return read_length(text) // MILLISECOND
    except QuantityError as error:
        raise UserError(f"--within: {error}") from error


def undrained(picture: Picture) -> frozenset[str]:
    """The names of those whose pods may still run, as their statuses say: pods without devices hold nothing else."""
    return frozenset(
        name
        for (kind, name), obj in picture.live.items()
        if kind == TENANT_ALLOCATION.kind and (obj.get("status") or {}).get("phase") in (Phase.ACTIVE, Phase.EXPIRING)
    )


def find_endings(snapshot: Snapshot, plan: Plan, until: int, running: Collection[str] = ()) -> list[Ending]:
    """
    Those that hold something and end by a moment, in the order of their ends.

    Args:
        running: Names of those whose pods may still run.
    """
    found = []
    for standing in snapshot.standings:
        decision = plan.decisions[standing.allocation.name]
        window = decision.window
        if decision.course is Course.NOTHING or window is None or window.end > until:
            continue
        # Who is charged for devices has pods that hold them, or nobody has looked yet.
        pods = standing.allocation.name in running or bool(devices_in(standing.charged))
        if window.end <= snapshot.now and not (pods or remains(standing, window, snapshot.now)):
            continue
        times = standing.allocation.terms.notice_times(window.start, window.end)
        found.append(Ending(standing, decision, window, next((at for at in times if at > snapshot.now), None), pods))
    return sorted(found, key=lambda one: (one.window.end, one.standing.allocation.name))


def remains(standing: Standing, window: Window, now: int) -> bool:
    """Tell whether the grace runs, or data is there that is to be deleted, were it overdue."""
    graced = window.drain_at is not None and now < window.drain_at
    return graced or (window.delete_at is not None and standing.housed)


def notice_text(one: Ending, now: int) -> str:
    """Whether notice was given, else when it will be."""
    if one.window.end <= now:
        return "over"
    if one.decision.notice is not None:
        return f"given {day(one.decision.notice)}"
    return "none" if one.next_notice is None else f"due {day(one.next_notice)}"


def left_text(end: int, now: int) -> str:
    """How much time is left, to the hour where it is days."""
    if end <= now:
        return "0"
    left = end - now
    return shift_text(left - left % 60_000 or left).removeprefix("+")


def then_text(one: Ending, now: int) -> str:
    """Say what is to go after the end; what should be gone and is not has its date all the same."""
    window = one.window
    parts = []
    if window.drain_at is None:
        parts += ["pods stay"] if one.pods else []
    elif now < window.drain_at:
        parts.append(f"pods go {day(window.drain_at)}")
    elif one.pods:
        parts.append(f"pods were to go {day(window.drain_at)}")
    if window.delete_at is None:
        parts.append("data is kept")
    else:
        parts.append(f"data {'is' if now < window.delete_at else 'was to be'} deleted {day(window.delete_at)}")
    return ", ".join(parts)


def as_row(one: Ending, now: int) -> list[str]:
    allocation = one.standing.allocation
    return [
        allocation.name,
        allocation.organization,
        amounts_in_brief(one.decision.grant),
        day(one.window.end),
        left_text(one.window.end, now),
        notice_text(one, now),
        then_text(one, now),
    ]


def as_wide_row(one: Ending, now: int) -> list[str]:
    *first, _ = as_row(one, now)
    window = one.window
    drain = "never" if window.drain_at is None else day(window.drain_at)
    return [*first, day(window.start), drain, day(window.delete_at) if window.delete_at is not None else "never"]


def as_json(one: Ending, now: int) -> dict[str, Any]:
    allocation, window = one.standing.allocation, one.window
    return {
        "name": allocation.name,
        "organization": allocation.organization,
        "holds": holdings(one.decision.grant),
        "start": instant_of(window.start),
        "end": instant_of(window.end),
        "leftSeconds": max(0, window.end - now) // 1000,
        "noticeGiven": instant_of(one.decision.notice),
        "nextNotice": instant_of(one.next_notice),
        "drainAt": instant_of(window.drain_at),
        "dataDeleteAt": instant_of(window.delete_at),
    }
