"""
Plays what is to come: the cluster at a later time, if nobody changes anything and everybody keeps to their ends.

The same planner decides at each moment at which the clock changes something; what it gives is held from then on, and
what is to be given back is given back in time. What is overdue already stays held, as the planner itself reckons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from bitgoeul.errors import UserError
from bitgoeul.planning.allocations import Amounts, devices_in
from bitgoeul.planning.decisions import Plan
from bitgoeul.planning.life import Course, Halt, look
from bitgoeul.planning.moments import day, moment
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import Pool, PoolKey, measure_accelerators, measure_storage
from bitgoeul.planning.snapshot import Observed, Snapshot, Standing, build_snapshot
from bitgoeul.planning.succession import advance

# Each is a plan of its own. More than that is years of a large center, and minutes of reckoning.
MAX_STEPS = 5000


def open_snapshot(observed: Observed, now: datetime, wall: datetime) -> Snapshot:
    """A snapshot in which no pool waits for quotas to name it: that passes, and is not what is asked about."""
    return replace(build_snapshot(observed, now, wall), pools=measured(observed, moment(now)))


def measured(observed: Observed, at: int) -> dict[PoolKey, Pool]:
    """The pools at a moment, with the nodes of today and the stage of then."""
    pools = measure_accelerators(observed.accelerator_pools, observed.nodes, {}, at)
    pools.update(measure_storage(observed.storage_pools, {}, at))
    return pools


def play(observed: Observed, now: datetime, until: datetime, wall: datetime) -> Snapshot:
    """
    The snapshot of a later time.

    Raises:
        UserError: Too much happens until then to be played.
    """
    snapshot = replace(open_snapshot(observed, now, wall), clocks_differ=False)  # by then they are set
    stuck = frozenset(standing.allocation.uid for standing in snapshot.standings if given_back(standing, snapshot))
    last = moment(until)
    for _ in range(MAX_STEPS):
        plan = make_plan(snapshot)
        snapshot = advance(snapshot, plan.decisions) or snapshot
        if plan.due is None or plan.due > last:
            return at(observed, snapshot, last, stuck)
        snapshot = at(observed, snapshot, plan.due, stuck)
    raise UserError(
        f"--at: too much happens until then: {MAX_STEPS} changes by {day(snapshot.now)}; give that or earlier"
    )


def at(observed: Observed, snapshot: Snapshot, present: int, stuck: frozenset[str]) -> Snapshot:
    """A snapshot at a later moment, when what is over has been given back."""
    later = replace(snapshot, now=present, pools=measured(observed, present))
    standings = tuple(
        standing if standing.allocation.uid in stuck else grown_older(standing, later) for standing in later.standings
    )
    return replace(later, standings=standings)


def grown_older(standing: Standing, snapshot: Snapshot) -> Standing:
    """A standing after it has given back what it should have by now."""
    if not standing.allocation.deleting and standing.charged:
        life = look(standing, snapshot)
        if life.course is Course.ERASED or life.reclaimed:
            return erased(standing)
    gone = given_back(standing, snapshot)
    return without(standing, gone) if gone else standing


def given_back(standing: Standing, snapshot: Snapshot) -> Amounts:
    """What of a charge should have been given back by now, while its namespaces stand."""
    if standing.allocation.deleting or not standing.charged:
        return {}
    life = look(standing, snapshot)
    drained = life.course is Course.CLOSED and life.drain_at <= snapshot.now
    if not drained or not (standing.allocation.terms.drain or life.passed):
        return {}
    return devices_in(standing.charged)


def settled(snapshot: Snapshot, plan: Plan, before: Snapshot) -> Snapshot:
    """
    A snapshot of a changed cluster after what the change asks back at once was given back, as its pods do when asked.

    Args:
        plan: Of the changed cluster.
        before: Without the change: what should have been given back in it already stays held.
    """
    known = {standing.allocation.uid: standing for standing in before.standings}

    def after_it(standing: Standing) -> Standing:
        was = known.get(standing.allocation.uid)
        if was is None or given_back(was, before):
            return standing
        gone = given_back(standing, snapshot)
        if gone and snapshot.clocks_differ and look(standing, snapshot).halt is not Halt.SUSPEND:
            return standing  # no end is acted on meanwhile
        if gone:
            return without(standing, gone)
        decision = plan.decisions[standing.allocation.name]
        shrinks = was.allocation.ask != standing.allocation.ask
        return lowered(standing) if shrinks and decision.met and decision.course is Course.OPEN else standing

    standings = tuple(after_it(standing) for standing in snapshot.standings)
    return snapshot if standings == snapshot.standings else replace(snapshot, standings=standings)


def lowered(standing: Standing) -> Standing:
    """A standing after it has given back what it neither asks for nor uses."""
    ask = standing.allocation.ask

    def kept(amounts: Amounts) -> dict[PoolKey, int]:
        needed = {pool: max(ask.get(pool, 0), standing.in_use.get(pool, 0)) for pool in amounts}
        return {pool: min(amount, needed[pool]) for pool, amount in amounts.items() if needed[pool]}

    allocation = replace(standing.allocation, granted=kept(standing.allocation.granted))
    return replace(standing, allocation=allocation, charged=kept(standing.charged))


def without(standing: Standing, gone: Amounts) -> Standing:
    """A standing after these pools were given back."""

    def kept(amounts: Amounts) -> dict[PoolKey, int]:
        return {pool: amount for pool, amount in amounts.items() if pool not in gone}

    allocation = replace(standing.allocation, granted=kept(standing.allocation.granted))
    used_in = {namespace: kept(used) for namespace, used in standing.used_in.items()}
    return replace(
        standing, allocation=allocation, charged=kept(standing.charged), in_use=kept(standing.in_use), used_in=used_in
    )


def erased(standing: Standing) -> Standing:
    """A standing after its namespaces and data were deleted."""
    allocation = standing.allocation
    # What status remembers of namespaces tells that it was in force once.
    placed = allocation.placed or {share.namespace: share.amounts for share in allocation.shares}
    gone = replace(allocation, granted={}, admitted=False, reclaimed=True, placed=placed)
    return replace(standing, allocation=gone, charged={}, in_use={}, used_in={}, housed=False)


def carry_over(snapshot: Snapshot, past: Snapshot) -> Snapshot:
    """
    A snapshot of changed objects, with what became of everybody until then.

    Args:
        snapshot: Of the changed cluster at the later time, with holdings of today.
        past: Of the unchanged cluster, played up to that time.
    """
    became: Mapping[str, Standing] = {standing.allocation.uid: standing for standing in past.standings}
    standings = tuple(
        brought_along(standing, became[standing.allocation.uid]) if standing.allocation.uid in became else standing
        for standing in snapshot.standings
    )
    return replace(snapshot, standings=standings, retained=past.retained, clocks_differ=past.clocks_differ)


def brought_along(standing: Standing, became: Standing) -> Standing:
    """What one asks for in the changed cluster, with what it has been given until then."""
    then = became.allocation
    allocation = replace(
        standing.allocation,
        granted=then.granted,
        recorded=then.recorded,
        promised=then.promised,
        admitted=then.admitted,
        placed=then.placed,
        reclaimed=then.reclaimed,
        queued_since=then.queued_since,
        queued_ask=then.queued_ask,
        drain_started=then.drain_started,
        delete_started=then.delete_started,
    )
    return replace(
        standing,
        allocation=allocation,
        charged=became.charged,
        in_use=became.in_use,
        inherits=became.inherits,
        used_in=became.used_in,
        housed=became.housed,
    )
