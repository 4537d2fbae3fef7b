"""Models that say what they are told."""

from __future__ import annotations

import pytest
import torch

from harness.checks.check import CheckSkipped
from harness.checks.oracle import knowing, speaking
from harness.defects.reference import REFERENCES, models, tokenizers

SHAPES = {
    "t5": lambda: models.make_t5(tokenizers.t5_tokenizer(), 0),
    "marian": lambda: models.make_marian(tokenizers.t5_tokenizer(), 0),
    "llama": lambda: models.make_llama(tokenizers.causal_tokenizer(), 0),
    "gpt2": lambda: models.make_gpt2(tokenizers.causal_tokenizer(), 0),
}


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_model_that_knows_the_next_token_has_no_loss(shape: str) -> None:
    """With the truth in its mouth a causal model's own loss is 0, and with the present token it is not."""
    model = SHAPES[shape]()
    ids = torch.tensor([[5, 9, 7, 30, 11]])
    with knowing(model, lambda given: torch.roll(given["input_ids"], -1, dims=1)):
        assert float(model(input_ids=ids, labels=ids).loss.detach()) < 1e-6
    with knowing(model, lambda given: given["input_ids"]):
        assert float(model(input_ids=ids, labels=ids).loss.detach()) > 10


@pytest.mark.parametrize("shape", ["t5", "marian"])
def test_decoder_that_knows_its_target_has_no_loss(shape: str) -> None:
    """The same for an encoder-decoder, whose labels are shifted by the model."""
    model = SHAPES[shape]()
    labels = torch.tensor([[5, 9, 7, 1]])
    with knowing(model, lambda given: given["labels"]):
        assert float(model(input_ids=labels, labels=labels).loss.detach()) < 1e-6
        assert float(model(input_ids=labels, labels=labels).logits.argmax(-1)[0, 0]) == 5


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_model_that_speaks_a_script_generates_it(shape: str, cache: bool, beams: int) -> None:  # noqa: FBT001
    """Every row and beam says the script, with and without a cache, call after call; afterwards the model is itself."""
    model = SHAPES[shape]()
    eos = int(model.config.eos_token_id)
    before = {name: value for name, value in vars(model).items() if name == "generate"}, type(model).forward
    prompt = torch.tensor([[5, 9, 7], [8, 4, 6]])
    with speaking(model, [40, 41, 42, eos]):
        for _ in range(2):
            found = model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), num_beams=beams, use_cache=cache,
                max_new_tokens=8, do_sample=False,
            )  # fmt: skip
            said = found[:, 1:] if model.config.is_encoder_decoder else found[:, 3:]
            assert said[:, :4].tolist() == [[40, 41, 42, eos]] * 2
    assert ({name: value for name, value in vars(model).items() if name == "generate"}, type(model).forward) == before


def test_model_without_a_known_head_is_skipped() -> None:
    """Where no output embeddings are named, no answer can be put into the model's mouth."""
    model = REFERENCES["classifier"].make_model(0)
    with pytest.raises(CheckSkipped, match="output embeddings"), knowing(model, lambda given: given["input_ids"]):
        pass
