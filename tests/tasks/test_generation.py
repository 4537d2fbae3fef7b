"""Language generation: prompts, texts and chats as rows, and real ones from end to end."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import DataSettings, load_experiment
from harness.data.columns import to_rows
from harness.data.newsroom import draw_event
from harness.data.rows import Row
from harness.data.source import load_splits
from harness.errors import DataError
from harness.experiment import Run, run
from harness.forms import choose_form
from harness.tasks.generation import GENERATION, end_line, split_text
from tests.forms.causal_models import make_causal
from tests.generation.test_causal_models import load_stories


def read(*records: dict[str, object], **settings: object) -> list[Row]:
    return list(to_rows(records, DataSettings.model_validate(settings), GENERATION, where="rows.jsonl"))


def test_a_prompt_ends_its_line() -> None:
    """A prompt and its completion are kept, a line break between them; white space of the prompt's own will do."""
    rows = read({"prompt": "Say a.", "completion": "a"}, {"prompt": "Say b:\t", "completion": "b"})
    assert [(row.input, row.target) for row in rows] == [("Say a.\n", "a"), ("Say b:\t", "b")]
    assert end_line("") == "\n"


def test_several_references_are_kept() -> None:
    """A list of targets is a list of references, the first of them the target."""
    (row,) = read({"input": "Say it.", "target": ["a", "b"]})
    assert (row.target, row.references) == ("a", ("a", "b"))


@given(st.text(min_size=1))
def test_a_text_is_cut_between_words(text: str) -> None:
    """The parts joined are the text, no word is cut, and the prompt has as many words as the target, or one more."""
    prompt, target = split_text(text)
    assert prompt + target == text
    read, written = prompt.split(), target.split()
    assert read + written == text.split()
    assert len(read) - len(written) in {0, 1}


def test_a_text_alone_is_continued() -> None:
    """A text column, the usual or the named one, is prompt and target both, and goes on where it was cut."""
    (row,) = read({"text": "one two  three four five"})
    assert (row.input, row.target) == ("one two  three", " four five")
    (named,) = read({"line": "one two"}, input_columns=["line"], target_columns=["line"])
    assert (named.input, named.target) == ("one", " two")


def test_a_text_of_one_word_cannot_be_cut() -> None:
    """It is an error that says so and names the row, or is dropped with the empty ones."""
    with pytest.raises(DataError, match=r'row 2 \(counted from 1\): column "text" holds one word, which cannot be cut'):
        read({"text": "one two"}, {"text": " word "})
    assert [row.id for row in read({"text": "word"}, {"text": "one two"}, drop_empty=True)] == ["1"]


def test_newsroom_rows_are_facts_and_summaries() -> None:
    """The facts that the summary states stand in the prompt."""
    row = GENERATION.tell(draw_event(3, 5))
    assert row.input.startswith("topic: ")
    assert row.input.endswith("\n")
    assert draw_event(3, 5).facts.who.name in row.input
    assert draw_event(3, 5).facts.who.name in row.target


def test_a_trained_model_expects_its_own_text(shared_data: Path) -> None:
    """stories260K expects its own text better than unseen stories (perplexity 3.66), and far better than mixed ones."""
    loaded = load_stories(shared_data)
    text = (shared_data / "checkpoints" / "stories260K" / "expected_greedy.txt").read_text().strip()
    prompt, target = split_text(text)
    mixed = " ".join(sorted(target.split()))
    form = make_causal("generation", encoding__max_target_tokens=400)
    rows = [Row(id="own", input=prompt, target=target), Row(id="mixed", input=prompt, target=f" {mixed}")]
    outputs = form.predict(loaded, rows, form.encode(rows, loaded), form.resolve(loaded))
    own, other = (math.exp(output.nats / output.tokens) for output in outputs)
    assert own < math.exp(1.2968)
    assert other > 10 * own


def run_real(folder: Path, shared_data: Path, task: str = "generation", **changes: object) -> Run:
    """A run on real rows with the real checkpoint, small enough for a test."""
    settings: dict[str, object] = {
        "task": task,
        "model.name": str(shared_data / "checkpoints" / "stories260K"),
        "data.train_rows": 24,
        "data.eval_rows": 12,
        "encoding.max_input_tokens": 128,
        "encoding.max_target_tokens": 96,
        "generation.max_length": 16,
        "training.epochs": 2,
        "gate.require": ["tuned must beat base on perplexity"],
    }
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return run(load_experiment("summarization-full").override({**settings, **changed}), baselines=folder)


@pytest.mark.parametrize("file", ["wikitext-2/valid_600.txt", "tinyshakespeare/input.txt"])
def test_real_texts(file: str, shared_data: Path, tmp_path: Path) -> None:
    """Lines of an encyclopedia and of plays: the tuned model expects unseen ones better, and the gate sees it."""
    done = run_real(tmp_path, shared_data, data__source=str(shared_data / file), data__drop_empty=True)
    before, after = (arm.manifest.scores["perplexity"] for arm in (done.base, done.tuned))
    assert after < before / 2
    assert done.verdict.passed
    assert "perplexity" in done.tuned.manifest.lower_is_better
    assert {"distinct1", "rouge1"} <= set(done.tuned.manifest.metrics)


def test_real_chats(shared_data: Path, tmp_path: Path) -> None:
    """mt_bench, two turns with its reference answers: each row is the whole talk, the second answer the target."""
    folder = shared_data / "chat-prompts"
    asked, answered = (
        {entry["question_id"]: entry for entry in map(json.loads, (folder / name).read_text().splitlines())}
        for name in ("mt_bench_question.jsonl", "mt_bench_reference_answer_gpt-4.jsonl")
    )
    chats = []
    for key, answers in answered.items():
        messages = []
        for question, answer in zip(asked[key]["turns"], answers["choices"][0]["turns"], strict=True):
            messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        chats.append({"messages": messages})
    source = tmp_path / "chats.jsonl"
    source.write_text("".join(json.dumps(chat) + "\n" for chat in chats))
    settings = DataSettings(source=str(source), train_rows=20, eval_rows=10)
    splits = load_splits(settings, GENERATION)
    assert all([role for role, _ in row.turns] == ["user", "assistant", "user"] for row in splits.train)
    done = run_real(
        tmp_path, shared_data, data__source=str(source), data__train_rows=20, data__eval_rows=10,
        encoding__max_input_tokens=200,
    )  # fmt: skip
    assert done.tuned.manifest.scores["perplexity"] < done.base.manifest.scores["perplexity"]


def test_both_kinds_of_models_have_a_form() -> None:
    """An encoder-decoder reads the prompt and writes the target; the metrics are the same."""
    experiment = load_experiment("summarization-full").override({"task": "generation"})
    form = choose_form(experiment)
    rows = [GENERATION.tell(draw_event(1, index)) for index in range(3)]
    loaded = form.load(rows)
    encoded = form.encode(rows, loaded)
    form.audit(rows, encoded, loaded, form.make_collator(loaded))
    outputs = form.predict(loaded, rows, encoded, form.resolve(loaded))
    assert [output.tokens for output in outputs] == [len(row.labels) for row in encoded]
