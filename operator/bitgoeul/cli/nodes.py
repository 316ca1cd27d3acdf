"""
``bitgoeul nodes``: simulated nodes for a control plane that `bitgoeul up` made.
"""

from __future__ import annotations

import asyncio
import re

import click

from bitgoeul.cluster.client import connect
from bitgoeul.errors import ClusterError, UserError
from bitgoeul.local.nodes import NodeShape, Taint, add_nodes

QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
PREFIX = re.compile(r"[a-z0-9]([a-z0-9.-]{0,50}[a-z0-9])?")


@click.group()
def nodes() -> None:
    """Simulated nodes of a local control plane."""


@nodes.command()
@click.option("--count", type=click.IntRange(1, 10000), default=1, show_default=True, help="How many nodes to add.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of each node; may be repeated.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="RESOURCE=COUNT",
    help="Devices, as nvidia.com/gpu=8; may be repeated.",
)
@click.option("--cpu", default="128", show_default=True, help="CPUs of each node.")
@click.option("--memory", default="1Ti", show_default=True, help="Memory of each node.")
@click.option(
    "--taint", "taints", multiple=True, metavar="KEY[=VALUE]:EFFECT", help="A taint of each node; may be repeated."
)
@click.option("--name-prefix", default="node", show_default=True, help="Nodes are named PREFIX-0, PREFIX-1, …")
@click.option(
    "--kubeconfig", type=click.Path(), help="Which cluster; otherwise KUBECONFIG, else the pod's own account."
)
@click.option("--context", help="A context of that kubeconfig.")
def add(
    count: int,
    labels: tuple[str, ...],
    devices: tuple[str, ...],
    cpu: str,
    memory: str,
    taints: tuple[str, ...],
    name_prefix: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """
    Add simulated nodes, kept Ready by kwok.

    Each call adds COUNT more: numbering goes on after the highest node of the prefix. A cluster that `bitgoeul up`
    did not make is refused.
    """
    if not PREFIX.fullmatch(name_prefix):
        raise UserError(
            f"--name-prefix {name_prefix!r}: lower-case letters, digits, '-' and '.', at most 52 characters"
        )
    shape = NodeShape(
        cpu=read_quantity("--cpu", cpu),
        memory=read_quantity("--memory", memory),
        devices={key: read_count(key, value) for key, value in read_pairs("--device", devices).items()},
        labels=read_pairs("--label", labels),
        taints=tuple(read_taint(taint) for taint in taints),
    )
    try:
        names = asyncio.run(connect_and_add(kubeconfig, context, name_prefix, count, shape))
    except ClusterError as error:
        raise UserError(str(error)) from error
    click.echo(f"added {names[0]}" + (f" to {names[-1]}" if len(names) > 1 else ""))


async def connect_and_add(
    kubeconfig: str | None, context: str | None, prefix: str, count: int, shape: NodeShape
) -> list[str]:
    async with connect(kubeconfig, context) as api:
        return await add_nodes(api, prefix, count, shape)


def read_pairs(option: str, items: tuple[str, ...]) -> dict[str, str]:
    """``KEY=VALUE`` items as a mapping; a key given twice is a mistake, not a choice."""
    pairs: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not (key and equals):
            raise UserError(f"{option} {item!r}: write KEY=VALUE")
        if key in pairs:
            raise UserError(f"{option} {key} is given twice")
        pairs[key] = value
    return pairs


def read_count(resource: str, value: str) -> str:
    if "/" not in resource:
        raise UserError(f"--device {resource}: the name of a device has a domain, such as nvidia.com/gpu")
    if not value.isdecimal():
        raise UserError(f"--device {resource}={value}: the count of devices is a whole number")
    return value


def read_quantity(option: str, value: str) -> str:
    if not QUANTITY.fullmatch(value):
        raise UserError(f"{option} {value!r}: a quantity such as 64, 500m or 512Gi")
    return value


def read_taint(item: str) -> Taint:
    """``key=value:Effect`` or ``key:Effect``, as kubectl writes it."""
    pair, _, effect = item.rpartition(":")
    key, _, value = pair.partition("=")
    if not key or effect not in EFFECTS:
        raise UserError(f"--taint {item!r}: write KEY=VALUE:EFFECT with EFFECT one of {', '.join(EFFECTS)}")
    return Taint(key, value, effect)
