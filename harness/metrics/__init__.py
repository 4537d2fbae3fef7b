"""Scores of every row, with a signature each."""

from harness.metrics.metric import Metric
from harness.registry import Registry

METRICS: Registry[Metric] = Registry(
    "metric", {"rouge": "harness.metrics.rouge:ROUGE", "facts": "harness.metrics.rouge:ROUGE"}
)

__all__ = ["METRICS", "Metric"]
