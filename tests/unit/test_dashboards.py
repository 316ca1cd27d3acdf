"""The dashboards of the chart: made from code, without findings, understood by Grafana's own types, linked."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from bitgoeul.metrics.instruments import DECISION_BUCKETS
from tests.chart import CHART
from tests.dashboards.files import FOLDER, dashboards, files, reread
from tests.dashboards.inference import OURS, selectors, series_of
from tests.dashboards.lint import findings, queries
from tests.dashboards.operator_health import STALE
from tests.dashboards.pages import Json
from tests.dashboards.queue_and_calendar import IN_TIME
from tests.dashboards.reading import panels, strings
from tests.unit.test_docs import DOCS, codes, rows, section

PAGES = dashboards()
# Links and what people have bookmarked: these stay.
UIDS = [
    "bitgoeul-fleet",
    "bitgoeul-pool",
    "bitgoeul-tenant",
    "bitgoeul-queue",
    "bitgoeul-storage",
    "bitgoeul-operator",
]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page["uid"])


def test_dashboards_are_up_to_date() -> None:
    """Else run: make generate"""
    made = files()
    assert set(FOLDER.iterdir()) == set(made)
    assert [path.name for path, content in made.items() if path.read_text() != content] == []


def test_addresses_stay() -> None:
    """A dashboard that is called anew breaks every link to it."""
    assert [page["uid"] for page in PAGES] == UIDS


@each_page
def test_a_dashboard_has_no_findings(page: Json) -> None:
    """Of any rule."""
    assert findings(page) == []


@each_page
def test_grafanas_types_understand_a_dashboard(page: Json) -> None:
    """What is committed, read into the types of Grafana and written again, is the same: no field is lost or unknown."""
    committed = json.loads((FOLDER / f"{page['uid']}.json").read_text())
    assert reread(committed) == committed


def test_what_grafanas_types_do_not_know_is_noticed() -> None:
    """The comparison above is not one of a thing with itself."""
    page = json.loads((FOLDER / "bitgoeul-fleet.json").read_text())
    page["panels"][1]["options"]["textSise"] = 12
    assert reread(page) != page


def test_a_decision_in_time_is_a_bucket() -> None:
    """Between two buckets there is nothing to count."""
    assert IN_TIME in {f'le="{bound}"' for bound in DECISION_BUCKETS}


def test_a_state_is_called_stale_when_the_alert_says_so() -> None:
    """One bound, whoever looks."""
    rules = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    (alert,) = (rule for group in rules for rule in group["rules"] if rule.get("alert") == "BitgoeulStateStale")
    assert f"> {STALE:g}\n" in alert["expr"]


@each_page
def test_links_lead_to_dashboards_of_ours(page: Json) -> None:
    """And to a variable that is there."""
    choices = {other["uid"]: {choice["name"] for choice in other["templating"]["list"]} for other in PAGES}
    links = [text for panel in panels(page) for text in strings(panel) if text.startswith("/d/")]
    for link in links:
        found = re.match(r"/d/([a-z-]+)\?var-(\w+)=\$\{__value\.text\}&", link)
        assert found is not None
        assert found[2] in choices[found[1]]


def test_every_metric_is_shown() -> None:
    """On one dashboard at least: what nobody looks at is not worth its series."""
    used = {selector.name for page in PAGES for query in queries(page) for selector in selectors(query.expr)}
    unseen = {family.name for family in OURS if used.isdisjoint(dict(series_of(family)))}
    assert unseen == set()


def test_the_page_about_monitoring_names_them_all() -> None:
    """In the same order."""
    table = rows(section(DOCS / "monitoring.md", "### What they show"))
    assert [(row[0], codes(row[1])) for row in table] == [
        (page["title"].removeprefix("Bitgoeul / "), [page["uid"]]) for page in PAGES
    ]
