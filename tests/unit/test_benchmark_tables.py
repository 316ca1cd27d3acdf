"""The benchmarks' results as people read them; nothing is measured here."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks.figures import Detail, Figure, Goal, Outcome, Report, percentile, read_report
from tests.benchmarks.tables import BEGIN, END, render_page

REPORT = Report(
    "A quiet machine",
    {"machine": "2 CPUs"},
    [
        Outcome(
            "latency",
            "one tenant at a time",
            (
                Figure("to Ready, p50", 0.2261, "s", Goal(0.3)),
                Figure("ratio", 0.4, "", Goal(0.5, least=True)),
                Figure("writes", 1234.0, ""),
            ),
            (Detail("by kind", ("kind", "ms"), (("Namespace", "8"),), in_page=True), Detail("raw", ("x",), (("1",),))),
        ),
        Outcome("idle", "", error="TimeoutError: not at rest"),
    ],
)


def test_page_shows_each_figure_with_its_goal_and_replaces_only_what_is_between_the_marks() -> None:
    """A missed goal and a failed measure are told as such; the page's own words stay."""
    page = render_page(f"# Before\n{BEGIN}\nold figures\n{END}\nafter\n", [REPORT])
    assert page.startswith(f"# Before\n{BEGIN}\n\n### A quiet machine\n\n- machine: 2 CPUs\n")
    assert page.endswith(f"{END}\nafter\n")
    assert "old figures" not in page
    assert "| latency | to Ready, p50 | 0.226 s | ≤ 0.3 s | met |" in page
    assert "| latency | ratio | 0.400 | ≥ 0.5 | missed |" in page
    assert "| latency | writes | 1234 |  |  |" in page
    assert "| idle | TimeoutError: not at rest | - | - | failed |" in page
    assert "| Namespace | 8 |" in page
    assert "raw" not in page


def test_rendering_again_changes_nothing() -> None:
    """The same results give the same page."""
    once = render_page(f"{BEGIN}{END}", [REPORT])
    assert render_page(once, [REPORT]) == once


def test_page_without_marks_is_left_alone() -> None:
    """Results are never written over text."""
    with pytest.raises(ValueError, match="no lines"):
        render_page("# Benchmarks\n", [REPORT])


def test_report_survives_its_file() -> None:
    """What is rendered later is what was measured."""
    assert read_report(json.loads(json.dumps(REPORT.as_json()))) == REPORT


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([3, 1, 2], 0.5, 2, id="the middle one"),
        pytest.param(range(1, 101), 0.99, 99, id="of 100, one is beyond the 99th percentile"),
        pytest.param(range(1, 31), 0.99, 30, id="of 30, it is the largest"),
        pytest.param([7], 0.5, 7, id="of one, it is that one"),
    ],
)
def test_percentile_is_a_measured_value(values: list[float], share: float, expected: float) -> None:
    """Nothing is interpolated."""
    assert percentile(list(values), share) == expected
