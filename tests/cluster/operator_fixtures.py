"""
Fixtures for tests of the running operator: one process for all of them, and a world for each.

Tests without the operator play its part themselves, with objects that it would change; so they run first.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import install_crds
from tests.cluster.kubectl import Kubectl
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.scenario import World, open_world

OPERATOR = "operator"
GIVEN_ROLE = "view"  # beside their own, members may be given this one, which every cluster has
SHOWN_CHARACTERS = 20_000
# What an operator never says, whatever happens to it.
DEFECTS = ("Traceback (most recent call last)", ": defect")


def order(items: list[pytest.Item]) -> None:
    """
    Put the files with tests that need the operator after those without.

    Whole files, because a worker runs one from its first test to its last, and the operator stays.
    """
    busy = {item.path for item in items if uses_operator(item)}
    items.sort(key=lambda item: item.path in busy)


def uses_operator(item: pytest.Item) -> bool:
    return "_running" in getattr(item, "fixturenames", ())


def show_log(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add what the operator said during a test to the report of its failure."""
    running = getattr(item, "funcargs", {}).get(OPERATOR)
    if report.failed and isinstance(running, OperatorProcess):
        report.sections.append(("operator log", running.said()[-SHOWN_CHARACTERS:]))


@pytest.fixture(scope="session")
def _running(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    install_crds(kubectl)
    log = tmp_path_factory.mktemp("operator") / "log"
    with OperatorProcess(control_plane.kubeconfig, log, f"--allowed-cluster-role={GIVEN_ROLE}") as process:
        yield process


@pytest.fixture
def operator(_running: OperatorProcess) -> Iterator[OperatorProcess]:
    """The operator, leading; a test that stops it need not start it again."""
    _running.revive()
    said_before = len(_running.said())
    yield _running
    said = _running.said()[said_before:]
    assert not any(defect in said for defect in DEFECTS), "the operator met a defect of its own, see its log"


@pytest.fixture
def world(control_plane: ControlPlane, operator: OperatorProcess) -> Iterator[World]:
    """Pools and allocations of one test, looked after by the operator; gone afterwards."""
    with open_world(control_plane) as made:
        yield made
    assert operator.alive, "the operator ended by itself, see its log"
