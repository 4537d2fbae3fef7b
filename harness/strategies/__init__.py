"""Several tasks on one model: one module a strategy."""

from typing import Any

from harness.registry import Registry
from harness.strategies.strategy import Strategy

STRATEGIES: Registry[type[Strategy[Any]]] = Registry(
    "strategy",
    {
        "sequential": "harness.strategies.sequential:Sequential",
        "single": "harness.strategies.single:Single",
    },
)

__all__ = ["STRATEGIES", "Strategy"]
