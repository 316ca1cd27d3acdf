"""``bitgoeul status``: the whole center at one look, or one allocation; a tenant finds its own by its namespace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from bitgoeul.api.conditions import Phase
from bitgoeul.api.names import ALLOCATION_LABEL
from bitgoeul.api.quantities import format_offset
from bitgoeul.cli.advice import Turn
from bitgoeul.cli.calendar import read_calendars
from bitgoeul.cli.completion import allocation_names
from bitgoeul.cli.output import brief, format_facts, instant_of, print_data, print_next, print_table
from bitgoeul.cli.own import Own, find_own
from bitgoeul.cli.picture import (
    Picture,
    Target,
    ask_cluster,
    look,
    may,
    output_option,
    read_offset,
    target_options,
    tell_shift,
)
from bitgoeul.cli.pools import WIDE_COLUMNS as WIDE_POOLS
from bitgoeul.cli.pools import PoolState, as_wide_row, read_pools, waiting_text
from bitgoeul.cli.pools import as_json as pool_as_json
from bitgoeul.cli.why import advise, command_for, headline, pool_at_issue
from bitgoeul.cluster.client import Api, ApiError
from bitgoeul.cluster.credentials import current_namespace
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, NAMESPACE, TENANT_ALLOCATION
from bitgoeul.desired.pool_status import as_field
from bitgoeul.errors import UserError
from bitgoeul.planning.decisions import CalendarEntry, Plan
from bitgoeul.planning.moments import day
from bitgoeul.planning.pools import PoolKey
from bitgoeul.planning.snapshot import Snapshot

POOLS = ("Pool", "Stage", "Effective", "Granted", "Available", "Waiting", "State")
ACTS = ("To act", "Turn", "Reason", "Next")
CHANGES = ("Next change", "Pool", "Change", "Available", "Cause")
SHOWN_CHANGES = 5
UNSEEN = "unseen"  # the operator has written no phase yet


@dataclass(frozen=True, slots=True)
class Act:
    """Something that stays as it is until somebody acts."""

    subject: str
    turn: Turn
    reason: str
    message: str
    command: str


@dataclass(frozen=True, slots=True)
class Overview:
    """
    The whole center.

    Attributes:
        phases: How many allocations are in each phase, as their statuses say.
        changes: The next changes of all pools, the first first.
    """

    now: int
    offset: timedelta
    pools: list[PoolState]
    phases: Mapping[str, int]
    acts: list[Act]
    changes: list[tuple[PoolKey, CalendarEntry]]

    @property
    def command(self) -> str:
        """The next command to run."""
        if self.acts:
            return self.acts[0].command
        return "bitgoeul queue" if any(one.plan.waiters for one in self.pools) else "bitgoeul calendar"


@click.command(short_help="Show the whole center, or one allocation.")
@target_options
@output_option("table", "wide", "json", "yaml")
@click.option("--namespace", "-n", metavar="NAME", help="For tenants: one of theirs.  [default: the kubeconfig's]")
@click.argument("name", required=False, shell_complete=allocation_names)
def status(target: Target, output: str, namespace: str | None, name: str | None) -> None:
    """
    Show pools, allocations by phase, what needs somebody to act, and the next changes.

    With NAME show that allocation: what it has and uses, its window and notices, its namespaces and conditions. Whoever
    may not list allocations is shown the one that the namespace belongs to.
    """
    if name is None and namespace is None:
        picture = ask_cluster(target, lambda api: survey(api, target))
        if picture is not None:
            tell_shift(picture.offset)
            show_overview(read_overview(picture, *picture.planned()), output)
            return
    own = ask_cluster(target, lambda api: read_own(api, target, namespace, name))
    tell_shift(own.offset)
    if output in ("json", "yaml"):
        print_data(output, own.as_json())
    else:
        for line in own.as_lines(wide=output == "wide"):
            click.echo(line)


async def survey(api: Api, target: Target) -> Picture | None:
    """Everything; None to whoever may not list it."""
    try:
        return await look(api)
    except ApiError as error:
        if error.status != 403:
            raise
        return None


async def read_own(api: Api, target: Target, namespace: str | None, name: str | None) -> Own:
    """
    One allocation, by its name or by a namespace of it.

    Raises:
        UserError: There is none, or it may not be read.
    """
    if name is None:
        name = await find_name(api, namespace or current_namespace(target.kubeconfig, target.context))
    obj = await api.get(TENANT_ALLOCATION.path(name))
    if obj is None:
        raise UserError(f"there is no TenantAllocation {name}; see: kubectl get ta")
    try:
        offset = await read_offset(api)
    except ApiError as error:
        if error.status != 403:
            raise
        offset = timedelta()  # only platform engineers can read it
    lists = await may(api, "list", TENANT_ALLOCATION)
    return find_own(obj, offset, lists=lists, pools=await read_held(api, obj) if lists else ())


async def read_held(api: Api, obj: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pools that an allocation has devices of, as far as they may be read."""
    held = ((obj.get("status") or {}).get("grant") or {}).get("accelerators") or {}
    try:
        found = [await api.get(ACCELERATOR_POOL.path(name)) for name in held]
    except ApiError as error:
        if error.status != 403:
            raise
        return []
    return [pool for pool in found if pool is not None]


