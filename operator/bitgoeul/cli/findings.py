"""
What is right and wrong with an installation, judged from what was read of the cluster: one finding for each check.

Pure: what could not be read is said so in the finding, and keeps no other check from being made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from bitgoeul.api import AcceleratorPool
from bitgoeul.api.conditions import ConditionType, Reason
from bitgoeul.api.crd import build_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import (
    ALLOCATION_LABEL,
    API_VERSION,
    CLOCK_OFFSET_ANNOTATION,
    GROUP,
    MAX_POOL_NAME,
    NOT_READY_ANNOTATION,
    OPERATOR_NAMESPACE,
    RETAINED_LABEL,
)
from bitgoeul.cli.allocation_findings import check_allocations, check_pods
from bitgoeul.cli.doors import check_member_roles, check_pod_security
from bitgoeul.cli.evidence import (
    CHILDREN,
    LOOKED_AT,
    NAMED,
    POLICY_KINDS,
    Evidence,
    Finding,
    Verdict,
    count,
    deletion,
    named,
    ours,
    unread,
    unready,
    views,
)
from bitgoeul.cli.leader import SKEW, has_lapsed, unrenewed, written_at
from bitgoeul.cli.limit_findings import check_limits
from bitgoeul.cli.quota_findings import check_quotas
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import (
    ACCELERATOR_POOL,
    ADMISSION,
    DEVICE_CLASS,
    LEASE,
    NAMESPACE,
    OWN_KINDS,
    RESOURCE_QUOTA,
    TENANT_ALLOCATION,
    Kind,
)
from bitgoeul.cluster.lease import runs_in
from bitgoeul.controller.clock import MOST_SKEW_SECONDS
from bitgoeul.controller.preflight import check_version
from bitgoeul.controller.unkept import CHANGED_BACK
from bitgoeul.desired.admission_policies import build_pool_policies, policy_name
from bitgoeul.desired.drift import differs
from bitgoeul.desired.tenant_policies import POLICY_NAME, build_tenant_policies
from bitgoeul.errors import UserError
from bitgoeul.planning.moments import date
from bitgoeul.planning.observed import NamespaceView, whole
from bitgoeul.planning.terms import read_moment

INSTALL_KINDS = "bitgoeul crds | kubectl apply -f -"
SET_CLOCK = "timedatectl set-ntp true"
NOTHING = 1_000_000  # held back: more devices than any pool has


def examine(evidence: Evidence) -> list[Finding]:
    """All findings, in the order in which causes go before consequences."""
    checks: tuple[Callable[[Evidence], Finding], ...] = (
        check_kubernetes,
        check_kinds,
        check_operator,
        check_clock,
        check_policies,
        check_device_classes,
        check_quotas,
        check_limits,
        check_pod_security,
        check_member_roles,
        check_retained,
        check_leftovers,
        check_pods,
        check_allocations,
        check_rights,
    )
    return [check(evidence) for check in checks]


def check_kubernetes(evidence: Evidence) -> Finding:
    try:
        check_version(evidence.server, evidence.version)
    except UserError as error:
        return Finding("kubernetes", Verdict.BAD, str(error), "kubectl version")
    return Finding("kubernetes", Verdict.OK, str(evidence.version.get("gitVersion", "")))


def check_kinds(evidence: Evidence) -> Finding:
    """Whether the cluster has our kinds as this version has them."""
    name = "kinds"
    gone = [kind.kind for kind in OWN_KINDS if kind in evidence.unserved]
    if gone:
        return unready(name, f"the cluster does not know {', '.join(gone)} ({GROUP})", INSTALL_KINDS)
    if evidence.definitions is None:
        return unread(name, "get customresourcedefinitions")
    wanted = {f"{kind.plural}.{GROUP}": build_crd(kind)["spec"] for kind in KINDS}
    other = [one for one, spec in wanted.items() if not same_definition(evidence.definitions.get(one), spec)]
    if other:
        found = f"{named(other)} differ from those of this version: fields may be lost or refused"
        return Finding(name, Verdict.BAD, found, INSTALL_KINDS)
    return Finding(name, Verdict.OK, f"{len(wanted)} kinds, as this version has them")


def same_definition(live: Object | None, spec: Mapping[str, Any]) -> bool:
    """Whether a definition says what ours says; how versions are converted is the API server's default."""
    return live is not None and {key: value for key, value in live["spec"].items() if key != "conversion"} == spec


