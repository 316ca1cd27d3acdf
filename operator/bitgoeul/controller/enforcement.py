"""
One pass of enforcing a promise: namespaces and quotas follow status.grant, members get access last.

Level-triggered: does what can be done now and says how far it came; what has to be waited for (the quota controller,
pods, a namespace that is going) comes back by its own event. Raises no quota beyond status.grant, and lowers
status.grant only when quotas and pods are proved to be down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from bitgoeul.api.conditions import Reason
from bitgoeul.api.tenant_allocation import ClaimRequest, DeletionPolicy, Member
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.kinds import NAMESPACE
from bitgoeul.controller.clock import NOT_ACTED_ON, Clocks
from bitgoeul.controller.eviction import Eviction
from bitgoeul.controller.holdings import Holdings, positive
from bitgoeul.controller.namespaces import NamespaceKeeper
from bitgoeul.controller.policy_proof import PolicyProof
from bitgoeul.controller.role_check import RoleCheck
from bitgoeul.controller.rounds import Round
from bitgoeul.controller.takedown import Takedown
from bitgoeul.controller.together import together
from bitgoeul.controller.trial import Obstacle
from bitgoeul.desired.allocation_status import Place, Progress, enforced_text
from bitgoeul.desired.namespace import going_text
from bitgoeul.desired.role_bindings import given_roles, within
from bitgoeul.desired.targets import Division, Holding, divide
from bitgoeul.desired.world import NamespaceTarget
from bitgoeul.planning.allocations import Allocation, Amounts, at_least, devices_in, total
from bitgoeul.planning.checks import amount_text
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.explain import plural
from bitgoeul.planning.moments import date, moment

LowerGrant = Callable[[Entry, Amounts], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Lay:
    """How the namespaces of an allocation lie at the start of a pass."""

    owned: Mapping[str, Entry]  # those asked for, and those that are to go
    kept: Mapping[str, Entry]  # left behind by an earlier change, with their data
    going: list[str]  # asked for, and being deleted by somebody
    leaving: list[str]  # no longer asked for
    vanishing: list[str]  # no longer asked for, and being deleted
    staying: list[str]
    division: Division
    over: bool  # somewhere more is held than the quota is to allow


class Enforcement:
    """See the module's text; knows nothing of reports."""

    def __init__(
        self,
        cache: Cache,
        keeper: NamespaceKeeper,
        takedown: Takedown,
        holdings: Holdings,
        eviction: Eviction,
        lower_grant: LowerGrant,
        plan_clock: Callable[[], datetime],
        clocks: Clocks,
        proof: PolicyProof,
        role_check: RoleCheck,
    ) -> None:
        self._cache = cache
        self._keeper = keeper
        self._takedown = takedown
        self._holdings = holdings
        self._eviction = eviction
        self._lower_grant = lower_grant
        self._plan_clock = plan_clock
        self._clocks = clocks
        self._proof = proof
        self._role_check = role_check

    async def run(self, entry: Entry, decision: Decision, current: Round) -> Progress:
        """
        One pass.

        Raises:
            NamespaceTakenError: A namespace exists and is not this allocation's.
            ClusterError: A request did not succeed.
        """
        allocation: Allocation = entry.view
        members = members_of(allocation, current)
        for name in self._cache.owned_namespaces(allocation.uid):
            # Taking rights away waits for nothing.
            await self._keeper.revoke_access(NamespaceTarget(name, allocation.name, allocation.uid), members)
        lay = await self._survey(allocation, decision, current)
        targets = lay.division.targets
        floors = {name: self._holdings.of(ns, allocation, current).floor for name, ns in lay.owned.items()}
        await together(self._keeper.open(targets[name], floors.get(name, {})) for name in lay.staying)
        places = self._places(allocation, decision, lay)  # only now do new namespaces have their UID
        settled = await together(self._keeper.quotas.set(targets[name], current.world) for name in lay.staying)
        gone = [await self._leave(targets[name], allocation, current) for name in lay.leaving]
        for name in lay.vanishing:
            await self._keeper.quotas.lower_in_going(targets[name], current.world)
        done = dict.fromkeys(targets, False)
        behind = Progress(namespaces=done, places=places)
        if lay.going:
            if all(settled):  # what is no longer asked for need not wait for the clean-up
                await self._give_back(entry, decision, current)
            message = "; ".join(going_text(lay.owned[name].obj, " and will be made again") for name in lay.going)
            return replace(behind, reason=Reason.NAMESPACE_TERMINATING, message=message)
        # What somebody else keeps from standing keeps nobody out who is in already.
        barred = {name: text for name in lay.staying if (text := self._keeper.bars(name))}
        shut = [text for name, text in barred.items() if not self._are_in(entry, name)]
        if shut:
            return replace(behind, reason=Reason.APPLY_FAILED, message="; ".join(shut), failed=True, patient=True)
        waiting = [name for name, ok in zip(lay.staying, settled, strict=True) if not ok and name not in barred]
        if waiting:
            message = f"the quota in {', '.join(waiting)} is not enforced yet"
            return replace(behind, reason=Reason.QUOTA_NOT_ENFORCED, message=message)
        problem = await self._prove(entry, lay, current)
        if problem is not None:
            unproved = replace(behind, reason=Reason.POLICY_NOT_EFFECTIVE, message=problem.message)
            return replace(unproved, failed=problem.lasting)
        unmade = await self._open_doors(allocation, decision, lay, current)
        excess = await self._give_back(entry, decision, current)
        ready = {name: True for name in targets if name in lay.staying}
        open_doors = replace(behind, ready=True, namespaces=ready, excess=excess)
        if not lay.division.complete or excess or not all(gone) or lay.vanishing:
            message = draining_text(excess, lay, gone)
            drain_at = await self._shrink(allocation, excess, lay, current) if devices_in(excess) or lay.over else None
            # What is held beyond the quotas has time, or nobody ends it; what only waits for a policy to act has not.
            held_up = drain_at is not None and self._clocks.apart
            has_time = drain_at is None or drain_at > self._plan_clock() or held_up
            message = f"{message}; {NOT_ACTED_ON}" if held_up else message
            patient = all(gone) and bool(excess or lay.over) and has_time
            return replace(
                open_doors,
                reason=Reason.DRAINING,
                message=message,
                draining=True,
                excess_drain_at=drain_at,
                patient=patient,
            )
        if unmade:
            return replace(open_doors, reason=Reason.APPLY_FAILED, message=unmade, provisioned=False)
        return replace(open_doors, reason=Reason.PROVISIONED, message=enforced_text(ready))

    async def hold_still(self, allocation: Allocation, current: Round) -> None:
        """For an allocation whose spec cannot be read: all stays as it is, but the world keeps its zeros everywhere."""
        for name in self._cache.owned_namespaces(allocation.uid):
            await self._keeper.quotas.name_missing(name, current.world)

    async def _survey(self, allocation: Allocation, decision: Decision, current: Round) -> Lay:
        for name, uid in allocation.place_uids.items():
            await self._keeper.reclaim(name, uid, allocation.name, allocation.uid)
        shares = {share.namespace for share in allocation.shares}
        await self._inherit(allocation)
        everything = self._cache.owned_namespaces(allocation.uid)
        wanted = shares if decision.met else shares | allocation.placed.keys()
        kept = {name: ns for name, ns in everything.items() if ns.view.retained and name not in wanted}
        owned = {name: ns for name, ns in everything.items() if name not in kept}
        terminating = sorted(name for name, namespace in owned.items() if namespace.view.terminating)
        vanishing = [name for name in terminating if decision.met and name not in shares]
        going = [name for name in terminating if name not in vanishing]
        new = self._proof.new_pools(allocation.ask)
        holdings = {
            # Where members are in already, nothing can be proved before a pod of theirs: new policies get time.
            name: self._holdings.of(ns, allocation, current, new if self._keeper.has_access(name) else frozenset())
            for name, ns in owned.items()
        }
        if owned and len(owned.keys() | shares) > 1:
            holdings = await self._with_pods(holdings, owned, allocation, current)
        division = divide(
            allocation,
            allocation.granted,
            decision.met,
            holdings,
            current.snapshot.pools,
            current.world,
            elsewhere=self._holdings.floors(kept.values(), allocation, current),
        )
        leaving = [name for name in owned if decision.met and name not in shares and name not in terminating]
        staying = [name for name in division.targets if name not in leaving and name not in terminating]
        over = any(
            amount > division.targets[name].devices.get(pool.name, 0)
            for name in staying
            for pool, amount in devices_in(holdings.get(name, Holding()).floor).items()
        )
        return Lay(owned, kept, going, leaving, vanishing, staying, division, over)

    async def _inherit(self, allocation: Allocation) -> None:
        """Take over the namespaces that were kept for ``restoreFrom``: their annotation changes hands first."""
        for share in allocation.shares if allocation.restore_from else ():
            kept = self._cache.get(NAMESPACE, share.namespace)
            if kept is None or not kept.view.retained or kept.view.allocation_uid != allocation.restore_from:
                continue
            target = NamespaceTarget(share.namespace, allocation.name, allocation.uid)
            # Before it changes hands: if we end in between, whoever finds it retained marks them again.
            await self._keeper.mark_claims(share.namespace, retained=False)
            await self._keeper.open(target, {}, take_over_from=allocation.restore_from)

    async def _with_pods(
        self, holdings: dict[str, Holding], owned: Mapping[str, Entry], allocation: Allocation, current: Round
    ) -> dict[str, Holding]:
        """Count what pods really hold, where a share may move from one namespace to another."""
        final = {share.namespace: positive(share.amounts) for share in allocation.shares}
        if {name: holding.hard for name, holding in holdings.items()} == final:
            return holdings
        return {
            name: replace(
                holding,
                floor=at_least(holding.floor, await self._holdings.by_pods(owned[name], allocation, current)),
            )
            for name, holding in holdings.items()
        }

    def _places(self, allocation: Allocation, decision: Decision, lay: Lay) -> dict[str, Place]:
        """What status is to remember: which namespaces, by UID, and what each is to hold in the end."""
        shares = {share.namespace: share.amounts for share in allocation.shares}
        places = {}
        for name in lay.division.targets:
            amounts = shares.get(name, {}) if decision.met else allocation.placed.get(name, shares.get(name, {}))
            known = self._cache.get(NAMESPACE, name)
            places[name] = Place(known.uid if known else "", positive(amounts))
        return places

    async def _prove(self, entry: Entry, lay: Lay, current: Round) -> Obstacle | None:
        """See that admission policies act where members are not in yet; give what is missing."""
        for name in lay.staying:
            # Where members are in already, a trial pod would only show that their quota is used up.
            if not self._are_in(entry, name):
                problem = await self._proof.obstacle(lay.division.targets[name], current.world)
                if problem is not None:
                    return problem
        return None

    def _are_in(self, entry: Entry, namespace: str) -> bool:
        """Whether members were let into a namespace already."""
        rows = (entry.obj.get("status") or {}).get("namespaces") or ()
        opened = any(row["name"] == namespace and row.get("ready") for row in rows)
        return opened or self._keeper.has_access(namespace)

    async def _open_doors(self, allocation: Allocation, decision: Decision, lay: Lay, current: Round) -> str:
        """Give claims and access; return what could not be given, for people."""
        members = members_of(allocation, current)
        # While a change waits, its claims do too: their pool may not even exist.
        claims = claims_by_namespace(allocation) if decision.met else {}
        unmade = []
        for name in lay.staying:
            target = lay.division.targets[name]
            self._takedown.forget(name)
            unmade += await self._keeper.give_claims(target, claims.get(name, ()), current.world)
            unmade += await self._keeper.give_access(target, members)
            await self._keeper.wake_workloads(name)
        absent = await self._role_check.missing(given_roles(members))
        unmade += [f"there is no ClusterRole {role}, which members are given: make it" for role in absent]
        return "; ".join(unmade)

    async def _shrink(self, allocation: Allocation, excess: Amounts, lay: Lay, current: Round) -> datetime | None:
        """
        Evict what runs beyond the quotas, the youngest first, once the grace is over.

        Returns:
            When that is; None: pods are left to end by themselves.
        """
        terms, now = allocation.terms, self._plan_clock()
        if not terms.drain:
            return None
        more = any(amount > allocation.excess.get(pool, 0) for pool, amount in excess.items())
        begun = allocation.excess_drain_at if not more else None  # a further shrink has a grace of its own
        due = date(begun or moment(now) + terms.grace)
        started = allocation.drain_started
        if now >= due and started is not None and not self._clocks.apart:
            for name in lay.staying:
                pools = current.world.accelerators
                limits = {spec.resource_name: 0 for spec in pools.values()}
                for pool, devices in lay.division.targets[name].devices.items():
                    if pool in pools:
                        limits[pools[pool].resource_name] += devices
                await self._eviction.beyond(name, limits, date(started))
        return due

    async def _leave(self, target: NamespaceTarget, allocation: Allocation, current: Round) -> bool:
        """Take down a namespace that is no longer asked for; True when it holds nothing any more."""
        delete = allocation.spec is not None and allocation.spec.expiry.deletion_policy is DeletionPolicy.DELETE
        if await self._takedown.empty(target, current.world):
            return False
        return await self._takedown.finish(target, current.world, delete=delete)

    async def _give_back(self, entry: Entry, decision: Decision, current: Round) -> Amounts:
        """
        Lower status.grant to what was last asked for and given, as far as it is proved that no more is held.

        Returns:
            What pods and claims still hold beyond the ask.
        """
        allocation: Allocation = entry.view
        ask = allocation.ask if decision.met else total(allocation.placed.values())
        if not decision.met and not allocation.placed:
            return {}
        if all(amount <= ask.get(pool, 0) for pool, amount in allocation.granted.items()):
            return {}
        owned = self._cache.owned_namespaces(allocation.uid)
        lowered = await self._holdings.of_grant(owned.values(), allocation, current, ask)
        if lowered != dict(allocation.granted):
            await self._lower_grant(entry, lowered)
        return positive({pool: amount - ask.get(pool, 0) for pool, amount in lowered.items()})


