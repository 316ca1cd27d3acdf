"""
Lengths of time as people type them: those of the API, and whole days besides, as commands print them.

The API has no days, because a day of a calendar is not always 24 hours long; on a command line ``14d`` is what one
types, and 14 times 24 hours what is meant.
"""

from __future__ import annotations

import re
from datetime import timedelta

from bitgoeul.api.quantities import parse_duration
from bitgoeul.errors import QuantityError

DAYS = re.compile(r"([0-9]{1,5})d(.*)", re.DOTALL)


def read_length(text: str) -> timedelta:
    """
    Read a length such as ``14d``, ``1d12h``, ``720h`` or ``1h30m``.

    Raises:
        QuantityError: It is none.
    """
    found = DAYS.fullmatch(text)
    days, rest = (found[1], found[2]) if found else ("0", text)
    try:
        return timedelta(days=int(days)) + (timedelta(0) if found and not rest else parse_duration(rest))
    except QuantityError as error:
        raise QuantityError(
            f"not a length of time: {text[:64]!r}; write whole days, hours, minutes or seconds of at most 5 digits, "
            "such as 14d, 720h, 90m or 1d12h"
        ) from error
