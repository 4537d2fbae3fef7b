"""Our own decoder writes, token by token, what ``generate`` writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import ModelSettings, load_experiment
from harness.data.source import load_splits
from harness.errors import SettingsError
from harness.fingerprint import hash_weights
from harness.forms.encoder_decoder import EncoderDecoder
from harness.generation.agreement import Agreement, compare_outputs
from harness.generation.graph import engine, loop
from harness.generation.graph.causal import PromptMemory
from harness.generation.graph.search import State
from harness.generation.graph.t5 import Memory
from harness.generation.transformers_engine import generate as reference
from harness.models.loading import LoadedModel, load_model
from harness.tasks.summarization import SUMMARIZATION
from tests.forms.causal_models import make_causal
from tests.generation.graph.random_models import KINDS, make_model, make_sources, resolve
from tests.small import encode_rows

WAYS = {"walk": loop.Walk, "replay": loop.Replay}
"""Eager steps, and steps in the same memory as a GPU replays them."""


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way to take the steps."""
    monkeypatch.setattr(engine, "Walk", WAYS[request.param])
    name: str = request.param
    return name


def write_both(model: Any, rows: Any, resolved: Any, *, batch_size: int = 5) -> tuple[list[list[int]], list[list[int]]]:
    return (
        engine.generate.write(model, rows, resolved, batch_size=batch_size),
        reference.write(model, rows, resolved, batch_size=batch_size),
    )


@st.composite
def beam_settings(draw: Callable[..., Any]) -> dict[str, Any]:
    longest = draw(st.integers(2, 24))
    beams = draw(st.integers(1, 5))
    chosen: dict[str, Any] = {
        "num_beams": beams,
        "max_length": longest,
        "min_length": draw(st.integers(0, longest)),
        "no_repeat_ngram_size": draw(st.integers(0, 3)),
        "eos_token_id": draw(st.sampled_from([1, [1, 5], [1, 3, 7]])),
    }
    if beams > 1:
        chosen |= {
            "length_penalty": draw(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])),
            "early_stopping": draw(st.sampled_from([True, False, "never"])),
        }
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        if draw(st.booleans()) and draw(st.booleans()):
            chosen[name] = draw(st.sampled_from([1, 9, 30]))
    return chosen


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    chosen=beam_settings(),
    kind=st.sampled_from(sorted(KINDS)),
    vocabulary=st.sampled_from([40, 150, 300]),
    sharpness=st.sampled_from([1.0, 2.0, 3.0]),
    rows=st.integers(1, 7),
    batch_size=st.integers(1, 5),
    longest=st.sampled_from([1, 2, 12]),
    empty_padding=st.booleans(),
    way=st.sampled_from(sorted(WAYS)),
)
def test_random_models_write_the_same_tokens(
    seed: int,
    chosen: dict[str, Any],
    kind: str,
    vocabulary: int,
    sharpness: float,
    rows: int,
    batch_size: int,
    longest: int,
    empty_padding: bool,  # noqa: FBT001 - hypothesis gives it by name
    way: str,
) -> None:
    """Whatever the lengths, beams, penalties, stopping, n-grams and forced tokens; in float64 nothing may differ."""
    model = make_model(seed, vocabulary=vocabulary, kind=kind, sharpness=sharpness, empty_padding=empty_padding)
    if not model.config.is_encoder_decoder:
        chosen = {name: value for name, value in chosen.items() if name != "forced_bos_token_id"}
        chosen["no_repeat_ngram_size"] = {1: 2}.get(chosen["no_repeat_ngram_size"], chosen["no_repeat_ngram_size"])
    resolved = resolve(model, **chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "Walk", WAYS[way])
        sources = make_sources(seed, rows, vocabulary=vocabulary, longest=longest)
        ours, theirs = write_both(model, sources, resolved, batch_size=batch_size)
    assert ours == theirs


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("sharpness", [0.5, 1.0])
def test_models_with_an_empty_embedding_of_padding_write_the_same_tokens(kind: str, sharpness: float, way: str) -> None:
    """From all zeros nothing can be learned about a model, as by what it multiplies its last states."""
    model = make_model(3, kind=kind, sharpness=sharpness, empty_padding=True)
    ours, theirs = write_both(model, make_sources(3, 4), resolve(model, num_beams=4, max_length=12))
    assert ours == theirs


