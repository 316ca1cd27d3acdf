"""
Whether what stands in the cluster is what was asked for.

Desired has to be contained in observed: fields and labels of others are left alone. Two things are stricter. A list
is ours as a whole, down to the fields of its items, because apply replaces it as a whole. And an empty list or
mapping that we state means that nothing may be there: this is how a policy says that nobody has added an exception to
it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bitgoeul.api.quantities import parse_quantity
from bitgoeul.errors import QuantityError

# Below these keys stand quantities, which the API server may spell differently.
QUANTITY_MAPS = frozenset({"hard", "requests", "limits", "capacity", "allocatable", "default", "defaultRequest"})

# In a message; the rest of a value, and of what a list has too much, is left out.
MAX_VALUE = 80
MAX_ITEMS = 3
LEAD = 20  # characters before that by which two long values differ


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
        if _is_empty(self.found):
            return f"{self.field} is missing although {_brief(self.wanted)} was written"
        if isinstance(self.wanted, list | tuple) and isinstance(self.found, list | tuple):
            return f"{self.field} stays {_items_text(self.wanted, self.found)}"
        start = _same_length(_text(self.wanted), _text(self.found)) - LEAD
        return f"{self.field} stays {_brief(self.found, start)} although {_brief(self.wanted, start)} was written"


def first_difference(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> Difference | None:
    """Name the first field by which ``differs`` tells two objects apart; None: it does not."""
    return _first(desired, observed, whole=False)


def _first(desired: Mapping[str, Any], observed: Mapping[str, Any], *, whole: bool) -> Difference | None:
    for key in {**desired, **observed} if whole else desired:
        value, found = desired.get(key), observed.get(key)
        if _field_matches(key, found, value, whole=whole):
            continue
        if key == "ownerReferences":  # those of others are no difference
            found = [seen for seen in found or () if any(_matches(seen, one, whole=False) for one in value or ())]
        return _inside(key, value, found, whole=whole) or Difference(key, value, found)
    return None


def _inside(key: str, desired: Any, observed: Any, *, whole: bool) -> Difference | None:
    """Name the difference within a field; None: it is the field as a whole."""
    if _is_empty(desired):
        return None
    if isinstance(desired, Mapping) and isinstance(observed, Mapping):
        inner = (
            _with_units(desired, observed, whole=whole)
            if key in QUANTITY_MAPS
            else _first(desired, observed, whole=whole)
        )
        return None if inner is None else replace(inner, field=_path(key, inner.field))
    if isinstance(desired, list | tuple) and isinstance(observed, list | tuple) and len(desired) == len(observed):
        pairs = enumerate(zip(desired, observed, strict=True))
        other = [(at, item, seen) for at, (item, seen) in pairs if not _matches(seen, item, whole=True)]
        if len(other) == 1:
            ((at, item, seen),) = other
            return _inside(f"{key}[{at}]", item, seen, whole=True)
    return None


def _with_units(desired: Mapping[str, Any], observed: Mapping[str, Any], *, whole: bool) -> Difference | None:
    """The first difference in a mapping of quantities, compared by value and told as they are written."""
    for name in {**desired, **observed} if whole else desired:
        if _value(observed.get(name)) != _value(desired.get(name)):
            return Difference(name, desired.get(name), observed.get(name))
    return None


# Maps of an object's metadata → what people call an entry.
_ENTRIES = {"labels": "label", "annotations": "annotation"}


def _path(key: str, field: str) -> str:
    if key in _ENTRIES:
        return f"{_ENTRIES[key]} {field}"
    return field if key == "metadata" else f"{key}.{field}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _brief(value: Any, start: int = 0) -> str:
    """A value, or what fits of it from ``start`` on, where it is too long as a whole."""
    text = _text(value)
    if len(text) <= MAX_VALUE:
        return text
    room = MAX_VALUE - 1
    begin = max(0, min(start, len(text) - room))
    end = begin + room
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"


def _same_length(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _items_text(wanted: Sequence[Any], found: Sequence[Any]) -> str:
    """Say by which items a list differs: what it has too much, and what it lacks."""
    alike = _alike([*wanted, *found])
    extra, missing = (
        [{key: value for key, value in item.items() if key not in alike} or item if alike else item for item in items]
        for items in (_beyond(found, wanted), _beyond(wanted, found))
    )
    parts = [f"with {_some(extra)} too much"] if extra else []
    parts += [f"without {_some(missing)}"] if missing else []
    return " and ".join(parts) or "in another order than it was written"


def _alike(items: Sequence[Any]) -> set[str]:
    """Fields that say the same in each item, and so nothing of one; none where items have no fields."""
    first = items[0]
    if not all(isinstance(item, Mapping) for item in items):
        return set()
    return {key for key, value in first.items() if all(key in item and item[key] == value for item in items)}


def _some(items: Sequence[Any]) -> str:
    more = f" and {len(items) - MAX_ITEMS} more" if len(items) > MAX_ITEMS else ""
    return f"{', '.join(map(_brief, items[:MAX_ITEMS]))}{more}"


def _beyond(items: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Those of the items that others lack, each as often as it is there too often."""
    left, beyond = list(others), []
    for item in items:
        at = next((at for at, other in enumerate(left) if _matches(item, other, whole=True)), None)
        if at is None:
            beyond.append(item)
        else:
            del left[at]
    return beyond


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
