"""
A cluster with changes that nobody has made: new and changed objects put into what was observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bitgoeul.api import AcceleratorPool, StoragePool, TenantAllocation
from bitgoeul.planning.allocations import read_allocation
from bitgoeul.planning.snapshot import Observed
from bitgoeul.whatif.manifests import Manifest

MADE_UP = "what-if"

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
