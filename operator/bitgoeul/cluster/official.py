"""
Imports the official Kubernetes client, and keeps it from asking for what a process in a container may not have.

Its modules look for a home folder while they are imported, and its loader writes certificates that stand in a
kubeconfig to temporary files. A container has neither a home folder nor a place to write to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def some_home() -> Iterator[None]:
    """Let ``Path.home`` find a folder meanwhile, where there is none."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"
        try:
            yield
        finally:
            del os.environ["HOME"]
    else:
        yield


with some_home():
    from kubernetes.aio import client as kube
    from kubernetes.aio import config as kube_config
    from kubernetes.aio.config import kube_config as loader
    from kubernetes.aio.config.config_exception import ConfigException

_descriptors: list[int] = []


def keep_in_memory(content: str | bytes, *_: object) -> str:
    """Keep a file's content in memory, and return a path that leads there."""
    descriptor = os.memfd_create("bitgoeul")
    _descriptors.append(descriptor)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return f"/proc/self/fd/{descriptor}"


def forget_files() -> None:
    """Drop what was kept in memory; call it once the TLS context has read it."""
    while _descriptors:
        os.close(_descriptors.pop())


loader._create_temp_file_with_content = keep_in_memory

__all__ = ["ConfigException", "forget_files", "kube", "kube_config"]
