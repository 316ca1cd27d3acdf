"""Whether a value is what a schema of ours allows, as far as types and bounds go; rules are the API server's matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bitgoeul.api.crd import build_crd
from bitgoeul.api.kinds import KINDS

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": (list, tuple),
    "string": str,
    "boolean": bool,
    "integer": int,
}
INTEGERS = (-(2**63), 2**63 - 1)  # larger ones are no integers to the API server


def status_schema(kind: str) -> dict[str, Any]:
    """The schema of a kind's status."""
    crd = build_crd(next(one for one in KINDS if one.name == kind))
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    return schema


def violations(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """What in a value the API server would refuse."""
    wanted = schema.get("type")
    if wanted and (not isinstance(value, TYPES[wanted]) or (wanted == "integer" and isinstance(value, bool))):
        yield f"{path}: {value!r} is no {wanted}"
    elif isinstance(value, dict):
        yield from of_object(value, schema, path)
    elif isinstance(value, list | tuple):
        if len(value) > schema["maxItems"]:
            yield f"{path}: {len(value)} entries"
        for number, item in enumerate(value):
            yield from violations(item, schema["items"], f"{path}[{number}]")
    elif isinstance(value, str) and len(value) > schema.get("maxLength", len(value)):
        yield f"{path}: {len(value)} characters"
    elif isinstance(value, int) and not isinstance(value, bool):
        least, most = schema.get("minimum", INTEGERS[0]), schema.get("maximum", INTEGERS[1])
        if not max(least, INTEGERS[0]) <= value <= min(most, INTEGERS[1]):
            yield f"{path}: {value} is out of bounds"


def of_object(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """What in an object or a map the API server would refuse, or drop."""
    yield from (f"{path}.{name}: is required" for name in schema.get("required", ()) if name not in value)
    if "additionalProperties" in schema:
        if len(value) > schema["maxProperties"]:
            yield f"{path}: {len(value)} entries"
        for name, child in value.items():
            yield from violations(child, schema["additionalProperties"], f"{path}.{name}")
        return
    for name, child in value.items():
        if name in schema["properties"]:
            yield from violations(child, schema["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name}: there is no such field"
