"""
Knows which writes did not take: what was answered is not what was written.

Another admission policy or webhook changes such an object back within the request itself, so that the API server
answers without an error. The same write is tried again after a while, and at once when the object has changed. Memory
only: after a restart the next write finds out again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from bitgoeul.api.names import ALLOCATION_LABEL
from bitgoeul.cluster.kinds import NAMESPACE, RESOURCE_QUOTA
from bitgoeul.controller.corrections import fingerprint
from bitgoeul.desired.drift import Difference, first_difference

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0
# Ends what is said of a write that did not take.
CHANGED_BACK = "another admission policy or webhook changes it"
# Kinds without which nobody new is let into a namespace: they bound what is in it.
BOUNDS = (NAMESPACE.kind, RESOURCE_QUOTA.kind)
# Set by the server; an object that differs in nothing else has not changed.
VERSION_FIELDS = ("resourceVersion", "managedFields", "generation")

Key = tuple[str, str, str, str]  # kind, namespace, name, and which part of the object was written; empty: all


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One write that did not take.

    Attributes:
        allocation: Whose object it is; empty: a pool's, or everybody's.
        wanted, found: Fingerprints of what was written, and of what stands all the same.
    """

    allocation: str
    wanted: int
    found: int
    at: float
    text: str


class Unkept:
    """See the module's text; ``on_change`` gets kind → number of objects that do not stand as they were written."""

    def __init__(self, on_change: Callable[[Mapping[str, int]], None] = lambda _: None) -> None:
        self._attempts: dict[Key, Attempt] = {}
        self._on_change = on_change

    def waits(self, wanted: Mapping[str, Any], observed: Mapping[str, Any], part: str = "") -> bool:
        """Tell whether this write was in vain a short while ago, on an object that has not changed since."""
        last = self._attempts.get(key_of(wanted, part))
        return (
            last is not None
            and last.wanted == fingerprint(wanted)
            and last.found == fingerprint(content(observed))
            and time.monotonic() < last.at + RETRY_SECONDS
        )

    def judge(
        self, wanted: Mapping[str, Any], answer: Mapping[str, Any], left: Difference | None = None, part: str = ""
    ) -> bool:
        """
        Take in the answer to a write; True when the object stands as it was written.

        Args:
            left: What still differs, where that is not by the rules of ``first_difference``.
        """
        left = left or first_difference(wanted, answer)
        if left is None:
            self.stands(wanted, part)
            return True
        text = f"{place_of(wanted)}: {left}: {CHANGED_BACK}"
        key = key_of(wanted, part)
        before = self._attempts.get(key)
        if before is None or before.text != text:
            log.warning("%s", text)
        allocation = (wanted["metadata"].get("labels") or {}).get(ALLOCATION_LABEL, "")
        self._attempts[key] = Attempt(
            allocation, fingerprint(wanted), fingerprint(content(answer)), time.monotonic(), text
        )
        self._tell()
        return False

    def stands(self, wanted: Mapping[str, Any], part: str = "") -> None:
        """Take note that an object stands as it is wanted."""
        self._drop(lambda key: key == key_of(wanted, part))

    def forget(self, kind: str, name: str, namespace: str = "") -> None:
        """Drop what is remembered of an object that is gone; of a namespace with all that was in it."""
        inside = name if kind == NAMESPACE.kind else None
        self._drop(lambda key: key[:3] == (kind, namespace, name) or (inside is not None and key[1] == inside))

    def forget_allocation(self, name: str) -> None:
        """Drop what is remembered of an allocation that is gone."""
        self._drop(lambda key: self._attempts[key].allocation == name)

    def forget_others(self, kind: str, namespace: str, names: Container[str]) -> None:
        """Drop what is remembered of objects of a kind in a namespace that are not wanted any more."""
        self._drop(lambda key: key[:2] == (kind, namespace) and key[2] not in names)

    def texts(self, allocation: str) -> list[str]:
        """Return what does not stand of an allocation, for people; of an empty name what belongs to none."""
        return sorted(attempt.text for attempt in self._attempts.values() if attempt.allocation == allocation)

    def bars(self, namespace: str) -> str:
        """Return why nobody new may be let into a namespace; empty: nothing bars."""
        found = [
            attempt.text
            for (kind, place, _, _), attempt in sorted(self._attempts.items())
            if place == namespace and kind in BOUNDS
        ]
        return "; ".join(found)

    def _drop(self, which: Callable[[Key], bool]) -> None:
        gone = [key for key in self._attempts if which(key)] if self._attempts else []
        for key in gone:
            log.info("%s %s stands as it was written, or is gone", key[0], key[2])
            del self._attempts[key]
        if gone:
            self._tell()

    def _tell(self) -> None:
        counts: dict[str, int] = {}
        for kind, *_ in self._attempts:
            counts[kind] = counts.get(kind, 0) + 1
        self._on_change(counts)


def key_of(obj: Mapping[str, Any], part: str) -> Key:
    """What an attempt is remembered by; a Namespace is counted as inside itself."""
    metadata = obj["metadata"]
    inside = metadata["name"] if obj["kind"] == NAMESPACE.kind else metadata.get("namespace", "")
    return obj["kind"], inside, metadata["name"], part


def place_of(obj: Mapping[str, Any]) -> str:
    """An object as people call it."""
    metadata = obj["metadata"]
    inside = f" in {metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{obj['kind']} {metadata['name']}{inside}"


def content(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What an object says, without its status and what the server counts."""
    metadata = {key: value for key, value in obj["metadata"].items() if key not in VERSION_FIELDS}
    return {**{key: value for key, value in obj.items() if key != "status"}, "metadata": metadata}
