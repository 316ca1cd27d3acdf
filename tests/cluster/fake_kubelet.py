"""A kubelet that is played here as far as logs go: the API server asks it, over TLS, what a container said."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bitgoeul.local.launcher import ControlPlane
from tests.cluster.api_objects import Manifest


class Handler(BaseHTTPRequestHandler):
    log = b""

    def do_GET(self) -> None:
        found = self.path.startswith("/containerLogs/")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(self.log if found else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        """Say nothing."""


@contextmanager
def fake_kubelet(plane: ControlPlane, log: str) -> Iterator[Manifest]:
    """Say this of every container; gives the part of a node's status that leads here."""
    handler = type("Saying", (Handler,), {"log": log.encode()})
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(plane.layout.pki.cert("serving"), plane.layout.pki.key("serving"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": server.server_address[1]}},
            }
        finally:
            server.shutdown()
            thread.join()
