"""Checks of several tasks: known answers, honest pipelines of other styles, and bugs that no catalogue lists."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import consolidation, forgetting, importance, mixing, replay
from harness.checks.check import Check, Result, Status
from harness.checks.mixing import chi_square
from harness.checks.parts import MultitaskParts
from harness.checks.pipeline import Declared, Pipeline
from harness.checks.suite import audit
from harness.defects.multitask import with_multitask
from harness.defects.reference.multitask import (
    PIPELINE,
    Multitask,
    Row,
    add_task,
    make_model,
    mean_loss,
    new_head,
    predict,
    read_tasks,
    shared,
)

MODULES = (mixing, replay, consolidation, importance, forgetting)
CHECKS = {value.name: value for module in MODULES for value in vars(module).values() if isinstance(value, Check)}


def check(name: str, pipeline: Pipeline) -> Result:
    return audit(pipeline, checks=[CHECKS[name]]).results[0]


@pytest.mark.parametrize("seed", range(3))
def test_the_clean_pipeline_passes_every_check(seed: int) -> None:
    """Nothing fails, nothing is skipped."""
    counts = audit(PIPELINE, checks=tuple(CHECKS.values()), seed=seed).counts
    assert set(counts) == {Status.PASSED}


# Mixtures


@pytest.mark.parametrize(
    ("counts", "shares", "likely"),
    [
        ({"a": 60, "b": 40}, {"a": 0.5, "b": 0.5}, 0.0455),
        ({"a": 10, "b": 20, "c": 30}, {"a": 1, "b": 1, "c": 1}, 0.00674),
        ({"a": 90, "b": 10}, {"a": 0.9, "b": 0.1}, 1.0),
        ({"a": 5}, {"a": 1.0}, 1.0),
        ({"a": 5, "b": 1}, {"a": 1.0}, 0.0),
    ],
)
def test_chi_square_gives_known_answers(counts: dict[str, int], shares: dict[str, float], likely: float) -> None:
    """The p-values are those of the tables: statistics 4 on 1 and 10 on 2 degrees of freedom, and the borders."""
    assert chi_square(counts, shares) == pytest.approx(likely, rel=2e-3)


@given(counts=st.lists(st.integers(1, 500), min_size=2, max_size=6), scale=st.floats(0.1, 10))
def test_chi_square_takes_shares_of_any_sum_and_never_leaves_0_to_1(counts: list[int], scale: float) -> None:
    """Shares count by their proportions; counts in these very proportions are as likely as can be."""
    named = {str(index): number for index, number in enumerate(counts)}
    assert chi_square(named, {name: scale * number for name, number in named.items()}) == pytest.approx(1.0)
    assert 0.0 <= chi_square(named, dict.fromkeys(named, 1.0)) <= 1.0


def draw_by(shares: dict[str, float], count: int) -> Callable[..., Iterator[tuple[str, Row]]]:
    def mixture(seed: int = 0) -> Iterator[tuple[str, Row]]:
        tasks = read_tasks()
        draw = random.Random(f"draw/{seed}")
        for task in draw.choices(list(shares), list(shares.values()), k=count):
            yield task, draw.choice(tasks[task]["train"])

    return mixture


EVEN = {"topic": 1 / 3, "season": 1 / 3, "initial": 1 / 3}


def test_sampling_with_replacement_by_declared_shares_passes() -> None:
    """Rows that were not drawn and rows drawn twice are no fault where the shares are as declared."""
    pipeline = replace(with_multitask(PIPELINE, mixture=draw_by(EVEN, 150)), declared=Declared(mixture=EVEN))
    assert check("mixture-is-as-declared", pipeline).status is Status.PASSED


def test_shares_that_nobody_declared_are_not_judged() -> None:
    """Without a declaration only starved tasks and epochs cut short are faults."""
    pipeline = replace(with_multitask(PIPELINE, mixture=draw_by(EVEN, 150)), declared=Declared())
    assert check("mixture-is-as-declared", pipeline).status is Status.PASSED


def test_an_epoch_that_ends_with_the_smallest_task_is_caught() -> None:
    """Shares as declared do not help where most rows are never seen."""
    pipeline = replace(with_multitask(PIPELINE, mixture=draw_by(EVEN, 45)), declared=Declared(mixture=EVEN))
    result = check("mixture-is-as-declared", pipeline)
    assert result.status is Status.FAILED
    assert "45 of 120 rows" in result.seen
    assert result.suspects[0] == "mixing-ratio-not-as-declared"


def test_a_mixture_without_an_end_is_cut() -> None:
    """A sampler that goes on for ever is judged by its first rows."""

    def endless(seed: int = 0) -> Iterator[tuple[str, Row]]:
        while True:
            yield from PIPELINE.multitask.mixture(seed)

    assert check("mixture-is-as-declared", with_multitask(PIPELINE, mixture=endless)).status is Status.PASSED


def test_a_mixture_of_unknown_tasks_is_an_error_that_names_them() -> None:
    """A wrong name is the user's slip, not a share of 0."""
    result = check("mixture-is-as-declared", with_multitask(PIPELINE, mixture=lambda: [("mood", {})]))
    assert result.status is Status.ERROR
    assert "['mood']" in result.seen


