"""StoragePool: one storage class with a capacity, as declared and as the operator accounts for it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bitgoeul.api.accelerator_pool import StopPolicy
from bitgoeul.api.fields import ListType, Rule, RuleReason
from bitgoeul.api.meta import CONDITIONS_DESCRIPTION, ApiModel, Conditions, ObjectMeta
from bitgoeul.api.names import MAX_POOL_NAME
from bitgoeul.api.quantity_fields import Size, SizeOrZero, is_quantity, quantity
from bitgoeul.api.values import ASCENDING, Moment, ReckonedMoment, StageName, short_label

StorageClassName = Annotated[
    str,
    # The quota key is <class>.storageclass.storage.k8s.io/…, whose domain may have 253 characters.
    Field(max_length=225),
    Rule(
        rule="!format.dns1123Subdomain().validate(self).hasValue()",
        message="must be the name of a StorageClass: lower-case letters, digits, dashes and dots",
    ),
    Rule(
        rule="self == oldSelf",
        message="cannot change: grants are enforced under this name; make a new pool and move the allocations to it",
        reason=RuleReason.FORBIDDEN,
    ),
]


class StorageStage(ApiModel):
    """One dated step of the pool's capacity plan."""

    name: StageName = Field(
        description="Name of the stage, such as pilot-2021: a DNS label of at most 63 characters, once in the list."
    )
    from_: Moment = Field(
        alias="from",
        description="When the stage begins, in RFC 3339 with seconds and offset, such as 2021-02-15T00:00:00+09:00. "
        "It lasts until the next one begins, the last one for ever. Years 2000 to 2199, later than the stage before.",
    )
    capacity: SizeOrZero = Field(
        description="Bytes that the storage system behind the class has in this stage, reserve included, as a "
        "quantity, such as 10700T. Whole bytes, at least 0 and at most 1E; 0: nothing may reach into "
        "this stage."
    )


class StoragePoolSpec(ApiModel):
    """What the platform engineer declares about the pool."""

    rules = (
        Rule(
            rule="has(self.capacity) || (has(self.stages) && size(self.stages) > 0)",
            message="is required where there are no stages: say how many bytes the pool has, such as 10700T",
            field_path=".capacity",
            reason=RuleReason.REQUIRED,
        ),
        Rule(
            rule=f"""
                !has(self.reserve) || !has(self.capacity) || !{is_quantity("self.reserve")} ||
                !{is_quantity("self.capacity")} ||
                {quantity("self.reserve")}.compareTo({quantity("self.capacity")}) <= 0
            """,
            message="must not be more than the capacity",
            message_expression="'must not be more than the capacity: %s of %s'.format([self.reserve, self.capacity])",
            field_path=".reserve",
        ),
    )

    storage_class_name: StorageClassName = Field(
        description="Name of the StorageClass whose volumes come out of this pool. The class need not exist yet; "
        "until it does, condition StorageClassFound is False. One pool for each class. Cannot change. At most 225 "
        "characters."
    )
    capacity: Size | None = Field(
        default=None,
        description="Bytes that the storage system behind the class has, as a quantity, such as "
        "10700T or 500Ti. Kubernetes cannot measure it, so it is declared here. With stages it is what the pool has "
        "until the first one begins. Whole bytes, more than 0 and at most 1E. Absent, which needs stages: nothing "
        "until the first one begins.",
    )
    reserve: SizeOrZero | None = Field(
        default=None,
        description="Bytes kept back and never granted, as a quantity such as 100Ti. At most the capacity, where "
        "that is given. Absent: nothing is kept back.",
    )
    stages: Annotated[tuple[StorageStage, ...], ListType("map", "name"), Field(max_length=32), ASCENDING] = Field(
        default=(),
        description="Dated capacity plan: how many bytes the pool has from when on, in ascending order, no two at "
        "the same moment. At most 32. Empty: no plan; the pool has spec.capacity, for ever.",
    )
    stop_policy: Literal[StopPolicy.NONE, StopPolicy.HOLD] = Field(
        default=StopPolicy.NONE,
        description="None (default): the pool is open. Hold: nothing new is granted out of it and no scheduled start "
        "begins, while all that is held and promised stays.",
    )


Bytes = Annotated[int, Field(ge=0)]


