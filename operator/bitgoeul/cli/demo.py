"""
``bitgoeul demo``: the model case on a control plane of its own, which is gone afterwards, however it ends.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

import click

from bitgoeul.cluster.client import connect
from bitgoeul.controller.operator import Operator
from bitgoeul.controller.options import Options
from bitgoeul.demo.board import Board
from bitgoeul.demo.cluster import Cluster, offset_to
from bitgoeul.demo.screen import LiveScreen, Screen, ScreenHandler
from bitgoeul.demo.story import PILOT_BEGINS, Story, introduce
from bitgoeul.errors import ClusterError, UserError
from bitgoeul.local.build import ensure_binary
from bitgoeul.local.launcher import ControlPlane

KCM_QPS = 200  # the controller manager's own 20 would make quota status the slowest part
MAX_TENANTS = 2000
SECONDS_PER_TENANT = 0.5  # a generous bound; a tenth of it is usual
PAUSE_SECONDS = 2.0  # between the steps, when somebody watches
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--once", is_flag=True, help="End by itself when all is settled; the exit code is 1 when it does not.")
@click.option(
    "--tenants",
    type=click.IntRange(0, MAX_TENANTS),
    default=0,
    metavar="N",
    help=f"Add N small example tenants, for a feeling of scale; at most {MAX_TENANTS}.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long any one step may take to settle; each tenant of --tenants adds half a second.",
)
def demo(once: bool, tenants: int, timeout: float) -> None:
    """
    Show the operator at work: pools that grow by stages, tenants, a queue and a quota, from 2021 to 2024.

    The control plane is real, the nodes are simulated, and the clock is shifted.

    Everything runs on this machine, without Docker, and is removed at the end. Without --once it goes on until Ctrl-C,
    with the cluster open to kubectl from another terminal.
    """
    patience_seconds = timeout + tenants * SECONDS_PER_TENANT
    for number in SIGNALS:
        signal.signal(number, leave)
    screen = LiveScreen(keep_board=not once) if sys.stdout.isatty() else Screen()
    ensure_binary(lambda line: click.echo(line, err=True))
    introduce(screen)
    started = time.monotonic()
    try:
        with ControlPlane.temporary(kcm_qps=KCM_QPS) as plane:
            screen.say(
                f"Kubernetes {plane.state.kubernetes} is ready after {time.monotonic() - started:.1f} s: etcd, API "
                "server, controller manager, scheduler and kwok."
            )
            ended_by = asyncio.run(
                perform(plane, screen, once=once, tenants=tenants, patience_seconds=patience_seconds)
            )
    except ClusterError as error:
        raise UserError(f"the demo's own cluster failed: {error}") from error
    if once and ended_by is not None:
        sys.exit(128 + ended_by)
    screen.say(f"Ended and removed after {time.monotonic() - started:.0f} s.")


def leave(number: int, _frame: FrameType | None) -> NoReturn:
    """End while no event loop takes the signal; what was started is ended on the way out."""
    raise SystemExit(128 + number)


async def perform(
    plane: ControlPlane, screen: Screen, *, once: bool, tenants: int, patience_seconds: float
) -> signal.Signals | None:
    """
    Tell the story with the operator in this process; returns the signal that ended it, if one did.

    Raises:
        UserError: Something did not settle, or the operator ended.
    """
    stop = asyncio.Event()
    received: list[signal.Signals] = []

    def note(number: signal.Signals) -> None:
        received.append(number)
        stop.set()

    def listen() -> None:
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, note, number)

    listen()
    async with connect(plane.kubeconfig) as api, connect(plane.kubeconfig) as operator_api:
        operator = Operator(operator_api, Options(metrics_port=None, clock_offset=offset_to(PILOT_BEGINS)))
        cluster = Cluster(
            api, screen, lambda board: at_rest(operator, board), operator.shift_clock, patience_seconds=patience_seconds
        )
        await cluster.install()
        logging.basicConfig(level=logging.WARNING, handlers=[ScreenHandler(screen)], force=True)
        pause = PAUSE_SECONDS if isinstance(screen, LiveScreen) and not once else 0
        story = Story(cluster, screen, generated=tenants, pause_seconds=pause)
        # kopf ends all tasks that began after it: so the story begins first.
        telling = asyncio.create_task(tell(story, plane, screen, once=once))
        operating = asyncio.create_task(operator.run(stop, on_watching=listen))
        await asyncio.wait({telling, operating}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        telling.cancel()
        outcomes = await asyncio.gather(operating, telling, return_exceptions=True)
    if received:
        return received[0]
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome
    return None


def at_rest(operator: Operator, board: Board) -> bool:
    """Whether the operator has nothing to do, and the board says what it decided last: some figures come later."""
    current = operator.planner.round
    return current is not None and operator.queue.idle and operator.planner.idle and board.says(current.plan)


async def tell(story: Story, plane: ControlPlane, screen: Screen, *, once: bool) -> None:
    """The story, and then its end or the open cluster."""
    with screen:
        await story.tell()
        if not once:
            invite(plane, screen)
            await story.follow()
    await story.conclude()


def invite(plane: ControlPlane, screen: Screen) -> None:
    """How to go on from another terminal."""
    screen.say()
    screen.say("The cluster is yours until Ctrl-C. From another terminal:")
    screen.command(f"export KUBECONFIG={plane.kubeconfig}")
    if shutil.which("kubectl") is None:
        screen.command(f"alias kubectl='{plane.binary} kubectl'")
    screen.command("kubectl get bitgoeul")
    screen.command("bitgoeul queue            # who waits, in order")
    screen.command("bitgoeul why onggi        # why, until when, and what would start now")
    screen.command("kubectl delete ta dambi   # gives its devices back: who starts now?")
    screen.say()
