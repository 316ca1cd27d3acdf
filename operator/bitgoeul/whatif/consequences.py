"""
What a change does to those who hold something: pods that are evicted, access that is lost, namespaces and data that go.

Takes two snapshots with their plans, of the same moment, and gives what the second does that the first does not, or
does sooner. What runs in the namespaces is not in a snapshot: evictions say which pods they mean, and are counted by
whoever can list them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bitgoeul.api.conditions import REFUSALS
from bitgoeul.api.tenant_allocation import Member, MemberRole
from bitgoeul.planning.allocations import Allocation, Amounts, devices_in
from bitgoeul.planning.decisions import Decision, Plan
from bitgoeul.planning.life import Course, Halt, draining_pools
from bitgoeul.planning.moments import FOREVER
from bitgoeul.planning.pools import PoolKey, PoolKind
from bitgoeul.planning.snapshot import Snapshot, Standing

MemberKey = tuple[str, str, str]  # kind, namespace, name
_RANK = {MemberRole.VIEW: 1, MemberRole.EDIT: 2, MemberRole.ADMIN: 3}


class Fate(StrEnum):
    """What becomes of a namespace that an allocation no longer has."""

    KEPT = "kept"  # closed, with its data
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Eviction:
    """
    Pods that have to go.

    Attributes:
        at: When; None: once the change is granted, which nobody can date.
        limits: Resource → devices that may stay, the youngest pods beyond them go; None: all pods go.
    """

    namespace: str
    at: int | None
    reason: str
    limits: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class AccessLoss:
    """
    A member who may do less.

    Attributes:
        keeps: None: nothing; the role that it had: only ClusterRoles are lost.
        namespace: Empty: it holds for all of the allocation's.
        cluster_roles: Those that are lost, in order; with the role where that is lost too.
    """

    member: MemberKey
    had: MemberRole
    keeps: MemberRole | None
    at: int | None
    reason: str
    namespace: str = ""
    cluster_roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaving:
    """A namespace that the allocation no longer has."""

    name: str
    fate: Fate
    at: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class LostData:
    """What claims hold of a pool in a namespace that is deleted."""

    namespace: str
    pool: str
    amount: int  # bytes
    at: int | None


@dataclass(frozen=True, slots=True)
class Consequences:
    """All of it, for one allocation."""

    evictions: tuple[Eviction, ...] = ()
    access: tuple[AccessLoss, ...] = ()
    namespaces: tuple[Leaving, ...] = ()
    data: tuple[LostData, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.evictions or self.access or self.namespaces or self.data)


NONE = Consequences()


@dataclass(frozen=True, slots=True)
class _View:
    """One allocation in one of the two plans; None of the moments: it does not come."""

    standing: Standing
    decision: Decision
    snapshot: Snapshot
    evicts: int | None = field(init=False)
    closes: int | None = field(init=False)  # what members are given beside their role goes
    only_looks: int | None = field(init=False)
    erases: int | None = field(init=False)

    def __post_init__(self) -> None:
        window, terms, now = self.decision.window, self.allocation.terms, self.snapshot.now
        course = self.decision.course
        evicts = closes = only_looks = erases = None
        if course is Course.ERASED:
            evicts = closes = only_looks = erases = now
        elif course in (Course.OPEN, Course.CLOSED) and window is not None:
            evicts, erases = window.drain_at, window.delete_at
            ended = terms.drained(window.end) if window.drain_at is None else window.drain_at
            closes = window.end if course is Course.OPEN else now
            only_looks = now if self.decision.view_only else ended
        for name, at in (("evicts", evicts), ("closes", closes), ("only_looks", only_looks), ("erases", erases)):
            object.__setattr__(self, name, None if at is None or at >= FOREVER else max(at, now))

    @property
    def allocation(self) -> Allocation:
        return self.standing.allocation

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those that it has now."""
        owned = self.snapshot.owned.get(self.allocation.uid, ())
        return tuple(namespace.name for namespace in owned if not namespace.retained)

    @property
    def shares(self) -> dict[str, Amounts]:
        return {share.namespace: share.amounts for share in self.allocation.shares}

    @property
    def members(self) -> dict[MemberKey, MemberRole]:
        """The highest role of each member."""
        found: dict[MemberKey, MemberRole] = {}
        for member in self.allocation.spec.members if self.allocation.spec else ():
            key = member_key(member)
            found[key] = max(member.role, found.get(key, member.role), key=_RANK.__getitem__)
        return found

    @property
    def cluster_roles(self) -> dict[MemberKey, frozenset[str]]:
        """What each member is given beside its role while the grant is in force: of what is asked for the allowed."""
        found: dict[MemberKey, frozenset[str]] = {}
        for member in self.allocation.spec.members if self.allocation.spec else ():
            allowed = self.snapshot.allowed_roles.intersection(member.cluster_roles)
            found[member_key(member)] = found.get(member_key(member), frozenset()) | allowed
        return found

    @property
    def refused(self) -> bool:
        return self.decision.reason in REFUSALS

    @property
    def granted_at(self) -> int | None:
        """When what is asked for is in force; None: nobody can say."""
        if self.decision.met:
            return self.snapshot.now
        return self.decision.queue.earliest if self.decision.queue else None


