"""``bitgoeul run``: the operator in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from datetime import timedelta
from functools import partial
from typing import Any

import click
from click.core import ParameterSource

from bitgoeul.api.cluster_roles import read_allowed_roles
from bitgoeul.api.names import OPERATOR_NAMESPACE
from bitgoeul.api.quantities import format_offset, parse_offset
from bitgoeul.cli.connection import cluster_options
from bitgoeul.cli.logs import set_up_logging
from bitgoeul.cli.trial_pod import trial_pod_options
from bitgoeul.cluster.client import connect
from bitgoeul.cluster.lease import LostLeaseError
from bitgoeul.controller.operator import Operator
from bitgoeul.controller.options import Options
from bitgoeul.desired.trial_pod import TrialPod
from bitgoeul.errors import ClusterError, QuantityError, UserError

log = logging.getLogger("bitgoeul")

LAST_SECONDS = 2.0  # for the loop to end what still runs in it


def read_offset(_: click.Context, __: click.Parameter, value: str) -> timedelta:
    """The option's value, or a usage error that says what would be right."""
    try:
        return parse_offset(value)
    except QuantityError as error:
        raise click.BadParameter(str(error)) from error


@click.command(short_help="Run the operator.")
@cluster_options
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="Address of /metrics, /healthz, /readyz.")
@click.option(
    "--metrics-port",
    default=9400,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of /metrics, /healthz and /readyz; 0 takes a free one, as the default does where it is taken.",
)
@click.option(
    "--namespace",
    default=OPERATOR_NAMESPACE,
    show_default=True,
    envvar="POD_NAMESPACE",
    metavar="NAME",
    help="Where this operator runs; its Lease says so, and is in bitgoeul-system whatever stands here.",
)
@click.option("--workers", default=16, show_default=True, type=click.IntRange(1, 256), help="Tenants at a time.")
@click.option(
    "--clock-offset",
    default="0s",
    show_default=True,
    callback=read_offset,
    metavar="DURATION",
    help="Shift the time by which is planned, such as 8760h or -24h: to play years in minutes.",
)
@click.option(
    "--allowed-cluster-role",
    "allowed_roles",
    multiple=True,
    metavar="NAME",
    help="ClusterRole that allocations may give to members beside their role. Repeatable.",
)
@trial_pod_options
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--verbose", "-v", is_flag=True, help="Say more.")
@click.pass_context
def run(
    ctx: click.Context,
    kubeconfig: str | None,
    context: str | None,
    metrics_host: str,
    metrics_port: int,
    namespace: str,
    workers: int,
    clock_offset: timedelta,
    allowed_roles: tuple[str, ...],
    trial_pod: TrialPod,
    log_format: str,
    verbose: bool,
) -> None:
    """
    Run the operator against a cluster: decide who gets what, and enforce it.

    A second one against the same cluster stands by, and takes over when the first is gone.
    """
    set_up_logging(log_format, verbose)
    if ctx.get_parameter_source("metrics_port") is ParameterSource.DEFAULT and taken(metrics_host, metrics_port):
        # Most likely a second instance beside the first, which is how one tries a standby.
        log.warning("port %d is taken; taking a free one (choose one with --metrics-port)", metrics_port)
        metrics_port = 0
    if clock_offset:
        log.warning("planning by a clock that is shifted by %s", format_offset(clock_offset))
    options = Options(
        metrics_host,
        metrics_port,
        namespace,
        workers,
        clock_offset,
        trial_pod,
        allowed_roles=read_allowed_roles(allowed_roles),
    )
    asyncio.run(operate(kubeconfig, context, options))


async def operate(kubeconfig: str | None, context: str | None, options: Options) -> None:
    """Run until a signal comes."""
    stop = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(partial(complain, stop))
    async with connect(kubeconfig, context) as api:
        operator = Operator(api, options)
        listen(stop)
        try:
            await operator.run(stop, on_watching=lambda: listen(stop))
        except LostLeaseError as error:
            raise give_up(f"leadership lost: {error}; ending, to start afresh") from error
        except ClusterError as error:
            raise give_up(f"cannot go on: {error}") from error
        except Exception:
            give_up("a defect of the operator; ending, to start afresh")
            raise
    log.info("stopped")
    end_in_any_case(0)


def give_up(message: str) -> UserError:
    """The error to end with; the process ends by it in any case."""
    end_in_any_case(1, f"Error: {' '.join(message.split())}")
    return UserError(message)


def end_in_any_case(code: int, last_line: str = "") -> None:
    """
    See to it that the process ends soon, also where something in the loop never lets go.

    A watch of kopf's that is cut off while it begins waits for new credentials for ever. All that matters is done.
    """

    def end() -> None:
        if last_line:
            click.echo(last_line, err=True)
        os._exit(code)

    timer = threading.Timer(LAST_SECONDS, end)
    timer.daemon = True  # one that ends by itself does not wait for it
    timer.start()


def complain(stop: asyncio.Event, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what nobody has caught; not that a stream was cut off in the midst of something while all is ending."""
    if stop.is_set() and "asyncgen" in context:
        log.debug("%s: %s", context.get("message"), context.get("exception"))
        return
    loop.default_exception_handler(context)


def taken(host: str, port: int) -> bool:
    """Whether somebody listens there already."""
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def listen(stop: asyncio.Event) -> None:
    """Stop on SIGTERM and Ctrl-C."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