def test_a_frozen_head_is_a_task_that_is_never_trained() -> None:
    """The loss may fall through the shared encoder: the task's own weights must move."""

    def train_encoder_only(model: Multitask, task: str, rows: Sequence[Row]) -> Multitask:
        tuned = add_task(model, task)
        optimizer = torch.optim.SGD(shared(tuned).values(), lr=0.05)
        for _ in range(3):
            mean_loss(tuned, task, rows).backward()
            optimizer.step()
            optimizer.zero_grad()
        return tuned

    result = check("each-task-learns", with_multitask(PIPELINE, train_task=train_encoder_only))
    assert result.status is Status.FAILED
    assert "0 of its own 2 tensors moved" in result.seen
    assert result.suspects[0] == "task-never-trained"


# Replay


def test_a_reservoir_passes() -> None:
    """Sampling in proportion to the sizes of the tasks is as good a policy as equal quotas."""

    def reservoir() -> dict[str, list[Row]]:
        tasks, draw = read_tasks(), random.Random(1)
        seen: list[Row] = []
        memories = {}
        for task in list(tasks)[:-1]:
            seen += tasks[task]["train"]
            memories[task] = draw.sample(seen, 24)
        return memories

    pipeline = with_multitask(PIPELINE, replay_buffer=reservoir)
    assert check("memory-is-balanced", pipeline).status is Status.PASSED
    assert check("memory-holds-earlier-training-rows", pipeline).status is Status.PASSED


def test_a_memory_with_rows_of_a_task_to_come_is_caught() -> None:
    """Rows of the future are told from rows of evaluation splits."""

    def buffer() -> dict[str, list[Row]]:
        tasks = read_tasks()
        everything = [row for splits in tasks.values() for row in splits["train"][:8]]
        return dict.fromkeys(list(tasks)[:-1], everything)

    result = check("memory-holds-earlier-training-rows", with_multitask(PIPELINE, replay_buffer=buffer))
    assert result.status is Status.FAILED
    assert "0 from evaluation splits, 16 from tasks still to come" in result.seen


def test_a_memory_filled_once_is_unbalanced() -> None:
    """What the first task filled has no room for the second."""
    first = read_tasks()["topic"]["train"][:24]
    result = check(
        "memory-is-balanced", with_multitask(PIPELINE, replay_buffer=lambda: {"topic": first, "season": first})
    )
    assert result.status is Status.FAILED
    assert "after season: topic 24, season 0" in result.seen


def test_rows_without_an_id_are_known_by_their_content() -> None:
    """Copies of training rows count as training rows."""

    def without_id(rows: Sequence[Row]) -> list[Row]:
        return [{name: value for name, value in row.items() if name != "id"} for row in rows]

    def tasks() -> Any:
        return {task: {k: without_id(v) for k, v in splits.items()} for task, splits in read_tasks().items()}

    def buffer() -> Any:
        return {task: without_id(rows) for task, rows in PIPELINE.multitask.replay_buffer().items()}

    pipeline = with_multitask(PIPELINE, tasks=tasks, replay_buffer=buffer)
    assert check("memory-holds-earlier-training-rows", pipeline).status is Status.PASSED


