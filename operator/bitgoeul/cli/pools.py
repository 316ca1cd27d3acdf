"""``bitgoeul pools``: what each pool has, has handed out and has left, what changes next, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import click

from bitgoeul.api.conditions import ConditionType, Reason
from bitgoeul.cli.advice import command_on_pool
from bitgoeul.cli.output import brief, instant_of, print_data, print_next, print_table
from bitgoeul.cli.picture import Picture, Target, output_option, read_picture, target_options
from bitgoeul.cluster.kinds import ACCELERATOR_POOL, STORAGE_POOL
from bitgoeul.desired.pool_status import as_field, capacity_matched, conditions
from bitgoeul.planning.decisions import Plan, PoolPlan
from bitgoeul.planning.moments import day
from bitgoeul.planning.pools import Pool, PoolKind
from bitgoeul.planning.snapshot import Snapshot

COLUMNS = ("Pool", "Stage", "Effective", "Granted", "Available", "In use", "Waiting", "Next change", "State")
WIDE_COLUMNS = (
    *COLUMNS[:-1],
    *("Limit", "Installed", "Unavailable", "Reserved", "Scheduled", "Retained", "Next stage", "State"),
)
# Conditions that tell of something wrong, and what they say then.
WRONG = {
    ConditionType.READY: False,
    ConditionType.OVERCOMMITTED: True,
    ConditionType.NODES_OVERLAP: True,
    ConditionType.NODES_TAINTED: True,
    ConditionType.CAPACITY_MATCHED: False,
    ConditionType.CLASS_FOUND: False,
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong with a pool; ``command`` is empty where nobody has to act."""

    reason: str
    message: str
    command: str


@dataclass(frozen=True, slots=True)
class PoolState:
    """One pool."""

    pool: Pool
    plan: PoolPlan
    troubles: tuple[Trouble, ...]

    @property
    def state(self) -> str:
        """One word: what is wrong, else whether anything is left."""
        if self.troubles:
            return self.troubles[0].reason
        exhausted = self.plan.available <= 0 and self.plan.waiters > 0
        return Reason.NOTHING_AVAILABLE if exhausted else Reason.AVAILABLE


@click.command(short_help="Show what pools have, and what is wrong with them.")
@target_options
@output_option("table", "wide", "json", "yaml")
def pools(target: Target, output: str) -> None:
    """Show what each pool has, has granted and has left, who waits for it, what changes next, and what is wrong."""
    picture = read_picture(target)
    states = read_pools(picture, *picture.planned())
    if output in ("json", "yaml"):
        print_data(output, {"time": instant_of(picture.moment), "pools": [as_json(one) for one in states]})
    elif not states:
        click.echo("there is no pool yet", err=True)
        print_next("kubectl explain apool.spec")
    else:
        if output == "wide":
            print_table(WIDE_COLUMNS, [as_wide_row(one) for one in states])
        else:
            print_table(COLUMNS, [as_row(one) for one in states])
        print_next(next_command(states))


def next_command(states: Iterable[PoolState]) -> str:
    """What mends the first thing that is wrong; else who waits, or what is to come."""
    commands = [trouble.command for one in states for trouble in one.troubles if trouble.command]
    waiting = any(one.plan.waiters for one in states)
    return commands[0] if commands else "bitgoeul queue" if waiting else "bitgoeul calendar"


def read_pools(picture: Picture, snapshot: Snapshot, plan: Plan) -> list[PoolState]:
    """The state of all pools, accelerators first."""
    kinds = {PoolKind.ACCELERATORS: ACCELERATOR_POOL.kind, PoolKind.STORAGE: STORAGE_POOL.kind}
    return [
        PoolState(
            pool,
            plan.pools[key],
            find_troubles(pool, plan.pools[key], snapshot.now, picture.live.get((kinds[key.kind], key.name), {})),
        )
        for key, pool in sorted(snapshot.pools.items())
    ]


