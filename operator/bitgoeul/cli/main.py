"""
The command ``bitgoeul``: finds the subcommand, and turns errors into one line and an exit code.

Exit codes: 0 fine, 1 error (wrong use too), 2 not ready. Subcommands are imported only when they are
called, so that ``bitgoeul --help`` does not load a Kubernetes client.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from pathlib import Path

import click

from bitgoeul import __version__
from bitgoeul.errors import UserError

# name → module:attribute; the module's command has the same short help
COMMANDS = {
    "up": "bitgoeul.cli.up:up",
    "down": "bitgoeul.cli.up:down",
    "nodes": "bitgoeul.cli.nodes:nodes",
    "crds": "bitgoeul.cli.crds:crds",
    "run": "bitgoeul.cli.run:run",
    "demo": "bitgoeul.cli.demo:demo",
    "plan": "bitgoeul.cli.plan:plan",
    "queue": "bitgoeul.cli.queue:queue",
    "calendar": "bitgoeul.cli.calendar:calendar",
    "why": "bitgoeul.cli.why:why",
    "status": "bitgoeul.cli.status:status",
    "pools": "bitgoeul.cli.pools:pools",
    "expiring": "bitgoeul.cli.expiring:expiring",
    "doctor": "bitgoeul.cli.doctor:doctor",
    "bundle": "bitgoeul.cli.bundle:bundle",
    "completion": "bitgoeul.cli.completion:completion",
}


# What a full disk, a quota on it, or a broken one says.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class LazyGroup(click.Group):
    """A click group whose subcommands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bitgoeul")
def cli() -> None:
    """Run a shared AI data center: pools of devices and storage, handed out by date and priority."""


def called_as(program: str) -> str:
    """What a person typed to get here, for texts of help: as a plugin it is called by kubectl."""
    return "kubectl bitgoeul" if Path(program).name == "kubectl-bitgoeul" else "bitgoeul"


def prepare_streams() -> None:
    """
    Make the standard streams safe to write to, whatever the process was started with.

    A letter that the output's encoding does not have is escaped, as in EUC-KR or ASCII. A stream that is closed is
    opened to nowhere: else the next file or socket would take its number.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the process runs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; never returns."""
    prepare_streams()
    try:
        code = cli.main(arguments, prog_name=called_as(sys.argv[0]), standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where it can be told that it did not succeed
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        # Usage errors exit with 1, not with click's 2: here 2 means "not ready".
        hint = f" (see: {error.ctx.command_path} --help)" if isinstance(error, click.UsageError) and error.ctx else ""
        print(f"Error: {error.format_message()}{hint}", file=sys.stderr)
        sys.exit(1)
    except UserError as error:
        # One line, whatever a server's answer that is quoted in it looks like.
        print(f"Error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) went away: not our error, and nothing can be said to it. What is still buffered goes
        # nowhere, or Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        print(f"Error: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
