"""The checkpoints beside the tiny T5: small, safe, opened by any tool, and made by a recipe."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from harness.fingerprint import hash_weights
from harness.models.loading import embedded_models
from harness.models.pretrain import documents, make_tokenizer, pretrain
from harness.models.recipes import RECIPES

MODELS = Path(str(resources.files("harness"))) / "models"
IDS = json.loads((Path(__file__).parent / "tiny_ids.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A stored checkpoint and what is pinned of it."""

    shape: str
    auto_class: str
    weights: str
    parameters: int
    special: dict[str, int]
    generates: bool

    @property
    def name(self) -> str:
        """The name to load it by."""
        return f"tiny-{self.shape}"

    @property
    def folder(self) -> Path:
        """Where it is."""
        return MODELS / self.name

    def open(self) -> PreTrainedModel:
        """Open it as any user of transformers would."""
        return getattr(transformers, self.auto_class).from_pretrained(self.folder)


CHECKPOINTS = [
    Checkpoint(
        shape="bert",
        auto_class="AutoModelForMaskedLM",
        weights="8e9b6167",
        parameters=1_289_216,
        special={"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4},
        generates=False,
    ),
    Checkpoint(
        shape="llama",
        auto_class="AutoModelForCausalLM",
        weights="ae16d533",
        parameters=1_328_512,
        special={"pad": 0, "eos": 1, "unk": 2, "bos": 3},
        generates=True,
    ),
]


@pytest.fixture(scope="module", params=CHECKPOINTS, ids=lambda checkpoint: checkpoint.name)
def checkpoint(request: pytest.FixtureRequest) -> Checkpoint:
    """Each stored checkpoint in turn."""
    return request.param


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """Its tokenizer."""
    return AutoTokenizer.from_pretrained(checkpoint.folder)


@pytest.fixture(scope="module")
def remade(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two checkpoints by its recipe, a few steps each."""
    recipe = RECIPES[checkpoint.shape]
    folders = [tmp_path_factory.mktemp(checkpoint.name) for _ in range(2)]
    for folder in folders:
        pretrain(folder, make_tokenizer(folder, recipe=recipe, texts=500), documents(), recipe=recipe, steps=3)
    return folders


def test_checkpoints_are_in_the_box() -> None:
    """Each is found by name, beside the tiny T5."""
    assert embedded_models() == tuple(sorted(["tiny-t5", *(checkpoint.name for checkpoint in CHECKPOINTS)]))


def test_checkpoint_is_small_and_safe(checkpoint: Checkpoint) -> None:
    """At most 6.9 MB of safetensors and text alone, with a model card."""
    files = {path.name: path.stat().st_size for path in checkpoint.folder.iterdir()}
    assert sum(files.values()) <= 6_900_000
    generation = {"generation_config.json"} if checkpoint.generates else set()
    assert set(files) == generation | {
        "README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


def test_weights_are_the_stored_ones_in_every_version(checkpoint: Checkpoint) -> None:
    """The class of transformers finds every tensor, in float32, and the weights' hash is pinned."""
    model, report = getattr(transformers, checkpoint.auto_class).from_pretrained(
        checkpoint.folder, output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert {str(parameter.dtype) for parameter in model.parameters()} == {"torch.float32"}
    assert model.num_parameters() == checkpoint.parameters
    assert hash_weights(model).startswith(checkpoint.weights)


def test_special_tokens_are_those_of_the_model(checkpoint: Checkpoint, tokenizer: PreTrainedTokenizerBase) -> None:
    """The tokenizer is a fast one, and it agrees with config and generation settings about each special token."""
    assert tokenizer.is_fast
    assert len(tokenizer) == 2048
    for name, index in checkpoint.special.items():
        assert getattr(tokenizer, f"{name}_token_id") == index
    config = json.loads((checkpoint.folder / "config.json").read_text(encoding="utf-8"))
    for name in {"pad", "bos", "eos"} & checkpoint.special.keys():
        assert config[f"{name}_token_id"] == checkpoint.special[name]
    if checkpoint.generates:
        said = json.loads((checkpoint.folder / "generation_config.json").read_text(encoding="utf-8"))
        assert said == {f"{name}_token_id": checkpoint.special[name] for name in ("bos", "eos", "pad")}


def test_tokenizer_makes_the_same_ids_in_every_version(
    checkpoint: Checkpoint, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Ids of a text and of a pair are pinned, with digits, capitals, accents and a line break."""
    text = "Ada Larby won 1,204 votes.\nNaïve?"
    made = {"text": tokenizer(text)["input_ids"], "pair": tokenizer("Who won?", text)["input_ids"]}
    assert made == IDS[checkpoint.name]


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_is_unknown_or_lost(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    """Every text comes back as it was, and no token is unknown."""
    ids = tokenizer(text, split_special_tokens=True)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_what_the_tokenizer_returns_goes_into_the_model(
    checkpoint: Checkpoint, tokenizer: PreTrainedTokenizerBase
) -> None:
    """A padded batch of texts is all that ``forward`` takes, neither more nor less."""
    batch = tokenizer(["Ada Larby won.", "No."], padding=True, return_tensors="pt")
    assert checkpoint.open()(**batch).logits.shape == (*batch["input_ids"].shape, 2048)
    assert ("token_type_ids" in batch) is not checkpoint.generates


def test_recipe_gives_the_same_bits_again(checkpoint: Checkpoint, remade: list[Path]) -> None:
    """Run twice, the recipe writes equal files, the stored ones but for the card."""
    one, other = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in remade)
    assert one == other
    assert set(one) == {path.name for path in checkpoint.folder.iterdir()} - {"README.md"}


def test_recipe_writes_the_shape_of_the_checkpoint(checkpoint: Checkpoint, remade: list[Path]) -> None:
    """Config and settings are those of the stored checkpoint wherever the version of transformers knows them."""
    for name in sorted({path.name for path in remade[0].glob("*config.json")}):
        stored, made = (json.loads((at / name).read_text(encoding="utf-8")) for at in (checkpoint.folder, remade[0]))
        shared = (stored.keys() & made.keys()) - {"transformers_version"}
        assert len(shared) >= 3
        assert {key: made[key] for key in shared} == {key: stored[key] for key in shared}


def test_recipe_splits_numbers_into_digits(remade: list[Path]) -> None:
    """A number never seen is made of tokens that were."""
    tokenizer = AutoTokenizer.from_pretrained(remade[0])
    tokens = tokenizer.tokenize("They won 1204 votes in 1999")
    assert [token for token in tokens if any(map(str.isdigit, token))] == list("12041999")


@pytest.mark.slow
def test_recipe_learns(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Twenty-five steps lower the loss of both objectives."""
    recipe = RECIPES[checkpoint.shape]
    tokenizer = make_tokenizer(tmp_path, recipe=recipe, texts=500)
    losses = pretrain(tmp_path, tokenizer, documents(), recipe=recipe, steps=25)
    assert losses[24] < losses[0] - 0.3
    assert losses[23] < losses[1] - 0.3
