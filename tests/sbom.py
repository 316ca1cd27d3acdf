"""
What the operator is made of, as CycloneDX: ``python -m tests.sbom`` writes it to ``dist/``.

From the pinned requirements of the image, with their hashes. The tool checks what it writes against the standard's
schema.
"""

from __future__ import annotations

from pathlib import Path

from bitgoeul import __version__
from tests.tools import REQUIREMENTS, ROOT, python_of, run

FILE = ROOT / "dist" / f"bitgoeul-{__version__}.cdx.json"


def write(file: Path) -> None:
    """Write it; the same requirements give the same file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    command = [str(python_of("sbom")), "-m", "cyclonedx_py", "requirements", str(REQUIREMENTS / "runtime.txt")]
    about = ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
    run(
        [*command, *about, "--output-reproducible", "--validate", "--output-format", "JSON", "--output-file", str(file)]
    )


if __name__ == "__main__":
    write(FILE)
    print(FILE.relative_to(ROOT))
