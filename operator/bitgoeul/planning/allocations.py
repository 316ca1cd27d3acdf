"""
What one TenantAllocation asks for and holds, in the amounts that planning reckons with.

Takes the object as the API server returns it. A spec that the models cannot read (a schema older or newer than this
program) becomes an allocation with a ``problem`` and nothing asked: it is refused by name, and disturbs nobody else. A
part of the status that cannot be read counts as absent: quotas tell what is held, and the next status replaces it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from bitgoeul.api import ObjectMeta
from bitgoeul.api.conditions import ConditionType
from bitgoeul.api.names import FINALIZER
from bitgoeul.api.pod_security import DEFAULT_LEVEL, PodSecurityLevel
from bitgoeul.api.quantities import parse_bytes
from bitgoeul.api.tenant_allocation import TenantAllocationSpec
from bitgoeul.api.tenant_allocation_status import Holdings, Queue, ShareState
from bitgoeul.errors import QuantityError
from bitgoeul.planning.moments import EPOCH
from bitgoeul.planning.pools import PoolKey, PoolKind, accelerator, storage
from bitgoeul.planning.terms import NO_TERMS, Recorded, Terms, read_moment, read_recorded, read_terms

Amounts = Mapping[PoolKey, int]  # devices or bytes; a pool that is absent has 0


@dataclass(frozen=True, slots=True)
class Share:
    """What one namespace gets of the grant."""

    namespace: str
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Allocation:
    """One TenantAllocation, read once when it arrives."""

    name: str
    uid: str
    generation: int
    created: datetime
    deleting: bool = False
    guarded: bool = False  # carries our finalizer
    priority: int = 100
    ask: Amounts = field(default_factory=dict)  # in the order of the pools
    granted: Amounts = field(default_factory=dict)  # status.grant
    queued_since: datetime | None = None  # None: not waiting when status was last written
    queued_ask: Amounts = field(default_factory=dict)
    shares: tuple[Share, ...] = ()
    # What status remembers of the namespaces: their shares by the last spec that was met, and their UIDs.
    placed: Mapping[str, Amounts] = field(default_factory=dict)
    place_uids: Mapping[str, str] = field(default_factory=dict)
    claimed: tuple[Share, ...] = ()  # what the claims of each namespace take out of its share
    spec: TenantAllocationSpec | None = None  # None: could not be read, see ``problem``
    problem: str = ""
    terms: Terms = NO_TERMS
    # What status says was decided about time.
    recorded: Recorded | None = None
    promised: Amounts | None = None  # for a start ahead; None: no start is promised
    admitted: bool | None = None  # whether it was in force; None: status does not say
    suspended: bool = False
    reclaimed: bool = False  # its data was deleted after the end
    excess: Amounts = field(default_factory=dict)  # held beyond what is asked for
    excess_drain_at: int | None = None  # when pods beyond it go; None: none are
    # Since when what is due is taken back, so that time in which nobody did is not counted; None: not begun.
    drain_started: int | None = None
    delete_started: int | None = None

    @property
    def restore_from(self) -> str:
        return self.spec.restore_from if self.spec else ""

    @property
    def pod_security(self) -> PodSecurityLevel:
        return self.spec.pod_security.level if self.spec and self.spec.pod_security else DEFAULT_LEVEL

    @property
    def organization(self) -> str:
        return self.spec.organization.name if self.spec else ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the spec says; nothing but a ``problem`` when it cannot be read."""

    spec: TenantAllocationSpec | None = None
    ask: Amounts = field(default_factory=dict)
    shares: tuple[Share, ...] = ()
    claimed: tuple[Share, ...] = ()
    terms: Terms = NO_TERMS
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """What status.shares remembers, by namespace."""

    shares: Mapping[str, Amounts] = field(default_factory=dict)
    uids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What status.queue remembers of the wait."""

    since: datetime
    asked: Amounts


def read_allocation(obj: Mapping[str, Any]) -> Allocation:
    """Reduce a TenantAllocation; never raises on its content."""
    meta = read_metadata(obj.get("metadata") or {})
    wish = read_wish(obj.get("spec"), meta.name)
    status = obj.get("status") or {}
    waiting = read_queue(status.get("queue"))
    places = read_places(status.get("shares"))
    said = read_conditions(status.get("conditions"))
    return Allocation(
        name=meta.name,
        uid=meta.uid,
        generation=meta.generation,
        created=in_utc(meta.creation_timestamp or EPOCH),
        deleting=meta.deletion_timestamp is not None,
        guarded=FINALIZER in meta.finalizers,
        priority=wish.spec.priority if wish.spec else 100,
        ask=wish.ask,
        granted=read_grant(status.get("grant")),
        queued_since=waiting.since if waiting else None,
        queued_ask=waiting.asked if waiting else {},
        shares=wish.shares,
        claimed=wish.claimed,
        placed=places.shares,
        place_uids=places.uids,
        spec=wish.spec,
        problem=wish.problem,
        terms=wish.terms,
        recorded=read_recorded(status.get("window")),
        promised=read_grant(status["promised"]) if isinstance(status.get("promised"), Mapping) else None,
        admitted=said.get(ConditionType.ADMITTED),
        suspended=said.get(ConditionType.SUSPENDED, False),
        reclaimed=status.get("reclaimed") is True,
        excess=read_grant(status.get("excess")),
        excess_drain_at=read_moment(status.get("excessDrainAt")),
        drain_started=read_moment(status.get("drainStartedAt")),
        delete_started=read_moment(status.get("dataDeleteStartedAt")),
    )


def read_conditions(raw: object) -> dict[str, bool]:
    """Conditions of a status by type, as far as they can be read."""
    rows = [row for row in raw if isinstance(row, Mapping)] if isinstance(raw, list) else []
    return {str(row.get("type")): row.get("status") == "True" for row in rows}


def read_metadata(metadata: Mapping[str, Any]) -> ObjectMeta:
    """The metadata, of which the API server makes sure; whatever is odd in it, the object keeps its name."""
    try:
        return ObjectMeta.model_validate(metadata)
    except ValidationError:
        return ObjectMeta(name=str(metadata.get("name", "")), uid=str(metadata.get("uid", "")))


def read_wish(raw: object, name: str) -> Wish:
    """The spec of the allocation of this name, in amounts, or the first thing that is wrong with it."""
    try:
        spec = TenantAllocationSpec.model_validate(raw)
        ask = asked(spec)
        return Wish(spec, ask, split(spec, ask, name), claimed(spec, name), read_terms(spec))
    except (ValidationError, QuantityError) as error:
        return Wish(problem=describe(error))


def read_grant(raw: object) -> dict[PoolKey, int]:
    """What status.grant promises; nothing where it is absent or cannot be read."""
    try:
        return amounts_of(Holdings.model_validate(raw))
    except (ValidationError, QuantityError):
        return {}


def read_places(raw: object) -> Places:
    """What status.shares remembers; nothing where it cannot be read."""
    try:
        rows = [ShareState.model_validate(row) for row in raw] if isinstance(raw, list) else []
        shares = {row.name: amounts_of(Holdings(accelerators=row.accelerators, storage=row.storage)) for row in rows}
        return Places(shares, {row.name: row.uid for row in rows})
    except (ValidationError, QuantityError):
        return Places()


def read_queue(raw: object) -> Waiting | None:
    """What status.queue remembers; None: not waiting, or nothing that can be read."""
    try:
        queue = Queue.model_validate(raw)
        return Waiting(in_utc(queue.since), amounts_of(queue.asked))
    except (ValidationError, QuantityError):
        return None


def in_utc(moment: datetime) -> datetime:
    """The moment in UTC, so that all can be compared and are written alike; without a zone it is taken as UTC."""
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def describe(error: ValidationError | QuantityError) -> str:
    """The first thing that is wrong, with the path of its field."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return ".".join(("spec", *(str(part) for part in first["loc"]))) + f": {first['msg']}"
    return str(error)


