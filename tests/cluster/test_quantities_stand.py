"""Quantities that we write come back from the API server letter for letter."""

from __future__ import annotations

import json
import random

from bitgoeul.api.quantities import format_bytes, format_cpu
from tests.cluster.kubectl import Kubectl


def test_written_quantities_stand(kubectl: Kubectl) -> None:
    """The API server rewrites none of them, so comparing with a stored quota finds no difference."""
    chance = random.Random(2021)
    sizes = [
        chance.randrange(10**digits) * unit for digits in range(1, 7) for unit in (1, 1000, 1024, 10**9, 2**30, 10**12)
    ]
    cores = [chance.randrange(10**digits) * unit for digits in range(1, 7) for unit in (1, 100, 1000, 10**6)]
    hard = {
        f"class-{n}.storageclass.storage.k8s.io/requests.storage": format_bytes(size) for n, size in enumerate(sizes)
    }
    hard |= {f"requests.example.org/cores-{n}": format_cpu(millis) for n, millis in enumerate(cores)}
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "quantities", "namespace": "default"},
        "spec": {"hard": hard},
    }
    answer = kubectl("create", "--dry-run=server", "-o", "json", "-f", "-", stdin=json.dumps(quota))
    assert json.loads(answer.stdout)["spec"]["hard"] == hard
