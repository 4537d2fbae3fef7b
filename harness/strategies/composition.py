"""Several adapters at once: what a model does under a weighted sum of what it learned for several tasks.

Zhang et al. 2023, "Composing Parameter-Efficient Modules with Arithmetic Operations". To weigh adapters by a layer that
is trained on top of them (AdapterFusion, Pfeiffer et al. 2021) is another matter, and not done here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Literal

from peft import PeftModel, PeftType

from harness.errors import UsageError
from harness.registry import unknown_name
from harness.strategies.adapter_set import AdapterSet

COMPOSED = "composed"
"""What PEFT calls the sum; where it is several adapters that are on at once, what their names begin with."""
Combination = Literal["cat", "svd", "linear"]


def compose(
    pupil: AdapterSet, weights: Mapping[str, float], *, head: str, combination: Combination = "cat"
) -> PeftModel:
    """A model with several tasks' adapters in it, and their weighted sum on.

    Each adapter is there under its task's name as well, to be switched to by ``set_adapter``, and ``disable_adapter()``
    is the base under the head. Bottlenecks add weight times their change behind each sublayer; LoRAs are summed to one.

    Args:
        pupil: knows the adapters.
        weights: the tasks, and what the change of each counts.
        head: the task whose head is on top; of models that write text, which have none, it changes nothing.
        combination: how PEFT sums LoRAs: ``cat`` exactly, with the ranks added up; ``svd`` as close as the highest rank
            allows; ``linear`` sums A and B apart, which is no sum of the changes.

    Raises:
        NameUnknownError: there is no such task.
        UsageError: a task has no adapter yet, none is named, or bottlenecks are to be combined as LoRAs are.
    """
    require_learned(pupil, weights, head)
    model = copy.deepcopy(pupil.templates[head])
    model.load_state_dict(pupil.adapters[head].head, strict=False)
    adapters = {name_adapter(task): pupil.adapters[task].without_head() for task in weights}
    for name, adapter in adapters.items():
        model = adapter.add_to(model, name)
    if all(adapter.config.peft_type == PeftType.LORA for adapter in adapters.values()):
        model.add_weighted_adapter([*adapters], [*weights.values()], COMPOSED, combination_type=combination)
        on = [COMPOSED]
    elif combination == "cat":
        on = [f"{COMPOSED}_{name}" for name in adapters]
        for name, adapter, weight in zip(on, adapters.values(), weights.values(), strict=True):
            adapter.scaled("bottleneck_up", weight).add_to(model, name)
    else:
        raise UsageError(
            f'combination is "{combination}", and the adapters are bottlenecks.',
            why="There are no matrices to combine: the changes are summed as they are.",
            fix="Leave combination out.",
        )
    model.base_model.set_adapter(on, inference_mode=True)
    return model.eval()


def name_adapter(task: str) -> str:
    """What PEFT calls the adapter of a task: its name, in which torch allows no dot."""
    return task.replace(".", "_")


def require_learned(pupil: AdapterSet, weights: Mapping[str, float], head: str) -> None:
    """Make sure that there are adapters to compose.

    Raises:
        NameUnknownError: there is no such task.
        UsageError: a task has no adapter yet, or none is named.
    """
    if not weights:
        raise UsageError("No adapter is named.", fix="Give the weight of one task or more.")
    for task in (*weights, head):
        if task not in pupil.templates:
            raise unknown_name("task", task, pupil.templates)
        if task not in pupil.adapters:
            raise UsageError(
                f'"{task}" has no adapter: it was not learned yet.',
                fix=f"Teach it first; there are adapters of: {', '.join(pupil.adapters) or 'no task'}.",
            )
