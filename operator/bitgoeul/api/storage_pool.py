"""StoragePool: one storage class with a capacity, as declared and as the operator accounts for it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bitgoeul.api.fields import Rule, RuleReason
from bitgoeul.api.meta import CONDITIONS_DESCRIPTION, ApiModel, Conditions, ObjectMeta
from bitgoeul.api.names import MAX_POOL_NAME
from bitgoeul.api.values import Size, SizeOrZero, short_label

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


class StoragePoolSpec(ApiModel):
    """What the platform engineer declares about the pool."""

    rules = (
        Rule(
            rule="!has(self.reserve) || !isQuantity(self.reserve) || !isQuantity(self.capacity) || "
            "quantity(self.reserve).compareTo(quantity(self.capacity)) <= 0",
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
    capacity: Size = Field(
        description="Bytes that the storage system behind the class has, as a quantity with its suffix, such as "
        "10700T or 500Ti. Kubernetes cannot measure it, so it is declared here. Whole bytes, more than 0 and at most "
        "1E."
    )
    reserve: SizeOrZero | None = Field(
        default=None,
        description="Bytes kept back and never granted, as a quantity such as 100Ti. At most the capacity. Absent: "
        "nothing is kept back.",
    )


Bytes = Annotated[int, Field(ge=0)]


class PoolBytes(ApiModel):
    """
    The pool's capacity in bytes.

    Always: installed = effective + reserved; effective = granted + retained + available.
    """

    installed: Bytes = Field(default=0, description="Bytes that the pool has: spec.capacity.")
    reserved: Bytes = Field(default=0, description="Bytes kept back, as spec.reserve says.")
    effective: Bytes = Field(default=0, description="Bytes that can be promised: installed less reserved.")
    granted: Bytes = Field(default=0, description="Bytes promised to allocations now, whether volumes use them or not.")
    retained: Bytes = Field(
        default=0,
        description="Bytes that volumes of deleted allocations still hold, because their deletionPolicy was Retain.",
    )
    available: int = Field(
        default=0,
        description="Bytes that can still be granted: effective less granted less retained. Below 0 only after the "
        "capacity was lowered; then nothing new is granted.",
    )
    in_use: Bytes = Field(default=0, description="Granted bytes that tenants' volume claims ask for now.")
    waiting: Bytes = Field(default=0, description="Bytes that waiting allocations ask for beyond what they hold.")


class StorageSummary(ApiModel):
    """Short texts for the columns of kubectl get."""

    capacity: Annotated[str, Field(max_length=32)] = Field(
        default="", description="The capacity in short, such as 10.7P; may be rounded, status.bytes is exact."
    )
    granted: Annotated[str, Field(max_length=32)] = Field(
        default="", description="What is granted in short, such as 50Ti; may be rounded, status.bytes is exact."
    )
    available: Annotated[str, Field(max_length=32)] = Field(
        default="", description="What is available in short, such as 9.2P; may be rounded, status.bytes is exact."
    )


class StoragePoolStatus(ApiModel):
    """What the operator found and promised."""

    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="The metadata.generation that this status is about. Lower than the object's: the operator has "
        "not seen the newest spec yet.",
    )
    bytes: PoolBytes = Field(
        default=PoolBytes(),
        description="The pool's capacity in bytes. Always: installed = effective + reserved, and effective = granted "
        "+ retained + available.",
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
    spec: StoragePoolSpec = Field(description="What the pool is: its storage class and how much that can hold.")
    status: StoragePoolStatus | None = Field(
        default=None,
        description="What the operator promised out of the pool and found in use. Written by the operator only; "
        "absent until it has seen the pool.",
    )