def members_of(allocation: Allocation, current: Round) -> tuple[Member, ...]:
    """Who is to have access, with those of their ClusterRoles that are allowed."""
    return within(allocation.spec.members if allocation.spec else (), current.snapshot.allowed_roles)


def claims_by_namespace(allocation: Allocation) -> dict[str, list[tuple[str, ClaimRequest]]]:
    """Storage pool and claim for each namespace; a claim that names none goes to the first."""
    result: dict[str, list[tuple[str, ClaimRequest]]] = {}
    first = allocation.shares[0].namespace if allocation.shares else allocation.name
    for request in allocation.spec.storage if allocation.spec else ():
        for claim in request.claims:
            result.setdefault(claim.namespace or first, []).append((request.pool, claim))
    return result


def draining_text(excess: Amounts, lay: Lay, gone: list[bool]) -> str:
    """What is still on its way down."""
    parts = [
        f"{amount_text(pool, amount)} {plural(pool, amount)}of {pool.name} still in use beyond what is asked for"
        for pool, amount in sorted(excess.items())
    ]
    parts += [f"namespace {name} is being emptied" for name, done in zip(lay.leaving, gone, strict=True) if not done]
    parts += [going_text(lay.owned[name].obj) for name in lay.vanishing]
    if not lay.division.complete:
        kept = f"; data is kept in {', '.join(sorted(lay.kept))}" if lay.kept else ""
        parts.append(f"shares are moving between namespaces{kept}")
    return "; ".join(parts)