def plant_unfollowed_slots(patch: pytest.MonkeyPatch) -> None:
    """Each beam looks at its own places in the cache, whatever it went on from."""
    right = State.follow

    def follow(self: State, parents: torch.Tensor, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        stay = torch.arange(parents.shape[1]).expand_as(parents)
        return {**right(self, parents, tokens), "slots": right(self, stay, tokens)["slots"]}

    patch.setattr(State, "follow", follow)


def plant_swapped_memory(patch: pytest.MonkeyPatch) -> None:
    """Rows that are done leave the batch, and the others go on with the memory of the first."""
    right = State.select
    patch.setattr(State, "select", lambda self, rows: right(self, rows.flip(0)))


def plant_unmasked_sources(patch: pytest.MonkeyPatch) -> None:
    """Padding of a source is read like text."""
    right = loop.Walk.decode
    patch.setattr(loop.Walk, "decode", lambda self, sources, mask: right(self, sources, torch.ones_like(mask)))


def plant_stale_memory(patch: pytest.MonkeyPatch) -> None:
    """A batch that takes over the captured steps of the one before does not take its own sources along."""
    patch.setattr(engine, "Walk", loop.Replay)
    patch.setattr(Memory, "assign", lambda *_: None)
    patch.setattr(PromptMemory, "assign", lambda *_: None)


PLANTS = [plant_unfollowed_slots, plant_swapped_memory, plant_unmasked_sources, plant_stale_memory]


@pytest.mark.parametrize("kind", ["t5", "llama"])
@pytest.mark.parametrize("plant", PLANTS)
def test_planted_bugs_are_seen(
    plant: Callable[[pytest.MonkeyPatch], None], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above has teeth: with a bug in the caches or the mask some rows differ."""
    plant(monkeypatch)
    chosen = {"num_beams": 3, "max_length": 20, "early_stopping": True, "eos_token_id": [1, 3, 7, 9, 11]}

    def differs(seed: int) -> bool:
        model = make_model(seed, vocabulary=40, kind=kind, sharpness=2.0)
        rows = make_sources(seed, 12, vocabulary=40, longest=2)
        ours, theirs = write_both(model, rows, resolve(model, **chosen), batch_size=4)
        return ours != theirs

    assert any(differs(seed) for seed in range(4))


@pytest.mark.parametrize(
    "chosen",
    [
        {"max_length": 40},
        {"num_beams": 4, "min_length": 10, "max_length": 40, "length_penalty": 2.0, "early_stopping": True},
        {"num_beams": 3, "max_length": 30, "no_repeat_ngram_size": 3, "early_stopping": "never"},
    ],
    ids=["greedy", "notebook", "never"],
)
def test_the_embedded_model_writes_the_same_tokens(
    tiny_t5: LoadedModel, way: str, chosen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32, with real weights and rows of like and unlike length; the model itself is not changed."""
    rows = encode_rows(tiny_t5, 12)
    resolved, before = resolve(tiny_t5.model, **chosen), hash_weights(tiny_t5.model)
    ours, theirs = write_both(tiny_t5.model, rows, resolved)
    assert ours == theirs
    assert len({tuple(tokens) for tokens in ours}) > 6
    assert hash_weights(tiny_t5.model) == before


@pytest.mark.parametrize(("way", "beams"), [("walk", 1), ("replay", 4)], indirect=["way"])
def test_the_embedded_causal_model_writes_the_same_tokens(way: str, beams: int) -> None:
    """Prompts of a task, in float32 with real weights; the model itself is not changed."""
    loaded = load_model(ModelSettings(name="tiny-llama"), auto_class="AutoModelForCausalLM")
    form = make_causal(data__train_rows=6)
    rows = form.encode(load_splits(form.experiment.data, SUMMARIZATION).train, loaded)
    resolved = resolve(loaded.model, num_beams=beams, min_length=5, max_length=12, no_repeat_ngram_size=3)
    before = hash_weights(loaded.model)
    ours, theirs = write_both(loaded.model, rows, resolved, batch_size=3)
    assert ours == theirs
    assert len({tuple(tokens) for tokens in ours}) > 3
    assert hash_weights(loaded.model) == before


@pytest.mark.long
def test_real_documents_are_summarized_the_same(tiny_t5: LoadedModel, shared_data: Path) -> None:
    """200 documents of XSum, 4 beams, 40 to 150 tokens: all rows equal, but for ties, which are printed."""
    found = compare_documents(tiny_t5, shared_data, batch_size=8)
    print(found)  # noqa: T201 - the counts are the point
    assert found.rows == 200
    assert found.holds
    assert found.tied <= 2


def compare_documents(loaded: LoadedModel, shared_data: Path, *, batch_size: int) -> Agreement:
    source = str(shared_data / "xsum-documents" / "xsum_validation_200.csv")
    changes: dict[str, object] = {"data.source": source, "data.train_rows": 1, "data.eval_rows": 199}
    form = EncoderDecoder(task=SUMMARIZATION, experiment=load_experiment("summarization-full").override(changes))
    splits = load_splits(form.experiment.data, SUMMARIZATION)
    rows = form.encode((*splits.train, *splits.eval), loaded)
    notebook = {"num_beams": 4, "min_length": 40, "max_length": 150, "length_penalty": 2.0, "early_stopping": True}
    resolved = resolve(loaded.model, **notebook)
    ours, theirs = write_both(loaded.model, rows, resolved, batch_size=batch_size)
    return compare_outputs(loaded.model, rows, resolved, ours, theirs)


def test_other_models_are_refused(tiny_t5: LoadedModel) -> None:
    """A model with a hook, one with a changed module, and one in another precision are named, not miscomputed."""
    model = make_model(0)
    engine.generate.refuse(model, {})
    with pytest.raises(SettingsError, match=r"float16"):
        engine.generate.refuse(make_model(0).half(), {})
    changed = make_model(0)
    changed.decoder.block[0].layer[2].register_forward_hook(lambda *_: None)
    with pytest.raises(SettingsError, match=r'has "decoder.block.0.layer.2" changed'):
        engine.generate.refuse(changed, {})
    wrapped = make_model(0)
    wrapped.encoder.block[1].layer[0].SelfAttention.q = _Doubled(32, 32, bias=False)
    with pytest.raises(SettingsError, match=r'has "encoder.block.1.layer.0.SelfAttention.q" changed'):
        engine.generate.refuse(wrapped, {})
    model.config = replace_kind(model.config, "longt5")
    with pytest.raises(SettingsError, match="is a longt5"):
        engine.generate.refuse(model, {})


def test_what_a_causal_model_may_not_have_is_refused() -> None:
    """Attention that takes no mask of ours, positions that depend on the batch, and a forced first token are named."""
    model = make_model(0, kind="llama")
    engine.generate.refuse(model, {})
    with pytest.raises(SettingsError, match="a first token is forced, and the model is causal"):
        engine.generate.refuse(model, {"forced_bos_token_id": 3})
    model.model.rotary_emb.rope_type = "dynamic"
    with pytest.raises(SettingsError, match='has rotary positions of type "dynamic"'):
        engine.generate.refuse(model, {})
    model = make_model(0, kind="gpt2")
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(SettingsError, match="attends by flash_attention_2"):
        engine.generate.refuse(model, {})


class _Doubled(torch.nn.Linear):
    """A layer that computes otherwise than its weights say."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(inputs)


def replace_kind(config: Any, kind: str) -> Any:
    config.model_type = kind
    return config
