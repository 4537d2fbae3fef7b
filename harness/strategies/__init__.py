"""Several tasks on one model: one module a strategy."""

from typing import Any

from harness.registry import Registry
from harness.strategies.strategy import Strategy

STRATEGIES: Registry[type[Strategy[Any]]] = Registry(
    "strategy",
    {
        "single": "harness.strategies.single:Single",
        "sequential": "harness.strategies.sequential:Sequential",
        "joint": "harness.strategies.joint:Joint",
        "continual": "harness.strategies.continual:Continual",
        "adapters": "harness.strategies.adapters:Adapters",
    },
)

__all__ = ["STRATEGIES", "Strategy"]
