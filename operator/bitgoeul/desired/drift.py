"""
Whether what stands in the cluster is what was asked for.

Desired has to be contained in observed: fields and labels of others are left alone. Two things are stricter. A list
is ours as a whole, down to the fields of its items, because apply replaces it as a whole. And an empty list or
mapping that we state means that nothing may be there: this is how a policy says that nobody has added an exception to
it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bitgoeul.api.quantities import parse_quantity
from bitgoeul.errors import QuantityError

# Below these keys stand quantities, which the API server may spell differently.
QUANTITY_MAPS = frozenset({"hard", "requests", "limits", "capacity", "allocatable", "default", "defaultRequest"})

# In a message; the rest of a value is left out.
MAX_VALUE = 80


def differs(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> bool:
    """
    Tell whether an object has to be written.

    Args:
        desired: As a builder gives it.
        observed: The whole object as the API server gives it; absent, null and empty mean the same in it.
    """
    return not _fields_match(observed, desired, whole=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not what was written: its name for people, and both values; None: absent."""

    field: str
    wanted: Any
    found: Any

    def __str__(self) -> str:
        if _is_empty(self.wanted):
            return f"{self.field} stays {_brief(self.found)} although it was taken away"
        stands = "is missing" if _is_empty(self.found) else f"stays {_brief(self.found)}"
        return f"{self.field} {stands} although {_brief(self.wanted)} was written"


def first_difference(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> Difference | None:
    """Name the first field by which ``differs`` tells two objects apart; None: it does not."""
    for key, value in desired.items():
        found = observed.get(key)
        if _field_matches(key, found, value, whole=False):
            continue
        if isinstance(value, Mapping) and value and isinstance(found, Mapping):
            inner = _with_units(key, value, found)
            if inner is not None:
                return replace(inner, field=_path(key, inner.field))
        return Difference(key, value, found)
    return None


def _with_units(key: str, desired: Mapping[str, Any], observed: Mapping[str, Any]) -> Difference | None:
    """The first difference in a mapping; quantities are compared by value and told as they are written."""
    if key not in QUANTITY_MAPS:
        return first_difference(desired, observed)
    for name, quantity in desired.items():
        if _value(observed.get(name)) != _value(quantity):
            return Difference(name, quantity, observed.get(name))
    return None


# Maps of an object's metadata → what people call an entry.
_ENTRIES = {"labels": "label", "annotations": "annotation"}


def _path(key: str, field: str) -> str:
    if key in _ENTRIES:
        return f"{_ENTRIES[key]} {field}"
    return field if key == "metadata" else f"{key}.{field}"


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _fields_match(observed: Mapping[str, Any], desired: Mapping[str, Any], *, whole: bool) -> bool:
    if whole and any(key not in desired and not _is_empty(value) for key, value in observed.items()):
        return False
    return all(_field_matches(key, observed.get(key), value, whole=whole) for key, value in desired.items())


def _field_matches(key: str, observed: Any, desired: Any, *, whole: bool) -> bool:
    if key == "ownerReferences":
        return _holds_each(observed or (), desired)
    if key in QUANTITY_MAPS and isinstance(desired, Mapping) and isinstance(observed, Mapping):
        observed = _with_values(observed)
        desired = _with_values(desired)
    return _matches(observed, desired, whole=whole)


def _matches(observed: Any, desired: Any, *, whole: bool) -> bool:
    if _is_empty(desired):
        return _is_empty(observed)
    if isinstance(desired, Mapping):
        return isinstance(observed, Mapping) and _fields_match(observed, desired, whole=whole)
    if isinstance(desired, list | tuple):
        if not isinstance(observed, list | tuple) or len(observed) != len(desired):
            return False
        return all(_matches(seen, item, whole=True) for seen, item in zip(observed, desired, strict=True))
    return bool(observed == desired)


def _holds_each(observed: Any, desired: Any) -> bool:
    """Owner references are merged by UID: those of others stay beside ours."""
    return all(any(_matches(seen, reference, whole=False) for seen in observed) for reference in desired)


def _with_values(quantities: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value(quantity) for key, quantity in quantities.items()}


def _value(quantity: Any) -> Any:
    try:
        return parse_quantity(quantity)
    except (QuantityError, TypeError):  # not a quantity after all: compared as it is
        return quantity


def _is_empty(value: Any) -> bool:
    return value is None or value in ({}, [], ())
