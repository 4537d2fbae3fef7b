"""The span head: windows that point at answers, and the best span over all windows of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from harness.config import load_experiment
from harness.data.newsroom import draw_event
from harness.data.rows import Row
from harness.defects.reference.tokenizers import real_tokenizer
from harness.errors import DataError, LabelError, ModelError
from harness.forms.span_head import SpanHead
from harness.models.loading import LoadedModel
from harness.tasks.question_answering import QUESTION_ANSWERING, make_row
from harness.tasks.task import EncodedRow, Features
from tests.encoders import save_encoder
from tests.small import SMALL

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), min_size=1, max_size=60)


def make_form(model: str, **changes: object) -> SpanHead:
    """Question answering with windows of 40 tokens that share 8."""
    small = {**SMALL, "encoding.max_input_tokens": 40, "encoding.stride": 8, "model.name": model}
    experiment = load_experiment("summarization-full").override(
        {"task": "question-answering", **small, "gate.require": ["tuned must beat base on f1"], **changes}
    )
    return SpanHead(task=QUESTION_ANSWERING, experiment=experiment)


def ask(context: str, *answers: str, question: str = "who", key: str = "0") -> Row:
    """A row whose answers stand once in the passage."""
    spans = [(context.index(answer), context.index(answer) + len(answer)) for answer in answers]
    return make_row(key, question, context, spans)


NEWS = [QUESTION_ANSWERING.tell(draw_event(3, index)) for index in range(16)]
assert {bool(row.spans) for row in NEWS} == {True, False}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small encoder with random weights."""
    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def loaded(encoder: str) -> LoadedModel:
    """The same with a span head."""
    return make_form(encoder).load(NEWS)


@pytest.fixture(scope="module", params=["small", "bert-base-uncased", "t5"])
def pair(request: pytest.FixtureRequest, loaded: LoadedModel) -> LoadedModel:
    """Tokenizers of three kinds: a small one, BERT's own, and T5's, whose tokens hold the blank in front of them."""
    if request.param == "small":
        return loaded
    folder: Path = request.getfixturevalue("shared_data") / "tokenizers" / request.param
    return replace(loaded, tokenizer=real_tokenizer(folder))


def covered(row: Row, window: Features) -> str | None:
    """What the labels of a window cover in the passage."""
    offsets = window["offset_mapping"]
    first, last = offsets[window["start_positions"]], offsets[window["end_positions"]]
    return row.context[first[0] : last[1]].strip() if first and last else None


def audit(form: SpanHead, rows: Sequence[Row], encoded: Sequence[EncodedRow], loaded: LoadedModel) -> Any:
    return form.audit(rows, encoded, loaded, form.make_collator(loaded))


@given(data=st.data(), words=st.lists(TEXTS, min_size=1, max_size=30), question=TEXTS)
@example(data=None, words=["a [SEP] b", "[CLS]"], question="[SEP]?")
def test_answers_survive_the_way_through_the_windows(
    pair: LoadedModel, encoder: str, data: st.DataObject | None, words: list[str], question: str
) -> None:
    """Whatever the texts: labels cover the answer or the tokens that hold it, in every window that has all of it."""
    context = " ".join(words)
    assume(context.strip() and question.strip())
    places = [place for place, letter in enumerate(context) if not letter.isspace()]
    span = (places[0], places[-1] + 1)
    if data is not None:
        ends = data.draw(st.lists(st.sampled_from(places), min_size=2, max_size=2).map(sorted))
        span = (ends[0], ends[1] + 1)
    form = make_form(encoder, **{"encoding.max_input_tokens": 200})
    row = make_row("0", question, context, [span])
    try:
        (encoded,) = form.encode([row], pair)
    except DataError:  # there are texts that a tokenizer makes nothing of, or very much
        return
    report = audit(form, [row], [encoded], pair)
    said = [covered(row, window) for window in encoded.features]
    assert encoded.target_cut == (set(said) == {None}) == bool(report.targets_cut)
    wanted = context[slice(*span)]
    for text in filter(None, said):
        # Letters beside the answer may be covered, and marks at its edges that a tokenizer drops be left out.
        assert wanted in text or text in wanted or wanted[1:-1] in text


