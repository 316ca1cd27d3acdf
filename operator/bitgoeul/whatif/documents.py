"""
YAML and JSON as kubectl reads them: documents out of a text, with the values that the API server would be sent.

kubectl reads by the rules of YAML 1.1, and not by all of them: ``yes`` and ``y`` are true, ``010`` is eight, ``1e+06``
is a million, but ``1:30`` and a moment stay the texts that they are. What it makes of them goes to the API server as
JSON, where a number has no type: ``8.0`` is 8.

Source: go.yaml.in/yaml/v2 (``resolve.go``, ``decode.go``) and sigs.k8s.io/yaml, which kubectl uses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator
from decimal import Decimal
from typing import Any

import yaml

from bitgoeul.errors import UserError

STR, NULL, BOOL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null", "tag:yaml.org,2002:bool"
INT, FLOAT, MERGE = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:merge"
TIMESTAMP = "tag:yaml.org,2002:timestamp"

_WORDS: dict[str, tuple[str, Any]] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], (BOOL, True)),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], (BOOL, False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), (NULL, None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), (FLOAT, math.nan)),
    **{sign + word: (FLOAT, math.inf) for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), (FLOAT, -math.inf)),
    "<<": (MERGE, "<<"),
}
_INTEGER = re.compile(
    r"(?P<sign>[+-]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[oO]?(?P<o>[0-7]+)|0[bB](?P<b>[01]+)|(?P<d>0|[1-9][0-9]*))"
)
_BASES = {"x": 16, "o": 8, "b": 2, "d": 10}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
# A number in JSON has an exponent from here on, and is no integer to the API server.
_LONGEST_INTEGER = 10**21


def load(source: str, text: str) -> Iterator[Any]:
    """
    Give the documents of a text; empty ones count, and give None.

    Args:
        source: What the text is called in messages.
    Raises:
        UserError: It is no YAML, or holds what JSON has no word for.
    """
    try:
        yield from yaml.load_all(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{source}{where}: not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise UserError(f"{source}: not YAML: {error}") from error


def resolve(text: str) -> tuple[str, Any]:
    """Tell what a text without quotes is: its tag, and its value as JSON has it."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == ".":
        return _read_float(text)
    if text[0] not in "+-0123456789":
        return STR, text
    plain = text.replace("_", "")
    match = _INTEGER.fullmatch(plain)
    if match is not None:
        base = match.lastgroup or "d"
        value = int(f"{match['sign']}{match[base]}", _BASES[base])
        if -(2**63) <= value < 2**63 or (not match["sign"] and value < 2**64):
            return INT, value
    found = _read_float(plain) if _FLOAT.fullmatch(plain) else (STR, text)
    return found if found[0] == FLOAT else (STR, text)


def _read_float(text: str) -> tuple[str, Any]:
    """The number that a text is; one that is too large is no number but a text."""
    try:
        value = float(text) if text.isascii() else math.inf
    except ValueError:
        return STR, text
    return (STR, text) if math.isinf(value) else (FLOAT, _as_json(value))


def _as_json(value: float) -> int | float:
    """A number as the API server reads it out of JSON: a whole one is an integer."""
    return int(Decimal(repr(value))) if value.is_integer() and abs(value) < _LONGEST_INTEGER else value


class _Loader(yaml.SafeLoader):
    """Reads as kubectl does, but takes a key that comes twice for an error; kubectl takes the last one."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return resolve(value)[0] if implicit[0] else STR
        found: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return found

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if event.tag == "!":  # a text, whatever it looks like
            event.implicit = (False, True)
        return super().compose_scalar_node(anchor)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                # In the order in which they stand: what comes later wins, be it merged or written out.
                self._merge(value_node, mapping)
                continue
            key = self._read_key(key_node)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"{key!r} stands here twice", problem_mark=key_node.start_mark)
            seen.add(key)
            mapping[key] = self.construct_object(value_node, deep=True)
        return mapping

    def _merge(self, node: yaml.Node, mapping: dict[Hashable, Any]) -> None:
        # Of several the first wins.
        for part in reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(part, yaml.MappingNode):
                raise yaml.MarkedYAMLError(
                    problem="<< needs a mapping, or a list of such", problem_mark=node.start_mark
                )
            mapping.update(self.construct_mapping(part, deep=True))

    def _read_key(self, node: yaml.Node) -> str:
        """A key as JSON has it: a text."""
        key = self.construct_object(node, deep=True) if isinstance(node, yaml.ScalarNode) else None
        if isinstance(key, bool):
            return str(key).lower()
        if isinstance(key, str | int):
            return str(key)
        raise yaml.MarkedYAMLError(
            problem=f"a key must be a text; put {node.value if isinstance(node, yaml.ScalarNode) else 'it'} in quotes",
            problem_mark=node.start_mark,
        )


def _construct(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """The value of a text whose tag was found, or stands before it."""
    tag, value = resolve(node.value)
    if tag == node.tag or (node.tag == FLOAT and tag == INT):
        return value
    name = node.tag.rpartition(":")[2]
    raise yaml.MarkedYAMLError(problem=f"{node.value!r} is no {name}", problem_mark=node.start_mark)


for _tag in (NULL, BOOL, INT, FLOAT, MERGE):
    _Loader.add_constructor(_tag, _construct)
_Loader.add_constructor(TIMESTAMP, lambda loader, node: node.value)
