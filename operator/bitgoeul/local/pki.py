"""
Makes the certificates and keys of one control plane: a real authority of its own, shared with no other.

Files that are there are kept, so that a control plane that comes back with its data trusts the same clients and tokens.
Private keys are written with mode 0600 from the first byte.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A local control plane is not renewed: its certificates outlive it by far.
LIFETIME = datetime.timedelta(days=3650)
CLOCK_SKEW = datetime.timedelta(minutes=5)

SERVING_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
SERVING_ADDRESSES = ("127.0.0.1", "10.96.0.1")  # where clients connect; the first address of the service range


@dataclass(frozen=True)
class Client:
    """Who a client certificate speaks for: RBAC sees the user and its group."""

    user: str
    group: str | None = None  # None: the user's name alone carries its rights


# kwok plays the kubelets of all nodes; no role that Kubernetes ships covers that.
CLIENTS = {
    "admin": Client("bitgoeul-admin", "system:masters"),
    "kube-controller-manager": Client("system:kube-controller-manager"),
    "kube-scheduler": Client("system:kube-scheduler"),
    "kwok": Client("kwok", "system:masters"),
}


@dataclass(frozen=True)
class Pki:
    """Where the files are. ``cert(name)``/``key(name)`` take a name of ``CLIENTS``, or ``ca``, ``serving``."""

    directory: Path

    def cert(self, name: str) -> Path:
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key"

    @property
    def service_accounts(self) -> Path:
        """The key that signs and verifies service account tokens."""
        return self.key("service-accounts")


def ensure_pki(directory: Path) -> Pki:
    """Create whatever is missing under ``directory``; a new authority also replaces what an older one signed."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    pki = Pki(directory)
    if not (pki.cert("ca").exists() and pki.key("ca").exists()):
        for stale in directory.iterdir():
            stale.unlink()
        make_authority(pki)
    if not pki.service_accounts.exists():
        write_key(pki.service_accounts, ec.generate_private_key(ec.SECP256R1()))
    if not pki.cert("serving").exists():
        names = [x509.DNSName(name) for name in SERVING_NAMES]
        addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in SERVING_ADDRESSES]
        sign(pki, "serving", Client("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, [*names, *addresses])
    for name, client in CLIENTS.items():
        if not pki.cert(name).exists():
            sign(pki, name, client, ExtendedKeyUsageOID.CLIENT_AUTH, [])
    return pki


def make_authority(pki: Pki) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = subject_name(Client("bitgoeul local authority"))
    certificate = (
        start_certificate(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_key(pki.key("ca"), key)
    write_certificate(pki.cert("ca"), certificate)


def sign(
    pki: Pki, name: str, subject: Client, usage: x509.ObjectIdentifier, alternatives: list[x509.GeneralName]
) -> None:
    authority = x509.load_pem_x509_certificate(pki.cert("ca").read_bytes())
    authority_key = serialization.load_pem_private_key(pki.key("ca").read_bytes(), password=None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)  # noqa: S101 - we wrote it
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        start_certificate(subject_name(subject), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    if alternatives:
        certificate = certificate.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    # The certificate comes last: where it is, the key is too.
    write_key(pki.key(name), key)
    write_certificate(pki.cert(name), certificate.sign(authority_key, hashes.SHA256()))


def start_certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def subject_name(client: Client) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, client.group)] if client.group else []
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, client.user)])


def key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def write_certificate(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    # "EC PRIVATE KEY": the API server finds the public half of a service account key in this form, not in PKCS 8.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    write_private(path, text)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all; an older one is replaced."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    partial.rename(path)
