"""Question answering: rows from records and events, passages in one split, and text to text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness import run
from harness.config import DataSettings, Experiment, load_experiment
from harness.data.newsroom import draw_event
from harness.data.rows import Row
from harness.data.source import load_splits, read_source
from harness.errors import ColumnError, DataError, OverlapError
from harness.experiment import make_course
from harness.forms.encoder_decoder import EncoderDecoder
from harness.forms.span_head import SpanHead
from harness.metrics.answers import best_match
from harness.models.loading import LoadedModel
from harness.tasks.question_answering import QUESTION_ANSWERING, make_row
from harness.training import fine_tune
from tests.encoders import save_encoder
from tests.small import SMALL

RECORD = {"question": "Who left?", "context": "Ana met Bo. Bo left.", "answer": "Bo"}


def read(path: Path, **settings: object) -> list[Row]:
    return list(read_source(str(path), DataSettings.model_validate(settings), QUESTION_ANSWERING, split="train"))


def write(folder: Path, *records: dict[str, object]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def make_experiment(model: str, **changes: object) -> Experiment:
    small = {**SMALL, "model.name": model, "gate.require": ["tuned must beat base on f1"]}
    windows = {"encoding.max_input_tokens": 128, "encoding.stride": 32}
    return load_experiment("question-answering-full").override({**small, **windows, **changes})


def test_flat_columns(tmp_path: Path) -> None:
    """A record with question, context and answer is a row whose answers are all places where the answer stands."""
    (row,) = read(write(tmp_path, RECORD))
    assert (row.input, row.context, row.target) == ("Who left?", "Ana met Bo. Bo left.", "Bo")
    assert (row.references, row.spans) == (("Bo", "Bo"), ((8, 10), (12, 14)))


def test_columns_can_be_named(tmp_path: Path) -> None:
    """All three columns have a setting; a passage that is not there is an error that names what was looked for."""
    path = write(tmp_path, {"q": "Who left?", "doc": "Bo left.", "a": "Bo"})
    (row,) = read(path, input_columns=["q"], context_columns=["doc"], target_columns=["a"])
    assert row.spans == ((0, 2),)
    with pytest.raises(ColumnError, match=r"no context column: looked for context, .*data\.context_columns"):
        read(path, input_columns=["q"], target_columns=["a"])


def test_no_answer_is_an_empty_reference(tmp_path: Path) -> None:
    """Empty answers make a row without spans, whose only reference is empty; a cell without a value does not."""
    (row,) = read(write(tmp_path, {**RECORD, "answer": []}))
    assert (row.target, row.references, row.spans) == ("", ("",), ())
    with pytest.raises(DataError, match=r'row 1 \(counted from 1\): column "answer" is empty'):
        read(write(tmp_path, {**RECORD, "answer": None}))
    assert len(read(write(tmp_path, RECORD, {**RECORD, "answer": None}), drop_empty=True)) == 1


def test_events_are_told_with_their_answers() -> None:
    """Some of the newsroom's questions have no answer; every answer of the others stands at its span."""
    rows = [QUESTION_ANSWERING.tell(draw_event(1, index)) for index in range(60)]
    assert {bool(row.spans) for row in rows} == {True, False}
    for row in rows:
        assert row.references == (tuple(row.context[start:end] for start, end in row.spans) or ("",))


def squad(folder: Path, passages: int, each: int) -> Path:
    """Questions about some passages, in SQuAD's layout."""
    paragraphs = [
        {
            "context": f"In year {n} Ana met Bo in town {n}.",
            "qas": [
                {"id": f"{n}-{m}", "question": f"Where {m}?", "answers": [{"text": f"town {n}", "answer_start": 0}]}
                for m in range(each)
            ],
        }
        for n in range(passages)
    ]
    for paragraph in paragraphs:
        for question in paragraph["qas"]:  # type: ignore[attr-defined]
            question["answers"][0]["answer_start"] = str(paragraph["context"]).index("town")
    path = folder / "squad.json"
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}), encoding="utf-8")
    return path


