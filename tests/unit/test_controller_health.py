"""Health is the age of the last success, not that something turns."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, cast

import pytest

from bitgoeul.cluster.troubles import Troubles
from bitgoeul.controller.clock import Clocks
from bitgoeul.controller.health import Health

NOW = datetime(2027, 3, 1, tzinfo=UTC)


@dataclass
class Scene:
    """What health looks at, and the clock by which it does."""

    now: float = 1000.0
    synced: bool = True
    answered_at: float = 1000.0
    succeeded_at: float = 1000.0
    problem: str = ""
    promises: str = ""
    troubles: Troubles = field(init=False)
    health: Health = field(init=False)

    def __post_init__(self) -> None:
        clocks = Clocks(lambda: NOW + timedelta(seconds=self.now - 1000), lambda: self.now)
        clocks.hear(format_datetime(NOW, usegmt=True), 0.0)
        self.clocks = clocks
        self.troubles, self.events = Troubles(lambda: self.now), Troubles(lambda: self.now)
        self.rights = Troubles(lambda: self.now)
        it = cast("Any", self)  # as cache and Lease: of both only these figures are read
        promises = lambda: self.promises  # noqa: E731
        self.health = Health(it, it, clocks, self.troubles, self.rights, self.events, promises, lambda: self.now)

    def failing(self) -> set[str]:
        """The names of all checks that fail."""
        return {name for name, problem in self.health.all().items() if problem}


def test_all_is_well() -> None:
    """Then no check has anything to say."""
    scene = Scene()
    assert scene.failing() == set()
    assert not any(scene.health.alive().values())


def test_an_api_server_that_is_away_is_no_reason_to_restart() -> None:
    """Half a minute without a success is not ready; and however long it lasts, it is alive."""
    scene = Scene(problem="no answer from https://one")
    scene.now += 31
    scene.health.beat()
    assert scene.failing() == {"lease"}
    assert "no answer from https://one" in scene.health.ready()["lease"]
    scene.now += 3600
    scene.health.beat()
    assert not any(scene.health.alive().values())


@pytest.mark.parametrize(("seconds", "alive"), [(299, True), (301, False)])
def test_one_that_is_answered_and_gets_nowhere_is_restarted(seconds: float, alive: bool) -> None:
    """After five minutes: what is refused for so long may be a matter of the process itself."""
    scene = Scene(problem="forbidden")
    scene.now += seconds
    scene.answered_at = scene.now
    scene.health.beat()
    assert (scene.health.alive()["lease"] == "") == alive


def test_a_loop_that_does_not_turn_is_neither_alive_nor_ready() -> None:
    scene = Scene()
    scene.now += 31
    scene.succeeded_at = scene.now
    assert scene.failing() == {"event loop"}
    assert scene.health.alive()["event loop"] == "no turn for 31 s"


def test_what_lasts_is_in_its_check() -> None:
    """Lists and rights in readiness; promises and Events for the metric only."""
    scene = Scene(promises="1 promises cannot be written; denied")
    scene.troubles.failed("list nodes", "denied")
    scene.rights.failed("patch resourcequotas", "resourcequotas bitgoeul in blue: denied")
    scene.events.failed("writing Events", "denied")
    assert scene.failing() == {"promises"}
    scene.now = scene.succeeded_at = 1061.0
    scene.health.beat()
    assert scene.failing() == {"lists", "rights", "promises", "events"}
    assert set(scene.health.ready()) == {"cache", "lease", "lists", "rights", "clock", "event loop"}


def test_in_brief_it_names_checks_and_no_objects() -> None:
    """For the Lease, which more people may read than the log."""
    scene = Scene()
    assert scene.health.in_brief() == ""
    for number in range(3):
        scene.troubles.failed(f"list kind{number}", "denied")
    scene.rights.failed("patch resourcequotas", "resourcequotas bitgoeul in blue: denied")
    scene.now = scene.succeeded_at = 1061.0
    scene.health.beat()
    assert scene.health.in_brief() == "lists (list kind0 and 2 more), rights (patch resourcequotas)"


def test_before_everything_was_listed_it_is_not_ready() -> None:
    assert Scene(synced=False).failing() == {"cache"}
