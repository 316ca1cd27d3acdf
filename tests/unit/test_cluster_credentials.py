"""Which way leads to an API server, where a proxy is set in the environment."""

from __future__ import annotations

import pytest

from bitgoeul.cluster.credentials import proxy_for

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
