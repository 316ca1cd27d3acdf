"""
Completion in shells: the script of ``bitgoeul completion``, the answers that kubectl asks of its plugin, and names.

Names are read from the cluster that the words typed so far name. Whatever goes wrong completes nothing and says
nothing: a shell shows in the middle of a line what is printed here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from bitgoeul.api.names import ALLOCATION_LABEL

PROGRAM = "bitgoeul"
PLUGIN = "kubectl bitgoeul"
VARIABLE = "_BITGOEUL_COMPLETE"  # click's own name for it; the script sets it when it asks
PATIENCE_SECONDS = 5.0

# What kubectl does beside offering what it is told; the numbers are those of the library that it completes by.
OFFER_FILES, OFFER_NO_FILES = 0, 4


@click.command(short_help="Print a script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script for SHELL, such as for: eval "$(bitgoeul completion bash)"."""
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101 - the choice above has only what click knows
    click.echo(script(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())


def kubectl_complete() -> None:
    """
    The program ``kubectl_complete-bitgoeul``, which kubectl asks when ``kubectl bitgoeul …`` is to be completed.

    Its arguments are the words after ``bitgoeul``, the last one as far as it is typed. Prints one completion a line,
    with its meaning after a tab, and last what else kubectl is to offer.
    """
    from bitgoeul.cli.main import cli

    *words, unfinished = sys.argv[1:] or [""]
    items = ShellComplete(cli, {}, PLUGIN, VARIABLE).get_completions(words, unfinished)
    for item in items:
        if item.type == "plain":
            print(f"{item.value}\t{item.help}" if item.help else item.value)
    print(f":{OFFER_FILES if any(item.type != 'plain' for item in items) else OFFER_NO_FILES}")


# -- names


def allocation_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The allocations that the reader may see."""
    from bitgoeul.cluster.kinds import TENANT_ALLOCATION

    return offered(ctx, [TENANT_ALLOCATION], incomplete)


def pool_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The pools of both kinds."""
    from bitgoeul.cluster.kinds import ACCELERATOR_POOL, STORAGE_POOL

    return offered(ctx, [ACCELERATOR_POOL, STORAGE_POOL], incomplete)


def accelerator_pool_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The pools of devices."""
    from bitgoeul.cluster.kinds import ACCELERATOR_POOL

    return offered(ctx, [ACCELERATOR_POOL], incomplete)


def offered(ctx: click.Context, kinds: Iterable[Any], incomplete: str) -> list[CompletionItem]:
    """The names of objects that begin so."""
    try:
        names = asyncio.run(asyncio.wait_for(read_names(ctx.params, kinds), PATIENCE_SECONDS))
    except Exception:
        # No cluster, no right, no answer: then there is nothing to offer, and no place to say why.
        return []
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


async def read_names(options: dict[str, Any], kinds: Iterable[Any]) -> list[str]:
    """
    The names of all objects of these kinds; a tenant is told the allocation of its namespace.

    Args:
        options: As typed so far: ``kubeconfig``, ``context``, ``as_user``, ``as_groups``, ``namespace``.
    Raises:
        BitgoeulError: There is no cluster, or it does not say.
    """
    from bitgoeul.cluster.client import ApiError, Identity, connect
    from bitgoeul.cluster.credentials import current_namespace
    from bitgoeul.cluster.kinds import NAMESPACE, TENANT_ALLOCATION

    kubeconfig, context = options.get("kubeconfig"), options.get("context")
    user = options.get("as_user")
    identity = Identity(user, tuple(options.get("as_groups") or ())) if user else None
    async with connect(kubeconfig, context, identity=identity) as api:
        try:
            return [str(obj["metadata"]["name"]) for kind in kinds for obj in (await api.list_all(kind.path()))[0]]
        except ApiError as error:
            if error.status != 403 or TENANT_ALLOCATION not in kinds:
                raise
        namespace = options.get("namespace") or current_namespace(kubeconfig, context)
        found = await api.get(NAMESPACE.path(namespace)) or {}
        name = ((found.get("metadata") or {}).get("labels") or {}).get(ALLOCATION_LABEL)
        return [str(name)] if name else []
