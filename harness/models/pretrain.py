"""The recipe of the tiny T5: ``python -m harness.models.pretrain FOLDER`` makes it anew, in minutes on two cores.

The model learns to fill holes and to copy sentences of generated news; it never sees a summary. Fine-tuning then has
something to build on and everything to teach.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoTokenizer, PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from harness.config import DataSettings
from harness.data.columns import TextPairs
from harness.data.files import read_path
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


def documents() -> Iterator[str]:
    """News items without end."""
    return (write_document(draw_event(SEED, index)).text for index in itertools.count())


def make_tokenizer(folder: Path, *, texts: int = TOKENIZER_DOCUMENTS) -> PreTrainedTokenizerBase:
    """Train the tokenizer on the first ``texts`` news items and write it into ``folder``."""
    trained = train_tokenizer(itertools.islice(documents(), texts), vocab_size=VOCAB_SIZE)
    save_tokenizer(trained, folder, max_length=MAX_LENGTH)
    return AutoTokenizer.from_pretrained(folder)


def pretrain(
    folder: Path, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], *, steps: int = STEPS
) -> list[float]:
    """Train a model from nothing and write it into ``folder``.

    Args:
        folder: where the model goes.
        tokenizer: one with the special tokens of T5, at least 32 sentinels among them.
        texts: documents without end; a step takes a few dozen.
        steps: how many training steps.

    Returns:
        The loss of each step, in nats per token.
    """
    stream = iter(texts)
    torch.manual_seed(SEED)
    model = T5ForConditionalGeneration(shape(tokenizer)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    warmup = min(WARMUP, 1 + steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warmup, (steps - step) / (0.5 * steps))
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
    special = {
        f"{name}_token_id": getattr(model.config, f"{name}_token_id") for name in ("decoder_start", "eos", "pad")
    }
    (folder / "generation_config.json").write_text(json.dumps(special, indent=2) + "\n", encoding="utf-8")
    return losses


def shape(tokenizer: PreTrainedTokenizerBase) -> T5Config:
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


def span_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase, draw: Draw) -> dict[str, torch.Tensor]:
    """Documents with holes to fill, as `pad_pairs` returns them."""
    eos = tokenizer.convert_tokens_to_ids(EOS)
    sentinels = tokenizer.convert_tokens_to_ids(list(SENTINELS))
    documents_ids = tokenizer(
        list(itertools.islice(texts, SPAN_DOCUMENTS)), add_special_tokens=False, truncation=True, max_length=MAX_LENGTH
    )["input_ids"]
    return pad_pairs([corrupt_spans(ids, sentinels=sentinels, eos=eos, draw=draw) for ids in documents_ids], tokenizer)


def copy_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase, draw: Draw) -> dict[str, torch.Tensor]:
    """Sentences to copy, as `pad_pairs` returns them."""
    sentences = [draw.pick(re.split(r"\. |\n", next(texts))) for _ in range(COPY_SENTENCES)]
    return pad_pairs(
        [(ids, ids) for ids in tokenizer(sentences, truncation=True, max_length=MAX_LENGTH)["input_ids"]], tokenizer
    )


def pad_pairs(pairs: list[tuple[list[int], list[int]]], tokenizer: PreTrainedTokenizerBase) -> dict[str, torch.Tensor]:
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
    parser.add_argument("--tokenizer", type=Path, help="a T5 tokenizer folder to use; by default one is trained")
    parser.add_argument(
        "--texts", type=Path, help="rows whose inputs to train on, over and over; by default the newsroom"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    if options.tokenizer is None:
        tokenizer = make_tokenizer(options.folder)
    else:
        tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
        # Copied, not saved: what transformers 5 saves, 4 cannot open.
        for file in options.tokenizer.iterdir():
            shutil.copy(file, options.folder)
    # The documents behind those that the tokenizer was trained on.
    texts: Iterable[str] = itertools.islice(documents(), TOKENIZER_DOCUMENTS, None)
    if options.texts is not None:
        texts = itertools.cycle(
            [row.input for row in read_path(options.texts, DataSettings(), TextPairs(), split="train")]
        )
    last = pretrain(options.folder, tokenizer, texts, steps=options.steps)[-100:]
    seconds = round(time.perf_counter() - began)
    print(json.dumps({"steps": options.steps, "final_loss": round(sum(last) / len(last), 4), "seconds": seconds}))


if __name__ == "__main__":
    main()
