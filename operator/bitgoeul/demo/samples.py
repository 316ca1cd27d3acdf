"""
The samples as objects: reads the model case out of the package, and makes tenants in any number for a feeling of scale.

They stand in ``deploy/samples`` of the source tree, also for an editable installation; a wheel carries them inside the
package.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bitgoeul.api import TenantAllocation
from bitgoeul.api.names import API_VERSION
from bitgoeul.api.tenant_allocation import MemberKind
from bitgoeul.errors import UserError

Object = dict[str, Any]

IN_WHEEL = Path(__file__).parent / "samples"
IN_SOURCE_TREE = Path(__file__).parents[3] / "deploy" / "samples"

GENERATED_LABEL = "example.org/generated"
GENERATED_PRIORITY = 50  # behind everybody of the model case
DEVICES_EVERY = 5  # one in five asks for a device of the next stage; the others for storage and CPU, which are plenty


@dataclass(frozen=True)
class ModelCase:
    """The model case in the order in which it is told; each part in the order of its file."""

    nodes: list[Object]
    pools: list[Object]  # with the storage class
    pilot: list[Object]
    formal: list[Object]
    full_stage: list[Object]  # the nodes that join with it


@dataclass(frozen=True)
class Tester:
    """A member of one allocation who tries out what the allocation gives."""

    user: str
    allocation: str
    organization: str
    namespace: str
    pool: str
    devices: int  # the namespace's share


def find_samples() -> Path:
    """The folder that holds the samples of this installation."""
    return IN_WHEEL if IN_WHEEL.is_dir() else IN_SOURCE_TREE


def read_model_case() -> ModelCase:
    """
    Read the files of the model case.

    Raises:
        UserError: A file is missing: the installation is not whole.
    """
    files = ("10-nodes", "20-pools", "30-pilot-tenants", "40-formal-service", "50-full-stage-nodes")
    return ModelCase(*(read_sample(find_samples() / "model-case" / f"{name}.yaml") for name in files))


def read_sample(path: Path) -> list[Object]:
    """All objects of one file; the items of a List one by one."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"the sample {path} cannot be read ({error.strerror}): this installation of bitgoeul is not whole"
        ) from error
    return list(flatten(yaml.safe_load_all(text)))


def flatten(documents: Iterator[Object]) -> Iterator[Object]:
    for document in documents:
        yield from document["items"] if document["kind"] == "List" else [document]


def find_tester(allocations: list[Object]) -> Tester:
    """The first person among the members, with the first namespace and the devices that it has."""
    for allocation in (TenantAllocation.model_validate(obj) for obj in allocations):
        spec = allocation.spec
        users = [member.name for member in spec.members if member.kind is MemberKind.USER]
        if users and spec.namespaces:
            share = spec.namespaces[0]
            pool, devices = next(iter(share.accelerators.items()))
            return Tester(users[0], allocation.metadata.name, spec.organization.name, share.name, pool, devices)
    raise ValueError("no sample has a member of kind User and a namespace with devices")


def generate_tenants(count: int) -> list[Object]:
    """Small example tenants, the same ones for the same count."""
    return [build_tenant(number) for number in range(1, count + 1)]


def build_tenant(number: int) -> Object:
    spec: Object = {
        "organization": {"name": f"Tenant {number} (example)", "class": "Other"},
        "priority": GENERATED_PRIORITY,
        "compute": {"cpu": "4", "memory": "16Gi"},
        "storage": [{"pool": "lustre", "size": "1T"}],
        "members": [{"kind": "Group", "name": f"tenant-{number}", "role": "edit"}],
    }
    if number % DEVICES_EVERY == 0:
        spec["accelerators"] = [{"pool": "h100", "devices": 1}]
    return {
        "apiVersion": API_VERSION,
        "kind": "TenantAllocation",
        "metadata": {"name": f"tenant-{number:04}", "labels": {GENERATED_LABEL: "true"}},
        "spec": spec,
    }