class PoolBytes(ApiModel):
    """
    The pool's capacity in bytes.

    Always: installed = effective + reserved; effective = granted + retained + available.
    """

    planned: Bytes | None = Field(
        default=None,
        description="Bytes that the current stage plans; before the first one begins, spec.capacity. Absent when "
        "there are no stages.",
    )
    installed: Bytes = Field(
        default=0, description="Bytes that the pool has now: what is planned, without stages spec.capacity."
    )
    reserved: Bytes = Field(
        default=0, description="Bytes kept back, as spec.reserve says, as far as so much is installed."
    )
    effective: Bytes = Field(
        default=0, description="Bytes that can be promised now: installed less reserved, at least 0."
    )
    granted: Bytes = Field(default=0, description="Bytes promised to allocations now, whether volumes use them or not.")
    scheduled: Bytes = Field(
        default=0,
        description="Bytes promised for a start ahead and not yet charged: they are not part of granted.",
    )
    retained: Bytes = Field(
        default=0,
        description="Bytes that volumes of deleted allocations still hold, because their deletionPolicy was Retain.",
    )
    available: int = Field(
        default=0,
        description="Bytes that can still be granted: effective less granted less retained. Below 0 only after the "
        "capacity was lowered, a smaller stage began or reserve was raised; then nothing new is granted.",
    )
    in_use: Bytes = Field(default=0, description="Granted bytes that tenants' volume claims ask for now.")
    waiting: Bytes = Field(default=0, description="Bytes that waiting allocations ask for beyond what they hold.")


class StorageChange(ApiModel):
    """One coming change of what the pool has available."""

    at: ReckonedMoment = Field(description="When it happens, in UTC and RFC 3339, such as 2021-12-31T00:00:00Z.")
    available: Annotated[str, Field(max_length=32)] = Field(
        description="Bytes available from then on, as far as known today, as a quantity such as 9200T. Below 0: more "
        "is promised than there will be."
    )
    change: Annotated[str, Field(max_length=32)] = Field(
        description="Difference to the available bytes before it, as a quantity such as 50Ti or -50Ti: above 0, bytes "
        "come free."
    )
    cause: Annotated[str, Field(max_length=200)] = Field(
        description="What changes it, for people, such as the stage that begins or the allocation whose data goes. At "
        "most 200 characters."
    )


class StorageSummary(ApiModel):
    """Short texts for the columns of kubectl get."""

    capacity: Annotated[str, Field(max_length=32)] = Field(
        default="", description="The capacity in short, such as 9.5Pi; may be rounded, status.bytes is exact."
    )
    granted: Annotated[str, Field(max_length=32)] = Field(
        default="", description="What is granted in short, such as 50Ti; may be rounded, status.bytes is exact."
    )
    available: Annotated[str, Field(max_length=32)] = Field(
        default="", description="What is available in short, such as 444.7Ti; may be rounded, status.bytes is exact."
    )


class StoragePoolStatus(ApiModel):
    """What the operator found and promised."""

    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="The metadata.generation that this status is about. Lower than the object's: the operator has "
        "not seen the newest spec yet.",
    )
    current_stage: Annotated[str, Field(max_length=63)] | None = Field(
        default=None,
        description="Name of the stage that is in force now. Absent: no stage has begun, or there are none.",
    )
    next_stage: StorageStage | None = Field(
        default=None, description="The stage that begins next, as in spec.stages. Absent: none is ahead."
    )
    bytes: PoolBytes = Field(
        default=PoolBytes(),
        description="The pool's capacity in bytes. Always: installed = effective + reserved, and effective = granted "
        "+ retained + available, as long as each is less than 2^63 - 1, the most that can stand here; metrics, which "
        "are floating point, go beyond.",
    )
    calendar: Annotated[tuple[StorageChange, ...], ListType("atomic"), Field(max_length=10)] = Field(
        default=(),
        description="The next changes of the available bytes that are known today, the earliest first: stages that "
        "begin, allocations that start, data that is deleted. At most 10. Empty: none is known.",
    )
    summary: StorageSummary = Field(
        default=StorageSummary(), description="Short texts for the columns of kubectl get; programs read status.bytes."
    )
    conditions: Conditions = Field(default=(), description=CONDITIONS_DESCRIPTION)


class StoragePool(ApiModel):
    """
    StoragePool is one storage class with a declared capacity. TenantAllocations ask for space in it by its name, and
    the operator grants no more than the capacity. The name is a DNS label of at most 58 characters.
    """

    rules = (short_label("becomes part of a label key", MAX_POOL_NAME),)

    metadata: ObjectMeta
    spec: StoragePoolSpec = Field(
        description="What the pool is: its storage class, and how much that can hold from when on."
    )
    status: StoragePoolStatus | None = Field(
        default=None,
        description="What the operator promised out of the pool and found in use. Written by the operator only; "
        "absent until it has seen the pool.",
    )
