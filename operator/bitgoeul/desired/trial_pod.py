"""
The trial pod as the platform engineer wants it: a dry run of a pod proves that the policies of a pool act, and every
other admission policy of the cluster judges that pod too.

Takes the settings as people write them and refuses what the API server would refuse of every trial pod; gives the
parts of the pod that do not depend on a pool.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from bitgoeul.api.quantities import format_bytes, format_cpu, parse_bytes, parse_cpu, parse_quantity
from bitgoeul.desired.world import Manifest, NamespaceTarget
from bitgoeul.errors import QuantityError, UserError

DEFAULT_IMAGE = "registry.k8s.io/pause:3.10"
DEFAULT_REQUESTS: Mapping[str, str] = MappingProxyType({"cpu": "1m", "memory": "1Mi"})
RESOURCES = ("cpu", "memory", "ephemeral-storage")
MAX_ANNOTATIONS_BYTES = 262144  # of all keys and values together, as the API server allows

_DOMAIN = r"(?=.{1,253}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/"
_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"({_DOMAIN})?{_NAME}")
_LABEL_VALUE = re.compile(rf"({_NAME})?")
# Registry with port, path, tag and digest; whether there is such an image nobody looks up, because nothing runs.
_IMAGE = re.compile(
    r"((\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@[a-z0-9]+:[0-9a-f]{32,128})?"
)


@dataclass(frozen=True, slots=True)
class TrialPod:
    """
    What every trial pod says beside the device of its pool.

    Attributes:
        requests, limits: Resource to quantity, of ``RESOURCES`` only; the requests are never empty.
    """

    image: str = DEFAULT_IMAGE
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=lambda: DEFAULT_REQUESTS)
    limits: Mapping[str, str] = field(default_factory=dict)


def read_trial_pod(
    image: str = DEFAULT_IMAGE,
    labels: Iterable[str] = (),
    annotations: Iterable[str] = (),
    requests: Iterable[str] = (),
    limits: Iterable[str] = (),
) -> TrialPod:
    """
    Read the options by which a platform engineer shapes the trial pod; each list holds texts such as ``team=platform``.

    Raises:
        UserError: One of them is not what the API server would take.
    """
    if not _IMAGE.fullmatch(image):
        raise UserError(f"--trial-pod-image {image!r}: must be the name of an image, such as {DEFAULT_IMAGE}")
    asked = _pairs("--trial-pod-request", requests, "cpu=100m", _check_amount)
    capped = _pairs("--trial-pod-limit", limits, "memory=128Mi", _check_amount)
    trial = TrialPod(
        image,
        _pairs("--trial-pod-label", labels, "team=platform", _check_label),
        _pairs("--trial-pod-annotation", annotations, "example.org/owner=platform", _check_annotation),
        {**DEFAULT_REQUESTS, **asked},
        capped,
    )
    if sum(len(f"{key}{value}".encode()) for key, value in trial.annotations.items()) > MAX_ANNOTATIONS_BYTES:
        raise UserError(f"--trial-pod-annotation: all together at most {MAX_ANNOTATIONS_BYTES} bytes")
    for resource, limit in trial.limits.items():
        request = trial.requests.get(resource, "0")
        if parse_quantity(request) > parse_quantity(limit):
            raise UserError(
                f"--trial-pod-limit {resource}={limit}: must be at least what the trial pod requests, {request}"
            )
    return trial


def build_trial_pod(name: str, namespace: str, trial: TrialPod, resources: Mapping[str, Mapping[str, str]]) -> Manifest:
    """
    Build a pod for a server-side dry run (POST with ``dryRun=All``).

    It passes pod security ``restricted`` and what policies ask for beyond that of any pod: a read-only root file
    system, groups that are not root's.

    Args:
        resources: Of its only container.
    """
    nobody = 65534
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            **({"labels": dict(trial.labels)} if trial.labels else {}),
            **({"annotations": dict(trial.annotations)} if trial.annotations else {}),
        },
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": nobody,
                "runAsGroup": nobody,
                "fsGroup": nobody,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "proof",
                    "image": trial.image,
                    "resources": {part: dict(amounts) for part, amounts in resources.items()},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


def fitted_requests(trial: TrialPod, target: NamespaceTarget) -> dict[str, str]:
    """
    Return the requests of the trial pod, cut to what the quota of the namespace allows in all.

    A tenant whose quota is smaller than the requests could otherwise never be proved, whatever else holds.
    """
    requests = dict(trial.requests)
    if target.cpu_millis is not None and parse_cpu(requests["cpu"]) > target.cpu_millis:
        requests["cpu"] = format_cpu(target.cpu_millis)
    if target.memory_bytes is not None and parse_bytes(requests["memory"]) > target.memory_bytes:
        requests["memory"] = format_bytes(target.memory_bytes)
    return requests


def cut_requests(trial: TrialPod, target: NamespaceTarget) -> str:
    """Say which requests are cut in a namespace, such as ``cpu 50m instead of 1``; empty: none is."""
    return ", ".join(
        f"{resource} {amount} instead of {trial.requests[resource]}"
        for resource, amount in fitted_requests(trial, target).items()
        if amount != trial.requests[resource]
    )


Check = Callable[[str, str, str], None]


def _pairs(option: str, texts: Iterable[str], example: str, check: Check) -> dict[str, str]:
    """Split ``KEY=VALUE`` texts, each key once."""
    pairs: dict[str, str] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"{option} {text!r}: must be KEY=VALUE, such as {example}")
        if key in pairs:
            raise UserError(f"{option} {text!r}: {key} is given twice; give each key once")
        check(option, key, value)
        pairs[key] = value
    return pairs


def _check_key(option: str, key: str) -> None:
    if not _KEY.fullmatch(key):
        raise UserError(
            f"{option} {key!r}: must be a name of at most 63 letters, digits, '-', '_' and '.', "
            f"with a domain and '/' before it or without, such as example.org/team"
        )


def _check_label(option: str, key: str, value: str) -> None:
    _check_key(option, key)
    if not _LABEL_VALUE.fullmatch(value):
        raise UserError(
            f"{option} {key}={value}: a value has at most 63 letters, digits, '-', '_' and '.', "
            f"and begins and ends with a letter or digit"
        )


def _check_annotation(option: str, key: str, _: str) -> None:
    _check_key(option, key.lower())


def _check_amount(option: str, key: str, value: str) -> None:
    if key not in RESOURCES:
        raise UserError(
            f"{option} {key}={value}: must be one of {', '.join(RESOURCES)}; the device is asked for anyway"
        )
    try:
        amount = parse_quantity(value)
    except QuantityError as error:
        raise UserError(f"{option} {key}={value}: {error}") from error
    if amount < 0:
        raise UserError(f"{option} {key}={value}: must be 0 or more")
