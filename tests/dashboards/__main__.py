"""``python -m tests.dashboards`` writes the dashboards into the chart, and removes those that are no more."""

from __future__ import annotations

from tests.dashboards.files import FOLDER, files

made = files()
FOLDER.mkdir(parents=True, exist_ok=True)
for path in set(FOLDER.iterdir()) - set(made):
    path.unlink()
for path, content in made.items():
    path.write_text(content, encoding="utf-8")
