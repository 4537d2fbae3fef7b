"""What clean decoder-only pipelines do alike, however their prompts are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.defects.reference.rows import Row
from harness.defects.reference.seq2seq import LONGEST, score_rouge

EncodePrompt = Callable[[Sequence[Row]], list[list[int]]]


def generate_texts(
    tokenizer: PreTrainedTokenizerBase,
    encode_prompt: EncodePrompt,
    model: PreTrainedModel,
    rows: Sequence[Row],
    *,
    batch_size: int = 8,
    use_cache: bool = True,
) -> list[str]:
    """The greedy completion of each row's prompt, padded on the left."""
    model.eval()
    pad = tokenizer.pad_token_id
    outputs: list[str] = []
    for start in range(0, len(rows), batch_size):
        prompts = encode_prompt(rows[start : start + batch_size])
        longest = max(map(len, prompts))
        ids = torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        with torch.inference_mode():
            found = model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=LONGEST, num_beams=1, do_sample=False,
                use_cache=use_cache, pad_token_id=pad,
            )  # fmt: skip
        outputs += [text.strip() for text in tokenizer.batch_decode(found[:, longest:], skip_special_tokens=True)]
    return outputs


def evaluate_rows(
    generate: Callable[..., list[str]], model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8
) -> dict[str, Any]:
    """ROUGE of the model's outputs, and how many rows were scored."""
    outputs = generate(model, rows, batch_size=batch_size)
    return {**score_rouge(outputs, [row["target"] for row in rows]), "rows": float(len(outputs))}