@given(
    passages=st.integers(1, 9), each=st.integers(2, 6), train=st.integers(6, 40), evaluation=st.integers(6, 40),
    seed=st.integers(0, 9),
)  # fmt: skip
@example(passages=1, each=6, train=6, evaluation=6, seed=0)
def test_a_passage_is_in_one_split_only(
    tmp_path_factory: pytest.TempPathFactory, passages: int, each: int, train: int, evaluation: int, seed: int
) -> None:
    """Rows of one passage all train or all evaluate; the cut moves by less than a passage, and drops no row."""
    path = squad(tmp_path_factory.mktemp("squad"), passages, each)
    count = min(passages * each, train + evaluation)
    settings = DataSettings(source=str(path), train_rows=train, eval_rows=evaluation, seed=seed, allow_fewer=True)
    if passages == 1:
        with pytest.raises(DataError, match=f"All {count} rows ask about one passage"):
            load_splits(settings, QUESTION_ANSWERING)
        return
    splits = load_splits(settings, QUESTION_ANSWERING)
    assert len(splits.train) + len(splits.eval) == count
    assert not {row.context for row in splits.train} & {row.context for row in splits.eval}
    assert abs(len(splits.train) - count * train // (train + evaluation)) <= each


def test_common_passages_of_two_files_are_an_error(tmp_path: Path) -> None:
    """Other questions about the passages that trained are no fair test; they can be left out."""
    for name in ("train", "eval"):
        (tmp_path / name).mkdir()
    first = write(tmp_path / "train", RECORD, {**RECORD, "context": "Bo sang."})
    other = write(tmp_path / "eval", {**RECORD, "question": "Who met?"}, {**RECORD, "context": "Bo slept."})
    settings = DataSettings(source=str(first), eval_source=str(other), train_rows=2, eval_rows=2)
    with pytest.raises(OverlapError, match="1 of 2 evaluation rows ask about passages of training rows: 0 and 0"):
        load_splits(settings, QUESTION_ANSWERING)
    apart = settings.model_copy(update={"eval_rows": 1, "deduplicate": True})
    assert [row.context for row in load_splits(apart, QUESTION_ANSWERING).eval] == ["Bo slept."]


def test_text_to_text(tiny_t5: LoadedModel) -> None:
    """A T5 reads question and passage, and learns to write the first answer, or that there is none."""
    form = EncoderDecoder(task=QUESTION_ANSWERING, experiment=make_experiment("tiny-t5"))
    rows = [make_row("0", "Who?", "Ana met Bo.", [(8, 10)]), make_row("1", "Where?", "Ana met Bo.", [])]
    encoded = form.encode(rows, tiny_t5)
    decode = tiny_t5.tokenizer.decode
    assert [decode(one.input_ids, skip_special_tokens=True) for one in encoded] == [
        "question: Who? context: Ana met Bo.",
        "question: Where? context: Ana met Bo.",
    ]
    assert [decode(one.labels, skip_special_tokens=True) for one in encoded] == ["Bo", "no answer"]
    assert form.audit(rows, encoded, tiny_t5, form.make_collator(tiny_t5)).rows == 2


@pytest.mark.parametrize(("text", "expected"), [("no answer", ""), (" No answer", ""), ("", ""), ("no answers", None)])
def test_no_answer_in_words_is_no_answer(text: str, expected: str | None) -> None:
    """What a text-to-text model learns to write for no answer scores as no answer."""
    said = QUESTION_ANSWERING.read_output(text)
    assert said == (text if expected is None else expected)
    assert best_match(said, ("",)) == ((100, 100) if expected == "" else (0, 0))


def test_text_to_text_predictions_are_read(tiny_t5: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The form hands on what the task reads from the text that was written."""
    form = EncoderDecoder(task=QUESTION_ANSWERING, experiment=make_experiment("tiny-t5"))
    monkeypatch.setattr("harness.generation.transformers_engine.generate", lambda *_, **__: ["no answer", "Bo"])
    rows = [make_row(str(n), "Who?", "Ana met Bo.", [(8, 10)]) for n in range(2)]
    outputs = form.predict(tiny_t5, rows, form.encode(rows, tiny_t5), form.resolve(tiny_t5))
    assert [output.text for output in outputs] == ["", "Bo"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small encoder with random weights."""
    return save_encoder(tmp_path_factory.mktemp("encoder"))


def test_run_on_the_newsroom(encoder: str, tmp_path: Path) -> None:
    """From events to a verdict: windows, a new head, scores of both arms, and settings that say what decided."""
    done = run(make_experiment(encoder), baselines=tmp_path)
    assert set(done.base.manifest.scores) == {"exact_match", "f1"}
    assert done.base.manifest.encoding == {"max_input_tokens": 128, "stride": 32}
    assert done.base.manifest.generation == done.tuned.manifest.generation
    assert done.labels.summary.endswith("windows point at an answer")
    assert len(done.losses) > 2 * 16 / 8  # several windows a row
    assert done.losses[-1] < done.losses[0]
    for row, scored in zip(done.splits.eval, done.tuned.rows, strict=True):
        assert scored.output in row.context


def test_model_learns_to_answer(tmp_path: Path) -> None:
    """Trained on the rows it is asked about, the model points at their answers, and is silent where there is none."""
    encoder = save_encoder(tmp_path, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.1)
    quick = {"training.epochs": 30, "training.learning_rate": 5e-3, "training.batch_size": 3}
    experiment = make_experiment(encoder, **quick)
    form = SpanHead(task=QUESTION_ANSWERING, experiment=experiment)
    context = "Ana Lee met Bo Fox in Ulm on 3 May."
    asked = {"who met": "Ana Lee", "who was met": "Bo Fox", "where": "Ulm", "when": "3 May", "why": None, "how": None}
    rows = [
        make_row(question, question, context, [(context.index(answer), context.index(answer) + len(answer))])
        if answer
        else make_row(question, question, context, [])
        for question, answer in asked.items()
    ]
    loaded = form.load(rows)
    encoded = form.encode(rows, loaded)
    lesson = make_course(form, loaded, rows, encoded, form.make_collator(loaded))
    tuned = loaded.with_weights_of(fine_tune(loaded.model, lesson, experiment.training).model)
    said = [output.text for output in form.predict(tuned, rows, encoded, form.resolve(loaded))]
    assert said == [answer or "" for answer in asked.values()]


def test_run_on_real_questions(shared_data: Path, encoder: str, tmp_path: Path) -> None:
    """SQuAD 1.1: answers are read where they stand, passages stay in one split, and a verdict comes out."""
    changes = {"data.source": str(shared_data / "squad" / "dev-v1.1_partA.json"), "encoding.max_input_tokens": 256}
    done = run(make_experiment(encoder, **changes, **{"training.epochs": 1}), baselines=tmp_path)
    assert {row.context for row in done.splits.train}.isdisjoint(row.context for row in done.splits.eval)
    assert done.verdict.comparisons.tuned_base.metrics
    assert done.tuned.manifest.generation["null_answer"] is False
    assert all(row.output for row in done.tuned.rows)


def test_every_real_answer_is_read(shared_data: Path) -> None:
    """All 2,396 questions of the file have the answers that the file says; those of SQuAD 2.0 may have none."""
    path = shared_data / "squad" / "dev-v1.1_partA.json"
    rows = read(path)
    known = {
        question["id"]: {answer["text"].strip() for answer in question["answers"]}
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }
    assert len(rows) == len(known) == 2396
    assert all(set(row.references) == texts for row, texts in zip(rows, known.values(), strict=True))
    without = read(shared_data / "squad" / "squad2_fixture.json")
    assert len(without) == 6
    assert {bool(row.spans) for row in without} == {True, False}
