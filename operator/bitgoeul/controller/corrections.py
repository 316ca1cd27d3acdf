"""
Tells a repair from a change that was asked for, and counts the repairs.

An object that stood as it was wanted, is wanted the same still, and stands so no longer, was changed or deleted by
somebody else. What stood is remembered as a number, in memory alone: after a restart a first look tells nothing, and
is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from bitgoeul.cluster.kinds import NAMESPACE

Name = tuple[str, str]  # kind and name


class Corrections:
    """See the module's text; ``on_corrected`` gets the kind of what was put right."""

    def __init__(self, on_corrected: Callable[[str], None]) -> None:
        self._on_corrected = on_corrected
        # Namespace (empty: none) → object → what it was wanted to be when it last stood so.
        self._stood: dict[str, dict[Name, int]] = {}

    def stands(self, wanted: Mapping[str, Any], *, written: bool) -> None:
        """
        An object stands as it is wanted.

        Args:
            written: It had to be written for that.
        """
        if written:
            self.put_right(wanted)
        namespace, name = place_of(wanted)
        self._stood.setdefault(namespace, {})[name] = fingerprint(wanted)

    def put_right(self, wanted: Mapping[str, Any]) -> None:
        """Something about an object was written; a repair, if it stood as it is wanted before."""
        namespace, name = place_of(wanted)
        if self._stood.get(namespace, {}).get(name) == fingerprint(wanted):
            self._on_corrected(name[0])

    def marks_restored(self, namespace: str) -> None:
        """A namespace was given back the marks by which it is known as ours; what else it lacks is part of that."""
        if self._stood.get("", {}).pop((NAMESPACE.kind, namespace), None) is not None:
            self._on_corrected(NAMESPACE.kind)

    def deleted(self, kind: str, name: str, namespace: str = "") -> None:
        """An object was deleted because it is not wanted any more."""
        self._stood.get(namespace, {}).pop((kind, name), None)
        if kind == NAMESPACE.kind:
            self.emptied(name)

    def emptied(self, namespace: str) -> None:
        """What was in a namespace went with it: that is one thing to put right, not ten."""
        self._stood.pop(namespace, None)


def place_of(obj: Mapping[str, Any]) -> tuple[str, Name]:
    """Namespace, and kind with name."""
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), (obj["kind"], metadata["name"])


def fingerprint(obj: Mapping[str, Any]) -> int:
    """A number that is the same for the same wish."""
    return hash(orjson.dumps(obj, option=orjson.OPT_SORT_KEYS, default=str))
