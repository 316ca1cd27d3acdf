"""Whether somebody else caps what tenants may do with their grant: one finding about foreign LimitRanges. Pure."""

from __future__ import annotations

from typing import Any

from bitgoeul.cli.evidence import NAMED, Evidence, Finding, Verdict, count, deletion, named, ours, unread, views
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import LIMIT_RANGE, NAMESPACE

# How each field of a limit binds whoever says nothing, or too much.
WORDS = {
    "default": "limited to {} where nothing is said",
    "defaultRequest": "asks for {} where nothing is said",
    "max": "at most {}",
    "min": "at least {}",
    "maxLimitRequestRatio": "limit at most {} times the request",
}


def check_limits(evidence: Evidence) -> Finding:
    """Whether a tenant namespace has a LimitRange of somebody else: it refuses pods that the grant has room for."""
    name = "limits"
    refused = [kind.plural for kind in (NAMESPACE, LIMIT_RANGE) if kind not in evidence.objects]
    if refused:
        return unread(name, f"list {', '.join(refused)}")
    tenants = {one.name for one in views(evidence) if one.allocation_uid}
    foreign = sorted(
        (one for one in evidence.objects[LIMIT_RANGE] if one["metadata"]["namespace"] in tenants and not ours(one)),
        key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]),
    )
    if not foreign:
        return Finding(name, Verdict.OK, f"no foreign LimitRange in {count(len(tenants), 'tenant namespace')}")
    places = sorted({one["metadata"]["namespace"] for one in foreign})
    # One namespace at a time is told in full, and mended.
    here = [one for one in foreign if one["metadata"]["namespace"] == places[0]]
    texts = [f"{one['metadata']['name']} in {places[0]}: {limits_text(one)}" for one in here[:NAMED]]
    texts += [f"{len(here) - NAMED} more there"] if len(here) > NAMED else []
    what = "a foreign LimitRange" if len(foreign) == 1 else f"{len(foreign)} foreign LimitRanges"
    found = f"{what} in {named(places)}: pods that the grant has room for may be refused; {'; '.join(texts)}"
    return Finding(name, Verdict.WARN, found, " && ".join(deletion(LIMIT_RANGE, one) for one in here[:NAMED]))


def limits_text(obj: Object) -> str:
    """What a LimitRange caps, such as ``Container at most cpu 2``."""
    rows: list[dict[str, Any]] = (obj.get("spec") or {}).get("limits") or []
    return "; ".join(filter(None, map(limit_text, rows))) or "it caps nothing"


def limit_text(row: dict[str, Any]) -> str:
    """One kind of thing, and how it is bound; empty where it is not."""
    parts = [
        words.format(", ".join(f"{resource} {amount}" for resource, amount in sorted(row[field].items())))
        for field, words in WORDS.items()
        if row.get(field)
    ]
    return f"{row.get('type', 'something')} {', '.join(parts)}" if parts else ""
