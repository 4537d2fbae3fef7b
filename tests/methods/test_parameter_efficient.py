"""Only the adapter moves, and what is saved is all that was learned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from harness.data.source import load_splits
from harness.errors import SameWeightsError, StrayWeightsError
from harness.experiment import make_course
from harness.fingerprint import hash_weights
from harness.methods import METHODS, Adapted
from harness.methods.method import Course
from harness.methods.parameter_efficient import find_heads, require_only_adapter_moved
from harness.models.crf import LinearChainCrf
from harness.tasks import TASKS
from tests.methods.adapted import IDS, excite, load_form, logits_of, make_experiment, wrap

LEARNS = {"lora": "lora_B", "adapters": "bottleneck_up"}
"""The part of each adapter that starts at zero."""
FRESH = """
import sys
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSeq2SeqLM
import harness.methods.bottleneck
ids, found, *folders = sys.argv[1:]
ids = load_file(ids)["ids"]
logits = {}
for folder in folders:
    base = AutoModelForSeq2SeqLM.from_pretrained(folder + "/base")
    model = PeftModel.from_pretrained(base, folder + "/adapter").eval()
    with torch.no_grad():
        logits[folder] = model(input_ids=ids, decoder_input_ids=ids).logits
save_file(logits, found)
"""
"""What a user of plain PEFT would write."""


def make_lesson(method: str, model: str, **changes: object) -> Course:
    experiment = make_experiment(method, model, **changes)
    form, loaded = load_form(experiment)
    rows = load_splits(experiment.data, TASKS[experiment.task]).train
    return make_course(form, loaded, rows, form.encode(rows, loaded), form.make_collator(loaded))


def train(course: Course) -> Adapted:
    experiment = course.form.experiment
    return METHODS[experiment.method](course.loaded.model, course, experiment.training)


def test_saved_adapters_load_with_plain_peft_in_a_fresh_process(tmp_path: Path) -> None:
    """The folders that a user saves give the same logits, bit for bit, in a process that knows no harness run."""
    made = {}
    for method, part in LEARNS.items():
        base, wrapped = wrap(method)
        base.save_pretrained(tmp_path / method / "base")
        made[str(tmp_path / method)] = excite(wrapped, part)
        wrapped.save_pretrained(tmp_path / method / "adapter")
    save_file({"ids": IDS}, tmp_path / "ids")
    places = [str(tmp_path / "ids"), str(tmp_path / "found"), *made]
    subprocess.run([sys.executable, "-c", FRESH, *places], check=True, capture_output=True)
    found = load_file(tmp_path / "found")
    assert found.keys() == made.keys()
    assert all(torch.equal(found[folder], logits_of(wrapped)) for folder, wrapped in made.items())


@pytest.mark.parametrize("method", LEARNS)
def test_head_is_trained_and_saved_with_the_adapter(method: str, tmp_path: Path) -> None:
    """A classifier's new head learns, the base stays as it is, and a fresh base with the folder is the tuned model."""
    course = make_lesson(method, "tiny-bert")
    base, before = course.loaded.model, hash_weights(course.loaded.model)
    trained = train(course)
    assert hash_weights(base) == before
    heads = [name for name, entry in trained.model.named_parameters() if "modules_to_save" in name]
    drawn = dict(base.named_parameters())
    assert len(heads) == sum(name.startswith("classifier") for name in drawn)
    tuned = dict(trained.model.named_parameters())
    for name in heads:
        plain = name.removeprefix("base_model.model.").replace(".modules_to_save.default", "")
        assert not torch.equal(tuned[name], drawn[plain])
    trained.model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(base, tmp_path)
    assert torch.equal(logits_of(loaded), logits_of(trained.model))
    weights = (tmp_path / "adapter_model.safetensors").stat().st_size
    assert weights < trained.facts["adapter_bytes"] < weights + 2000
    assert trained.trainable_parameters == sum(tensor.numel() for tensor in tensors_of(tmp_path))


def tensors_of(folder: Path) -> list[torch.Tensor]:
    return list(load_file(folder / "adapter_model.safetensors").values())


def test_rate_is_the_methods_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factor times the rate that is meant for all weights; with a factor of 1 it is that rate."""
    seen = []
    fit = SimpleNamespace(model=None, losses=(), trainable_parameters=0)
    monkeypatch.setattr(
        "harness.methods.parameter_efficient.fine_tune",
        lambda model, lesson, settings: seen.append(settings.learning_rate) or fit,
    )
    for factor in (10.0, 1.0):
        experiment = make_experiment("lora", **{"lora.learning_rate_factor": factor, "training.learning_rate": 2e-3})
        METHODS["lora"].train(None, None, experiment, experiment.training)
    assert seen == pytest.approx([2e-2, 2e-3])


@pytest.mark.parametrize("method", LEARNS)
def test_stray_weights_are_seen(method: str) -> None:
    """One weight of the base that moved is named; an adapter that learned is right; one that did not is an error."""
    _, wrapped = wrap(method, "tiny-llama")
    _, tuned = wrap(method, "tiny-llama")
    with pytest.raises(SameWeightsError, match="none of the"):
        require_only_adapter_moved(wrapped, tuned)
    require_only_adapter_moved(wrapped, excite(tuned, LEARNS[method]))
    with pytest.raises(StrayWeightsError, match=r"1 tensors of the base .*model\.norm\.weight"):
        require_only_adapter_moved(wrapped, excite(tuned, "model.norm.weight"))


def test_weights_that_were_left_unfrozen_are_seen_after_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in the wrapping that lets norms learn does not get past the method."""
    method = METHODS["lora"]
    real = type(method).wrap

    def wrap_and_forget(self: object, model: object, form: object, *, seed: int) -> PeftModel:
        wrapped = real(self, model, form, seed=seed)
        for name, entry in wrapped.named_parameters():
            entry.requires_grad = entry.requires_grad or "norm" in name
        return wrapped

    monkeypatch.setattr(type(method), "wrap", wrap_and_forget)
    with pytest.raises(StrayWeightsError, match="norm"):
        train(make_lesson("lora", "tiny-llama", **{"training.epochs": 1}))


def test_every_module_beside_the_body_is_a_head() -> None:
    """A classifier and a conditional random field on it are heads; an output layer that is pretrained is none."""
    form, loaded = load_form(make_experiment("lora", "tiny-bert"))
    loaded.model.crf = LinearChainCrf(3)
    assert find_heads(loaded.model, form) == ["classifier", "crf"]
    wrapped = METHODS["lora"].wrap(loaded.model, form, seed=0)
    assert wrapped.crf.transitions.requires_grad
    assert wrapped.crf.decode(torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool)) == [[0, 0]]
    form, loaded = load_form(make_experiment("lora", "tiny-llama"))
    assert find_heads(loaded.model, form) == []
