"""
Whether what stands in the cluster is what was asked for.

Desired has to be contained in observed: fields and labels of others are left alone. Two things are stricter. A list
is ours as a whole, down to the fields of its items, because apply replaces it as a whole. And an empty list or
mapping that we state means that nothing may be there: this is how a policy says that nobody has added an exception to
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitgoeul.api.quantities import parse_quantity
from bitgoeul.errors import QuantityError

# Below these keys stand quantities, which the API server may spell differently.
QUANTITY_MAPS = frozenset({"hard", "requests", "limits", "capacity", "allocatable", "default", "defaultRequest"})


def differs(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> bool:
    """
    Tell whether an object has to be written.

    Args:
        desired: As a builder gives it.
        observed: The whole object as the API server gives it; absent, null and empty mean the same in it.
    """
    return not _fields_match(observed, desired, whole=False)


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
