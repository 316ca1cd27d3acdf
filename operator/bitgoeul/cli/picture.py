"""
The cluster at one moment, as commands that only look read it: each kind is listed once, nothing is written.

What the planner reads, in the same way; and the time by which the operator plans, which it publishes on its Lease.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

from bitgoeul.api.names import ALLOWED_ROLES_ANNOTATION, CLOCK_OFFSET_ANNOTATION, GROUP, LEASE_NAME, OPERATOR_NAMESPACE
from bitgoeul.api.quantities import format_offset, parse_offset
from bitgoeul.cli.advice import held_up_by_clocks
from bitgoeul.cli.connection import cluster_options, identity_options
from bitgoeul.cli.leader import leads
from bitgoeul.cluster.cache import Cache
from bitgoeul.cluster.client import Api, ApiError, Identity, NoAnswerError, connect
from bitgoeul.cluster.credentials import overheard
from bitgoeul.cluster.kinds import LEASE, NAMESPACE, NODE, OWN_KINDS, RESOURCE_QUOTA, TENANT_ALLOCATION, Kind
from bitgoeul.controller.clock import Clocks
from bitgoeul.controller.preflight import ask, check_version, served
from bitgoeul.controller.rounds import observe
from bitgoeul.errors import NotReadyError, QuantityError, UserError
from bitgoeul.planning.decisions import Plan
from bitgoeul.planning.moments import moment
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.snapshot import Observed, Snapshot, build_snapshot

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
READ = (*OWN_KINDS, NODE, NAMESPACE, RESOURCE_QUOTA)

T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """
    What was read.

    Attributes:
        live: Kind and name → the object, of our own kinds.
        wall: The real time.
        offset: By how much the time by which is planned is shifted.
        led: Whether an operator leads.
        server_time: By the API server's clock; None: it did not say.
    """

    observed: Observed
    live: Mapping[tuple[str, str], Mapping[str, Any]]
    wall: datetime
    offset: timedelta
    led: bool = False
    server_time: datetime | None = None

    @property
    def now(self) -> datetime:
        """The time by which is planned."""
        return self.wall + self.offset

    @property
    def moment(self) -> int:
        """The same in milliseconds."""
        return moment(self.now)

    def planned(self) -> tuple[Snapshot, Plan]:
        """What the operator's planner makes of it."""
        snapshot = build_snapshot(self.observed, self.now, self.wall)
        return snapshot, make_plan(snapshot)


@dataclass(frozen=True)
class Target:
    """Which cluster is asked, and as whom (None: as oneself)."""

    kubeconfig: str | None
    context: str | None
    identity: Identity | None = None


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``Target``, which the command gets as its first argument."""

    @functools.wraps(command)
    def with_target(
        kubeconfig: str | None,
        context: str | None,
        as_user: str,
        as_groups: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        if as_groups and not as_user:
            raise click.UsageError("--as-group needs --as")
        if not all(name.isprintable() for name in (as_user, *as_groups)):
            raise click.UsageError("--as, --as-group: a name with line breaks or other characters that cannot be sent")
        identity = Identity(as_user, as_groups) if as_user else None
        return command(Target(kubeconfig, context, identity), **rest)

    return cluster_options(identity_options(with_target))


def output_option(*forms: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--output`` with these forms; the first is the default."""
    return click.option(
        "--output",
        "-o",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help="For people, or for programs.",
    )


def read_picture(target: Target) -> Picture:
    """
    Read everything; says on standard error when the operator's clock is shifted.

    Raises:
        UserError: The cluster does not answer or refuses; ``NotReadyError`` when it does not know our kinds.
    """
    picture = ask_cluster(target, look)
    tell_shift(picture.offset)
    return picture


def tell_shift(offset: timedelta) -> None:
    """Say on standard error that the operator's clock is shifted, if it is."""
    if offset:
        click.echo(f"planning by a clock that is shifted by {format_offset(offset)}", err=True)


