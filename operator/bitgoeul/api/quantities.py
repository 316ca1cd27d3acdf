"""
Kubernetes quantities as exact numbers, and back to the text that the API server itself would print.

Reading takes everything that the API server takes; writing gives a fixed point of the server's own canonical form, so
that comparing what is wanted with what is stored finds no difference where there is none.
"""

from __future__ import annotations

import re
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

# A quantity is read from what tenants write: longer ones mean nothing, and must not make arithmetic slow.
_MAX_LENGTH = 64
_MAX_EXPONENT = 99
_EXACT = Context(prec=400)


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


def format_cpu(millis: int) -> str:
    """Write millicores in the API server's canonical form: ``1500m``, ``2``, and ``1k`` for a thousand cores."""
    return f"{millis}m" if millis % 1000 else _scaled(millis // 1000, _THOUSANDS, 1000)


def _scaled(value: int, suffixes: dict[str, int], base: int) -> str:
    """The value with the largest suffix that leaves it whole."""
    if value == 0:
        return "0"
    fitting = [suffix for suffix, power in suffixes.items() if value % base**power == 0]
    return f"{value // base ** suffixes[fitting[-1]]}{fitting[-1]}" if fitting else str(value)


def _whole(number: Decimal) -> int:
    return int(number.to_integral_value(rounding=ROUND_UP, context=_EXACT))
