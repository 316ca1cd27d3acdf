"""Shows reports: as tables on the terminal, and as Markdown between two marks of a page that is written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.figures import Detail, Figure, Outcome, Report

BEGIN = "<!-- results: begin (written by: python -m tests.benchmarks --render) -->"
END = "<!-- results: end -->"
COLUMNS = ("measure", "what", "value", "goal", "")


def print_details(console: Console, outcome: Outcome) -> None:
    """What explains the figures of one measure."""
    for detail in filter(lambda one: one.rows, outcome.details):
        table = Table(title=f"{outcome.name}: {detail.title}", title_justify="left", box=box.SIMPLE)
        texts = [column for column in range(len(detail.columns)) if not is_numeric(detail, column)]
        for number, column in enumerate(detail.columns):
            table.add_column(column, justify="left" if number in texts else "right")
        for row in detail.rows:
            table.add_row(*row)
        console.print(table)


def print_figures(console: Console, report: Report) -> None:
    """The one table at the end: each figure, its goal, and whether it was met."""
    table = Table(box=box.SIMPLE_HEAD)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in ("value", "goal") else "left")
    for outcome in report.outcomes:
        for row in rows(outcome):
            table.add_row(*row)
        table.add_section()
    console.print(table)


def rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """The cells of one measure; a measure that failed has a row that says so."""
    found: list[tuple[str, ...]] = [
        (outcome.name, figure.what, value(figure), goal(figure), verdict(figure)) for figure in outcome.figures
    ]
    return [*found, (outcome.name, outcome.error, "-", "-", "failed")] if outcome.error else found


def value(figure: Figure) -> str:
    return f"{figure.text} {figure.unit}".strip()


def goal(figure: Figure) -> str:
    return f"{figure.goal.text} {figure.unit}".strip() if figure.goal else ""


def verdict(figure: Figure) -> str:
    """Whether the goal was met, in a word; empty where there is none."""
    return {None: "", True: "met", False: "missed"}[figure.met]


def is_numeric(detail: Detail, column: int) -> bool:
    """Whether a column is to be read digit below digit."""
    return all(row[column].replace(".", "", 1).isdigit() for row in detail.rows)


def render_page(page: str, reports: Sequence[Report]) -> str:
    """
    The page with everything between its marks replaced by these reports.

    Raises:
        ValueError: The page has no marks.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no lines {BEGIN!r} and {END!r} to write the results between")
    return f"{before}{BEGIN}\n\n{''.join(map(render_report, reports))}{END}{after}"


def render_report(report: Report) -> str:
    """One run as Markdown: where and how, one table, and what each measure did."""
    about = "".join(f"- {key}: {text}\n" for key, text in report.about.items())
    table = "".join(
        f"| {' | '.join(cells)} |\n"
        for cells in [COLUMNS, ("---", "---", "---:", "---:", "---"), *(r for o in report.outcomes for r in rows(o))]
    )
    methods = "".join(f"- **{outcome.name}**: {outcome.method}.\n" for outcome in report.outcomes if outcome.method)
    details = "".join(
        render_detail(o, detail) for o in report.outcomes for detail in o.details if detail.in_page and detail.rows
    )
    return f"### {report.title}\n\n{about}\n{table}\n{methods}\n{details}"


def render_detail(outcome: Outcome, detail: Detail) -> str:
    """A table that is folded away until somebody wants it."""
    cells = [detail.columns, ["---"] * len(detail.columns), *detail.rows]
    table = "".join(f"| {' | '.join(row)} |\n" for row in cells)
    return f"<details><summary>{outcome.name}: {detail.title}</summary>\n\n{table}\n</details>\n\n"