def check_operator(evidence: Evidence) -> Finding:
    """Tell whether an operator leads, and can do its work; its Lease is renewed every few seconds."""
    name, start = "operator", "bitgoeul run"
    if evidence.lease_refused:
        return unread(name, "get leases")
    if evidence.lease is None:
        return unready(name, f"there is no Lease in namespace {OPERATOR_NAMESPACE}", start)
    spec = evidence.lease.get("spec") or {}
    holder, renewed = str(spec.get("holderIdentity") or ""), read_moment(spec.get("renewTime"))
    age = unrenewed(evidence.lease, evidence.server_time or evidence.here)
    if renewed is None or age is None:
        return unready(name, "nobody leads: the last operator gave its Lease up", start)
    written = written_at(evidence.lease)
    if has_lapsed(evidence.lease, age):
        found = f"nobody leads: {holder} has not renewed its Lease for {round(age.total_seconds())} s"
        return unready(name, found, start)
    place = runs_in(evidence.lease)
    where = f"{holder} in namespace {place}" if place else holder
    ahead = max(-age, timedelta(0)) if written is None else date(renewed) - date(written)
    if abs(ahead) > SKEW:
        direction = "ahead of" if ahead > timedelta(0) else "behind"
        found = (
            f"{where} leads, with a clock that is {round(abs(ahead).total_seconds())} s {direction} the API server's"
        )
        if abs(ahead) <= timedelta(seconds=MOST_SKEW_SECONDS):
            return Finding(name, Verdict.WARN, found, SET_CLOCK)
        return Finding(name, Verdict.BAD, f"{found}: no end is acted on meanwhile", SET_CLOCK)
    if not_ready := (evidence.lease["metadata"].get("annotations") or {}).get(NOT_READY_ANNOTATION):
        found = f"{where} leads, and cannot do its work; these of its checks fail: {not_ready}"
        return Finding(name, Verdict.BAD, found, f"kubectl logs deployment/bitgoeul -n {place or OPERATOR_NAMESPACE}")
    return Finding(name, Verdict.OK, f"{where} leads")


def check_clock(evidence: Evidence) -> Finding:
    """Whether the operator plans by the real time, and this machine has it."""
    name = "clock"
    metadata = (evidence.lease or {}).get("metadata") or {}
    offset = (metadata.get("annotations") or {}).get(CLOCK_OFFSET_ANNOTATION)
    if offset:
        found = f"the operator plans by a clock that is shifted by {offset}"
        return Finding(name, Verdict.WARN, found, "bitgoeul run --clock-offset 0s")
    if evidence.server_time is None:
        return Finding(name, Verdict.WARN, "not compared: the API server did not tell its time", "kubectl auth whoami")
    skew = evidence.here - evidence.server_time
    if abs(skew) > SKEW:
        found = f"this machine's clock and the API server's are {round(abs(skew).total_seconds())} s apart"
        return Finding(name, Verdict.WARN, found, SET_CLOCK)
    return Finding(name, Verdict.OK, "not shifted, and the same here as at the API server")


def check_policies(evidence: Evidence) -> Finding:
    """Whether each pool has its admission policies, which keep pods in it, and all tenants have theirs."""
    name = "admission"
    unknown = [kind.kind for kind in POLICY_KINDS if kind in evidence.unserved]
    if unknown:
        found = f"the API server does not serve {', '.join(unknown)} of {ADMISSION}/v1"
        return Finding(name, Verdict.BAD, found, "kubectl api-versions")
    if ACCELERATOR_POOL in evidence.unserved:
        return Finding(name, Verdict.OK, "no pool yet")
    needed = (ACCELERATOR_POOL, *POLICY_KINDS)
    refused = [kind.plural for kind in needed if kind not in evidence.objects]
    if refused:
        return unread(name, f"list {', '.join(refused)}")
    pools = read_pools(evidence.objects[ACCELERATOR_POOL])
    if not pools and not evidence.objects.get(TENANT_ALLOCATION):
        return Finding(name, Verdict.OK, "no pool yet")
    if not all_stand(evidence, build_tenant_policies()):
        found = f"policies {POLICY_NAME} of all tenants are missing or changed: pods may hold devices for too long"
        return Finding(name, Verdict.BAD, found, f"kubectl describe validatingadmissionpolicy {POLICY_NAME}")
    wrong = [
        pool.metadata.name
        for pool in pools
        if not all_stand(evidence, build_pool_policies(pool.metadata.name, pool.spec, pool.metadata.uid))
    ]
    if wrong:
        found = f"policies are missing or changed of {named(wrong)}: pods may leave their pool"
        return Finding(name, Verdict.BAD, found, f"kubectl describe apool {wrong[0]}")
    pinned = unkept(evidence.objects.get(TENANT_ALLOCATION, ()))
    if pinned:
        first = next(iter(pinned))
        found = f"what the operator writes does not stand for {named(pinned)}: {pinned[first]}"
        return Finding(name, Verdict.WARN, found, f"bitgoeul why {first}")
    return Finding(name, Verdict.OK, f"policies of all tenants and of {count(len(pools), 'pool')} in place")


