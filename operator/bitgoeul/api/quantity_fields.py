"""
Fields that hold a quantity: sizes in bytes, CPU cores, petaflops. Each takes a number as well as a text, as every field
of Kubernetes that holds a quantity does, and refuses what is no whole number of the unit that is reckoned with.

CEL takes such a value for a text or an integer, and has no one function for both: the builders below have. A quantity
in CEL is compared exactly; as a floating point number it is exact up to 2^53, which is 9 PB.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler
from pydantic_core import CoreSchema

from bitgoeul.api.fields import INT_OR_STRING_KEY, Rule

MAX_LENGTH = 20
MAX_BYTES = 10**18  # 1E
MAX_CORES = 10**9


class IntOrString:
    """Says in the schema that a text may be written as an integer too."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = {key: value for key, value in handler(core).items() if key != "type"}
        return {**schema, INT_OR_STRING_KEY: True}


def _as_text(value: object) -> object:
    """The text of an integer; a truth value is none, although Python takes it for one."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


# -- CEL

# Narrower than what the API server takes for a quantity: there, a suffix without a number is 0, and an exponent may
# have any number of digits.
_TEXT = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$"


def is_quantity(value: str) -> str:
    """CEL that tells whether CEL can read a value."""
    return f"(type({value}) == int || isQuantity({value}))"


def quantity(value: str) -> str:
    """CEL for a value that can be read as an exact quantity."""
    return f"(type({value}) == int ? quantity('0').add(int({value})) : quantity({value}))"


def number(value: str) -> str:
    """CEL for a value as a floating point number; 0 where it cannot be read."""
    return (
        f"(type({value}) == int ? double({value}) : isQuantity({value}) ? quantity({value}).asApproximateFloat() : 0.0)"
    )


def _within(value: str, least: str, most: int) -> str:
    """CEL that tells whether a value that can be read lies within bounds; ``least`` is CEL such as ``> 0``."""
    texts = f"sign(quantity({value})) {least} && quantity({value}).compareTo(quantity('{most}')) <= 0"
    return f"(type({value}) == int ? int({value}) {least} && int({value}) <= {most} : {texts})"


def _is_whole(value: str, parts: int) -> str:
    """
    CEL that tells whether a value within bounds is a whole number of parts, such as 1000 for thousandths.

    The API server has no function for it (``isInteger`` asks how a quantity is stored). What is left of the value near
    its floating point number, at most a few thousand, is told exactly down to the billionth, finer than which the API
    server keeps nothing. It is reckoned anew each time: CEL's arithmetic changes the quantity that it is given.
    """
    near = f"int(quantity({value}).asApproximateFloat())"
    rest = f"(quantity({value}).sub({near}).add(4096).asApproximateFloat() * {parts}.0)"
    gap = f"({rest} - double(int({rest} + 0.5)))"
    # A billionth of a part: between what is whole and what is next to it lie a thousand times as much.
    least = "0.0000000001" if parts == 1 else "0.0000001"
    return f"(type({value}) == int || ({gap} < {least} && {gap} > -{least}))"


def _rules(least: str, most: int, parts: int, readable: str, bounds: str, whole: str) -> tuple[Rule, ...]:
    """The rules of a field, of which at most one speaks: it cannot be read, is out of bounds, or is not whole."""
    read = f"(type(self) == int || self.matches('{_TEXT}'))"
    within = _within("self", least, most)
    return (
        Rule(rule=read, message=readable),
        Rule(rule=f"!{read} || {within}", message=bounds),
        Rule(rule=f"!{read} || !{within} || {_is_whole('self', parts)}", message=whole),
    )


_NO_SIZE = "must be a size in bytes such as 500Gi, 1.5Ti or 1073741824"
_NO_WHOLE_BYTES = "must be a whole number of bytes: this size ends in a fraction of one"

#: A size in whole bytes, more than nothing.
Size = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(max_length=MAX_LENGTH, description="A size in bytes as a quantity, such as 500Gi or 1.5Ti."),
    IntOrString(),
    *_rules("> 0", MAX_BYTES, 1, _NO_SIZE, "must be more than 0 and at most 1E", _NO_WHOLE_BYTES),
]

#: A size in whole bytes, or nothing.
SizeOrZero = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(max_length=MAX_LENGTH, description="A size in bytes as a quantity, such as 500Gi or 1.5Ti, or 0."),
    IntOrString(),
    *_rules(">= 0", MAX_BYTES, 1, _NO_SIZE, "must be at least 0 and at most 1E", _NO_WHOLE_BYTES),
]

#: CPU cores in whole thousandths, more than nothing.
Cpu = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(max_length=MAX_LENGTH, description="CPU cores as a quantity, such as 16, 1.5 or 1500m."),
    IntOrString(),
    *_rules(
        "> 0",
        MAX_CORES,
        1000,
        "must be a number of CPU cores such as 16, 1.5 or 1500m",
        f"must be more than 0 and at most {MAX_CORES} CPU cores",
        "must be a whole number of thousandths of a CPU core: 1m is the least, 1500m are 1.5 cores",
    ),
]

#: Computing power, more than nothing.
Petaflops = Annotated[
    str,
    BeforeValidator(_as_text),
    Field(max_length=MAX_LENGTH, description="Petaflops as a decimal number, such as 2 or 0.0195."),
    IntOrString(),
    Rule(
        rule="type(self) == int ? int(self) > 0 && int(self) <= 999999999 : "
        "self.matches('^[0-9]{1,9}([.][0-9]{1,6})?$') && double(self) > 0.0",
        message='must be a decimal number such as "0.0195", more than 0, with at most 6 digits after the point',
    ),
]
