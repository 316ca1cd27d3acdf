"""TenantAllocation: what one organisation asks for, and what it was promised."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from bitgoeul.api import allocation_rules
from bitgoeul.api.fields import ListType
from bitgoeul.api.meta import CONDITIONS_DESCRIPTION, ApiModel, Conditions, ObjectMeta
from bitgoeul.api.values import (
    MAX_DEVICES,
    ClaimName,
    Cpu,
    DeviceCount,
    DisplayText,
    Duration,
    DurationOrZero,
    GraceDuration,
    Moment,
    NamespaceName,
    PoolName,
    ReckonedMoment,
    Size,
    SizeOrZero,
)


class OrganizationClass(StrEnum):
    """What kind of organisation a tenant is."""

    STARTUP = "Startup"
    SME = "SME"
    ENTERPRISE = "Enterprise"
    UNIVERSITY = "University"
    RESEARCH_INSTITUTE = "ResearchInstitute"
    PUBLIC_INSTITUTION = "PublicInstitution"
    OTHER = "Other"


class AccessMode(StrEnum):
    """How a volume may be mounted."""

    READ_WRITE_ONCE = "ReadWriteOnce"
    READ_ONLY_MANY = "ReadOnlyMany"
    READ_WRITE_MANY = "ReadWriteMany"
    READ_WRITE_ONCE_POD = "ReadWriteOncePod"


class MemberKind(StrEnum):
    """What a member is to the API server."""

    USER = "User"
    GROUP = "Group"
    SERVICE_ACCOUNT = "ServiceAccount"


class MemberRole(StrEnum):
    """What a member may do in the allocation's namespaces."""

    ADMIN = "admin"
    EDIT = "edit"
    VIEW = "view"


class WorkloadPolicy(StrEnum):
    """What becomes of running pods when the grant ends."""

    DRAIN = "Drain"
    KEEP = "Keep"


class DeletionPolicy(StrEnum):
    """What becomes of namespaces and data at the end of the window and when the allocation is deleted."""

    RETAIN = "Retain"
    DELETE = "Delete"


class Organization(ApiModel):
    """Who the tenant is."""

    name: DisplayText = Field(
        description="Name of the organisation as people know it, such as Sarangbang Motors; shown in tables and "
        "metrics. 1 to 128 characters."
    )
    class_: OrganizationClass = Field(
        alias="class",
        description="Kind of organisation, for reports: Startup, SME, Enterprise, University, ResearchInstitute, "
        "PublicInstitution or Other. It changes nothing in the order of the queue.",
    )
    sector: DisplayText | None = Field(
        default=None,
        description="Field of work, such as Automotive: for reports. At most 128 characters. Absent: not said.",
    )
    region: DisplayText | None = Field(
        default=None,
        description="Where the organisation sits, such as honam: for reports. At most 128 characters. Absent: not "
        "said.",
    )


class AcceleratorRequest(ApiModel):
    """Devices asked for out of one pool."""

    pool: PoolName = Field(
        description="Name of the AcceleratorPool. It need not exist yet: until it does, the allocation is refused "
        "with reason PoolNotFound and heals by itself. At most 58 characters, once in the list."
    )
    devices: Annotated[int, Field(ge=1, le=MAX_DEVICES)] = Field(
        description="Whole devices, all or nothing, 1 to 1000000. To ask for none, leave the entry out. What is "
        "granted is in status.grant."
    )


class ClaimRequest(ApiModel):
    """A PersistentVolumeClaim that the operator makes out of the storage asked for."""

    name: ClaimName = Field(
        description="Name of the PersistentVolumeClaim: a DNS label of at most 63 characters, used once in a namespace."
    )
    # A list key needs a default in the schema: there "" stands for None.
    namespace: Annotated[Annotated[str, Field(max_length=63)] | None, BeforeValidator(lambda value: value or None)] = (
        Field(
            default=None,
            description='Namespace of the allocation in which the claim is made. Default "": the first one. At most '
            "63 characters.",
            json_schema_extra={"default": ""},
        )
    )
    size: Size = Field(
        description="Size of the claim in bytes as a quantity with its suffix, such as 10Ti. Whole bytes, more than "
        "0; all claims together at most the size of the request. Once granted it can grow, not shrink."
    )
    access_modes: Annotated[
        tuple[AccessMode, ...], ListType("set"), Field(min_length=1, max_length=4), allocation_rules.ACCESS_MODES
    ] = Field(
        description="How the volume may be mounted: ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod; "
        "1 to 4 modes, ReadWriteOncePod only alone. What the storage class does not support stays Pending. Once "
        "granted they cannot change."
    )


class StorageRequest(ApiModel):
    """Storage asked for out of one pool."""

    rules = allocation_rules.STORAGE_REQUEST

    pool: PoolName = Field(
        description="Name of the StoragePool. It need not exist yet: until it does, the allocation is refused with "
        "reason PoolNotFound and heals by itself. At most 58 characters, once in the list."
    )
    size: Size = Field(
        description="Bytes asked for, all or nothing, as a quantity with its suffix, such as 50Ti. Whole bytes, more "
        "than 0 and at most 1E. It cannot be made smaller than what volume claims hold (status.inUse)."
    )
    claims: Annotated[tuple[ClaimRequest, ...], ListType("map", "namespace", "name"), Field(max_length=16)] = Field(
        default=(),
        description="PersistentVolumeClaims that the operator makes for the tenant out of this size. At most 16. "
        "Empty: none; the tenant makes its own within the quota.",
    )


