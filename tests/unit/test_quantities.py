"""Quantities and durations: exact numbers from every spelling, and back to the shortest that is true."""

from __future__ import annotations

import contextlib
import re
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.api.quantities import (
    format_brief,
    format_bytes,
    format_cpu,
    format_duration,
    format_offset,
    parse_bytes,
    parse_cpu,
    parse_duration,
    parse_offset,
    parse_quantity,
)
from bitgoeul.errors import QuantityError

SUFFIXES = {
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate(["n", "u", "m", "", *"kMGTPE"], start=-3)},
    **{f"{suffix}i": Fraction(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
    **{f"{letter}{power}": Fraction(10) ** power for letter in "eE" for power in range(-20, 21)},
}

whole_bytes = st.integers(min_value=0, max_value=2**63 - 1)


@given(
    whole=st.integers(min_value=0, max_value=10**18),
    digits=st.text("0123456789", max_size=9),
    sign=st.sampled_from(["", "+", "-"]),
    suffix=st.sampled_from(sorted(SUFFIXES)),
)
def test_quantity_equals_exact_arithmetic(whole: int, digits: str, sign: str, suffix: str) -> None:
    """Reading a quantity is number times suffix, without any rounding."""
    number = Fraction(f"{sign}{whole}.{digits or 0}")
    text = f"{sign}{whole}.{digits}{suffix}" if digits else f"{sign}{whole}{suffix}"
    assert Fraction(parse_quantity(text)) == number * SUFFIXES[suffix]


@given(value=whole_bytes)
def test_bytes_survive_a_round_trip(value: int) -> None:
    """What is written reads back as the same number of bytes."""
    assert parse_bytes(format_bytes(value)) == value


@given(millis=whole_bytes)
def test_cpu_survives_a_round_trip(millis: int) -> None:
    """What is written reads back as the same number of millicores."""
    assert parse_cpu(format_cpu(millis)) == millis


@given(
    value=st.one_of(whole_bytes, st.builds(lambda n, power: n * 1024**power, st.integers(1, 5000), st.integers(0, 5)))
)
def test_written_bytes_stand_as_the_server_prints_them(value: int) -> None:
    """The suffix is the largest that leaves the number whole, which is the API server's canonical form."""
    match = re.fullmatch("([0-9]+)(.*)", format_bytes(value))
    assert match is not None
    number, suffix = int(match[1]), match[2]
    step = 1024 if suffix.endswith("i") else 1000
    assert number % step or number == 0 or suffix in ("E", "Ei")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(0, "0", id="nothing is a plain zero"),
        pytest.param(1500, "1500", id="what no suffix divides stays plain"),
        pytest.param(1024 * 2**20, "1Gi", id="1024Mi become 1Gi"),
        pytest.param(10 * 2**40, "10Ti", id="binary multiples keep a binary suffix"),
        pytest.param(10_700 * 10**12, "10700T", id="decimal multiples keep a decimal suffix"),
        pytest.param(10**10, "10G", id="the shorter text wins where both are exact"),
    ],
)
def test_bytes_are_written_as_people_write_them(value: int, text: str) -> None:
    """Tenants see the sizes that they wrote."""
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text", "down"),
    [
        pytest.param(50 * 2**40, "50Ti", "50Ti", id="what is short stays exact"),
        pytest.param(477_543_831_760 * 1024, "444.7Ti", "444.7Ti", id="what is long is rounded"),
        pytest.param(2**60 - 1, "1.0Ei", "1023.9Pi", id="what rounds up to a larger unit is told in it"),
        pytest.param(-(477_543_831_760 * 1024), "-444.7Ti", "-444.7Ti", id="below nothing"),
        pytest.param(123_456_789, "117.7Mi", "117.7Mi", id="small things"),
        pytest.param(12 * 10**18 + 1, "10.4Ei", "10.4Ei", id="more than 64 bits"),
    ],
)
def test_sizes_in_short(value: int, text: str, down: str) -> None:
    """At most a tenth of a unit beside the truth; rounded down where somebody may ask for what is told."""
    assert (format_brief(value), format_brief(value, down=True)) == (text, down)


@given(value=st.integers(min_value=-(2**70), max_value=2**70))
def test_sizes_in_short_are_nearly_true(value: int) -> None:
    """Never more than what is told down, never far from it, and never long."""
    brief, down = format_brief(value), format_brief(value, down=True)
    assert abs(parse_quantity(down)) <= abs(value)
    assert abs(parse_quantity(brief) - value) <= abs(value) / 10
    assert len(brief) <= 9 or abs(value) > 2**66


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        pytest.param(0, "0", id="none"),
        pytest.param(1500, "1500m", id="parts of a core are millicores"),
        pytest.param(64_000, "64", id="whole cores have no suffix"),
        pytest.param(2_000_000, "2k", id="the server prints thousands as k"),
    ],
)
def test_cpu_is_written_as_the_server_prints_it(millis: int, text: str) -> None:
    """A quota that is read back shows no difference."""
    assert format_cpu(millis) == text


@pytest.mark.parametrize(("text", "value"), [("0.5", 1), ("1500m", 2), ("1n", 1), ("1Ki", 1024), ("-1500m", -2)])
def test_parts_of_a_byte_count_as_a_whole_one(text: str, value: int) -> None:
    """Fractions are rounded away from zero, as the API server does where it wants whole numbers."""
    assert parse_bytes(text) == value


