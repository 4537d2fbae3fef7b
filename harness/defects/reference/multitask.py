"""A clean pipeline of three small tasks on one encoder: joint training, or one after another with EWC or replay."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from harness.checks.parts import MultitaskParts
from harness.checks.pipeline import Declared, Pipeline
from harness.data.newsroom import draw_event
from harness.defects.reference import models, tokenizers
from harness.defects.reference.rows import tell

Row = dict[str, Any]
Tasks = dict[str, dict[str, list[Row]]]

SIZES = {"topic": 72, "season": 24, "initial": 24}
"""Training rows of each task: what a text is about, the half of the year, and where in the alphabet the name begins."""
CLASSES = {"topic": 8, "season": 2, "initial": 2}
BUFFER = 24
"""Rows that the replay buffer holds, over all tasks."""


class Multitask(torch.nn.Module):
    """An encoder that the tasks share, and a head for each."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        config = BertConfig(
            vocab_size=vocabulary,
            hidden_size=models.WIDTH,
            num_hidden_layers=1,
            num_attention_heads=models.HEADS,
            intermediate_size=2 * models.WIDTH,
            initializer_range=0.1,
        )
        self.encoder = BertModel(config, add_pooling_layer=False)
        self.heads = torch.nn.ModuleDict()

    def forward(self, task: str, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits of one task: (rows, classes)."""
        read = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits: torch.Tensor = self.heads[task](read[:, 0])
        return logits


def read_tasks() -> Tasks:
    """Each task with training and evaluation rows; no text stands twice."""
    tasks: Tasks = {}
    for number, (task, size) in enumerate(SIZES.items()):
        rows = label_rows(task, [*range(1000 * number, 1000 * number + size + 8)])
        tasks[task] = {"train": rows[:size], "eval": rows[size:]}
    return tasks


def label_rows(task: str, indices: Sequence[int]) -> list[Row]:
    """Texts with the label of one task."""
    topics = ("business", "crime", "culture", "health", "politics", "science", "sport", "weather")
    rows = []
    for event in (draw_event(11, index) for index in indices):
        labels = {
            "topic": topics.index(event.kind.topic),
            "season": int(event.facts.when.month > 6),  # noqa: PLR2004 - June ends the first half
            "initial": int(event.facts.who.last[0] > "M"),
        }
        rows.append({"id": f"{task}/{event.key}", "input": tell(event)["input"], "label": labels[task]})
    return rows


def mix(seed: int = 0) -> Iterator[tuple[str, Row]]:
    """One epoch of joint training: every row of every task once, in a random order, so that size decides the share."""
    rows = [(task, row) for task, splits in read_tasks().items() for row in splits["train"]]
    random.Random(f"mix/{seed}").shuffle(rows)
    yield from rows


def make_model(seed: int = 0) -> Multitask:
    """The shared encoder, with no task yet."""
    made: Multitask = models.seeded(lambda: Multitask(len(tokenizers.encoder_tokenizer())), seed)
    return made


def add_task(model: Multitask, task: str) -> Multitask:
    """A copy with one more head."""
    wider = copy.deepcopy(model)
    if task not in wider.heads:
        wider.heads[task] = new_head(task)
    return wider


def new_head(task: str) -> torch.nn.Linear:
    """A head of random weights, the same for the same task."""
    head: torch.nn.Linear = models.seeded(lambda: torch.nn.Linear(models.WIDTH, CLASSES[task]), len(task))
    return head


def batch_of(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """Texts as ids, padded."""
    encoded = tokenizers.encoder_tokenizer()([row["input"] for row in rows], padding=True, return_tensors="pt")
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


def predict(model: Multitask, task: str, rows: Sequence[Row]) -> torch.Tensor:
    """Logits of rows: (rows, classes)."""
    return model(task, **batch_of(rows))  # type: ignore[no-any-return]


def row_losses(model: Multitask, task: str, rows: Sequence[Row]) -> torch.Tensor:
    """Cross entropy of each row: (rows,)."""
    labels = torch.tensor([row["label"] for row in rows])
    return torch.nn.functional.cross_entropy(predict(model, task, rows), labels, reduction="none")


def mean_loss(model: Multitask, task: str, rows: Sequence[Row]) -> torch.Tensor:
    """Mean cross entropy."""
    return row_losses(model, task, rows).mean()


def train_task(model: Multitask, task: str, rows: Sequence[Row]) -> Multitask:
    """A copy that has learned one task, in two passes over its rows."""
    tuned = add_task(model, task)
    optimizer = torch.optim.AdamW(tuned.parameters(), lr=1e-3)
    for start in [*range(0, len(rows), 8)] * 2:
        mean_loss(tuned, task, rows[start : start + 8]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return tuned.eval()


def shared(model: Multitask) -> dict[str, torch.nn.Parameter]:
    """The parameters that all tasks use: those that elastic weight consolidation holds on to."""
    return {name: entry for name, entry in model.named_parameters() if name.startswith("encoder.")}


def fisher(model: Multitask, task: str, rows: Sequence[Row], *, batch_size: int = 4) -> dict[str, torch.Tensor]:
    """The diagonal of the empirical Fisher information: the mean of each row's squared gradient."""
    entries = shared(model)
    total = {name: torch.zeros_like(entry) for name, entry in entries.items()}
    for start in range(0, len(rows), batch_size):
        for loss in row_losses(model, task, rows[start : start + batch_size]):
            gradients = torch.autograd.grad(loss, list(entries.values()), retain_graph=True)
            for name, gradient in zip(entries, gradients, strict=True):
                total[name] += gradient**2 / len(rows)
    return total


def anchor(model: Multitask) -> dict[str, torch.Tensor]:
    """The weights to hold on to, as they are now."""
    return {name: entry.detach().clone() for name, entry in shared(model).items()}


def penalty(
    model: Multitask, anchored: Mapping[str, torch.Tensor], importance: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    """How far the model went from its anchor, each weight by its importance (Kirkpatrick et al. 2017, equation 3)."""
    terms = [(importance[name] * (entry - anchored[name]) ** 2).sum() for name, entry in shared(model).items()]
    return torch.stack(terms).sum() / 2


def fill_buffers() -> dict[str, list[Row]]:
    """The replay buffer after each task but the last: an equal number of training rows of every task learned so far."""
    tasks = read_tasks()
    names = list(tasks)
    return {
        last: [row for task in names[:learned] for row in tasks[task]["train"][: BUFFER // learned]]
        for learned, last in enumerate(names[:-1], start=1)
    }


def forgetting(scores: Any) -> float:
    """How far each earlier task fell from its best (Chaudhry et al. 2018, section 3)."""
    table = np.asarray(scores)
    return float(np.mean(table[:-1].max(axis=0)[:-1] - table[-1, :-1]))


def backward_transfer(scores: Any) -> float:
    """What later tasks did to the score of each earlier one (Lopez-Paz and Ranzato 2017, equation 3)."""
    table = np.asarray(scores)
    return float(np.mean(table[-1, :-1] - np.diag(table)[:-1]))


def save_model(model: Multitask, folder: Path) -> None:
    """Weights and the names of the heads."""
    torch.save({"tasks": list(model.heads), "weights": model.state_dict()}, Path(folder) / "model.pt")


def load_model(folder: Path) -> Multitask:
    """A saved model with all its heads."""
    saved = torch.load(Path(folder) / "model.pt", weights_only=True)
    model = make_model()
    for task in saved["tasks"]:
        model = add_task(model, task)
    model.load_state_dict(saved["weights"])
    return model.eval()


PIPELINE = Pipeline(
    name="multitask",
    declared=Declared(mixture={task: size / sum(SIZES.values()) for task, size in SIZES.items()}),
    make_model=make_model,
    save=save_model,
    load=load_model,
    multitask=MultitaskParts(
        tasks=read_tasks,
        mixture=mix,
        train_task=train_task,
        add_task=add_task,
        predict=predict,
        loss=mean_loss,
        fisher=fisher,
        anchor=anchor,
        penalty=penalty,
        replay_buffer=fill_buffers,
        forgetting=forgetting,
        backward_transfer=backward_transfer,
    ),
)
