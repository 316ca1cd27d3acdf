"""
The chart as Helm renders it, and what is made from it: ``python -m tests.chart`` writes those files anew.

Its CRDs come from the models, the table in its README from the comments in values.yaml. What it renders by default is
``deploy/base``, for kustomize.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import helm_python
import yaml

from bitgoeul.api.crd import render_crd
from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import OPERATOR_NAMESPACE

Manifest = dict[str, Any]

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "bitgoeul"
BASE = ROOT / "deploy" / "base"
RELEASE = "bitgoeul"

KEEP = {"helm.sh/resource-policy": "keep"}
MADE = "# Made from charts/bitgoeul by `make generate`: edit that, not this.\n"


class Value(NamedTuple):
    """One value of the chart: where it stands, such as ``image.tag``, what it is by default, and what it does."""

    path: str
    default: Any
    meaning: str


def render(
    values: Mapping[str, Any] | None = None, name: str = RELEASE, namespace: str = OPERATOR_NAMESPACE
) -> dict[str, str]:
    """
    The text of each template, by its name; templates that give nothing are left out.

    Raises:
        HelmValuesError: The values are not what the schema allows.
        HelmRenderError: A template fails.
    """
    given = dict(values or {})
    with helm_python.Chart.load(CHART) as chart:
        chart.validate_schema(given)
        texts = chart.render(given, name=name, namespace=namespace)
    prefix = f"{CHART.name}/templates/"
    return {file.removeprefix(prefix): text.strip() + "\n" for file, text in sorted(texts.items()) if text.strip()}


def manifests(
    values: Mapping[str, Any] | None = None, name: str = RELEASE, namespace: str = OPERATOR_NAMESPACE
) -> list[Manifest]:
    """The objects that the chart makes."""
    texts = render(values, name, namespace)
    return [obj for file, text in texts.items() if file.endswith(".yaml") for obj in yaml.safe_load_all(text) if obj]


def values_of_chart() -> list[Value]:
    """What values.yaml says, in its order: every value that a comment stands above."""
    text = (CHART / "values.yaml").read_text()
    return list(described(text, yaml.safe_load(text)))


def described(text: str, content: Manifest) -> Iterator[Value]:
    """The values of a YAML file by the comments directly above them."""
    parents: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if found := re.match(r" *# (.*)", line):
            comment.append(found[1])
            continue
        if key := re.match(r"( *)(\w+):", line):
            parents = [*parents[: len(key[1]) // 2], key[2]]
            if comment:
                default: Any = content
                for part in parents:
                    default = default[part]
                yield Value(".".join(parents), default, " ".join(comment))
        comment = []


# -- what is made


def crd_templates() -> dict[Path, str]:
    """The CRDs as templates: Helm never upgrades what is in a folder ``crds``, and would delete what is not kept."""
    return {CHART / "templates" / "crds" / kind.file_name: crd_template(render_crd(kind)) for kind in KINDS}


def crd_template(text: str) -> str:
    """One CRD under the switch of the chart, with the annotation by which it survives the release."""
    assert "{{" not in text, "a template would take it for its own"
    annotations = yaml.safe_dump({"annotations": KEEP}).replace("\n", "\n  ").rstrip()
    text = text.replace("\nmetadata:\n", f"\nmetadata:\n  {annotations}\n", 1)
    return f"{{{{- if .Values.crds.install }}}}\n{text}{{{{- end }}}}\n"


def base() -> dict[Path, str]:
    """
    The chart as it renders by default, and the CRDs in one file; what else belongs to the base is written by hand.

    A copy of the CRDs, because ``crds`` holds nothing but them, so that it can be applied as it is, and kustomize takes
    no single files from outside.
    """
    texts = render({"crds": {"install": False}})
    crds = "---\n".join(render_crd(kind) for kind in KINDS)
    return {
        BASE / "crds.yaml": crds,
        **{BASE / file: MADE + text for file, text in texts.items() if file.endswith(".yaml")},
    }


def readme() -> dict[Path, str]:
    """The chart's README: its head as it stands, and the table of values."""
    page = CHART / "README.md"
    head, _, _ = page.read_text().partition("## Values\n")
    rows = [
        f"| `{value.path}` | `{json.dumps(value.default)}` | {value.meaning.replace('|', chr(92) + '|')} |\n"
        for value in values_of_chart()
    ]
    return {page: f"{head}## Values\n\n| Value | Default | Meaning |\n|---|---|---|\n{''.join(rows)}"}


# In the order in which they are written: what is rendered needs its templates.
MADE_BY = (crd_templates, base, readme)


def made() -> dict[Path, str]:
    """Every file that is made from something else, with what it should hold."""
    return {path: content for make in MADE_BY for path, content in make().items()}


if __name__ == "__main__":
    for make_files in MADE_BY:
        for file_path, text in make_files().items():
            file_path.parent.mkdir(parents=True, exist_ok=True)
            file_path.write_text(text, encoding="utf-8")