@pytest.mark.parametrize("tokenizer", ["small", "bert-base-uncased", "t5"])
def test_newsroom_answers_are_covered_exactly(tokenizer: str, loaded: LoadedModel, request: Any, encoder: str) -> None:
    """Every newsroom answer comes back letter by letter from every window that holds it, and some windows hold none."""
    if tokenizer != "small":
        shared = request.getfixturevalue("shared_data")
        loaded = replace(loaded, tokenizer=real_tokenizer(shared / "tokenizers" / tokenizer))
    form = make_form(encoder, **{"encoding.max_input_tokens": 64, "encoding.stride": 24})
    encoded = form.encode(NEWS, loaded)
    for row, one in zip(NEWS, encoded, strict=True):
        said = {covered(row, window) for window in one.features}
        assert len(one.features) > 1
        assert said - {None} <= set(row.references)
        assert bool(said - {None}) == bool(row.spans)
    report = audit(form, NEWS, encoded, loaded)
    windows = [window for one in encoded for window in one.features]
    pointing = sum(window["start_positions"] > 0 for window in windows)
    assert report.summary == f"{pointing} of {len(windows)} windows point at an answer"
    assert 0 < pointing < len(windows)


def test_windows_are_as_asked(loaded: LoadedModel, encoder: str) -> None:
    """No window is longer than allowed, neighbours share ``stride`` tokens, and the question is in front of each."""
    form = make_form(encoder)
    tokenizer = loaded.tokenizer
    row = ask(" ".join(f"{n} people" for n in range(40)), "7 people", question="how many [SEP] people")
    (encoded,) = form.encode([row], loaded)
    question = tokenizer(row.input, split_special_tokens=True)["input_ids"]
    shown = []
    for window in encoded.features:
        assert len(window["input_ids"]) <= 40
        assert window["input_ids"][: len(question)] == question
        assert window["token_type_ids"] == [0] * len(question) + [1] * (len(window["input_ids"]) - len(question))
        shown.append(window["offset_mapping"][len(question) : -1])
    for before, after in pairwise(shown):
        assert before[-8:] == after[:8]
    assert not encoded.input_cut


def test_first_answer_that_is_wholly_in_a_window_trains(loaded: LoadedModel, encoder: str) -> None:
    """Of several answers a window points at the first of the row's that it holds, whatever their order in the text."""
    words = [f"w{n}" for n in range(60)]
    context = " ".join([*words[:30], "Ana", *words[30:], "Bo"])
    row = ask(context, "Bo", "Ana")
    (encoded,) = make_form(encoder).encode([row], loaded)
    said = [covered(row, window) for window in encoded.features]
    assert said[-1] == "Bo"
    assert "Ana" in said[:-1]
    both = ask("Ana met Bo", "Bo", "Ana")
    (encoded,) = make_form(encoder).encode([both], loaded)
    assert covered(both, encoded.features[0]) == "Bo"


def test_answer_longer_than_a_window_is_counted(loaded: LoadedModel, encoder: str) -> None:
    """An answer that no window wholly holds leaves all windows at their first token, and is counted as cut."""
    row = ask(" ".join(["word"] * 80), " ".join(["word"] * 60))
    form = make_form(encoder)
    encoded = form.encode([row], loaded)
    assert encoded[0].target_cut
    assert audit(form, [row], encoded, loaded).targets_cut == 1


def test_edge_that_the_tokenizer_cannot_cut_is_counted(loaded: LoadedModel, encoder: str) -> None:
    """An answer that ends inside of a token is learned with the rest of that token; that is said, and is no error."""
    context = "the mayor spoke"
    form = make_form(encoder)
    row = make_row("0", "who", context, [(5, 9)])
    (encoded,) = form.encode([row], loaded)
    assert "ayor" in str(covered(row, encoded.features[0]))
    summary = audit(form, [row], [encoded], loaded).summary
    assert ("1 of them with letters beside it" in summary) == (covered(row, encoded.features[0]) != "ayor")


