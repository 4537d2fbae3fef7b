"""The pipeline under audit: plain callables of the user's own, each of them optional.

A check asks for the parts it needs and is skipped, with the reason, where one is missing. Nothing has to be written for
the harness: a part is whatever function the user's script already has, or a two-line wrapper around it. Words:

* a *row* is a mapping (or an object with attributes) that holds an input, a target and perhaps an id;
* a *feature* is one encoded row: a mapping from names such as ``input_ids`` and ``labels`` to lists;
* a *batch* is what the model takes: a mapping from the same names to tensors.

A callable is called with the keywords that it accepts and no others: ``train(model, rows)`` and
``train(model, rows, *, seed, epochs)`` are both fine, and a check that varies the seed is skipped for the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from harness.checks.parts import AdapterParts, ComparisonParts, MultitaskParts, ReinforcementParts

Part = Callable[..., Any]
TaskName = Literal[
    "summarization", "translation", "classification", "sentiment", "ner", "question-answering", "generation"
]

INPUT_COLUMNS = ("input", "document", "text", "article", "prompt", "source", "sentence", "question", "tokens")
TARGET_COLUMNS = ("target", "summary", "reference", "highlights", "completion", "answer", "answers", "label", "tags")


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What the user means the pipeline to do; checks compare it with what is done. All of it may be left out.

    Args:
        task: what is learned, where the model's head does not say it.
        input_column: where a row keeps its input; found among the usual names where this is not set.
        target_column: the same for the target.
        id_column: names a row.
        group_column: rows with an equal value here belong together (chunks of one document).
        prefix: put before each input.
        learning_rate: the highest learning rate of the run.
        schedule: how the rate falls.
        warmup_steps: optimizer steps over which the rate rises.
        weight_decay: of the decayed weights.
        accumulation: batches per optimizer step.
        trainable: regular expressions; a parameter is meant to move where one is found in its name. Nothing: all, or
            with an adapter those of the adapter.
        max_new_tokens: how long an output may become, in tokens.
        metric_range: lowest and highest value of the metrics.
        metric_average: how scores of several subtasks become one, over rows ("micro") or over subtasks ("macro").
        greater_is_better: the direction of the metric that chooses a checkpoint.
        labels: the names of the classes, in the order of their ids.
        completion_only: the loss is taken on the target alone; a prompt that is learned too is a fault then.
        mixture: share of each task in what is trained; they sum to 1.
        beta: weight of the KL term in reinforcement learning.
        level: the share of false alarms that the comparison accepts.
    """

    task: TaskName | None = None
    input_column: str | None = None
    target_column: str | None = None
    id_column: str | None = None
    group_column: str | None = None
    prefix: str | None = None
    learning_rate: float | None = None
    schedule: Literal["linear", "cosine", "constant"] | None = None
    warmup_steps: int | None = None
    weight_decay: float | None = None
    accumulation: int | None = None
    trainable: tuple[str, ...] | None = None
    max_new_tokens: int | None = None
    metric_range: tuple[float, float] | None = None
    metric_average: Literal["micro", "macro"] | None = None
    greater_is_better: bool | None = None
    labels: tuple[str, ...] | None = None
    completion_only: bool | None = None
    mixture: Mapping[str, float] | None = None
    beta: float | None = None
    level: float = 0.05


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A fine-tuning pipeline as a bag of callables.

    Args:
        name: shown in reports.
        declared: what is meant.
        tokenizer: a transformers tokenizer.
        splits: ``() -> {"train": rows, "eval": rows, ...}``, the data as it is trained and evaluated on.
        read: ``(path) -> rows``, how a JSON lines file is loaded.
        prompt: ``(row) -> text``, or a list of chat messages: what the model is asked, demonstrations included.
        encode: ``(rows) -> features`` for training; may take ``max_input_tokens`` and ``max_target_tokens``.
        encode_prompt: ``(rows) -> lists of token ids`` for generation: what the model reads before it writes.
        collate: ``(features) -> batch``.
        filter_features: ``(features) -> features``, a guard that drops what must not be trained on.
        pack: ``(features) -> batch``, several rows in one sequence.
        make_model: ``() -> model`` or ``(seed) -> model``: a fresh base; a new object at each call.
        extend_vocabulary: ``(model) -> model`` with more places for tokens.
        loss: ``(model, batch) -> scalar tensor``; the ``loss`` that the model returns where this is not given.
        train: ``(model, rows) -> model``, or an object with ``.model`` and perhaps ``.best_score``; may take ``seed``,
            ``epochs``, ``batch_size``, ``accumulation``, ``eval_rows`` and ``folder`` (where checkpoints go).
        resume: ``(model, rows, folder) -> model``: goes on from the last checkpoint in ``folder``.
        choose_checkpoint: ``(history) -> index``: which of several evaluations, ``{"score": float}`` each, is kept.
        evaluate: ``(model, rows) -> {metric: value}``; may take ``batch_size`` and ``ranks``.
        evaluate_loss: ``(model, rows) -> float``, nats per token or a perplexity; may take ``batch_size``.
        save: ``(model, folder)``.
        load: ``(folder) -> model``.
        generate: ``(model, rows) -> one text a row``; may take ``batch_size`` and ``use_cache``.
        generate_scored: ``(model, rows) -> [(token ids, score)]``: the best beam of each row, its new tokens and score;
            may take ``length_penalty``.
        classify: ``(model, rows) -> one label name a row``.
        score_continuation: ``(model, context, continuation) -> float``: log-likelihood in nats.
        tag: ``(model, rows) -> one list of tag names a row``, as long as the row has words.
        metric: ``(outputs, references) -> {metric: value}``.
        extract: ``(text) -> answer``: the final answer out of a free text.
        aggregate: ``({subtask: row scores}) -> float``.
        shard: ``(rows, rank, world_size) -> rows``: what one of several processes evaluates.
        adapters: parts of parameter-efficient fine-tuning.
        reinforcement: parts of preference and reinforcement learning.
        multitask: parts of training on several tasks.
        comparison: parts of comparing two arms.
    """

    name: str = "pipeline"
    declared: Declared = field(default_factory=Declared)
    tokenizer: Any = None
    splits: Part | None = None
    read: Part | None = None
    prompt: Part | None = None
    encode: Part | None = None
    encode_prompt: Part | None = None
    collate: Part | None = None
    filter_features: Part | None = None
    pack: Part | None = None
    make_model: Part | None = None
    extend_vocabulary: Part | None = None
    loss: Part | None = None
    train: Part | None = None
    resume: Part | None = None
    choose_checkpoint: Part | None = None
    evaluate: Part | None = None
    evaluate_loss: Part | None = None
    save: Part | None = None
    load: Part | None = None
    generate: Part | None = None
    generate_scored: Part | None = None
    classify: Part | None = None
    score_continuation: Part | None = None
    tag: Part | None = None
    metric: Part | None = None
    extract: Part | None = None
    aggregate: Part | None = None
    shard: Part | None = None
    adapters: AdapterParts = field(default_factory=AdapterParts)
    reinforcement: ReinforcementParts = field(default_factory=ReinforcementParts)
    multitask: MultitaskParts = field(default_factory=MultitaskParts)
    comparison: ComparisonParts = field(default_factory=ComparisonParts)

    def part(self, path: str) -> Any:
        """The part with this name, ``"train"`` or ``"adapters.merge"``; nothing where it was not given.

        Raises:
            AttributeError: there is no such part.
        """
        found: Any = self
        for name in path.split("."):
            found = getattr(found, name)
        return found

    def given(self) -> tuple[str, ...]:
        """The names of all parts that were given, sorted."""
        return tuple(sorted(_given(self, "")))


def _given(group: Any, prefix: str) -> list[str]:
    names = []
    for entry in fields(group):
        value = getattr(group, entry.name)
        if isinstance(value, AdapterParts | ReinforcementParts | MultitaskParts | ComparisonParts):
            names += _given(value, f"{entry.name}.")
        elif value is not None and entry.name not in {"name", "declared"}:
            names.append(prefix + entry.name)
    return names
