"""A stranger's script with TRL: prompts and completions, and the trainer does all the rest."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from harness import Declared, Pipeline
from harness.defects.reference.models import make_llama
from harness.defects.reference.rows import read_splits
from harness.defects.reference.tokenizers import causal_tokenizer

tokenizer = copy.deepcopy(causal_tokenizer())
tokenizer.chat_template = None


def make_model(seed: int = 0) -> Any:
    return make_llama(tokenizer, seed)


def train(model: Any, rows: Sequence[dict[str, str]], *, seed: int = 0, epochs: int = 2, batch_size: int = 8,
          completion_only: bool = True) -> Any:  # fmt: skip
    pairs = [{"prompt": f"Text: {row['input']}\nSummary:", "completion": f" {row['target']}"} for row in rows]
    with TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, num_train_epochs=epochs, per_device_train_batch_size=batch_size, learning_rate=5e-3,
            seed=seed, report_to="none", save_strategy="no", use_cpu=True, max_length=128, bf16=False,
            completion_only_loss=completion_only, gradient_checkpointing=False, disable_tqdm=True,
            logging_strategy="no", dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = SFTTrainer(
            model=copy.deepcopy(model), args=config, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer
        )
        trainer.train()
    return trainer.model.eval()


def generate(model: Any, rows: Sequence[dict[str, str]]) -> list[str]:
    prompts = [f"Text: {row['input']}\nSummary:" for row in rows]
    batch = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
    with torch.inference_mode():
        ids = model.generate(**batch, max_new_tokens=40, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    texts = tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [text.strip() for text in texts]


PIPELINE = Pipeline(
    name="TRL's SFTTrainer",
    declared=Declared(learning_rate=5e-3, schedule="linear", completion_only=True, max_new_tokens=40),
    tokenizer=tokenizer,
    splits=read_splits,
    prompt=lambda row: f"Text: {row['input']}\nSummary:",
    make_model=make_model,
    train=train,
    generate=generate,
    save=lambda model, folder: model.save_pretrained(folder),
    load=lambda folder: type(make_model()).from_pretrained(folder).eval(),
)
