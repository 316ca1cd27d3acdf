"""
What the benchmarks put into a cluster: nodes with devices, pools, and tenants that are all alike.

A tenant asks for one device and for storage with one claim, and has one group of members: each kind of child once.
"""

from __future__ import annotations

from bitgoeul.api.names import API_VERSION
from bitgoeul.cluster.client import Object
from bitgoeul.local.nodes import NodeShape

DEVICES_PER_NODE = 8
LABEL = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}
NODE_SHAPE = NodeShape(devices={"nvidia.com/gpu": str(DEVICES_PER_NODE)}, labels=LABEL)
POOL = "a100"
STORAGE = "lustre"


def build_pool() -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "AcceleratorPool",
        "metadata": {"name": POOL},
        "spec": {
            "type": "GPU",
            "nodeSelector": LABEL,
            "resourceName": "nvidia.com/gpu",
            "perDevice": {"cpu": "16", "memory": "120Gi"},
        },
    }


def build_storage_class() -> Object:
    # kwok makes the volumes. Claims that stay pending would have the controller manager write Events for ever.
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE},
        "provisioner": "lustre.csi.example.org",
    }


def build_storage_pool() -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "StoragePool",
        "metadata": {"name": STORAGE},
        "spec": {"storageClassName": STORAGE, "capacity": "10700T"},
    }


def build_tenant(name: str) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "TenantAllocation",
        "metadata": {"name": name},
        "spec": {
            "organization": {"name": f"{name} (example)", "class": "Startup"},
            "accelerators": [{"pool": POOL, "devices": 1}],
            "storage": [
                {
                    "pool": STORAGE,
                    "size": "1T",
                    "claims": [{"name": "data", "size": "100G", "accessModes": ["ReadWriteMany"]}],
                }
            ],
            "members": [{"kind": "Group", "name": name, "role": "edit"}],
        },
    }
