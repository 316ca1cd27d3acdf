"""What the API server refuses in allocations: what is sent, the field that it names, and what it says."""

from __future__ import annotations

from typing import Any

from tests.cluster.api_objects import (
    BYTE_BOUNDS,
    BYTES,
    CORE_BOUNDS,
    WHOLE_BYTES,
    WHOLE_MILLICORES,
    Case,
    Manifest,
    devices,
    make_allocation,
    make_claim,
    member,
    namespace,
    organization,
    shares,
    storage,
)
from tests.cluster.bad_pools import YEARS

DEVICES = "spec.accelerators[0].devices"
SIZE = "spec.storage[0].size"
CLAIMS = "spec.storage[0].claims"
MEMBER = "spec.members[0]"
NAMESPACE = "spec.namespaces[0].name"
ORGANIZATION = "spec.organization.name"
LABEL = "lower-case letters, digits and dashes, starting and ending with a letter or digit"
RESERVED = "is reserved: kube-*, default and bitgoeul-system belong to the cluster and the operator"
DISPLAY = "must have no control characters, line breaks, text-direction marks, or blanks at its ends"
EXACT = "must be one exact name: no *, no control or invisible characters, no blanks at its ends"
CLUSTER = "belongs to the cluster; allowed are groups system:serviceaccounts:NAMESPACE"
UNKNOWN = "strict decoding error: unknown field"
DURATION = "must be a duration of whole hours, minutes or seconds such as 2160h, 90m or 1h30m"
LONG = "a notice must be shorter than the window"


def window(start: Any = None, end: Any = None, duration: Any = None, **spec: Any) -> Manifest:
    """An allocation with a window; what is None is left out."""
    given = {"start": start, "end": end, "duration": duration}
    return make_allocation(window={name: value for name, value in given.items() if value is not None}, **spec)


def expiry(**fields: Any) -> Manifest:
    """An allocation with something to say about its end."""
    return make_allocation(expiry=fields)


