"""All dashboards, and the files that the chart has of them."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.chart import CHART
from tests.dashboards.fleet import fleet
from tests.dashboards.operator_health import operator_health
from tests.dashboards.pages import Json
from tests.dashboards.pool import pool
from tests.dashboards.queue_and_calendar import queue_and_calendar
from tests.dashboards.storage import storage_page
from tests.dashboards.tenant import tenant

FOLDER = CHART / "files" / "dashboards"


def dashboards() -> list[Json]:
    """In the order in which a reader would look at them."""
    return [fleet(), pool(), tenant(), queue_and_calendar(), storage_page(), operator_health()]


def files() -> dict[Path, str]:
    """One file for each dashboard, called after its uid, with what it should hold."""
    return {FOLDER / f"{page['uid']}.json": text_of(page) for page in dashboards()}


def text_of(page: Json) -> str:
    """A dashboard as it is committed: small, and with lines so that changes can be read."""
    return json.dumps(page, indent=1, ensure_ascii=False) + "\n"


def reread(page: Json) -> Json:
    """A dashboard read into the types that Grafana publishes, and written again: what they do not know is lost."""
    register_default_plugins()
    again: Json = json.loads(json.dumps(Dashboard.from_json(page), cls=JSONEncoder))
    return again
