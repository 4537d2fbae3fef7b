"""The methods that train adapters are held to the checks of adapters, and the catalogue's defects in them are seen."""

from __future__ import annotations

from functools import cache

import pytest

from harness.checks import adapters, contrast, merging
from harness.checks.check import Check, Status
from harness.checks.own import pipeline_of
from harness.checks.pipeline import Pipeline
from harness.checks.suite import audit
from harness.defects import peft
from tests.methods.adapted import make_experiment

CHECKS = tuple(
    value for module in (adapters, merging, contrast) for value in vars(module).values() if isinstance(value, Check)
)
PLANTED = {
    peft.adapter_keys_silently_ignored: merging.saved_adapter_gives_the_same_logits,
    peft.merged_and_adapter_both_loaded: merging.saved_adapter_gives_the_same_logits,
    peft.lora_scale_not_applied: merging.merged_adapter_gives_the_same_logits,
    peft.merge_changes_outputs: merging.merged_adapter_gives_the_same_logits,
    peft.adapter_still_on_for_baseline: contrast.adapter_off_is_the_base,
    peft.base_model_mutated_in_place: contrast.adapter_off_is_the_base,
    peft.adapters_stacked_twice: contrast.adapters_compared_in_turn_equal_each_alone,
    peft.adapter_loaded_frozen: adapters.loaded_adapter_learns_on,
    peft.extra_parameters_trainable: adapters.adapter_alone_is_trained,
    peft.target_modules_partly_matched: adapters.adapter_reaches_its_layers,
}
"""Each defect and the check that sees it."""
IN_BOTTLENECKS = (peft.adapter_still_on_for_baseline, peft.adapter_loaded_frozen, peft.base_model_mutated_in_place)
"""Those that do not depend on what the adapter is."""


@cache
def own_pipeline(method: str, model: str) -> Pipeline:
    return pipeline_of(make_experiment(method, model))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["tiny-t5", "tiny-llama", "tiny-bert"])
@pytest.mark.parametrize("method", ["lora", "adapters"])
def test_methods_pass_every_check_of_adapters(method: str, model: str) -> None:
    """Nothing fails; only the merging of bottlenecks, which there is not, is skipped."""
    report = audit(own_pipeline(method, model), checks=CHECKS)
    skipped = {"merged-adapter-gives-the-same-logits"} if method == "adapters" else set()
    assert [f"{result.check.name}: {result.seen}" for result in report.bad] == []
    assert {result.check.name for result in report.results if result.status is not Status.PASSED} == skipped


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "defect"),
    [*(("lora", defect) for defect in PLANTED), *(("adapters", defect) for defect in IN_BOTTLENECKS)],
    ids=lambda value: getattr(value, "name", value),
)
def test_defects_in_the_methods_are_seen(method: str, defect: object) -> None:
    """A defect of the catalogue, planted into what the harness itself does, turns the check red."""
    report = audit(defect.plant(own_pipeline(method, "tiny-t5")), checks=(PLANTED[defect],))
    assert report.results[0].status is Status.FAILED, report.results[0].seen