def test_exa_is_not_an_exponent() -> None:
    """1E is a suffix, 1E3 an exponent."""
    assert (parse_bytes("1E"), parse_bytes("1E3")) == (10**18, 1000)


NO_QUANTITIES = [
    "",
    " ",
    "ten",
    " 8",
    "8 ",
    "8\n",
    "1 Gi",
    "1gi",
    "1K",
    "1Kb",
    "0x10",
    "1_000",
    ".",
    "--1",
    "1e",
    "1e1.5",
]


@pytest.mark.parametrize("text", [*NO_QUANTITIES, "٣", "NaN", "inf"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """Texts that the API server does not take are not guessed at."""
    with pytest.raises(QuantityError, match="not a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["1e100", "1e999999999", "9" * 65])
def test_absurd_quantities_are_refused_at_once(text: str) -> None:
    """A short text must not become a number with a billion digits."""
    with pytest.raises(QuantityError):
        parse_bytes(text)


@given(text=st.text(max_size=70))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is a number or a QuantityError."""
    with contextlib.suppress(QuantityError):
        parse_bytes(text)


# -- durations


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("2160h", timedelta(days=90), id="hours"),
        pytest.param("90m", timedelta(hours=1, minutes=30), id="minutes"),
        pytest.param("45s", timedelta(seconds=45), id="seconds"),
        pytest.param("1h30m15s", timedelta(seconds=5415), id="parts add up"),
        pytest.param("5m1h5m", timedelta(minutes=70), id="in any order and more than once"),
        pytest.param("007h", timedelta(hours=7), id="leading zeros"),
        pytest.param("0s", timedelta(0), id="nothing"),
        pytest.param("99999h99999m9s", timedelta(hours=99_999, minutes=99_999, seconds=9), id="all that fits"),
    ],
)
def test_durations_are_read_as_their_parts_say(text: str, value: timedelta) -> None:
    """Whole hours, minutes and seconds, as the rule of the API takes them."""
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", "h", "1d", "90", "-1h", "+1h", "1.5h", "1ms", "1H", " 1h", "1h ", "1h\n", "1h 30m", "100000h"),
        *("P1D", "٣h", "1h" * 33),
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """The message shows the text and what would be right."""
    with pytest.raises(QuantityError, match=re.escape(f"not a duration: {text[:64]!r}; write whole hours")):
        parse_duration(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(timedelta(0), "0s", id="nothing"),
        pytest.param(timedelta(days=3), "72h", id="days are hours"),
        pytest.param(timedelta(minutes=90), "90m", id="one unit where it is shorter"),
        pytest.param(timedelta(seconds=90), "90s", id="seconds"),
        pytest.param(timedelta(hours=10, seconds=1), "10h1s", id="two units where they are shorter"),
        pytest.param(timedelta(hours=87_599, minutes=59, seconds=59), "87599h59m59s", id="no number beyond 5 digits"),
        pytest.param(timedelta(seconds=1, microseconds=999_999), "1s", id="parts of a second are cut off"),
    ],
)
def test_durations_are_written_short(value: timedelta, text: str) -> None:
    """People see what they would have written."""
    assert format_duration(value) == text


@given(seconds=st.integers(min_value=0, max_value=99_999 * 3600))
def test_durations_survive_a_round_trip(seconds: int) -> None:
    """What is written reads back as the same duration."""
    value = timedelta(seconds=seconds)
    assert parse_duration(format_duration(value)) == value


def test_a_negative_duration_has_no_text() -> None:
    """The API has no sign, and a wrong text would be worse than none."""
    with pytest.raises(QuantityError, match="less than 0s"):
        format_duration(timedelta(seconds=-1))


# -- shifts of time


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("72h", timedelta(days=3), id="ahead"),
        pytest.param("+90m", timedelta(minutes=90), id="ahead, with a sign"),
        pytest.param("-8760h", timedelta(days=-365), id="back"),
        pytest.param("-1h30m", timedelta(minutes=-90), id="the sign is for all parts"),
        pytest.param("-0s", timedelta(0), id="nothing"),
        pytest.param("1752000h", timedelta(days=73_000), id="200 years"),
    ],
)
def test_shifts_are_read_with_their_sign(text: str, value: timedelta) -> None:
    """As durations, and also backwards and by more than a decade."""
    assert parse_offset(text) == value


@pytest.mark.parametrize(
    "text", ["", "-", "1", "1d", "--1h", "1h-1h", "- 1h", "1.5h", "\u22121h", "1h" * 33, "9" * 12 + "h"]
)
def test_what_is_no_shift_is_refused(text: str) -> None:
    """The message shows the text and what would be right."""
    with pytest.raises(QuantityError, match=re.escape(f"not a shift of time: {text[:64]!r}; write whole hours")):
        parse_offset(text)


@pytest.mark.parametrize("text", ["1752001h", "-1752000h1s", "9999999999h"])
def test_a_shift_out_of_the_calendar_is_refused(text: str) -> None:
    """Reckoning with it would leave the years that a date can have."""
    with pytest.raises(QuantityError, match="at most 1752000h"):
        parse_offset(text)


@given(seconds=st.integers(min_value=-1_752_000 * 3600, max_value=1_752_000 * 3600))
def test_shifts_survive_a_round_trip(seconds: int) -> None:
    """What the operator publishes is what the command line reads."""
    value = timedelta(seconds=seconds)
    assert parse_offset(format_offset(value)) == value
