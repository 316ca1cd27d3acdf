"""What enforcing a promise says of itself."""

from __future__ import annotations

import pytest

from bitgoeul.controller.enforcement import Lay, draining_text
from bitgoeul.desired.targets import Division
from bitgoeul.planning.pools import PoolKey, accelerator, storage


@pytest.mark.parametrize(
    ("pool", "amount", "said"),
    [
        pytest.param(accelerator("atom"), 1, "1 device of atom", id="one device"),
        pytest.param(accelerator("atom"), 2, "2 devices of atom", id="several"),
        pytest.param(storage("lustre"), 2**40, "1Ti of lustre", id="bytes"),
    ],
)
def test_what_is_still_in_use_is_told_in_its_unit(pool: PoolKey, amount: int, said: str) -> None:
    """One is not told as many."""
    lay = Lay({}, {}, [], [], [], [], Division({}, complete=True), over=False)
    assert draining_text({pool: amount}, lay, []) == f"{said} still in use beyond what is asked for"
