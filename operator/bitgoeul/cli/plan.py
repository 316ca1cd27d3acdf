"""``bitgoeul plan``: what would be if something were applied, asked for, or later; nothing is changed."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from bitgoeul.api import TenantAllocation
from bitgoeul.api.quantities import format_duration, parse_duration
from bitgoeul.api.values import MAX_DEVICES
from bitgoeul.cli.calendar import known_text
from bitgoeul.cli.completion import accelerator_pool_names
from bitgoeul.cli.consequences import look_into
from bitgoeul.cli.lengths import read_length
from bitgoeul.cli.output import print_data, print_next
from bitgoeul.cli.picture import Picture, Target, ask_cluster, output_option, read_picture, target_options
from bitgoeul.cli.plan_output import Answer, as_json, print_answer
from bitgoeul.cluster.client import JSON_PATCH, Api, ApiError
from bitgoeul.cluster.kinds import BY_KIND
from bitgoeul.errors import QuantityError, UserError
from bitgoeul.planning.decisions import Plan
from bitgoeul.planning.moments import day, moment
from bitgoeul.planning.plan import make_plan
from bitgoeul.planning.pools import accelerator
from bitgoeul.planning.snapshot import Observed, Snapshot
from bitgoeul.whatif.changes import Live, as_applied, change, made_up
from bitgoeul.whatif.comparison import Comparison, compare
from bitgoeul.whatif.consequences import consequences
from bitgoeul.whatif.future import carry_over, open_snapshot, play, settled
from bitgoeul.whatif.manifests import Manifest, Skipped, read_manifests

LONGEST_DURATION = "87600h"  # as the API has it

RFC3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}([.]\d{1,9})?([Zz]|[+-]\d{2}:\d{2})")


@click.command(short_help="Show what would be; changes nothing.")
@target_options
@output_option("table", "json", "yaml")
@click.option(
    "--filename",
    "-f",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(allow_dash=True),  # for completion; what is wrong with it is told when it is read
    help="New or changed pools and allocations, as YAML or JSON; - is standard input. May be repeated.",
)
@click.option(
    "--pool",
    metavar="NAME",
    shell_complete=accelerator_pool_names,
    help="Try an allocation out of this AcceleratorPool; needs --devices.",
)
@click.option("--devices", type=click.IntRange(1, MAX_DEVICES), metavar="N", help="How many devices it asks for.")
@click.option(
    "--duration", metavar="DURATION", help="For how long it asks, such as 90d or 2160h.  [default: open-ended]"
)
@click.option(
    "--at", metavar="TIME", help="Ask at this time, such as 2027-01-01T00:00:00+09:00, or in so long, such as 30d."
)
def plan(
    target: Target,
    output: str,
    files: tuple[str, ...],
    pool: str | None,
    devices: int | None,
    duration: str | None,
    at: str | None,
) -> None:
    """
    Show who would start when, who would move and by how much, what would be refused, and what a change would do to
    those who hold something: pods evicted, access lost, namespaces and data that go.

    The operator's own planner looks at the cluster as it is, and at the same cluster with the objects of the files
    and the allocation of --pool. Nothing is changed. Without either it shows all who have not got what they ask for.

    With --at the cluster is played up to that time first: who waits starts in turn, and what ends is given back.
    """
    if (pool is None) != (devices is None) or (duration is not None and pool is None):
        raise click.UsageError("--pool and --devices belong together; --duration goes with them")
    length = read_duration(duration) if duration is not None else None
    manifests = read_files(files)
    picture = read_picture(target)
    until = read_time(at, picture.now) if at is not None else None
    manifests = [as_applied(one, picture.live.get((one.kind, one.name))) for one in manifests]
    if manifests:
        ask_cluster(target, lambda api: check_with_server(api, manifests, picture.live))
    observed = change(picture.observed, manifests, picture.live, picture.wall)
    if pool is not None and devices is not None:
        check_pool(observed, pool)
        extra = made_up(observed, pool, devices, length)
        observed = change(observed, [extra], {}, picture.wall)
        manifests.append(extra)
    present = until or picture.now
    answer = ask(picture, observed, manifests, until)
    if until is None and answer.losses:  # what runs at a later time is not known
        answer = replace(answer, inventory=ask_cluster(target, lambda api: look_into(api, answer.losses.values())))
    comparison = answer.comparison
    if output != "table":
        print_data(output, as_json(answer, picture, present))
    else:
        print_answer(answer, moment(present), day(moment(present)) if until else "")
        print_next(next_command(comparison, target, files, pool, later=until is not None))


# -- what is asked


def read_files(files: Iterable[str]) -> list[Manifest]:
    """
    The objects of all files; what planning does not look at is named on standard error.

    Raises:
        UserError: A file cannot be read, or something in it is wrong.
    """
    manifests = []
    for file in files:
        source, text = read_text(file)
        for found in read_manifests(source, text):
            if isinstance(found, Skipped):
                click.echo(f"{found.place}: {found.kind} {found.name} is left out: planning does not ask it", err=True)
            else:
                manifests.append(found)
    return manifests


def read_text(file: str) -> tuple[str, str]:
    """A file's name for messages, and its text."""
    source = "standard input" if file == "-" else file
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return source, data.decode()
    except OSError as error:
        raise UserError(f"{source}: {error.strerror}; name a file of YAML, or - for standard input") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: not a text in UTF-8: {error.reason} at byte {error.start}") from error
    except ValueError as error:  # a name with a null byte
        raise UserError(f"{source!r}: {error}") from error


