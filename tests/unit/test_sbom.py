"""The bill of materials names what the image is made of: each pinned package, with its hashes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bitgoeul import __version__
from tests import sbom
from tests.tools import REQUIREMENTS


def test_it_names_every_pinned_package(tmp_path: Path) -> None:
    """In the version and with the hashes of the requirements, which are those of the image; twice it is the same."""
    file = tmp_path / "one.json"
    sbom.write(file)
    found = json.loads(file.read_text())
    pins = (REQUIREMENTS / "runtime.txt").read_text()
    assert found["bomFormat"] == "CycloneDX"
    about = found["metadata"]["component"]
    assert (about["name"], about["version"], about["type"]) == ("bitgoeul", __version__, "application")
    components = {(one["name"], one["version"]) for one in found["components"]}
    assert components == set(re.findall(r"^([\w.-]+)==(\S+)", pins, re.MULTILINE))
    hashes = [
        one["content"]
        for component in found["components"]
        for reference in component["externalReferences"]
        for one in reference["hashes"]
    ]
    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:(\w+)", pins))
    sbom.write(tmp_path / "two.json")
    assert (tmp_path / "two.json").read_bytes() == file.read_bytes()
