"""Loading models: by name, path or hub id; incomplete and unsafe ones are refused in plain words."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.config import ModelSettings
from harness.errors import HubError, ModelError
from harness.models.loading import load_model
from tests.small import PATIENCE

EMBEDDED = Path(str(resources.files("harness"))) / "models" / "tiny-t5"


def load(name: str) -> object:
    return load_model(ModelSettings(name=name), auto_class="AutoModelForSeq2SeqLM")


def test_path_and_name_give_the_same_model(tmp_path: Path) -> None:
    """A copy of the embedded folder has the embedded weights and tokenizer."""
    shutil.copytree(EMBEDDED, tmp_path / "copy")
    by_path = load_model(ModelSettings(name=str(tmp_path / "copy")), auto_class="AutoModelForSeq2SeqLM").identify()
    by_name = load_model(ModelSettings(), auto_class="AutoModelForSeq2SeqLM").identify()
    assert (by_path.weights, by_path.tokenizer) == (by_name.weights, by_name.tokenizer)


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def pickled_weights(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    no_weights(folder)


def missing_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.block.0.layer.0.SelfAttention.q.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{", encoding="utf-8")


def unknown_type(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "nonsense"}), encoding="utf-8")


def no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()


def no_pad(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    del settings["pad_token"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def larger_vocabulary(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    extra = {"id": 2048, "content": "<more>", "single_word": False, "lstrip": False, "rstrip": False}
    tokenizer["added_tokens"].append({**extra, "normalized": False, "special": True})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")


def other_eos(folder: Path) -> None:
    edit_config(folder, eos_token_id=7)


def no_start(folder: Path) -> None:
    edit_config(folder, decoder_start_token_id=None)


def start_out_of_range(folder: Path) -> None:
    edit_config(folder, decoder_start_token_id=99_999)


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")


def nan_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["shared.weight"][3, 4] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (no_config, "config.json is missing"),
        (no_weights, "cannot be loaded"),
        (cut_weights, "cannot be loaded"),
        (pickled_weights, r"weights in pytorch_model\.bin .* model\.allow_pickle = true"),
        (missing_tensor, r"1 tensors of the model .* are not in its files: encoder\.block\.0"),
        (broken_config, "cannot be loaded"),
        (unknown_type, "cannot be loaded"),
        (no_tokenizer, "holds no tokenizer"),
        (no_pad, "has no pad token"),
        (other_eos, "ends texts with token 7, its tokenizer with 1"),
        (no_start, "no usable decoder_start_token_id"),
        (start_out_of_range, "no usable decoder_start_token_id"),
        (nan_weights, r"hold NaN or infinity, first in shared\.weight"),
        (larger_vocabulary, "has 2049 tokens and the model embeds 2048"),
    ],
)
def test_damaged_checkpoint_is_refused(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    """What is missing or does not fit is named; nothing starts from random weights, nothing is unpickled."""
    folder = tmp_path / "model"
    shutil.copytree(EMBEDDED, folder)
    damage(folder)
    with pytest.raises(ModelError, match=message):
        load(str(folder))


@pytest.mark.parametrize("name", ["./none", "/no/such/folder", "a/b/c", "~/none", "bad name"])
def test_missing_path_is_told_from_a_hub_id(name: str) -> None:
    """What cannot be a hub id is a path that is not there."""
    with pytest.raises(ModelError, match="There is no model folder"):
        load(name)


def test_hub_id_without_network_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the hub with the hub out of reach is an error within two seconds."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://192.0.2.1")
    began = time.perf_counter()
    with pytest.raises(HubError, match=r'"t5-small" is no local path.*model\.name'):
        load("t5-small")
    assert time.perf_counter() - began < PATIENCE


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "tiny-brt",
            r'of the hub, but HF_HUB_OFFLINE is set\. Did you mean "tiny-bert"\? Embedded are: tiny-bert, .*t5\.',
        ),
        ("gpt2", r"HF_HUB_OFFLINE is set\. Embedded are: tiny-bert, tiny-llama, tiny-t5\. Give a local path in model"),
        (
            "./tiny-t",
            r'no model folder tiny-t\. Did you mean "tiny-t5"\? Embedded are: tiny-bert, tiny-llama, tiny-t5\.',
        ),
    ],
)
def test_missing_model_is_told_which_are_embedded(name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, and first the nearest one where a name may be misspelled."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises((HubError, ModelError), match=said):
        load(name)


def test_model_of_another_kind_is_refused(shared_data: Path) -> None:
    """A causal model cannot summarise as an encoder-decoder, and the message says which class was asked for."""
    with pytest.raises(ModelError, match="AutoModelForSeq2SeqLM"):
        load(str(shared_data / "checkpoints" / "stories260K"))
