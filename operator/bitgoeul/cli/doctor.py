"""``bitgoeul doctor``: whether the installation is as it should be, and the command that mends what is not."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import click

from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import GROUP, LEASE_NAME, OPERATOR_NAMESPACE
from bitgoeul.cli.evidence import CHILDREN, LOOKED_AT, POLICY_KINDS, Evidence, Finding, Verdict
from bitgoeul.cli.findings import examine
from bitgoeul.cli.output import clean, print_data
from bitgoeul.cli.picture import (
    Target,
    ask_cluster,
    may,
    output_option,
    present,
    published_roles,
    target_options,
)
from bitgoeul.cluster.client import Api, ApiError, Object
from bitgoeul.cluster.kinds import DEVICE_CLASS, LEASE, LIMIT_RANGE, RESOURCE_QUOTA, Kind
from bitgoeul.controller.preflight import ask
from bitgoeul.controller.role_check import RoleCheck
from bitgoeul.planning.moments import date
from bitgoeul.planning.terms import read_moment

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
LISTED = tuple(dict.fromkeys((*LOOKED_AT, *POLICY_KINDS, *CHILDREN, LIMIT_RANGE, DEVICE_CLASS)))


@click.command(short_help="Check the installation, and say how to mend it.")
@target_options
@output_option("table", "json", "yaml")
def doctor(target: Target, output: str) -> int:
    """
    Check Kubernetes, our kinds, the operator, clocks, admission policies, device classes, quotas, limits, pod security,
    roles of members, what is kept or left over, pods that no node takes, and your own rights: one line each, with the
    command that mends it.

    Exits with 0 if nothing is bad, 1 if something is, and 2 if the installation is not ready: kinds are missing, or no
    operator leads.
    """
    findings = examine(ask_cluster(target, gather))
    if output == "table":
        for line in as_lines(findings):
            click.echo(line)
    else:
        print_data(output, {"checks": [as_json(one) for one in findings]})
    if any(one.unready for one in findings):
        return 2
    return 1 if any(one.verdict is Verdict.BAD for one in findings) else 0


async def gather(api: Api) -> Evidence:
    """
    Read all that is looked at, as far as the reader may.

    Raises:
        ClusterError: The cluster does not answer, or refuses for another reason.
    """
    version = await ask(api, "/version")
    kinds = dict(zip(LISTED, await asyncio.gather(*(listed(api, kind) for kind in LISTED)), strict=True))
    lease, lease_refused = None, False
    try:
        lease = await api.get(LEASE.path(LEASE_NAME, OPERATOR_NAMESPACE))
    except ApiError as error:
        if error.status != 403:
            raise
        lease_refused = True
    user, server_time = await who_am_i(api)
    return Evidence(
        version=version,
        definitions=await read_definitions(api),
        objects={kind: found for kind, found in kinds.items() if isinstance(found, list)},
        lease=lease,
        lease_refused=lease_refused,
        here=present(),
        server_time=server_time,
        unserved=frozenset(kind for kind, found in kinds.items() if found == 404),
        user=user,
        missing_rights=await missing_rights(api),
        server=api.server,
        absent_roles=await absent_roles(api, lease),
    )


async def listed(api: Api, kind: Kind) -> list[Object] | int:
    """The objects of a kind, or 403 or 404: why there are none."""
    try:
        # Of quotas and limits also those of others: they may stand in a tenant's namespace.
        others = kind in (RESOURCE_QUOTA, LIMIT_RANGE)
        found, _ = await api.list_all(kind.path(), "" if others else kind.selector)
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return error.status
    return found


async def read_definitions(api: Api) -> dict[str, Object] | None:
    """The definitions of our kinds, as far as there are such; None to whoever may not read them."""
    found = {}
    for kind in KINDS:
        name = f"{kind.plural}.{GROUP}"
        try:
            definition = await api.get(f"{DEFINITION}/{name}")
        except ApiError as error:
            if error.status != 403:
                raise
            return None
        if definition is not None:
            found[name] = definition
    return found


async def absent_roles(api: Api, lease: Object | None) -> tuple[str, ...] | None:
    """Return the ClusterRoles that the operator may give to members and that do not exist; None: may not be read."""
    try:
        return tuple(await RoleCheck(api).missing(published_roles(lease)))
    except ApiError as error:
        if error.status != 403:
            raise
        return None


async def who_am_i(api: Api) -> tuple[str, datetime | None]:
    """The name by which the API server knows the reader, and the time by its clock, as far as it tells."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await api.request("POST", WHO_AM_I, body)
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return "", None
    at = read_moment((answer.get("metadata") or {}).get("creationTimestamp"))
    user = ((answer.get("status") or {}).get("userInfo") or {}).get("username", "")
    return str(user), None if at is None else date(at)


async def missing_rights(api: Api) -> tuple[str, ...]:
    """What the reader may not do of what commands that only look do."""
    wanted = [("list", kind, "") for kind in LOOKED_AT] + [("get", LEASE, OPERATOR_NAMESPACE)]
    answers = await asyncio.gather(*(may(api, *one) for one in wanted))
    return tuple(f"{verb} {kind.plural}" for (verb, kind, _), may_do in zip(wanted, answers, strict=True) if not may_do)


def as_lines(findings: list[Finding]) -> list[str]:
    """One line for each check, and the next command if there is one."""
    word = max(len(one.verdict) for one in findings)
    check = max(len(one.check) for one in findings)
    lines = [
        clean(f"{one.verdict:{word}}  {one.check:{check}}  {one.found}{f'; fix: {one.fix}' if one.fix else ''}")
        for one in findings
    ]
    wrong = [one for grade in (Verdict.BAD, Verdict.WARN) for one in findings if one.verdict is grade]
    return [*lines, "", f"Next  {clean(wrong[0].fix) if wrong else 'bitgoeul status'}"]


def as_json(one: Finding) -> dict[str, Any]:
    return {"check": one.check, "verdict": one.verdict, "found": one.found, "fix": one.fix or None}