def read_time(text: str, now: datetime) -> datetime:
    """
    A moment ahead, written in RFC 3339 or as a duration from now.

    Raises:
        UserError: It is neither, or not ahead.
    """
    try:
        until = datetime.fromisoformat(text.upper()) if RFC3339.fullmatch(text) else now + read_length(text)
        until = until.astimezone(UTC)
    except (QuantityError, ValueError, OverflowError) as error:
        raise UserError(
            f"--at: not a time: {text!r}; write RFC 3339 with seconds and offset, such as 2027-01-01T00:00:00+09:00, "
            "or a length of time from now, such as 30d or 720h"
        ) from error
    if until < now:
        raise UserError(f"--at: {text} is over: the operator's clock says {day(moment(now))}; name a time ahead")
    if until.year >= 2200:
        raise UserError(f"--at: {text} is too far ahead; name a time before the year 2200")
    return until


def read_duration(text: str) -> str:
    """
    A duration as the API takes it.

    Raises:
        UserError: It is none, or too short or too long.
    """
    try:
        length = read_length(text)
    except QuantityError as error:
        raise UserError(f"--duration: {error}") from error
    if not timedelta(0) < length <= parse_duration(LONGEST_DURATION):
        raise UserError(f"--duration: {text}: must be more than 0s and at most {LONGEST_DURATION}")
    return format_duration(length)


def check_pool(observed: Observed, pool: str) -> None:
    """
    See that a pool of devices exists.

    Raises:
        UserError: It does not.
    """
    known = [accelerator(one.metadata.name) for one in observed.accelerator_pools]
    if accelerator(pool) in known:
        return
    if pool in (one.metadata.name for one in observed.storage_pools):
        raise UserError(f"--pool: {pool} is a StoragePool; write an allocation into a file to try storage")
    raise UserError(f"--pool: there is no AcceleratorPool {pool}; {known_text(known)}")


async def check_with_server(api: Api, manifests: Iterable[Manifest], live: Live) -> None:
    """
    Have the API server judge the objects, as it would when they are applied, without applying them.

    Only it knows the rules over several fields. Whoever may not write is not judged, and told so on standard error.

    Raises:
        UserError: It would refuse one.
    """
    for manifest in manifests:
        kind = BY_KIND[manifest.kind]
        params = {"dryRun": "All", "fieldValidation": "Strict"}
        try:
            if (manifest.kind, manifest.name) in live:
                patch = [{"op": "replace", "path": "/spec", "value": manifest.spec}]
                await api.request("PATCH", kind.path(manifest.name), patch, content_type=JSON_PATCH, params=params)
            else:
                body = {
                    "apiVersion": kind.api_version,
                    "kind": kind.kind,
                    "metadata": {"name": manifest.name},
                    "spec": manifest.spec,
                }
                await api.request("POST", kind.path(), body, params=params)
        except ApiError as error:
            if error.status == 403:
                click.echo(f"not judged by the API server, which refuses to: {error.message}", err=True)
                return
            if error.status not in (400, 422):
                raise
            raise UserError(
                f"{manifest.title}: {error.message.partition(' is invalid: ')[2] or error.message}"
            ) from error


# -- the answer


def ask(picture: Picture, changed: Observed, manifests: Iterable[Manifest], until: datetime | None) -> Answer:
    """Plan for the cluster as it is and for the changed one, and compare."""
    subjects = list(dict.fromkeys(m.name for m in manifests if m.kind == TenantAllocation.__name__))
    before = planned(open_snapshot(picture.observed, picture.now, picture.wall))
    unchanged = changed == picture.observed
    if until is None:
        after = before if unchanged else planned(open_snapshot(changed, picture.now, picture.wall))
    else:
        past = play(picture.observed, picture.now, until, picture.wall)
        if unchanged:
            return Answer(compare(before, planned(past), subjects, whole=True))
        before, after = planned(past), planned(carry_over(open_snapshot(changed, until, picture.wall), past))
    losses = consequences(before, after)
    later = settled(*after, before[0])
    if later is not after[0]:
        after = planned(later)
    return Answer(compare(before, after, subjects, whole=unchanged, touched=losses), losses)


def planned(snapshot: Snapshot) -> tuple[Snapshot, Plan]:
    return snapshot, make_plan(snapshot)


def next_command(comparison: Comparison, target: Target, files: Iterable[str], pool: str | None, *, later: bool) -> str:
    """
    Apply the files to the same cluster, if nothing in them is refused; else look at what stands in the way.

    What came on standard input is gone, and what is planned for later is not to be applied now.
    """
    asked = list(files)
    refused = any(row.subject and row.refused for row in comparison.rows)
    if pool and not asked:
        return "bitgoeul pools" if refused else f"bitgoeul calendar --pool {pool}"
    if asked and not refused and not later and "-" not in asked:
        where = [
            word
            for option, value in (("--kubeconfig", target.kubeconfig), ("--context", target.context))
            if value
            for word in (option, value)
        ]
        return shlex.join(["kubectl", *where, "apply", *(word for file in asked for word in ("-f", file))])
    if asked or not comparison.rows:
        return "bitgoeul pools"
    return f"bitgoeul why {comparison.rows[0].name}"
