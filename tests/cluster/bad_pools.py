"""What the API server refuses in pools: what is sent, the field that it names, and what it says."""

from __future__ import annotations

from typing import Any

from tests.cluster.api_objects import BYTE_BOUNDS, BYTES, CORES, Case, Manifest, make_pool, make_storage_pool

TOLERATION = "spec.tolerations[0]"
STAGE = "spec.stages[0]"
EXTENDED = "must be an extended resource such as nvidia.com/gpu: a DNS domain, a slash, and a name"
PLUGIN = "must be the name that the device plugin gives its devices, such as nvidia.com/gpu"
DECIMAL = 'must be a decimal number such as "0.0195", more than 0'
ASCENDING = "stages must begin one after the other, each later than the one before it"
YEARS = "must be a moment between the years 2000 and 2199 (UTC), such as 2021-04-15T00:00:00+09:00"


def toleration(**fields: Any) -> Manifest:
    """A pool with one toleration."""
    return make_pool(tolerations=[fields])


def device_stages(*moments: Any, **fields: Any) -> Manifest:
    """A pool with a stage from each moment, named s0, s1, …"""
    return make_pool(stages=[{"name": f"s{n}", "from": at, "devices": 8} | fields for n, at in enumerate(moments)])


def storage_stages(*moments: Any, **fields: Any) -> Manifest:
    """A storage pool with a stage from each moment, named s0, s1, …, and no capacity beside them."""
    stages = [{"name": f"s{n}", "from": at, "capacity": "10T"} | fields for n, at in enumerate(moments)]
    return make_storage_pool(capacity=None, stages=stages)


