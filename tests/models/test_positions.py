"""How many tokens a model can read: the number found is the number that works."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from harness.models.positions import count_positions

SIZE = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
DISTIL = {"vocab_size": 20, "dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8}


@pytest.mark.parametrize(
    ("kind", "size"),
    [("Bert", SIZE), ("RoFormer", SIZE), ("Roberta", SIZE), ("Electra", SIZE), ("DistilBert", DISTIL)],
)
def test_that_many_tokens_can_be_read_and_no_more(kind: str, size: dict[str, Any]) -> None:
    """A model reads as many tokens as are counted, and one more is an error of torch."""
    config = getattr(transformers, f"{kind}Config")(max_position_embeddings=12, **size)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    places = count_positions(model)
    assert places == (10 if kind == "Roberta" else 12)
    with torch.no_grad():
        model(torch.full((1, places), 5), attention_mask=torch.ones(1, places))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, places + 1), 5), attention_mask=torch.ones(1, places + 1))


def test_relative_positions_are_without_end() -> None:
    """A model that measures distances has no table of positions."""
    config = transformers.T5Config(vocab_size=20, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    assert count_positions(transformers.T5EncoderModel(config)) is None
