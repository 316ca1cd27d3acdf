"""
The few requests that the launcher itself sends: is it ready, and the mark that it leaves. Standard library only.
"""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from bitgoeul.local.pki import Pki

TIMEOUT_SECONDS = 5
USER_AGENT = "bitgoeul-launcher"


def request(pki: Pki, port: int, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    """
    Send one request as administrator to a component on 127.0.0.1.

    Returns:
        HTTP status and body; (0, b"") when there is no answer, whatever the reason.
    """
    tls = ssl.create_default_context(cafile=str(pki.cert("ca")))
    tls.load_cert_chain(pki.cert("admin"), pki.key("admin"))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=tls)
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
