"""Engines that generate text, behind one protocol."""

from harness.generation.engine import Engine
from harness.registry import Registry

ENGINES: Registry[Engine] = Registry(
    "engine",
    {
        "transformers": "harness.generation.transformers_engine:generate",
        "graph": "harness.generation.graph.engine:generate",
    },
)

__all__ = ["ENGINES", "Engine"]
