"""What is found right and wrong: clocks and Leases at their limits, versions, and what may not be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bitgoeul.api.crd import build_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import (
    ALLOCATION_LABEL,
    CLOCK_OFFSET_ANNOTATION,
    GROUP,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    NOT_READY_ANNOTATION,
    RUNS_IN_ANNOTATION,
)
from bitgoeul.cli.doctor import LISTED, as_lines
from bitgoeul.cli.evidence import Evidence, Finding, Verdict
from bitgoeul.cli.findings import examine
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    BY_KIND,
    DEVICE_CLASS,
    LIMIT_RANGE,
    MUTATING_POLICY,
    NAMESPACE,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    TENANT_ALLOCATION,
)
from bitgoeul.desired.allocation_status import instant
from bitgoeul.desired.tenant_policies import build_tenant_policies
from tests.unit.builders import NOW, Manifest, make_accelerator_pool, make_allocation, make_namespace, make_quota


def lease(seconds: float = 0, annotations: Manifest | None = None, written: float | None = None) -> Manifest:
    """A Lease that was renewed so long ago by its holder's clock, and ``written`` so long ago by the API server's."""
    spec = {"holderIdentity": "one", "renewTime": instant(NOW - timedelta(seconds=seconds)), "leaseDurationSeconds": 15}
    if written is not None:
        fields = [
            {"time": instant(NOW), "fieldsV1": {"f:metadata": {"f:labels": {}}}},
            {"time": instant(NOW - timedelta(seconds=written)), "fieldsV1": {"f:spec": {"f:renewTime": {}}}},
        ]
        return {"metadata": {"annotations": annotations or {}, "managedFields": fields}, "spec": spec}
    return {"metadata": {"annotations": annotations or {}}, "spec": spec}


WELL = Evidence(
    version={"gitVersion": "v1.36.3"},
    definitions={f"{kind.plural}.{GROUP}": build_crd(kind) for kind in KINDS},
    objects={kind: [] for kind in LISTED} | {BY_KIND[one["kind"]]: [one] for one in build_tenant_policies()},
    lease=lease(),
    lease_refused=False,
    here=NOW,
    server_time=NOW,
    user="dain",
    server="https://one",
)


def device_class(name: str, resource: str = "") -> Manifest:
    return {"metadata": {"name": name}, "spec": {"extendedResourceName": resource} if resource else {}}


def find(check: str, **fields: Any) -> Finding:
    """What one check finds when something is other than well."""
    return next(one for one in examine(replace(WELL, **fields)) if one.check == check)


def test_all_is_well() -> None:
    """Then nothing has a fix, and the next command shows the center."""
    found = examine(WELL)
    assert {(one.verdict, one.fix, one.unready) for one in found} == {(Verdict.OK, "", False)}
    assert as_lines(found)[-1] == "Next  bitgoeul status"


@pytest.mark.parametrize(
    ("check", "fields", "verdict", "unready", "said"),
    [
        pytest.param("kubernetes", {"version": {"gitVersion": "v1.35.9"}}, "bad", False, "needs 1.36", id="too old"),
        pytest.param(
            "kinds", {"unserved": frozenset({TENANT_ALLOCATION})}, "bad", True, "TenantAllocation", id="no kind"
        ),
        pytest.param("kinds", {"definitions": None}, "warn", False, "not checked", id="definitions may not be read"),
        pytest.param("operator", {"lease": None}, "bad", True, "no Lease in namespace bitgoeul-system", id="no lease"),
        pytest.param("operator", {"lease": lease(20)}, "ok", False, "one leads", id="a Lease that is late"),
        pytest.param("operator", {"lease": lease(21)}, "bad", True, "not renewed its Lease for 21 s", id="dead"),
        pytest.param(
            "operator", {"lease": lease(602, written=2)}, "bad", False, "one leads, with a clock that is 600 s behind",
            id="a leader with a clock that is far behind",
        ),
        pytest.param(
            "operator", {"lease": lease(-40, written=1)}, "bad", False, "41 s ahead of the API server's: no end is",
            id="a leader with a clock that is far ahead",
        ),
        pytest.param(
            "operator", {"lease": lease(12, written=2)}, "warn", False, "10 s behind", id="a leader with a slow clock"
        ),
        pytest.param(
            "operator", {"lease": lease(0, written=40)}, "bad", True, "not renewed its Lease for 40 s",
            id="dead, with a clock that was ahead",
        ),
        pytest.param(
            "operator", {"lease": lease(1, {RUNS_IN_ANNOTATION: "elsewhere"}, written=1)}, "ok", False,
            "one in namespace elsewhere leads", id="where it runs",
        ),
        pytest.param(
            "operator", {"lease": lease(1, {NOT_READY_ANNOTATION: "lists, rights (patch pods)"})}, "bad", False,
            "one leads, and cannot do its work; these of its checks fail: lists, rights (patch pods)",
            id="one that lacks rights",
        ),
        pytest.param(
            "operator", {"lease": lease(40, {NOT_READY_ANNOTATION: "rights"}, written=40)}, "bad", True,
            "not renewed its Lease for 40 s", id="dead, and had lacked rights",
        ),
        pytest.param("operator", {"lease": lease(-6)}, "warn", False, "6 s ahead", id="a leader with a fast clock"),
        pytest.param(
            "operator", {"lease": lease(30), "server_time": NOW - timedelta(seconds=30)}, "ok", False, "one leads",
            id="the API server's clock decides about a Lease, not this machine's",
        ),
        pytest.param(
            "clock", {"lease": lease(0, {CLOCK_OFFSET_ANNOTATION: "72h"})}, "warn", False, "shifted by 72h", id="shift"
        ),
        pytest.param(
            "clock", {"server_time": NOW + timedelta(seconds=6)}, "warn", False, "6 s apart", id="this machine is slow"
        ),
        pytest.param("clock", {"server_time": None}, "warn", False, "not compared", id="no time to compare with"),
        pytest.param(
            "admission", {"unserved": frozenset({MUTATING_POLICY})}, "bad", False, "MutatingAdmissionPolicy",
            id="an API server without the policies",
        ),
        pytest.param(
            "dra",
            {"objects": {ACCELERATOR_POOL: [], DEVICE_CLASS: [device_class("gpu", "gpu.example/x")]}},
            "warn", False,
            "open to tenants, because no pool names it: gpu.example/x of DeviceClass gpu",
            id="a class with a resource that no pool has",
        ),
        pytest.param("rights", {"missing_rights": ("list nodes",)}, "warn", False, "dain may not list", id="rights"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(check: str, fields: dict[str, Any], verdict: str, unready: bool, said: str) -> None:
    """With a verdict, and a command unless all is well."""
    found = find(check, **fields)
    assert (found.verdict, found.unready) == (verdict, unready)
    assert said in found.found
    assert bool(found.fix) == (verdict != "ok")


@pytest.mark.parametrize("kind", LISTED, ids=lambda kind: kind.kind)
def test_what_may_not_be_listed_keeps_no_check_from_being_made(kind: Any) -> None:
    """It is a warning, or of no account."""
    objects = {other: found for other, found in WELL.objects.items() if other is not kind}
    found = examine(replace(WELL, objects=objects))
    assert {one.verdict for one in found} <= {Verdict.OK, Verdict.WARN}
    if kind in (ACCELERATOR_POOL, LIMIT_RANGE, NAMESPACE, TENANT_ALLOCATION):
        assert any(one.found.startswith("not checked") for one in found)


def binding(namespace: str, allocation: str, **metadata: Any) -> Manifest:
    """A binding of ours."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, ALLOCATION_LABEL: allocation}
    return {"metadata": {"name": "bitgoeul", "namespace": namespace, "labels": labels, **metadata}}


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        pytest.param({ROLE_BINDING: [binding("else", "gone")]}, "RoleBinding bitgoeul", id="a binding of nobody"),
        pytest.param({ROLE_BINDING: [binding("else", "blue")]}, "nothing", id="a binding of somebody"),
        pytest.param(
            {ROLE_BINDING: [binding("else", "gone", deletionTimestamp="now")]}, "nothing", id="a binding on its way out"
        ),
        pytest.param(
            {ROLE_BINDING: [binding("old", "gone")], NAMESPACE: [make_namespace("old", retained=True)]}, "nothing",
            id="a binding where data is kept",
        ),
        pytest.param({NAMESPACE: [make_namespace("old")]}, "namespaces without an allocation: old", id="a namespace"),
        pytest.param({NAMESPACE: [make_namespace("blue")]}, "nothing", id="a namespace of somebody"),
    ],
)  # fmt: skip
def test_what_is_left_over_is_found(objects: dict[Any, list[Manifest]], said: str) -> None:
    """What is on its way out or goes with data that is kept is not left over."""
    found = find("leftovers", objects={**WELL.objects, TENANT_ALLOCATION: [make_allocation("blue")], **objects})
    assert said in found.found
    assert found.verdict == ("ok" if said == "nothing" else "warn")


