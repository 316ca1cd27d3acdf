"""The text that Prometheus reads: what users write into labels cannot break it, and it is the client's own text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from bitgoeul.metrics.exposition import Gathered, Row, RowMetric, write
from bitgoeul.metrics.families import Family, FamilyType
from tests.unit.builders import make_accelerator_pool, make_allocation, make_nodes, make_storage_pool
from tests.unit.metrics_states import make_state, registry_of

TEXT = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
FORMATS = [
    pytest.param(TEXT, parse_text, id="text"),
    pytest.param(OPENMETRICS, parse_openmetrics, id="OpenMetrics"),
]
Parser = Callable[[str], Iterable[Metric]]

#: All that can come out of JSON, and so out of the API: anything but half characters.
any_text = st.text(st.characters(exclude_categories=["Cs"]))
any_number = st.one_of(st.integers(-(10**19), 10**19), st.floats(allow_nan=False))


def make_metric(rows: Iterable[Row], labels: tuple[str, ...] = ("pool", "class"), unit: str = "bytes") -> RowMetric:
    """A family with labels in an order that is not the alphabet's."""
    name = f"bitgoeul_example_{unit}" if unit else "bitgoeul_example"
    kept = tuple(rows)
    return RowMetric(Family(name, FamilyType.GAUGE, labels, 'Says "what"\\\nit is.', unit), lambda: kept)


@pytest.mark.parametrize(("accept", "parse"), FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param('Kim "AI" Lab', id="quotes"),
        pytest.param("two\nlines 1\n# EOF\nbitgoeul_pool_granted_devices 0", id="line breaks that would be series"),
        pytest.param("back\\slash\\", id="a backslash before the closing quote"),
        pytest.param('all\\"\n"\\', id="all of them"),
        pytest.param("사랑방 모터스 🚗", id="other scripts"),
        pytest.param('"} 1\nup{job="x', id="an attempt to forge a series"),
    ],
)
def test_what_users_write_stays_inside_its_label(name: str, accept: str, parse: Parser) -> None:
    """The organisation's name comes out as it went in, as one series."""
    state = make_state([make_allocation("blue", organization={"name": name, "class": "SME"})])
    _, text = write(registry_of(state).collect(), accept)
    families = {family.name: family for family in parse(text.decode())}
    assert [sample.labels["organization"] for sample in families["bitgoeul_allocation_info"].samples] == [name]
    assert not any(name.startswith("up") for name in families)


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS, "", "text/plain;version=1.0.0;escaping=allow-utf-8"])
@given(rows=st.lists(st.tuples(st.tuples(any_text, any_text), any_number)))
@example(rows=[(("a", "b"), 0.0), (("c", "d"), -0.0)])
def test_the_text_is_that_of_the_prometheus_client(rows: list[Row], accept: str) -> None:
    """Writing rows fast changes nothing but the time that it takes."""
    metric = make_metric(rows)
    encode, content_type = choose_encoder(accept)
    assert write([metric], accept) == (content_type, encode(Gathered(metric)))


@pytest.mark.parametrize(("accept", "parse"), FORMATS)
def test_a_whole_scrape_can_be_read_back(accept: str, parse: Parser) -> None:
    """Families of the state and of the client stand in one text that a strict parser takes."""
    objects = [
        make_accelerator_pool(petaflopsPerDevice="0.0195"),
        make_storage_pool(),
        *make_nodes(2),
        make_allocation("blue", {"a100": 8}, {"lustre": "10Ti"}),
        make_allocation("green", {"a100": 16}, created=1),
    ]
    registry = registry_of(make_state(objects))
    Counter("bitgoeul_example_total", "Counts.", registry=registry).inc()
    families = {family.name: family for family in parse(write(registry.collect(), accept)[1].decode())}
    assert families["bitgoeul_pool_granted_devices"].samples[0].value == 8
    assert families["bitgoeul_storage_pool_installed_bytes"].samples[0].value == 100 * 2**40
    assert families["bitgoeul_example"].samples[0].value == 1


def test_a_family_without_labels_has_no_braces() -> None:
    """The snapshot's time is a plain number."""
    assert write([make_metric([((), 1.5)], (), "")], TEXT)[1].endswith(b"\nbitgoeul_example 1.5\n")


def test_rows_are_made_when_they_are_written() -> None:
    """Gathering is done on the event loop and has to cost nothing."""
    calls = []
    registry = CollectorRegistry()

    def rows() -> list[Row]:
        calls.append("made")
        return [(("a100", "GPU"), 1)]

    class Late(Gathered):
        def __init__(self) -> None:
            super().__init__(RowMetric(Family("late", FamilyType.GAUGE, ("pool", "class"), "Late."), rows))

    registry.register(Late())
    gathered = tuple(registry.collect())
    assert calls == []
    write(gathered, TEXT)
    assert calls == ["made"]
