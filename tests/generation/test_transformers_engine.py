"""The reference engine: what a row gives depends on that row alone."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig

from harness.config import GenerationSettings
from harness.fingerprint import hash_weights
from harness.generation import ENGINES
from harness.generation.engine import resolve_settings
from harness.generation.transformers_engine import generate, to_generation_config
from harness.models.loading import LoadedModel
from harness.tasks.task import EncodedRow
from tests.small import encode_rows

BEAMS = GenerationSettings(num_beams=4, min_length=10, max_length=30, length_penalty=2.0, early_stopping=True)
GREEDY = GenerationSettings(max_length=30)


@pytest.fixture(scope="module")
def rows(tiny_t5: LoadedModel) -> list[EncodedRow]:
    """Rows of very different length, out of order."""
    encoded = encode_rows(tiny_t5, 12)
    lengths = [20, 200, 9, 60, 150, 30, 500, 12, 80, 40, 10, 100]
    return [
        EncodedRow(id=row.id, input_ids=[*(row.input_ids * 3)[: length - 1], 1], features=())
        for row, length in zip(encoded, lengths, strict=True)
    ]


@pytest.mark.parametrize("settings", [GREEDY, BEAMS], ids=["greedy", "beams"])
@pytest.mark.parametrize("batch_size", [5, 12])
def test_batches_change_no_output(
    tiny_t5: LoadedModel, rows: list[EncodedRow], settings: GenerationSettings, batch_size: int
) -> None:
    """Outputs in batches equal those one by one, in row order: padding is masked. Without the mask this is red."""
    resolved = resolve_settings(tiny_t5.model, settings)
    alone = [generate(tiny_t5.model, tiny_t5.tokenizer, [row], resolved, batch_size=1)[0] for row in rows]
    assert len(set(alone)) > len(rows) / 2
    assert generate(tiny_t5.model, tiny_t5.tokenizer, rows, resolved, batch_size=batch_size) == alone


def test_a_missing_mask_would_be_seen(tiny_t5: LoadedModel, rows: list[EncodedRow]) -> None:
    """The test above has teeth: with a mask of ones the same rows give other outputs."""
    resolved = resolve_settings(tiny_t5.model, GREEDY)
    masked = generate(tiny_t5.model, tiny_t5.tokenizer, rows, resolved, batch_size=12)
    width = max(len(row.input_ids) for row in rows)
    ids = torch.tensor([row.input_ids + [0] * (width - len(row.input_ids)) for row in rows])
    config = to_generation_config(resolved)
    tokens = tiny_t5.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
    unmasked = [text.strip() for text in tiny_t5.tokenizer.batch_decode(tokens, skip_special_tokens=True)]
    assert sum(one != other for one, other in zip(masked, unmasked, strict=True)) >= 3


@pytest.mark.parametrize("longest", [19, 20, 21])
def test_every_length_means_the_same(tiny_t5: LoadedModel, rows: list[EncodedRow], longest: int) -> None:
    """The decoder's start token counts; so it does at 20, which transformers 4 takes for no limit of ours."""
    resolved = resolve_settings(tiny_t5.model, GenerationSettings(min_length=longest, max_length=longest))
    written = generate.write(tiny_t5.model, rows[:2], resolved, batch_size=2)
    assert [len(tokens) for tokens in written] == [longest - 1] * 2


def test_the_model_is_not_changed(tiny_t5: LoadedModel, rows: list[EncodedRow]) -> None:
    """Weights and generation config are what they were, also after an error."""
    before, own = hash_weights(tiny_t5.model), tiny_t5.model.generation_config
    resolved = resolve_settings(tiny_t5.model, BEAMS)
    generate(tiny_t5.model, tiny_t5.tokenizer, rows[:2], resolved, batch_size=2)
    with pytest.raises(AttributeError):
        generate(tiny_t5.model, None, rows[:2], resolved, batch_size=2)  # type: ignore[arg-type]
    assert tiny_t5.model.generation_config is own
    assert hash_weights(tiny_t5.model) == before


def test_nothing_leaks_from_the_checkpoints_own_settings(tiny_t5: LoadedModel, rows: list[EncodedRow]) -> None:
    """A generation_config.json with beams and lengths of its own changes no output: both arms get the same settings."""
    resolved = resolve_settings(tiny_t5.model, GREEDY)
    clean = generate(tiny_t5.model, tiny_t5.tokenizer, rows[:4], resolved, batch_size=4)
    own = tiny_t5.model.generation_config
    tiny_t5.model.generation_config = GenerationConfig(
        num_beams=3,
        max_length=5,
        no_repeat_ngram_size=1,
        repetition_penalty=5.0,
        forced_bos_token_id=77,
        eos_token_id=9,
    )
    try:
        assert generate(tiny_t5.model, tiny_t5.tokenizer, rows[:4], resolved, batch_size=4) == clean
    finally:
        tiny_t5.model.generation_config = own


@pytest.mark.parametrize(
    "changes",
    [{"num_beams": 3}, {"min_length": 25}, {"max_length": 12}, {"no_repeat_ngram_size": 1}],
)
def test_every_setting_acts(tiny_t5: LoadedModel, rows: list[EncodedRow], changes: dict[str, int]) -> None:
    """No setting is without effect on the outputs."""
    plain, changed = (
        generate(tiny_t5.model, tiny_t5.tokenizer, rows, resolve_settings(tiny_t5.model, settings), batch_size=12)
        for settings in (GREEDY, GREEDY.model_copy(update=changes))
    )
    assert plain != changed


@pytest.mark.parametrize("changes", [{"length_penalty": -5.0}, {"early_stopping": False}])
def test_every_beam_setting_is_resolved(tiny_t5: LoadedModel, changes: dict[str, object]) -> None:
    """Settings that act on few rows are resolved like the others, by their own names."""
    resolved = resolve_settings(tiny_t5.model, BEAMS.model_copy(update=changes))
    assert resolved != resolve_settings(tiny_t5.model, BEAMS)
    assert resolved.items() >= changes.items()


def test_engine_is_found_by_name() -> None:
    """The registry gives the engine that the settings name by default."""
    assert ENGINES[GenerationSettings().engine] is generate
