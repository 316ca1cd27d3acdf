"""What plan makes of a file is what kubectl makes of it, whatever way of writing a value has in YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bitgoeul.api.kinds import KINDS
from bitgoeul.api.names import API_VERSION
from bitgoeul.errors import UserError
from bitgoeul.local.launcher import ControlPlane
from bitgoeul.whatif.manifests import Manifest, read_manifests
from tests.cluster.api_objects import install_crds
from tests.cluster.kubectl import Kubectl

DRY = ("apply", "--dry-run=server")
PLURALS = {kind.name: kind.plural for kind in KINDS}


@pytest.fixture(scope="module", autouse=True)
def _api(kubectl: Kubectl) -> None:
    install_crds(kubectl)


def pool(name: str, line: str) -> str:
    return f"""apiVersion: {API_VERSION}
kind: AcceleratorPool
metadata: {{name: "{name}"}}
spec:
  type: GPU
  nodeSelector: {{a: b}}
  resourceName: example.org/gpu
  {line}
"""


def allocation(name: str, line: str, organization: str = "Example") -> str:
    return f"""apiVersion: {API_VERSION}
kind: TenantAllocation
metadata: {{name: "{name}"}}
spec:
  organization: {{name: {organization}, class: Other}}
  {line}
"""


# A number, a truth value, a text, and what may be a number or a text: where a value is put, and how to find it again.
FIELDS: dict[str, Callable[[str, str], str]] = {
    "reserve": lambda name, value: pool(name, f"reserve: {value}"),
    "suspend": lambda name, value: allocation(name, f"compute: {{cpu: 1}}\n  suspend: {value}"),
    "organization": lambda name, value: allocation(name, "compute: {cpu: 1}", value),
    "compute": lambda name, value: allocation(name, f"compute: {{memory: {value}, cpu: 1}}"),
    "nodeSelector": lambda name, value: pool(name, f"nodeSelector: {{a: {value}}}").replace(
        "  nodeSelector: {a: b}\n", ""
    ),
}
KNOWN = """1 8.0 1e+06 1E6 1e6 1.5 -0 -0.0 +7 007 010 08 0o10 0O7 0x10 0X1f 0b11 -0b11 1_000 1_000.5 1__0 0x_1 _1 1_ 0_7
    1:30 12:30:45 2024-01-01 2024-01-01T00:00:00Z 1e 1e400 1e-400 1e20 1e21 100000000000000000000 9223372036854775807
    9223372036854775808 18446744073709551616 9007199254740993 .5 .5e1 5. +.5 . .e1 .1_0 0x 0xg 0b2 0o8
    y Y yes Yes YES yEs n N no No NO true True TRUE tRUE false off OFF on On ~ null Null NULL nULL '' "8" '8' "yes" "~"
    !!str 8|!!str yes|!!int "8"|!!int 8|!!float 8|!!float "8.5"|!!bool yes|!!bool "no"|!!null ~|!!timestamp 2024-01-01
    <<|=|"1e3"|1Gi|10Ti|1.5Ti|0.5|abc|! 8"""
texts = st.one_of(
    st.text("0123456789_+-.eExob", min_size=1, max_size=7),
    st.builds(
        lambda sign, whole, tail: f"{sign}{whole}{tail}",
        st.sampled_from(["", "", "-", "+"]),
        st.sampled_from(["0", "00", "1", "8", "10", "1_0", "999", "0x1", "0b1", "0o1", "017"]),
        st.sampled_from(["", ".", ".0", ".50", "e3", "e+03", "e-3", "E2", ".5e1", "_", ".1e-7"]),
    ),
).filter(lambda text: text.strip("-") and not text.startswith(("- ", "---")) and text != "-")


def known() -> list[str]:
    lines = [line.strip() for line in KNOWN.split("\n")]
    return [value for line in lines for value in (line.split("|") if "|" in line else line.split())]


def objects(values: list[str]) -> Iterator[tuple[str, str, str]]:
    """Name, field and document for each value in each field."""
    for number, value in enumerate(values):
        for field, write in FIELDS.items():
            yield f"{field.lower()}-{number}", field, write(f"{field.lower()}-{number}", value)


def read_one(text: str) -> Manifest | None:
    """What plan makes of a document; None where it says what is wrong."""
    try:
        [found] = read_manifests("new.yaml", text)
    except UserError:
        return None
    assert isinstance(found, Manifest)
    return found


def together(documents: Iterable[str]) -> str:
    return "---\n".join(documents)


def compare(kubectl: Kubectl, plane: ControlPlane, values: list[str]) -> None:
    """Let kubectl and plan read each value in each field: what kubectl applies, plan reads alike."""
    written = list(objects(values))
    done = kubectl(*DRY, "-f", "-", stdin=together(document for _, _, document in written), check=False)
    good = set(re.findall(r"/(\S+) created \(server dry run\)", done.stdout))
    # It prints no object at all where one is refused.
    text = together(document for name, _, document in written if name in good)
    answer = json.loads(kubectl(*DRY, "-o", "json", "-f", "-", stdin=text).stdout)
    taken = {one["metadata"]["name"]: one["spec"] for one in answer["items"]}
    assert len(taken) > len(values) / 4, done.stderr
    for name, field, document in written:
        found = read_one(document)
        value = values[int(name.rpartition("-")[2])]
        if name in taken:
            assert found is not None, (field, value)
            assert same(found.spec.get(field), taken[name].get(field), found.kind, field), (field, value)
        elif found is not None:  # then the API server, which plan asks, refuses what plan has read
            path = f"/apis/{API_VERSION}/{PLURALS[found.kind]}?dryRun=All&fieldValidation=Strict"
            body = {"apiVersion": API_VERSION, "kind": found.kind, "metadata": {"name": name}, "spec": found.spec}
            status, said = plane.call("POST", path, json.loads(orjson.dumps(body)))
            assert status in (400, 422), (field, value, found.spec, said)


def same(ours: Any, theirs: Any, kind: str, field: str) -> bool:
    """Whether two values are the same to JSON; what is left out has the default that the API server fills in."""
    if ours is None:
        ours = {"reserve": 0, "suspend": False}.get(field)
    return json.dumps(ours, sort_keys=True) == json.dumps(theirs, sort_keys=True)


def test_known_ways_of_writing_are_read_alike(kubectl: Kubectl, control_plane: ControlPlane) -> None:
    """Exponents as Helm writes them, octal, underscores, truth values, null, tags, and what only looks like these."""
    compare(kubectl, control_plane, known())


@settings(
    max_examples=3,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(values=st.lists(texts, min_size=25, max_size=25))
def test_whatever_is_written_is_read_alike(kubectl: Kubectl, control_plane: ControlPlane, values: list[str]) -> None:
    """Also what nobody has thought of."""
    compare(kubectl, control_plane, values)


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", ".Inf"])
def test_what_json_has_no_word_for_is_refused_by_both(kubectl: Kubectl, value: str) -> None:
    """And told with field and value by plan."""
    text = pool("infinite", f"reserve: {value}")
    assert kubectl("apply", "--dry-run=server", "-f", "-", stdin=text, check=False).returncode == 1
    with pytest.raises(UserError, match=r"spec\.reserve: -?(nan|inf): must be a number between"):
        list(read_manifests("new.yaml", text))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(pool("merged", "<<: {reserve: 3}\n  vendor: x"), id="a merged mapping"),
        pytest.param(pool("merged", "reserve: 1\n  <<: {reserve: 3}"), id="a merge after what it brings"),
        pytest.param(pool("merged", "<<: {reserve: 3}\n  reserve: 1"), id="a merge before what it brings"),
        pytest.param(pool("merged", "<<: [{reserve: 1, vendor: x}, {reserve: 2, region: z}]"), id="several merges"),
        pytest.param(
            pool("merged", "tolerations: [&one {key: a, effect: NoSchedule}, {<<: *one, effect: NoExecute}, *one]"),
            id="anchors",
        ),
        pytest.param(
            pool("keys", "nodeSelector: {on: b, 1: c, 0x10: d}").replace("  nodeSelector: {a: b}\n", ""), id="keys"
        ),
        pytest.param(
            json.dumps(
                {
                    "apiVersion": API_VERSION,
                    "kind": "AcceleratorPool",
                    "metadata": {"name": "json"},
                    "spec": {"type": "GPU", "nodeSelector": {"a": "yes"}, "resourceName": "a.b/c", "reserve": 8.0},
                }
            ),
            id="JSON with a fraction of nothing",
        ),
    ],
)
def test_structures_are_read_alike(kubectl: Kubectl, document: str) -> None:
    """Merges, anchors and keys that are no texts."""
    theirs = json.loads(kubectl("apply", "--dry-run=server", "-o", "json", "-f", "-", stdin=document).stdout)["spec"]
    found = read_one(document)
    assert found is not None
    assert {"reserve": 0, "stopPolicy": "None"} | dict(found.spec) == theirs
