"""
``bitgoeul up`` and ``bitgoeul down``: a real control plane on this machine, in the background.
"""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

import click

from bitgoeul.errors import UserError
from bitgoeul.local import kind
from bitgoeul.local.components import Options
from bitgoeul.local.named import DEFAULT_NAME, bring_up, take_down

FILE = click.Path(path_type=Path, dir_okay=False, resolve_path=True)
NAME_OPTION = click.option(
    "--name", default=DEFAULT_NAME, show_default=True, help="Which control plane; several may run."
)


@click.command()
@NAME_OPTION
@click.option(
    "--kubeconfig", type=FILE, help="Write the kubeconfig to this file as well; one made by others is refused."
)
@click.option(
    "--port", type=click.IntRange(1024, 65535), help="Port of the API server on 127.0.0.1.  [default: a free one]"
)
@click.option("--audit-log", type=FILE, help="Write one JSON line for each write request to this file.")
@click.option(
    "--kcm-qps",
    type=click.IntRange(1, 10000),
    help="Requests per second of each controller in the controller manager.  [default: its own 20]",
)
@click.option("--kind", "use_kind", is_flag=True, help="Create a kind cluster instead; needs Docker and kind.")
def up(
    name: str, kubeconfig: Path | None, port: int | None, audit_log: Path | None, kcm_qps: int | None, use_kind: bool
) -> None:
    """
    Start a real Kubernetes control plane with simulated nodes on this machine.

    etcd, API server, controller manager, scheduler and kwok run in the background, on 127.0.0.1 only, until
    `bitgoeul down`. They are compiled once, which takes minutes. Calling it again is fine.
    """
    exit_signal = ExitSignal()
    signal.signal(signal.SIGTERM, exit_signal)
    signal.signal(signal.SIGHUP, exit_signal)
    if use_kind:
        if port or audit_log or kcm_qps:
            raise UserError("--port, --audit-log and --kcm-qps are for the embedded control plane, not for --kind")
        kind.create(name, kubeconfig)
        return
    plane = bring_up(name, Options(port, audit_log, kcm_qps), kubeconfig, say, exit_signal.check)
    say("etcd runs without fsync: fast, and a crash of the machine may lose its data")
    click.echo(f"export KUBECONFIG={kubeconfig or plane.kubeconfig}")


@click.command()
@NAME_OPTION
@click.option(
    "--keep-data", is_flag=True, help="Keep etcd's files and the keys, so that the next `up` goes on with them."
)
def down(name: str, keep_data: bool) -> None:
    """Stop what `bitgoeul up` started, and remove it."""
    take_down(name, keep_data=keep_data, report=say)


def say(line: str) -> None:
    """Progress goes to stderr: what stdout gets can be given to a shell's eval."""
    click.echo(line, err=True)


class ExitSignal:
    """
    A handler of signals that ends the process as on Ctrl-C: the start in progress cleans up behind itself.

    Python drops what is raised while it finalizes an object. So the signal is remembered, for a look now and then.
    """

    def __init__(self) -> None:
        self._number: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self._number = number
        self.check()

    def check(self) -> None:
        """
        Go on where no signal has come.

        Raises:
            SystemExit: One has.
        """
        if self._number is not None:
            raise SystemExit(128 + self._number)
