"""
A cluster with changes that nobody has made: new and changed objects put into what was observed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bitgoeul.api import AcceleratorPool, StoragePool, TenantAllocation
from bitgoeul.planning.allocations import read_allocation
from bitgoeul.planning.snapshot import Observed
from bitgoeul.whatif.manifests import Manifest

MADE_UP = "what-if"
# Where kubectl notes what it applied last.
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

# Kind and name → the object as the API server has it.
Live = Mapping[tuple[str, str], Mapping[str, Any]]


def change(observed: Observed, manifests: Iterable[Manifest], live: Live, created: datetime) -> Observed:
    """
    What would be observed if these objects were applied; of two with one name the later counts.

    A changed object keeps its status, age and identity: what it has been given stays given.

    Args:
        created: The age of what is new, in wall time.
    """
    accelerator_pools = {pool.metadata.name: pool for pool in observed.accelerator_pools}
    storage_pools = {pool.metadata.name: pool for pool in observed.storage_pools}
    allocations = {allocation.name: allocation for allocation in observed.allocations}
    for manifest in manifests:
        obj = applied(manifest, live.get((manifest.kind, manifest.name)), created)
        match manifest.kind:
            case AcceleratorPool.__name__:
                accelerator_pools[manifest.name] = read_pool(obj, accelerator_pools.get(manifest.name))
            case StoragePool.__name__:
                storage_pools[manifest.name] = StoragePool.model_validate(without_status(obj))
            case _:
                allocations[manifest.name] = read_allocation(obj)
    return replace(
        observed,
        accelerator_pools=tuple(accelerator_pools.values()),
        storage_pools=tuple(storage_pools.values()),
        allocations=tuple(allocations.values()),
    )


def as_applied(manifest: Manifest, present: Mapping[str, Any] | None) -> Manifest:
    """
    What ``kubectl apply`` makes of a file and the live object.

    What the file does not say stays as somebody has set it since, as with ``kubectl patch``, unless the file that was
    applied last said it. Without kubectl's note of that the file counts alone, as with server-side apply by one owner.
    """
    try:
        noted = json.loads(((present or {})["metadata"].get("annotations") or {})[LAST_APPLIED])["spec"]
    except (LookupError, TypeError, ValueError):
        return manifest
    live = (present or {}).get("spec")
    if not isinstance(noted, Mapping) or not isinstance(live, Mapping):
        return manifest
    return replace(manifest, spec=merged(noted, manifest.spec, live))


def merged(noted: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Merge three ways, by the rules of a JSON merge patch: a list is replaced as a whole."""
    result = {key: value for key, value in live.items() if key in wanted or key not in noted}
    for key, value in wanted.items():
        below = live.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            before = noted.get(key)
            value = merged(before if isinstance(before, Mapping) else {}, value, below)
        result[key] = value
    return result


def applied(manifest: Manifest, present: Mapping[str, Any] | None, created: datetime) -> dict[str, Any]:
    """The object as it would stand after being applied."""
    if present is not None:
        metadata = {**present["metadata"], "generation": present["metadata"].get("generation", 0) + 1}
        return {**present, "metadata": metadata, "spec": manifest.spec}
    metadata = {
        "name": manifest.name,
        "uid": f"{MADE_UP}/{manifest.kind}/{manifest.name}",
        "generation": 1,
        "creationTimestamp": created,
    }
    return {"kind": manifest.kind, "metadata": metadata, "spec": manifest.spec}


def read_pool(obj: Mapping[str, Any], present: AcceleratorPool | None) -> AcceleratorPool:
    """An accelerator pool as planning reads it: what there once was stays known."""
    pool = AcceleratorPool.model_validate(without_status(obj))
    return pool.model_copy(update={"status": present.status}) if present is not None else pool


def without_status(obj: Mapping[str, Any]) -> dict[str, Any]:
    """A pool as planning reads it."""
    return {key: value for key, value in obj.items() if key != "status"}


def made_up(observed: Observed, pool: str, devices: int, duration: str | None) -> Manifest:
    """An allocation that nobody has asked for, under a name that nobody has."""
    taken = {allocation.name for allocation in observed.allocations} | set(observed.namespaces)
    numbers = range(2, len(taken) + 3)
    name = next(name for name in (MADE_UP, *(f"{MADE_UP}-{n}" for n in numbers)) if name not in taken)
    spec: dict[str, Any] = {
        "organization": {"name": MADE_UP, "class": "Other"},
        "accelerators": [{"pool": pool, "devices": devices}],
    }
    if duration is not None:
        spec["window"] = {"duration": duration}
    return Manifest("--pool", TenantAllocation.__name__, name, spec)
