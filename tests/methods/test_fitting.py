"""Every method on every task and embedded model: it works, or it is refused before anything is scored."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import run
from harness.errors import ModelError, SettingsError, UnfitError, UsageError
from harness.forms import EMBEDDED
from harness.methods import METHODS
from harness.report import fitting
from harness.report.fitting import choose_small, fill_fitting, find_obstacles
from harness.tasks import TASKS

PAGE = Path(__file__).parents[2] / "docs" / "methods" / "README.md"
BRIEF: dict[str, object] = {
    "data.train_rows": 8,
    "data.eval_rows": 4,
    "training.epochs": 1,
    "generation.max_length": 8,
    "gate.flips": 1000,
    "gate.require": ["base must not drift by more than 100"],
    "rlhf.supervised_epochs": 1,
    "rlhf.steps": 1,
    "rlhf.batch_size": 4,
    "rlhf.samples": 2,
    "rlhf.updates": 1,
    "rlhf.max_new_tokens": 4,
    "rlhf.unseen": 8,
}
"""One step or two, whatever comes of them."""
WRITERS, ENCODER = ("tiny-t5", "tiny-llama"), "tiny-bert"
WRITTEN = {"summarization", "translation", "generation"}
"""What no head can answer."""
TAGGED = {"ner"}
"""What no text can answer."""
WITH_FACTS = {"summarization", "generation"}
"""Whose rows the default reward of rlhf can judge."""
EVERY = [(task, model, method) for task in TASKS for model in EMBEDDED.values() for method in METHODS]


def expect(task: str, model: str, method: str) -> type[UsageError] | None:
    """The error that a combination has to end with; nothing where it has to work."""
    unfit = TAGGED if model in WRITERS else WRITTEN
    if task in unfit or (model == ENCODER and method in {"prompt", "rlhf"}):
        return ModelError
    return SettingsError if method == "rlhf" and task not in WITH_FACTS else None


Found = dict[tuple[str, str], dict[str, UsageError | None]]


@pytest.fixture(scope="module")
def found() -> Found:
    """What stands in the way of each method, for every task and model."""
    return {
        (task, model): dict(find_obstacles(choose_small(task, model))) for task in TASKS for model in EMBEDDED.values()
    }


def test_each_method_fits_or_says_what_to_use(found: Found) -> None:
    """Of each task and model exactly the expected methods are refused, and the reason names a way out."""
    ways = {ModelError: r"as tiny-|method = \"full\"", SettingsError: r"rlhf\.reward"}
    for task, model, method in EVERY:
        obstacle, wanted = found[task, model][method], expect(task, model, method)
        assert type(obstacle) is (type(None) if wanted is None else wanted), (task, model, method, obstacle)
        assert wanted is None or re.search(ways[wanted], str(obstacle))


@pytest.mark.parametrize(("task", "model", "method"), [each for each in EVERY if expect(*each)])
def test_what_is_refused_is_refused_before_the_base_is_scored(
    task: str, model: str, method: str, tmp_path: Path
) -> None:
    """The error comes before the first score; training comes behind it."""
    said: list[str] = []
    with pytest.raises((UnfitError, ModelError)):
        run(choose_small(task, model).override({**BRIEF, "method": method}), baselines=tmp_path, say=said.append)
    assert not [line for line in said if line.startswith(("base:", "tuned:"))]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "model", "method"), [each for each in EVERY if expect(*each) is not ModelError])
def test_what_fits_runs(task: str, model: str, method: str, tmp_path: Path) -> None:
    """Each other combination goes from rows to a verdict; rlhf by a reward that can judge the task."""
    # ROUGE does not score answers.
    reward = "facts" if task in WITH_FACTS else "length" if task == "question-answering" else "rouge"
    changes = {**BRIEF, "method": method, "rlhf.reward": reward}
    done = run(choose_small(task, model).override(changes), baselines=tmp_path)
    assert len(done.tuned.rows) == len(done.base.rows) > 0
    assert done.tuned.manifest.method == method


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("tiny-t5", {"method": "lora", "lora.targets": ["nothing"]}, r"lora\.targets"),
        ("tiny-bert", {"method": "adapters", "adapters.targets": ["nothing"]}, r"adapters\.targets"),
        ("tiny-bert", {"method": "adapters", "adapters.activation": "relo"}, "no activation"),
        ("tiny-t5", {"method": "prompt", "prompt.shots": 17}, r"prompt\.shots is 17"),
        ("tiny-t5", {"method": "prompt", "prompt.shots": 1, "prompt.max_prompt_tokens": 2}, "has room"),
    ],
)
def test_settings_that_fit_nothing_cost_no_score(
    model: str, changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    """Layers that are not there and prompts without room are seen before the base is scored."""
    said: list[str] = []
    experiment = choose_small("classification", model).override({**changes, "data.eval_rows": 4})
    with pytest.raises(UnfitError, match=message):
        run(experiment, baselines=tmp_path, say=said.append)
    assert not [line for line in said if line.startswith("base:")]


def test_page_shows_the_table_of_today(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table in the documents is what the command makes."""
    monkeypatch.setattr(fitting, "find_obstacles", lambda each: found[each.task, each.model.name].items())
    text = PAGE.read_text(encoding="utf-8")
    assert fill_fitting(text) == text, "run: python -m harness.report.fitting docs/methods/README.md"
