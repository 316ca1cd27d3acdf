"""AcceleratorPool: one kind of device on one set of nodes, as declared and as the operator finds it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from bitgoeul.api.fields import ListType, Rule, RuleReason
from bitgoeul.api.meta import CONDITIONS_DESCRIPTION, ApiModel, Conditions, ObjectMeta
from bitgoeul.api.names import MAX_POOL_NAME
from bitgoeul.api.quantity_fields import Cpu, Petaflops, Size
from bitgoeul.api.values import (
    ASCENDING,
    MAX_DEVICES,
    DisplayText,
    Moment,
    ReckonedMoment,
    StageName,
    short_label,
)


class DeviceType(StrEnum):
    """The family of a device."""

    GPU = "GPU"
    NPU = "NPU"
    FPGA = "FPGA"
    OTHER = "Other"


class TolerationOperator(StrEnum):
    """How a toleration compares with a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class StopPolicy(StrEnum):
    """How far a pool is closed; what it means stands at the field."""

    NONE = "None"
    HOLD = "Hold"
    HOLD_AND_DRAIN = "HoldAndDrain"


class Toleration(ApiModel):
    """A toleration as pods have it; it is added to every pod that asks for devices of this pool."""

    rules = (
        Rule(
            rule="!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
            message="must be left out with operator Exists, which tolerates any value",
            field_path=".value",
        ),
        Rule(
            rule="(has(self.operator) && self.operator == 'Exists') || (has(self.key) && self.key != '')",
            message="is required with operator Equal; only operator Exists may stand without a key (it tolerates "
            "every taint)",
            field_path=".key",
            reason=RuleReason.REQUIRED,
        ),
        Rule(
            rule="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            message="works only with effect NoExecute",
            field_path=".tolerationSeconds",
        ),
    )

    key: (
        Annotated[
            str,
            Field(max_length=317),
            Rule(
                rule="self == '' || !format.qualifiedName().validate(self).hasValue()",
                message="must be a taint key such as nvidia.com/gpu: an optional DNS domain and a slash, then a name "
                "of at most 63 letters, digits, dashes, dots and underscores",
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Key of the taint, such as nvidia.com/gpu. Empty or absent, with operator Exists: every taint is "
        "tolerated. At most 317 characters.",
    )
    operator: TolerationOperator | None = Field(
        default=None,
        description="Exists: any value of the taint is tolerated. Equal: the value must be the same. Absent: as Equal.",
    )
    value: (
        Annotated[
            str,
            Field(max_length=63),
            Rule(
                rule="!format.labelValue().validate(self).hasValue()",
                message="must be a taint value: at most 63 letters, digits, dashes, dots and underscores, starting "
                "and ending with a letter or digit",
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="Value of the taint, at most 63 characters, for operator Equal. Absent: the empty value.",
    )
    effect: TaintEffect | None = Field(
        default=None,
        description="Effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Absent: every effect is "
        "tolerated.",
    )
    toleration_seconds: Annotated[int, Field(ge=0, le=31_536_000)] | None = Field(
        default=None,
        description="Seconds for which a NoExecute taint is tolerated before the pod is evicted, 0 to 31536000 (a "
        "year). Absent: for ever. Only with effect NoExecute.",
    )


class PerDevice(ApiModel):
    """The share of the host that comes with each device."""

    rules = (
        Rule(
            rule="has(self.cpu) || has(self.memory)",
            message="must say cpu, memory or both; leave perDevice out if devices bring no share of the host",
            reason=RuleReason.REQUIRED,
        ),
    )

    cpu: Cpu | None = Field(
        default=None,
        description='CPU cores for each device, such as 16, 1500m or "1.5" (a fraction in quotes). It becomes '
        "part of the requests.cpu quota of whoever is granted devices. More than 0. Absent: devices bring no CPU.",
    )
    memory: Size | None = Field(
        default=None,
        description="Memory for each device in bytes as a quantity, such as 120Gi. It becomes part of the "
        "requests.memory quota of whoever is granted devices. More than 0 and at most 1E. Absent: devices bring no "
        "memory.",
    )


LabelValue = Annotated[str, Field(max_length=63, description="Value of the node label, at most 63 characters.")]

NodeSelector = Annotated[
    dict[str, LabelValue],
    Field(max_length=16),
    Rule(
        rule="size(self) > 0",
        message="must not be empty: name at least one node label, such as nvidia.com/gpu.product, so that it is "
        "clear which nodes count",
        reason=RuleReason.REQUIRED,
    ),
    Rule(
        rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",
        message="not a label key",
        message_expression="'not a label key: %s; a key is an optional DNS domain and a slash, then at most 63 "
        "letters, digits, dashes, dots and underscores'.format([self.filter(k, "
        "format.qualifiedName().validate(k).hasValue())])",
    ),
    Rule(
        rule="self.all(k, !format.labelValue().validate(self[k]).hasValue())",
        message="not a label value",
        message_expression="'not a label value: %s; a value has at most 63 letters, digits, dashes, dots and "
        "underscores, and starts and ends with a letter or digit'.format([self.filter(k, "
        "format.labelValue().validate(self[k]).hasValue()).map(k, '%s: %s'.format([k, self[k]]))])",
    ),
]

ResourceName = Annotated[
    str,
    Field(max_length=317),
    Rule(
        rule="self.contains('/') && !format.qualifiedName().validate(self).hasValue()",
        message="must be an extended resource such as nvidia.com/gpu: a DNS domain, a slash, and a name of at most "
        "63 letters, digits, dashes, dots and underscores",
    ),
    Rule(
        rule="!self.startsWith('requests.') && !self.split('/')[0].endsWith('kubernetes.io')",
        message="must be the name that the device plugin gives its devices, such as nvidia.com/gpu: no requests. in "
        "front, and no domain of kubernetes.io",
    ),
    Rule(
        rule="self == oldSelf",
        message="cannot change: grants are enforced under this name; make a new pool and move the allocations to it",
        reason=RuleReason.FORBIDDEN,
    ),
]


class DeviceStage(ApiModel):
    """One dated step of the pool's capacity plan."""

    name: StageName = Field(
        description="Name of the stage, such as pilot-2021: a DNS label of at most 63 characters, once in the list."
    )
    from_: Moment = Field(
        alias="from",
        description="When the stage begins, in RFC 3339 with seconds and offset, such as 2021-02-15T00:00:00+09:00. "
        "It lasts until the next one begins, the last one for ever. Years 2000 to 2199, later than the stage before.",
    )
    devices: Annotated[int, Field(ge=0, le=MAX_DEVICES)] = Field(
        description="Devices that the pool is planned to have in this stage, reserve included: no more than these "
        "are granted, even if the nodes have more. 0 to 1000000; 0: nothing may reach into this stage."
    )


class AcceleratorPoolSpec(ApiModel):
    """What the platform engineer declares about the pool."""

    type: DeviceType = Field(
        description="Family of the devices, for reports: GPU, NPU, FPGA or Other. It changes nothing in how they are "
        "granted."
    )
    vendor: DisplayText | None = Field(
        default=None,
        description="Maker of the devices, such as NVIDIA: for display and metric labels. At most 128 characters. "
        "Absent: not said.",
    )
    product: DisplayText | None = Field(
        default=None,
        description="Product name of the devices, such as A100-SXM4-80GB: for display and metric labels. At most 128 "
        "characters. Absent: not said.",
    )
    region: DisplayText | None = Field(
        default=None,
        description="Where the devices stand, such as honam: a label for reports. At most 128 characters. Absent: "
        "not said.",
    )
    node_selector: NodeSelector = Field(
        description="Node labels, all of which a node must carry to count for this pool; pods that use the pool's "
        "devices are sent to these nodes. 1 to 16 labels; never empty, as that would mean every node. A node that "
        "two pools of the same resourceName match counts for the older one only."
    )
    tolerations: Annotated[tuple[Toleration, ...], ListType("atomic"), Field(max_length=16)] = Field(
        default=(),
        description="Tolerations added to pods that use the pool's devices, so that taints may keep others off its "
        "nodes. At most 16. Empty: none are added.",
    )
    resource_name: ResourceName = Field(
        description="Extended resource under which the device plugin offers the devices, such as nvidia.com/gpu or "
        "furiosa.ai/npu. Quotas are written for it. Two pools may have the same one, then a namespace may hold only "
        "one of them. Cannot change. At most 317 characters."
    )
    petaflops_per_device: Petaflops | None = Field(
        default=None,
        description="Computing power of one device in petaflops (PFLOPS), as a decimal number such as 2 or "
        '"0.0195" (a fraction in quotes); for reports. More than 0, at most 6 digits after the point. Absent: '
        "petaflops are not reported.",
    )
    per_device: PerDevice | None = Field(
        default=None,
        description="Share of the host that comes with each granted device; it becomes CPU and memory quota. Absent: "
        "devices bring none, and a tenant's CPU and memory are capped only if its allocation says compute.",
    )
    reserve: Annotated[int, Field(ge=0, le=MAX_DEVICES)] = Field(
        default=0,
        description="Devices kept as spares and never granted; they are taken off what the stage plans or the nodes "
        "can give, whichever is less. 0 (default) to 1000000.",
    )
    stages: Annotated[tuple[DeviceStage, ...], ListType("map", "name"), Field(max_length=32), ASCENDING] = Field(
        default=(),
        description="Dated capacity plan: how many devices the pool is to have from when on, in ascending order, no "
        "two at the same moment. Starts ahead are promised by it; now, no more is granted than the nodes really "
        "give. Before the first stage nothing is planned, and nothing granted. At most 32. Empty: no plan; the pool "
        "has what its nodes give, for ever.",
    )
    stop_policy: StopPolicy = Field(
        default=StopPolicy.NONE,
        description="None (default): the pool is open. Hold: nothing new is granted out of it and no scheduled start "
        "begins, while all that is held and promised stays. HoldAndDrain: in addition, allocations that hold devices "
        "of it are suspended as at their end, with their grace; data and view access stay.",
    )


Count = Annotated[int, Field(ge=0)]


class NodeCounts(ApiModel):
    """The pool's nodes by state; a node is counted once, NotReady before cordoned, cordoned before tainted."""

    ready: Count = Field(default=0, description="Nodes that are Ready and open to new pods of the pool.")
    not_ready: Count = Field(default=0, description="Nodes whose kubelet does not report Ready, cordoned or not.")
    cordoned: Count = Field(default=0, description="Nodes that are Ready but closed to new pods (unschedulable).")
    tainted: Count = Field(
        default=0,
        description="Nodes that are Ready and not cordoned, but have a NoSchedule or NoExecute taint that "
        "spec.tolerations do not tolerate.",
    )


class UnavailableDevices(ApiModel):
    """Installed devices that no new pod can get, by cause; each is counted once, in this order."""

    not_ready: Count = Field(default=0, description="Devices on nodes that are not Ready.")
    cordoned: Count = Field(default=0, description="Devices on cordoned nodes that are Ready.")
    tainted: Count = Field(
        default=0,
        description="Devices on Ready, not cordoned nodes with a NoSchedule or NoExecute taint that spec.tolerations "
        "do not tolerate: no pod of the pool is scheduled there.",
    )
    unhealthy: Count = Field(
        default=0,
        description="Devices that an open, Ready node has but does not offer (capacity less allocatable): the device "
        "plugin calls them unhealthy, or has been away for less than the 5 minutes after which the kubelet drops its "
        "devices, so that they are no longer installed.",
    )


class PoolDevices(ApiModel):
    """
    The pool's devices, counted whole.

    Always: installed = schedulable + all unavailable; effective = granted + available. Effective is the lesser of
    planned (where there are stages) and schedulable, less the reserve, at least 0.
    """

    planned: Count | None = Field(
        default=None,
        description="Devices that the current stage plans; 0 before the first stage begins. Absent when there are no "
        "stages.",
    )
    installed: Count = Field(
        default=0,
        description="Devices that the pool's nodes have, usable or not. What falls on the nodes is believed after it "
        "has lasted 10 seconds; what rises, and cordons and taints, at once.",
    )
    highest: Count = Field(
        default=0,
        description="The most devices that were ever installed at once. Without stages nobody is refused who asks for "
        "no more than that, less the reserve: devices that are away may come back. With stages it decides nothing. "
        "Never lowered.",
    )
    schedulable: Count = Field(default=0, description="Devices that new pods can get: installed less unavailable.")
    unavailable: UnavailableDevices = Field(
        default=UnavailableDevices(), description="Installed devices that new pods cannot get, by cause."
    )
    reserved: Count = Field(default=0, description="Devices kept as spares, as spec.reserve says.")
    effective: Count = Field(
        default=0,
        description="Devices that can be promised now: the lesser of planned and schedulable, less reserved, at "
        "least 0. Without stages schedulable alone counts.",
    )
    granted: Count = Field(default=0, description="Devices promised to allocations now, whether they use them or not.")
    scheduled: Count = Field(
        default=0,
        description="Devices promised for a start ahead and not yet charged: they are not part of granted.",
    )
    available: int = Field(
        default=0,
        description="Devices that can still be granted: effective less granted. Below 0 only after nodes or devices "
        "were lost, a smaller stage began or reserve was raised; then nothing new is granted, and nobody is stopped.",
    )
    in_use: Count = Field(default=0, description="Granted devices that tenants' pods hold now.")
    waiting: Count = Field(default=0, description="Devices that waiting allocations ask for beyond what they hold.")


class DeviceChange(ApiModel):
    """One coming change of what the pool has available."""

    at: ReckonedMoment = Field(description="When it happens, in UTC and RFC 3339, such as 2021-12-31T00:00:00Z.")
    available: int = Field(
        description="Devices available from then on, as far as known today. Below 0: more is promised than there "
        "will be."
    )
    change: int = Field(description="Difference to the available devices before it: above 0, devices come free.")
    cause: Annotated[str, Field(max_length=200)] = Field(
        description="What changes it, for people, such as the stage that begins or the allocation that ends. At most "
        "200 characters."
    )


class PoolPetaflops(ApiModel):
    """Computing power in petaflops, as decimal text."""

    effective: Annotated[str, Field(max_length=64)] = Field(
        default="0", description='Petaflops of the effective devices, as decimal text such as "5.27".'
    )
    granted: Annotated[str, Field(max_length=64)] = Field(
        default="0", description='Petaflops of the granted devices, as decimal text such as "4.13".'
    )
    in_use: Annotated[str, Field(max_length=64)] = Field(
        default="0", description='Petaflops of the devices in use, as decimal text such as "3.33".'
    )


class AcceleratorPoolStatus(ApiModel):
    """What the operator found and promised."""

    observed_generation: Count = Field(
        default=0,
        description="The metadata.generation that this status is about. Lower than the object's: the operator has "
        "not seen the newest spec yet.",
    )
    current_stage: Annotated[str, Field(max_length=63)] | None = Field(
        default=None,
        description="Name of the stage that is in force now. Absent: no stage has begun, or there are none.",
    )
    next_stage: DeviceStage | None = Field(
        default=None, description="The stage that begins next, as in spec.stages. Absent: none is ahead."
    )
    nodes: NodeCounts = Field(default=NodeCounts(), description="Nodes that match spec.nodeSelector, by state.")
    devices: PoolDevices = Field(
        default=PoolDevices(),
        description="Devices of the pool, counted whole. Always: installed = schedulable + all unavailable, and "
        "effective = granted + available, as long as each is less than 2^63 - 1, the most that can stand here.",
    )
    calendar: Annotated[tuple[DeviceChange, ...], ListType("atomic"), Field(max_length=10)] = Field(
        default=(),
        description="The next changes of the available devices that are known today, the earliest first: stages that "
        "begin, allocations that start or end. At most 10. Empty: none is known.",
    )
    petaflops: PoolPetaflops | None = Field(
        default=None,
        description="Computing power in petaflops, as decimal texts. Absent when spec.petaflopsPerDevice is.",
    )
    conditions: Conditions = Field(default=(), description=CONDITIONS_DESCRIPTION)


class AcceleratorPool(ApiModel):
    """
    AcceleratorPool is one kind of device on one set of nodes, such as the A100 GPUs of a cluster. TenantAllocations ask
    for devices of it by its name, and the operator grants no more than its nodes can give and its stages plan. The name
    is a DNS label of at most 58 characters.
    """

    rules = (short_label("becomes part of a label key", MAX_POOL_NAME),)

    metadata: ObjectMeta
    spec: AcceleratorPoolSpec = Field(
        description="What the pool is: its devices, its nodes, what comes with a device, and how it is to grow."
    )
    status: AcceleratorPoolStatus | None = Field(
        default=None,
        description="What the operator found on the nodes and promised to allocations. Written by the operator only; "
        "absent until it has seen the pool.",
    )
