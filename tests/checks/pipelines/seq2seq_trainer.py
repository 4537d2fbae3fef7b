"""A script round `Seq2SeqTrainer`, as in its documentation; it knows nothing of the harness."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import models, tokenizers
from harness.defects.reference.rows import read_splits

LEARNING_RATE = 3e-3


def encode(tokenizer: Any, rows: list[Any]) -> list[Any]:
    inputs = tokenizer(["summarize: " + row["input"] for row in rows], max_length=128, truncation=True)
    labels = tokenizer(text_target=[row["target"] for row in rows], max_length=64, truncation=True)["input_ids"]
    return [
        {"input_ids": ids, "attention_mask": mask, "labels": label}
        for ids, mask, label in zip(inputs["input_ids"], inputs["attention_mask"], labels, strict=True)
    ]


def token_mean(outputs: Any, labels: Any, num_items_in_batch: Any = None) -> torch.Tensor:
    """The mean over all tokens of an optimizer step; T5's own loss is a mean over those of a batch."""
    return torch.nn.functional.cross_entropy(outputs.logits.flatten(0, 1), labels.flatten(), reduction="sum") / (
        num_items_in_batch or (labels != -100).sum()
    )


def train(
    tokenizer: Any, settings: dict[str, Any], loss: Any, model: Any, rows: list[Any], *, folder: Path | None = None,
    seed: int = 0, epochs: int = 3, batch_size: int = 8, accumulation: int = 1, resume: bool = False,
) -> Any:  # fmt: skip
    options = {
        "learning_rate": LEARNING_RATE, "weight_decay": 0.01, "save_steps": 2, "report_to": [], "disable_tqdm": True,
        "logging_strategy": "no", "use_cpu": True, "seed": seed, "num_train_epochs": epochs,
        "per_device_train_batch_size": batch_size, "gradient_accumulation_steps": accumulation, **settings,
    }  # fmt: skip
    trainer = Seq2SeqTrainer(
        model=model,
        args=Seq2SeqTrainingArguments(output_dir=str(folder or mkdtemp()), **options),
        train_dataset=encode(tokenizer, rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=model),
        compute_loss_func=loss,
    )
    trainer.train(resume_from_checkpoint=resume or None)
    return model


def generate(tokenizer: Any, model: Any, rows: list[Any], *, batch_size: int = 8) -> list[str]:
    model.eval()
    outputs: list[str] = []
    for start in range(0, len(rows), batch_size):
        texts = ["summarize: " + row["input"] for row in rows[start : start + batch_size]]
        batch = tokenizer(texts, padding=True, return_tensors="pt", max_length=128, truncation=True)
        # Not the whole batch: with transformers 4 this tokenizer names types of tokens, which T5 refuses.
        written = model.generate(batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=64)
        outputs += tokenizer.batch_decode(written, skip_special_tokens=True)
    return outputs


def make_pipeline(loss: Any = token_mean, **settings: Any) -> Pipeline:
    """The script as a pipeline, with other arguments of the trainer."""
    tokenizer = tokenizers.t5_tokenizer()
    run = partial(train, tokenizer, settings, loss)
    return Pipeline(
        name="seq2seq trainer",
        declared=Declared(task="summarization", learning_rate=LEARNING_RATE, schedule="linear", weight_decay=0.01),
        tokenizer=tokenizer,
        splits=read_splits,
        encode=partial(encode, tokenizer),
        collate=DataCollatorForSeq2Seq(tokenizer),
        make_model=lambda seed=0: models.make_t5(tokenizer, seed),
        train=run,
        resume=partial(run, resume=True),
        save=lambda model, folder: model.save_pretrained(folder),
        load=lambda folder: models.make_t5(tokenizer, 0).from_pretrained(folder),
        generate=partial(generate, tokenizer),
    )
