"""Certificates and keys of a control plane."""

from __future__ import annotations

import stat
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from bitgoeul.local.pki import CLIENTS, ensure_pki


def test_keys_are_private(tmp_path: Path) -> None:
    """No other user may read a key, or even list the folder."""
    pki = ensure_pki(tmp_path / "pki")
    keys = list(pki.directory.glob("*.key"))
    assert len(keys) == len(CLIENTS) + 3  # authority, serving, service accounts
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}
    assert stat.S_IMODE(pki.directory.stat().st_mode) == 0o700


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    """A control plane that comes back trusts the same clients and tokens."""
    pki = ensure_pki(tmp_path / "pki")
    before = {path: path.read_bytes() for path in pki.directory.iterdir()}
    pki.cert("kwok").unlink()
    ensure_pki(tmp_path / "pki")
    renewed = {pki.cert("kwok"), pki.key("kwok")}
    assert {path for path, content in before.items() if path.read_bytes() != content} == renewed


def test_a_new_authority_replaces_what_the_old_one_signed(tmp_path: Path) -> None:
    """A certificate of a lost authority would be trusted by nobody."""
    pki = ensure_pki(tmp_path / "pki")
    old = pki.cert("admin").read_bytes()
    pki.key("ca").unlink()
    ensure_pki(tmp_path / "pki")
    assert pki.cert("admin").read_bytes() != old


def test_clients_are_who_rbac_expects(tmp_path: Path) -> None:
    """Only the administrator and kwok are masters; the others have the rights of their own role."""
    pki = ensure_pki(tmp_path / "pki")
    groups = {}
    for name in CLIENTS:
        subject = x509.load_pem_x509_certificate(pki.cert(name).read_bytes()).subject
        groups[name] = [attribute.value for attribute in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    masters = ["system:masters"]
    assert groups == {"admin": masters, "kwok": masters, "kube-controller-manager": [], "kube-scheduler": []}
