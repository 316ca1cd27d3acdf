"""Lengths of time on a command line."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bitgoeul.cli.lengths import read_length
from bitgoeul.errors import QuantityError


@pytest.mark.parametrize(
    ("text", "hours"),
    [("14d", 14 * 24), ("1d12h", 36), ("0d", 0), ("720h", 720), ("1h30m", 1.5), ("90m", 1.5)],
)
def test_days_are_read_beside_what_the_api_takes(text: str, hours: float) -> None:
    """A day is 24 hours."""
    assert read_length(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "d", "-1d", "1.5d", "2w", "12h1d", "1d 12h", "1d\n", "123456d", "1D", "14"])
def test_anything_else_is_refused(text: str) -> None:
    """With what would be right."""
    with pytest.raises(QuantityError, match=r"not a length of time: .*such as 14d"):
        read_length(text)