def unkept(allocations: Iterable[Object]) -> dict[str, str]:
    """Which allocations have something that another admission policy or webhook changes, and what they say of it."""
    found = {}
    for obj in allocations:
        for one in (obj.get("status") or {}).get("conditions") or ():
            failed = one.get("type") == ConditionType.PROVISIONED and one.get("reason") == Reason.APPLY_FAILED
            if failed and CHANGED_BACK in one.get("message", ""):
                found[obj["metadata"]["name"]] = str(one["message"])
    return found


def all_stand(evidence: Evidence, policies: Iterable[Object]) -> bool:
    """Whether policies and bindings are what they should be."""
    there = {(one.kind, obj["metadata"]["name"]): obj for one in POLICY_KINDS for obj in evidence.objects[one]}
    return not any(
        differs(
            # Items of a list do not say their kind.
            {"metadata": wanted["metadata"], "spec": wanted["spec"]},
            there.get((wanted["kind"], wanted["metadata"]["name"]), {}),
        )
        for wanted in policies
    )


def read_pools(objects: Iterable[Object]) -> list[AcceleratorPool]:
    """The pools that should have policies: those that can be read, and stay."""
    pools = []
    for obj in objects:
        try:
            pool = AcceleratorPool.model_validate(obj)
        except ValidationError:
            continue
        if pool.metadata.deletion_timestamp is None:
            pools.append(pool)
    return pools


def check_device_classes(evidence: Evidence) -> Finding:
    """
    Whether dynamic resource allocation opens devices that no quota counts.

    Nothing is granted that way, and tenants may make no claims. But a class may give its devices a resource name, by
    which pods ask for them without a claim, and quota ignores a name that no pool has.
    """
    name, api = "dra", DEVICE_CLASS.api_version
    if DEVICE_CLASS in evidence.unserved:
        return Finding(name, Verdict.OK, f"{api} is not served, and not needed")
    if ACCELERATOR_POOL in evidence.unserved:
        return Finding(name, Verdict.OK, "no pool yet")
    refused = [kind.plural for kind in (DEVICE_CLASS, ACCELERATOR_POOL) if kind not in evidence.objects]
    if refused:
        return unread(name, f"list {', '.join(refused)}")
    pooled = {pool["spec"].get("resourceName") for pool in evidence.objects[ACCELERATOR_POOL]}
    classes = evidence.objects[DEVICE_CLASS]
    given = {(one.get("spec") or {}).get("extendedResourceName"): one["metadata"]["name"] for one in classes}
    opened = sorted(resource for resource in given if resource and resource not in pooled)
    if opened:
        texts = named(f"{resource} of DeviceClass {given[resource]}" for resource in opened)
        found = f"open to tenants, because no pool names it: {texts}"
        return Finding(name, Verdict.WARN, found, closing(opened[0]))
    found = f"{api} has {count(len(classes), 'device class', 'device classes')}; claims are closed to tenants"
    return Finding(name, Verdict.OK, found)


def closing(resource: str) -> str:
    """The command that makes a pool which grants nothing, so that every tenant's quota has the resource at 0."""
    pool = f"closed-{resource.replace('/', '-').replace('.', '-')}"[:MAX_POOL_NAME].rstrip("-")
    spec = {
        "type": "Other",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "resourceName": resource,
        "reserve": NOTHING,
    }
    closed = {"apiVersion": API_VERSION, "kind": "AcceleratorPool", "metadata": {"name": pool}, "spec": spec}
    return f"echo '{json.dumps(closed, separators=(',', ':'))}' | kubectl apply -f -"


def check_retained(evidence: Evidence) -> Finding:
    """Tell whether namespaces of deleted allocations are kept, and which of them hold data, charged to its pool."""
    name = "retained"
    if NAMESPACE not in evidence.objects:
        return unread(name, "list namespaces")
    kept = [one.name for one in views(evidence) if one.retained and not one.terminating]
    claiming = {one["metadata"]["namespace"] for one in evidence.objects.get(RESOURCE_QUOTA, ()) if has_claims(one)}
    # Where quotas may not be read, nobody knows that there is none.
    data = [one for one in kept if one in claiming or RESOURCE_QUOTA not in evidence.objects]
    bare = [one for one in kept if one not in data]
    # Nothing is charged for those without data, and yet each name stays taken until somebody deletes the namespace.
    told = [f"data of deleted allocations is kept, and charged, in {named(data)}"] if data else []
    if bare:
        told.append(f"{'' if data else 'namespaces of deleted allocations are '}kept without data: {named(bare)}")
    if told:
        return Finding(name, Verdict.WARN, "; ".join(told), f"kubectl get namespaces -l {RETAINED_LABEL}=true")
    return Finding(name, Verdict.OK, "no data of deleted allocations is kept")


