"""Whether what tenants use is limited to their grants, by one quota in each of their namespaces. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from bitgoeul.api.conditions import Phase
from bitgoeul.cli.evidence import NAMED, Evidence, Finding, Verdict, count, deletion, named, ours, unread, views
from bitgoeul.cluster.client import Object
from bitgoeul.cluster.kinds import NAMESPACE, RESOURCE_QUOTA, TENANT_ALLOCATION


def check_quotas(evidence: Evidence) -> Finding:
    """Whether each tenant namespace has one quota: without one nothing is limited, and a second makes less usable."""
    name = "quotas"
    needed = (NAMESPACE, RESOURCE_QUOTA, TENANT_ALLOCATION)
    refused = [kind.plural for kind in needed if kind not in evidence.objects and kind not in evidence.unserved]
    if refused:
        return unread(name, f"list {', '.join(refused)}")
    tenants = {one.name for one in views(evidence) if one.allocation_uid}
    quotas: dict[str, list[Object]] = defaultdict(list)
    for quota in evidence.objects[RESOURCE_QUOTA]:
        if quota["metadata"]["namespace"] in tenants:
            quotas[quota["metadata"]["namespace"]].append(quota)
    bare = without_quota(evidence, quotas)
    foreign = {place: [one for one in all_ if not ours(one)] for place, all_ in quotas.items() if len(all_) > 1}
    foreign = {place: foreign[place] for place in sorted(foreign) if foreign[place]}
    told = [f"no quota of ours in {named(bare)}: what is used there is not limited to the grant"] if bare else []
    told += [f"more than one quota in {named(foreign)}: the least of them counts"] if foreign else []
    if bare:
        return Finding(name, Verdict.BAD, "; ".join(told), f"bitgoeul why {next(iter(bare.values()))}")
    if foreign:
        first = next(iter(foreign.values()))
        fix = " && ".join(deletion(RESOURCE_QUOTA, one) for one in first[:NAMED])
        return Finding(name, Verdict.WARN, "; ".join(told), fix)
    return Finding(name, Verdict.OK, f"one quota in each of {count(len(quotas), 'tenant namespace')}")


def without_quota(evidence: Evidence, quotas: Mapping[str, list[Object]]) -> dict[str, str]:
    """Namespaces without a quota of ours whose allocation is in force, with its name: there it is not being set up."""
    live = {
        obj["metadata"]["uid"]: str(obj["metadata"]["name"])
        for obj in evidence.objects.get(TENANT_ALLOCATION, ())
        if (obj.get("status") or {}).get("phase") in (Phase.ACTIVE, Phase.EXPIRING)
        and not obj["metadata"].get("deletionTimestamp")
    }
    return {
        one.name: live[one.allocation_uid]
        for one in sorted(views(evidence), key=lambda one: one.name)
        if one.allocation_uid in live and not one.terminating and not any(map(ours, quotas.get(one.name, ())))
    }
