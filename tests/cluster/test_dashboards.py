"""Dashboards show a real center: each query is answered by a real Prometheus, with the labels that a panel shows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from bitgoeul.local.launcher import ControlPlane
from tests.chart import CHART
from tests.cluster.busy_center import Center, open_center
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.prometheus_server import Prometheus, QueryError, Sample
from tests.cluster.scenario import World, open_world
from tests.cluster.waiting import eventually
from tests.dashboards.files import dashboards
from tests.dashboards.inference import inserted
from tests.dashboards.pages import Json
from tests.dashboards.reading import Asked, asked, columns, panels, variables
from tests.prometheus import Tools

# What the servers scrape, by the labels that they add: two replicas show the same for a scrape or two while one takes
# over from the other; two clusters may have pools and tenants of the same names.
SCRAPED: dict[str, list[dict[str, str]]] = {
    "one replica": [{}],
    "two replicas": [{"instance": "before"}, {"instance": "after"}],
    "two clusters": [{"cluster": "gwangju"}, {"cluster": "busan"}],
}
RULES = CHART / "files" / "rules.yaml"
PAGES = {page["uid"]: page for page in dashboards()}
# As long as anything here takes; Grafana would give a minute or more.
STRETCH = {"$__rate_interval": "15m", "$__range": "15m"}
# Queries that rightly have no answer in the center, and why.
UNANSWERED = {
    ("bitgoeul-tenant", "Allocations C"): "ten minutes are too long for a test",
    (
        "bitgoeul-tenant",
        "Storage by pool D",
    ): "a size below what is in use is refused, so there is no excess of storage",
}

# Labels that no series has in the center, and why.
UNSEEN = {("Firing alerts", "kind"): "has only what fires when work fails, or when somebody fights the operator"}

each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
each_server = pytest.mark.parametrize("scraped", SCRAPED)


class Watched(NamedTuple):
    """The center, and servers that have scraped it from its first moment."""

    world: World
    center: Center
    servers: dict[str, Prometheus]


@pytest.fixture(scope="module")
def watched(
    control_plane: ControlPlane,
    _running: OperatorProcess,
    prometheus_tools: Tools,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Watched]:
    """The busy center; what is counted while it comes to be is seen too."""
    if not _running.alive:
        _running.start()
    with ExitStack() as stack:
        servers = {}
        for scraped, labels in SCRAPED.items():
            folder = tmp_path_factory.mktemp("prometheus")
            server = Prometheus(prometheus_tools, folder, _running.metrics_address, [impatient(folder)], labels)
            servers[scraped] = stack.enter_context(server)
        world = stack.enter_context(open_world(control_plane))
        yield Watched(world, open_center(world), servers)


def impatient(folder: Path) -> Path:
    """The rules of the chart, but alerts fire at once: nobody here waits for an hour."""
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(rules))
    return path


def sent(query: str, center: Center, cluster: str = ".*") -> str:
    """A query as Grafana would send it when the reader has chosen the pools and the tenants of the center."""
    for name, text in STRETCH.items():
        query = query.replace(name, text)
    pools = "|".join((center.gpu, center.npu))
    allocations = "|".join(center[3:])
    return inserted(query, {"pool": pools, "storage_pool": center.disk, "allocation": allocations, "cluster": cluster})


def answer(server: Prometheus, query: str) -> list[Sample]:
    """What the server says; if it cannot, that is no answer yet: what others do beside us may be half done."""
    try:
        return server.query(query)
    except QueryError as error:
        raise AssertionError(str(error)) from error


def problems(query: Asked, samples: list[Sample]) -> Iterator[str]:
    """What of an answer a panel could not show."""
    if not samples:
        yield "no series"
    if samples and all(math.isnan(sample.value) for sample in samples):
        yield "no number"
    if "histogram_quantile" not in query.expr and any(math.isnan(sample.value) for sample in samples):
        yield "something that is no number"
    for label in query.shown - {"cluster"}:
        if not all(sample.labels.get(label) for sample in samples):
            yield f"series without {label}"


@each_server
@each_page
def test_every_panel_has_an_answer(watched: Watched, page: Json, scraped: str) -> None:
    """Every query gives series, with the labels of its legend, and numbers."""
    server = watched.servers[scraped]

    def answered() -> bool:
        found = [
            f"{query.name} gives {problem}: {sent(query.expr, watched.center)}"
            for panel in panels(page)
            for query in asked(panel)
            if (page["uid"], query.name) not in UNANSWERED
            for problem in problems(query, answer(server, sent(query.expr, watched.center)))
        ]
        assert not found, "\n".join(found)
        return True

    eventually(answered, f"{page['title']} is full")


@each_server
@each_page
def test_every_table_is_full(watched: Watched, page: Json, scraped: str) -> None:
    """Each column that shows a label has texts in it, and a query gives one number for each row."""
    server = watched.servers[scraped]

    def full() -> bool:
        for panel in panels(page):
            if panel["type"] == "table":
                given = [answer(server, sent(query.expr, watched.center)) for query in asked(panel)]
                found = {label for samples in given for sample in samples for label in sample.labels}
                missing = {label for label in columns(panel) - found if (panel["title"], label) not in UNSEEN}
                assert not missing, panel["title"]
                for samples in given:
                    keys = {tuple(sorted(sample.labels.items())) for sample in samples}
                    assert len(keys) == len(samples), panel["title"]
        return True

    eventually(full, f"tables of {page['title']} are full")


@each_page
def test_every_variable_offers_something(watched: Watched, page: Json) -> None:
    """Also the cluster, where the scraper names one."""
    server = watched.servers["two clusters"]
    for variable in variables(page):
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        assert found is not None
        selector, label = inserted(found[1]), found[2]
        eventually(
            lambda s=selector, name=label: server.label_values(name, s),  # type: ignore[misc]
            f"{variable['name']} offers something",
        )


def test_exceptions_are_of_queries_that_there_are() -> None:
    """A panel that was renamed or mended needs none."""
    named = {(uid, query.name) for uid, page in PAGES.items() for panel in panels(page) for query in asked(panel)}
    tables = {(panel["title"], label) for page in PAGES.values() for panel in panels(page) for label in columns(panel)}
    assert set(UNANSWERED) <= named
    assert set(UNSEEN) <= tables


# -- what is shown is so


def answers(watched: Watched, scraped: str, uid: str, title: str, center: Center) -> list[list[Sample]]:
    """What each query of a panel gives, of one cluster."""
    (panel,) = (one for one in panels(PAGES[uid]) if one["title"] == title)
    cluster = SCRAPED[scraped][0].get("cluster", ".*")
    return [answer(watched.servers[scraped], sent(query.expr, center, cluster)) for query in asked(panel)]


def by_allocation(samples: list[Sample]) -> dict[str, float]:
    return {sample.labels["allocation"]: sample.value for sample in samples}


@each_server
@pytest.mark.parametrize(
    ("uid", "title"),
    [
        pytest.param("bitgoeul-pool", "Where the devices are", id="devices"),
        pytest.param("bitgoeul-storage", "Where the capacity is", id="bytes"),
    ],
)
def test_layers_add_up_to_the_line(watched: Watched, uid: str, title: str, scraped: str) -> None:
    """Of a pool that has not promised too much: everything installed is in one layer, and is counted once."""
    center = watched.center
    expected = {"bitgoeul-pool": 32, "bitgoeul-storage": 8 * 2**40}

    def adds_up() -> bool:
        *layers, (line,) = answers(watched, scraped, uid, title, center._replace(npu="none"))
        assert sum(layer[0].value for layer in layers) == line.value == expected[uid]
        return True

    eventually(adds_up, "the layers add up")


@each_server
def test_the_queue_is_the_one_in_status(watched: Watched, scraped: str) -> None:
    """Who waits, at which place, why, and until when."""
    center = watched.center

    def same() -> bool:
        shown = answers(watched, scraped, "bitgoeul-tenant", "Who waits", center)
        position, reason, _, waits, start, until = shown
        reasons = {sample.labels["allocation"]: sample.labels["reason"] for sample in reason}
        queues = {name: watched.world.status(name).get("queue", {}) for name in center[3:]}
        assert by_allocation(position) == {n: q["position"] for n, q in queues.items() if "position" in q}
        assert by_allocation(position).keys() >= {center.waiting, center.patient, center.undated, center.thirsty}
        assert reasons.keys() == by_allocation(position).keys() == by_allocation(waits).keys()
        assert reasons[center.undated] == "WaitingForCapacity"
        assert by_allocation(start).keys() == {n for n, q in queues.items() if "earliestStart" in q}
        assert all(seconds > 0 for seconds in by_allocation(until).values())
        return True

    eventually(same, "the queue is shown as it is")


@each_server
def test_what_fires_is_listed(watched: Watched, scraped: str) -> None:
    """With the pool or the allocation that it is about."""
    expected = {
        ("BitgoeulPoolOvercommitted", "pool", watched.center.npu),
        ("BitgoeulAllocationMisconfigured", "allocation", watched.center.refused),
    }

    def listed() -> bool:
        (samples,) = answers(watched, scraped, "bitgoeul-fleet", "Firing alerts", watched.center)
        found = {
            (sample.labels["alertname"], label, sample.labels[label])
            for sample in samples
            for label in ("pool", "allocation")
            if label in sample.labels
        }
        assert expected <= found
        return True

    eventually(listed, "what fires is listed")
