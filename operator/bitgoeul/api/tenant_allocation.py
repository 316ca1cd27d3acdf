"""TenantAllocation: what one organisation asks for; its status has a file of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from bitgoeul.api import allocation_rules
from bitgoeul.api.cluster_roles import ClusterRoleName
from bitgoeul.api.fields import ListType
from bitgoeul.api.meta import ApiModel, ObjectMeta
from bitgoeul.api.pod_security import DEFAULT_LEVEL, PodSecurity
from bitgoeul.api.quantity_fields import Cpu, Size, SizeOrZero
from bitgoeul.api.tenant_allocation_status import TenantAllocationStatus
from bitgoeul.api.values import (
    MAX_DEVICES,
    ClaimName,
    DeviceCount,
    DisplayText,
    Duration,
    DurationOrZero,
    GraceDuration,
    Moment,
    NamespaceName,
    PoolName,
)

NONE_IF_EMPTY = BeforeValidator(lambda value: value or None)


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
    namespace: Annotated[Annotated[str, Field(max_length=63)] | None, NONE_IF_EMPTY] = Field(
        default=None,
        description="Namespace of the allocation in which the claim is made. Absent or empty: the first one. At most "
        "63 characters.",
    )
    size: Size = Field(
        description="Size of the claim in bytes as a quantity, such as 10Ti or 1.5Ti. Whole bytes, more than "
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
        description="Bytes asked for, all or nothing, as a quantity, such as 50Ti or 1.5Ti. Whole bytes, more "
        "than 0 and at most 1E. It cannot be made smaller than what volume claims hold (status.inUse)."
    )
    claims: Annotated[tuple[ClaimRequest, ...], ListType("atomic"), Field(max_length=16)] = Field(
        default=(),
        description="PersistentVolumeClaims that the operator makes for the tenant out of this size, each name once "
        "in a namespace. At most 16. Empty: none; the tenant makes its own within the quota.",
    )


class Compute(ApiModel):
    """CPU and memory beyond what devices bring."""

    rules = allocation_rules.COMPUTE

    cpu: Cpu | None = Field(
        default=None,
        description='CPU cores, such as 64, 1500m or "1.5" (a fraction in quotes), in addition to perDevice of the '
        "pools. More than 0. Absent: nothing in addition.",
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
    namespace: Annotated[
        Annotated[str, Field(max_length=63), allocation_rules.MEMBER_NAMESPACE] | None, NONE_IF_EMPTY
    ] = Field(
        default=None,
        description="Namespace of a ServiceAccount, required for that kind. Absent or empty for User and Group. At "
        "most 63 characters.",
    )
    role: MemberRole = Field(
        description="What the member may do in every namespace of the allocation. view: read everything but Secrets; "
        "edit: also run workloads, write ConfigMaps and Secrets, make claims and grow them; admin: also delete "
        "claims and write service accounts, disruption budgets and autoscalers. No role may change quota, policies "
        "or access."
    )
    cluster_roles: Annotated[tuple[ClusterRoleName, ...], ListType("set"), Field(max_length=8)] = Field(
        default=(),
        description="ClusterRoles that the member has beside its role, in every namespace of the allocation, while the "
        "grant is in force, such as [ray-user]. Each must be among those that the operator is allowed to give "
        "(--allowed-cluster-role), else the allocation is refused with reason RoleNotAllowed and heals by itself. At "
        "most 8. Empty: none.",
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
            # No set: of an empty one nobody is noted as owner, and the first apply by another manager drops it.
            ListType("atomic"),
            allocation_rules.DISTINCT_NOTICES,
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
    members: Annotated[
        tuple[Member, ...], ListType("atomic"), Field(max_length=64), allocation_rules.DISTINCT_MEMBERS
    ] = Field(
        default=(),
        description="Who gets access to the namespaces, and to read this object, once the quota is enforced; each "
        "member once. At most 64. Empty: nobody beyond the platform engineers.",
    )
    pod_security: PodSecurity | None = Field(
        default=None,
        description="What pods may do to their nodes, in all namespaces of the allocation, where that is not the "
        f"default. Absent: level {DEFAULT_LEVEL}, with a warning for what level restricted would refuse.",
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
