"""QLoRA: a base in four bits below an adapter that learns; the base that is handed in stays as it is."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness import run
from harness.errors import UnfitError
from harness.fingerprint import hash_weights
from harness.methods.parameter_efficient import require_only_adapter_moved
from harness.methods.quantization import quantize
from tests.methods.adapted import IDS, PRESETS, excite, load_form, logits_of, make_experiment, wrap
from tests.methods.test_parameter_efficient import make_lesson, train

FRESH = """
import sys
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
base, folder, ids, found = sys.argv[1:]
four_bits = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32
)
model = AutoModelForCausalLM.from_pretrained(base, quantization_config=four_bits, dtype=torch.float32)
model = PeftModel.from_pretrained(model, folder).eval()
with torch.no_grad():
    save_file({"logits": model(input_ids=load_file(ids)["ids"]).logits}, found)
"""
"""What a user of plain PEFT would write."""
needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="needs bitsandbytes: pip install bitsandbytes"
)
FOUR_BITS = {"lora.quantization": "nf4"}


def test_without_bitsandbytes_the_setting_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The message says what to install, and comes before the base is scored."""
    monkeypatch.setitem(sys.modules, "bitsandbytes.functional", None)
    said: list[str] = []
    with pytest.raises(UnfitError, match=r'lora\.quantization is "nf4".*ModuleNotFoundError.*pip install bitsandbytes'):
        run(make_experiment("lora", **FOUR_BITS), baselines=tmp_path, say=said.append)
    assert not [line for line in said if line.startswith("base:")]


@needs_bitsandbytes
@pytest.mark.parametrize("model", PRESETS)
def test_linear_layers_have_four_bits_and_heads_have_not(model: str) -> None:
    """Weights take less than half the bytes, head and embeddings stay in float32, and the logits stay near."""
    base, wrapped = wrap("lora", model, **FOUR_BITS)
    kinds = {name: weight.dtype for name, weight in wrapped.named_parameters()}
    assert torch.uint8 in kinds.values()
    learns = {name for name, weight in wrapped.named_parameters() if weight.requires_grad}
    assert {kinds[name] for name in learns} == {torch.float32}
    assert {name for name in learns if "lora_" not in name} == {name for name in kinds if "modules_to_save" in name}
    assert wrapped.get_base_model().get_memory_footprint() < 0.75 * base.get_memory_footprint()
    moved = (logits_of(wrapped) - logits_of(base)).abs().mean() / logits_of(base).abs().mean()
    assert 0 < moved < 0.2


@needs_bitsandbytes
@pytest.mark.parametrize("model", ["tiny-llama", "tiny-bert"])
def test_only_the_adapter_learns(model: str) -> None:
    """The base keeps its bits and its four-bit copy keeps its own; LoRA, and a head, learn."""
    course = make_lesson("lora", model, **{**FOUR_BITS, "training.epochs": 1})
    before = hash_weights(course.loaded.model)
    trained = train(course)
    assert hash_weights(course.loaded.model) == before
    _, fresh = wrap("lora", model, **FOUR_BITS)
    require_only_adapter_moved(fresh, trained.model)


@needs_bitsandbytes
def test_saved_adapter_fits_a_base_that_is_loaded_in_four_bits(tmp_path: Path) -> None:
    """Plain transformers and PEFT in a fresh process give the same logits, and the adapter names its base."""
    base, wrapped = wrap("lora", "tiny-llama", **FOUR_BITS)
    base.save_pretrained(tmp_path / "base")
    excite(wrapped, "lora_B").save_pretrained(tmp_path / "adapter")
    assert wrapped.peft_config["default"].base_model_name_or_path == base.name_or_path
    save_file({"ids": IDS}, tmp_path / "ids")
    places = [str(tmp_path / name) for name in ("base", "adapter", "ids", "found")]
    subprocess.run([sys.executable, "-c", FRESH, *places], check=True, capture_output=True)
    assert torch.equal(load_file(tmp_path / "found")["logits"], logits_of(wrapped))


@needs_bitsandbytes
def test_dora_and_all_kinds_of_targets_work_on_four_bits() -> None:
    """A changed adapter changes the logits, and off it is the four-bit base, bit for bit."""
    loaded = load_form(make_experiment("lora", "tiny-llama"))[1]
    plain = logits_of(quantize(loaded.model, ()))
    for changes in ({"lora.dora": True}, {"lora.rslora": True, "lora.targets": "auto"}):
        _, wrapped = wrap("lora", "tiny-llama", **FOUR_BITS, **changes)
        assert not torch.allclose(logits_of(excite(wrapped, "lora_B")), plain, atol=1e-2)
        with wrapped.disable_adapter():
            assert torch.equal(logits_of(wrapped), plain)


@needs_bitsandbytes
def test_a_whole_run_in_four_bits(tmp_path: Path) -> None:
    """Base and tuned are told apart, and the table of methods has a name for it."""
    small = {"data.train_rows": 8, "data.eval_rows": 4, "training.epochs": 1, "generation.max_length": 8}
    experiment = make_experiment("lora", **{**FOUR_BITS, **small, "gate.require": None})
    done = run(experiment, baselines=tmp_path)
    assert experiment.way == "qlora"
    assert done.tuned.manifest.model.weights != done.base.manifest.model.weights
    assert done.cost is not None
    assert done.cost.stored_bytes == done.method_facts["adapter_bytes"] < 10**6
