"""What status of a TenantAllocation says: what was promised, is held, and waits. Written by the operator only."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitgoeul.api.fields import ListType
from bitgoeul.api.meta import CONDITIONS_DESCRIPTION, ApiModel, Conditions
from bitgoeul.api.values import ReckonedMoment

Holding = Annotated[str, Field(max_length=32, description="Bytes as a quantity, such as 50Ti.")]


class Holdings(ApiModel):
    """Devices and storage by pool name."""

    accelerators: Annotated[
        dict[str, Annotated[int, Field(ge=0, description="A number of whole devices.")]], Field(max_length=64)
    ] = Field(default={}, description="Whole devices by pool name, such as {a100: 8}. Empty: none.")
    storage: Annotated[dict[str, Holding], Field(max_length=64)] = Field(
        default={}, description="Bytes as quantities by pool name, such as {lustre: 50Ti}. Empty: none."
    )


class Shortage(ApiModel):
    """What is short in one pool right now: devices or size."""

    pool: Annotated[str, Field(max_length=63)] = Field(description="Name of the pool that has too little available.")
    devices: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Devices that are missing now. Absent for a storage pool."
    )
    size: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="Bytes that are missing now, as a quantity. Absent for an accelerator pool."
    )


class Queue(ApiModel):
    """Where a waiting request stands."""

    position: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="1 plus the number of earlier waiting requests that share a pool with this one. Absent while the "
        "request is refused.",
    )
    since: ReckonedMoment = Field(
        description="Since when the request stands in the queue, in UTC and RFC 3339: its age in the order of the "
        "queue. Asking for more while waiting starts it again."
    )
    asked: Holdings = Field(
        description="What was asked for when it joined the queue; asking for more starts since again."
    )
    earliest_start: ReckonedMoment | None = Field(
        default=None,
        description="Earliest start as forecast today, in UTC and RFC 3339: it holds if nobody extends and nobody of "
        "higher priority comes. Absent: there is none, as somebody ahead has no end, or none is known yet.",
    )
    blocked_by: Annotated[tuple[Shortage, ...], ListType("atomic"), Field(max_length=32)] = Field(
        default=(), description="What is short now, one entry for each pool. Empty: nothing is, but somebody is ahead."
    )


class NamespaceState(ApiModel):
    """One namespace that the operator made."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the namespace, as in spec.namespaces.")
    ready: bool = Field(description="True: its quota is enforced and its members have access.")


class ShareState(ApiModel):
    """What one namespace is to hold of the grant, as last decided."""

    name: Annotated[str, Field(max_length=63)] = Field(description="Name of the namespace.")
    uid: Annotated[str, Field(max_length=36)] = Field(
        default="", description="UID of the namespace: a namesake in its place is not the allocation's."
    )
    accelerators: Annotated[
        dict[str, Annotated[int, Field(ge=0, description="A number of whole devices.")]], Field(max_length=16)
    ] = Field(default={}, description="Whole devices that it is to hold, by pool name. Empty: none.")
    storage: Annotated[dict[str, Holding], Field(max_length=16)] = Field(
        default={}, description="Bytes that it is to hold, as quantities by pool name. Empty: none."
    )


class WindowState(ApiModel):
    """The window in absolute times, as promised or started."""

    start: ReckonedMoment | None = Field(
        default=None,
        description="When it started or is promised to start, in UTC and RFC 3339. Absent: neither yet.",
    )
    end: ReckonedMoment | None = Field(
        default=None,
        description="When it ends (exclusive), in UTC and RFC 3339. Absent: open-ended, or a duration whose start is "
        "not known yet.",
    )
    drain_at: ReckonedMoment | None = Field(
        default=None,
        description="When the grace is over: end + grace. Pods that still run are then treated as expiry.workload "
        "says. Absent without an end.",
    )
    data_delete_at: ReckonedMoment | None = Field(
        default=None,
        description="When namespaces and data are deleted: end + grace + retention. Absent without an end, and with "
        "deletionPolicy Retain: then they are not.",
    )


