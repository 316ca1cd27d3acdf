"""``bitgoeul why``: how one allocation stands, what it waits for, what it could have now, and whose turn it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click

from bitgoeul.api.accelerator_pool import StopPolicy
from bitgoeul.api.conditions import ConditionType, Reason
from bitgoeul.api.tenant_allocation import TenantAllocation
from bitgoeul.cli.advice import (
    ALL_IS_THERE,
    EXTENSION,
    NO_DATE,
    NO_DEVICES,
    NO_ROOM,
    NOT_SHOWN,
    UNPREPARED,
    Advice,
    Turn,
    advice_for,
    advise_on_held_up,
    advise_on_lost,
    advise_without_date,
    held_up_by_clocks,
)
from bitgoeul.cli.completion import allocation_names
from bitgoeul.cli.output import amounts_in_brief, brief, format_facts, instant_of, print_data
from bitgoeul.cli.picture import Picture, Target, output_option, read_picture, target_options
from bitgoeul.cli.queue import Waiter, line_up
from bitgoeul.desired.allocation_status import headline_condition, holdings, instant, pending_message
from bitgoeul.desired.pod_security import pod_security_text
from bitgoeul.errors import NotReadyError, UserError
from bitgoeul.planning.allocations import Allocation, Amounts, Share
from bitgoeul.planning.decisions import Decision, Plan
from bitgoeul.planning.life import Course
from bitgoeul.planning.line import missing
from bitgoeul.planning.moments import FOREVER, LATEST, day, moment
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import PoolKey, PoolKind
from bitgoeul.planning.snapshot import Snapshot, Standing

GIB = 2**30  # storage that would fit is found to this step
NAMED = 5  # of those ahead; the rest is a number


@dataclass(frozen=True, slots=True)
class Answer:
    """
    All that is said about one allocation.

    Attributes:
        current: Whether the phase is about the newest spec.
        pods: What is told of pods that no node takes; empty: nothing.
        ahead: Those that stand before it and want a pool that it wants too.
        fits: What of one pool could start now, everything else as asked; empty: nothing, or all is there.
    """

    standing: Standing
    decision: Decision
    phase: str
    current: bool
    reason: str
    message: str
    pods: str
    ahead: tuple[str, ...]
    fits: Amounts
    turn: Turn
    advice: str
    command: str


@click.command(short_help="Say why an allocation is where it is.")
@target_options
@output_option("table", "json", "yaml")
@click.argument("name", shell_complete=allocation_names)
def why(target: Target, output: str, name: str) -> None:
    """
    Say how the allocation NAME stands: phase, position, what is short, who is ahead, the earliest start, what would
    fit now, and whose turn it is to act, with the next command to run.
    """
    picture = read_picture(target)
    obj = picture.live.get((TenantAllocation.__name__, name))
    if obj is None:
        raise UserError(f"there is no TenantAllocation {name}; see: kubectl get ta")
    status = obj.get("status") or {}
    if not status.get("phase"):
        raise NotReadyError(f"{name} has no status yet: {why_unseen(picture, obj)}")
    current = status.get("observedGeneration") == obj["metadata"].get("generation")
    answer = explain(*picture.planned(), name, status, current=current)
    if output != "table":
        print_data(output, as_json(answer))
    else:
        for line in as_lines(answer):
            click.echo(line)


def why_unseen(picture: Picture, obj: Mapping[str, Any]) -> str:
    """Say why an allocation may have no status, with the next command."""
    if not picture.led:
        return "the operator has not seen it; is it running? bitgoeul run"
    created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    waited = max(0.0, ((picture.server_time or picture.wall) - created).total_seconds())
    return f"the operator runs and has not taken it up for {waited:.0f} s; see: bitgoeul doctor"


def explain(snapshot: Snapshot, plan: Plan, name: str, status: Mapping[str, Any], *, current: bool) -> Answer:
    """
    Put together what is known.

    Args:
        status: As the operator has written it.
        current: Whether it is about the newest spec.
    """
    standing = next(standing for standing in snapshot.standings if standing.allocation.name == name)
    decision = plan.decisions[name]
    reason, message = headline(decision, status)
    advice = advise(snapshot, standing, decision, reason, message)
    if advice is ALL_IS_THERE:
        advice = lost(snapshot, plan, standing) or advice
    return Answer(
        standing=standing,
        decision=decision,
        phase=str(status.get("phase", "")),
        current=current,
        reason=reason,
        message=message,
        pods=pending_message(status),
        ahead=ahead_of(standing, decision, line_up(snapshot, plan)),
        fits=fitting(snapshot, plan, standing),
        turn=advice.turn,
        advice=advice.text,
        command=command_for(advice, standing.allocation, pool_at_issue(snapshot, standing, decision)),
    )


def lost(snapshot: Snapshot, plan: Plan, standing: Standing) -> Advice | None:
    """What is to be done about a pool that has fewer devices than are granted from it; None: each has enough."""
    for key, amount in standing.charged.items():
        pool = snapshot.pools.get(key)
        if pool is None or key.kind is not PoolKind.ACCELERATORS or not amount:
            continue
        there, granted = pool.capacity.schedulable, plan.pools[key].granted
        if there < granted:
            return advise_on_lost(key.name, there, granted)
    return None


def command_for(advice: Advice, allocation: Allocation, pool: PoolKey | None) -> str:
    """The command of an advice about an allocation, and the pool at issue."""
    return advice.command.format(
        name=allocation.name,
        namespace=allocation.shares[0].namespace if allocation.shares else allocation.name,
        pool=pool.name if pool else "POOL",
        kind="apool" if pool is None or pool.kind is PoolKind.ACCELERATORS else "spool",
    )


def headline(decision: Decision, status: Mapping[str, Any]) -> tuple[str, str]:
    """
    The reason that matters: why it waits or is refused, else how far the grant is enforced.

    An end that clocks hold up goes before what is planned here: by this machine's clock it may be over, and nothing is
    done about it.
    """
    held_up = held_up_by_clocks(status)
    if held_up is not None:
        return held_up
    if decision.reason is Reason.DELETING or decision.course in (Course.CLOSED, Course.ERASED):
        reason, message = headline_condition(status)
        if reason == decision.reason:  # with what it says of pods and namespaces
            return reason, message
    if not decision.admitted or decision.queue is not None:
        return decision.reason, decision.message
    return enforcement_headline(status)


def enforcement_headline(status: Mapping[str, Any]) -> tuple[str, str]:
    """
    The reason that matters of one that has all that it asks for.

    Too much in use goes before what is refused, this before pods that no node takes, these before a near end, and all
    before enforcement.
    """
    said = {str(one.get("type")): one for one in status.get("conditions") or ()}
    for kind, bad in (
        (ConditionType.WITHIN_GRANT, "False"),
        (ConditionType.STALLED, "True"),
        (ConditionType.PODS_PENDING, "True"),
        (ConditionType.EXPIRING, "True"),
    ):
        found = said.get(kind)
        if found and found.get("reason") == Reason.WINDOW_ENDED:
            continue  # what is left of it matters more
        if found and found.get("status") == bad:
            return str(found.get("reason", "")), str(found.get("message", ""))
    return headline_condition(status)


def ahead_of(standing: Standing, decision: Decision, waiting: list[Waiter]) -> tuple[str, ...]:
    """Who stands before it for the same pools; as many as its position says."""
    if decision.queue is None or decision.queue.position is None:
        return ()
    wanted = wants(standing)
    names = []
    for waiter in waiting:
        if waiter.name == standing.allocation.name:
            break
        if waiter.entry.position is not None and wanted & wants(waiter.standing):
            names.append(waiter.name)
    return tuple(names)


def wants(standing: Standing) -> frozenset[PoolKey]:
    """The pools that it wants more of, or for longer."""
    return frozenset(missing(standing) or standing.allocation.ask)


def fitting(snapshot: Snapshot, plan: Plan, standing: Standing) -> dict[PoolKey, int]:
    """
    For each pool the most that could start now with all else as it is asked; found by asking the planner.

    Pools of which nothing would fit are left out, and so is everything where all is there, refused or not asked now.
    """
    decision, allocation = plan.decisions[standing.allocation.name], standing.allocation
    start = allocation.terms.start
    if decision.queue is None or decision.queue.position is None or (start is not None and start > snapshot.now):
        return {}
    found = {}
    for pool in missing(standing):
        least, step = standing.charged.get(pool, 0), 1 if pool.kind is PoolKind.ACCELERATORS else GIB
        most = min(allocation.ask[pool] - 1, least + max(0, plan.pools[pool].available)) // step
        low, high = least // step, most
        # In the end ``low`` starts now, or is what is held; nothing above it does.
        while low < high:
            middle = high if high == most else (low + high + 1) // 2
            if starts_now(snapshot, standing, {**allocation.ask, pool: middle * step}):
                low = middle
            else:
                high = middle - 1
        if low * step > least:
            found[pool] = low * step
    return found


def starts_now(snapshot: Snapshot, standing: Standing, ask: Amounts) -> bool:
    """Whether an allocation would have this at once if it asked for it."""
    allocation = standing.allocation
    # How it is shared among namespaces is another question: all of it goes to the first.
    shares = (Share(allocation.shares[0].namespace, ask),) if allocation.shares else ()
    asking = replace(standing, allocation=replace(allocation, ask=ask, shares=shares, claimed=()))
    standings = tuple(asking if other is standing else other for other in snapshot.standings)
    decision = make_plan(replace(snapshot, standings=standings)).decisions[allocation.name]
    return decision.admitted and decision.met and decision.queue is None


def advise(snapshot: Snapshot, standing: Standing, decision: Decision, reason: str, message: str) -> Advice:
    """Whose turn it is, and what they do."""
    held_up = advise_on_held_up(message)
    if held_up is not None:
        return held_up
    entry = decision.queue
    if entry is None or reason not in (Reason.WAITING_FOR_CAPACITY, Reason.BLOCKED_BY_EARLIER, Reason.WINDOW_NOT_OPEN):
        return advice_for(reason, message, standing.allocation)
    if decision.admitted and decision.met:
        return EXTENSION
    pools = [snapshot.pools[key] for key in standing.allocation.ask if key in snapshot.pools]
    if any(pool.unnamed_in for pool in pools):
        return UNPREPARED
    bare = [pool for pool in pools if pool.bare]
    if bare:
        return NOT_SHOWN if all(pool.nodes for pool in bare) else NO_DEVICES
    if entry.earliest is None and decision.promised is None:
        advice = advise_without_date(message)
        return NO_ROOM if advice is NO_DATE and standing.allocation.terms.end is not None else advice
    return advice_for(reason)


def pool_at_issue(snapshot: Snapshot, standing: Standing, decision: Decision) -> PoolKey | None:
    """The pool to look at first: one on hold, else one that is short, tainted ones first, else any."""
    asked = [key for key in (*standing.allocation.ask, *standing.charged) if key in snapshot.pools]
    stopped = [key for key in asked if snapshot.pools[key].stop is not StopPolicy.NONE]
    short = list(decision.queue.blocked_by) if decision.queue else []
    short.sort(key=lambda key: key not in snapshot.pools or not snapshot.pools[key].capacity.tainted)
    return next(iter([*(stopped if decision.reason is Reason.POOL_ON_HOLD else ()), *short, *asked]), None)


def as_lines(answer: Answer) -> list[str]:
    """What a person reads."""
    allocation, decision, entry = answer.standing.allocation, answer.decision, answer.decision.queue
    position = f", position {entry.position}" if entry is not None and entry.position is not None else ""
    stale = "" if answer.current else " (of an older spec; the operator has not looked at the newest yet)"
    facts = [
        ("Asks", amounts_in_brief(allocation.ask)),
        ("Window", window_text(decision)),
        ("Pods", answer.pods),
        ("Since", day(moment(entry.since)) if entry else ""),
        ("Short now", shortage_text(entry.blocked_by) if entry else ""),
        ("Ahead", names_text(answer.ahead)),
        ("Earliest start", earliest_text(decision)),
        ("Fits now", fits_text(answer.fits) if entry is not None and entry.position is not None else ""),
        ("Pod security", pod_security_text(allocation)),
        ("Reason", f"{answer.reason}: {answer.message}" if answer.message else answer.reason),
        ("Turn", f"{answer.turn}: {answer.advice}"),
        ("Next", answer.command),
    ]
    organization = f" ({allocation.organization})" if allocation.organization else ""
    return format_facts(f"{allocation.name}{organization} is {answer.phase}{position}{stale}", facts)


def window_text(decision: Decision) -> str:
    window = decision.window
    if window is None:
        return ""
    if window.end >= FOREVER:
        return f"from {day(window.start)}, open-ended"
    gone = f"; data is deleted {day(window.delete_at)}" if window.delete_at is not None else ""
    return f"{day(window.start)} to {day(window.end)}{gone}"


def shortage_text(blocked: Amounts) -> str:
    return ", ".join(f"{brief(pool, amount)} of {pool.name}" for pool, amount in sorted(blocked.items())) or "nothing"


def names_text(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def earliest_text(decision: Decision) -> str:
    entry = decision.queue
    if entry is None:
        return ""
    return "none is known" if entry.earliest is None else f"{day(entry.earliest)}, if nobody extends"


def fits_text(fits: Amounts) -> str:
    return " or ".join(f"{brief(pool, amount)} of {pool.name}" for pool, amount in sorted(fits.items())) or "nothing"


def as_json(answer: Answer) -> dict[str, Any]:
    """What a program reads."""
    allocation, decision, entry = answer.standing.allocation, answer.decision, answer.decision.queue
    window = decision.window
    return {
        "name": allocation.name,
        "organization": allocation.organization,
        "phase": answer.phase,
        "current": answer.current,
        "reason": answer.reason,
        "message": answer.message,
        "pods": answer.pods or None,
        "asks": holdings(allocation.ask),
        "podSecurity": pod_security_text(allocation) or None,
        "window": None
        if window is None
        else {"start": instant_of(window.start), "end": instant_of(window.end) if window.end <= LATEST else None},
        "queue": None
        if entry is None
        else {
            "position": entry.position,
            "since": instant(entry.since),
            "earliestStart": instant_of(entry.earliest),
            "blockedBy": holdings(entry.blocked_by),
            "ahead": list(answer.ahead),
            "fitsNow": holdings(answer.fits),
        },
        "turn": answer.turn,
        "advice": answer.advice,
        "next": answer.command,
    }
