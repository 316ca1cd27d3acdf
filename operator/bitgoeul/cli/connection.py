"""The options that say which cluster is meant and as whom it is asked; the same for every command that talks to one."""

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


def identity_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--as`` and ``--as-group``, by which a platform engineer sees what somebody else sees."""
    command = click.option(
        "--as-group",
        "as_groups",
        multiple=True,
        metavar="GROUP",
        help="Ask as a member of this group, with --as. May be repeated.",
    )(command)
    return click.option(
        "--as", "as_user", default="", metavar="USER", help="Ask as this user, as far as you may impersonate."
    )(command)