class AllocationSummary(ApiModel):
    """Short texts for the columns of kubectl get."""

    accelerators: Annotated[str, Field(max_length=1024)] = Field(
        default="", description="Devices granted, or asked for while nothing is, in short, such as a100×8,npu×4."
    )
    namespaces: Annotated[str, Field(max_length=16)] = Field(
        default="", description="Namespaces ready out of all, such as 2/2."
    )
    earliest: Annotated[str, Field(max_length=32)] = Field(
        default="",
        description="Earliest start of what waits or is scheduled, in short. Empty: nothing waits, or no start is "
        "known.",
    )
    end: Annotated[str, Field(max_length=32)] = Field(
        default="", description="End of the window, in short. Empty: open-ended, or not known yet."
    )


class TenantAllocationStatus(ApiModel):
    """What the organisation was promised, holds, and waits for."""

    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="The metadata.generation that this status is about. Lower than the object's: the operator has "
        "not seen the newest spec yet.",
    )
    phase: Annotated[str, Field(max_length=63)] | None = Field(
        default=None,
        description="Summary for people: Pending (being decided, provisioned or taken down, or its pool is on hold), "
        "Waiting (no capacity yet), Scheduled (promised for a start ahead), Active (enforced, with access), Expiring "
        "(from the first notice until drained), Suspended (nothing runs, data stays), Expired (window over, data "
        "kept), Reclaimed (window over, data deleted) or Refused (cannot work as written). Programs read the "
        "conditions. Absent: not yet seen.",
    )
    window: WindowState | None = Field(
        default=None,
        description="The window in absolute times; once promised or started it stays as it is, through downtime and "
        "slips. Absent: no time is settled yet.",
    )
    grant: Holdings | None = Field(
        default=None,
        description="What is promised now; it is charged to the pools. Absent: nothing is promised.",
    )
    promised: Holdings | None = Field(
        default=None,
        description="What is promised for status.window.start, which lies ahead; it is charged from then on. Absent: "
        "nothing.",
    )
    in_use: Holdings | None = Field(
        default=None,
        description="What pods and volume claims in the namespaces hold now. Absent: nothing was provisioned yet.",
    )
    excess_drain_at: ReckonedMoment | None = Field(
        default=None,
        description="When pods beyond what is asked for are evicted, the youngest first: the grace after a shrink, or "
        "after shares moved between namespaces. Absent: nothing is beyond it, or workload is Keep.",
    )
    excess: Holdings | None = Field(
        default=None,
        description="What is in use beyond what is asked for, after a shrink; with workload Drain it is evicted after "
        "the grace. Absent: nothing.",
    )
    reclaimed: bool = Field(
        default=False,
        description="True: namespaces and data were deleted after the end of the window, as deletionPolicy Delete "
        "said. False or absent: they were not.",
    )
    drain_started_at: ReckonedMoment | None = Field(
        default=None,
        description="When the operator began to take devices back: after the grace of an end, of a suspension or of a "
        "shrink, or at the deletion; written before the first pod is sent off. By the operator's clock, so that a time "
        "in which no operator ran does not count. It stays after they are back. Absent: that time has not come, or the "
        "allocation goes on.",
    )
    data_delete_started_at: ReckonedMoment | None = Field(
        default=None,
        description="When the operator began to delete namespaces and data after the end; written before the first is "
        "deleted. By the operator's clock. Absent: it has not begun, or all is deleted.",
    )
    queue: Queue | None = Field(
        default=None, description="Where the request stands in the queue. Absent: nothing is waiting."
    )
    namespaces: Annotated[tuple[NamespaceState, ...], ListType("map", "name"), Field(max_length=64)] = Field(
        default=(), description="Namespaces that the operator made, and whether each is ready. At most 64."
    )
    shares: Annotated[tuple[ShareState, ...], ListType("map", "name"), Field(max_length=64)] = Field(
        default=(),
        description="What each namespace is to hold, by the last spec that was granted; it stays in force while a "
        "change waits. At most 64.",
    )
    summary: AllocationSummary = Field(
        default=AllocationSummary(),
        description="Short texts for the columns of kubectl get; programs read the other fields.",
    )
    conditions: Conditions = Field(default=(), description=CONDITIONS_DESCRIPTION)
