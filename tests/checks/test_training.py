"""The checks of training: on scripts of strangers, on bugs that are in no catalogue, and their parts one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.accumulation import compare
from harness.checks.optimizer import Schedule
from harness.checks.pipeline import Pipeline
from harness.checks.recorded_run import count_readings
from harness.checks.recorder import Interrupted, record
from harness.defects.reference import REFERENCES, loop
from harness.defects.reference.trainer import Trainer
from harness.defects.training import with_trainer
from tests.checks.pipelines import peft_loop, seq2seq_trainer
from tests.checks.planted import audit_with, checks_of, complaints, failures

QUICK = checks_of("training_run", "accumulation", "optimizer", "checkpoints", "saving", "evaluation")


def fails(pipeline: Pipeline, *modules: str) -> dict[str, tuple[str, ...]]:
    return failures(audit_with(pipeline, checks_of(*modules)))


# Scripts of strangers


@pytest.mark.slow
@pytest.mark.parametrize("make", [seq2seq_trainer.make_pipeline, peft_loop.make_pipeline])
def test_a_script_of_a_stranger_passes(make: Any) -> None:
    """A script round Seq2SeqTrainer and a hand-written loop over a PEFT model are found right."""
    report = audit_with(make(), QUICK)
    assert complaints(report) == []
    assert sum(result.status == "passed" for result in report.results) >= 9


def test_t5s_own_loss_in_a_trainer_is_a_mean_of_means() -> None:
    """Without a loss function of its own, Seq2SeqTrainer averages T5's means over batches."""
    found = fails(seq2seq_trainer.make_pipeline(loss=None), "accumulation")
    assert found["accumulated-gradient-is-that-of-one-batch"][0] == "grad-accum-mean-of-means"


def test_a_trainers_warmup_that_is_too_long_is_seen() -> None:
    """A warm-up of more steps than the run has keeps a Trainer's rate near 0."""
    found = fails(seq2seq_trainer.make_pipeline(warmup_steps=10_000), "optimizer")
    assert found["learning-rate-follows-its-schedule"][0] == "lr-zero-or-warmup-longer-than-run"


def test_a_trainer_that_drops_the_last_batch_is_seen() -> None:
    """dataloader_drop_last leaves rows out of each epoch."""
    found = fails(seq2seq_trainer.make_pipeline(dataloader_drop_last=True), "training_run")
    assert found["training-reads-every-row"][0] == "last-partial-batch-dropped"


def test_a_trainer_that_shuffles_anew_on_resuming_is_seen() -> None:
    """ignore_data_skip begins the epoch again after a restart."""
    found = fails(seq2seq_trainer.make_pipeline(ignore_data_skip=True), "checkpoints")
    assert found["resumed-training-goes-on-where-it-stopped"][0] == "resume-replays-data"


def freeze_adapter(model: Any) -> Any:
    for name, entry in model.named_parameters():
        if "lora_B" in name:
            entry.requires_grad_(requires_grad=False)
    return model


def thaw_norms(model: Any) -> Any:
    for name, entry in model.named_parameters():
        if "norm" in name:
            entry.requires_grad_(requires_grad=True)
    return model


def test_a_frozen_half_of_an_adapter_is_seen() -> None:
    """Parameters of an adapter that require no gradient are reported as frozen."""
    found = fails(peft_loop.make_pipeline(freeze_adapter), "training_run")
    assert found["training-moves-what-is-meant"][0] == "adapter-loaded-frozen"


def test_a_base_that_trains_beside_its_adapter_is_seen() -> None:
    """Norms of the base that move though only the adapter is meant to are reported."""
    found = fails(peft_loop.make_pipeline(thaw_norms), "training_run")
    assert found["training-moves-what-is-meant"][0] == "extra-parameters-trainable"


# Bugs that are in no catalogue


class _StaleOptimizer(Trainer):
    def make_optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        first = next(iter(model.parameters()))
        return torch.optim.AdamW([first], lr=self.options.learning_rate, weight_decay=self.options.weight_decay)


class _ForgetsLastWindow(Trainer):
    def draw_windows(self, rows: int, seed: int, epochs: int, batch_size: int, accumulation: int) -> Any:
        windows = super().draw_windows(rows, seed, epochs, batch_size, accumulation)
        return [window for window in windows if len(window) == accumulation]


class _NeverLearning(Trainer):
    def learn(self, model: torch.nn.Module, batches: Sequence[Any], accumulation: int, schedule: Any) -> None:
        super().learn(model.eval(), batches, accumulation, schedule)


class _ForgetsMoments(Trainer):
    def remaining(self, windows: Any, done: int) -> Any:
        if done:
            self.optimizer.state.clear()
        return super().remaining(windows, done)

    def make_optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        self.optimizer = super().make_optimizer(model)
        return self.optimizer


