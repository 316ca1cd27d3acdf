"""The options by which a platform engineer shapes the trial pod that proves the policies of a pool."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from bitgoeul.desired.trial_pod import DEFAULT_IMAGE, read_trial_pod


def trial_pod_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the trial pod, which the command gets as ``trial_pod``."""

    @functools.wraps(command)
    def with_trial_pod(
        *args: Any,
        trial_pod_image: str,
        trial_pod_label: tuple[str, ...],
        trial_pod_annotation: tuple[str, ...],
        trial_pod_request: tuple[str, ...],
        trial_pod_limit: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        trial = read_trial_pod(
            trial_pod_image, trial_pod_label, trial_pod_annotation, trial_pod_request, trial_pod_limit
        )
        return command(*args, trial_pod=trial, **rest)

    decorated: Callable[..., Any] = with_trial_pod
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated


def _pairs(name: str, metavar: str, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(name, multiple=True, metavar=metavar, help=f"{text} Repeatable.")


OPTIONS = (
    click.option(
        "--trial-pod-image",
        default=DEFAULT_IMAGE,
        show_default=True,
        metavar="IMAGE",
        help="Image of the trial pod, a dry run that proves a pool's policies: nothing runs.",
    ),
    _pairs("--trial-pod-label", "KEY=VALUE", "Label on the trial pod, where another policy wants it."),
    _pairs("--trial-pod-annotation", "KEY=VALUE", "Annotation on the trial pod."),
    _pairs("--trial-pod-request", "RESOURCE=QUANTITY", "Request of the trial pod: cpu, memory, ephemeral-storage."),
    _pairs("--trial-pod-limit", "RESOURCE=QUANTITY", "Limit of the trial pod, of the same resources."),
)