def test_pods_that_no_node_takes_are_told() -> None:
    """By the condition of their allocation; the fix says why."""
    pends = {"type": "PodsPending", "status": "True", "reason": "PodsUnschedulable", "message": "8 pods have been …"}
    stuck = make_allocation("blue", status={"conditions": [pends]})
    objects = {**WELL.objects, TENANT_ALLOCATION: [stuck, make_allocation("green")]}
    assert find("pods", objects=objects) == Finding(
        "pods", Verdict.WARN, "1 allocation has pods that no node takes: blue", "bitgoeul why blue"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param(
            {"unserved": frozenset({DEVICE_CLASS})}, "resource.k8s.io/v1 is not served, and not needed", id="no"
        ),
        pytest.param(
            {
                "objects": {
                    ACCELERATOR_POOL: [make_accelerator_pool(resource="gpu.example/x")],
                    DEVICE_CLASS: [device_class("gpu", "gpu.example/x"), device_class("plain")],
                }
            },
            "resource.k8s.io/v1 has 2 device classes; claims are closed to tenants",
            id="what a pool names is counted by its quota",
        ),
    ],
)
def test_device_classes_may_be_there(fields: dict[str, Any], said: str) -> None:
    """They open nothing that no quota counts."""
    assert find("dra", **fields) == Finding("dra", Verdict.OK, said)


