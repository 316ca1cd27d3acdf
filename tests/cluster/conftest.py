"""The control plane that cluster tests share: one for the whole session, gone afterwards, whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator

import pytest

from bitgoeul.local.build import ensure_binary
from bitgoeul.local.launcher import ControlPlane
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_fixtures import _running, operator, order, show_log, world
from tests.cluster.prometheus_fixtures import busy_center, prometheus
from tests.prometheus import prometheus_tools

__all__ = ["_running", "busy_center", "operator", "prometheus", "prometheus_tools", "world"]

# The controller manager's own 20 would make quota status the slowest part of every test.
KCM_QPS = 200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order(items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    show_log(item, report)
    return report


@pytest.fixture(scope="session")
def _binary(request: pytest.FixtureRequest) -> None:
    """Build the control plane where it is missing, and let the person at the terminal see it: it takes minutes."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        ensure_binary(lambda line: print(line, file=sys.stderr, flush=True))


@pytest.fixture(scope="session")
def control_plane(_binary: None) -> Iterator[ControlPlane]:
    """A running control plane with an audit log."""
    with ControlPlane.temporary(audit=True, kcm_qps=KCM_QPS) as plane:
        yield plane


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """kubectl as the administrator of the shared control plane."""
    return Kubectl(control_plane.binary, control_plane.kubeconfig)
