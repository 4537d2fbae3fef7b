"""Models of the hub: fetched whole, then never asked for again; in safetensors, and from nobody but their owner."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.config import ModelSettings
from harness.errors import ModelError
from harness.models.loading import load_model
from harness.models.locate import EMBEDDED, is_cached, locate_model
from harness.models.trust import _find_pickles
from tests.hub_server import COMMIT, Hub, serve_hub

NAME = "owner/tiny"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model on the hub: that of the package."""
    return Path(shutil.copytree(EMBEDDED / "tiny-t5", tmp_path / "hub" / "models" / NAME))


@pytest.fixture
def hub(model: Path) -> Iterator[Hub]:
    """The hub that has it."""
    with serve_hub(model.parents[2]) as hub:
        yield hub


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the libraries keep what they fetch."""
    return tmp_path / "home"


def load(hub: Hub, home: Path, *, offline: bool = False, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Load the model."""
    asked = json.dumps({"name": NAME, **settings})
    return hub.call("tests.models.load_hub", asked, home=home, offline=offline)


def require_loaded(done: subprocess.CompletedProcess[str]) -> None:
    """The weights and the tokenizer are those of the package."""
    assert done.returncode == 0, done.stderr
    embedded = load_model(ModelSettings(name="tiny-t5"), auto_class="AutoModelForSeq2SeqLM").identify()
    assert json.loads(done.stdout) == {**embedded.model_dump(), "name": NAME}


def test_model_is_fetched_once_and_to_its_end(hub: Hub, home: Path) -> None:
    """After the first time the network is left alone, whether there is one or not, unless a part was lost."""
    require_loaded(load(hub, home))
    asked = len(hub.asked)
    require_loaded(load(hub, home))
    require_loaded(load(hub, home, offline=True))
    assert asked
    assert not [path for path in hub.asked[asked:] if NAME in path]
    for path in home.rglob("model.safetensors"):
        path.unlink()
    done = load(hub, home, offline=True)
    assert done.returncode == 1
    assert (
        f'HubError: "{NAME}" is no local path, so it was taken for a model of the hub, but HF_HUB_OFFLINE'
        in done.stderr
    )
    require_loaded(load(hub, home))


def test_pickles_are_refused_by_name_unless_allowed(hub: Hub, home: Path, model: Path) -> None:
    """And nobody else is asked to make safetensors of them, as transformers would: those were another's weights."""
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    for allowed in (False, True, False):
        done = load(hub, home, allow_pickle=allowed)
        if allowed:
            require_loaded(done)
            continue
        assert done.returncode == 1
        assert f'ModelError: The checkpoint "{NAME}" has its weights in pytorch_model.bin and not in saf' in done.stderr
    assert not [path for path in hub.asked if "commits" in path or "discussions" in path]


SHARDS = ("a.safetensors", "b.safetensors")
RULES = ("config.json", "tokenizer_config.json")
WHOLE = (*RULES, "tokenizer.json", "model.safetensors")


@pytest.mark.parametrize(
    ("names", "whole"),
    [
        (WHOLE, True),
        ((*RULES, "vocab.json", "merges.txt", "model.safetensors"), True),
        ((*RULES, "vocab.json", "no merges.txt", "model.safetensors"), True),
        (("config.json", "no tokenizer_config.json", "vocab.txt", "model.safetensors"), True),
        ((*RULES, "spiece.model", "model.safetensors.index.json", *SHARDS), True),
        ((*RULES, "vocab.json", "model.safetensors"), False),
        ((*RULES, "vocab.txt", "pytorch_model.bin"), False),
        ((*RULES, "spiece.model", "model.safetensors.index.json", SHARDS[0]), False),
        ((*RULES, "tokenizer.json", *SHARDS), False),
        *((tuple(name for name in WHOLE if name != lost), False) for lost in WHOLE),
        ((), False),
    ],
    ids=str,
)
def test_model_is_cached_where_all_of_it_is(
    names: tuple[str, ...], whole: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Config, tokenizer and weights, those with all the files that their index names."""
    keep(tmp_path, monkeypatch, *names)
    assert is_cached(ModelSettings(name=NAME)) is whole


def test_cached_pickles_are_the_model_where_they_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not, the hub may have safetensors as well; without a network they are there to be refused by name."""
    keep(tmp_path, monkeypatch, *RULES, "tokenizer.json", "pytorch_model.bin")
    assert is_cached(ModelSettings(name=NAME, allow_pickle=True))
    assert locate_model(ModelSettings(name=NAME)).local
    with pytest.raises(ModelError, match=r"has its weights in pytorch_model\.bin and not in safetensors"):
        load_model(ModelSettings(name=NAME), auto_class="AutoModelForSeq2SeqLM")


@pytest.mark.parametrize("vocabulary", [(), ("spm.model",)], ids=["of bytes", "of another name"])
def test_cached_model_of_another_tokenizer_needs_no_network(
    vocabulary: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every tokenizer has a vocabulary in a file, or one whose name is known: where there is a hub, it is asked."""
    keep(tmp_path, monkeypatch, *RULES, *vocabulary, "model.safetensors")
    assert not is_cached(ModelSettings(name=NAME))
    assert locate_model(ModelSettings(name=NAME)).local


def keep(cache: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Have files of the model in the cache, with no network; "no NAME" is one that the hub was found not to have."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    kept = cache / "models--owner--tiny"
    for folder in ("refs", f"snapshots/{COMMIT}", f".no_exist/{COMMIT}"):
        (kept / folder).mkdir(parents=True)
    (kept / "refs" / "main").write_text(COMMIT)
    for name in names:
        content = {"weight_map": {"x": SHARDS[0], "y": SHARDS[1]}} if "index" in name else {}
        lacking = name.startswith("no ")
        place = kept / (".no_exist" if lacking else "snapshots") / COMMIT / name.removeprefix("no ")
        place.write_text(json.dumps(content))


def test_safetensors_in_another_folder_do_not_hide_pickles() -> None:
    """As those of ONNX beside the weights; an index stands for its files, wherever they are."""
    assert _find_pickles(["config.json", "pytorch_model.bin", "onnx/model.safetensors"]) == ["pytorch_model.bin"]
    assert _find_pickles(["pytorch_model.bin", "model.safetensors"]) == []
    assert _find_pickles(["pytorch_model.bin", "model.safetensors.index.json", "parts/1.safetensors"]) == []
    assert _find_pickles(["optimizer/x.bin", "model.safetensors"]) == []


def test_model_that_is_not_there_is_named(hub: Hub, home: Path, model: Path) -> None:
    """A name that the hub does not know."""
    shutil.rmtree(model)
    done = load(hub, home)
    assert done.returncode == 1
    assert f'"{NAME}"' in done.stderr
    assert "Traceback" not in done.stderr
