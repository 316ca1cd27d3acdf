"""The options that say which cluster is meant; the same for every command that talks to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--kubeconfig`` and ``--context``; without them KUBECONFIG counts, then the pod's own account."""
    command = click.option("--context", metavar="NAME", help="Context of the kubeconfig; its current one by default.")(
        command
    )
    return click.option(
        "--kubeconfig",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Default: KUBECONFIG, else the pod's own account. Never ~/.kube/config by itself.",
    )(command)
