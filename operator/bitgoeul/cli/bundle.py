"""
``bitgoeul bundle``: writes a support archive, for people who have to find out from afar what is wrong.

What is in it and what is not is decided by ``redact``; its index says what could not be read.
"""

from __future__ import annotations

import gzip
import io
import os
import shlex
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson

from bitgoeul import __version__
from bitgoeul.cli.calendar import as_json as calendar_as_json
from bitgoeul.cli.calendar import read_calendars
from bitgoeul.cli.collect import Found, Readings, read_cluster, read_logs
from bitgoeul.cli.doctor import as_json as finding_as_json
from bitgoeul.cli.doctor import gather
from bitgoeul.cli.evidence import Finding, count
from bitgoeul.cli.findings import examine
from bitgoeul.cli.output import format_facts, instant_of
from bitgoeul.cli.own import find_own
from bitgoeul.cli.picture import Target, ask_cluster, look, present, read_offset, target_options
from bitgoeul.cli.queue import as_json as waiter_as_json
from bitgoeul.cli.queue import line_up
from bitgoeul.cli.redact import People, redacted, subjects_of
from bitgoeul.cli.status import overview_as_json, read_overview
from bitgoeul.cluster.client import Api, Object
from bitgoeul.cluster.credentials import current_namespace
from bitgoeul.cluster.kinds import POD, TENANT_ALLOCATION, Kind
from bitgoeul.controller.preflight import ask
from bitgoeul.desired.allocation_status import instant
from bitgoeul.errors import UserError

OWNER_ONLY = 0o600
LEFT_OUT = (
    "Secrets, ConfigMaps, and all kinds that are not in objects/",
    "values of environment variables, and arguments that are not the operator's own",
    "values of annotations that are not the operator's own, and managedFields",
    "parameters of storage classes",
    "names of users and groups: user-1, group-1 and so on stand for them; and e-mail addresses",
    "what looks like a token, a password or a key, in every text",
    "nodes that no pool selects and that have no device of a pool",
)


@dataclass(frozen=True)
class Bundle:
    """
    What goes into the archive.

    Attributes:
        files: Path → a value that becomes JSON, or a text.
        not_read: What could not be read → why.
        unready: Nothing works before something is mended, as the doctor says.
    """

    made: datetime
    files: Mapping[str, Any]
    not_read: Mapping[str, str] = field(default_factory=dict)
    unready: bool = False

    @property
    def name(self) -> str:
        """Of the archive, and of the folder in it."""
        return f"bitgoeul-bundle-{self.made:%Y%m%dT%H%M%SZ}"

    def index(self) -> dict[str, Any]:
        """What is in the archive, and what not."""
        return {
            "made": instant(self.made),
            "bitgoeul": __version__,
            "files": [
                {"path": path, "objects": len(content["items"])} if is_list(content) else {"path": path}
                for path, content in self.files.items()
            ],
            "notRead": [{"what": what, "why": why} for what, why in self.not_read.items()],
            "leftOut": list(LEFT_OUT),
        }


def is_list(content: Any) -> bool:
    return isinstance(content, dict) and content.get("kind") == "List"


@click.command(short_help="Write a support archive, without secrets.")
@target_options
@click.option("--operator-namespace", metavar="NAME", help="Where the operator runs.  [default: where its Lease says]")
@click.option("--namespace", "-n", metavar="NAME", help="For tenants: one of theirs.  [default: the kubeconfig's]")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where it goes; never over a file that is there.  [default: bitgoeul-bundle-<time>.tar.gz]",
)
def bundle(target: Target, operator_namespace: str | None, namespace: str | None, output: Path | None) -> int:
    """
    Write what helps to find out what is wrong into one archive that only you can read: pools, allocations and what was
    made for them, nodes, Events, the operator with its logs, and what doctor, status, queue and calendar say.

    No Secrets, no values of environment variables, no tokens, no names of users. Names of organisations, allocations
    and nodes are in it: look at it before you hand it on.

    Exits with 0 when it was written, 1 when it was not, and 2 when it was written of an installation that is not ready.
    """
    if output is not None and output.exists():
        raise UserError(f"{output} is there already; name another file with -o")
    made = ask_cluster(
        target,
        lambda api: assemble(
            api, operator_namespace, namespace or current_namespace(target.kubeconfig, target.context)
        ),
    )
    path = output or Path(f"{made.name}.tar.gz")
    write(path, pack(made))
    for line in as_lines(made, path):
        click.echo(line)
    return 2 if made.unready else 0