TOO_SMALL = {"encoding.max_input_tokens": 12, "encoding.stride": 4}


@pytest.mark.parametrize(
    ("row", "changes", "message"),
    [
        (ask("Ana met Bo", "Bo", question="who " * 9, key="q7"), TOO_SMALL, r"Row q7: its question takes 9 of the 12"),
        (
            ask("Ana met Bo", "Bo"),
            {"encoding.stride": 36},
            r"leaves 36 for the passage, 36 of them \(encoding.stride\)",
        ),
        (ask("\u200b\ufeff", key="q8"), {}, "1 of 1 passages have nothing to read: rows q8"),
    ],
)
def test_windows_that_cannot_be_made(
    row: Row, changes: dict[str, object], message: str, loaded: LoadedModel, encoder: str
) -> None:
    """A question without room for its passage, a stride without end and an unreadable passage are errors that count."""
    with pytest.raises(DataError, match=message):
        make_form(encoder, **changes).encode([row], loaded)


def test_window_longer_than_the_model_can_read(loaded: LoadedModel, encoder: str) -> None:
    """Positions that the model has not learned are an error with both numbers, not an index out of range."""
    row = ask("word " * 400 + "Ana", "Ana")
    with pytest.raises(ModelError, match=r"has 300 tokens and .* can read 256.*max_input_tokens to 256"):
        make_form(encoder, **{"encoding.max_input_tokens": 300}).encode([row], loaded)


def to_first(window: Features) -> None:
    window["start_positions"] = window["end_positions"] = 0


def one_early(window: Features) -> None:
    window["start_positions"] -= 1


def one_late(window: Features) -> None:
    window["end_positions"] += 1


def one_short(window: Features) -> None:
    window["start_positions"] += 1


def swapped(window: Features) -> None:
    window["start_positions"], window["end_positions"] = window["end_positions"], window["start_positions"]


def at_question(window: Features) -> None:
    window["start_positions"] = window["end_positions"] = 1


def behind_the_end(window: Features) -> None:
    window["end_positions"] = 9999


def moved_offsets(window: Features) -> None:
    window["offset_mapping"] = [None, *window["offset_mapping"][:-1]]


def question_lost(window: Features) -> None:
    window["input_ids"] = [*window["input_ids"][:1], *window["input_ids"][2:], 0]


def passage_lost(window: Features) -> None:
    window["offset_mapping"] = [offset and (offset[0], offset[0]) for offset in window["offset_mapping"]]


BUGS: list[Callable[[Features], None]] = [
    to_first, one_early, one_late, one_short, swapped, at_question, behind_the_end, moved_offsets, question_lost,
    passage_lost,
]  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(bug: Callable[[Features], None], loaded: LoadedModel, encoder: str) -> None:
    """Each way to spoil a window's labels turns the audit red, and it names the row; unspoilt it is green."""
    row = ask("The mayor of Ulm is Eva Braun since May.", "Eva Braun", question="who is mayor", key="q3")
    form = make_form(encoder)
    encoded = form.encode([row], loaded)
    audit(form, [row], encoded, loaded)
    bug(encoded[0].features[0])
    with pytest.raises(LabelError, match="Row q3"):
        audit(form, [row], encoded, loaded)


def test_answer_to_a_question_without_one_is_found(loaded: LoadedModel, encoder: str) -> None:
    """A window of a row without answers that points at words is an error."""
    row = ask("The mayor of Ulm is Eva Braun.", key="q4")
    form = make_form(encoder)
    encoded = form.encode([row], loaded)
    audit(form, [row], encoded, loaded)
    encoded[0].features[0].update(start_positions=6, end_positions=7)
    with pytest.raises(LabelError, match=r"Row q4: the labels of a window cover .* and the answer is ''"):
        audit(form, [row], encoded, loaded)


