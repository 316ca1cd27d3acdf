"""
Kubernetes quantities as exact numbers, and back to the text that the API server itself would print; durations likewise.

Reading takes everything that the API server takes; writing gives a fixed point of the server's own canonical form, so
that comparing what is wanted with what is stored finds no difference where there is none.
"""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import ROUND_UP, Context, Decimal

from bitgoeul.errors import QuantityError

# Plain text, decimal and binary suffixes, or an exponent; "1E" is exa, "1E3" is a thousand.
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))"
    r"(?:(?P<suffix>n|u|m|k|M|G|T|P|E|[KMGTPE]i)|[eE](?P<exponent>[+-]?[0-9]+))?"
)

_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_THOUSANDS = {suffix: power // 3 for suffix, power in _DECIMAL.items() if power > 0}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}

#: The largest number of an integer field, and the largest quantity: beyond it the API server takes neither.
MOST = 2**63 - 1

# A size that takes more characters than this is rounded where it is told in short.
_EXACT_CHARACTERS = 8
_UNITS = ("", *_BINARY)

# A quantity is read from what tenants write: longer ones mean nothing, and must not make arithmetic slow.
_MAX_LENGTH = 64
_MAX_EXPONENT = 99
_EXACT = Context(prec=400)

# What the rule of the API takes: no days, no fractions, no sign.
_DURATION = re.compile(r"(?:[0-9]{1,5}[hms])+")
_SECONDS = {"h": 3600, "m": 60, "s": 1}

# Plan time may be shifted by more than any one duration of the API, also backwards.
_OFFSET = re.compile(r"(?P<sign>[+-]?)(?P<parts>(?:[0-9]{1,10}[hms])+)")
_MAX_OFFSET = timedelta(hours=1_752_000)  # 200 years: what the API takes for dates


def parse_quantity(text: str) -> Decimal:
    """
    Read a quantity such as ``10Ti``, ``1.5``, ``1500m`` or ``1e3`` exactly.

    Raises:
        QuantityError: The text is not a quantity, or absurdly long.

    Source: Kubernetes documentation, "Quantity" (apimachinery, ``resource.Quantity``).
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise QuantityError(
            f"not a quantity: {text[:_MAX_LENGTH]!r}; write a number with a suffix, such as 500Gi, 10T or 1500m"
        )
    number, suffix, exponent = Decimal(match["number"]), match["suffix"], int(match["exponent"] or 0)
    if abs(exponent) > _MAX_EXPONENT:
        raise QuantityError(f"exponent out of range: {text!r}; at most {_MAX_EXPONENT}")
    if suffix in _BINARY:
        return _EXACT.multiply(number, Decimal(1024 ** _BINARY[suffix]))
    return _EXACT.scaleb(number, _DECIMAL.get(suffix, exponent))


def parse_bytes(text: str) -> int:
    """
    Read a quantity as whole bytes; a fraction counts as a whole one, as the API server counts it.

    Raises:
        QuantityError: The text is not a quantity.
    """
    return _whole(parse_quantity(text))


def parse_cpu(text: str) -> int:
    """
    Read a CPU quantity as whole millicores; a fraction counts as a whole one, as the API server counts it.

    Raises:
        QuantityError: The text is not a quantity.
    """
    return _whole(_EXACT.scaleb(parse_quantity(text), 3))


def format_bytes(value: int) -> str:
    """
    Write bytes in the API server's canonical form: binary or decimal suffix, whichever is shorter, and always exact.

    ``2**30`` is ``1Gi``, ``10_700 * 10**12`` is ``10700T``, ``1500`` stays ``1500``.
    """
    return min(_scaled(value, _BINARY, 1024), _scaled(value, _THOUSANDS, 1000), key=len)


def format_brief(value: int, *, down: bool = False) -> str:
    """
    Write bytes in short, for people: exact where that is short, else rounded to a tenth of a binary unit.

    Args:
        down: Round towards nothing: whoever asks for what is told so asks for no more than there is.
    """
    exact = format_bytes(value)
    if len(exact) <= _EXACT_CHARACTERS:
        return exact
    power = min((abs(value).bit_length() - 1) // 10, len(_UNITS) - 1)
    tenths = _tenths(value, power, down)
    if tenths >= 10_240 and power < len(_UNITS) - 1:  # rounded up to a whole larger unit
        power += 1
        tenths = _tenths(value, power, down)
    return f"{'-' if value < 0 else ''}{tenths // 10}.{tenths % 10}{_UNITS[power]}"


def saturated(number: int) -> int:
    """The number as an integer field can hold it: what is beyond 64 bits becomes the most that these can say."""
    return max(-MOST - 1, min(MOST, number))


def format_cpu(millis: int) -> str:
    """Write millicores in the API server's canonical form: ``1500m``, ``2``, and ``1k`` for a thousand cores."""
    return f"{millis}m" if millis % 1000 else _scaled(millis // 1000, _THOUSANDS, 1000)


def parse_duration(text: str) -> timedelta:
    """
    Read a duration of whole hours, minutes and seconds, such as ``2160h``, ``90m`` or ``1h30m``; parts add up.

    Raises:
        QuantityError: The text is not such a duration, or absurdly long.
    """
    if len(text) > _MAX_LENGTH or not _DURATION.fullmatch(text):
        raise QuantityError(
            f"not a duration: {text[:_MAX_LENGTH]!r}; write whole hours, minutes or seconds of at most 5 digits, such "
            "as 2160h, 90m or 1h30m; a day is 24h"
        )
    parts = re.findall("([0-9]+)([hms])", text)
    return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    """
    Write a duration as the shortest text that ``parse_duration`` reads: ``72h``, ``90m``, ``10h1s``, ``0s``.

    Parts of a second are cut off.

    Raises:
        QuantityError: The duration is negative, for which the API has no text.
    """
    if value < timedelta(0):
        raise QuantityError(f"not a duration: {value} is less than 0s")
    seconds = value // timedelta(seconds=1)
    if seconds == 0:
        return "0s"
    alone = [
        f"{seconds // size}{unit}"
        for unit, size in _SECONDS.items()
        if seconds % size == 0 and seconds // size < 100_000
    ]
    parts = {"h": seconds // 3600, "m": seconds // 60 % 60, "s": seconds % 60}
    together = "".join(f"{number}{unit}" for unit, number in parts.items() if number)
    return min([*alone, together], key=len)


def parse_offset(text: str) -> timedelta:
    """
    Read a duration with a sign, such as ``72h``, ``+90m`` or ``-8760h``: by how much plan time is shifted.

    Raises:
        QuantityError: The text is not such a duration, or more than 200 years.
    """
    match = _OFFSET.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise QuantityError(
            f"not a shift of time: {text[:_MAX_LENGTH]!r}; write whole hours, minutes or seconds, with a minus for the "
            "past, such as 72h or -8760h; a day is 24h"
        )
    parts = re.findall("([0-9]+)([hms])", match["parts"])
    seconds = sum(int(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _MAX_OFFSET.total_seconds():
        hours = _MAX_OFFSET // timedelta(hours=1)
        raise QuantityError(f"shift of time out of range: {text!r}; at most {hours}h (200 years) either way")
    return timedelta(seconds=-seconds if match["sign"] == "-" else seconds)


def format_offset(value: timedelta) -> str:
    """Write a shift of time as ``parse_offset`` reads it, such as ``-8760h``; parts of a second are cut off."""
    text = format_duration(abs(value))
    return f"-{text}" if value < timedelta(0) and text != "0s" else text


def _scaled(value: int, suffixes: dict[str, int], base: int) -> str:
    """The value with the largest suffix that leaves it whole."""
    if value == 0:
        return "0"
    fitting = [suffix for suffix, power in suffixes.items() if value % base**power == 0]
    return f"{value // base ** suffixes[fitting[-1]]}{fitting[-1]}" if fitting else str(value)


def _tenths(value: int, power: int, down: bool) -> int:
    """Return how many tenths of a binary unit a value is, whatever its sign."""
    unit: int = 1024**power
    return (abs(value) * 10 + (0 if down else unit // 2)) // unit


def _whole(number: Decimal) -> int:
    return int(number.to_integral_value(rounding=ROUND_UP, context=_EXACT))
