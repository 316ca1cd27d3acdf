"""Objects of the API as users write them, and the CRDs that serve them."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner

from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION, GROUP
from bitgoeul.cli.crds import crds
from tests.cluster.kubectl import Kubectl

Manifest = dict[str, Any]

#: What is sent, the field that the answer names (empty: the whole request), and what it says.
Case = tuple[Manifest, str, str]

BYTES = "must be a size in bytes such as 500Gi, 1.5Ti or 1073741824"
BYTE_BOUNDS = "must be more than 0 and at most 1E"
WHOLE_BYTES = "must be a whole number of bytes"
CORES = "must be a number of CPU cores such as 16, 1.5 or 1500m"
CORE_BOUNDS = "must be more than 0 and at most 1000000000 CPU cores"
WHOLE_MILLICORES = "must be a whole number of thousandths of a CPU core"

CRD_NAMES = [f"{kind.plural}.{GROUP}" for kind in KINDS]


def install_crds(kubectl: Kubectl) -> None:
    """What the README says: `bitgoeul crds | kubectl apply -f -`, and wait until they are served."""
    kubectl("apply", "-f", "-", stdin=CliRunner().invoke(crds).stdout)
    kubectl("wait", "--for=condition=Established", "crd", *CRD_NAMES, "--timeout=90s")


def make_pool(name: str = "api-a100", **spec: Any) -> Manifest:
    """A valid AcceleratorPool; a field that is None is left out."""
    return make(
        "AcceleratorPool",
        name,
        {
            "type": "GPU",
            "vendor": "NVIDIA",
            "product": "A100-SXM4-80GB",
            "region": "honam",
            "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "resourceName": "nvidia.com/gpu",
            "petaflopsPerDevice": "0.0195",
            "perDevice": {"cpu": "16", "memory": "120Gi"},
            "reserve": 2,
        }
        | spec,
    )


def make_storage_pool(name: str = "api-lustre", **spec: Any) -> Manifest:
    """A valid StoragePool; a field that is None is left out."""
    return make("StoragePool", name, {"storageClassName": "lustre", "capacity": "10700T", "reserve": "700T"} | spec)


def make_allocation(name: str = "api-blue", **spec: Any) -> Manifest:
    """A valid TenantAllocation; a field that is None is left out."""
    return make(
        "TenantAllocation",
        name,
        {
            "organization": {"name": "Blue Motors", "class": "Startup", "sector": "Automotive", "region": "honam"},
            "accelerators": [{"pool": "a100", "devices": 8}],
            "storage": [{"pool": "lustre", "size": "50Ti", "claims": [make_claim()]}],
            "compute": {"cpu": "64", "memory": "512Gi"},
            "members": [{"kind": "Group", "name": "blue", "role": "admin"}],
        }
        | spec,
    )


def make_claim(name: str = "data", size: str = "10Ti", **fields: Any) -> Manifest:
    """A claim inside a storage request."""
    return {"name": name, "size": size, "accessModes": ["ReadWriteMany"]} | fields


def make(kind: str, name: str, spec: Manifest) -> Manifest:
    """An object of ours."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def storage(size: Any, *claims: Manifest, **spec: Any) -> Manifest:
    """An allocation that asks for storage of a size, with claims."""
    return make_allocation(storage=[{"pool": "lustre", "size": size, "claims": list(claims)}], **spec)


def organization(**fields: Any) -> Manifest:
    """An allocation of an organization that differs from the usual one."""
    return make_allocation(organization={"name": "Blue Motors", "class": "Startup"} | fields)


def devices(number: Any) -> Manifest:
    """An allocation that asks for so many devices."""
    return make_allocation(accelerators=[{"pool": "a100", "devices": number}])


def shares(*namespaces: Manifest) -> Manifest:
    """An allocation of 8 a100 and 50Ti of lustre with shares for the namespaces train, serve, …"""
    names = ["train", "serve", "more"]
    return make_allocation(
        storage=[{"pool": "lustre", "size": "50Ti"}],
        namespaces=[{"name": name} | share for name, share in zip(names, namespaces, strict=False)],
    )


def member(**fields: Any) -> Manifest:
    """An allocation with one member."""
    return make_allocation(members=[{"kind": "User", "name": "user-1@example.org", "role": "edit"} | fields])


def namespace(name: str) -> Manifest:
    """An allocation with one namespace."""
    return make_allocation(namespaces=[{"name": name}])