def test_missing_window_is_found(loaded: LoadedModel, encoder: str) -> None:
    """A part of the passage that no window shows is an error that says where it begins."""
    row = ask(" ".join(f"{n} people" for n in range(40)), "7 people")
    form = make_form(encoder)
    (encoded,) = form.encode([row], loaded)
    spoilt = replace(encoded, features=(encoded.features[0], *encoded.features[2:]))
    with pytest.raises(LabelError, match=r"Row 0: \d+ of \d+ characters of the passage are in none of its \d windows"):
        audit(form, [row], [spoilt], loaded)


@pytest.mark.parametrize("spans", [((4, 99),), ((-3, 2),), ((5, 5),), ((0, 3),)])
def test_span_beside_its_answer_is_found(spans: tuple[tuple[int, int]], loaded: LoadedModel, encoder: str) -> None:
    """Spans outside the text, or around other words than the answer, are an error that names the row."""
    form = make_form(encoder)
    row = Row(id="q5", input="who", context="Ana met Bo", target="Bo", references=("Bo",), spans=spans)
    encoded = form.encode([row], loaded)
    with pytest.raises(LabelError, match="Row q5: its answers are"):
        audit(form, [row], encoded, loaded)


def test_padding_on_the_left_is_found(loaded: LoadedModel, encoder: str) -> None:
    """Were windows padded in front, labels would count from the wrong token."""
    form = make_form(encoder)
    rows = [ask("Ana met Bo", "Bo"), ask("Ana met Bo and then he went home", "Bo", key="1")]
    encoded = form.encode(rows, loaded)
    collator = form.make_collator(loaded)
    loaded.tokenizer.padding_side = "left"
    try:
        with pytest.raises(LabelError, match="Row 0: the attention mask covers"):
            form.audit(rows, encoded, loaded, collator)
    finally:
        loaded.tokenizer.padding_side = "right"


def predict(form: SpanHead, loaded: LoadedModel, rows: Sequence[Row]) -> list[str]:
    outputs = form.predict(loaded, rows, form.encode(rows, loaded), form.resolve(loaded))
    return [output.text for output in outputs]


def test_an_answer_does_not_depend_on_its_batch(loaded: LoadedModel, encoder: str) -> None:
    """Rows answered together and alone, in any order, get the same answers, all of them spans of their passages."""
    form = make_form(encoder)
    together = predict(form, loaded, NEWS)
    assert [predict(form, loaded, [row])[0] for row in NEWS] == together
    assert predict(form, loaded, NEWS[::-1]) == together[::-1]
    assert all(text in row.context for text, row in zip(together, NEWS, strict=True))
    alone = make_form(encoder, **{"generation.batch_size": 1})
    assert predict(alone, loaded, NEWS) == together


def test_predictions_are_those_of_brute_force(loaded: LoadedModel, encoder: str) -> None:
    """The answer is the best span of all windows, unless the lowest score of the first tokens is higher."""
    form = make_form(encoder, **{"head.max_answer_tokens": 3})
    encoded = form.encode(NEWS, loaded)
    outputs = form.predict(loaded, NEWS, encoded, form.resolve(loaded))
    for row, one, output in zip(NEWS, encoded, outputs, strict=True):
        found, none = [], []
        for window in one.features:
            inputs = {name: torch.tensor([window[name]]) for name in loaded.tokenizer.model_input_names}
            with torch.no_grad():
                scores = loaded.model(**inputs)
            starts, ends = scores.start_logits[0].numpy(), scores.end_logits[0].numpy()
            none.append(starts[0] + ends[0])
            offsets = window["offset_mapping"]
            found += [
                (starts[first] + ends[last], row.context[offsets[first][0] : offsets[last][1]])
                for first in range(len(offsets))
                for last in range(first, min(first + 3, len(offsets)))
                if offsets[first] and offsets[last]
            ]
        best = max(score for score, _ in found)
        close = {text for score, text in found if score > best - 1e-4} | ({""} if min(none) > best - 1e-4 else set())
        assert output.text in ({""} if min(none) > best + 1e-4 else close)


