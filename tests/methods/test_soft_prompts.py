"""Soft prompts: they alone learn, they are all that is stored, and a row's output depends on no neighbour."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from harness.data.source import load_splits
from harness.errors import SameWeightsError, StrayWeightsError
from harness.fingerprint import hash_weights
from harness.generation.transformers_engine import generate
from harness.methods.parameter_efficient import require_only_adapter_moved
from harness.methods.soft_prompts import wrap
from harness.tasks import TASKS
from harness.tuning import measure_stored, weigh
from tests.methods.adapted import IDS, excite, load_form, logits_of, make_experiment
from tests.methods.test_parameter_efficient import make_lesson, train

VARIANTS = ("prompt-tuning", "prefix-tuning")
MODELS = ("tiny-t5", "tiny-llama")
FRESH = """
import sys
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
ids, found, *folders = sys.argv[1:]
ids = load_file(ids)["ids"]
logits = {}
for folder in folders:
    reads = AutoConfig.from_pretrained(folder + "/base").is_encoder_decoder
    model = (AutoModelForSeq2SeqLM if reads else AutoModelForCausalLM).from_pretrained(folder + "/base")
    model = PeftModel.from_pretrained(model, folder + "/prompt").eval()
    with torch.no_grad():
        logits[folder] = model(input_ids=ids, **({"decoder_input_ids": ids} if reads else {})).logits
save_file(logits, found)
"""
"""What a user of plain PEFT would write."""


def prompted(model: str, variant: str) -> tuple[PeftModel, PeftModel]:
    """A base, and a copy of it behind a soft prompt that says something."""
    form, loaded = load_form(
        make_experiment("prompt", model, **{"prompt.variant": variant, "prompt.virtual_tokens": 6})
    )
    return loaded.model, excite(wrap(loaded.model, form.experiment.prompt, seed=1), "prompt_encoder")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("model", MODELS)
def test_only_the_prompt_learns_and_is_stored(model: str, variant: str) -> None:
    """The base keeps its bits, only the declared parameters move, and they are what has to be stored."""
    changes = {"prompt.variant": variant, "prompt.virtual_tokens": 4, "training.epochs": 1, "training.patience": 1}
    course = make_lesson("prompt", model, **changes)
    before = hash_weights(course.loaded.model)
    trained = train(course)
    assert hash_weights(course.loaded.model) == before
    learned = {name for name, weight in trained.model.named_parameters() if weight.requires_grad}
    assert all(name.startswith("prompt_encoder.") for name in learned)
    moved = dict(trained.model.get_base_model().named_parameters())
    assert all(torch.equal(weight, moved[name]) for name, weight in course.loaded.model.named_parameters())
    weights = 4 * trained.trainable_parameters
    assert weights < measure_stored(trained) == trained.facts["adapter_bytes"] < weights + 2000
    assert measure_stored(trained) < weigh(trained.model) / 10
    assert len(trained.held_out_losses) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_stray_weights_are_seen(variant: str) -> None:
    """A weight of the base that moved is named, and a prompt that did not learn is an error."""
    form, loaded = load_form(make_experiment("prompt", "tiny-llama", **{"prompt.variant": variant}))
    fresh, tuned = (wrap(loaded.model, form.experiment.prompt, seed=1) for _ in range(2))
    with pytest.raises(SameWeightsError):
        require_only_adapter_moved(fresh, tuned)
    require_only_adapter_moved(fresh, excite(tuned, "prompt_encoder"))
    with pytest.raises(StrayWeightsError, match=r"model\.norm\.weight"):
        require_only_adapter_moved(fresh, excite(tuned, "model.norm.weight"))


def test_saved_prompts_load_with_plain_peft_in_a_fresh_process(tmp_path: Path) -> None:
    """Each folder gives the same logits, bit for bit, in a process that knows nothing of this package."""
    made = {str(tmp_path / model / variant): prompted(model, variant) for model in MODELS for variant in VARIANTS}
    for folder, (base, wrapped) in made.items():
        base.save_pretrained(Path(folder) / "base")
        wrapped.save_pretrained(Path(folder) / "prompt")
    save_file({"ids": IDS}, tmp_path / "ids")
    places = [str(tmp_path / "ids"), str(tmp_path / "found"), *made]
    subprocess.run([sys.executable, "-c", FRESH, *places], check=True, capture_output=True)
    for folder, logits in load_file(tmp_path / "found").items():
        base, wrapped = made.pop(folder)
        torch.testing.assert_close(logits, logits_of(wrapped), atol=1e-6, rtol=1e-6)
        assert not torch.allclose(logits[:, -IDS.shape[1] :], logits_of(base), atol=1e-2)
    assert not made


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_on_the_left_changes_no_logits(variant: str) -> None:
    """The last logits of a padded row are those of the row alone, up to rounding."""
    _, wrapped = prompted("tiny-llama", variant)
    pads = torch.zeros(2, 5, dtype=torch.long)
    mask = torch.cat([pads, torch.ones_like(IDS)], dim=1)
    with torch.no_grad():
        padded = wrapped(input_ids=torch.cat([pads, IDS], dim=1), attention_mask=mask).logits[:, -1]
        alone = torch.cat([wrapped(input_ids=row[None]).logits[:, -1] for row in IDS])
    torch.testing.assert_close(padded, alone, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("model", MODELS)
def test_a_batch_says_what_its_rows_say_alone(model: str, variant: str) -> None:
    """Rows of unequal length generate the same in one padded batch and one by one."""
    settings = {"prompt.variant": variant, "prompt.virtual_tokens": 6, "generation.max_length": 12}
    form, loaded = load_form(make_experiment("prompt", model, **settings))
    wrapped = excite(wrap(loaded.model, form.experiment.prompt, seed=1), "prompt_encoder")
    rows = form.encode(load_splits(form.experiment.data, TASKS[form.experiment.task]).eval, loaded)
    unequal = [replace(row, input_ids=row.input_ids[5 * number :]) for number, row in enumerate(rows)]
    resolved = form.resolve(loaded)
    batched, alone = (
        generate(wrapped, loaded.tokenizer, unequal, resolved, batch_size=size) for size in (len(unequal), 1)
    )
    assert batched == alone
    assert batched != generate(loaded.model, loaded.tokenizer, unequal, resolved, batch_size=len(unequal))
