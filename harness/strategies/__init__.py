"""Several tasks on one model: one module a strategy."""

from typing import Any

from harness.registry import Registry
from harness.strategies.strategy import Strategy

STRATEGIES: Registry[type[Strategy[Any]]] = Registry(
    "strategy",
    {
        "continual": "harness.strategies.continual:Continual",
        "joint": "harness.strategies.joint:Joint",
        "sequential": "harness.strategies.sequential:Sequential",
        "adapters": "harness.strategies.adapters:Adapters",
        "single": "harness.strategies.single:Single",
    },
)

__all__ = ["STRATEGIES", "Strategy"]
