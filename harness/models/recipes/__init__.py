"""The recipes of the tiny checkpoints, one module a shape."""

from __future__ import annotations

from harness.models.recipes.bert import BERT
from harness.models.recipes.llama import LLAMA
from harness.models.recipes.recipe import Recipe
from harness.models.recipes.t5 import T5

RECIPES: dict[str, Recipe] = {"t5": T5, "bert": BERT, "llama": LLAMA}
"""Each shape by the name that the command line knows it by."""
