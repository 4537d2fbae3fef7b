"""The embedded checkpoint: small, safe, a real base, and made by a recipe that can be run again."""

from __future__ import annotations

import itertools
import json
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from harness.data.newsroom import draw_event, write_summary
from harness.data.newsroom.draw import Draw
from harness.fingerprint import hash_weights
from harness.models.loading import LoadedModel
from harness.models.pretrain import SEED, documents, make_tokenizer, pretrain
from harness.models.span_corruption import corrupt_spans

FOLDER = Path(str(resources.files("harness"))) / "models" / "tiny-t5"
PINNED = "cf676d19"


def test_checkpoint_is_small_and_safe() -> None:
    """At most 2 million parameters and 8 MB, safetensors and text alone, with a model card."""
    files = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert sum(files.values()) <= 8_000_000
    assert set(files) == {
        "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip


def test_weights_are_the_stored_ones_in_every_version(tiny_t5: LoadedModel) -> None:
    """The weights' hash is pinned: it is what every stored baseline was made with."""
    assert tiny_t5.identify().weights.startswith(PINNED)
    assert tiny_t5.identify().parameters == 1_640_832


def test_tokenizer_makes_the_same_ids_in_every_version(tiny_t5: LoadedModel) -> None:
    """Ids are pinned for a text with digits, capitals, accents and a line break."""
    ids = tiny_t5.tokenizer("Ada Larby won 1,204 votes.\nNaïve?")["input_ids"]
    assert ids == json.loads((Path(__file__).parent / "tiny_t5_ids.json").read_text(encoding="utf-8"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_text_is_unknown_or_lost(tiny_t5: LoadedModel, text: str) -> None:
    """Every text comes back as it was, and no token is unknown."""
    ids = tiny_t5.tokenizer(text, split_special_tokens=True)["input_ids"]
    assert tiny_t5.tokenizer.unk_token_id not in ids
    assert tiny_t5.tokenizer.decode(ids, skip_special_tokens=True) == text


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two checkpoints by the recipe, a few steps each."""
    folders = [tmp_path_factory.mktemp("recipe") for _ in range(2)]
    for folder in folders:
        pretrain(folder, make_tokenizer(folder, texts=500), documents(), steps=3)
    return folders


def test_recipe_gives_the_same_bits_again(remade: list[Path]) -> None:
    """Run twice, the recipe writes equal files."""
    one, other = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in remade)
    assert one == other
    assert set(one) == {path.name for path in FOLDER.iterdir()} - {"README.md"}


def test_recipe_writes_the_shape_of_the_checkpoint(remade: list[Path]) -> None:
    """Config and settings are those of the stored checkpoint, library version and vocabulary aside."""
    for name in ("config.json", "generation_config.json", "tokenizer_config.json"):
        stored, made = (json.loads((folder / name).read_text(encoding="utf-8")) for folder in (FOLDER, remade[0]))
        for settings in (stored, made):
            settings.pop("transformers_version", None)
        assert {**made, **{key: stored[key] for key in stored.keys() - made.keys()}} == stored


@pytest.mark.slow
def test_recipe_learns(tmp_path: Path) -> None:
    """Twenty-five steps lower the loss of both objectives."""
    losses = pretrain(tmp_path, make_tokenizer(tmp_path, texts=500), documents(), steps=25)
    assert losses[24] < losses[0] - 0.3
    assert losses[23] < losses[1] - 0.3


def test_pretraining_never_sees_a_summary() -> None:
    """The recipe's documents hold no sentence of any of their summaries."""
    for index, document in enumerate(itertools.islice(documents(), 200)):
        summary = write_summary(draw_event(SEED, index)).text
        assert not any(sentence in document for sentence in summary.rstrip(".").split(". "))


@given(st.lists(st.integers(100, 200), min_size=8, max_size=200), st.integers(0, 99))
def test_corrupted_spans_fill_the_holes(ids: list[int], seed: int) -> None:
    """Putting the target's spans back where the sentinels stand gives the text again."""
    sentinels = list(range(10, 40))
    source, target = corrupt_spans(ids, sentinels=sentinels, eos=1, draw=Draw(seed))
    assert source[-1] == target[-1] == 1
    spans: dict[int, list[int]] = {}
    for token in target[:-1]:
        if token in sentinels:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    restored = [token for place in source[:-1] for token in spans.get(place, [place])]
    assert restored == ids
    assert len(spans) >= 1
    assert list(spans) == sentinels[: len(spans)]


def test_saved_tokenizer_opens_as_a_fast_one() -> None:
    """AutoTokenizer opens the folder in transformers 4 and 5 alike."""
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    assert tokenizer.is_fast
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (0, 1, 2)


def test_hash_does_not_depend_on_the_object(tiny_t5: LoadedModel) -> None:
    """Loading again gives the same hash."""
    assert hash_weights(tiny_t5.model) == tiny_t5.identify().weights
