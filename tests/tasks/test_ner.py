"""Named entity recognition: records of words and tags become rows, or an error that names the row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.config import DataSettings
from harness.data.bio import find_break, read_entities
from harness.data.columns import to_rows
from harness.data.files import read_path
from harness.data.newsroom import draw_event
from harness.data.rows import Row
from harness.errors import DataError, HarnessError, ModelError
from harness.forms import choose_form
from harness.tasks.ner import NER
from tests.small import small_experiment

WORDS, TAGS = ["Ada", "Larby", "won"], ["B-PER", "I-PER", "O"]


def read(record: dict[str, Any], **settings: Any) -> list[Row]:
    return list(to_rows([record], DataSettings(**settings), NER, where="rows.jsonl"))


@pytest.mark.parametrize(
    "record",
    [
        {"tokens": WORDS, "tags": TAGS},
        {"words": WORDS, "ner_tags": TAGS},
        {"id": "7", "words": WORDS, "labels": TAGS},
        {"tokens": " ".join(WORDS), "tags": " ".join(TAGS)},
        {"tokens": "Ada  Larby won", "tags": TAGS},
    ],
)
def test_words_and_tags_are_joined_by_blanks(record: dict[str, Any]) -> None:
    """Lists under the usual names, and texts as a CSV file has them, become the same row."""
    (row,) = read(record)
    assert (row.input, row.target) == ("Ada Larby won", "B-PER I-PER O")


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        (WORDS, TAGS[:2], r"3 words have 2 tags"),
        (["a", "b c"], ["O", "O"], r"holds 'b c' in place 2.*none may be empty or hold white space"),
        (["a", "b\u00a0c"], ["O", "O"], r"holds 'b\\xa0c' in place 2"),
        (["a", ""], ["O", "O"], r"holds '' in place 2"),
        (["a", None], ["O", "O"], r"holds None in place 2"),
        (["a", "b"], ["O", " "], r'"tags" holds \' \' in place 2'),
        (WORDS, [1, 2, 0], r"holds numbers: \[1, 2, 0\].*feature.names"),
        (WORDS, ["B-PER", 2, "O"], r"holds numbers"),
        (WORDS, 3, r"holds no text but int"),
        ([1, 2, 3], TAGS, r'"tokens" holds numbers'),
        (["\ud83d", "b", "c"], TAGS, r"half of a character"),
        ([], [], r'"tokens" is empty'),
        ("", "", r'"tokens" is empty'),
        (WORDS, ["I-PER", "I-PER", "O"], r'word 1 \("Ada"\) is I-PER at the start: the tags are of scheme IOB1'),
        (WORDS, ["O", "I-PER", "B-PER"], r"word 2 .* is I-PER behind O: .* IOB1, not IOB2.*Write B- where an entity"),
        (WORDS, ["B-PER", "E-PER", "O"], r"is E-PER behind B-PER: .* IOBES.*Write S- as B-, and E- as I-"),
        (WORDS, ["U-PER", "O", "O"], r"BILOU"),
        (WORDS, ["B-PER", "O", "I-PER"], r"is I-PER behind O; in scheme IOB2"),
        (WORDS, ["B-PER", "I-ORG", "O"], r"is I-ORG behind B-PER; in scheme IOB2"),
        (WORDS, ["O", "PER", "O"], r"word 2 .* is PER behind O; in scheme IOB2"),
    ],
)
def test_a_bad_row_is_named(words: Any, tags: Any, message: str) -> None:
    """What is wrong with words or tags is said, with the row and its place, and how to mend it."""
    with pytest.raises(DataError, match=rf"(?s)rows.jsonl, row 1 \(counted from 1\): .*{message}"):
        read({"tokens": words, "tags": tags})


def test_an_empty_row_may_be_dropped() -> None:
    """A row without words is left out where the settings say so."""
    assert read({"tokens": [], "tags": []}, drop_empty=True) == []


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    """A table whose cells hold words and tags between blanks is a data set."""
    path = tmp_path / "rows.csv"
    path.write_text('words,tags\n"Ada Larby won",B-PER I-PER O\n', encoding="utf-8")
    (row,) = read_path(path, DataSettings(), NER, split="train")
    assert row.target == "B-PER I-PER O"


def test_lists_written_as_text_are_refused(tmp_path: Path) -> None:
    """A table whose cells hold Python lists has no tags that could be meant."""
    path = tmp_path / "rows.csv"
    path.write_text("words,tags\n\"['Ada', 'won']\",\"['B-PER', 'O']\"\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"\['B-PER',.*in scheme IOB2"):
        list(read_path(path, DataSettings(), NER, split="train"))


def test_names_of_tags_begin_with_o_and_have_both_letters() -> None:
    """O is the first name, and each type has B- and I-, in the order of the alphabet, whether both occur or not."""
    rows = [Row(id="0", input="a b", target="O B-PER"), Row(id="1", input="a b", target="B-LOC I-LOC")]
    assert NER.name_labels(rows) == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def test_rows_without_entities_teach_nothing() -> None:
    """Rows that are O throughout are refused."""
    with pytest.raises(DataError, match="No word of the 1 training rows has a tag but O"):
        NER.name_labels([Row(id="0", input="a b", target="O O")])


def test_the_newsroom_tells_tagged_documents() -> None:
    """Each row is a document with its tags: as many as words, legal, of several types, and no two alike."""
    rows = [NER.tell(draw_event(42, index)) for index in range(50)]
    for row in rows:
        tags = row.target.split()
        assert len(tags) == len(row.input.split())
        assert find_break(tags) is None
        assert len({kind for _, _, kind in read_entities(tags)}) >= 4
    assert len({row.normalised_hash for row in rows}) == 50


def test_a_model_that_writes_text_cannot_tag() -> None:
    """On the T5 the task is refused, with the kind of model it needs."""
    with pytest.raises(ModelError, match=r'"ner" cannot be put to "tiny-t5".*known for: encoder\..*tiny-bert'):
        choose_form(small_experiment(task="ner"))


@pytest.mark.parametrize("name", ["emerging.dev.conll", "emerging.test.annotated", "wnut17train_1000.conll"])
def test_the_shared_task_is_read_whole(shared_data: Path, name: str) -> None:
    """Every sentence of WNUT-17 is a row with one legal tag a word, and joins give back its words and tags."""
    sentences = [
        [line.split("\t") for line in block.strip("\n").split("\n")]
        for block in (shared_data / "wnut17" / name).read_text(encoding="utf-8").split("\n\n")
        if block.strip("\n")
    ]
    rows = list(read_path(shared_data / "wnut17" / name, DataSettings(), NER, split="train"))
    assert len(rows) == {"emerging.dev.conll": 1009, "emerging.test.annotated": 1287}.get(name, 1000)
    for row, lines in zip(rows, sentences, strict=True):
        assert [row.input.split(" "), row.target.split(" ")] == [list(column) for column in zip(*lines, strict=True)]


def test_json_lines_with_numbers_name_file_and_row(tmp_path: Path) -> None:
    """Numbers in place of names are an error that says in which row of which file."""
    path = tmp_path / "rows.jsonl"
    lines = [{"tokens": WORDS, "ner_tags": TAGS}, {"tokens": WORDS, "ner_tags": [1, 2, 0]}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with pytest.raises(HarnessError, match=r"rows.jsonl, row 2 \(counted from 1\): column \"ner_tags\" holds numbers"):
        list(read_path(path, DataSettings(), NER, split="train"))
