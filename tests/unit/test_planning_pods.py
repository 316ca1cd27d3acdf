"""Which pods may hold something."""

from __future__ import annotations

from typing import Any

import pytest

from bitgoeul.planning.pods import may_hold

ENDING = {"deletionTimestamp": "2021-02-15T00:00:00Z"}


@pytest.mark.parametrize(
    ("metadata", "spec", "status", "holds"),
    [
        pytest.param({}, {}, {}, True, id="one that waits for a node may get it"),
        pytest.param({}, {"nodeName": "n1"}, {"phase": "Running"}, True, id="one that runs"),
        pytest.param(ENDING, {"nodeName": "n1"}, {"phase": "Running"}, True, id="one that is told to stop"),
        pytest.param(ENDING, {}, {"phase": "Pending"}, False, id="one that is deleted before a node had it"),
        pytest.param({}, {"nodeName": "n1"}, {"phase": "Succeeded"}, False, id="one that has ended"),
        pytest.param(ENDING, {"nodeName": "n1"}, {"phase": "Failed"}, False, id="one that has failed"),
    ],
)
def test_what_may_hold_something(
    metadata: dict[str, Any], spec: dict[str, Any], status: dict[str, Any], holds: bool
) -> None:
    """What has ended holds nothing; what is deleted without a node is bound to none any more."""
    assert may_hold({"metadata": metadata, "spec": spec, "status": status}) is holds