def size_of(text: str) -> int:
    """
    A size in whole bytes.

    Raises:
        QuantityError: The text is not a quantity, or less than nothing.
    """
    size = parse_bytes(text)
    if size < 0:
        raise QuantityError(f"less than nothing: {text!r}; write a size such as 500Gi")
    return size


def asked(spec: TenantAllocationSpec) -> dict[PoolKey, int]:
    """The whole ask, devices and bytes by pool, in the order of the pools."""
    ask = {accelerator(request.pool): request.devices for request in spec.accelerators}
    ask.update({storage(request.pool): size_of(request.size) for request in spec.storage})
    return dict(sorted(ask.items()))


def amounts_of(holdings: Holdings) -> dict[PoolKey, int]:
    """Holdings of a status as amounts."""
    return by_pool(holdings.accelerators, holdings.storage)


def by_pool(devices: Mapping[str, int], sizes: Mapping[str, str]) -> dict[PoolKey, int]:
    """Devices and sizes by pool name as amounts."""
    result = {accelerator(pool): amount for pool, amount in devices.items()}
    result.update({storage(pool): size_of(size) for pool, size in sizes.items()})
    return result


def split(spec: TenantAllocationSpec, ask: Amounts, allocation: str) -> tuple[Share, ...]:
    """
    Divide the ask among the namespaces.

    Without namespaces, one of the allocation's name has all. A pool that no entry mentions goes wholly to the first;
    otherwise an omitted share is 0, and what is left over stays unassigned.
    """
    if not spec.namespaces:
        return (Share(allocation, ask),)
    stated = [by_pool(entry.accelerators, entry.storage) for entry in spec.namespaces]
    mentioned = {pool for entry in stated for pool in entry}
    for pool, amount in ask.items():
        if pool not in mentioned:
            stated[0][pool] = amount
    return tuple(Share(entry.name, amounts) for entry, amounts in zip(spec.namespaces, stated, strict=True))


def claimed(spec: TenantAllocationSpec, allocation: str) -> tuple[Share, ...]:
    """What the claims take in each namespace that has any; those that name none are in the first."""
    first = spec.namespaces[0].name if spec.namespaces else allocation
    totals: dict[str, dict[PoolKey, int]] = {}
    for request in spec.storage:
        pool = storage(request.pool)
        for claim in request.claims:
            place = totals.setdefault(claim.namespace or first, {})
            place[pool] = place.get(pool, 0) + size_of(claim.size)
    return tuple(Share(namespace, amounts) for namespace, amounts in sorted(totals.items()))


def devices_in(amounts: Amounts) -> dict[PoolKey, int]:
    """Return the devices among amounts; pools with 0 are left out."""
    return {pool: amount for pool, amount in amounts.items() if pool.kind is PoolKind.ACCELERATORS and amount}


def total(holdings: Iterable[Amounts]) -> dict[PoolKey, int]:
    """All amounts together, pool by pool."""
    result: dict[PoolKey, int] = {}
    for amounts in holdings:
        for pool, amount in amounts.items():
            result[pool] = result.get(pool, 0) + amount
    return result


def at_least(left: Amounts, right: Amounts) -> dict[PoolKey, int]:
    """The larger of both, pool by pool; pools with 0 are left out."""
    result = {pool: amount for pool, amount in left.items() if amount}
    for pool, amount in right.items():
        if amount > result.get(pool, 0):
            result[pool] = amount
    return result
