"""
What checkov and kube-score find in the chart and in the Dockerfile: ``python -m tests.manifest_lint``.

Every finding is an exception that the chart's README explains, and every exception there is still found; else it fails.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.chart import CHART, ROOT, render
from tests.tools import kube_score, python_of

HEADING = "## What a linter may say"
GRADE_OK = 10  # of kube-score
QUIET = {"CKV_SKIP_PACKAGE_UPDATE_CHECK": "true", "BC_SKIP_MAPPING": "TRUE", "LOG_LEVEL": "ERROR"}


def findings() -> set[str]:
    """The names of all checks that fail, for the chart as it renders by default, and for the Dockerfile."""
    texts = render({"crds": {"install": False}})
    with tempfile.TemporaryDirectory() as folder:
        manifests = Path(folder) / "chart.yaml"
        manifests.write_text("---\n".join(text for file, text in texts.items() if file.endswith(".yaml")))
        return {*by_checkov(manifests), *by_kube_score(manifests)}


def by_checkov(manifests: Path) -> Iterator[str]:
    command = [str(python_of("checkov")), "-m", "checkov.main", "--quiet", "--compact", "--skip-download"]
    files = ["-f", str(manifests), "-f", str(ROOT / "Dockerfile")]
    reports = output_of([*command, "--framework", "kubernetes", "dockerfile", "--output", "json", *files])
    for report in reports:
        if not report["summary"]["passed"] or report["summary"]["parsing_errors"]:
            raise SystemExit(f"checkov has not checked {report['check_type']}: {report['summary']}")
        yield from (check["check_id"] for check in report["results"]["failed_checks"])


def by_kube_score(manifests: Path) -> Iterator[str]:
    for obj in output_of([str(kube_score()), "score", "--output-format", "json", str(manifests)]):
        yield from (one["check"]["id"] for one in obj["checks"] if not one["skipped"] and one["grade"] < GRADE_OK)


def output_of(command: list[str]) -> list[Any]:
    """The list that a linter prints; it exits with 1 where it found something."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | QUIET
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        found: list[Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise SystemExit(f"{' '.join(command)} gave no report:\n{done.stdout}{done.stderr}") from None
    return found


def explained() -> set[str]:
    """The checks in the first column of the README's table of exceptions."""
    _, _, section = (CHART / "README.md").read_text().partition(f"\n{HEADING}\n")
    rows = re.findall(r"^\| (`.*?) \|", section.split("\n## ")[0], re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def main() -> None:
    found, known = findings(), explained()
    wrong = [f"not explained in {CHART.name}/README.md: {name}" for name in sorted(found - known)]
    wrong += [f"explained there, and not found any more: {name}" for name in sorted(known - found)]
    if wrong:
        raise SystemExit("\n".join(wrong))
    print(f"checkov and kube-score: {len(found)} findings, all explained")


if __name__ == "__main__":
    main()