BAD_ALLOCATIONS: dict[str, Case] = {
    # numbers of devices, priority
    "zero devices": (
        devices(0),
        DEVICES,
        "0: spec.accelerators[0].devices in body should be greater than or equal to 1",
    ),
    "negative devices": (devices(-1), DEVICES, "should be greater than or equal to 1"),
    "half a device": (devices(0.5), DEVICES, "must be of type integer"),
    "devices as text": (devices("8"), DEVICES, "must be of type integer"),
    "devices as a quantity": (devices("1Ki"), DEVICES, "must be of type integer"),
    "devices as a truth value": (devices(True), DEVICES, "must be of type integer"),
    "devices as null": (devices(None), DEVICES, "Required value"),
    "more devices than any site has": (devices(1_000_001), DEVICES, "should be less than or equal to 1000000"),
    "devices beyond 64 bits": (devices(2**63), DEVICES, "must be of type integer"),
    "devices with thirty digits": (devices(10**30), DEVICES, "must be of type integer"),
    "a negative priority": (make_allocation(priority=-1), "spec.priority", "should be greater than or equal to 0"),
    "priority above 1000": (make_allocation(priority=1001), "spec.priority", "should be less than or equal to 1000"),
    "a fraction as priority": (make_allocation(priority=99.5), "spec.priority", "must be of type integer"),
    "not a number as priority": (make_allocation(priority="NaN"), "spec.priority", "must be of type integer"),
    # quantities
    "a size in words": (storage("ten"), SIZE, f'"ten": {BYTES}'),
    "an empty size": (storage(""), SIZE, BYTES),
    "a size with a blank": (storage(" 8"), SIZE, BYTES),
    "size zero": (storage("0"), SIZE, BYTE_BOUNDS),
    "a negative size": (storage("-1Gi", make_claim()), SIZE, BYTE_BOUNDS),
    "a size that is no whole number of bytes": (storage("1.1Ti"), SIZE, f'"1.1Ti": {WHOLE_BYTES}'),
    "a size with an absurd exponent": (storage("0e100"), SIZE, BYTES),
    "a size in millibytes": (storage("100m"), SIZE, WHOLE_BYTES),
    "a size beyond an exabyte": (storage("2E"), SIZE, BYTE_BOUNDS),
    "a size of nothing without quotes": (storage(0), SIZE, f"0: {BYTE_BOUNDS}"),
    "a size beyond an exabyte without quotes": (storage(10**18 + 1), SIZE, BYTE_BOUNDS),
    "a fraction without quotes": (storage(1.5), SIZE, "must be of type integer,string"),
    "a size as a truth value": (storage(True), SIZE, "must be of type integer,string"),
    "a claim of size zero": (storage("1Ti", make_claim(size="0")), f"{CLAIMS}[0].size", BYTE_BOUNDS),
    "a claim of negative size": (storage("1Ti", make_claim(size="-1Gi")), f"{CLAIMS}[0].size", BYTE_BOUNDS),
    "a negative share of storage": (
        shares({"storage": {"lustre": "-1Ti"}}),
        "spec.namespaces[0].storage[lustre]",
        "must be at least 0 and at most 1E",
    ),
    "a negative share of devices": (
        shares({"accelerators": {"a100": -1}}),
        "spec.namespaces[0].accelerators.a100",
        "should be greater than or equal to 0",
    ),
    "no CPU at all": (make_allocation(compute={"cpu": "0"}), "spec.compute.cpu", CORE_BOUNDS),
    "CPU finer than a millicore": (make_allocation(compute={"cpu": "1.2345"}), "spec.compute.cpu", WHOLE_MILLICORES),
    "negative CPU": (make_allocation(compute={"cpu": "-1"}), "spec.compute.cpu", CORE_BOUNDS),
    "no CPU without quotes": (make_allocation(compute={"cpu": 0}), "spec.compute.cpu", CORE_BOUNDS),
    "an empty compute": (make_allocation(compute={}), "spec.compute", "must say cpu, memory or both"),
    # names
    "an allocation name of 64 characters": (
        make_allocation("a" * 64),
        "metadata.name",
        "must be a DNS label of at most 63 characters",
    ),
    "an allocation name with a dot": (make_allocation("a.b"), "metadata.name", "without dots: it names a namespace"),
    "an allocation name with a leading dash": (make_allocation("-a"), "metadata.name", "must start and end with"),
    "an allocation name in Korean": (make_allocation("빛고을"), "metadata.name", "lower case alphanumeric characters"),
    "an allocation named default": (make_allocation("default"), "metadata.name", RESERVED),
    "an allocation named kube-x": (make_allocation("kube-x"), "metadata.name", RESERVED),
    "an allocation named like the operator's namespace": (
        make_allocation("bitgoeul-system"),
        "metadata.name",
        RESERVED,
    ),
    "a namespace name with a dot": (namespace("a.b"), NAMESPACE, f'"a.b": must be the name of a namespace: {LABEL}'),
    "a namespace name in upper case": (namespace("Train"), NAMESPACE, LABEL),
    "a namespace name with a trailing dash": (namespace("train-"), NAMESPACE, LABEL),
    "an empty namespace name": (namespace(""), NAMESPACE, LABEL),
    "a namespace name of 64 characters": (namespace("a" * 64), NAMESPACE, "Too long: may not be more than 63 bytes"),
    "the namespace kube-system": (namespace("kube-system"), NAMESPACE, f'"kube-system": {RESERVED}'),
    "the namespace default": (namespace("default"), NAMESPACE, RESERVED),
    "the operator's namespace": (namespace("bitgoeul-system"), NAMESPACE, RESERVED),
    "a pool reference with a blank": (
        make_allocation(accelerators=[{"pool": "a 100", "devices": 1}]),
        "spec.accelerators[0].pool",
        f'"a 100": must be the name of a pool: {LABEL}',
    ),
    "a claim name in upper case": (storage("1Ti", make_claim("Data", "1Gi")), f"{CLAIMS}[0].name", LABEL),
    # too many, twice
    "17 accelerator pools": (
        make_allocation(accelerators=[{"pool": f"pool-{n}", "devices": 1} for n in range(17)]),
        "spec.accelerators",
        "Too many: 17: must have at most 16 items",
    ),
    "17 storage pools": (
        make_allocation(storage=[{"pool": f"pool-{n}", "size": "1Ti"} for n in range(17)]),
        "spec.storage",
        "Too many: 17: must have at most 16 items",
    ),
    "17 claims": (
        storage("1Ti", *[make_claim(f"claim-{n}", "1Gi") for n in range(17)]),
        CLAIMS,
        "Too many: 17: must have at most 16 items",
    ),
    "33 namespaces": (
        make_allocation(namespaces=[{"name": f"team-{n}"} for n in range(33)]),
        "spec.namespaces",
        "Too many: 33: must have at most 32 items",
    ),
    "65 members": (
        make_allocation(members=[{"kind": "User", "name": f"user-{n}", "role": "view"} for n in range(65)]),
        "spec.members",
        "Too many: 65: must have at most 64 items",
    ),
    "one pool twice": (
        make_allocation(accelerators=[{"pool": "a100", "devices": 1}, {"pool": "a100", "devices": 2}]),
        "spec.accelerators[1]",
        'Duplicate value: {"pool":"a100"}',
    ),
    "one storage pool twice": (
        make_allocation(storage=[{"pool": "lustre", "size": "1Ti"}] * 2),
        "spec.storage[1]",
        "Duplicate value",
    ),
    "one namespace twice": (
        make_allocation(namespaces=[{"name": "train"}, {"name": "train"}]),
        "spec.namespaces[1]",
        "Duplicate value",
    ),
    "one member twice": (
        make_allocation(members=[{"kind": "User", "name": "a", "role": role} for role in ("view", "edit")]),
        "spec.members",
        'members stand here more than once, leave one role for each: ["User a as view", "User a as edit"]',
    ),
    "one member twice, once with an empty namespace": (
        make_allocation(
            members=[
                {"kind": "User", "name": "a", "role": "view"},
                {"kind": "User", "name": "a", "role": "view", "namespace": ""},
            ]
        ),
        "spec.members",
        "members stand here more than once",
    ),
    "one claim name twice in a pool": (
        storage("1Ti", make_claim(size="1Gi"), make_claim(size="2Gi")),
        "spec.storage",
        'claims of the same name in the same namespace: ["data in lustre", "data in lustre"]',
    ),
    "one access mode twice": (
        storage("1Ti", make_claim(size="1Gi", accessModes=["ReadWriteMany", "ReadWriteMany"])),
        f"{CLAIMS}[0].accessModes[1]",
        'Duplicate value: "ReadWriteMany"',
    ),
    "one claim name in two pools": (
        make_allocation(
            storage=[
                {"pool": "lustre", "size": "1Ti", "claims": [make_claim(size="1Gi")]},
                {"pool": "ceph", "size": "1Ti", "claims": [make_claim(size="1Gi")]},
            ]
        ),
        "spec.storage",
        'claims of the same name in the same namespace: ["data in lustre", "data in ceph"]',
    ),
    "one claim name in the first namespace, said in two ways": (
        storage(
            "1Ti",
            make_claim(size="1Gi"),
            make_claim(size="1Gi", namespace="train"),
            namespaces=[{"name": "train"}],
        ),
        "spec.storage",
        "claims of the same name in the same namespace",
    ),
    # shares and claims
    "shares of devices above the grant": (
        shares({"accelerators": {"a100": 6}}, {"accelerators": {"a100": 3}}),
        "spec.namespaces",
        'shares of the namespaces add up to more than asked for: ["a100: 9 of 8"]',
    ),
    "shares of storage above the grant": (
        shares({"storage": {"lustre": "40Ti"}}, {"storage": {"lustre": "10241Gi"}}),
        "spec.namespaces",
        r'shares of the namespaces add up to more than asked for: ["lustre: [\"40Ti\", \"10241Gi\"] of 50Ti"]',
    ),
    "a share of devices nobody asked for": (
        shares({"accelerators": {"h100": 1}}),
        "spec.namespaces",
        'shares of pools that spec.accelerators does not ask for: ["h100"]',
    ),
    "a share of storage nobody asked for": (
        shares({"storage": {"ceph": "1Ti"}}),
        "spec.namespaces",
        'shares of pools that spec.storage does not ask for: ["ceph"]',
    ),
    "claims above the size": (
        storage("50Ti", make_claim("data", "40Ti"), make_claim("scratch", "20Ti")),
        CLAIMS,
        'the claims add up to more than the 50Ti asked for: ["data: 40Ti", "scratch: 20Ti"]',
    ),
    "claims above the share of their namespace": (
        storage(
            "50Ti",
            make_claim("data", "20Ti", namespace="serve"),
            namespaces=[
                {"name": "train", "storage": {"lustre": "40Ti"}},
                {"name": "serve", "storage": {"lustre": "10Ti"}},
            ],
        ),
        "spec.storage",
        'claims add up to more than the share of their namespace: ["lustre in serve"]',
    ),
    "a claim where the namespace has no share": (
        storage("50Ti", make_claim(namespace="serve"), namespaces=[{"name": "train"}, {"name": "serve"}]),
        "spec.storage",
        'claims add up to more than the share of their namespace: ["lustre in serve"]',
    ),
    "a claim in a namespace of others": (
        storage("50Ti", make_claim(namespace="elsewhere"), namespaces=[{"name": "train"}]),
        "spec.storage",
        'not a namespace of this allocation: ["elsewhere (claim data)"]',
    ),
    "a claim outside the only namespace": (
        storage("50Ti", make_claim(namespace="elsewhere")),
        "spec.storage",
        'not a namespace of this allocation: ["elsewhere (claim data)"]',
    ),
    "no access mode": (storage("1Ti", make_claim(accessModes=[])), f"{CLAIMS}[0].accessModes", "at least 1 items"),
    "an unknown access mode": (
        storage("1Ti", make_claim(accessModes=["ReadWriteSometimes"])),
        f"{CLAIMS}[0].accessModes[0]",
        'supported values: "ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"',
    ),
    "ReadWriteOncePod beside another mode": (
        storage("50Ti", make_claim(accessModes=["ReadWriteOncePod", "ReadWriteMany"])),
        f"{CLAIMS}[0].accessModes",
        "ReadWriteOncePod cannot stand beside other access modes",
    ),
    "nothing asked for": (
        make_allocation(accelerators=None, storage=None, compute=None),
        "spec",
        "must ask for something: accelerators, storage or compute",
    ),
    "empty lists asked for": (
        make_allocation(accelerators=[], storage=[], compute=None),
        "spec",
        "must ask for something: accelerators, storage or compute",
    ),
    # further roles of members
    "a built-in role that gives too much": (
        member(clusterRoles=["cluster-admin"]),
        f"{MEMBER}.clusterRoles[0]",
        "cannot be given: admin, cluster-admin, edit and names of",
    ),
    "a role of the cluster": (member(clusterRoles=["system:node"]), f"{MEMBER}.clusterRoles[0]", "cannot be given"),
    "a role of the operator": (
        member(clusterRoles=["bitgoeul:tenant-admin"]),
        f"{MEMBER}.clusterRoles[0]",
        "cannot be given",
    ),
    "a role with a wildcard": (
        member(clusterRoles=["*"]),
        f"{MEMBER}.clusterRoles[0]",
        "must be the name of one ClusterRole: letters, digits",
    ),
    "a role without a name": (
        member(clusterRoles=[""]),
        f"{MEMBER}.clusterRoles[0]",
        "should be at least 1 chars long",
    ),
    "a role twice": (member(clusterRoles=["ray-user", "ray-user"]), f"{MEMBER}.clusterRoles[1]", "Duplicate value"),
    "nine roles": (
        member(clusterRoles=[f"role-{number}" for number in range(9)]),
        f"{MEMBER}.clusterRoles",
        "must have at most 8 items",
    ),
    # pod security
    "more for pods without a reason": (
        make_allocation(podSecurity={"level": "privileged"}),
        "spec.podSecurity.reason",
        "is required for a level weaker than baseline: say what needs it",
    ),
    "more for pods with an empty reason": (
        make_allocation(podSecurity={"level": "privileged", "reason": ""}),
        "spec.podSecurity.reason",
        "should be at least 1 chars long",
    ),
    "a reason with a line break": (
        make_allocation(podSecurity={"level": "privileged", "reason": "RDMA\nneeds it"}),
        "spec.podSecurity.reason",
        "must have no control characters",
    ),
    "an unknown level of pod security": (
        make_allocation(podSecurity={"level": "open", "reason": "we like it"}),
        "spec.podSecurity.level",
        '"privileged", "baseline", "restricted"',
    ),
    "pod security without a level": (
        make_allocation(podSecurity={"reason": "we like it"}),
        "spec.podSecurity.level",
        "Required value",
    ),
    # members
    "a member without a name": (member(name=""), f"{MEMBER}.name", "should be at least 1 chars long"),
    "a member of an unknown kind": (member(kind="Robot"), f"{MEMBER}.kind", '"User", "Group", "ServiceAccount"'),
    "the role cluster-admin": (
        member(role="cluster-admin"),
        f"{MEMBER}.role",
        'supported values: "admin", "edit", "view"',
    ),
    "the group system:masters": (
        member(kind="Group", name="system:masters"),
        f"{MEMBER}.name",
        f"system:masters: {CLUSTER}",
    ),
    "everybody who is logged in": (member(kind="Group", name="system:authenticated"), f"{MEMBER}.name", CLUSTER),
    "all service accounts": (member(kind="Group", name="system:serviceaccounts"), f"{MEMBER}.name", CLUSTER),
    "a service account as a user": (member(name="system:serviceaccount:a:b"), f"{MEMBER}.name", CLUSTER),
    "a wildcard": (member(name="*"), f"{MEMBER}.name", f'"*": {EXACT}'),
    "a name with a line break": (member(name="a\nb"), f"{MEMBER}.name", EXACT),
    "a name with a blank at its end": (member(name="a "), f"{MEMBER}.name", EXACT),
    "a name with an invisible character": (member(name="a\u200bb"), f"{MEMBER}.name", EXACT),
    "a service account without a namespace": (
        member(kind="ServiceAccount", name="ci"),
        f"{MEMBER}.namespace",
        "is required for kind ServiceAccount",
    ),
    "a user with a namespace": (
        member(namespace="tools"),
        f"{MEMBER}.namespace",
        "tools: must be left out for kind User",
    ),
    "a service account in an impossible namespace": (
        member(kind="ServiceAccount", name="ci", namespace="Tools"),
        f"{MEMBER}.namespace",
        LABEL,
    ),
    "an impossible service account": (
        member(kind="ServiceAccount", name="CI", namespace="tools"),
        f"{MEMBER}.name",
        "CI: must be the name of a service account",
    ),
    # texts and choices
    "an organization without a name": (organization(name=""), ORGANIZATION, "should be at least 1 chars long"),
    "a blank before the name": (organization(name=" Blue"), ORGANIZATION, f'" Blue": {DISPLAY}'),
    "a line break in the name": (organization(name="a\nb"), ORGANIZATION, DISPLAY),
    "a terminal sequence in the name": (organization(name="a\x1b[31m"), ORGANIZATION, DISPLAY),
    "a text-direction mark in the name": (organization(name="a\u202eb"), ORGANIZATION, DISPLAY),
    "a name of 129 characters": (organization(name="a" * 129), ORGANIZATION, "Too long"),
    "an unknown class": (
        organization(**{"class": "Club"}),
        "spec.organization.class",
        'supported values: "Startup", "SME"',
    ),
    "no organization": (make_allocation(organization=None), "spec.organization", "Required value"),
    "an unknown deletionPolicy": (
        make_allocation(expiry={"deletionPolicy": "Keep"}),
        "spec.expiry.deletionPolicy",
        'supported values: "Retain", "Delete"',
    ),
    # window
    "an end before the start": (
        window("2021-12-31T00:00:00Z", "2021-04-15T00:00:00+09:00"),
        "spec.window.end",
        "2021-04-15T00:00:00+09:00: must be later than start, which is 2021-12-31T00:00:00Z",
    ),
    "an end at the start, in another zone": (
        window("2021-04-15T09:00:00+09:00", "2021-04-15T00:00:00Z"),
        "spec.window.end",
        "2021-04-15T00:00:00Z: must be later than start, which is 2021-04-15T09:00:00+09:00",
    ),
    "both end and duration": (
        window(end="2021-12-31T00:00:00Z", duration="2160h"),
        "spec.window.duration",
        "2160h: must be left out where end is given (2021-12-31T00:00:00Z)",
    ),
    "a duration of nothing": (window(duration="0h"), "spec.window.duration", f'"0h": {DURATION}, more than 0s'),
    "a negative duration": (window(duration="-1h"), "spec.window.duration", f'"-1h": {DURATION}'),
    "a duration in days": (window(duration="1d"), "spec.window.duration", "at most 87600h; a day is 24h"),
    "a duration with a fraction": (window(duration="1.5h"), "spec.window.duration", DURATION),
    "a duration as in ISO 8601": (window(duration="P90D"), "spec.window.duration", DURATION),
    "an empty duration": (window(duration=""), "spec.window.duration", DURATION),
    "a duration of more than ten years": (window(duration="87601h"), "spec.window.duration", "at most 87600h"),
    "a duration without quotes": (window(duration=90), "spec.window.duration", "must be of type string"),
    "an end in the year 9999": (
        window(end="9999-12-31T00:00:00Z"),
        "spec.window.end",
        f'"9999-12-31T00:00:00Z": {YEARS}',
    ),
    "a start in the year 1999": (window("1999-12-31T23:59:59Z"), "spec.window.start", YEARS),
    "a window that the calendar cannot hold": (
        window("0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", expiry={"notice": ["87600h"]}),
        "spec.window.start",
        YEARS,
    ),
    "a window at the end of time": (
        window("9999-01-01T00:00:00Z", "9999-12-31T00:00:00Z", expiry={"notice": ["87600h"]}),
        "spec.window.start",
        YEARS,
    ),
    "a start without a zone": (
        window("2021-04-15T00:00:00"),
        "spec.window.start",
        '"2021-04-15T00:00:00": spec.window.start in body must be of type date-time',
    ),
    "a day as an end": (window(end="2021-12-31"), "spec.window.end", "must be of type date-time"),
    # expiry
    "a notice longer than the duration": (
        window(duration="24h", expiry={"notice": ["168h", "1h"]}),
        "spec.expiry.notice",
        f'{LONG}: ["168h in a window of 24h"]',
    ),
    "a notice as long as the duration": (
        window(duration="24h", expiry={"notice": ["1440m"]}),
        "spec.expiry.notice",
        f'{LONG}: ["1440m in a window of 24h"]',
    ),
    "a notice longer than from start to end": (
        window("2021-04-15T00:00:00Z", "2021-04-16T00:00:00Z", expiry={"notice": ["1h", "25h"]}),
        "spec.expiry.notice",
        f'{LONG}: ["25h in a window from 2021-04-15T00:00:00Z to 2021-04-16T00:00:00Z"]',
    ),
    "five notices": (
        expiry(notice=[f"{n}h" for n in range(1, 6)]),
        "spec.expiry.notice",
        "Too many: 5: must have at most 4 items",
    ),
    "one notice twice": (expiry(notice=["24h", "24h"]), "spec.expiry.notice", "each notice must be there once"),
    "a notice of nothing": (expiry(notice=["0s"]), "spec.expiry.notice[0]", f'"0s": {DURATION}, more than 0s'),
    "a notice in days, in a short window": (
        window(duration="24h", expiry={"notice": ["7d"]}),
        "spec.expiry.notice[0]",
        f'"7d": {DURATION}',
    ),
    "a notice in a window that is no duration": (
        window(duration="1d", expiry={"notice": ["168h"]}),
        "spec.window.duration",
        f'"1d": {DURATION}',
    ),
    "a negative grace": (expiry(grace="-1h"), "spec.expiry.grace", f'"-1h": {DURATION}, at least 0s'),
    "a grace of more than a year": (expiry(grace="8761h"), "spec.expiry.grace", '"8761h": must be a duration'),
    "a negative retention": (expiry(retention="-720h"), "spec.expiry.retention", f"{DURATION}, at least 0s"),
    "a retention of more than ten years": (expiry(retention="87601h"), "spec.expiry.retention", "at most 87600h"),
    "an unknown workload": (
        expiry(workload="Kill"),
        "spec.expiry.workload",
        '"Kill": supported values: "Drain", "Keep"',
    ),
    "suspend as text": (make_allocation(suspend="yes"), "spec.suspend", "must be of type boolean"),
    "a name as restoreFrom": (
        make_allocation(restoreFrom="blue"),
        "spec.restoreFrom",
        '"blue": must be the UID of a deleted allocation',
    ),
    # shape
    "a text for an object": (make_allocation(compute="64"), "spec.compute", "must be of type object"),
    "an object for a list": (make_allocation(members={}), "spec.members", "must be of type array"),
    "an unknown field": (make_allocation(devices=8), "", f'{UNKNOWN} "spec.devices"'),
    "an unknown field deep inside": (
        make_allocation(accelerators=[{"pool": "a100", "devices": 1, "count": 2}]),
        "",
        f'{UNKNOWN} "spec.accelerators[0].count"',
    ),
    "a field of a later version": (
        make_allocation(network={"isolation": "Strict"}),
        "",
        f'{UNKNOWN} "spec.network"',
    ),
}