@pytest.mark.parametrize(
    ("kind", "module", "check"),
    [
        (_StaleOptimizer, "training_run", "training-moves-what-is-meant"),
        (_ForgetsLastWindow, "accumulation", "last-window-counts-in-full"),
        (_NeverLearning, "evaluation", "dropout-is-on-in-learning-and-off-in-evaluation"),
        (_ForgetsMoments, "checkpoints", "resumed-training-goes-on-where-it-stopped"),
    ],
)
def test_a_bug_of_no_catalogue_is_seen(kind: type[Trainer], module: str, check: str) -> None:
    """A loop with another bug of the same family fails the check of that family."""
    assert check in fails(with_trainer(REFERENCES["seq2seq"], kind), module)


def test_a_rate_that_is_ten_times_too_high_is_seen() -> None:
    """A rate above the declared one is as wrong as one below."""
    pipeline = with_trainer(REFERENCES["seq2seq"], Trainer, options=loop.Options(learning_rate=5e-2))
    assert "learning-rate-follows-its-schedule" in fails(pipeline, "optimizer")


def test_outputs_that_never_end_are_told_from_others() -> None:
    """A model that learned its rows without their EOS writes on, and that is what is named."""
    clean = REFERENCES["causal"]
    assert clean.encode is not None
    encode = clean.encode

    def without_end(rows: Any, **options: Any) -> Any:
        return [{name: values[:-1] for name, values in feature.items()} for feature in encode(rows, **options)]

    pipeline = with_trainer(replace(clean, encode=without_end), Trainer)
    found = fails(pipeline, "overfit")
    assert found["rows-learned-by-heart-are-written-again"][0] == "missing-eos-seq2seq-target"


# Parts


@given(
    kind=st.sampled_from(["linear", "cosine", "constant"]),
    steps=st.integers(8, 40),
    warmup=st.integers(0, 4),
    offset=st.sampled_from([0, 1]),
)
def test_a_schedule_explains_its_own_rates_and_no_faster_ones(kind: str, steps: int, warmup: int, offset: int) -> None:
    """Counted from 0 or from 1, a schedule's rates are its own; at three times the speed they are not."""
    schedule = Schedule(peak=0.1, warmup=warmup, steps=steps, kind=kind)
    assert schedule.explains([schedule.rate(step + offset) for step in range(steps)])
    if kind != "constant":
        assert not schedule.explains([schedule.rate(3 * step) for step in range(steps)])


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=6).filter(any), st.floats(0.1, 9))
def test_likeness_of_a_gradient_and_a_multiple_of_it(values: list[float], factor: float) -> None:
    """The scale is the factor, the cosine is 1, and the difference that of the factor from 1."""
    gradient = torch.tensor(values, dtype=torch.float64)
    if float(gradient.norm()) < 1e-3:
        return
    found = compare({"weight": factor * gradient}, {"weight": gradient})
    assert found.scale == pytest.approx(factor)
    assert found.cosine == pytest.approx(1)
    assert found.difference == pytest.approx(abs(factor - 1), abs=1e-5)


@given(st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=4), min_size=1, max_size=5), st.integers(1, 3))
def test_readings_are_counted_alone_and_in_a_pack(rows: list[list[int]], times: int) -> None:
    """A row that is read so many times is counted so often, and no row is missed in a pack."""
    features = [(100 + place, *row, 200 + place) for place, row in enumerate(rows)]
    packed = [tuple(token for feature in features for token in feature)]
    assert set(count_readings(features, features * times).values()) == {times}
    assert set(count_readings(features, packed * times).values()) == {times}


class _Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return (self.weight * input_ids).sum()


def learn_line(model: _Line, steps: int = 4) -> _Line:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        with torch.no_grad():
            model(torch.ones(3))
        model(torch.ones(3)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def test_the_recorder_tells_learning_from_looking() -> None:
    """Only calls whose gradients were asked for count as learned from, and positional inputs have their names."""
    with record(_Line()) as recording:
        learn_line(_Line())
    assert [call.learns for call in recording.calls] == [False, True] * 4
    assert all(list(call.inputs) == ["input_ids"] for call in recording.calls)
    assert [step.groups[0].names for step in recording.steps] == [("weight",)] * 4


def test_held_still_the_weights_stay_and_the_gradients_are_kept() -> None:
    """Every step is recorded with its gradient, and none moves a weight."""
    with record(_Line(), gradients=9, hold_still=True) as recording:
        model = learn_line(_Line())
    assert model.weight.tolist() == [1.0, 1.0, 1.0]
    assert [step.gradients["weight"].tolist() for step in recording.steps] == [[1.0, 1.0, 1.0]] * 4


def test_the_recorder_stops_before_and_after_a_step() -> None:
    """stop_before leaves the weights as they were before that step, stop_after as they are behind it."""
    for options, expected in (({"stop_before": 2}, 0.9), ({"stop_after": 2}, 0.8)):
        model = _Line()
        with record(model, **options), pytest.raises(Interrupted):
            learn_line(model)
        assert model.weight[0].item() == pytest.approx(expected)
    assert learn_line(_Line(), 1).weight[0].item() == pytest.approx(0.9)
