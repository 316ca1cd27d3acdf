"""Figures of allocations: what each asks for, is granted and uses; its conditions, place in the queue and dates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from bitgoeul.api.conditions import ConditionType
from bitgoeul.api.pod_security import DEFAULT_LEVEL, PodSecurityLevel
from bitgoeul.api.tenant_allocation import OrganizationClass
from bitgoeul.desired.role_bindings import given_roles, within
from bitgoeul.metrics.exposition import Row
from bitgoeul.metrics.state import CONDITION_MEANING, STATUSES, Source, State, conditions_of, gauge
from bitgoeul.planning.allocations import Amounts
from bitgoeul.planning.decisions import Decision, Window
from bitgoeul.planning.moments import FOREVER
from bitgoeul.planning.pools import PoolKind
from bitgoeul.planning.snapshot import Standing

AMOUNTS: Mapping[str, Callable[[Standing, Decision], Amounts]] = {
    "requested": lambda standing, decision: standing.allocation.ask,
    "granted": lambda standing, decision: decision.grant,
    "in_use": lambda standing, decision: standing.in_use,
}
DEVICE_MEANINGS = {
    "requested": "Devices of the pool that the allocation asks for.",
    "granted": "Devices of the pool promised to the allocation, whether it uses them or not; more than requested until "
    "a shrink has taken effect.",
    "in_use": "Devices of the pool that the allocation's pods hold, as its quotas count them: also those of pods that "
    "are not scheduled yet; and those of pods past their deletion time, which quotas do not count.",
}
BYTE_MEANINGS = {
    "requested": "Bytes of the storage pool that the allocation asks for.",
    "granted": "Bytes of the storage pool promised to the allocation, whether it uses them or not; more than requested "
    "until a shrink has taken effect.",
    "in_use": "Bytes of the storage pool that the allocation's volume claims ask for, as its quotas count them.",
}
TYPES = (
    ConditionType.ADMITTED,
    ConditionType.PROVISIONED,
    ConditionType.READY,
    ConditionType.RECONCILING,
    ConditionType.STALLED,
    ConditionType.WITHIN_GRANT,
    ConditionType.EXPIRING,
    ConditionType.SUSPENDED,
    ConditionType.POD_SECURITY_RELAXED,
    ConditionType.PODS_PENDING,
)


def info_rows(state: State) -> Iterator[Row]:
    """Who is behind each allocation; all but the name is empty where the spec cannot be read."""
    for standing, _ in state.decided():
        allocation = standing.allocation
        organization = allocation.spec.organization if allocation.spec else None
        who = (
            (organization.name, organization.class_, organization.sector or "", organization.region or "")
            if organization
            else ("", "", "", "")
        )
        yield (allocation.name, *who, str(allocation.priority)), 1


def pod_security_rows(state: State) -> Iterator[Row]:
    """The level of each that is in force at another level than the default."""
    for standing, decision in state.decided():
        allocation = standing.allocation
        if decision.admitted and not allocation.deleting and allocation.pod_security is not DEFAULT_LEVEL:
            asked = allocation.spec.pod_security if allocation.spec else None
            yield (allocation.name, str(allocation.pod_security), (asked.reason if asked else None) or ""), 1


def given_role_rows(state: State) -> Iterator[Row]:
    """How many members of each that is in force have a ClusterRole beside their role."""
    for standing, decision in state.decided():
        allocation = standing.allocation
        if not decision.admitted or allocation.deleting or allocation.spec is None:
            continue
        members = within(allocation.spec.members, state.snapshot.allowed_roles)
        for role in sorted(given_roles(members)):
            yield (allocation.name, role), sum(role in member.cluster_roles for member in members)


def amount_rows(state: State, kind: PoolKind, read: Callable[[Standing, Decision], Amounts]) -> Iterator[Row]:
    """One amount for each pool that an allocation has anything to do with; 0 is shown as well."""
    for standing, decision in state.decided():
        amounts = read(standing, decision)
        for key in {**standing.allocation.ask, **decision.grant, **standing.in_use}:
            if key.kind is kind:
                pool = state.snapshot.pools.get(key)
                yield (standing.allocation.name, key.name, pool.limit if pool else ""), amounts.get(key, 0)


def excess_rows(state: State, kind: PoolKind) -> Iterator[Row]:
    """What each that is in force uses beyond what it asks for, where that can be read."""
    for standing, decision in state.decided():
        if not decision.admitted or standing.allocation.problem:
            continue
        for key, used in standing.in_use.items():
            beyond = used - standing.allocation.ask.get(key, 0)
            if key.kind is kind and beyond > 0:
                pool = state.snapshot.pools.get(key)
                yield (standing.allocation.name, key.name, pool.limit if pool else ""), beyond


def condition_rows(state: State) -> Iterator[Row]:
    """The conditions of each allocation as they are written."""
    for standing in state.snapshot.standings:
        name = standing.allocation.name
        for condition in conditions_of(state.statuses.get(name, {})):
            yield (name, *condition), 1


def pending_rows(state: State) -> Iterator[Row]:
    """How many pods no node takes, of each that is in force and has such."""
    pending = state.snapshot.pending or {}
    for standing, decision in state.decided():
        found = pending.get(standing.allocation.uid)
        if found is not None and decision.admitted:
            yield (standing.allocation.name,), found.pods


def namespace_rows(state: State) -> Iterator[Row]:
    """How many namespaces each has."""
    for standing in state.snapshot.standings:
        yield (standing.allocation.name,), len(state.snapshot.owned.get(standing.allocation.uid, ()))


def position_rows(state: State) -> Iterator[Row]:
    """The place of each that waits."""
    for standing, decision in state.decided():
        if decision.queue is not None and decision.queue.position is not None:
            yield (standing.allocation.name,), decision.queue.position


def queued_rows(state: State) -> Iterator[Row]:
    """Since when each waits."""
    for standing, decision in state.decided():
        if decision.queue is not None and decision.queue.position is not None:
            yield (standing.allocation.name,), decision.queue.since.timestamp()


def earliest_rows(state: State) -> Iterator[Row]:
    """When each that waits is forecast to start."""
    for standing, decision in state.decided():
        if decision.queue is not None and decision.queue.earliest is not None:
            yield (standing.allocation.name,), decision.queue.earliest / 1000


def window_rows(state: State, read: Callable[[Window], int | None]) -> Iterator[Row]:
    """One moment of the window of each that has one."""
    for standing, decision in state.decided():
        at = read(decision.window) if decision.window is not None else None
        if at is not None and at < FOREVER:
            yield (standing.allocation.name,), at / 1000


def amounts(kind: PoolKind, meanings: Mapping[str, str], suffix: str, labels: tuple[str, ...]) -> list[Source]:
    """A family for each amount, in devices or bytes."""
    return [
        gauge(
            f"bitgoeul_allocation_{word}_{suffix}",
            labels,
            meanings[word],
            partial(amount_rows, kind=kind, read=read),
            unit=suffix.rpartition("_")[2],
        )
        for word, read in AMOUNTS.items()
    ]


ALLOCATION_SOURCES = (
    gauge(
        "bitgoeul_allocation_info",
        ("allocation", "organization", "class", "sector", "region", "priority"),
        "Always 1; the labels say who is behind the allocation. What its spec does not say is empty.",
        info_rows,
        values={"class": tuple(OrganizationClass)},
    ),
    *amounts(PoolKind.ACCELERATORS, DEVICE_MEANINGS, "devices", ("allocation", "pool", "resource")),
    *amounts(PoolKind.STORAGE, BYTE_MEANINGS, "storage_bytes", ("allocation", "pool", "storage_class")),
    gauge(
        "bitgoeul_allocation_excess_devices",
        ("allocation", "pool", "resource"),
        "Devices in use beyond what the allocation asks for, after a shrink. Absent: none.",
        partial(excess_rows, kind=PoolKind.ACCELERATORS),
        unit="devices",
    ),
    gauge(
        "bitgoeul_allocation_excess_storage_bytes",
        ("allocation", "pool", "storage_class"),
        "Bytes in use beyond what the allocation asks for. Absent: none.",
        partial(excess_rows, kind=PoolKind.STORAGE),
        unit="bytes",
    ),
    gauge(
        "bitgoeul_allocation_condition",
        ("allocation", "type", "status", "reason"),
        CONDITION_MEANING,
        condition_rows,
        values={"type": TYPES, "status": STATUSES},
    ),
    gauge(
        "bitgoeul_allocation_pod_security_info",
        ("allocation", "level", "reason"),
        f"Always 1; the labels say at which pod security level the allocation's namespaces are while its grant is in "
        f"force, and why. Absent: at the default, {DEFAULT_LEVEL}.",
        pod_security_rows,
        values={"level": tuple(PodSecurityLevel)},
    ),
    gauge(
        "bitgoeul_allocation_pending_pods",
        ("allocation",),
        "Pods of the allocation that have been Pending for 10 minutes because no node takes them; pods that are held "
        "back by scheduling gates are not counted. Looked at once a minute. Absent: none.",
        pending_rows,
        unit="pods",
    ),
    gauge(
        "bitgoeul_allocation_cluster_role_members",
        ("allocation", "cluster_role"),
        "Members of the allocation that have a ClusterRole beside their role, while the grant is in force. Absent: "
        "none.",
        given_role_rows,
        unit="members",
    ),
    gauge(
        "bitgoeul_allocation_namespaces",
        ("allocation",),
        "Namespaces that belong to the allocation, also those that are closed or being deleted.",
        namespace_rows,
        unit="namespaces",
    ),
    gauge(
        "bitgoeul_allocation_queue_position",
        ("allocation",),
        "Place in the queue: 1 and the number of earlier waiters that share any pool. Absent: nothing waits.",
        position_rows,
    ),
    gauge(
        "bitgoeul_allocation_queued_timestamp_seconds",
        ("allocation",),
        "Since when what waits counts in the order of the queue, in seconds since 1970: one that was suspended, and "
        "asks again, keeps its age. Absent: nothing waits.",
        queued_rows,
        unit="seconds",
    ),
    gauge(
        "bitgoeul_allocation_earliest_start_timestamp_seconds",
        ("allocation",),
        "When what waits can start as forecast today, in seconds since 1970; it holds if nobody extends and nobody of "
        "higher priority comes. Absent: nothing waits, or nobody can say.",
        earliest_rows,
        unit="seconds",
    ),
    gauge(
        "bitgoeul_allocation_start_timestamp_seconds",
        ("allocation",),
        "When the allocation started or is promised to start, in seconds since 1970. Absent: neither yet.",
        partial(window_rows, read=lambda window: window.start),
        unit="seconds",
    ),
    gauge(
        "bitgoeul_allocation_expiry_timestamp_seconds",
        ("allocation",),
        "When what was granted or promised ends, in seconds since 1970; the end does not go away when it has passed. "
        "Absent: open-ended, or neither granted nor promised yet.",
        partial(window_rows, read=lambda window: window.end),
        unit="seconds",
    ),
    gauge(
        "bitgoeul_allocation_drain_timestamp_seconds",
        ("allocation",),
        "When pods that still run are evicted, in seconds since 1970: at the end or at a suspension, and the grace. "
        "Absent: there is no end, or they are left to end by themselves.",
        partial(window_rows, read=lambda window: window.drain_at),
        unit="seconds",
    ),
    gauge(
        "bitgoeul_allocation_data_delete_timestamp_seconds",
        ("allocation",),
        "When namespaces and data are deleted, in seconds since 1970. Absent: there is no end, or deletionPolicy keeps "
        "them.",
        partial(window_rows, read=lambda window: window.delete_at),
        unit="seconds",
    ),
)
