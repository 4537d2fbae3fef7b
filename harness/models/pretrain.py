"""The tiny checkpoints anew: ``python -m harness.models.pretrain FOLDER --shape t5`` (or bert, or llama), in minutes.

A model learns to restore, to copy and to go on with generated news; it never sees a summary, a label or a question.
Fine-tuning then has something to build on and everything to teach.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch.nn.utils import clip_grad_norm_
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from harness.config import DataSettings
from harness.data.columns import TextPairs
from harness.data.files import read_path
from harness.data.newsroom import draw_event, write_document
from harness.data.newsroom.draw import Draw
from harness.models.recipes import RECIPES
from harness.models.recipes.recipe import Recipe
from harness.models.recipes.t5 import T5
from harness.models.tokenizer_recipe import save_tokenizer, train_tokenizer

SEED = 1_000_000_007
"""The newsroom stream of the pre-training documents; experiments use small seeds, so no document is ever shared."""
VOCAB_SIZE = 2048
TOKENIZER_DOCUMENTS = 20_000


def documents() -> Iterator[str]:
    """News items without end."""
    return (write_document(draw_event(SEED, index)).text for index in itertools.count())


def make_tokenizer(folder: Path, *, recipe: Recipe = T5, texts: int = TOKENIZER_DOCUMENTS) -> PreTrainedTokenizerBase:
    """Train the recipe's tokenizer on the first ``texts`` news items and write it into ``folder``."""
    trained = train_tokenizer(itertools.islice(documents(), texts), vocab_size=VOCAB_SIZE, special=recipe.special)
    save_tokenizer(trained, folder, special=recipe.special, max_length=recipe.max_length)
    return AutoTokenizer.from_pretrained(folder)


def pretrain(
    folder: Path, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], *, recipe: Recipe = T5, steps: int
) -> list[float]:
    """Train a model from nothing and write it into ``folder``.

    Args:
        folder: where the model goes.
        tokenizer: one with the recipe's special tokens.
        texts: documents without end; a step takes a few dozen.
        recipe: the shape and what it learns.
        steps: how many training steps.

    Returns:
        The loss of each step, in nats per token.
    """
    stream = iter(texts)
    torch.manual_seed(SEED)
    model = recipe.make_model(tokenizer).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.01)
    warmup = min(recipe.warmup, 1 + steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warmup, (steps - step) / (0.5 * steps))
    )
    losses: list[float] = []
    began = time.perf_counter()
    for step in range(steps):
        make_batch = recipe.objectives[step % len(recipe.objectives)]
        loss = model(**make_batch(stream, tokenizer, Draw(SEED, "batch", step))).loss
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if len(losses) % 100 == 0:
            recent = "  ".join(f"{value:.3f}" for value in recent_losses(losses, recipe))
            print(f"step {step + 1}/{steps}  loss {recent}  {time.perf_counter() - began:.0f} s", flush=True)
    for name, value in recipe.dropout.items():
        setattr(model.config, name, value)
    model.save_pretrained(folder)
    write_generation_config(folder, model.config)
    return losses


def recent_losses(losses: list[float], recipe: Recipe) -> list[float]:
    """The mean loss of each objective over the last hundred steps, in nats per token."""
    kinds = len(recipe.objectives)
    recent = [
        [loss for step, loss in enumerate(losses) if step % kinds == kind][-100 // kinds :] for kind in range(kinds)
    ]
    return [sum(values) / len(values) for values in recent if values]


def write_generation_config(folder: Path, config: PretrainedConfig) -> None:
    """Write what generation needs of a model that generates: its special tokens, nothing else."""
    names = ("bos", "decoder_start", "eos", "pad")
    ids = {f"{name}_token_id": getattr(config, f"{name}_token_id", None) for name in names}
    if ids["eos_token_id"] is not None:
        said = {name: value for name, value in ids.items() if value is not None}
        (folder / "generation_config.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write the checkpoint")
    parser.add_argument("--shape", choices=sorted(RECIPES), default="t5", help="which recipe (default t5)")
    parser.add_argument("--steps", type=int, help="training steps (default: the recipe's)")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer folder of this shape; by default one is trained")
    parser.add_argument(
        "--texts", type=Path, help="rows whose inputs to train on, over and over; by default the newsroom"
    )
    options = parser.parse_args()
    recipe = RECIPES[options.shape]
    steps = options.steps or recipe.steps
    options.folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    if options.tokenizer is None:
        tokenizer = make_tokenizer(options.folder, recipe=recipe)
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
    losses = pretrain(options.folder, tokenizer, texts, recipe=recipe, steps=steps)
    final = [round(loss, 4) for loss in recent_losses(losses, recipe)]
    seconds = round(time.perf_counter() - began)
    print(json.dumps({"steps": steps, "final_losses": final, "seconds": seconds}))


if __name__ == "__main__":
    main()
