"""
Chooses the TCP ports of a control plane, all on 127.0.0.1.
"""

from __future__ import annotations

import random
import socket

from bitgoeul.errors import UserError
from bitgoeul.local.components import Ports

# Below the kernel's own range, so that no outgoing connection takes a port between our choice and the listening.
CHOICE = range(20000, 32000)


def choose_ports(wanted: int | None, before: Ports | None) -> Ports:
    """
    Keep the ports of the last start where they are free, so that kubeconfigs stay right; else choose others.

    Args:
        wanted: The API server's port, if a person asked for one.
        before: None: there was no start yet, or its ports turned out to be taken.
    Raises:
        UserError: The wanted port is taken.
    """
    if wanted and not is_free(wanted):
        raise UserError(f"port {wanted} on 127.0.0.1 is taken: choose another with --port, or leave it out")
    kept = [before.api_server, before.controller_manager, before.scheduler] if before else []
    if not kept or not all(map(is_free, kept)):
        kept = []
        while len(kept) < 3:
            port = random.choice(CHOICE)  # noqa: S311 - no secret
            if port not in (*kept, wanted) and is_free(port):
                kept.append(port)
    return Ports(wanted or kept[0], kept[1], kept[2])


def is_free(port: int) -> bool:
    """Whether a component could listen on this port now."""
    with socket.socket() as probe:
        # As the components do it: a port whose listener is gone is free at once.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