def find_troubles(pool: Pool, plan: PoolPlan, now: int, live: Mapping[str, Any]) -> tuple[Trouble, ...]:
    """
    What is wrong with a pool, as its conditions say.

    Args:
        live: The object; whether its storage class exists is taken from its status, as planning does not know it.
    """
    said = [(one.type, one.status, one.reason, one.message) for one in conditions(pool, plan, now)]
    if pool.key.kind is PoolKind.ACCELERATORS:
        matched = capacity_matched(pool)
        said.append((matched.type, matched.status, matched.reason, matched.message))
    for row in (live.get("status") or {}).get("conditions") or ():
        if row.get("type") == ConditionType.CLASS_FOUND and row.get("reason") in set(Reason):
            found = row.get("status") == "True"
            said.append((ConditionType.CLASS_FOUND, found, Reason(row["reason"]), str(row.get("message", ""))))
    kind = "apool" if pool.key.kind is PoolKind.ACCELERATORS else "spool"
    return tuple(
        Trouble(reason, message, command_on_pool(reason, pool.key.name, kind))
        for type_, status, reason, message in said
        if WRONG.get(type_) is status
    )


def as_row(one: PoolState) -> list[str]:
    key, capacity, plan = one.pool.key, one.pool.capacity, one.plan
    return [
        key.name,
        one.pool.stage or "-",
        brief(key, capacity.effective),
        brief(key, plan.granted),
        brief(key, plan.available),
        brief(key, plan.in_use),
        waiting_text(one),
        change_text(one),
        one.state,
    ]


def as_wide_row(one: PoolState) -> list[str]:
    pool, capacity, plan = one.pool, one.pool.capacity, one.plan
    stage = pool.stages[0] if pool.stages else None
    *first, state = as_row(one)
    return [
        *first,
        pool.limit,
        brief(pool.key, capacity.installed),
        brief(pool.key, capacity.installed - capacity.schedulable),
        brief(pool.key, capacity.reserved),
        brief(pool.key, plan.scheduled),
        brief(pool.key, plan.retained),
        f"{stage.name} {day(stage.at)}: {brief(pool.key, stage.amount)}" if stage else "-",
        state,
    ]


def waiting_text(one: PoolState) -> str:
    """What is waited for, and by how many, such as ``96 in 2``."""
    return f"{brief(one.pool.key, one.plan.waiting)} in {one.plan.waiters}" if one.plan.waiters else "-"


def change_text(one: PoolState) -> str:
    """When what is available changes next, and by how much."""
    if not one.plan.calendar:
        return "-"
    step = one.plan.calendar[0]
    amount = brief(one.pool.key, step.change)
    return f"{day(step.at)} {'+' if step.change > 0 else ''}{amount}"


def as_json(one: PoolState) -> dict[str, Any]:
    pool, capacity, plan = one.pool, one.pool.capacity, one.plan
    figures = {
        "installed": capacity.installed,
        "unavailable": capacity.installed - capacity.schedulable,
        "reserved": capacity.reserved,
        "effective": capacity.effective,
        "granted": plan.granted,
        "retained": plan.retained,
        "scheduled": plan.scheduled,
        "available": plan.available,
        "inUse": plan.in_use,
        "waiting": plan.waiting,
    }
    stage = pool.stages[0] if pool.stages else None
    return {
        "name": pool.key.name,
        "kind": pool.key.kind,
        "limit": pool.limit,
        "stage": pool.stage or None,
        "nextStage": stage
        and {"name": stage.name, "from": instant_of(stage.at), "amount": as_field(pool.key, stage.amount)},
        **{name: as_field(pool.key, amount) for name, amount in figures.items()},
        "waiters": plan.waiters,
        "nextChange": next(
            (
                {"at": instant_of(step.at), "change": as_field(pool.key, step.change), "cause": step.cause}
                for step in plan.calendar
            ),
            None,
        ),
        "state": one.state,
        "troubles": [
            {"reason": trouble.reason, "message": trouble.message, "next": trouble.command or None}
            for trouble in one.troubles
        ],
    }
