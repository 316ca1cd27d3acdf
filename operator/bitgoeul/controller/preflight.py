"""
Looks whether a cluster is one that the operator can work with, before anything else is done, and whether it stays one.

What a user can put right becomes one line that says how; what passes by itself is waited for.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from bitgoeul.api.names import GROUP
from bitgoeul.cluster.client import Api, ApiError, NoAnswerError, Object
from bitgoeul.cluster.kinds import OWN_KINDS
from bitgoeul.errors import ClusterError, UserError

log = logging.getLogger(__name__)

MINIMUM_VERSION = (1, 36)  # MutatingAdmissionPolicy v1
PATIENCE_SECONDS = 10.0
KINDS_SECONDS = 15.0
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
RETRY_SECONDS = 0.5


async def check_cluster(api: Api) -> None:
    """
    See that the API server answers, is new enough, and has our kinds.

    Raises:
        UserError: With the command that fixes it.
    """
    try:
        check_version(api.server, await ask(api, "/version"))
        missing = [kind.kind for kind in OWN_KINDS if not await served(api, kind.path())]
    except NoAnswerError as error:
        raise UserError(
            f"no answer from {api.server}: is the cluster up, and is the kubeconfig right? ({error})"
        ) from error
    except ApiError as error:
        raise UserError(f"{api.server} refuses: {error.message}") from error
    if missing:
        raise UserError(
            f"the cluster does not know {', '.join(missing)} ({GROUP}); run: bitgoeul crds | kubectl apply -f -"
        )


def check_version(server: str, answer: Mapping[str, Any]) -> None:
    """
    See that what answers is an API server that is new enough.

    Raises:
        UserError: It is not.
    """
    version = str(answer.get("gitVersion", ""))
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None:
        raise UserError(f"{server} is no Kubernetes API server: it tells no version; is the kubeconfig right?")
    if tuple(map(int, found.groups())) < MINIMUM_VERSION:
        wanted = ".".join(map(str, MINIMUM_VERSION))
        raise UserError(
            f"{server} runs Kubernetes {version}; bitgoeul needs {wanted} or newer, "
            "because pods are kept on their pool's nodes by MutatingAdmissionPolicy v1"
        )


async def ask(api: Api, path: str, **params: str) -> Object:
    """Read, with some patience: right after a kind was added, or its own start, the API server asks for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return await api.request("GET", path, params=params)
        except ApiError as error:
            if not error.transient or time.monotonic() > deadline:
                raise
        await asyncio.sleep(RETRY_SECONDS)


async def served(api: Api, path: str) -> bool:
    """Whether a collection can be listed at all."""
    try:
        await ask(api, path, limit="1")
    except ApiError as error:
        if error.not_found:
            return False
        raise
    return True


async def installed_kinds(api: Api) -> dict[str, str]:
    """
    The UIDs of the definitions of our kinds; one that is absent is left out.

    Raises:
        ClusterError: The API server did not say.
    """
    found = {}
    for kind in OWN_KINDS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{kind.group}"
        try:
            definition = await api.request("GET", path, headers={"Accept": METADATA_ONLY})
        except ApiError as error:
            if not error.not_found:
                raise
            continue
        found[kind.kind] = str(definition["metadata"]["uid"])
    return found


async def until_a_kind_is_removed(api: Api) -> None:
    """
    Look at our kinds now and then, for ever.

    The watch of a kind that was removed stays open, and tells nothing any more, even if the kind is made anew.

    Raises:
        ClusterError: A kind was removed.
    """
    known: dict[str, str] = {}
    while True:
        try:
            installed = await installed_kinds(api)
        except ClusterError as error:
            log.debug("looking at our kinds: %s", error)
        else:
            removed = [kind for kind, uid in known.items() if installed.get(kind) != uid]
            if removed:
                raise ClusterError(f"{', '.join(removed)} ({GROUP}) was removed from the cluster")
            known = installed
        await asyncio.sleep(KINDS_SECONDS)
