"""
The volume claims that an allocation asks for by name. They are created and grown, never shrunk and never deleted by
an edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bitgoeul.api.quantities import format_bytes, parse_bytes, parse_quantity
from bitgoeul.api.tenant_allocation import ClaimRequest
from bitgoeul.desired.world import Manifest, NamespaceTarget, World, child_metadata


def build_volume_claims(
    target: NamespaceTarget, claims: Iterable[tuple[str, ClaimRequest]], world: World
) -> list[Manifest]:
    """
    Build the claims of one namespace.

    Args:
        claims: Storage pool and request, for this namespace only.
    Raises:
        KeyError: A claim's storage pool is not in the world; the planner refuses such an allocation.
    """
    return [_build_claim(target, world.storage[pool].storage_class_name, claim) for pool, claim in claims]


def never_shrunk(desired: Mapping[str, Any], observed: Mapping[str, Any]) -> Manifest:
    """
    Give the desired claim with the observed size where that is larger.

    A tenant may have grown the claim within its quota, and the API server refuses to take a size back.
    """
    size = desired["spec"]["resources"]["requests"]["storage"]
    seen = observed.get("spec", {}).get("resources", {}).get("requests", {}).get("storage", "0")
    if parse_quantity(seen) > parse_quantity(size):
        size = seen
    return {**desired, "spec": {**desired["spec"], "resources": {"requests": {"storage": size}}}}


def _build_claim(target: NamespaceTarget, storage_class: str, claim: ClaimRequest) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": child_metadata(target, claim.name),
        "spec": {
            "accessModes": sorted(str(mode) for mode in claim.access_modes),  # a set; the claim may not change it
            "resources": {"requests": {"storage": format_bytes(parse_bytes(claim.size))}},
            "storageClassName": storage_class,
            "volumeMode": "Filesystem",
        },
    }
