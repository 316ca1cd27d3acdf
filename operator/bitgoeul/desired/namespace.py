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
from bitgoeul.api.pod_security import DEFAULT_LEVEL, PodSecurityLevel, warned_level
from bitgoeul.desired.drift import Difference
from bitgoeul.desired.world import Manifest, NamespaceTarget, owned_labels

ENFORCED_LEVEL_LABEL = "pod-security.kubernetes.io/enforce"
WARNED_LEVEL_LABEL = "pod-security.kubernetes.io/warn"


def build_namespace(target: NamespaceTarget) -> Manifest:
    """Build the namespace for its creation; a pool's label is there when the target has devices of that pool."""
    labels = owned_labels(target.allocation) | pod_security_labels(target.pod_security)
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


def closing_marks(target: NamespaceTarget) -> Manifest:
    """
    Build what a namespace has to say whose grant is not in force: its mark, and the default pod security level.

    All else stays: a pool's label goes only when nothing of the pool is held there any more.
    """
    labels = {names.ALLOCATION_LABEL: target.allocation} | pod_security_labels(DEFAULT_LEVEL)
    return {
        "kind": "Namespace",
        "metadata": {"name": target.name, "labels": labels, "annotations": {names.CLOSED_ANNOTATION: "true"}},
    }


def pod_security_labels(level: PodSecurityLevel) -> dict[str, str]:
    """Build the labels by which Kubernetes enforces a level on new pods, and warns about the next stricter one."""
    return {ENFORCED_LEVEL_LABEL: str(level), WARNED_LEVEL_LABEL: str(warned_level(level))}


def going_text(namespace: Mapping[str, Any], then: str = "") -> str:
    """Say that a namespace is being deleted, what comes ``then``, and what it says itself of what holds it."""
    said = [
        f"{condition['type']}: {condition.get('message', '')}"
        for condition in (namespace.get("status") or {}).get("conditions") or ()
        if condition.get("status") == "True"
    ]
    return "; ".join([f"namespace {namespace['metadata']['name']} is being deleted{then}", *said])


def left_over(target: NamespaceTarget, observed: Mapping[str, Any]) -> Difference | None:
    """Name the first label or annotation that is not as the target wants it; None: all are."""
    change = amend_namespace(target, observed)
    for field, name in (("labels", "label"), ("annotations", "annotation")):
        stands = observed["metadata"].get(field) or {}
        for key, value in (change["metadata"][field] if change else {}).items():
            return Difference(f"{name} {key}", value, stands.get(key))
    return None


def _different(wanted: Mapping[str, str], observed: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if observed.get(key) != value}


def _changes(wanted: Mapping[str, str], observed: Mapping[str, str]) -> dict[str, str | None]:
    changes: dict[str, str | None] = {**_different(wanted, observed)}
    for key in observed:
        ours = key.startswith(names.POOL_LABEL_PREFIX) or key == names.RETAINED_LABEL
        if ours and key not in wanted:
            changes[key] = None
    return changes
