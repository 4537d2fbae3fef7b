"""Engines that generate text, behind one protocol."""

from harness.generation.engine import Engine
from harness.registry import Registry

REFERENCE = "transformers"
"""The engine that the others must agree with."""
AUTO = "auto"
"""The engine that chooses one of the others."""

ENGINES: Registry[Engine] = Registry(
    "engine",
    {
        REFERENCE: "harness.generation.transformers_engine:generate",
        "graph": "harness.generation.graph.engine:generate",
        "ctranslate2": "harness.generation.ctranslate2_engine:generate",
        "ctranslate2-int8": "harness.generation.ctranslate2_engine:generate_int8",
        "ctranslate2-bfloat16": "harness.generation.ctranslate2_engine:generate_bfloat16",
        AUTO: "harness.generation.auto:generate",
    },
)

__all__ = ["AUTO", "ENGINES", "REFERENCE", "Engine"]