def consequences(before: tuple[Snapshot, Plan], after: tuple[Snapshot, Plan]) -> dict[str, Consequences]:
    """What the second plan does to those who hold something in the first, by name; nobody else is in it."""
    was = {view.allocation.uid: view for view in _views(*before)}
    found = {
        view.allocation.name: _of(was[view.allocation.uid], view)
        for view in _views(*after)
        if view.allocation.uid in was and not view.allocation.deleting
    }
    return {name: one for name, one in found.items() if one}


def member_key(member: Member) -> MemberKey:
    return str(member.kind), member.namespace or "", member.name


def _views(snapshot: Snapshot, plan: Plan) -> Iterator[_View]:
    for standing in snapshot.standings:
        yield _View(standing, plan.decisions[standing.allocation.name], snapshot)


def _of(was: _View, now: _View) -> Consequences:
    if not was.namespaces:
        return NONE
    left = _left(was, now)
    erased = _sooner(now.erases, was.erases)
    namespaces = [Leaving(name, *_fate(now, name)) for name in left]
    if erased:
        reason = _erase_reason(was, now)
        namespaces += [Leaving(name, Fate.DELETED, now.erases, reason) for name in was.namespaces if name not in left]
    return Consequences(
        evictions=(*_evictions(was, now, left),),
        access=(*_access(was, now, left),),
        namespaces=tuple(namespaces),
        data=tuple(
            LostData(one.name, pool.name, amount, one.at)
            for one in namespaces
            if one.fate is Fate.DELETED
            for pool, amount in sorted(was.standing.used_in.get(one.name, {}).items())
            if pool.kind is PoolKind.STORAGE and amount
        ),
    )


def _left(was: _View, now: _View) -> list[str]:
    """Namespaces that go because nobody asks for them, and would not go without the change, or later, or with data."""
    before = _leaving(was)
    deletes = now.allocation.terms.delete and not was.allocation.terms.delete
    return [name for name, at in _leaving(now).items() if name not in before or deletes or _sooner(at, before[name])]


def _leaving(view: _View) -> dict[str, int | None]:
    """
    Namespaces that an allocation has and does not ask for, and when each goes; None: nobody can say.

    None of one that is refused, or that has nothing in force and asks for nothing: it keeps all until it goes on.
    """
    goes_on = view.decision.course is Course.CLOSED and view.decision.queue is not None
    if view.refused or not (view.decision.course is Course.OPEN or goes_on):
        return {}
    return {name: view.granted_at for name in view.namespaces if name not in view.shares}


def _fate(now: _View, name: str) -> tuple[Fate, int | None, str]:
    fate = Fate.DELETED if now.allocation.terms.delete else Fate.KEPT
    return fate, now.granted_at, f"{name} is not asked for any more"


def _sooner(after: int | None, before: int | None) -> bool:
    return after is not None and (before is None or after < before)


def _evictions(was: _View, now: _View, left: list[str]) -> Iterator[Eviction]:
    for name in left:
        yield Eviction(name, now.granted_at, f"namespace {name} is left")
    staying = [name for name in was.namespaces if name not in left]
    if _sooner(now.evicts, was.evicts):
        reason = _eviction_reason(was, now)
        yield from (Eviction(name, now.evicts, reason) for name in staying)
    if now.decision.course is Course.OPEN and now.allocation.terms.drain and not now.refused:
        yield from _shrunk(was, now, staying)


def _shrunk(was: _View, now: _View, staying: list[str]) -> Iterator[Eviction]:
    """Pods beyond a share that becomes smaller than what is in use."""
    pools = now.snapshot.pools
    granted = now.granted_at
    for name in staying:
        share, former = now.shares.get(name, {}), was.shares.get(name, {})
        beyond = [
            pool
            for pool, amount in devices_in(was.standing.used_in.get(name, {})).items()
            if share.get(pool, 0) < min(amount, former.get(pool, 0))
        ]
        if beyond:
            limits = {pool.limit: 0 for key, pool in pools.items() if key.kind is PoolKind.ACCELERATORS}
            for key, amount in devices_in(share).items():
                if key in pools:
                    limits[pools[key].limit] += amount
            at = None if granted is None else granted + now.allocation.terms.grace
            yield Eviction(name, at, _shrink_reason(now, name, sorted(beyond)), limits)


