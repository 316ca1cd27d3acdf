"""
Fixtures of tests that run commands which only look, beside a running operator.

A plug-in of the test modules that name it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.asking import Asker
from tests.cluster.faults import ForkServer
from tests.cluster.neighbours import await_alone
from tests.cluster.scenario import World


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Starts commands in milliseconds."""
    with ForkServer(tmp_path_factory.mktemp("commands")) as server:
        yield server


@pytest.fixture
def asker(commands: ForkServer, control_plane: ControlPlane, tmp_path: Path) -> Asker:
    """Asks about the whole cluster: compare only what has the world's suffix, or ask for ``alone`` as well."""
    return Asker(commands, control_plane, tmp_path)


@pytest.fixture
def alone(world: World) -> None:
    """Nothing is planned but this test's world: some seconds, until the one before has gone."""
    await_alone(world)
