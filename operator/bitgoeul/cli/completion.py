"""``bitgoeul completion``: the script by which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PROGRAM = "bitgoeul"
VARIABLE = "_BITGOEUL_COMPLETE"  # click's own name for it; the script sets it when it asks


@click.command(short_help="Print a script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script for SHELL, such as for: eval "$(bitgoeul completion bash)"."""
    script = get_completion_class(shell)
    assert script is not None  # noqa: S101 - the choice above has only what click knows
    click.echo(script(ctx.find_root().command, {}, PROGRAM, VARIABLE).source())
