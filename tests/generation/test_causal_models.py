"""Engines with causal models: what a row gives depends on that row alone, and only what is new is given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.config import GenerationSettings, ModelSettings
from harness.errors import SettingsError
from harness.generation.engine import resolve_settings
from harness.generation.reference import generate_in_row_order
from harness.generation.transformers_engine import generate, generate_batch, to_generation_config
from harness.models.loading import LoadedModel, load_model
from harness.tasks.task import EncodedRow
from tests.forms.causal_models import load_small

GREEDY = GenerationSettings(max_length=12)
BEAMS = GenerationSettings(
    num_beams=3, min_length=4, max_length=12, length_penalty=2.0, early_stopping=True, no_repeat_ngram_size=2
)
LENGTHS = (3, 40, 7, 90, 1, 25, 12, 60)


@pytest.fixture(scope="module", params=["llama", "gpt2", "stories260K"])
def loaded(request: pytest.FixtureRequest) -> LoadedModel:
    """Rotary and learned positions, pad that is EOS, and real weights."""
    kind: str = request.param
    if kind == "llama":
        return load_small(kind)
    shared: Path = request.getfixturevalue("shared_data")
    return load_small(kind, shared) if kind == "gpt2" else load_stories(shared)


def load_stories(shared_data: Path) -> LoadedModel:
    folder = shared_data / "checkpoints" / "stories260K"
    return load_model(ModelSettings(name=str(folder)), auto_class="AutoModelForCausalLM")


@pytest.fixture(scope="module")
def rows(loaded: LoadedModel) -> list[EncodedRow]:
    """Prompts of very different length, out of order."""
    generator = torch.Generator().manual_seed(0)
    return [
        EncodedRow(
            id=str(length), input_ids=torch.randint(5, 500, (length,), generator=generator).tolist(), features=()
        )
        for length in LENGTHS
    ]


@pytest.mark.parametrize("settings", [GREEDY, BEAMS], ids=["greedy", "beams"])
def test_batches_change_no_output(loaded: LoadedModel, rows: list[EncodedRow], settings: GenerationSettings) -> None:
    """Outputs in batches equal those one by one, in row order, of the engine and of the reference alike."""
    resolved = resolve_settings(loaded.model, settings)
    alone = [generate(loaded.model, loaded.tokenizer, [row], resolved, batch_size=1)[0] for row in rows]
    assert len(set(alone)) > len(rows) / 2
    for engine in (generate, generate_in_row_order):
        for batch_size in (3, len(rows)):
            assert engine(loaded.model, loaded.tokenizer, rows, resolved, batch_size=batch_size) == alone


@pytest.mark.parametrize("bug", ["padded on the right", "mask of ones"])
def test_wrong_padding_would_be_seen(loaded: LoadedModel, rows: list[EncodedRow], bug: str) -> None:
    """The test above has teeth: with padding on the right, or read as text, the same rows give other outputs."""
    resolved = resolve_settings(loaded.model, GREEDY)
    right = generate(loaded.model, loaded.tokenizer, rows, resolved, batch_size=len(rows))
    longest, pad = max(LENGTHS), resolved["pad_token_id"]
    fill = [[pad] * (longest - len(row.input_ids)) for row in rows]
    on_the_right = bug == "padded on the right"
    pairs = [
        (row.input_ids, gap) if on_the_right else (gap, row.input_ids) for row, gap in zip(rows, fill, strict=True)
    ]
    ids = torch.tensor([[*one, *other] for one, other in pairs])
    mask = torch.ones_like(ids)
    if on_the_right:
        mask = (torch.arange(longest) < torch.tensor(LENGTHS)[:, None]).long()
    loaded.model.generation_config.pad_token_id = pad
    tokens = loaded.model.generate(input_ids=ids, attention_mask=mask, generation_config=to_generation_config(resolved))
    wrong = [text.strip() for text in loaded.tokenizer.batch_decode(tokens[:, longest:], skip_special_tokens=True)]
    assert sum(one != other for one, other in zip(right, wrong, strict=True)) >= 3


def test_lengths_count_new_tokens(loaded: LoadedModel, rows: list[EncodedRow]) -> None:
    """However long the prompts of a batch: each output has min_length to max_length tokens, and none of a prompt."""
    settings = GenerationSettings(min_length=5, max_length=5)
    resolved = resolve_settings(loaded.model, settings)
    assert (resolved["min_new_tokens"], resolved["max_new_tokens"]) == (5, 5)
    assert "decoder_start_token_id" not in resolved
    tokens = generate_batch(loaded.model, [row.input_ids for row in rows], to_generation_config(resolved))
    assert tokens.shape == (len(rows), 5)
    assert not (tokens == loaded.tokenizer.eos_token_id)[:, :4].any()


def test_forbidding_every_repeated_token_is_an_error(loaded: LoadedModel) -> None:
    """The prompt and its padding would be forbidden as well, so an output would depend on the batch."""
    with pytest.raises(SettingsError, match="no_repeat_ngram_size is 1, and the model is causal"):
        resolve_settings(loaded.model, GenerationSettings(no_repeat_ngram_size=1))


def test_documented_text_is_reproduced(shared_data: Path) -> None:
    """stories260K writes, from its begin token alone, the very text that its author documents."""
    loaded = load_stories(shared_data)
    expected = (shared_data / "checkpoints" / "stories260K" / "expected_greedy.txt").read_text().strip()
    row = EncodedRow(id="0", input_ids=[loaded.tokenizer.bos_token_id], features=())
    resolved = resolve_settings(loaded.model, GenerationSettings(max_length=256))
    assert generate(loaded.model, loaded.tokenizer, [row], resolved, batch_size=1) == [expected]
