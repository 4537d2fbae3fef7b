"""Prompting end to end: nothing moves, arms are comparable, labels are scored whole, heads are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import run
from harness.checks.likelihood import token_logprobs
from harness.comparison import Outcome
from harness.config import load_experiment
from harness.data.source import load_splits
from harness.errors import UnfitError, UsageError
from harness.experiment import Run
from harness.forms import choose_form
from harness.forms.verbaliser import choose_labels, measure_labels
from harness.methods.prompt import ask_by_prompt
from tests.small import SMALL, small_experiment

MODELS = ("tiny-t5", "tiny-llama")


def prompted(folder: Path, **changes: object) -> Run:
    """A small run of the method; settings are named as group__name."""
    settings = {name.replace("__", "."): value for name, value in changes.items()}
    return run(small_experiment(**{"method": "prompt", "generation.max_length": 24, **settings}), baselines=folder)


@pytest.mark.parametrize("model", MODELS)
def test_zero_shot_by_the_tasks_prompt_is_the_base(model: str, tmp_path: Path) -> None:
    """The task's own prompt gives the base's very outputs; with two shots they differ, and the arms are comparable."""
    zero = prompted(tmp_path, model__name=model)
    few = prompted(tmp_path, model__name=model, prompt__shots=2)
    assert zero.verdict.comparisons.tuned_base.outcome is Outcome.IDENTICAL
    assert few.verdict.comparisons.tuned_base.outcome not in {Outcome.IDENTICAL, Outcome.NOT_COMPARABLE}
    assert few.tuned.manifest.model.weights == few.base.manifest.model.weights
    assert few.tuned.manifest.training["prompt.shots"] == 2
    assert few.trainable_parameters == 0
    assert 1 <= few.method_facts["demonstrations a prompt"] <= 2


@pytest.mark.slow
def test_demonstrations_move_the_scores_of_the_embedded_task(tmp_path: Path) -> None:
    """With two demonstrations the tiny Llama's summaries score otherwise than without: worse, and beyond chance."""
    changes = {"method": "prompt", "model.name": "tiny-llama", "prompt.shots": 2, "gate.require": None}
    few = run(load_experiment("summarization-full").override(changes), baselines=tmp_path)
    against_zero = next(entry for entry in few.verdict.comparisons.tuned_base.metrics if entry.metric == "rouge1")
    assert against_zero.p < 0.05
    assert against_zero.delta < 0


@pytest.mark.parametrize("model", MODELS)
def test_labels_are_scored_whole(model: str) -> None:
    """A label's cost is the log-likelihood of all its tokens and EOS, by a plain pass of one row; the least is said."""
    experiment = load_experiment("summarization-full").override(
        {**SMALL, "task": "classification", "method": "prompt", "model.name": model, "encoding.loss_on": "all"}
    )
    plain = choose_form(experiment)
    splits = load_splits(experiment.data, plain.task)
    loaded = plain.load(splits.train)
    form = ask_by_prompt(plain, splits.train)
    rows = splits.eval[:2]
    nats, tokens = measure_labels(form, loaded, rows)
    tokenizer = loaded.tokenizer
    for number, encoded in enumerate(form.encode(rows, loaded)):
        for place, label in enumerate(form.labels):
            ids = [*tokenizer(label, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
            expected = -sum(token_logprobs(loaded.model, encoded.input_ids, ids))
            assert nats[number, place] == pytest.approx(expected, rel=1e-4)
            assert tokens[number, place] == len(ids)
    assert [output.text for output in choose_labels(form, loaded, rows)] == [form.labels[n] for n in nats.argmin(1)]


@pytest.mark.parametrize("variant", ["prompt-tuning", "prefix-tuning"])
@pytest.mark.parametrize("model", MODELS)
def test_soft_prompts_train_and_nothing_else_does(model: str, variant: str, tmp_path: Path) -> None:
    """A soft prompt trains, the base stays, and the tuned model has more weights by those of the prompt."""
    done = prompted(tmp_path, model__name=model, prompt__variant=variant, prompt__virtual_tokens=4)
    assert len(done.losses) == 4
    tuned, base = done.tuned.manifest.model, done.base.manifest.model
    assert tuned.weights != base.weights
    assert 0 < done.trainable_parameters == tuned.parameters - base.parameters


def test_heads_cannot_be_prompted(tmp_path: Path) -> None:
    """The message says which models can."""
    with pytest.raises(UnfitError, match=r'"tiny-bert" cannot be prompted .*as tiny-t5 or tiny-llama'):
        prompted(tmp_path, task="classification", model__name="tiny-bert", gate__require=None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt__shots": 17}, "prompt.shots is 17, and there are 16"),
        ({"prompt__template": "{context} {input}"}, "no row of the task"),
        ({"prompt__shots": 1, "prompt__max_prompt_tokens": 9}, "None of 16 prompts has room"),
        ({"prompt__max_prompt_tokens": 513}, "no more than encoding.max_input_tokens = 512"),
        ({"prompt__shots": 1, "prompt__variant": "prefix-tuning"}, "variant is prefix-tuning"),
    ],
)
def test_impossible_settings(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    """Prompts that cannot be written are refused with what was seen."""
    with pytest.raises(UsageError, match=message):
        prompted(tmp_path, **changes)