class Compute(ApiModel):
    """CPU and memory beyond what devices bring."""

    rules = allocation_rules.COMPUTE

    cpu: Cpu | None = Field(
        default=None,
        description='CPU cores, such as "64" or "1500m", in quotes, in addition to perDevice of the pools. More than '
        "0. Absent: nothing in addition.",
    )
    memory: Size | None = Field(
        default=None,
        description="Memory in bytes as a quantity, such as 512Gi, in addition to perDevice of the pools. More than "
        "0 and at most 1E. Absent: nothing in addition.",
    )


class NamespaceShare(ApiModel):
    """One namespace of the allocation and its share of the grant."""

    name: NamespaceName = Field(
        description="Name of the namespace that the operator makes: a DNS label of at most 63 characters, not "
        "kube-*, default or bitgoeul-system. A namespace that exists and is not ours is never touched (reason "
        "NamespaceConflict)."
    )
    accelerators: Annotated[dict[str, DeviceCount], Field(max_length=16)] = Field(
        default={},
        description="Devices of each pool that this namespace may use, by pool name, such as {a100: 6}. The "
        "namespaces' shares of a pool add up to at most what is asked for. Empty, or a pool left out: 0, unless no "
        "namespace names the pool: then the first namespace has all of it. At most 16 pools.",
    )
    storage: Annotated[dict[str, SizeOrZero], Field(max_length=16)] = Field(
        default={},
        description="Bytes of each storage pool that this namespace may claim, by pool name, such as {lustre: 40Ti}. "
        "The namespaces' shares of a pool add up to at most what is asked for. Empty, or a pool left out: 0, unless "
        "no namespace names the pool: then the first namespace has all of it. At most 16 pools.",
    )


class Member(ApiModel):
    """Somebody who gets access to the allocation's namespaces."""

    rules = allocation_rules.MEMBER

    kind: MemberKind = Field(
        description="User or Group: a name that the cluster's authentication gives. ServiceAccount: an account in a "
        "namespace."
    )
    name: Annotated[str, Field(min_length=1, max_length=253), allocation_rules.MEMBER_NAME] = Field(
        description="Name of the user, group or service account, exactly as the API server knows it. 1 to 253 "
        "characters. Names of system:… are refused, except the groups system:serviceaccounts:NAMESPACE."
    )
    namespace: Annotated[str, Field(max_length=63), allocation_rules.MEMBER_NAMESPACE] = Field(
        default="",
        description='Namespace of a ServiceAccount, required for that kind. Empty (default "") for User and Group. '
        "At most 63 characters.",
    )
    role: MemberRole = Field(
        description="What the member may do in every namespace of the allocation. view: read everything but Secrets; "
        "edit: also run workloads, write ConfigMaps and Secrets, make claims and grow them; admin: also delete "
        "claims and write service accounts, disruption budgets and autoscalers. No role may change quota, policies "
        "or access."
    )


class Window(ApiModel):
    """When the organisation has what it asks for."""

    rules = allocation_rules.WINDOW

    start: Moment | None = Field(
        default=None,
        description="Not before this moment, in RFC 3339 with seconds and offset, such as 2021-04-15T00:00:00+09:00; "
        "inclusive. If all of it fits then, a start ahead is promised (phase Scheduled). Years 2000 to 2199. Absent: "
        "as soon as it fits.",
    )
    end: Moment | None = Field(
        default=None,
        description="Until this moment, in RFC 3339 with seconds and offset, such as 2021-12-31T00:00:00+09:00; "
        "exclusive, later than start, and fixed even if the start is late. It may be moved later, as far as others "
        "leave room. An end that is over is accepted: the allocation is then Expired. Years 2000 to 2199. Absent, "
        "without duration: open-ended.",
    )
    duration: Duration | None = Field(
        default=None,
        description="Instead of end: how long from the real start, such as 2160h or 90m (whole hours, minutes, "
        "seconds; a day is 24h). Once promised or started, the end stands in status.window. More than 0s and at most "
        "87600h. Absent, without end: open-ended.",
    )