def test_rows_that_nobody_knows_are_an_error_that_asks_for_ids() -> None:
    """A memory of encoded rows cannot be traced back; that is no leak."""
    pipeline = with_multitask(PIPELINE, replay_buffer=lambda: {"topic": [{"input_ids": [1, 2]}]})
    result = check("memory-holds-earlier-training-rows", pipeline)
    assert result.status is Status.ERROR
    assert "keep their id" in result.seen


# Consolidation


class Logistic(torch.nn.Module):
    """Two weights: the chance of class 1 is the sigmoid of their product with the input."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.nn.Parameter(torch.tensor([0.5, -1.0]))


POINTS = [{"input": (1.0, 2.0), "label": 1}, {"input": (-1.0, 0.5), "label": 0}, {"input": (3.0, 1.0), "label": 1}]


def logistic_logits(model: Logistic, task: str, rows: Sequence[Any]) -> torch.Tensor:
    score = torch.tensor([row["input"] for row in rows]) @ model.weights
    return torch.stack([torch.zeros_like(score), score], dim=-1)


def logistic_loss(model: Logistic, task: str, rows: Sequence[Any]) -> torch.Tensor:
    labels = torch.tensor([row["label"] for row in rows])
    return torch.nn.functional.cross_entropy(logistic_logits(model, task, rows), labels)


def analytic(model: Logistic, task: str, rows: Sequence[Any]) -> dict[str, torch.Tensor]:
    """The expected Fisher information of a logistic model: the mean of p (1 - p) x squared."""
    inputs = torch.tensor([row["input"] for row in rows])
    chance = (inputs @ model.weights.detach()).sigmoid()[:, None]
    return {"weights": (chance * (1 - chance) * inputs**2).mean(0)}


def empirical(model: Logistic, task: str, rows: Sequence[Any]) -> dict[str, torch.Tensor]:
    """Summed instead of averaged: the strength of the penalty takes up the factor."""
    inputs, labels = (torch.tensor([row[name] for row in rows]) for name in ("input", "label"))
    miss = (inputs @ model.weights.detach()).sigmoid() - labels
    return {"weights": ((miss[:, None] * inputs) ** 2).sum(0)}


def sampled(model: Logistic, task: str, rows: Sequence[Any]) -> dict[str, torch.Tensor]:
    """With labels drawn from the model, as Kirkpatrick et al. did."""
    inputs = torch.tensor([row["input"] for row in rows]).repeat(20, 1)
    chance = (inputs @ model.weights.detach()).sigmoid()
    miss = chance - torch.bernoulli(chance)
    return {"weights": ((miss[:, None] * inputs) ** 2).mean(0)}


def of_the_batch(model: Logistic, task: str, rows: Sequence[Any]) -> dict[str, torch.Tensor]:
    (gradient,) = torch.autograd.grad(logistic_loss(model, task, rows), [model.weights])
    return {"weights": gradient**2}


def absolute(model: Logistic, task: str, rows: Sequence[Any]) -> dict[str, torch.Tensor]:
    return {name: value.sqrt() for name, value in empirical(model, task, rows).items()}


@pytest.mark.parametrize(
    ("fisher", "status"),
    [
        (analytic, Status.PASSED),
        (empirical, Status.PASSED),
        (sampled, Status.PASSED),
        (of_the_batch, Status.FAILED),
        (absolute, Status.FAILED),
    ],
)
def test_fisher_information_of_a_logistic_model(fisher: Callable[..., Any], status: Status) -> None:
    """Each of the usual definitions passes on two weights with a known answer; what is none of them fails."""
    splits = {"train": POINTS, "eval": POINTS}
    parts = MultitaskParts(
        tasks=lambda: {"first": splits, "second": splits},
        predict=logistic_logits,
        loss=logistic_loss,
        fisher=fisher,
    )
    pipeline = Pipeline(make_model=lambda: Logistic(), multitask=parts)  # noqa: PLW0108 - a class takes no seed
    assert check("fisher-is-the-mean-of-squared-gradients", pipeline).status is status


def penalty_without_gradient(model: Multitask, anchor: Any, fisher: Any) -> float:
    return float(PIPELINE.multitask.penalty(model, anchor, fisher))


def anchor_detached_only(model: Multitask) -> dict[str, torch.Tensor]:
    return {name: entry.detach() for name, entry in shared(model).items()}


@pytest.mark.parametrize(
    "parts", [{"penalty": penalty_without_gradient}, {"anchor": anchor_detached_only}], ids=["a number", "detach only"]
)
def test_a_penalty_that_pulls_nothing_back_is_caught(parts: dict[str, Any]) -> None:
    """A penalty that is a mere number, or an anchor that is detached but not copied, has no effect in training."""
    result = check("penalty-grows-with-distance", with_multitask(PIPELINE, **parts))
    assert result.status is Status.FAILED
    assert result.suspects == ("ewc-anchor-aliases-weights",)


def test_a_head_that_is_not_loaded_is_caught() -> None:
    """The file holds every head; loading makes a fresh one of the same shape."""

    def load(folder: Any) -> Multitask:
        model = PIPELINE.load(folder)
        model.heads["topic"] = torch.nn.Linear(64, 8)
        return model

    result = check("earlier-task-is-kept", replace(PIPELINE, load=load))
    assert result.status is Status.FAILED
    assert "by saving and loading" in result.seen
    assert result.suspects == ("head-lost-when-switching-tasks",)


def test_one_model_with_all_heads_from_the_start_passes() -> None:
    """A pipeline whose heads are all there when the model is made has nothing to lose."""

    def everything(seed: int = 0) -> Multitask:
        model = make_model(seed)
        for task in read_tasks():
            model.heads[task] = new_head(task)
        return model

    pipeline = with_multitask(
        replace(PIPELINE, make_model=everything), add_task=lambda model, task: copy.deepcopy(model)
    )
    assert check("earlier-task-is-kept", pipeline).status is Status.PASSED
    assert check("each-task-learns", pipeline).status is Status.PASSED


def test_predictions_that_are_no_tensor_are_an_error_that_says_so() -> None:
    """A list of labels is no tensor of logits."""
    pipeline = with_multitask(PIPELINE, predict=lambda *args: predict(*args).tolist())
    result = check("earlier-task-is-kept", pipeline)
    assert result.status is Status.ERROR
    assert "expected a tensor of logits" in result.seen


# Forgetting


@pytest.mark.parametrize(
    ("part", "formula", "status"),
    [
        (
            "forgetting",
            lambda table: float(np.mean([table[:-1, j].max() - table[-1, j] for j in range(len(table) - 1)])),
            Status.PASSED,
        ),
        (
            "forgetting",
            lambda table: float(np.mean([max(0, table[j, j] - table[-1, j]) for j in range(len(table) - 1)])),
            Status.PASSED,
        ),
        ("forgetting", lambda table: float(np.mean(table.max(axis=0) - table[-1])), Status.FAILED),
        ("forgetting", lambda table: float(np.mean(table[-1, :-1] - table[:-1, :-1].max(axis=0))), Status.FAILED),
        ("forgetting", lambda table: 0.0, Status.FAILED),
        (
            "backward_transfer",
            lambda table: float(np.mean([table[-1, j] - table[j, j] for j in range(len(table) - 1)])),
            Status.PASSED,
        ),
        (
            "backward_transfer",
            lambda table: float(np.mean([table[-1, j] - table[0, j] for j in range(len(table) - 1)])),
            Status.FAILED,
        ),
    ],
    ids=["best", "first, not below 0", "last task counted", "sign", "always 0", "transfer", "from the first row"],
)
def test_formulas_of_forgetting(part: str, formula: Callable[[Any], float], status: Status) -> None:
    """Each known definition passes; a wrong time, sign or mean fails."""
    result = check(f"{part.replace('_', '-')}-matches-its-definition", with_multitask(PIPELINE, **{part: formula}))
    assert result.status is status
    assert not result.suspects or result.suspects == ("forgetting-metric-wrong",)


@given(st.integers(0, 1000))
def test_forgetting_from_the_first_score_is_negative_backward_transfer(seed: int) -> None:
    """Lopez-Paz and Ranzato's transfer is the forgetting from the first score with the other sign."""
    scores = np.random.default_rng(seed).random((5, 5))
    transfer = forgetting.BACKWARD_TRANSFER["last less first"](scores)
    assert transfer == pytest.approx(-forgetting.FORGETTING["first less last"](scores))
    assert forgetting.FORGETTING["best less last"](scores) >= forgetting.FORGETTING["first less last"](scores)