def ask_cluster(target: Target, question: Callable[[Api], Awaitable[T]]) -> T:
    """
    Put a question to the cluster.

    Raises:
        UserError: It does not answer, or refuses.
    """

    async def put() -> T:
        async with connect(target.kubeconfig, target.context, identity=target.identity) as api:
            try:
                return await question(api)
            except NoAnswerError as error:
                raise UserError(
                    f"no answer from {api.server}: is the cluster up, and is the kubeconfig right? ({error})"
                ) from error
            except ApiError as error:
                raise UserError(f"{api.server} refuses: {error.message}") from error

    return asyncio.run(put())


async def look(api: Api) -> Picture:
    """List what planning looks at."""
    check_version(api.server, await ask(api, "/version"))
    missing = [kind.kind for kind in OWN_KINDS if not await served(api, kind.path())]
    if missing:
        raise NotReadyError(
            f"the cluster does not know {', '.join(missing)} ({GROUP}); run: bitgoeul crds | kubectl apply -f -"
        )
    cache = Cache()
    lists = await asyncio.gather(*(api.list_all(kind.path(), kind.selector) for kind in READ))
    # An object that cannot be read counts as absent, as for the operator, which tells of it in its log.
    with overheard("bitgoeul.cluster.cache"):
        for kind, (objects, version) in zip(READ, lists, strict=True):
            cache.replace(kind, objects, int(version or 0))
    clocks = Clocks()
    lease = await api.get(LEASE.path(LEASE_NAME, OPERATOR_NAMESPACE), clocks.hear)
    observed, _ = observe(cache, published_roles(lease))
    live = {(kind.kind, entry.obj["metadata"]["name"]): entry.obj for kind in OWN_KINDS for entry in cache.all(kind)}
    return Picture(
        observed=replace(observed, clocks_differ=ends_held_up(live)),
        live=live,
        wall=present(),
        offset=published_offset(lease),
        led=leads(lease, clocks.server() or present()),
        server_time=clocks.server(),
    )


def ends_held_up(live: Mapping[tuple[str, str], Mapping[str, Any]]) -> bool:
    """Whether the operator holds up ends because clocks differ: it knows its own, and says so in statuses."""
    return any(
        held_up_by_clocks(obj.get("status") or {}) is not None
        for (kind, _), obj in live.items()
        if kind == TENANT_ALLOCATION.kind
    )


async def read_offset(api: Api) -> timedelta:
    """
    Read the shift that the operator publishes; none where there is no Lease.

    Raises:
        UserError: It publishes something else.
    """
    return published_offset(await api.get(LEASE.path(LEASE_NAME, OPERATOR_NAMESPACE)))


def published_offset(lease: Mapping[str, Any] | None) -> timedelta:
    """
    Return the shift that stands on the Lease; none where there is no Lease.

    Raises:
        UserError: Something else stands there.
    """
    annotations = ((lease or {}).get("metadata") or {}).get("annotations") or {}
    text = annotations.get(CLOCK_OFFSET_ANNOTATION, "0s")
    try:
        return parse_offset(text)
    except QuantityError as error:
        raise UserError(
            f"Lease {OPERATOR_NAMESPACE}/{LEASE_NAME}: annotation {CLOCK_OFFSET_ANNOTATION}: {error}; "
            "the operator writes it"
        ) from error


def published_roles(lease: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the ClusterRoles that the operator may give to members, as it publishes; none where there is no Lease."""
    annotations = ((lease or {}).get("metadata") or {}).get("annotations") or {}
    return frozenset(name for name in annotations.get(ALLOWED_ROLES_ANNOTATION, "").split(",") if name)


async def may(api: Api, verb: str, kind: Kind, namespace: str = "") -> bool:
    """Whether the reader may do something with a kind."""
    attributes = {"verb": verb, "group": kind.group, "resource": kind.plural, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await api.request("POST", REVIEWS, review)
    return bool((answer.get("status") or {}).get("allowed"))


def present() -> datetime:
    """The real time in whole milliseconds, which is how finely is planned."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
