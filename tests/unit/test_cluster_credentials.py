"""Which credentials are found, and which way leads to an API server, where a proxy is set in the environment."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.aio.config import incluster_config
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from bitgoeul.cluster.client import NoAnswerError, connect
from bitgoeul.cluster.credentials import load_configuration, proxy_for
from bitgoeul.errors import UserError
from bitgoeul.local.pki import ensure_pki

SERVER = "https://api.center.example:6443"
PROXY = "http://proxy.center.example:3128"


@pytest.mark.parametrize(
    ("server", "environment", "proxy"),
    [
        pytest.param(SERVER, {}, None, id="none is set"),
        pytest.param(SERVER, {"HTTPS_PROXY": PROXY}, PROXY, id="one is set"),
        pytest.param(SERVER, {"https_proxy": PROXY}, PROXY, id="in lower case"),
        pytest.param(SERVER, {"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128", id="without a scheme"),
        pytest.param(SERVER, {"HTTP_PROXY": PROXY}, None, id="one for http only"),
        pytest.param("http://one:80", {"HTTP_PROXY": PROXY}, PROXY, id="http by that for http"),
        pytest.param(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": "center.example"}, None, id="a domain is exempt"),
        pytest.param(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": ".center.example"}, None, id="what is below a domain"),
        pytest.param(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": "nter.example"}, PROXY, id="a part of a word is none"),
        pytest.param(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": "a, *"}, None, id="everything is exempt"),
        pytest.param(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.center.example:6443"}, None, id="with its port"),
        pytest.param(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.center.example:443"}, PROXY, id="another port"),
        pytest.param(SERVER, {"HTTPS_PROXY": PROXY, "NO_PROXY": "api.center.example:no"}, PROXY, id="no port at all"),
        pytest.param("https://10.1.2.3", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}, None, id="a range"),
        pytest.param("https://10.1.2.3", {"HTTPS_PROXY": PROXY, "NO_PROXY": "10.1.2.3"}, None, id="an address"),
        pytest.param("https://10.1.2.3", {"HTTPS_PROXY": PROXY, "NO_PROXY": "11.0.0.0/8,x/y"}, PROXY, id="others"),
        pytest.param("https://[fd00::1]:6443", {"HTTPS_PROXY": PROXY, "NO_PROXY": "fd00::/8"}, None, id="IPv6"),
        pytest.param("https://127.0.0.1:6443", {"HTTPS_PROXY": PROXY}, None, id="this machine needs none"),
        pytest.param("https://localhost:6443", {"HTTPS_PROXY": PROXY}, None, id="by name neither"),
    ],
)
def test_the_way_is_the_one_that_kubectl_takes(server: str, environment: dict[str, str], proxy: str | None) -> None:
    """HTTPS_PROXY and NO_PROXY mean what they mean to Go's programs."""
    assert proxy_for(server, environment) == proxy


def kubeconfig(folder: Path, **user: Any) -> Path:
    """A kubeconfig with this user."""
    path = folder / "kubeconfig"
    content = {
        "clusters": [{"name": "one", "cluster": {"server": SERVER}}],
        "users": [{"name": "one", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "current-context": "one",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def inline(folder: Path, token: str) -> Path:
    return kubeconfig(folder, token=token)


def in_a_file(folder: Path, token: str) -> Path:
    (folder / "token").write_text(token)
    return kubeconfig(folder, tokenFile="token")


def by_a_plugin(folder: Path, token: str) -> Path:
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": token}}
    script = f"print({json.dumps(answer)!r})"
    return kubeconfig(folder, exec={"apiVersion": version, "command": sys.executable, "args": ["-c", script]})


WAYS = [
    pytest.param(inline, id="in the kubeconfig"),
    pytest.param(in_a_file, id="in a file"),
    pytest.param(by_a_plugin, id="by a plugin"),
]


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize("token", ["abc", "abc\n", " abc\r\n\n"])
def test_white_space_around_a_token_is_none_of_it(tmp_path: Path, give: Any, token: str) -> None:
    """Files end with a line break as a rule."""
    configuration = asyncio.run(load_configuration(give(tmp_path, token), None))
    assert configuration.api_key["BearerToken"] == "Bearer abc"


@pytest.mark.parametrize("give", WAYS)
@pytest.mark.parametrize(
    ("token", "said"),
    [
        pytest.param(" \n", "the token is empty", id="white space only"),
        pytest.param("ab\nc", "characters that cannot be sent", id="two lines"),
        pytest.param("ab\x00c", "characters that cannot be sent", id="a control character"),
    ],
)
def test_a_token_that_cannot_be_sent_is_told_in_one_line(tmp_path: Path, give: Any, token: str, said: str) -> None:
    """With the name of the kubeconfig."""
    path = give(tmp_path, token)
    with pytest.raises(UserError, match=f"^kubeconfig {path}: .*{said}$"):
        asyncio.run(load_configuration(path, None))


def test_an_empty_file_does_not_make_it_nobody(tmp_path: Path) -> None:
    """A file that is being written is empty for a moment; whoever asks as nobody then is never refused as such."""
    with pytest.raises(UserError, match="the token is empty"):
        asyncio.run(load_configuration(in_a_file(tmp_path, ""), None))


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The token file of a pod's own account, at a server that nobody is."""
    token = tmp_path / "token"
    token.write_text("abc\n")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setattr("bitgoeul.cluster.credentials.SERVICE_ACCOUNT_TOKEN", token)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(ensure_pki(tmp_path / "pki").cert("ca")))
    # So that each request reads it; else it is believed in for a minute.
    read = InClusterConfigLoader._read_token_file

    def read_always(loader: Any) -> None:
        read(loader)  # type: ignore[no-untyped-call]
        loader.token_expires_at = datetime.min  # noqa: DTZ901 - the loader's times have no zone

    monkeypatch.setattr(InClusterConfigLoader, "_read_token_file", read_always)
    return token


def test_a_pods_own_token_is_stripped_too(account: Path) -> None:
    """At the start."""
    assert asyncio.run(load_configuration(None, None)).api_key["BearerToken"] == "bearer abc"
    account.write_text("\n")
    with pytest.raises(UserError, match=r"^the pod's service account cannot be used: the token is empty$"):
        asyncio.run(load_configuration(None, None))


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"\xff\xfe"])
def test_a_pods_token_that_becomes_unusable_counts_as_refused(account: Path, content: bytes) -> None:
    """Each request is answered by an error of its own, and the process may go on."""

    async def spoil() -> None:
        async with connect() as api:
            account.write_bytes(content)
            with pytest.raises(NoAnswerError, match="the pod's token cannot be used"):
                await api.request("GET", "/version")
            assert api.refused_since is not None

    asyncio.run(spoil())
