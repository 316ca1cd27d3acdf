"""What the API server refuses in pools: what is sent, the field that it names, and what it says."""

from __future__ import annotations

from typing import Any

from tests.cluster.api_objects import BYTES, CORES, Case, Manifest, make_pool, make_storage_pool

TOLERATION = "spec.tolerations[0]"
EXTENDED = "must be an extended resource such as nvidia.com/gpu: a DNS domain, a slash, and a name"
PLUGIN = "must be the name that the device plugin gives its devices, such as nvidia.com/gpu"
DECIMAL = 'must be a decimal number in quotes such as "0.0195", more than 0'


def toleration(**fields: Any) -> Manifest:
    """A pool with one toleration."""
    return make_pool(tolerations=[fields])


BAD_POOLS: dict[str, Case] = {
    "a negative reserve": (make_pool(reserve=-1), "spec.reserve", "should be greater than or equal to 0"),
    "half a reserve": (make_pool(reserve=0.5), "spec.reserve", "must be of type integer"),
    "CPU with words": (make_pool(perDevice={"cpu": "16 cores"}), "spec.perDevice.cpu", CORES),
    "memory in words": (make_pool(perDevice={"memory": "lots"}), "spec.perDevice.memory", BYTES),
    "a capacity of nothing": (make_storage_pool(capacity="0"), "spec.capacity", BYTES),
    "a storage reserve that is no size": (
        make_storage_pool(reserve="-1T"),
        "spec.reserve",
        "must be a whole number of bytes such as 500Gi or 10Ti, at least 0",
    ),
    "a reserve above the capacity": (
        make_storage_pool(capacity="10T", reserve="11T"),
        "spec.reserve",
        "must not be more than the capacity: 11T of 10T",
    ),
    "petaflops of nothing": (make_pool(petaflopsPerDevice="0"), "spec.petaflopsPerDevice", DECIMAL),
    "negative petaflops": (make_pool(petaflopsPerDevice="-1"), "spec.petaflopsPerDevice", DECIMAL),
    "petaflops with an exponent": (make_pool(petaflopsPerDevice="1e-3"), "spec.petaflopsPerDevice", DECIMAL),
    "petaflops without quotes": (make_pool(petaflopsPerDevice=0.02), "spec.petaflopsPerDevice", "of type string"),
    "an empty perDevice": (make_pool(perDevice={}), "spec.perDevice", "must say cpu, memory or both"),
    "an empty node selector": (make_pool(nodeSelector={}), "spec.nodeSelector", "must not be empty: name at least one"),
    "no node selector": (make_pool(nodeSelector=None), "spec.nodeSelector", "Required value"),
    "a selector key with a blank": (
        make_pool(nodeSelector={"a b": "c"}),
        "spec.nodeSelector",
        'not a label key: ["a b"]',
    ),
    "a selector value with a blank": (
        make_pool(nodeSelector={"gpu": "A 100"}),
        "spec.nodeSelector",
        'not a label value: ["gpu: A 100"]',
    ),
    "a selector value of 64 characters": (
        make_pool(nodeSelector={"gpu": "a" * 64}),
        "spec.nodeSelector.gpu",
        "Too long: may not be more than 63 bytes",
    ),
    "a selector with 17 labels": (
        make_pool(nodeSelector={f"label-{n}": "a" for n in range(17)}),
        "spec.nodeSelector",
        "must have at most 16 items",
    ),
    "a selector value that is a number": (
        make_pool(nodeSelector={"gpu": 100}),
        "spec.nodeSelector.gpu",
        "of type string",
    ),
    "Exists with a value": (
        toleration(key="gpu", operator="Exists", value="a"),
        f"{TOLERATION}.value",
        "must be left out with operator Exists",
    ),
    "Equal without a key": (toleration(value="a"), f"{TOLERATION}.key", "is required with operator Equal"),
    "a toleration key with a blank": (toleration(key="a b"), f"{TOLERATION}.key", '"a b": must be a taint key'),
    "a toleration value with a blank": (
        toleration(key="a", value="b c"),
        f"{TOLERATION}.value",
        "must be a taint value",
    ),
    "an unknown operator": (toleration(key="a", operator="Like"), f"{TOLERATION}.operator", '"Exists", "Equal"'),
    "an unknown effect": (toleration(key="a", effect="NoWay"), f"{TOLERATION}.effect", "Unsupported value"),
    "seconds without NoExecute": (
        toleration(key="a", effect="NoSchedule", tolerationSeconds=5),
        f"{TOLERATION}.tolerationSeconds",
        "works only with effect NoExecute",
    ),
    "a resource without a domain": (make_pool(resourceName="gpu"), "spec.resourceName", f'"gpu": {EXTENDED}'),
    "cpu as a device": (make_pool(resourceName="cpu"), "spec.resourceName", EXTENDED),
    "a resource with a blank": (make_pool(resourceName="nvidia.com/gpu x"), "spec.resourceName", EXTENDED),
    "a domain in upper case": (make_pool(resourceName="Nvidia.com/gpu"), "spec.resourceName", EXTENDED),
    "a resource without a name": (make_pool(resourceName="nvidia.com/"), "spec.resourceName", EXTENDED),
    "a resource name of 64 characters": (make_pool(resourceName=f"a.com/{'g' * 64}"), "spec.resourceName", EXTENDED),
    "a quota key as a resource": (make_pool(resourceName="requests.nvidia.com/gpu"), "spec.resourceName", PLUGIN),
    "a resource of kubernetes.io": (make_pool(resourceName="a.kubernetes.io/gpu"), "spec.resourceName", PLUGIN),
    "a storage class in upper case": (
        make_storage_pool(storageClassName="Lustre"),
        "spec.storageClassName",
        '"Lustre": must be the name of a StorageClass',
    ),
    "no storage class": (make_storage_pool(storageClassName=None), "spec.storageClassName", "Required value"),
    "a pool name of 59 characters": (
        make_pool("a" * 59),
        "metadata.name",
        "must be a DNS label of at most 58 characters",
    ),
    "a pool name with a dot": (make_pool("a.b"), "metadata.name", "without dots: it becomes part of a label key"),
    "a storage pool name with a dot": (make_storage_pool("a.b"), "metadata.name", "without dots"),
    "a pool name in upper case": (make_pool("A100"), "metadata.name", "lower case alphanumeric characters"),
    "17 tolerations": (
        make_pool(tolerations=[{"key": f"taint-{n}"} for n in range(17)]),
        "spec.tolerations",
        "Too many: 17: must have at most 16 items",
    ),
    "an unknown type of device": (
        make_pool(type="TPU"),
        "spec.type",
        'supported values: "GPU", "NPU", "FPGA", "Other"',
    ),
    "no spec": ({key: value for key, value in make_pool().items() if key != "spec"}, "spec", "Required value"),
}
