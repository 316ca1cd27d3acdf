"""
What every kind shares: how models read, the object's metadata, and the shape of a condition.

Models are frozen. They ignore fields that they do not know; rules across fields are left to the schema that is
generated from them. Attributes are snake_case, the wire is camelCase.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from bitgoeul.api.fields import ListType, Rule, add_rules


class ApiModel(BaseModel):
    """Base of every object in the API; ``rules`` are the CEL rules over the object as a whole."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler.resolve_ref_schema(handler(core))
        add_rules(schema, cls.rules)
        return schema


class ObjectMeta(ApiModel):
    """The part of metadata that is read; the API server owns its schema."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None  # None: not yet stored
    deletion_timestamp: datetime | None = None  # None: not being deleted
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()


class ConditionStatus(StrEnum):
    """True, False or Unknown, as in every Kubernetes condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class StatusCondition(ApiModel):
    """One statement about the object, in the standard shape of Kubernetes."""

    type: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="What the statement is about, such as Ready or Admitted: one word in CamelCase, once in the list."
    )
    status: ConditionStatus = Field(
        description="Whether the statement holds: True, False, or Unknown when nobody has looked yet."
    )
    reason: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="Why, in one CamelCase word. Programs may compare it: the set of reasons is part of the API."
    )
    message: Annotated[str, Field(max_length=32768)] = Field(
        default="",
        description="Why, in a sentence with the numbers and the way out. For people; programs read the reason. "
        "Empty where the reason says it all.",
    )
    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="The metadata.generation that was looked at. Lower than the object's: the statement is about an "
        "older spec. Default 0: not said.",
    )
    # Text, not a moment: it is carried over unchanged from one status to the next.
    last_transition_time: str = Field(
        description="When status last changed to what it is, in UTC and RFC 3339, such as 2021-04-15T00:00:00Z.",
        json_schema_extra={"format": "date-time"},
    )


Conditions = Annotated[tuple[StatusCondition, ...], ListType("map", "type"), Field(max_length=16)]

CONDITIONS_DESCRIPTION = (
    "Statements about the object, one for each type, in the standard shape of Kubernetes; `kubectl wait "
    "--for=condition=Ready` reads them. Empty until the operator has looked at the object for the first time. At "
    "most 16."
)