class Pointer(torch.nn.Module):
    """Scores one token of the vocabulary 2 where a window shows it, else the window's first token 3; all others 0."""

    device = torch.device("cpu")

    def __init__(self, config: Any, token: int = -1) -> None:
        super().__init__()
        self.config, self.token = config, token

    def forward(self, input_ids: torch.Tensor, **_: torch.Tensor) -> Any:
        """Scores of shape (batch, length)."""
        scores = 2.0 * (input_ids == self.token)
        scores[scores.sum(1) == 0, 0] = 3
        return SimpleNamespace(start_logits=scores, end_logits=scores)


@pytest.mark.parametrize("rows", [NEWS, [row for row in NEWS if row.spans]], ids=["some without", "all with"])
def test_no_answer_is_given_only_where_it_was_trained(rows: list[Row], encoder: str) -> None:
    """A model that scores its first token highest says nothing, unless every training row has an answer."""
    form = make_form(encoder)
    loaded = form.load(rows)
    without = any(not row.spans for row in rows)
    assert form.resolve(loaded) == {"max_answer_tokens": 30, "null_answer": without}
    loaded = replace(loaded, model=Pointer(loaded.model.config))  # type: ignore[arg-type]
    assert {text == "" for text in predict(form, loaded, NEWS)} == {without}


def test_one_window_with_the_answer_is_enough(loaded: LoadedModel, encoder: str) -> None:
    """Windows that are sure to hold no answer do not outvote the one that is sure of its own."""
    rows = [ask("people " * 60 + "! " + "people " * 60, "!"), ask("people " * 60, key="1")]
    pointer = Pointer(loaded.model.config, loaded.tokenizer.convert_tokens_to_ids("!"))
    assert predict(make_form(encoder), replace(loaded, model=pointer), rows) == ["!", ""]  # type: ignore[arg-type]


def test_head_is_new_and_the_same_each_time(encoder: str, loaded: LoadedModel) -> None:
    """A base without a head gets one from the seed: two scores a token, equal in every run."""
    again, other = make_form(encoder).load(NEWS), make_form(encoder, **{"head.seed": 1}).load(NEWS)
    assert loaded.fresh == again.fresh == loaded.model.qa_outputs.weight.numel() + 2
    assert loaded.identify() == again.identify() != other.identify()


def test_saved_model_gives_the_same_answers(encoder: str, loaded: LoadedModel, tmp_path: Path) -> None:
    """A saved span head is loaded with its weights, and answers as before; it remembers whether there may be none."""
    loaded.model.save_pretrained(tmp_path)
    loaded.tokenizer.save_pretrained(tmp_path)
    again = make_form(str(tmp_path)).load(NEWS)
    assert again.fresh == 0
    assert predict(make_form(str(tmp_path)), again, NEWS) == predict(make_form(encoder), loaded, NEWS)
    plain = AutoModelForQuestionAnswering.from_pretrained(tmp_path)
    assert plain.config.null_answer
    assert len(AutoTokenizer.from_pretrained(tmp_path)) == len(loaded.tokenizer)


def test_checkpoint_with_another_number_of_labels(tmp_path: Path) -> None:
    """A checkpoint that was saved with three classes still gets two scores a token."""
    loaded = make_form(save_encoder(tmp_path, num_labels=3)).load(NEWS)
    assert loaded.model.qa_outputs.out_features == 2


def test_slow_tokenizer_is_refused(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer that cannot tell where its tokens stand is an error that says so."""
    monkeypatch.setattr("transformers.PreTrainedTokenizerFast.is_fast", property(lambda _: False))
    with pytest.raises(ModelError, match="cannot tell where its tokens stand"):
        make_form(encoder).load(NEWS)