BAD_POOLS: dict[str, Case] = {
    "a negative reserve": (make_pool(reserve=-1), "spec.reserve", "should be greater than or equal to 0"),
    "half a reserve": (make_pool(reserve=0.5), "spec.reserve", "must be of type integer"),
    "CPU with words": (make_pool(perDevice={"cpu": "16 cores"}), "spec.perDevice.cpu", CORES),
    "memory in words": (make_pool(perDevice={"memory": "lots"}), "spec.perDevice.memory", BYTES),
    "a capacity of nothing": (make_storage_pool(capacity="0"), "spec.capacity", BYTE_BOUNDS),
    "a storage reserve that is no size": (
        make_storage_pool(reserve="-1T"),
        "spec.reserve",
        "must be at least 0 and at most 1E",
    ),
    "a reserve above the capacity": (
        make_storage_pool(capacity="10T", reserve="11T"),
        "spec.reserve",
        "must not be more than the capacity: 11T of 10T",
    ),
    "petaflops of nothing": (make_pool(petaflopsPerDevice="0"), "spec.petaflopsPerDevice", DECIMAL),
    "negative petaflops": (make_pool(petaflopsPerDevice="-1"), "spec.petaflopsPerDevice", DECIMAL),
    "petaflops with an exponent": (make_pool(petaflopsPerDevice="1e-3"), "spec.petaflopsPerDevice", DECIMAL),
    "petaflops without quotes": (
        make_pool(petaflopsPerDevice=0.02),
        "spec.petaflopsPerDevice",
        "of type integer,string",
    ),
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
    # stages
    "stages that are not ascending": (
        device_stages("2021-02-15T00:00:00Z", "2024-01-01T00:00:00Z", "2023-01-01T00:00:00+09:00"),
        "spec.stages",
        f'{ASCENDING}: ["s2 from 2023-01-01T00:00:00+09:00 stands after s1 from 2024-01-01T00:00:00Z"]',
    ),
    "two stages at one moment, in two zones": (
        device_stages("2021-02-15T00:00:00+09:00", "2021-02-14T15:00:00Z"),
        "spec.stages",
        f'{ASCENDING}: ["s1 from 2021-02-14T15:00:00Z stands after s0 from 2021-02-15T00:00:00+09:00"]',
    ),
    "stages of storage that are not ascending": (
        storage_stages("2024-01-01T00:00:00Z", "2021-01-01T00:00:00Z"),
        "spec.stages",
        f'{ASCENDING}: ["s1 from 2021-01-01T00:00:00Z stands after s0 from 2024-01-01T00:00:00Z"]',
    ),
    "two stages of storage at one moment": (
        storage_stages("2021-01-01T00:00:00Z", "2021-01-01T00:00:00.000Z"),
        "spec.stages",
        ASCENDING,
    ),
    "two stages of one name": (
        device_stages("2021-01-01T00:00:00Z", "2022-01-01T00:00:00Z", name="pilot"),
        "spec.stages[1]",
        'Duplicate value: {"name":"pilot"}',
    ),
    "two stages of storage of one name": (
        storage_stages("2021-01-01T00:00:00Z", "2022-01-01T00:00:00Z", name="pilot"),
        "spec.stages[1]",
        'Duplicate value: {"name":"pilot"}',
    ),
    "33 stages": (
        device_stages(*(f"{2021 + n}-01-01T00:00:00Z" for n in range(33))),
        "spec.stages",
        "Too many: 33: must have at most 32 items",
    ),
    "33 stages of storage": (
        storage_stages(*(f"{2021 + n}-01-01T00:00:00Z" for n in range(33))),
        "spec.stages",
        "Too many: 33: must have at most 32 items",
    ),
    "a stage without a zone": (
        device_stages("2021-02-15T00:00:00"),
        f"{STAGE}.from",
        'Invalid value: "2021-02-15T00:00:00": spec.stages[0].from in body must be of type date-time',
    ),
    "a stage in the year 9999": (
        device_stages("9999-01-01T00:00:00Z"),
        f"{STAGE}.from",
        f'"9999-01-01T00:00:00Z": {YEARS}',
    ),
    "a stage of storage in the year 1999": (storage_stages("1999-12-31T23:59:59Z"), f"{STAGE}.from", YEARS),
    "a stage without a start": (device_stages(None), f"{STAGE}.from", "Required value"),
    "a stage named in upper case": (
        device_stages("2021-02-15T00:00:00Z", name="Pilot"),
        f"{STAGE}.name",
        '"Pilot": must be the name of a stage: lower-case letters, digits and dashes',
    ),
    "a stage name of 64 characters": (
        device_stages("2021-02-15T00:00:00Z", name="a" * 64),
        f"{STAGE}.name",
        "Too long: may not be more than 63 bytes",
    ),
    "a stage of negative devices": (
        device_stages("2021-02-15T00:00:00Z", devices=-1),
        f"{STAGE}.devices",
        "should be greater than or equal to 0",
    ),
    "a stage of more devices than any site has": (
        device_stages("2021-02-15T00:00:00Z", devices=1_000_001),
        f"{STAGE}.devices",
        "should be less than or equal to 1000000",
    ),
    "a stage of negative capacity": (
        storage_stages("2021-02-15T00:00:00Z", capacity="-1T"),
        f"{STAGE}.capacity",
        '"-1T": must be at least 0 and at most 1E',
    ),
    "a storage pool with neither capacity nor stages": (
        make_storage_pool(capacity=None, reserve=None),
        "spec.capacity",
        "is required where there are no stages: say how many bytes the pool has, such as 10700T",
    ),
    "a storage pool with no capacity and an empty plan": (
        make_storage_pool(capacity=None, stages=[]),
        "spec.capacity",
        "is required where there are no stages",
    ),
    "a storage pool that is to be drained": (
        make_storage_pool(stopPolicy="HoldAndDrain"),
        "spec.stopPolicy",
        '"HoldAndDrain": supported values: "None", "Hold"',
    ),
    "an unknown stop policy": (
        make_pool(stopPolicy="Stop"),
        "spec.stopPolicy",
        '"Stop": supported values: "None", "Hold", "HoldAndDrain"',
    ),
    "an unknown type of device": (
        make_pool(type="TPU"),
        "spec.type",
        'supported values: "GPU", "NPU", "FPGA", "Other"',
    ),
    "no spec": ({key: value for key, value in make_pool().items() if key != "spec"}, "spec", "Required value"),
}
