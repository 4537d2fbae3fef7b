"""All defects, and those of the catalogue that cannot be reproduced here."""

from __future__ import annotations

import importlib
from functools import cache

from harness.defects.defect import Defect

MODULES = (
    "data",
    "tokenization",
    "labels",
    "training",
    "peft",
    "rlhf",
    "multitask",
    "generation",
    "metric",
    "comparison",
)
"""The modules of this package that hold defects, one a stage."""

NOT_REPRODUCED: dict[str, str] = {}
"""Entries of the catalogue that are missing here, and why."""


@cache
def all_defects() -> tuple[Defect, ...]:
    """Every defect, by stage."""
    found: list[Defect] = []
    for name in MODULES:
        module = importlib.import_module(f"harness.defects.{name}")
        found += [value for value in vars(module).values() if isinstance(value, Defect)]
    return tuple(found)
