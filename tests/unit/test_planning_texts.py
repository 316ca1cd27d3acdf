"""Amounts in messages: short, and such that whoever asks for what is told gets it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from bitgoeul.api.quantities import format_bytes, parse_bytes
from bitgoeul.planning.checks import free_text
from bitgoeul.planning.pools import accelerator, storage
from tests.unit.builders import decide, make_allocation, make_held, make_storage_pool

MOST = 500 * 10**12


def test_what_is_available_is_told_in_short() -> None:
    """500T less 10Ti is 477543831760Ki, which nobody can read."""
    red = make_allocation("red", storage={"lustre": "10Ti"}, grant={"storage": {"lustre": "10Ti"}})
    cluster = [make_storage_pool("lustre", "500T"), red, *make_held("red", {"lustre": "10Ti"})]
    decision = decide([*cluster, make_allocation("blue", storage={"lustre": "490T"}, created=1)])
    assert decision.message.startswith("needs 490T of lustre, 444.7Ti available; ")
    assert "; 444.7Ti could start now" in decision.message


@given(taken=st.integers(1, MOST - 1))
def test_what_is_told_as_free_can_be_asked_for(taken: int) -> None:
    """It is rounded down, never up."""
    size = format_bytes(taken)
    red = make_allocation("red", storage={"lustre": size}, grant={"storage": {"lustre": size}})
    cluster = [make_storage_pool("lustre", "500T"), red, *make_held("red", {"lustre": size})]
    message = decide([*cluster, make_allocation("blue", storage={"lustre": "500T"}, created=1)]).message
    found = re.search(r"; (\S+) could start now", message)
    assert found is not None
    free = parse_bytes(found[1])
    if free:
        assert decide([*cluster, make_allocation("blue", storage={"lustre": str(free)}, created=1)]).met


def test_devices_are_whole_numbers() -> None:
    """Nothing about them is rounded."""
    assert free_text(accelerator("a100"), 12345) == "12345"
    assert free_text(storage("lustre"), 2**40) == "1Ti"
