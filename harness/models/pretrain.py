"""The recipe of the tiny T5: ``python -m harness.models.pretrain FOLDER`` makes it anew, in minutes on two cores.

The model learns to fill holes and to copy sentences of generated news; it never sees a summary. Fine-tuning then has
something to build on and everything to teach.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from harness.data.newsroom import draw_event, write_document
from harness.data.newsroom.draw import Draw
from harness.models.span_corruption import corrupt_spans
from harness.models.tokenizer_recipe import EOS, PAD, SENTINELS, save_tokenizer, train_tokenizer

SEED = 1_000_000_007
"""The newsroom stream of the pre-training documents; experiments use small seeds, so no document is ever shared."""
MAX_LENGTH = 512
VOCAB_SIZE = 2048
TOKENIZER_DOCUMENTS = 20_000
STEPS = 5_500
LEARNING_RATE = 2e-3
WARMUP = 300
SPAN_DOCUMENTS = 24
"""Documents in a batch of span corruption."""
COPY_SENTENCES = 64
"""Sentences in a batch of copying; batches of the two kinds take turns."""


def documents(start: int = 0) -> Iterator[str]:
    """News items without end."""
    index = start
    while True:
        yield write_document(draw_event(SEED, index)).text
        index += 1


def pretrain(folder: Path, *, steps: int = STEPS) -> float:
    """Train tokenizer and model and write them into ``folder``; returns the mean loss of the last 100 steps (nats)."""
    folder.mkdir(parents=True, exist_ok=True)
    stream = documents()
    save_tokenizer(
        train_tokenizer((next(stream) for _ in range(TOKENIZER_DOCUMENTS)), vocab_size=VOCAB_SIZE),
        folder,
        max_length=MAX_LENGTH,
    )
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    torch.manual_seed(SEED)
    model = T5ForConditionalGeneration(shape(tokenizer)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARMUP, (steps - step) / (0.5 * steps))
    )
    losses: list[float] = []
    began = time.perf_counter()
    for step in range(steps):
        make_batch = copy_batch if step % 2 else span_batch
        loss = model(**make_batch(stream, tokenizer, Draw(SEED, "batch", step))).loss
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if len(losses) % 100 == 0:
            recent = sum(losses[-100:]) / 100
            print(f"step {step + 1}/{steps}  loss {recent:.3f}  {time.perf_counter() - began:.0f} s", flush=True)
    # Fine-tuning uses a little dropout; pre-training on endless fresh text needs none.
    model.config.dropout_rate = 0.05
    model.save_pretrained(folder)
    return sum(losses[-100:]) / len(losses[-100:])


def shape(tokenizer: PreTrainedTokenizerFast) -> T5Config:
    """The model's shape: 1.6 M parameters."""
    return T5Config(
        vocab_size=len(tokenizer),
        d_model=128,
        d_kv=32,
        d_ff=512,
        num_layers=3,
        num_heads=4,
        dropout_rate=0.0,
        relative_attention_num_buckets=32,
        pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
        eos_token_id=tokenizer.convert_tokens_to_ids(EOS),
        decoder_start_token_id=tokenizer.convert_tokens_to_ids(PAD),
        tie_word_embeddings=True,
    )


def span_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerFast, draw: Draw) -> dict[str, torch.Tensor]:
    """Documents with holes to fill, as `pad_pairs` returns them."""
    eos = tokenizer.convert_tokens_to_ids(EOS)
    sentinels = tokenizer.convert_tokens_to_ids(list(SENTINELS))
    documents_ids = tokenizer([next(texts) for _ in range(SPAN_DOCUMENTS)], add_special_tokens=False)["input_ids"]
    return pad_pairs([corrupt_spans(ids, sentinels=sentinels, eos=eos, draw=draw) for ids in documents_ids], tokenizer)


def copy_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerFast, draw: Draw) -> dict[str, torch.Tensor]:
    """Sentences to copy, as `pad_pairs` returns them."""
    sentences = [draw.pick(next(texts).split(". ")) for _ in range(COPY_SENTENCES)]
    return pad_pairs([(ids, ids) for ids in tokenizer(sentences)["input_ids"]], tokenizer)


def pad_pairs(pairs: list[tuple[list[int], list[int]]], tokenizer: PreTrainedTokenizerFast) -> dict[str, torch.Tensor]:
    """Pad (source, target) token ids to a batch.

    Returns:
        ``input_ids`` and ``attention_mask`` (batch, source_len) int64; ``labels`` (batch, target_len) int64, -100 where
        no loss is taken.
    """
    pad = tokenizer.convert_tokens_to_ids(PAD)
    sources, targets = ([torch.tensor(side) for side in sides] for sides in zip(*pairs, strict=True))
    input_ids = pad_sequence(sources, batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(source) for source in sources])
    return {
        "input_ids": input_ids,
        "attention_mask": (torch.arange(input_ids.shape[1]) < lengths[:, None]).long(),
        "labels": pad_sequence(targets, batch_first=True, padding_value=-100),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write the checkpoint")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"training steps (default {STEPS})")
    options = parser.parse_args()
    began = time.perf_counter()
    loss = pretrain(options.folder, steps=options.steps)
    print(
        json.dumps(
            {"steps": options.steps, "final_loss": round(loss, 4), "seconds": round(time.perf_counter() - began)}
        )
    )


if __name__ == "__main__":
    main()