async def assemble(api: Api, operator_namespace: str | None, own_namespace: str) -> Bundle:
    """
    Read everything, and take out what is nobody's business.

    Args:
        operator_namespace: Where the operator runs; None: where its Lease says.
    Raises:
        ClusterError: The API server does not answer at all.
    """
    version, readings = await ask(api, "/version"), Readings(api)
    found = await read_cluster(readings, operator_namespace, own_namespace)
    logs = await read_logs(readings, found[POD])
    findings = await read_findings(readings)
    answers = await read_answers(readings, found)
    answers |= {"doctor.json": {"checks": [finding_as_json(one) for one in findings]}} if findings else {}
    people = People.of(one for kind, objects in found.items() for obj in objects for one in subjects_of(kind, obj))
    files = {
        "version.json": version,
        **{f"objects/{kind.plural}.json": as_list(kind, objects, people) for kind, objects in found.items() if objects},
        **people.value({**answers, **logs}),
    }
    return Bundle(
        made=present(),
        files=dict(sorted(files.items())),
        not_read=people.value(dict(sorted(readings.failed.items()))),
        unready=any(one.unready for one in findings),
    )


def as_list(kind: Kind, objects: list[Object], people: People) -> Object:
    """Objects of one kind in the order of their names, as kubectl gives them."""
    ordered = sorted(objects, key=lambda obj: (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))
    head = {"apiVersion": kind.api_version, "kind": kind.kind}
    return {"apiVersion": "v1", "kind": "List", "items": [head | redacted(kind, obj, people) for obj in ordered]}


async def read_findings(readings: Readings) -> list[Finding]:
    """What the doctor says, without who asked it."""
    evidence = await readings.read("doctor", gather(readings.api), None)
    return [] if evidence is None else examine(replace(evidence, user=""))


async def read_answers(readings: Readings, found: Found) -> dict[str, Any]:
    """What ``status``, ``queue`` and ``calendar`` say; a tenant gets its own ``status``."""
    api = readings.api
    picture = await readings.read("status, queue, calendar", look(api), None)
    if picture is not None:
        snapshot, plan = picture.planned()
        calendars = [calendar_as_json(one) for one in read_calendars(snapshot, plan)]
        return {
            "status.json": overview_as_json(read_overview(picture, snapshot, plan)),
            "queue.json": {"queue": [waiter_as_json(waiter) for waiter in line_up(snapshot, plan)]},
            "calendar.json": {"time": instant_of(snapshot.now), "pools": calendars},
        }
    if len(found[TENANT_ALLOCATION]) != 1:
        return {}
    offset = await readings.read("clock offset", read_offset(api), timedelta())
    with suppress(UserError):  # the operator has not seen it; the object itself says so
        return {"status.json": find_own(found[TENANT_ALLOCATION][0], offset, lists=False).as_json()}
    return {}


# -- the archive


def pack(bundle: Bundle) -> bytes:
    """The archive; the same content and time give the same bytes."""
    contents = {"index.json": bundle.index(), **bundle.files}
    stream = io.BytesIO()
    seconds = int(bundle.made.timestamp())
    with (
        gzip.GzipFile(fileobj=stream, mode="wb", mtime=seconds, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, content in contents.items():
            data = content.encode() if isinstance(content, str) else orjson.dumps(content, option=orjson.OPT_INDENT_2)
            entry = tarfile.TarInfo(f"{bundle.name}/{path}")
            entry.size, entry.mtime, entry.mode = len(data), seconds, OWNER_ONLY
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def write(path: Path, data: bytes) -> None:
    """
    Write a file that is new, and that nobody else can read.

    Raises:
        UserError: It is there already, or cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, OWNER_ONLY)
    except FileExistsError as error:
        raise UserError(f"{path} is there already; name another file with -o") from error
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}; name another file with -o") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def as_lines(bundle: Bundle, path: Path) -> list[str]:
    """What was written, what could not be read, and the command that shows it."""
    number = sum(len(content["items"]) for content in bundle.files.values() if is_list(content))
    logs = sum(path.startswith("logs/") for path in bundle.files)
    facts = [
        ("Holds", ", ".join((count(number, "object"), count(logs, "log"), count(len(bundle.files) + 1, "file")))),
        ("Not read", ", ".join(f"{what} ({why})" for what, why in bundle.not_read.items())),
        ("Left out", "Secrets, values of environment variables, what looks like a token, names of users"),
        ("Is in it", "names of organisations, allocations and nodes: look before you hand it on"),
    ]
    return [*format_facts(str(path), facts), "", f"Next  tar -xzOf {shlex.quote(str(path))} {bundle.name}/index.json"]
