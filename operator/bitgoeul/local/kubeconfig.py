"""
Writes kubeconfig files, and knows its own again: a file that somebody else made is never overwritten or removed.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import yaml

from bitgoeul.errors import UserError
from bitgoeul.local.pki import Pki, write_private

MARK = "bitgoeul.dev/local-control-plane"  # a named extension of the file: tools keep what they do not know


def build_kubeconfig(name: str, server: str, pki: Pki, client: str) -> dict[str, Any]:
    """A self-contained kubeconfig (certificates inside) for one client of one control plane."""
    context = f"bitgoeul-{name}"

    def inline(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    user = {"client-certificate-data": inline(pki.cert(client)), "client-key-data": inline(pki.key(client))}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "extensions": [{"name": MARK, "extension": {"name": name}}],
        "clusters": [
            {"name": context, "cluster": {"server": server, "certificate-authority-data": inline(pki.cert("ca"))}}
        ],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }


def write_kubeconfig(path: Path, content: dict[str, Any]) -> None:
    """Write with mode 0600; ``check_is_ours`` comes first where the path is the user's."""
    text = "# Written by `bitgoeul up`, removed by `bitgoeul down`.\n" + yaml.safe_dump(content, sort_keys=False)
    try:
        write_private(path, text.encode())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def owner(path: Path) -> str | None:
    """The name of the control plane that a kubeconfig was written for; None: not a file of ours."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    match content:
        case {"extensions": [{"name": mark, "extension": {"name": str(name)}}]} if mark == MARK:
            return name
    return None


def check_is_ours(path: Path, name: str) -> None:
    """
    Make sure that nothing is lost by writing to ``path``.

    Raises:
        UserError: The file exists and was not made for this control plane, or its folder cannot be written.
    """
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path} cannot be written: {path.parent} is not a folder that you may write")
    if (path.exists() or path.is_symlink()) and owner(path) != name:
        raise UserError(
            f"{path} exists and was not written by 'bitgoeul up --name {name}': give --kubeconfig a new file"
        )
