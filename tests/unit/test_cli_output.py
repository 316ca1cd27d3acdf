"""Tables stay aligned whatever stands in them, and amounts and shifts read as people write them."""

from __future__ import annotations

import pytest

from bitgoeul.cli.output import WIDEST_CELL, amounts_in_brief, brief, clean, cut, format_table, shift_text, width
from bitgoeul.planning.pools import accelerator, storage

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Headers are in capitals, and nothing stands after the last word."""
    lines = format_table(("Name", "Asks", "Why"), [["a", "a100×8", ""], ["long-name", "x", "because"]])
    assert lines == ["NAME       ASKS    WHY", "a          a100×8", "long-name  x       because"]


def test_korean_letters_take_two_columns() -> None:
    """What follows an organization's name stands below its header on a terminal."""
    lines = format_table(("Name", "Organization", "P"), [["blue", "빛고을 자동차", "1"], ["red", "Blue Motors", "2"]])
    assert [width(line[: line.index(last)]) for line, last in zip(lines, ("P", "1", "2"), strict=True)] == [21, 21, 21]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x" * WIDEST_CELL, "x" * WIDEST_CELL, id="what fits is whole"),
        pytest.param("x" * 200, "x" * (WIDEST_CELL - 1) + "…", id="what is too long ends in an ellipsis"),
        pytest.param("빛" * 100, "빛" * 23 + "…", id="counted in columns, not letters"),
    ],
)
def test_long_cells_are_cut(text: str, expected: str) -> None:
    """A cell is never wider than it may be."""
    assert cut(text) == expected
    assert width(cut(text)) <= WIDEST_CELL


def test_names_and_the_last_column_are_whole() -> None:
    """A name is there to be copied."""
    lines = format_table(("Name", "Organization", "Cause"), [["n" * 63, "o" * 128, "c" * 200]])
    assert lines[1].split() == ["n" * 63, "o" * (WIDEST_CELL - 1) + "…", "c" * 200]


def test_what_would_break_a_line_is_taken_out() -> None:
    """Line breaks, escapes and direction marks of a name do not reach the terminal."""
    assert clean("a\nb\x1b[31m\u202ec") == "a b [31m c"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        pytest.param(50 * 2**40, "50Ti", id="a whole number of a unit"),
        pytest.param(10_700 * 10**12, "10700T", id="as it was declared"),
        pytest.param(50 * 2**40 + 1, "50.0Ti", id="rounded where the exact text is long"),
        pytest.param(-(3 * 2**40) - 12345, "-3.0Ti", id="less than nothing"),
        pytest.param(0, "0", id="nothing"),
    ],
)
def test_sizes_are_short(amount: int, text: str) -> None:
    """A table has no room for bytes to the last one."""
    assert brief(storage("lustre"), amount) == text


def test_amounts_of_several_pools_are_one_text() -> None:
    """Accelerators first; one that asks for neither asks for cpu and memory."""
    assert amounts_in_brief({storage("lustre"): 2**40, accelerator("a100"): 8}) == "a100×8, lustre 1Ti"
    assert amounts_in_brief({}) == "compute only"


@pytest.mark.parametrize(
    ("shift", "text"),
    [
        pytest.param(0, "0", id="not at all"),
        pytest.param(30 * DAY, "+30d", id="days"),
        pytest.param(-(DAY + 12 * HOUR), "-1d12h", id="days and hours, earlier"),
        pytest.param(2 * HOUR + 5 * MINUTE, "+2h5m", id="hours and minutes"),
        pytest.param(90_000, "+90s", id="below an hour to the second"),
        pytest.param(3 * DAY + 5 * MINUTE, "+3d", id="minutes do not matter beside days"),
    ],
)
def test_shifts_are_short(shift: int, text: str) -> None:
    """By how much somebody moves is read at a glance."""
    assert shift_text(shift) == text
