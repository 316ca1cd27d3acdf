"""
What is looked at to judge an installation, and how a judgement is put: values, and the words that checks share. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from bitgoeul.api.names import MANAGED_BY, MANAGED_BY_LABEL
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    MUTATING_BINDING,
    MUTATING_POLICY,
    NAMESPACE,
    NODE,
    OWN_KINDS,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    VALIDATING_BINDING,
    VALIDATING_POLICY,
    Kind,
)
from bitgoeul.planning.observed import NamespaceView, namespace_view

POLICY_KINDS = (MUTATING_POLICY, MUTATING_BINDING, VALIDATING_POLICY, VALIDATING_BINDING)
CHILDREN = (RESOURCE_QUOTA, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
# Read with ``list``; commands that only look need the first of them.
LOOKED_AT = (*OWN_KINDS, NODE, NAMESPACE, RESOURCE_QUOTA)
NAMED = 5  # of many; the rest is a number


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    The outcome of one check.

    Attributes:
        fix: A command; empty where nothing is to be done.
        unready: Nothing works before this is mended.
    """

    check: str
    verdict: Verdict
    found: str
    fix: str = ""
    unready: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What was read.

    Attributes:
        version: The answer to ``/version``.
        definitions: Name → CustomResourceDefinition, those of ours that there are; None: may not be read.
        objects: Kind → its objects; a kind that is absent may not be listed.
        unserved: Kinds that the API server does not know.
        lease: Of the operator; None: there is none, or ``lease_refused``.
        server_time: By the API server's clock; None: it did not say.
        user: The name by which the API server knows the reader.
        absent_roles: ClusterRoles that the operator may give to members and that do not exist; None: may not be read.
        missing_rights: What the reader may not do of what commands that only look do, such as ``list nodes``.
    """

    version: Mapping[str, Any]
    definitions: Mapping[str, Object] | None
    objects: Mapping[Kind, list[Object]]
    lease: Object | None
    lease_refused: bool
    here: datetime
    server_time: datetime | None = None
    unserved: frozenset[Kind] = frozenset()
    user: str = ""
    missing_rights: tuple[str, ...] = ()
    server: str = ""
    absent_roles: tuple[str, ...] | None = ()


# -- words


def unready(check: str, found: str, fix: str) -> Finding:
    """The finding that something is missing without which nothing works."""
    return Finding(check, Verdict.BAD, found, fix, unready=True)


def unread(check: str, right: str) -> Finding:
    """The finding of a check that could not be made."""
    return Finding(check, Verdict.WARN, f"not checked: you may not {right}", "kubectl auth can-i --list")


def named(names: Iterable[str]) -> str:
    """The first few by name."""
    all_ = list(names)
    more = f" and {len(all_) - NAMED} more" if len(all_) > NAMED else ""
    return f"{', '.join(all_[:NAMED])}{more}"


def count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def deletion(kind: Kind, obj: Object) -> str:
    """The command that deletes an object."""
    metadata = obj["metadata"]
    place = f" -n {metadata['namespace']}" if kind.namespaced else ""
    return f"kubectl delete {kind.kind.lower()} {metadata['name']}{place}"


def ours(obj: Object) -> bool:
    """Whether the operator made it."""
    return bool((obj["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGED_BY)


def views(evidence: Evidence) -> list[NamespaceView]:
    return [namespace_view(obj) for obj in evidence.objects[NAMESPACE]]
