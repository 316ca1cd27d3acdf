"""Kubeconfig files: whose they are, and who may read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from bitgoeul.errors import UserError
from bitgoeul.local.kubeconfig import build_kubeconfig, check_is_ours, owner, write_kubeconfig
from bitgoeul.local.pki import ensure_pki


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A kubeconfig of the control plane "one"."""
    path = tmp_path / "kubeconfig"
    pki = ensure_pki(tmp_path / "pki")
    write_kubeconfig(path, build_kubeconfig("one", "https://127.0.0.1:1", pki, "admin"))
    return path


def test_a_file_of_ours_is_known_again(ours: Path) -> None:
    """The mark survives a tool that rewrites the file."""
    assert owner(ours) == "one"
    ours.write_text(yaml.safe_dump(yaml.safe_load(ours.read_text())))
    check_is_ours(ours, "one")


def test_only_its_owner_may_read_it(ours: Path) -> None:
    """It holds a private key."""
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600


def test_the_context_bears_the_name(ours: Path) -> None:
    """Several control planes can stand in one merged kubeconfig."""
    assert yaml.safe_load(ours.read_text())["current-context"] == "bitgoeul-one"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="an empty file"),
        pytest.param("apiVersion: v1\nkind: Config\ncurrent-context: bitgoeul-one\n", id="only the same context name"),
        pytest.param("extensions: 7\n", id="odd extensions"),
        pytest.param("extensions: [{name: bitgoeul.dev/local-control-plane, extension: [x]}]\n", id="an odd mark"),
        pytest.param("\t{not yaml", id="not YAML"),
        pytest.param("\ud800", id="not text"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: str) -> None:
    """Nothing that somebody else wrote is overwritten."""
    path = tmp_path / "config"
    path.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(UserError, match="was not written by"):
        check_is_ours(path, "one")


def test_a_file_of_another_control_plane_is_refused(ours: Path) -> None:
    """Two names never share a file."""
    with pytest.raises(UserError, match="--name two"):
        check_is_ours(ours, "two")


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    """The folder is not made: it is probably a typing mistake."""
    with pytest.raises(UserError, match="not a folder that you may write"):
        check_is_ours(tmp_path / "nowhere" / "config", "one")
