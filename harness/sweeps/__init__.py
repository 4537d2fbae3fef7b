"""Sweeps: models x methods x tasks x seeds, each an experiment of its own, on one machine or on a cluster."""

from __future__ import annotations

from harness.registry import Registry
from harness.sweeps.runner import OpenRunner

SWEEP_RUNNERS: Registry[OpenRunner] = Registry(
    "runner of sweeps", {"local": "harness.sweeps.local:open_local", "ray": "harness.sweeps.cluster:open_ray"}
)
"""What runs the cells: processes of this machine, or a Ray cluster (extra ``ray``)."""

__all__ = ["SWEEP_RUNNERS"]