def quota(namespace: str, name: str = "bitgoeul") -> Manifest:
    """A quota; ours by its name."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY} if name == "bitgoeul" else {}
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}}


def in_phase(name: str, phase: str | None, **metadata: Any) -> Manifest:
    """An allocation in a phase; None: nobody has looked at it."""
    obj = make_allocation(name)
    obj["metadata"] |= metadata
    return obj | ({"status": {"phase": phase}} if phase else {})


@pytest.mark.parametrize(
    ("allocation", "quotas", "namespace", "bad"),
    [
        pytest.param(in_phase("blue", "Active"), [], {}, True, id="none at all"),
        pytest.param(in_phase("blue", "Expiring"), [], {}, True, id="none shortly before its end"),
        pytest.param(in_phase("blue", "Active"), [quota("blue", "mine")], {}, True, id="one of somebody else only"),
        pytest.param(in_phase("blue", "Active"), [quota("blue")], {}, False, id="ours"),
        pytest.param(in_phase("blue", "Provisioning"), [], {}, False, id="none, and it is being set up"),
        pytest.param(in_phase("blue", None), [], {}, False, id="none, and nobody has looked at it"),
        pytest.param(in_phase("blue", "Expired"), [], {}, False, id="none after its end"),
        pytest.param(
            in_phase("blue", "Active", deletionTimestamp=instant(NOW)), [], {}, False, id="none, and it is deleted"
        ),
        pytest.param(
            in_phase("blue", "Active"), [], {"deletionTimestamp": instant(NOW)}, False, id="and its namespace goes"
        ),
    ],
)
def test_a_namespace_in_use_without_our_quota_is_bad(
    allocation: Manifest, quotas: list[Manifest], namespace: Manifest, bad: bool
) -> None:
    """Nothing is limited there; where it is only being set up or ends, that is as it should be."""
    place = make_namespace("blue")
    place["metadata"] |= namespace
    found = find(
        "quotas",
        objects={**WELL.objects, TENANT_ALLOCATION: [allocation], NAMESPACE: [place], RESOURCE_QUOTA: quotas},
    )
    assert (found.verdict is Verdict.BAD) == bad
    if bad:
        assert found.found == "no quota of ours in blue: what is used there is not limited to the grant"
        assert found.fix == "bitgoeul why blue"


def test_each_namespace_without_a_quota_is_named_before_those_with_two() -> None:
    """By the allocation that they belong to."""
    objects = {
        **WELL.objects,
        TENANT_ALLOCATION: [in_phase(name, "Active") for name in ("blue", "red")],
        NAMESPACE: [make_namespace("red"), make_namespace("b", "blue"), make_namespace("a", "blue")],
        RESOURCE_QUOTA: [quota("red"), quota("red", "mine"), quota("red", "yours")],
    }
    found = find("quotas", objects=objects)
    assert (found.verdict, found.found, found.fix) == (
        Verdict.BAD,
        "no quota of ours in a, b: what is used there is not limited to the grant; more than one quota in red: the "
        "least of them counts",
        "bitgoeul why blue",
    )
    objects[RESOURCE_QUOTA] += [quota("a"), quota("b")]
    found = find("quotas", objects=objects)
    assert (found.verdict, found.fix) == (
        Verdict.WARN,
        "kubectl delete resourcequota mine -n red && kubectl delete resourcequota yours -n red",
    )


def foreign(namespace: str, *rows: Manifest, name: str = "default") -> Manifest:
    """A LimitRange of somebody else."""
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"limits": list(rows)}}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param(
            [{"type": "Container", "default": {"memory": "512Mi", "cpu": "2"}, "defaultRequest": {"cpu": "1"}}],
            "Container limited to cpu 2, memory 512Mi where nothing is said, asks for cpu 1 where nothing is said",
            id="defaults",
        ),
        pytest.param(
            [{"type": "Pod", "max": {"cpu": "2"}}, {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}],
            "Pod at most cpu 2; PersistentVolumeClaim at most storage 1Gi",
            id="bounds of pods and claims",
        ),
        pytest.param([{"type": "Pod"}], "it caps nothing", id="nothing"),
    ],
)
def test_limits_of_others_are_told(rows: list[Manifest], said: str) -> None:
    """Where they stand, what they cap, and the command that takes them away."""
    namespaces = [make_namespace("blue"), make_namespace("else", "")]
    objects = {**WELL.objects, NAMESPACE: namespaces, LIMIT_RANGE: [foreign("else"), foreign("blue", *rows)]}
    found = find("limits", objects=objects)
    assert found.verdict is Verdict.WARN
    assert found.found == (
        f"a foreign LimitRange in blue: pods that the grant has room for may be refused; default in blue: {said}"
    )
    assert found.fix == "kubectl delete limitrange default -n blue"


def test_each_limit_of_others_in_a_namespace_is_told() -> None:
    """With what it caps, and the commands that take all of them away; other namespaces by name."""
    namespaces = [make_namespace("blue"), make_namespace("red")]
    cpu, memory = {"type": "Pod", "max": {"cpu": "2"}}, {"type": "Pod", "max": {"memory": "1Gi"}}
    limits = [foreign("red"), foreign("blue", memory, name="two"), foreign("blue", cpu, name="one")]
    found = find("limits", objects={**WELL.objects, NAMESPACE: namespaces, LIMIT_RANGE: limits})
    assert found.found == (
        "3 foreign LimitRanges in blue, red: pods that the grant has room for may be refused; "
        "one in blue: Pod at most cpu 2; two in blue: Pod at most memory 1Gi"
    )
    assert found.fix == "kubectl delete limitrange one -n blue && kubectl delete limitrange two -n blue"
    many = [foreign("blue", cpu, name=f"many{number}") for number in range(7)]
    found = find("limits", objects={**WELL.objects, NAMESPACE: namespaces, LIMIT_RANGE: many})
    assert found.found.endswith("many4 in blue: Pod at most cpu 2; 2 more there")


@pytest.mark.parametrize(
    ("pools", "metadata", "verdict"),
    [
        pytest.param([], {}, "warn", id="the pool is gone"),
        pytest.param([make_accelerator_pool("a100")], {}, "ok", id="the pool is there"),
        pytest.param([], {"deletionTimestamp": "now"}, "ok", id="on its way out"),
        pytest.param([], {"ownerReferences": [{"kind": "AcceleratorPool"}]}, "ok", id="its owner takes it away"),
        pytest.param([], {"labels": {}}, "ok", id="somebody else's"),
        pytest.param([], {"name": "bitgoeul-other"}, "ok", id="not a pool's"),
    ],
)
def test_what_a_pool_has_left_behind_is_found(pools: list[Manifest], metadata: Manifest, verdict: str) -> None:
    """A new pool of the name would take it over."""
    given = {"name": "bitgoeul-pool-a100", "labels": {MANAGED_BY_LABEL: MANAGED_BY}} | metadata
    objects = {**WELL.objects, ACCELERATOR_POOL: pools, MUTATING_POLICY: [{"metadata": given}]}
    found = find("leftovers", objects=objects)
    assert found.verdict == verdict
    if verdict == "warn":
        assert found.found.startswith("admission policies without a pool: bitgoeul-pool-a100; a new pool")
        assert found.fix == "kubectl delete mutatingadmissionpolicy bitgoeul-pool-a100"


def claimed(namespace: str, claims: int = 1) -> Manifest:
    """Our quota of a namespace with so many volume claims."""
    metadata = {"name": "bitgoeul", "namespace": namespace, "labels": {MANAGED_BY_LABEL: MANAGED_BY}}
    return {"metadata": metadata, "status": {"used": {"persistentvolumeclaims": str(claims)}}}


def test_only_namespaces_with_claims_keep_data() -> None:
    """Those without are told apart: nothing is charged for them."""
    kept = [make_namespace(name, retained=True) for name in ("a", "b")]
    found = find("retained", objects={**WELL.objects, NAMESPACE: kept, RESOURCE_QUOTA: [claimed("a"), claimed("b", 0)]})
    text = "data of deleted allocations is kept, and charged, in a; kept without data: b"
    assert (found.verdict, found.found) == (Verdict.WARN, text)
    found = find("retained", objects={**WELL.objects, NAMESPACE: kept, RESOURCE_QUOTA: []})
    text = "namespaces of deleted allocations are kept without data: a, b"
    assert (found.verdict, found.found) == (Verdict.WARN, text)


def test_what_holds_an_allocation_up_is_told() -> None:
    """What cannot be enforced, and what has been in deletion for long; one that only waits is as it should be."""
    failed = make_allocation("blue")
    failed["status"] = {"conditions": [{"type": "Provisioned", "status": "False", "reason": "ApplyFailed"}]}
    gone, going = make_allocation("gone"), make_allocation("going")
    gone["metadata"]["deletionTimestamp"] = instant(NOW - timedelta(minutes=5))
    going["metadata"]["deletionTimestamp"] = instant(NOW - timedelta(seconds=5))
    found = find("enforced", objects={**WELL.objects, TENANT_ALLOCATION: [failed, gone, going, make_allocation("red")]})
    told = f"not as they should be: blue (ApplyFailed), gone (in deletion since {instant(NOW - timedelta(minutes=5))})"
    assert found == Finding("enforced", Verdict.WARN, told, "bitgoeul why blue")


def test_what_one_with_a_grant_is_refused_is_told() -> None:
    """Members who lost a role have not what was granted; one that never got anything is only told no."""
    stalled = {"type": "Stalled", "status": "True", "reason": "RoleNotAllowed"}
    blue, green = (
        make_allocation(name, status={"conditions": [{"type": "Admitted", "status": admitted}, stalled]})
        for name, admitted in (("blue", "True"), ("green", "False"))
    )
    found = find("enforced", objects={**WELL.objects, TENANT_ALLOCATION: [blue, green]})
    assert found == Finding(
        "enforced", Verdict.WARN, "not as they should be: blue (RoleNotAllowed)", "bitgoeul why blue"
    )


def test_what_is_printed() -> None:
    """One line a check, the fix behind what is wrong, and the worst fix once more as the next command."""
    tenant, mine = make_namespace("blue"), {"metadata": {"name": "mine", "namespace": "blue"}}
    objects = {
        **WELL.objects,
        TENANT_ALLOCATION: [make_allocation("blue")],
        NAMESPACE: [tenant, make_namespace("old", retained=True)],
        RESOURCE_QUOTA: [make_quota("blue") | {"metadata": binding("blue", "blue")["metadata"]}, mine, claimed("old")],
        DEVICE_CLASS: [device_class("mig", "nvidia.com/mig-1g.10gb")],
    }
    wrong = replace(WELL, objects=objects, lease=None, here=NOW + timedelta(minutes=1), missing_rights=("list nodes",))
    closed = (
        '{"apiVersion":"bitgoeul.dev/v1alpha1","kind":"AcceleratorPool","metadata":{"name":"closed-nvidia-com-mig-1g-10gb"},'
        '"spec":{"type":"Other","nodeSelector":{"kubernetes.io/os":"linux"},"resourceName":"nvidia.com/mig-1g.10gb",'
        '"reserve":1000000}}'
    )
    reads = (
        "acceleratorpools.bitgoeul.dev,storagepools.bitgoeul.dev,tenantallocations.bitgoeul.dev,nodes,namespaces,"
        "resourcequotas,leases.coordination.k8s.io"
    )
    assert as_lines(examine(wrong)) == [
        "ok    kubernetes  v1.36.3",
        "ok    kinds       3 kinds, as this version has them",
        "bad   operator    there is no Lease in namespace bitgoeul-system; fix: bitgoeul run",
        "warn  clock       this machine's clock and the API server's are 60 s apart; fix: timedatectl set-ntp true",
        "ok    admission   policies of all tenants and of 0 pools in place",
        "warn  dra         open to tenants, because no pool names it: nvidia.com/mig-1g.10gb of DeviceClass mig; "
        f"fix: echo '{closed}' | kubectl apply -f -",
        "warn  quotas      more than one quota in blue: the least of them counts; "
        "fix: kubectl delete resourcequota mine -n blue",
        "ok    limits      no foreign LimitRange in 2 tenant namespaces",
        "ok    security    pod security is baseline or stricter everywhere",
        "ok    roles       members may be given no ClusterRoles but the operator's own",
        "warn  retained    data of deleted allocations is kept, and charged, in old; "
        "fix: kubectl get namespaces -l bitgoeul.dev/retained=true",
        "ok    leftovers   nothing without an allocation or a pool",
        "ok    pods        no allocation has pods that no node takes",
        "ok    enforced    nothing holds up any allocation",
        "warn  rights      dain may not list nodes; "
        f"fix: kubectl create clusterrole bitgoeul-reader --verb=get,list --resource={reads} && "
        "kubectl create clusterrolebinding bitgoeul-reader --clusterrole=bitgoeul-reader --user=dain",
        "",
        "Next  bitgoeul run",
    ]
