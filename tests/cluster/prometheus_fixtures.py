"""A real Prometheus that scrapes the real operator while everything goes on at once, for the tests of one module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.busy_center import Center, open_center
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.prometheus_server import Prometheus
from tests.cluster.scenario import open_world
from tests.prometheus import Tools

__all__ = ["busy_center", "prometheus"]


@pytest.fixture(scope="module")
def busy_center(control_plane: ControlPlane, _running: OperatorProcess) -> Iterator[Center]:
    """The busy center, gone after the last test of the module."""
    _running.revive()
    with open_world(control_plane) as world:
        yield open_center(world)


@pytest.fixture(scope="module")
def prometheus(
    busy_center: Center, _running: OperatorProcess, prometheus_tools: Tools, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A server that has scraped the center at least once."""
    with Prometheus(prometheus_tools, tmp_path_factory.mktemp("prometheus"), _running.metrics_address) as server:
        yield server
