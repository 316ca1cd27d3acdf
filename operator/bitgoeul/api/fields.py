"""
What a Kubernetes schema can say and pydantic cannot: CEL rules and list types.

They are put on a field with ``Annotated`` and change nothing when an object is read; they show in the generated schema
only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

RULES_KEY = "x-kubernetes-validations"
LIST_TYPE_KEY = "x-kubernetes-list-type"
LIST_KEYS_KEY = "x-kubernetes-list-map-keys"
INT_OR_STRING_KEY = "x-kubernetes-int-or-string"


class RuleReason(StrEnum):
    """The kind of error that the API server answers with."""

    # FieldValueDuplicate exists as well, but with it the API server leaves the message out.
    INVALID = "FieldValueInvalid"
    FORBIDDEN = "FieldValueForbidden"
    REQUIRED = "FieldValueRequired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One CEL rule, on a field or in the ``rules`` of a model.

    A bad value of the field itself is printed by the API server, so a message need only say what is right. A rule over
    an object sets ``field_path``, or its message points at the whole object.

    Args:
        rule: CEL over ``self`` (and ``oldSelf``: then it runs on updates only); white space is free.
        message: What is right, for the person who wrote the value; also shown when ``message_expression`` fails.
        message_expression: CEL that gives the message; no joins and no ``string()``, whose cost counts as unbounded:
            use ``'…%s'.format([…])``.
        field_path: Where the error is shown, such as ``.namespaces``.
        reason: The kind of error.
    """

    rule: str
    message: str
    message_expression: str = ""
    field_path: str = ""
    reason: RuleReason = RuleReason.INVALID

    def as_schema(self) -> dict[str, str]:
        """The entry of ``x-kubernetes-validations``."""
        entry = {"rule": one_line(self.rule), "message": one_line(self.message)}
        if self.message_expression:
            entry["messageExpression"] = one_line(self.message_expression)
        if self.field_path:
            entry["fieldPath"] = self.field_path
        entry["reason"] = str(self.reason)
        return entry

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        add_rules(schema, [self])
        return schema


class ListType:
    """
    How a list is merged when several writers own parts of it.

    Args:
        kind: ``map`` (entries told apart by keys), ``set`` (different scalars, order without meaning) or ``atomic``.
        keys: For ``map``: the fields, by their names on the wire, that tell entries apart.
    """

    def __init__(self, kind: Literal["map", "set", "atomic"], *keys: str) -> None:
        self.kind = kind
        self.keys = keys

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = {**handler(core), LIST_TYPE_KEY: self.kind}
        if self.keys:
            schema[LIST_KEYS_KEY] = list(self.keys)
        return schema


def add_rules(schema: dict[str, Any], rules: Iterable[Rule]) -> None:
    """Append rules to a JSON schema node, in place."""
    entries = [rule.as_schema() for rule in rules]
    if entries:
        schema[RULES_KEY] = [*schema.get(RULES_KEY, []), *entries]


def one_line(text: str) -> str:
    """Text with every run of white space made one space."""
    return " ".join(text.split())
