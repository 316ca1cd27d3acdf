"""
Finds the credentials for an API server: in a kubeconfig, in the pod's own account, and the way there through a proxy.

What is found is read anew whenever it is asked for: token files, certificates, exec plugins and the kubeconfig itself
may change while a process runs. Never falls back to the default kubeconfig silently: a forgotten ``kubectl config
use-context`` must not decide which cluster gets quotas.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from bitgoeul.cluster.official import ConfigException, kube, kube_config
from bitgoeul.errors import UserError

SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
SERVICE_ACCOUNT_NAMESPACE = SERVICE_ACCOUNT_TOKEN.with_name("namespace")
TOKEN = "BearerToken"  # noqa: S105 - what the official client calls it


@contextmanager
def overheard(logger: str) -> Iterator[list[str]]:
    """Errors that a library would log meanwhile; they are not logged."""
    said: list[str] = []

    def keep(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.ERROR:
            said.append(record.getMessage())
        return record.levelno < logging.ERROR

    source = logging.getLogger(logger)
    source.addFilter(keep)
    try:
        yield said
    finally:
        source.removeFilter(keep)


async def load_configuration(kubeconfig: str | Path | None, context: str | None) -> kube.Configuration:
    """
    Find credentials: the file given, else ``KUBECONFIG``, else the pod's own service account.

    Raises:
        UserError: Nothing was found, or what was found cannot be read.
    """
    configuration = kube.Configuration()
    configuration.client_session_kwargs = {"trust_env": False}
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    if not path:
        if context:
            raise UserError("--context needs --kubeconfig or KUBECONFIG to be looked up in")
        if not os.path.exists(SERVICE_ACCOUNT_TOKEN):
            raise UserError(
                "no cluster given: pass --kubeconfig FILE or set KUBECONFIG (outside a pod nothing is assumed); "
                "'bitgoeul up' starts a local control plane and prints its file"
            )
        try:
            kube_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
            configuration.api_key[TOKEN] = usable(configuration.api_key[TOKEN])
        except (ConfigException, UserError, OSError, ValueError) as error:
            raise UserError(f"the pod's service account cannot be used: {error}") from error
    else:
        # Not by pathlib: it raises where a folder may not be entered.
        missing = [part for part in path.split(os.pathsep) if part and not os.path.isfile(part)]
        if missing and (kubeconfig or len(missing) == len(path.split(os.pathsep))):
            raise UserError(f"kubeconfig {missing[0]}: no such file")
        await read_kubeconfig(path, context, configuration)
    configuration.proxy = configuration.proxy or proxy_for(configuration.host, os.environ)
    return configuration


async def read_kubeconfig(path: str, context: str | None, configuration: kube.Configuration) -> None:
    """
    Fill in what a kubeconfig says; ``path`` may name several, as KUBECONFIG does.

    Raises:
        UserError: It cannot be read, or does not say where the API server is.
    """
    try:
        with overheard("kubernetes.aio.config.kube_config") as complaints:
            loader = await kube_config.load_kube_config(path, context, configuration)  # type: ignore[no-untyped-call]
        address = urlsplit(configuration.host)
    except ConfigException as error:
        raise UserError(f"kubeconfig {path}: {' '.join(str(error).split())}") from error
    except (TypeError, AttributeError) as error:
        raise UserError(
            f"kubeconfig {path} is none: it needs clusters, users, contexts and a current-context"
        ) from error
    except Exception as error:
        # The loader lets whatever a malformed file provokes escape: YAML, key and TLS errors alike.
        raise UserError(f"kubeconfig {path} cannot be read: {type(error).__name__}: {error}".splitlines()[0]) from error
    if complaints:  # of a credential plugin: the loader would go on without credentials
        raise UserError(f"kubeconfig {path}: {' '.join(complaints[0].split())}")
    # Where the file is empty the loader would go on as nobody, and nothing would ever be read anew.
    named = TOKEN in configuration.api_key or "tokenFile" in (loader._user or ())
    if named:
        try:
            configuration.api_key[TOKEN] = usable(configuration.api_key.get(TOKEN, ""))
        except UserError as error:
            raise UserError(f"kubeconfig {path}: {error}") from error
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UserError(
            f"kubeconfig {path}: server {configuration.host!r} is no address such as https://127.0.0.1:6443"
        )


def usable(authorization: str) -> str:
    """
    Return what is sent as credentials, a scheme and a token, without the white space that a file ends with.

    Raises:
        UserError: There is no token, or it has characters that cannot be sent.
    """
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    if not token:
        raise UserError("the token is empty")
    if not token.isprintable():
        raise UserError("the token has line breaks or other characters that cannot be sent")
    return f"{scheme} {token}"


def current_namespace(kubeconfig: str | Path | None, context: str | None) -> str:
    """The namespace that is meant where none is named: of the kubeconfig's context, else the pod's own."""
    path = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    if not path:
        return SERVICE_ACCOUNT_NAMESPACE.read_text().strip() if SERVICE_ACCOUNT_NAMESPACE.exists() else "default"
    contexts, current = kube_config.list_kube_config_contexts(path)  # type: ignore[no-untyped-call]
    chosen = next((one for one in contexts if one["name"] == context), current)
    return str((chosen.get("context") or {}).get("namespace") or "default")


def proxy_for(server: str, environment: Mapping[str, str]) -> str | None:
    """
    Return the proxy by which kubectl would reach a server, or None.

    Source: documentation of Go's httpproxy.FromEnvironment, which kubectl uses.
    """
    address = urlsplit(server)
    host = (address.hostname or "").lower()
    proxy = first_of(environment, f"{address.scheme}_proxy")
    if not proxy or host == "localhost" or is_loopback(host):
        return None
    port = address.port or (443 if address.scheme == "https" else 80)
    if any(exempts(entry.strip().lower(), host, port) for entry in first_of(environment, "no_proxy").split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def first_of(environment: Mapping[str, str], name: str) -> str:
    """Return the value of an environment variable whose name counts in upper case first, then in lower case."""
    return environment.get(name.upper()) or environment.get(name) or ""


def exempts(entry: str, host: str, port: int) -> bool:
    """Tell whether one entry of NO_PROXY names a host: by name, domain, address or range, with or without a port."""
    if not entry:
        return False
    if entry == "*":
        return True
    ip = ip_of(host)
    try:
        if ip is not None and "/" in entry:
            return ip in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
    if ip_of(entry) is None:
        name = split_port(entry)
        if name.port not in (None, port):
            return False
        entry = name.hostname or ""
    if ip is not None:
        return ip == ip_of(entry)
    domain = entry.removeprefix("*")
    return host.endswith(domain) if domain.startswith(".") else host == domain or host.endswith(f".{domain}")


def split_port(entry: str) -> SplitResult:
    """Return host and port of an entry; one whose port is no number names nobody."""
    parts = urlsplit(f"//{entry}")
    try:
        _ = parts.port
    except ValueError:
        return urlsplit("//")
    return parts


def ip_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a text is, or None."""
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    ip = ip_of(host)
    return ip is not None and ip.is_loopback
