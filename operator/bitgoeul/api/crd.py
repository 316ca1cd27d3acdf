"""
CustomResourceDefinitions out of models: what pydantic says about a model becomes a structural schema.

Pydantic writes JSON Schema with references, titles and ``null``; the API server wants one tree without them, and can
say less. What has no counterpart there raises ``SchemaError`` with its place: a constraint that is silently lost would
let bad input in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from bitgoeul.api.fields import INT_OR_STRING_KEY, LIST_KEYS_KEY, LIST_TYPE_KEY, RULES_KEY, one_line
from bitgoeul.api.meta import ApiModel
from bitgoeul.api.names import GROUP, VERSION

Schema = dict[str, Any]

# In the order in which they are written; ``pattern`` is missing on purpose: rules carry messages, patterns do not.
_KEPT = (
    "description",
    "type",
    INT_OR_STRING_KEY,
    "format",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    LIST_TYPE_KEY,
    LIST_KEYS_KEY,
    "required",
    RULES_KEY,
)
_MAPPED = {*_KEPT, "title", "default", "properties", "items", "additionalProperties"}

_HEADER = (
    "# Made from the models in operator/bitgoeul/api by `bitgoeul crds --output-dir crds`: edit those, not this.\n"
)


class _Dumper(yaml.SafeDumper):
    """Writes every part out where it stands: people read the files, and an anchor sends them elsewhere."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class SchemaError(TypeError):
    """A model says something that a CRD cannot say; the message names the place."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``kubectl get``; a wide one shows with ``-o wide`` only."""

    name: str
    type: str
    json_path: str
    description: str
    wide: bool = False

    def as_schema(self) -> Schema:
        """The entry of ``additionalPrinterColumns``."""
        entry = {"name": self.name, "type": self.type, "jsonPath": self.json_path, "description": self.description}
        return {**entry, "priority": 1} if self.wide else entry


@dataclass(frozen=True, slots=True)
class Kind:
    """A model and how the API server serves it; all kinds are cluster-scoped."""

    model: type[ApiModel]
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    selectable_fields: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The kind as it stands in manifests."""
        return self.model.__name__

    @property
    def file_name(self) -> str:
        """The name of the generated file."""
        return f"{GROUP}_{self.plural}.yaml"


def build_crd(kind: Kind) -> Schema:
    """
    The CustomResourceDefinition of a kind, ready for the API server.

    Raises:
        SchemaError: A model says something that has no counterpart in a CRD.
    """
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [column.as_schema() for column in kind.columns],
    }
    if kind.selectable_fields:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable_fields]
    version["schema"] = {"openAPIV3Schema": _root_schema(kind.model)}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short_name],
                "categories": ["bitgoeul"],
            },
            "versions": [version],
        },
    }


def render_crd(kind: Kind) -> str:
    """The generated file of a kind, as text."""
    body = yaml.dump(build_crd(kind), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"{_HEADER}{body}"


def _root_schema(model: type[ApiModel]) -> Schema:
    generated = model.model_json_schema(by_alias=True, mode="validation")
    definitions = generated.get("$defs", {})
    parts = generated["properties"]
    root: Schema = {
        "description": one_line(generated["description"]),
        "type": "object",
        "properties": {
            "apiVersion": {
                "description": f"Version of the API that the object is written in: {GROUP}/{VERSION}.",
                "type": "string",
            },
            "kind": {"description": f"Kind of the object: {model.__name__}.", "type": "string"},
            # Only the name may be said here, and must be for rules to point at it.
            "metadata": {
                "type": "object",
                "properties": {
                    "name": {
                        "description": "Name of the object, unique in its kind.",
                        "type": "string",
                        "maxLength": 253,
                    }
                },
            },
            "spec": structural(parts["spec"], definitions, "spec"),
            # A default in status would claim a finding that nobody made.
            "status": structural(parts["status"], definitions, "status", with_defaults=False),
        },
        "required": ["spec"],
    }
    if RULES_KEY in generated:
        root[RULES_KEY] = generated[RULES_KEY]
    return root


def structural(
    node: Mapping[str, Any], definitions: Mapping[str, Schema], path: str, *, with_defaults: bool = True
) -> Schema:
    """
    Turn one node of pydantic's JSON Schema into a structural schema node, with everything below it.

    Args:
        node: JSON Schema as ``model_json_schema`` gives it.
        definitions: What its references point to (``$defs``).
        path: Where the node stands, for errors.
        with_defaults: Whether defaults are kept.
    Raises:
        SchemaError: The node says something that a CRD cannot say.
    """
    flat = _flatten(node, definitions, path)
    _check(flat, path)

    def below(child: Mapping[str, Any], step: str) -> Schema:
        return structural(child, definitions, f"{path}{step}", with_defaults=with_defaults)

    result: Schema = {key: flat[key] for key in _KEPT if key in flat}
    if "description" in result:
        result["description"] = one_line(result["description"])
    if with_defaults and (default := _default(flat)) is not None:
        if "[]" in path or "{}" in path:
            # An apply replaces the whole list: it finds an entry changed as long as the manifest leaves the field out.
            raise SchemaError(f"{path}: a default inside a list or a map is found changed by each apply")
        result["default"] = default
    if "properties" in flat:
        result["properties"] = {name: below(child, f".{name}") for name, child in flat["properties"].items()}
    if "items" in flat:
        result["items"] = below(flat["items"], "[]")
    if "additionalProperties" in flat:
        result["additionalProperties"] = below(flat["additionalProperties"], "{}")
    return result


def _check(flat: Schema, path: str) -> None:
    """Raise for what a CRD cannot say."""
    unknown = sorted(set(flat) - _MAPPED)
    if unknown:
        raise SchemaError(f"{path}: {', '.join(unknown)} cannot be said in a CRD")
    if INT_OR_STRING_KEY not in flat and not isinstance(flat.get("type"), str):
        raise SchemaError(f"{path}: has no single type")
    if flat.get("type") == "array" and LIST_TYPE_KEY not in flat:
        raise SchemaError(f"{path}: a list needs a ListType")
    if not isinstance(flat.get("additionalProperties", {}), Mapping):
        raise SchemaError(f"{path}: additionalProperties needs a schema")


def _flatten(node: Mapping[str, Any], definitions: Mapping[str, Schema], path: str) -> Schema:
    """Resolve references and optional values; what stands beside them wins, rules add up."""
    flat = dict(node)
    if "$ref" in flat:
        target: Mapping[str, Any] = definitions[flat.pop("$ref").removeprefix("#/$defs/")]
    elif "anyOf" in flat:
        # Optional fields may be left out; null is dropped by the API server before it validates.
        choices = [choice for choice in flat.pop("anyOf") if choice != {"type": "null"}]
        if len(choices) != 1:
            raise SchemaError(f"{path}: a choice between types cannot be said in a CRD")
        target = choices[0]
    else:
        return flat
    below = _flatten(target, definitions, path)
    rules = [*below.get(RULES_KEY, []), *flat.get(RULES_KEY, [])]
    return {**below, **flat, **({RULES_KEY: rules} if rules else {})}


def _default(flat: Schema) -> Any:
    """The default as the API server should fill it in; None: none, as absent already means the same."""
    default = flat.get("default")
    if default in ([], {}):
        return None
    if isinstance(default, dict):
        # The defaults of the fields below apply to it; where they have none, absent means the same.
        return {} if any(value is not None for value in default.values()) else None
    return default
