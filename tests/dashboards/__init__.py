"""
The Grafana dashboards as code: each module of this package describes one, and the chart carries what it gives.

``python -m tests.dashboards`` writes them to ``charts/bitgoeul/files/dashboards`` as classic JSON, not as Grafana's
schema v2: that is what provisioning by files, sidecars and the Grafana operator take in every version in use.
Words are those of ``kubectl explain`` and of the metrics' page.
"""

import warnings
from importlib import import_module

with warnings.catch_warnings():
    # The library would rather have schema v2.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    for module in ("builders.dashboard", "builders.stat"):
        import_module(f"grafana_foundation_sdk.{module}")
