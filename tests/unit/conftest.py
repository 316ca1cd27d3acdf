"""
Fixtures of tests that need no cluster, and how properties are tried: with the same examples in every run, however slow
the machine is; ``--hypothesis-profile=explore`` looks for new ones.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.prometheus import prometheus_tools
from tests.unit.clocks import Clock

__all__ = ["prometheus_tools"]

settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("steady")


@pytest.fixture
def clock() -> Clock:
    return Clock()