def has_claims(quota: Object) -> bool:
    """Whether a quota of ours counts volume claims."""
    used = (quota.get("status") or {}).get("used") or {}
    return ours(quota) and whole(used.get("persistentvolumeclaims", 0)) > 0


def check_leftovers(evidence: Evidence) -> Finding:
    """Whether something of ours is left without an allocation or a pool; volume claims are data, and no leftover."""
    name = "leftovers"
    if TENANT_ALLOCATION not in evidence.objects or NAMESPACE not in evidence.objects:
        if TENANT_ALLOCATION in evidence.unserved:
            return Finding(name, Verdict.OK, "not looked for: there are no allocations")
        return unread(name, "list tenantallocations and namespaces")
    allocations = evidence.objects[TENANT_ALLOCATION]
    names = {obj["metadata"]["name"] for obj in allocations}
    uids = {obj["metadata"]["uid"] for obj in allocations}
    spaces = {one.name: one for one in views(evidence)}
    orphans = [
        one.name
        for one in spaces.values()
        if one.allocation_uid and one.allocation_uid not in uids and not one.retained and not one.terminating
    ]
    if orphans:
        found = f"namespaces without an allocation: {named(orphans)}; an operator closes them and keeps their data"
        return Finding(name, Verdict.WARN, found, "bitgoeul run")
    left = [
        (kind, obj)
        for kind in CHILDREN
        for obj in evidence.objects.get(kind, ())
        if is_left(obj, names, spaces.get(str(obj["metadata"].get("namespace", ""))))
    ]
    if left:
        texts = [f"{kind.kind} {obj['metadata']['name']}" for kind, obj in left]
        fix = " && ".join(deletion(*one) for one in left[:NAMED])
        return Finding(name, Verdict.WARN, f"without an allocation: {named(texts)}", fix)
    poolless = without_pool(evidence)
    if poolless:
        texts = sorted({obj["metadata"]["name"] for _, obj in poolless})
        found = f"admission policies without a pool: {named(texts)}; a new pool of the name takes them over"
        fix = " && ".join(deletion(*one) for one in poolless if one[1]["metadata"]["name"] == texts[0])
        return Finding(name, Verdict.WARN, found, fix)
    unseen = [kind.plural for kind in CHILDREN if kind not in evidence.objects]
    if unseen:
        return unread(name, f"list {', '.join(unseen)}")
    return Finding(name, Verdict.OK, "nothing without an allocation or a pool")


def without_pool(evidence: Evidence) -> list[tuple[Kind, Object]]:
    """Policies and bindings that a pool has left behind, as with ``--cascade=orphan``."""
    if ACCELERATOR_POOL not in evidence.objects:
        return []
    expected = {policy_name(obj["metadata"]["name"]) for obj in evidence.objects[ACCELERATOR_POOL]}
    return [
        (kind, obj)
        for kind in POLICY_KINDS
        for obj in evidence.objects.get(kind, ())
        if ours(obj)
        and str(obj["metadata"]["name"]).startswith(policy_name(""))
        and obj["metadata"]["name"] not in expected
        and not obj["metadata"].get("deletionTimestamp")
        # With an owner they go by themselves.
        and not obj["metadata"].get("ownerReferences")
    ]


def is_left(obj: Object, allocations: set[str], namespace: NamespaceView | None) -> bool:
    """Whether an object of ours belongs to an allocation that is gone, and to no data that is kept."""
    owner = (obj["metadata"].get("labels") or {}).get(ALLOCATION_LABEL, "")
    if not ours(obj) or not owner or owner in allocations or obj["metadata"].get("deletionTimestamp"):
        return False
    return namespace is None or not (namespace.retained or namespace.terminating)


def check_rights(evidence: Evidence) -> Finding:
    """Whether the reader may read what commands that only look read."""
    name, user = "rights", evidence.user or "you"
    if not evidence.missing_rights:
        return Finding(name, Verdict.OK, f"{user} may read all that these commands look at")
    resources = ",".join(f"{kind.plural}.{kind.group}".rstrip(".") for kind in (*LOOKED_AT, LEASE))
    fix = f"kubectl create clusterrole bitgoeul-reader --verb=get,list --resource={resources}"
    if evidence.user:
        bind = "kubectl create clusterrolebinding bitgoeul-reader --clusterrole=bitgoeul-reader"
        fix = f"{fix} && {bind} --user={evidence.user}"
    return Finding(name, Verdict.WARN, f"{user} may not {', '.join(evidence.missing_rights)}", fix)
