"""
``python -m tests.benchmarks``: runs measures, prints their tables, and writes JSON; or renders JSON into a page.

A goal that is missed is no error: the table says so. A measure that could not be carried out is one.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import click
import orjson
from rich.console import Console

from bitgoeul.errors import UserError
from bitgoeul.local.build import ensure_binary
from tests.benchmarks.figures import Outcome, Report, read_report
from tests.benchmarks.machine import describe
from tests.benchmarks.operator_process import frozen_source
from tests.benchmarks.registry import MEASURES, Measure
from tests.benchmarks.setting import Hall, Setting, open_hall
from tests.benchmarks.tables import print_details, print_figures, render_page

NAMES = [measure.name for measure in MEASURES]
KCM_QPS = 200
WIDTH = 140  # where the output is no terminal


@click.command()
@click.option("--only", "names", multiple=True, type=click.Choice(NAMES), help="Which measure; may be repeated.")
@click.option("--tenants", type=click.IntRange(1, 100_000), help="How many, instead of each measure's own number.")
@click.option(
    "--kcm-qps",
    type=click.IntRange(0),
    default=KCM_QPS,
    show_default=True,
    help="Requests per second of each controller of the controller manager; 0: its own default of 20.",
)
@click.option("--title", default="Results", show_default=True, help="What the run is called in the page.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("build/benchmarks.json"),
    show_default=True,
    help="Where the figures are written.",
)
@click.option(
    "--render",
    "page",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Measure nothing: write the figures of the files named into this page.",
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False, exists=True))
def main(
    names: tuple[str, ...],
    tenants: int | None,
    kcm_qps: int,
    title: str,
    json_file: Path,
    page: Path | None,
    files: tuple[Path, ...],
) -> None:
    """Measure the operator on real control planes of this machine; FILES are those for --render."""
    if page is not None:
        render(page, files)
        return
    if files:
        raise click.UsageError("FILES are for --render")
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    ensure_binary(say)
    chosen = [measure for measure in MEASURES if not names or measure.name in names]
    with frozen_source():
        report = Report(title, describe(sys.argv[1:]))
        try:
            asyncio.run(run(chosen, tenants, kcm_qps or None, partial(take_down, report, json_file, console)))
        except asyncio.CancelledError:
            raise click.ClickException("ended by SIGTERM") from None
    print_figures(console, report)
    console.print("\n".join(f"{key}: {text}" for key, text in report.about.items()), f"written: {json_file}", sep="\n")
    sys.exit(any(outcome.error for outcome in report.outcomes))


async def run(
    chosen: list[Measure], tenants: int | None, kcm_qps: int | None, taken_down: Callable[[Outcome], None]
) -> None:
    """Run the measures one after the other; one that fails leaves the others their turn."""
    # As with Ctrl-C: control planes and operators end with the blocks that hold them.
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    counts = {measure.name: (tenants if tenants and measure.tenants else measure.tenants) for measure in chosen}
    hall: Hall | None = None
    async with AsyncExitStack() as stack:

        async def shared_hall() -> Hall:
            nonlocal hall
            if hall is None:
                hall = await stack.enter_async_context(open_hall(max(counts.values()), kcm_qps))
            return hall

        for measure in chosen:
            setting = Setting(counts[measure.name], kcm_qps, shared_hall, partial(say_of, measure))
            started = time.monotonic()
            try:
                outcome = await measure.run(setting)
            except Exception as error:
                outcome = Outcome(measure.name, "", error=reason(error))
            say(f"{measure.name}: took {time.monotonic() - started:.0f} s")
            taken_down(outcome)


def take_down(report: Report, json_file: Path, console: Console, outcome: Outcome) -> None:
    """Keep an outcome, at once also in the file: the next measure may be interrupted."""
    report.outcomes.append(outcome)
    json_file.parent.mkdir(parents=True, exist_ok=True)
    json_file.write_bytes(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2) + b"\n")
    print_details(console, outcome)


def reason(error: BaseException) -> str:
    """What went wrong, in one line; of a group, its first member."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def render(page: Path, files: tuple[Path, ...]) -> None:
    """Write the results of these files into the page, in the order given."""
    if not files:
        raise click.UsageError("--render needs the JSON files to take the figures from")
    reports = [read_report(orjson.loads(file.read_bytes())) for file in files]
    try:
        text = render_page(page.read_text(encoding="utf-8"), reports)
    except ValueError as error:
        raise click.ClickException(f"{page}: {error}") from error
    page.write_text(text, encoding="utf-8")


def say_of(measure: Measure, line: str) -> None:
    say(f"{measure.name}: {line}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"Error: {error}")
