"""
The namespace of a tenant: made with POST, because apply would adopt somebody else's, and amended with a merge patch.

Its labels say which pools' admission policies act in it, its annotation whose it is. The order matters to the caller:
a pool's label stands before the quota rises for the first time, and goes only after the quota of that pool is proved
to be 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bitgoeul.api import names
from bitgoeul.desired.world import Manifest, NamespaceTarget, owned_labels

POD_SECURITY = {
    "pod-security.kubernetes.io/enforce": "baseline",
    "pod-security.kubernetes.io/warn": "restricted",
}


def build_namespace(target: NamespaceTarget) -> Manifest:
    """Build the namespace for its creation; a pool's label is there when the target has devices of that pool."""
    labels = owned_labels(target.allocation) | POD_SECURITY
    labels |= {names.pool_label(pool): "true" for pool, devices in sorted(target.devices.items()) if devices > 0}
    if target.retained:
        labels[names.RETAINED_LABEL] = "true"
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": target.name,
            "labels": labels,
            "annotations": {names.ALLOCATION_UID_ANNOTATION: target.uid},
        },
    }


def amend_namespace(target: NamespaceTarget, observed: Mapping[str, Any]) -> Manifest | None:
    """
    Say what has to change in a namespace that exists.

    What was created with POST does not belong to the applier, so an apply without a label would leave that label
    where it is. Hence a merge patch, with null for labels of pools that are no longer granted. Labels that are not
    ours are left alone.

    Args:
        target: What the namespace should be; the caller has checked that it is ours or may be taken over.
        observed: The namespace as last seen.
    Returns:
        The body of a merge patch, None when nothing differs. It names the UID, so that it fails on a namespace that
        has replaced the one that was seen (422).
    """
    wanted = build_namespace(target)["metadata"]
    metadata = observed.get("metadata", {})
    labels = _changes(wanted["labels"], metadata.get("labels") or {})
    annotations = _changes(wanted["annotations"], metadata.get("annotations") or {})
    if not labels and not annotations:
        return None
    patch: Manifest = {"labels": labels, "annotations": annotations}
    if "uid" in metadata:
        patch["uid"] = metadata["uid"]
    return {"metadata": patch}


def _changes(wanted: Mapping[str, str], observed: Mapping[str, str]) -> dict[str, str | None]:
    changes: dict[str, str | None] = {key: value for key, value in wanted.items() if observed.get(key) != value}
    for key in observed:
        ours = key.startswith(names.POOL_LABEL_PREFIX) or key == names.RETAINED_LABEL
        if ours and key not in wanted:
            changes[key] = None
    return changes
