"""Puts what ``bitgoeul plan`` says about consequences: how many pods, who, which namespaces and data, when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bitgoeul.api.quantities import format_brief
from bitgoeul.cli.output import instant_of
from bitgoeul.cluster.client import Api, ApiError, Object
from bitgoeul.cluster.kinds import POD, VOLUME_CLAIM, Kind
from bitgoeul.controller.eviction import youngest_beyond
from bitgoeul.planning.moments import day
from bitgoeul.planning.pods import may_hold
from bitgoeul.whatif.consequences import AccessLoss, Consequences, Eviction, Fate, Leaving, LostData, MemberKey

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Inventory:
    """Holds what was found in namespaces; a namespace that is absent could not be looked into."""

    pods: Mapping[str, list[Object]] = field(default_factory=dict)
    claims: Mapping[str, list[Object]] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()  # plurals of what the reader may not list

    def evicted(self, evictions: Sequence[Eviction]) -> list[int | None]:
        """Count the pods that each means, of those that run now; one that goes earlier counts there. None: unknown."""
        counts: list[int | None] = [None] * len(evictions)
        gone: set[str] = set()
        for number, one in in_time(enumerate(evictions)):
            chosen = self.chosen(one)
            if chosen is not None:
                counts[number] = len(chosen - gone)
                gone |= chosen
        return counts

    def chosen(self, one: Eviction) -> frozenset[str] | None:
        """The UIDs of the pods that an eviction means, of those that run now; None: not counted."""
        pods = self.pods.get(one.namespace)
        if pods is None:
            return None
        staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        found = staying if one.limits is None else youngest_beyond(pods, dict(one.limits))
        return frozenset(str(pod["metadata"]["uid"]) for pod in found)


def in_time(evictions: Iterable[tuple[T, Eviction]]) -> list[tuple[T, Eviction]]:
    """In the order in which they come; what nobody can date is last."""
    return sorted(evictions, key=lambda one: (one[1].at is None, one[1].at or 0))


async def look_into(api: Api, found: Iterable[Consequences]) -> Inventory:
    """
    List the pods and claims of the namespaces that lose some, as the reader may.

    Raises:
        ApiError: It is refused for another reason.
    """
    all_ = list(found)
    emptied = sorted({one.namespace for each in all_ for one in each.evictions})
    deleted = sorted({one.name for each in all_ for one in each.namespaces if one.fate is Fate.DELETED})
    pods, claims = await asyncio.gather(_list(api, POD, emptied), _list(api, VOLUME_CLAIM, deleted))
    refused = {
        kind.plural
        for kind, wanted, had in ((POD, emptied, pods), (VOLUME_CLAIM, deleted, claims))
        if len(had) < len(wanted)
    }
    running = {name: [pod for pod in there if may_hold(pod)] for name, there in pods.items()}
    return Inventory(running, claims, frozenset(refused))


async def _list(api: Api, kind: Kind, namespaces: Iterable[str]) -> dict[str, list[Object]]:
    found = {}
    for namespace in namespaces:
        try:
            found[namespace], _ = await api.list_all(kind.path("", namespace))
        except ApiError as error:
            if error.status != 403:
                raise
    return found


# -- for people


def consequence_lines(name: str, found: Consequences, inventory: Inventory, now: int) -> list[str]:
    """One line for each thing that happens, with the allocation in front."""
    lines = [
        *_eviction_lines(found.evictions, inventory, now),
        *_access_lines(found.access, now),
        *(_namespace_line(one, found.data, inventory, now) for one in found.namespaces),
    ]
    return [f"{name}  {line}" for line in lines]


def _eviction_lines(evictions: Sequence[Eviction], inventory: Inventory, now: int) -> list[str]:
    """What happens at one time for one reason is one line, in however many namespaces; none where no pod is."""
    together: dict[tuple[str, int | None], list[int | None]] = {}
    for count, one in in_time(zip(inventory.evicted(evictions), evictions, strict=True)):
        together.setdefault((one.reason, one.at), []).append(count)
    lines = []
    for (reason, at), counts in together.items():
        known = [count for count in counts if count is not None]
        counted = len(known) == len(counts)
        if counted and not sum(known):
            continue
        lines.append(f"evicts {pods_text(sum(known)) if counted else 'pods'} {when(at, now)} ({reason})")
    return lines


def _access_lines(access: Iterable[AccessLoss], now: int) -> list[str]:
    together: dict[tuple[Any, ...], list[str]] = {}
    for one in access:
        # A lower role is told with the one that it replaces; all who may only look are told together. ClusterRoles are
        # told where nothing else is lost: without access, or only looking, nobody has any.
        alone = one.cluster_roles if one.keeps == one.had else ()
        keeps = None if alone else one.keeps
        key = (keeps, one.had if one.reason == "a lower role" else None, one.at, one.reason, one.namespace, alone)
        together.setdefault(key, []).append(member_text(one.member))
    lines = []
    for (keeps, had, at, reason, _, alone), members in together.items():
        who, many = ", ".join(members), len(members) > 1
        if alone:
            roles = f"ClusterRole{'s' if len(alone) > 1 else ''} {', '.join(alone)}"
            what = f"{'lose' if many else 'loses'} {roles}"
        elif keeps is None:
            what = f"{'lose' if many else 'loses'} access"
        elif had is None:
            what = "may only look"
        else:
            what = f"{'have' if many else 'has'} {keeps} instead of {had}"
        lines.append(f"{who} {what} {when(at, now)} ({reason})")
    return lines


def _namespace_line(one: Leaving, data: Iterable[LostData], inventory: Inventory, now: int) -> str:
    if one.fate is Fate.KEPT:
        return f"leaves namespace {one.name} {when(one.at, now)}: it is closed, and kept with its data"
    held = sum(lost.amount for lost in data if lost.namespace == one.name)
    claims = inventory.claims.get(one.name)
    counted = f" in {len(claims)} {'claim' if len(claims) == 1 else 'claims'}" if claims else ""
    content = f" with {format_brief(held)} of data{counted}" if held else " without data"
    return f"deletes namespace {one.name}{content} {when(one.at, now)} ({one.reason})"


def uncounted_line(inventory: Inventory) -> str:
    """What the reader may not list; empty where all was counted."""
    kinds = " and ".join(sorted(inventory.refused, reverse=True))
    return f"{kinds} not counted: you may not list {kinds}" if kinds else ""


def when(at: int | None, now: int) -> str:
    if at is None:
        return "once it is granted"
    return "at once" if at <= now else day(at)


def pods_text(number: int) -> str:
    return f"{number} {'pod' if number == 1 else 'pods'}"


def member_text(member: MemberKey) -> str:
    kind, namespace, name = member
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def in_short(found: Mapping[str, Consequences], inventory: Inventory) -> list[str]:
    """All consequences in a few words, for the summary."""
    evictions = [inventory.chosen(one) for each in found.values() for one in each.evictions]
    parts = []
    if evictions:
        known = [pods for pods in evictions if pods is not None]
        number = len(frozenset().union(*known))  # a pod goes once, for however many reasons
        counted = len(known) == len(evictions)
        verb = "are" if number != 1 or not counted else "is"
        if number or not counted:
            parts.append(f"{pods_text(number) if counted else 'pods'} {verb} evicted")
    losing = {(name, one.member) for name, each in found.items() for one in each.access}
    if losing:
        parts.append(f"{len(losing)} {'member loses' if len(losing) == 1 else 'members lose'} access or rights")
    for fate, words in ((Fate.KEPT, "left and kept"), (Fate.DELETED, "deleted")):
        number = sum(one.fate is fate for each in found.values() for one in each.namespaces)
        if number:
            parts.append(f"{number} {'namespace is' if number == 1 else 'namespaces are'} {words}")
    return parts


# -- for programs


def as_json(found: Consequences, inventory: Inventory) -> dict[str, Any]:
    return {
        "evictions": [
            {"namespace": one.namespace, "pods": count, "at": instant_of(one.at), "reason": one.reason}
            for count, one in zip(inventory.evicted(found.evictions), found.evictions, strict=True)
        ],
        "accessLost": [
            {
                "member": {"kind": one.member[0], "namespace": one.member[1] or None, "name": one.member[2]},
                "namespace": one.namespace or None,
                "from": one.had,
                "to": one.keeps,
                "clusterRoles": list(one.cluster_roles),
                "at": instant_of(one.at),
                "reason": one.reason,
            }
            for one in found.access
        ],
        "namespaces": [
            {"name": one.name, "fate": one.fate, "at": instant_of(one.at), "reason": one.reason}
            for one in found.namespaces
        ],
        "data": [
            {
                "namespace": one.namespace,
                "pool": one.pool,
                "bytes": one.amount,
                "claims": claim_names(inventory, one.namespace),
                "at": instant_of(one.at),
            }
            for one in found.data
        ],
    }


def claim_names(inventory: Inventory, namespace: str) -> list[str] | None:
    """The claims of a namespace; None: not looked for."""
    claims = inventory.claims.get(namespace)
    return None if claims is None else sorted(str(claim["metadata"]["name"]) for claim in claims)