def _shrink_reason(now: _View, namespace: str, pools: list[PoolKey]) -> str:
    """A share among several may fall although the allocation does not: the devices may have moved to another one."""
    alone = len(now.shares) == 1
    amounts = now.allocation.ask if alone else now.shares.get(namespace, {})
    texts = ", ".join(f"{amounts.get(pool, 0)} of {pool.name}" for pool in pools)
    return f"shrinks to {texts}" if alone else f"in {namespace}: its share falls to {texts}"


def _eviction_reason(was: _View, now: _View) -> str:
    """What makes all pods go, or go sooner."""
    if now.decision.course is Course.ERASED:
        return "data is deleted"
    halt = _halt_reason(was, now)
    if halt:
        return halt
    if now.allocation.terms.drain and not was.allocation.terms.drain:
        return "workload Drain"
    return _end_reason(was, now)


def _halt_reason(was: _View, now: _View) -> str:
    """Why one may not run that may run without the change; empty where nothing halts it."""
    if now.decision.halt is Halt.SUSPEND and was.decision.halt is not Halt.SUSPEND:
        return "suspend"
    if now.decision.halt is Halt.POOL and was.decision.halt is not Halt.POOL:
        return f"{', '.join(pool.name for pool in draining_pools(now.standing, now.snapshot))} is being drained"
    return ""


def _end_reason(was: _View, now: _View) -> str:
    old, new = was.decision.window, now.decision.window
    if old is None or new is None or new.end < old.end:
        return "the window ends sooner" if old is not None and old.end < FOREVER else "the window has an end now"
    return "the grace is shorter" if now.allocation.terms.grace < was.allocation.terms.grace else "the end"


def _erase_reason(was: _View, now: _View) -> str:
    if now.allocation.terms.delete and not was.allocation.terms.delete:
        return "deletionPolicy Delete"
    if now.allocation.terms.retention < was.allocation.terms.retention:
        return "the retention is shorter"
    return _end_reason(was, now)


def _access(was: _View, now: _View, left: list[str]) -> Iterator[AccessLoss]:
    """Who may do less: no longer a member, of a lower role, in a namespace that is left, or only looking sooner."""
    if was.decision.course not in (Course.OPEN, Course.CLOSED):
        return
    present, members = now.snapshot.now, now.members
    for key, role in was.members.items():
        had = MemberRole.VIEW if was.only_looks == present else role
        given = was.cluster_roles[key] if was.decision.course is Course.OPEN else frozenset()
        keeps = members.get(key)
        if keeps is None:
            yield AccessLoss(key, had, None, present, "no longer a member", cluster_roles=in_order(given))
            continue
        if _RANK[keeps] < _RANK[had]:
            yield AccessLoss(key, had, keeps, present, "a lower role")
        kept = in_order(given & now.cluster_roles[key])
        for name in left:
            yield AccessLoss(key, had, None, now.granted_at, f"namespace {name} is left", name, kept)
        yield from _rights(was, now, key, min(had, keeps, key=_RANK.__getitem__), given)


def _rights(was: _View, now: _View, key: MemberKey, role: MemberRole, given: frozenset[str]) -> Iterator[AccessLoss]:
    """
    What one who stays a member may no longer do, beside a lower role.

    ClusterRoles go with the grant, and the role is lowered after the grace: without one it is the same loss.
    """
    present, kept = now.snapshot.now, given & now.cluster_roles[key]
    reason = _halt_reason(was, now) or _end_reason(was, now)
    looks = _sooner(now.only_looks, was.only_looks) and _RANK[role] > _RANK[MemberRole.VIEW]
    closes = _sooner(now.closes, was.closes)
    at_once = closes and now.closes == present
    going = given if at_once else kept if closes else frozenset()
    if given - kept and not at_once:
        yield AccessLoss(key, role, role, present, "no longer given", cluster_roles=in_order(given - kept))
    with_role = looks and now.closes == now.only_looks
    if going and not with_role:
        yield AccessLoss(key, role, role, now.closes, reason, cluster_roles=in_order(going))
    if looks:
        lost = in_order(going) if with_role else ()
        yield AccessLoss(key, role, MemberRole.VIEW, now.only_looks, reason, cluster_roles=lost)


def in_order(roles: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(roles))
