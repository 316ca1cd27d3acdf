"""Bitgoeul: a Kubernetes operator that hands out the devices and storage of a shared AI data center."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("bitgoeul")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0"
