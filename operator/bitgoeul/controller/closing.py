"""
Keeps an allocation closed whose grant is not in force: past its end, suspended, or waiting to go on after either.

The order is that of every end: the quota goes to 0 first, so that nothing new begins; pods go when it is time; and only
when a list of real pods shows that they are gone is what they held given back. Data stays, with access to look at it,
until its time is over and the policy says Delete.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime

from bitgoeul.api.conditions import Phase, Reason
from bitgoeul.api.tenant_allocation import Member, MemberRole
from bitgoeul.cluster.cache import Cache, Entry
from bitgoeul.cluster.client import Api
from bitgoeul.cluster.kinds import TENANT_ALLOCATION
from bitgoeul.controller.clock import NOT_ACTED_ON, Clocks
from bitgoeul.controller.enforcement import LowerGrant
from bitgoeul.controller.eviction import Eviction
from bitgoeul.controller.holdings import Holdings
from bitgoeul.controller.namespaces import NamespaceKeeper
from bitgoeul.controller.rounds import Round, has_begun
from bitgoeul.controller.takedown import Takedown
from bitgoeul.controller.together import together
from bitgoeul.desired.allocation_status import Place, Progress
from bitgoeul.desired.namespace import going_text
from bitgoeul.desired.role_bindings import within
from bitgoeul.desired.world import NamespaceTarget
from bitgoeul.planning.allocations import Allocation, Amounts, devices_in
from bitgoeul.planning.decisions import Decision
from bitgoeul.planning.life import Course, Halt
from bitgoeul.planning.moments import date

# Data that is due is looked at twice, with a comparison of the clocks in between: it does not come back.
SECOND_LOOK_SECONDS = 10.0
# Ends what a message says of pods that are left.
STILL_RUNNING = "still running"


class Closing:
    """See the module's text; one pass for each call of ``run``."""

    def __init__(
        self,
        cache: Cache,
        api: Api,
        keeper: NamespaceKeeper,
        takedown: Takedown,
        holdings: Holdings,
        eviction: Eviction,
        lower_grant: LowerGrant,
        clocks: Clocks,
    ) -> None:
        self._cache = cache
        self._api = api
        self._clocks = clocks
        # By name: of which UID and generation the data was seen to be due first, and when, monotonic.
        self._due: dict[str, tuple[str, int, float]] = {}
        self._keeper = keeper
        self._takedown = takedown
        self._holdings = holdings
        self._eviction = eviction
        self._lower_grant = lower_grant

    async def run(self, entry: Entry, decision: Decision, current: Round) -> Progress:
        """
        One pass.

        Raises:
            ClusterError: A request did not succeed.
        """
        allocation: Allocation = entry.view
        for name, uid in allocation.place_uids.items():
            await self._keeper.reclaim(name, uid, allocation.name, allocation.uid)
        owned = {
            name: namespace
            for name, namespace in sorted(self._cache.owned_namespaces(allocation.uid).items())
            if not namespace.view.retained
        }
        begun = has_begun(allocation, decision)
        held_up = self._clocks.apart and decision.halt is not Halt.SUSPEND  # that is somebody's word, and goes on
        due = decision.course is Course.ERASED and begun
        erasing = self._due_twice(entry, due=due) and await self._still(entry)
        open_ones = [name for name, namespace in owned.items() if not namespace.view.terminating]
        # All quotas first: whatever becomes of the pods of one namespace, no other one stays open.
        closing = (
            self._keeper.close(closed(name, allocation), current.world, self._members(allocation, decision, name))
            for name in open_ones
        )
        settled = all(await together(closing))
        for name, namespace in owned.items():
            if namespace.view.terminating:
                await self._keeper.quotas.lower_in_going(closed(name, allocation), current.world)
        since = evicted_since(decision) if begun and not held_up else None
        pods = sum([await self._eviction.all_of(name, since) for name in open_ones])
        if erasing:
            for name in open_ones:
                await self._takedown.finish(closed(name, allocation), current.world, delete=True)
        still = await self._give_back(entry, owned.values(), current) if settled else allocation.granted
        # A limit for a pool that is new unsettles each quota; what is drained already stays so.
        drained = (settled or is_expired(entry)) and not pods and not devices_in(still)
        places = {name: Place(allocation.place_uids.get(name, ""), held) for name, held in allocation.placed.items()}
        places |= {name: Place(found.uid, allocation.placed.get(name, {})) for name, found in owned.items()}
        return Progress(
            reason=Reason.DRAINING,
            message=self._message(owned, pods, erasing=erasing, held_up=held_up and (decision.evict or due)),
            namespaces=dict.fromkeys(places, False),
            places=places,
            draining=not settled or (not drained and (decision.evict or erasing)) or (due and bool(open_ones)),
            drained=drained,
        )

    def forget(self, name: str) -> None:
        """Drop what is remembered of an allocation: its data is not due, or it is gone."""
        self._due.pop(name, None)

    def _due_twice(self, entry: Entry, *, due: bool) -> bool:
        """Whether data was due at two looks, and the clocks agreed all the time and were compared in between."""
        if not due or self._clocks.apart:
            self.forget(entry.view.name)
            return False
        now, version = time.monotonic(), (entry.uid, entry.view.generation)
        *seen, first = self._due.get(entry.view.name, (*version, now))
        if tuple(seen) != version:
            first = now
        self._due[entry.view.name] = (*version, first)
        compared = self._clocks.agreed_at
        return now >= first + SECOND_LOOK_SECONDS and compared is not None and compared > first

    async def _still(self, entry: Entry) -> bool:
        """Whether this is still what is asked for, by the API server and not by the cache: data does not come back."""
        now = await self._api.get(TENANT_ALLOCATION.path(entry.view.name))
        if now is None:
            return False
        metadata = now["metadata"]
        return bool(metadata["uid"] == entry.uid and metadata["generation"] == entry.view.generation)

    def _members(self, allocation: Allocation, decision: Decision, namespace: str) -> tuple[Member, ...]:
        """Who may do what: all as before while pods may still run, then everybody may look."""
        asked_for = any(share.namespace == namespace for share in allocation.shares)
        # What members are given beside their role is taken with the grant.
        members = within(allocation.spec.members if allocation.spec and asked_for else (), frozenset())
        if not decision.view_only:
            return members
        return tuple(member.model_copy(update={"role": MemberRole.VIEW}) for member in members)

    async def _give_back(self, entry: Entry, owned: Iterable[Entry], current: Round) -> Amounts:
        """Lower status.grant to what is still held in truth, and return that."""
        allocation: Allocation = entry.view
        lowered = await self._holdings.of_grant(owned, allocation, current)
        if lowered != dict(allocation.granted):
            await self._lower_grant(entry, lowered)
        return lowered

    @staticmethod
    def _message(owned: Mapping[str, Entry], pods: int, *, erasing: bool, held_up: bool) -> str:
        going = [going_text(namespace.obj) for namespace in owned.values() if namespace.view.terminating]
        if erasing:
            namespaces = f"{len(owned)} namespace{'s' if len(owned) != 1 else ''} being deleted" if owned else ""
            return "; ".join(going) or namespaces
        running = f"{pods} pod{'s' if pods != 1 else ''} {STILL_RUNNING}" if pods else ""
        return "; ".join(part for part in (running, *going, NOT_ACTED_ON if held_up else "") if part)


def closed(name: str, allocation: Allocation) -> NamespaceTarget:
    """A namespace in which nothing new may begin; what is there stays."""
    return NamespaceTarget(name, allocation.name, allocation.uid, closed=True)


def is_expired(entry: Entry) -> bool:
    """Whether an allocation's status says that all is drained after its end."""
    return (entry.obj.get("status") or {}).get("phase") == Phase.EXPIRED


def evicted_since(decision: Decision) -> datetime | None:
    """Since when pods are sent off; None: they may stay."""
    if not decision.evict or decision.drain_started is None:
        return None
    return date(decision.drain_started)
