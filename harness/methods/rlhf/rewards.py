"""Rewards by rule, and those of a user's own: a function of outputs and their rows."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence

from harness.data.rows import Row
from harness.errors import SettingsError, TrainingError
from harness.metrics import METRICS
from harness.metrics.metric import Output
from harness.registry import Registry

Reward = Callable[[Sequence[str], Sequence[Row]], Sequence[float]]
"""``(outputs, rows) -> one number for each output``, the more the better."""

LEARNED = "model"
"""The reward that is learned from pairs."""
RULES: Registry[Reward] = Registry(
    "reward",
    {
        "rouge": "harness.methods.rlhf.rewards:reward_overlap",
        "length": "harness.methods.rlhf.rewards:reward_length",
        "facts": "harness.methods.rlhf.rewards:reward_facts",
    },
)


def reward_overlap(outputs: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """The mean of ROUGE-1, 2 and L with the references, 0 to 1."""
    found = METRICS["rouge"].score([Output(text=text) for text in outputs], rows)
    return [float(sum(scores)) / 300 for scores in zip(found["rouge1"], found["rouge2"], found["rougeL"], strict=True)]


def reward_length(outputs: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """How far an output's number of words is from its target's, as a share of that: 0 at best, -1 for no word."""
    return [
        -abs(len(text.split()) / max(1, len(row.target.split())) - 1) for text, row in zip(outputs, rows, strict=True)
    ]


def reward_facts(outputs: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """The harmonic mean of the share of the facts asked for that is told and of the share of the told that is not
    invented, 0 to 1: neither silence nor chatter pays.
    """
    found = METRICS["facts"].score([Output(text=text) for text in outputs], rows)
    told, honest = found["facts_right"] / 100, 1 - found["facts_invented"] / 100
    return [2 * r * p / (r + p) if r + p else 0.0 for r, p in zip(told.tolist(), honest.tolist(), strict=True)]


def find_reward(name: str, rows: Sequence[Row]) -> Reward:
    """The reward of that name.

    Args:
        name: one of `RULES`, or ``module:attribute``.
        rows: what it will be asked about.

    Raises:
        NameUnknownError: there is no such rule.
        SettingsError: the module has no such function, or the rule cannot judge these rows.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found: Reward = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f'rlhf.reward = "{name}" cannot be imported: {error}.', fix="Check its name."
            ) from error
        if not callable(found):
            raise SettingsError(
                f'rlhf.reward = "{name}" is a {type(found).__name__}.',
                fix="Name a function (outputs, rows) -> numbers.",
            )
        return found
    rule = RULES[name]
    if name in METRICS and not METRICS[name].applies(rows):
        raise SettingsError(
            f'rlhf.reward = "{name}" cannot judge these {len(rows)} rows.',
            why="The facts of a text are known for summaries of the newsroom alone, and ROUGE needs references.",
            fix=f'Set rlhf.reward to another of {", ".join(RULES)}, to "{LEARNED}" or to module:attribute.',
        )
    return rule


def ask_reward(reward: Reward, outputs: Sequence[str], rows: Sequence[Row]) -> list[float]:
    """What a reward says, one finite number for each output.

    Raises:
        TrainingError: it says something else.
    """
    found = [float(value) for value in reward(outputs, rows)]
    if len(found) != len(outputs) or not all(map(math.isfinite, found)):
        odd = sum(not math.isfinite(value) for value in found)
        raise TrainingError(
            f"The reward returned {len(found)} numbers for {len(outputs)} outputs, {odd} of them not finite.",
            why="The policy would learn from noise.",
            fix="Return one finite number for each output, also for an empty one.",
        )
    return found
