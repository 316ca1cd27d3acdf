"""
Objects out of files, as a person has written them: found, checked, or told what is wrong with them and where.

Takes texts, gives frozen values. What only the API server can judge (rules over several fields) is left to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from pydantic import ValidationError

from bitgoeul.api import AcceleratorPool, StoragePool, TenantAllocation
from bitgoeul.api.crd import build_crd
from bitgoeul.api.fields import INT_OR_STRING_KEY, RULES_KEY
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION, GROUP
from bitgoeul.errors import UserError
from bitgoeul.whatif.documents import load

MODELS = {model.__name__: model for model in (AcceleratorPool, StoragePool, TenantAllocation)}
SHOWN_VALUE = 80  # characters of a wrong value


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object of ours; ``place`` is where it was found, such as ``new.yaml, document 2``."""

    place: str
    kind: str
    name: str
    spec: Mapping[str, Any]

    @property
    def title(self) -> str:
        return f"{self.place}, {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """An object that planning does not look at."""

    place: str
    kind: str
    name: str


def read_manifests(source: str, text: str) -> Iterator[Manifest | Skipped]:
    """
    The objects of a file of YAML or JSON, also inside lists.

    Args:
        source: What the file is called in messages.
    Raises:
        UserError: One line with file, document, field, value, and what would be right.
    """
    found = False
    for number, document in enumerate(load(source, text), start=1):
        place = f"{source}, document {number}"
        for obj in unfold(document):
            found = True
            yield read_manifest(place, obj)
    if not found:
        raise UserError(f"{source}: there is no object in it; write AcceleratorPool, StoragePool or TenantAllocation")


def unfold(document: Any) -> Iterator[Any]:
    """The objects of a document: itself, or the items of a list."""
    if isinstance(document, dict) and document.get("kind") == "List" and isinstance(document.get("items"), list):
        yield from document["items"]
    elif document is not None:
        yield document


def read_manifest(place: str, obj: Any) -> Manifest | Skipped:
    """
    One object, checked against its model.

    Raises:
        UserError: It is none, or something in it is wrong.
    """
    if not isinstance(obj, dict):
        raise UserError(f"{place}: {shown(obj)} is no object; write apiVersion, kind, metadata and spec")
    kind, version, metadata = obj.get("kind"), obj.get("apiVersion"), obj.get("metadata")
    if not isinstance(kind, str) or not isinstance(version, str):
        raise UserError(f"{place}: apiVersion and kind are required, such as {API_VERSION} and TenantAllocation")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise UserError(f"{place}, {kind}: metadata.name: {shown(name)}: must be the name of the object, as text")
    if version.partition("/")[0] != GROUP:
        return Skipped(place, kind, name)
    if version != API_VERSION or kind not in MODELS:
        raise UserError(
            f"{place}: there is no {kind} of {version}; write {API_VERSION} and one of {', '.join(sorted(MODELS))}"
        )
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        raise UserError(f"{place}, {kind} {name}: spec: {shown(spec)}: must be a mapping of fields")
    manifest = Manifest(place, kind, name, without_nulls(spec))
    check(manifest)
    return manifest


def without_nulls(value: Any) -> Any:
    """What is left when fields that are null are left out, as the API server leaves them out before it judges."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    return [without_nulls(child) for child in value] if isinstance(value, list) else value


def check(manifest: Manifest) -> None:
    """
    See that the spec has only fields that exist, and values that the model takes.

    Raises:
        UserError: The first thing that is wrong.
    """
    schema = schema_of(manifest.kind)
    for wrong in unknown_fields(manifest.spec, schema["properties"]["spec"], "spec"):
        raise UserError(f"{manifest.title}: {wrong}")
    for path, number in numbers(manifest.spec, "spec"):
        if not math.isfinite(number) or not -(2**63) <= number < 2**63:
            raise UserError(f"{manifest.title}: {path}: {shown(number)}: must be a number between -2^63 and 2^63 - 1")
    try:
        # As JSON and strictly, as the API server reads it: "8" is no number.
        body = orjson.dumps({"metadata": {"name": manifest.name}, "spec": manifest.spec})
        MODELS[manifest.kind].model_validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = path_text(first["loc"])
        if first["type"] == "missing":
            raise UserError(f"{manifest.title}: {path}: is required") from error
        value = value_at(manifest, first["loc"])
        right = rule_at(schema, first["loc"], value) or first["msg"].replace("Input should", "must")
        raise UserError(f"{manifest.title}: {path}: {shown(value)}: {right}") from error
    except TypeError as error:  # what JSON does not have, such as sets
        raise UserError(f"{manifest.title}: spec: cannot be written as JSON: {error}") from error


def unknown_fields(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Fields that the schema does not have; the models would pass over them, and the answer would be to another ask."""
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            yield from unknown_fields(item, schema["items"], f"{path}[{number}]")
    elif isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        for key, child in value.items():
            if key in known:
                yield from unknown_fields(child, known[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: there is no such field; {path} has {', '.join(sorted(known))}"


def numbers(value: Any, path: str) -> Iterator[tuple[str, int | float]]:
    """All numbers with their paths."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from numbers(item, f"{path}[{number}]")
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from numbers(child, f"{path}.{key}")
    elif isinstance(value, int | float):
        yield path, value


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """The schema of one of our kinds as the API server has it."""
    crd = build_crd(next(known for known in KINDS if known.name == kind))
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def rule_at(schema: Mapping[str, Any], path: tuple[int | str, ...], value: Any) -> str:
    """What the schema says would be right at a path instead of a value; empty where it says nothing."""
    node: Any = schema
    for step in path:
        properties = node.get("properties") or {}
        node = node.get("items") if isinstance(step, int) else properties.get(step, node.get("additionalProperties"))
        if not isinstance(node, dict):
            return ""
    # In YAML no, 007 and 1.20 are none.
    if node.get("type") == "string" and "enum" not in node and not isinstance(value, str):
        return "must be text" if isinstance(value, dict | list) else "must be text: put it in quotes"
    if node.get("type") != "string" and INT_OR_STRING_KEY not in node:
        return ""
    return next((str(rule["message"]) for rule in node.get(RULES_KEY, ())), "")


def value_at(manifest: Manifest, path: tuple[int | str, ...]) -> Any:
    """What stands at a path, as it was written; None where nothing does."""
    value: Any = {"spec": manifest.spec}
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def path_text(path: tuple[int | str, ...]) -> str:
    """A path as people write it: ``spec.accelerators[0].devices``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def shown(value: Any) -> str:
    """A value as text, not too long."""
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN_VALUE else f"{text[:SHOWN_VALUE]}…"