async def find_name(api: Api, namespace: str) -> str:
    """
    The allocation that a namespace says it belongs to.

    Raises:
        UserError: It may not be read, is absent, or belongs to none.
    """
    hint = "name one of yours with -n, or the allocation: bitgoeul status NAME"
    try:
        found = await api.get(NAMESPACE.path(namespace))
    except ApiError as error:
        if error.status != 403:
            raise
        raise UserError(f"you may neither list allocations nor read namespace {namespace}; {hint}") from error
    if found is None:
        raise UserError(f"there is no namespace {namespace}; {hint}")
    name = (found["metadata"].get("labels") or {}).get(ALLOCATION_LABEL)
    if not name:
        raise UserError(f"namespace {namespace} belongs to no allocation; {hint}")
    return str(name)


def read_overview(picture: Picture, snapshot: Snapshot, plan: Plan) -> Overview:
    """Put together what is shown of everything."""
    states = read_pools(picture, snapshot, plan)
    phases = Counter(
        str((obj.get("status") or {}).get("phase") or UNSEEN)
        for (kind, _), obj in picture.live.items()
        if kind == TENANT_ALLOCATION.kind
    )
    order = [*Phase, UNSEEN]
    changes = sorted(
        ((one.pool, step) for one in read_calendars(snapshot, plan) for step in one.steps),
        key=lambda change: (change[1].at, change[0]),
    )
    return Overview(
        now=snapshot.now,
        offset=picture.offset,
        pools=states,
        phases={str(phase): phases[phase] for phase in order if phases[phase]},
        acts=[*pool_acts(states), *allocation_acts(picture, snapshot, plan)],
        changes=changes[:SHOWN_CHANGES],
    )


def pool_acts(states: list[PoolState]) -> list[Act]:
    """Pools that are not as they should be."""
    return [
        Act(f"pool {one.pool.key.name}", Turn.ENGINEER, trouble.reason, trouble.message, trouble.command)
        for one in states
        for trouble in one.troubles
        if trouble.command
    ]


def allocation_acts(picture: Picture, snapshot: Snapshot, plan: Plan) -> list[Act]:
    """Allocations whose reason is somebody's turn, platform engineers first."""
    acts = []
    for standing in sorted(snapshot.standings, key=lambda standing: standing.allocation.name):
        allocation, decision = standing.allocation, plan.decisions[standing.allocation.name]
        written = picture.live[TENANT_ALLOCATION.kind, allocation.name].get("status") or {}
        if not written.get("phase"):
            continue
        reason, message = headline(decision, written)
        advice = advise(snapshot, standing, decision, reason, message)
        if advice.turn is not Turn.NOBODY:
            command = command_for(advice, allocation, pool_at_issue(snapshot, standing, decision))
            acts.append(Act(allocation.name, advice.turn, reason, message, command))
    return sorted(acts, key=lambda act: act.turn is Turn.TENANT)


def show_overview(overview: Overview, output: str) -> None:
    """Print the whole center."""
    if output in ("json", "yaml"):
        print_data(output, overview_as_json(overview))
        return
    counted = ", ".join(f"{number} {phase}" for phase, number in overview.phases.items())
    for line in format_facts(day(overview.now), [("Allocations", counted or "none")]):
        click.echo(line)
    if overview.pools:
        click.echo()
        if output == "wide":
            print_table(WIDE_POOLS, [as_wide_row(one) for one in overview.pools])
        else:
            print_table(POOLS, [pool_row(one) for one in overview.pools])
    if overview.acts:
        click.echo()
        print_table(ACTS, [[act.subject, act.turn, act.reason, act.command] for act in overview.acts])
    if overview.changes:
        click.echo()
        print_table(CHANGES, [change_row(*change) for change in overview.changes])
    print_next(overview.command)


def pool_row(one: PoolState) -> list[str]:
    key, plan = one.pool.key, one.plan
    figures = (one.pool.capacity.effective, plan.granted, plan.available)
    return [key.name, one.pool.stage or "-", *(brief(key, n) for n in figures), waiting_text(one), one.state]


def change_row(pool: PoolKey, step: CalendarEntry) -> list[str]:
    sign = "+" if step.change > 0 else ""
    return [day(step.at), pool.name, f"{sign}{brief(pool, step.change)}", brief(pool, step.available), step.cause]


def overview_as_json(overview: Overview) -> dict[str, Any]:
    return {
        "time": instant_of(overview.now),
        "clockOffset": format_offset(overview.offset),
        "allocations": dict(overview.phases),
        "pools": [pool_as_json(one) for one in overview.pools],
        "toAct": [
            {
                "subject": act.subject,
                "turn": act.turn,
                "reason": act.reason,
                "message": act.message,
                "next": act.command,
            }
            for act in overview.acts
        ],
        "changes": [
            {
                "at": instant_of(step.at),
                "pool": pool.name,
                "kind": pool.kind,
                "change": as_field(pool, step.change),
                "available": as_field(pool, step.available),
                "cause": step.cause,
            }
            for pool, step in overview.changes
        ],
        "next": overview.command,
    }
