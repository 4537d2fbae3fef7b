"""The identity guard, and the notebook that this project grew from: two equal columns, and nobody noticed."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, Seq2SeqTrainer, Seq2SeqTrainingArguments

from harness.config import ModelSettings, TrainingSettings
from harness.data.source import load_splits
from harness.errors import BaseChangedError, SameWeightsError, TrainingError
from harness.experiment import run
from harness.forms import choose_form
from harness.guards import guard_identity
from harness.lesson import Lesson, Trained
from harness.metrics import METRICS
from harness.metrics.scorer import choose_scores
from harness.models.loading import LoadedModel, load_model
from harness.scoring import score_arm
from harness.tasks.summarization import SUMMARIZATION
from harness.training import fine_tune
from tests.small import make_lesson, small_experiment


def train_as_the_notebook_did(model: PreTrainedModel, lesson: Lesson, settings: TrainingSettings) -> Trained:
    """Hand the one model object to the trainer, which trains it in place."""
    arguments = Seq2SeqTrainingArguments(
        output_dir="unused",
        learning_rate=settings.learning_rate,
        num_train_epochs=settings.epochs,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    trainer = Seq2SeqTrainer(
        model=model,
        args=arguments,
        train_dataset=list(lesson.features),
        data_collator=lesson.collator,
        processing_class=lesson.tokenizer,
    )
    trainer.train()
    return Trained(model=model.eval(), losses=(1.0,), trainable_parameters=1)


def fresh() -> LoadedModel:
    return load_model(ModelSettings(), auto_class="AutoModelForSeq2SeqLM")


def test_the_notebooks_fault_and_the_guard_that_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained in place, "base" and "fine-tuned" print the same numbers to the last digit, and the guard says why."""
    monkeypatch.chdir(tmp_path)
    experiment = small_experiment()
    splits = load_splits(experiment.data, SUMMARIZATION)
    loaded = fresh()
    untouched = loaded.identify()
    tuned_model = train_as_the_notebook_did(loaded.model, make_lesson(loaded), experiment.training).model

    # What the notebook did next: score "both".
    form = choose_form(experiment)
    shared = {
        "form": form,
        "scorer": choose_scores(METRICS, SUMMARIZATION.metrics, splits.eval),
        "encoded": form.encode(splits.eval, loaded),
        "splits": splits,
        "settings": form.resolve(loaded),
    }
    base = score_arm(experiment, "base", loaded, **shared)
    tuned = score_arm(experiment, "tuned", loaded.with_weights_of(tuned_model), **shared)
    assert base.manifest.scores == tuned.manifest.scores
    assert base.rows == tuned.rows

    with pytest.raises(BaseChangedError, match=r"the same as tuned: it was trained in place.*copy\.deepcopy"):
        guard_identity(base=untouched, base_after=loaded.identify(), tuned=tuned.manifest.model)
    with pytest.raises(SameWeightsError, match=r"same weights \(sha256 [0-9a-f]{8}…, \d+ tensors\)"):
        guard_identity(base=base.manifest.model, base_after=base.manifest.model, tuned=tuned.manifest.model)


def test_run_stops_when_a_users_method_trains_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The straight path itself finds it: no verdict comes out of a base that was trained."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaseChangedError):
        run(small_experiment(), method=train_as_the_notebook_did)


def test_a_users_method_is_named_in_the_evidence() -> None:
    """A training function of one's own goes through the same path, and the manifest says whose it was."""

    def my_method(model: PreTrainedModel, lesson: Lesson, settings: TrainingSettings) -> Trained:
        return fine_tune(model, replace(lesson, features=lesson.features[:8]), settings)

    done = run(small_experiment(), method=my_method)
    assert done.tuned.manifest.method is not None
    assert done.tuned.manifest.method.endswith("my_method")
    assert len(done.losses) == 2


def test_method_that_returns_something_else_is_told() -> None:
    """A method that hands back the bare model is told what to return."""
    with pytest.raises(TrainingError, match=r"returned a T5ForConditionalGeneration.*harness\.Trained"):
        run(small_experiment(), method=lambda model, *_: copy.deepcopy(model))  # type: ignore[arg-type, return-value]


def test_run_stops_when_nothing_was_learned() -> None:
    """A learning rate of 0 gives equal weights, which is said instead of "no change"."""
    with pytest.raises(SameWeightsError, match="learning rate 0"):
        run(small_experiment(**{"training.learning_rate": 0.0}))


def test_one_changed_weight_is_enough_to_tell_models_apart(tiny_t5: LoadedModel) -> None:
    """The guard looks at bits: the smallest change of one weight is a change."""
    moved = copy.deepcopy(tiny_t5.model)
    with torch.no_grad():
        weight = next(iter(moved.parameters())).view(-1)
        weight[0] = torch.nextafter(weight[0], torch.tensor(9.0))
    base, tuned = tiny_t5.identify(), tiny_t5.with_weights_of(moved).identify()
    guard_identity(base=base, base_after=tiny_t5.identify(), tuned=tuned)
    with pytest.raises(BaseChangedError, match=r"before, [0-9a-f]{8}… after\."):
        guard_identity(base=base, base_after=tuned, tuned=base)