class Expiry(ApiModel):
    """What happens at the end."""

    notice: (
        Annotated[
            tuple[
                Annotated[
                    Duration,
                    Field(description="How long before the end the notice is given, such as 168h; more than 0s."),
                ],
                ...,
            ],
            ListType("set"),
            Field(max_length=4),
        ]
        | None
    ) = Field(
        default=None,
        description="How long before the end notices are given, each a duration such as 720h (whole hours, minutes, "
        "seconds), as an Event and as condition Expiring. Each more than 0s, at most 87600h and shorter than the "
        "window, at most 4. Absent: the operator's default, 168h and 24h, as far as they fit into the window. Empty "
        "list: no notice.",
    )
    grace: GraceDuration = Field(
        default="24h",
        description="How long running pods may go on after the end, such as 72h (whole hours, minutes, seconds); new "
        "ones are refused from the end on, and devices come free after it. The same time is given when a pool's "
        "HoldAndDrain suspends the allocation, and after a shrink. 0s to 8760h; 0s: none. Default 24h.",
    )
    workload: WorkloadPolicy = Field(
        default=WorkloadPolicy.DRAIN,
        description="What becomes of pods that still run after the grace, or at once with suspend. Drain (default): "
        "they are evicted. Keep: they are left running until they end by themselves, and what they hold stays "
        "charged.",
    )
    retention: DurationOrZero = Field(
        default="720h",
        description="How long data is kept after end and grace before deletionPolicy Delete deletes it, such as 2160h "
        "(whole hours, minutes, seconds). 0s to 87600h, default 720h. Without effect with deletionPolicy Retain.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.RETAIN,
        description="What becomes of namespaces and data. Retain (default): they are kept. After the end of the "
        "window they stay as they are; when this object is deleted, devices are taken back, access ends, and "
        "namespaces and data stay, labelled bitgoeul.dev/retained, charged to their storage pool. Delete: namespaces "
        "and all data in them are deleted, when this object is deleted, and after the end of the window at "
        "status.window.dataDeleteAt, which is end + grace + retention.",
    )


class TenantAllocationSpec(ApiModel):
    """What the organisation asks for."""

    rules = allocation_rules.SPEC

    organization: Organization = Field(description="The organisation that the allocation is for.")
    priority: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=100,
        description="Place in the queue: higher goes first, among equals the older request. 0 to 1000, default 100. "
        "It takes nothing away from anybody who already has a grant.",
    )
    window: Window = Field(
        default=Window(),
        description="When the organisation has what it asks for: from start (inclusive) to end (exclusive). Absent or "
        "empty: as soon as it fits, open-ended.",
    )
    accelerators: Annotated[tuple[AcceleratorRequest, ...], ListType("map", "pool"), Field(max_length=16)] = Field(
        default=(),
        description="Devices asked for, one entry for each pool. The whole allocation is granted or none of it. At "
        "most 16 pools. Empty: no devices.",
    )
    storage: Annotated[tuple[StorageRequest, ...], ListType("map", "pool"), Field(max_length=16)] = Field(
        default=(),
        description="Storage asked for, one entry for each pool. At most 16 pools. Empty: no storage; claims of any "
        "storage class are then refused.",
    )
    compute: Compute | None = Field(
        default=None,
        description="CPU and memory beyond what the devices bring; it goes to the first namespace. Absent: nothing "
        "beyond; if no pool says perDevice either, CPU and memory are not capped.",
    )
    namespaces: Annotated[tuple[NamespaceShare, ...], ListType("map", "name"), Field(max_length=32)] = Field(
        default=(),
        description="Namespaces that the operator makes, with their shares of the grant. At most 32. Empty: one "
        "namespace, named like the allocation, which holds all of it. The first one gets what no entry mentions.",
    )
    members: Annotated[tuple[Member, ...], ListType("map", "kind", "namespace", "name"), Field(max_length=64)] = Field(
        default=(),
        description="Who gets access to the namespaces, and to read this object, once the quota is enforced. At most "
        "64. Empty: nobody beyond the platform engineers.",
    )
    expiry: Expiry = Field(
        default=Expiry(),
        description="What happens when the window ends: notices, then quota 0, after the grace eviction, after the "
        "retention what deletionPolicy says. Absent: the defaults of its fields; data is kept.",
    )
    suspend: bool = Field(
        default=False,
        description="True: the quota is set to 0 and the capacity given back once it is free; running pods are "
        "treated at once as expiry.workload says, data and view access stay, and the window runs on. Back to false "
        "(default): it asks for its capacity again, at its old place in the queue.",
    )
    restore_from: Annotated[str, Field(max_length=36), *allocation_rules.RESTORE_FROM] = Field(
        default="",
        description='UID of a deleted allocation whose retained namespaces and data this one takes over. Default "": '
        "none. Can be set only when the object is created.",
    )


Holding = Annotated[str, Field(max_length=20, description="Bytes as a quantity, such as 50Ti.")]


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
    size: Annotated[str, Field(max_length=20)] | None = Field(
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


class TenantAllocation(ApiModel):
    """
    TenantAllocation is what one organisation gets of a shared data center: devices and storage out of pools, namespaces
    with an enforced quota, and access for its members. The name is a DNS label of at most 63 characters; without
    spec.namespaces it is also the namespace.
    """

    rules = allocation_rules.ALLOCATION

    metadata: ObjectMeta
    spec: TenantAllocationSpec = Field(
        description="What the organisation asks for. At least devices, storage or compute."
    )
    status: TenantAllocationStatus | None = Field(
        default=None,
        description="What was promised, what is in use, and why something is not there yet. Written by the operator "
        "only; absent until it has seen the object.",
    )
