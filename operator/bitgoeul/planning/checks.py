"""
Reasons why an allocation cannot work as written: an ordered chain of pure checks, the first that speaks is shown.

A check looks at one allocation beside the snapshot and gives a refusal or nothing. Capacity that is only short is not
a refusal; see ``plan``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bitgoeul.api.conditions import Reason
from bitgoeul.api.quantities import format_brief, format_bytes
from bitgoeul.planning.allocations import Amounts, Share, total
from bitgoeul.planning.observed import NamespaceView
from bitgoeul.planning.pools import Pool, PoolKey, PoolKind
from bitgoeul.planning.snapshot import Snapshot, Standing


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing will happen until somebody changes something; the message says what."""

    reason: Reason
    message: str


Check = Callable[[Standing, Snapshot], Refusal | None]


def refusal(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """The first refusal in order of precedence, or None."""
    for check in CHECKS:
        found = check(standing, snapshot)
        if found is not None:
            return found
    return None


def amount_text(pool: PoolKey, amount: int) -> str:
    """An amount as people write it: devices as a number, bytes as a quantity."""
    return str(amount) if pool.kind is PoolKind.ACCELERATORS else format_bytes(amount)


def free_text(pool: PoolKey, amount: int) -> str:
    """What is free, as people read it: bytes in short and rounded down, so that so much can be asked for."""
    return str(amount) if pool.kind is PoolKind.ACCELERATORS else format_brief(amount, down=True)


def readable(standing: Standing, _: Snapshot) -> Refusal | None:
    """The object could be read at all."""
    problem = standing.allocation.problem
    return misconfigured(f"the object cannot be read: {problem}") if problem else None


def shares_fit(standing: Standing, _: Snapshot) -> Refusal | None:
    """Shares add up to at most the grant, to the byte; the API server's own check is approximate above 9 PB."""
    allocation = standing.allocation
    if len(allocation.shares) == 1 and allocation.shares[0].amounts is allocation.ask:
        return None  # the usual case: one namespace has it all
    for pool, shared in total(share.amounts for share in allocation.shares).items():
        ask = allocation.ask.get(pool, 0)
        if shared > ask:
            shares, asked = amount_text(pool, shared), amount_text(pool, ask)
            return misconfigured(f"shares of {pool.name} add up to {shares}, more than the {asked} asked for")
    return None


def claims_fit(standing: Standing, _: Snapshot) -> Refusal | None:
    """Claims are at most the share of their namespace, to the byte: the quota there would refuse the rest for ever."""
    if not standing.allocation.claimed:
        return None
    shares = {share.namespace: share.amounts for share in standing.allocation.shares}
    for claims in standing.allocation.claimed:
        found = claims_exceed(claims, shares.get(claims.namespace))
        if found is not None:
            return found
    return None


def claims_exceed(claims: Share, share: Amounts | None) -> Refusal | None:
    """Compare the claims of one namespace with its share; None: the allocation does not name it."""
    if share is None:
        return misconfigured(f"claims are meant for namespace {claims.namespace}, which spec.namespaces does not name")
    for pool, claimed in claims.amounts.items():
        if claimed > share.get(pool, 0):
            claims_text, share_text = format_bytes(claimed), format_bytes(share.get(pool, 0))
            return misconfigured(
                f"claims of {pool.name} in namespace {claims.namespace} add up to {claims_text}, more than the "
                f"{share_text} that it has"
            )
    return None


def inheritance_fits(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """``restoreFrom`` names data that is there, and each namespace's share holds what is kept in it."""
    allocation = standing.allocation
    if not allocation.restore_from or standing.housed or standing.charged:
        return None
    return legacy_found(standing, snapshot) or legacy_fits(standing)


def legacy_found(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """The former allocation is gone, and a namespace asked for is kept under its UID."""
    allocation = standing.allocation
    uid = allocation.restore_from
    owned = snapshot.owned.get(uid, ())
    kept = [namespace.name for namespace in owned if namespace.retained]
    if uid in snapshot.live or (owned and not kept):
        return misconfigured(f"restoreFrom {uid} is not deleted yet; what it keeps can be taken over afterwards")
    if not kept:
        return misconfigured(
            f"restoreFrom {uid}: no namespace is retained under this UID; leave it out to start afresh"
        )
    if not any(share.namespace in kept for share in allocation.shares):
        names = ", ".join(kept)
        return misconfigured(f"restoreFrom {uid} keeps its data in {names}: name these under spec.namespaces")
    return None


def legacy_fits(standing: Standing) -> Refusal | None:
    """No namespace that is taken over keeps more storage than its share."""
    shares = {share.namespace: share.amounts for share in standing.allocation.shares}
    for name, held in sorted(standing.left_in.items()):
        for pool, amount in sorted(held.items()):
            share = shares[name].get(pool, 0)
            if pool.kind is PoolKind.STORAGE and amount > share:
                kept, asked = format_bytes(amount), format_bytes(share)
                return misconfigured(
                    f"namespace {name} keeps {kept} of {pool.name}, more than the {asked} asked for it; "
                    f"ask for at least what is kept"
                )
    return None


def roles_are_allowed(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """Each ClusterRole that a member is to have is one of those that the platform engineer allows."""
    spec = standing.allocation.spec
    wanted = {role for member in spec.members for role in member.cluster_roles} if spec else set()
    refused = sorted(wanted - snapshot.allowed_roles)
    if not refused:
        return None
    allowed = ", ".join(sorted(snapshot.allowed_roles)) or "none"
    return Refusal(
        Reason.ROLE_NOT_ALLOWED,
        f"not allowed for members: ClusterRole {', '.join(refused)} (allowed: {allowed}); leave it out of "
        "spec.members, or allow it to the operator with --allowed-cluster-role (chart value "
        "members.allowedClusterRoles)",
    )


def misconfigured(message: str) -> Refusal:
    return Refusal(Reason.MISCONFIGURED, message)


def pools_exist(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """Every pool asked for exists; one that is being deleted, or cannot be read, grants no more than it has."""
    ask = standing.allocation.ask
    if snapshot.flawed.isdisjoint(ask) and ask.keys() <= snapshot.pools.keys():
        return None
    for key, amount in ask.items():
        pool = snapshot.pools.get(key)
        kind = "AcceleratorPool" if key.kind is PoolKind.ACCELERATORS else "StoragePool"
        if pool is None:
            return Refusal(Reason.POOL_NOT_FOUND, f"there is no {kind} {key.name}")
        if amount <= standing.charged.get(key, 0):
            continue
        if pool.leaving:
            continue
        if pool.deleting:
            return Refusal(Reason.POOL_NOT_FOUND, f"{kind} {key.name} is being deleted and grants nothing new")
        if pool.problem:
            return Refusal(Reason.POOL_NOT_FOUND, f"{kind} {key.name} cannot be read: {pool.problem}")
    return None


def namespaces_are_free(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """Each namespace is absent, ours, or retained under the UID that ``restoreFrom`` names."""
    allocation = standing.allocation
    for share in allocation.shares:
        name = share.namespace
        existing = snapshot.namespaces.get(name)
        if existing is not None and existing.allocation_uid != allocation.uid:
            obstacle = obstacle_in(existing, allocation.restore_from, snapshot)
            if obstacle:
                return conflict(obstacle)
        if snapshot.claimants.get(name) != allocation.uid:
            return conflict(f"namespace {name} was asked for by another allocation before; choose another name")
    return None


def obstacle_in(existing: NamespaceView, restore_from: str, snapshot: Snapshot) -> str:
    """Why a namespace that is not the allocation's own cannot be had; empty when it may be taken over."""
    name, uid = existing.name, existing.allocation_uid
    if not uid:
        return f"namespace {name} exists and is not managed by bitgoeul; choose another name or remove it"
    if not existing.retained or uid in snapshot.live:
        return f"namespace {name} belongs to another allocation; choose another name"
    if uid != restore_from:
        return (
            f"namespace {name} keeps the data of a deleted allocation with UID {uid}; create this one with "
            f"restoreFrom: {uid} to take it over, or choose another name"
        )
    return ""


def conflict(message: str) -> Refusal:
    return Refusal(Reason.NAMESPACE_CONFLICT, message)


def classes_differ(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """No storage pool asked for shares its class with an older one."""
    for key in snapshot.flawed.intersection(standing.allocation.ask):
        pool = snapshot.pools[key]
        if pool.shadowed_by:
            return collision(
                f"{key.name} has the storage class {pool.limit} of the older StoragePool {pool.shadowed_by}; "
                f"ask for that"
            )
    return None


def resources_differ(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """In each namespace at most one pool per resource name: a quota cannot tell two apart."""
    ask = standing.allocation.ask
    if not standing.used_in and (len(ask) < 2 or len({snapshot.pools[key].limit for key in ask}) == len(ask)):
        return None
    for share in standing.allocation.shares:
        there: dict[str, Pool] = {}
        for key, amount in share.amounts.items():
            if not amount:
                continue
            pool = snapshot.pools[key]
            other = there.setdefault(pool.limit, pool)
            if other is not pool:
                return collision(
                    f"{other.key.name} and {key.name} are both {pool.limit}, which one namespace cannot tell apart; "
                    f"give them to two namespaces under spec.namespaces"
                )
        for key, amount in sorted(standing.used_in.get(share.namespace, {}).items()):
            used = snapshot.pools[key]
            wanted = there.get(used.limit, used)
            if wanted is not used:
                return collision(
                    f"{amount_text(key, amount)} of {key.name} are in use in namespace {share.namespace}, and "
                    f"{wanted.key.name} is {used.limit} too; stop those pods first, or add a second namespace for it"
                )
    return None


def collision(message: str) -> Refusal:
    return Refusal(Reason.RESOURCE_NAME_COLLISION, message)


def can_ever_fit(standing: Standing, snapshot: Snapshot) -> Refusal | None:
    """No more is asked than the pool, now or in any stage, could give; a bare pool makes wait, it does not refuse."""
    for key, amount in standing.allocation.ask.items():
        pool = snapshot.pools[key]
        most = pool.attainable
        if amount <= most:
            continue
        given = max(standing.charged.get(key, 0), (standing.allocation.promised or {}).get(key, 0))
        if amount > given and not pool.bare:
            reserve = f" ({amount_text(key, pool.largest)} less the reserve)" if most < pool.largest else ""
            return Refusal(
                Reason.EXCEEDS_POOL_CAPACITY,
                f"needs {amount_text(key, amount)} of {key.name}, which can never give more than "
                f"{amount_text(key, most)}{reserve}; ask for at most that",
            )
    return None


# In order of precedence; later checks rely on what earlier ones have made sure of.
CHECKS: tuple[Check, ...] = (
    readable,
    shares_fit,
    claims_fit,
    inheritance_fits,
    roles_are_allowed,
    pools_exist,
    namespaces_are_free,
    classes_differ,
    resources_differ,
    can_ever_fit,
)
