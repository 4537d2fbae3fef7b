"""File formats: each gives the records that its file holds, packed or not, and says which line is at fault."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from harness.config import DataSettings
from harness.data.files import read_path, read_records
from harness.data.formats import ENDINGS, FORMATS
from harness.data.rows import Row
from harness.errors import DataError, HarnessError, NameUnknownError
from harness.tasks.summarization import SUMMARIZATION

QUESTIONS = {
    "version": "v2.0",
    "data": [
        {
            "title": "Ashford",
            "paragraphs": [
                {
                    "context": "Ada Orr lives in Ashford.",
                    "qas": [
                        {"id": "a", "question": "Who?", "answers": [{"text": "Ada Orr", "answer_start": 0}]},
                        {
                            "id": "b",
                            "question": "When?",
                            "is_impossible": True,
                            "answers": [{"text": "Ashford", "answer_start": 17}],
                            "plausible_answers": [{"text": "Ashford", "answer_start": 17}],
                        },
                    ],
                }
            ],
        }
    ],
}
CONTEXT = {"title": "Ashford", "context": "Ada Orr lives in Ashford."}
ANSWERED = [
    {"id": "a", **CONTEXT, "question": "Who?", "answers": {"text": ["Ada Orr"], "answer_start": [0]}},
    {"id": "b", **CONTEXT, "question": "When?", "answers": {"text": [], "answer_start": []}},
]
TAGGED = [{"tokens": ["Ada", "ran"], "tags": ["B-PER", "O"]}, {"tokens": ["No"], "tags": ["O"]}]
PAIRS = [{"input": "a", "target": "b"}, {"input": "é\u2028", "target": '"d"'}]

FILES: dict[str, tuple[str, str, dict[str, object], list[dict[str, object]]]] = {
    "csv": ("r.csv", 'input,target\na,b\né\u2028,"""d"""\n', {}, PAIRS),
    "csv without a head": ("r.csv", 'a,b\né\u2028,"""d"""\n', {"columns": ["input", "target"]}, PAIRS),
    "tsv": ("r.tsv", 'input\ttarget\na\tb\né\u2028\t"d"\n', {}, PAIRS),
    "tsv with CRLF and a blank line": ("r.TSV", 'input\ttarget\r\na\tb\r\n\r\né\u2028\t"d"', {}, PAIRS),
    "tsv without a head": ("r.tsv", 'a\tb\né\u2028\t"d"\n', {"columns": ["input", "target"]}, PAIRS),
    "txt without a head": ("r.txt", 'a\tb\né\u2028\t"d"\n', {"columns": ["input", "target"]}, PAIRS),
    "tsv with empty cells": ("r.tsv", "a\tb\n\t\n", {}, [{"a": "", "b": ""}]),
    "jsonl": ("r.jsonl", "\n".join(map(json.dumps, PAIRS)), {}, PAIRS),
    "ndjson with a byte order mark": ("r.ndjson", "\ufeff" + "\n\n".join(map(json.dumps, PAIRS)), {}, PAIRS),
    "json": ("r.json", json.dumps(PAIRS), {}, PAIRS),
    "json in data": ("r.json", json.dumps({"data": PAIRS, "version": 1}, indent=2), {}, PAIRS),
    "SQuAD": ("r.json", json.dumps(QUESTIONS), {}, ANSWERED),
    "SQuAD with numbers as ids": (
        "r.json",
        json.dumps(QUESTIONS).replace('"id": "a"', '"id": 7'),
        {},
        [{**ANSWERED[0], "id": "7"}, ANSWERED[1]],
    ),
    "conll": ("r.conll", "Ada\tB-PER\nran\tO\n\nNo\tO\n", {}, TAGGED),
    "conll with blanks": ("r.bio", "Ada  B-PER\nran O\n \nNo O", {}, TAGGED),
    "conll with four columns": (
        "r.annotated",
        "-DOCSTART- -X- -X- O\r\n\r\nAda NNP I-NP B-PER\r\nran VBD I-VP O\r\n-DOCSTART- -X- O\r\nNo DT O O\r\n\r\n\r\n",
        {},
        TAGGED,
    ),
    "conll by its setting": ("submission", "Ada\tB-PER\nran\tO\n\nNo\tO\n\n", {"format": "conll"}, TAGGED),
    "conll with odd blanks in a token": ("r.conll", "a\xa0b\tO\n", {}, [{"tokens": ["a\xa0b"], "tags": ["O"]}]),
    "story": (
        "0a.1b.story",
        "One.\n\nTwo.\n\n@highlight\n\nFirst\nline\n\n@highlight\n\n@highlight\n\nSecond",
        {},
        [{"id": "0a.1b", "article": "One.\n\nTwo.", "highlights": "First line\nSecond"}],
    ),
    "txt": ("r.txt", "one \n\n  \n2\u20283\r4\x85\r\n", {}, [{"text": "one "}, {"text": "2\u20283\r4\x85"}]),
    "txt by its setting": ("r.de", "eins\n", {"format": "txt"}, [{"text": "eins"}]),
}


def read(path: Path, **settings: object) -> list[dict[str, Any]]:
    return [dict(record) for record in read_records(path, DataSettings.model_validate(settings))]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize(("name", "content", "settings", "expected"), FILES.values(), ids=FILES)
def test_file_gives_its_records(
    name: str, content: str, settings: dict[str, object], expected: list[object], tmp_path: Path, *, packed: bool
) -> None:
    """Each format gives exactly its records, the same when the file is packed by gzip."""
    path = tmp_path / (name + ".gz" * packed)
    data = content.encode("utf-8")
    path.write_bytes(gzip.compress(data) if packed else data)
    assert read(path, **settings) == expected


def test_parquet_may_be_packed(tmp_path: Path) -> None:
    """A Parquet file gives the same records when it is packed by gzip."""
    path, packed = tmp_path / "r.parquet", tmp_path / "r.parquet.gz"
    Dataset.from_list(PAIRS).to_parquet(path)
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read(path) == read(packed) == PAIRS


FAULTS: dict[str, tuple[str, str, dict[str, object], str]] = {
    "tsv with a cell too many": ("r.tsv", "a\tb\n1\t2\n1\t2\t3\n", {}, r"line 3 has 3 cells, but there are 2 columns"),
    "tsv without the asked columns": ("r.tsv", "1\t2\n", {"columns": ["a"]}, r"line 1 has 2 cells, .* 1 columns: a"),
    "tsv with a column twice": ("r.tsv", "a\ta\n", {}, r"names a column twice: a, a"),
    "tag left out": ("r.conll", "Ada\tB-PER\nran\n", {}, r"r\.conll, line 2 lacks a column: 'ran'; 2 are expected"),
    "tag empty": ("r.conll", "Ada\tO\n\nran\t\n", {}, r"line 3 lacks a column: 'ran\\t'"),
    "token empty": ("r.conll", "\tO\n", {}, r"line 1 lacks a column"),
    "third column left out": ("r.conll", "Ada NNP O\nran O\n", {}, r"line 2 lacks a column: 'ran O'; 3 are expected"),
    "one column": ("r.conll", "Ada\n", {}, r"line 1 lacks a column: 'Ada'; 2 are expected"),
    "no highlight": ("r.story", "One.\nTwo.\n", {}, r"no highlight: none of its 2 lines"),
    "empty highlight": ("r.story", "One.\n@highlight\n\n", {}, r"no highlight"),
    "broken JSON": ("r.json", "[1,\n", {}, r'is not JSON.*data\.format = "jsonl"'),
    "lines of JSON": ("r.json", '{"a": 1}\n{"a": 2}\n', {}, r"is not JSON: Extra data"),
    "deep JSON": ("r.json", "[" * 100_000, {}, r"is not JSON"),
    "JSON without a list": ("r.json", '{"rows": []}', {}, r"no list of records but an object of rows"),
    "JSON of words": ("r.json", '["a"]', {}, r"item 1 is no object but 'a'"),
    "SQuAD without a context": (
        "r.json",
        '{"data": [{"paragraphs": [{"qas": []}]}]}',
        {},
        r'article 1, paragraph 1 has no "context" of type str',
    ),
    "SQuAD without an id": (
        "r.json",
        json.dumps(QUESTIONS).replace('"id": "b"', '"id": null'),
        {},
        r'paragraph 1, question 2 has no "id" of type str or int',
    ),
    "SQuAD of words": ("r.json", '{"data": [{"paragraphs": ["a"]}]}', {}, r"paragraph 1 has no \"context\" .*: 'a'"),
    "SQuAD with a place in words": (
        "r.json",
        json.dumps(QUESTIONS).replace('"answer_start": 0', '"answer_start": "0"'),
        {},
        r'paragraph 1, question 1 has no "answer_start" of type int',
    ),
    "no ending": ("submission", "a\tO\n", {}, r'unknown format "".*data\.format to one of: conll, csv, json, '),
    "no gzip": ("r.txt.gz", "abc", {}, r"cannot be read: Not a gzipped file"),
}


@pytest.mark.parametrize(("name", "content", "settings", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_is_named_with_its_place(
    name: str, content: str, settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    """What is wrong with a file is said with its name and the line, item or question at fault."""
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read(path, **settings)


@pytest.mark.parametrize("name", ["r.txt", "r.tsv", "r.json", "r.conll", "r.story", "r.csv", "r.jsonl"])
def test_latin_1_and_cut_gzip_are_clear_errors(name: str, tmp_path: Path) -> None:
    """Text that is not UTF-8, and packed text that was cut short, are refused, not read to rubbish."""
    path = tmp_path / name
    path.write_bytes("caf\xe9\n".encode("latin-1"))
    with pytest.raises(DataError, match=f"{name} cannot be read: .*readable UTF-8 text"):
        read(path)
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(b'{"a": "one"}\n' * 50)[:-9])
    with pytest.raises(DataError, match=f"{name}.gz cannot be read: Compressed file ended"):
        read(packed)


def test_unknown_format_is_named_with_those_there_are(tmp_path: Path) -> None:
    """A typo in data.format names the right word; another word gets the list."""
    path = tmp_path / "r.csv"
    path.write_text("a,b\n", encoding="utf-8")
    with pytest.raises(NameUnknownError, match=r'no format "jsonll".*Did you mean "jsonl"'):
        read(path, format="jsonll")
    with pytest.raises(NameUnknownError, match="Choose one of: " + ", ".join(FORMATS)):
        read(path, format="excel")


def write_all(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")


def read_ids(folder: Path, **settings: object) -> list[str]:
    chosen = DataSettings.model_validate({"input_columns": ["text"], "target_columns": ["text"], **settings})
    return [row.id for row in read_path(folder, chosen, SUMMARIZATION, split="train")]


def test_notes_beside_data_are_left_out(tmp_path: Path) -> None:
    """A README.txt and a JSON file beside the data are no rows; alone, or when asked for, text files are."""
    write_all(tmp_path, {"README.txt": "About", "info.json": "{}", "a.tsv": "text\none\n", "notes.md": "# Notes"})
    assert read_ids(tmp_path) == ["0"]
    (tmp_path / "notes.md").unlink()
    assert read_ids(tmp_path, format="tsv") == ["0"]
    (tmp_path / "b.txt").write_text("two\nthree\n", encoding="utf-8")
    assert read_ids(tmp_path, format="txt") == ["README.txt-0", "b.txt-0", "b.txt-1"]
    (tmp_path / "a.tsv").unlink()
    (tmp_path / "info.json").unlink()
    assert read_ids(tmp_path) == ["README.txt-0", "b.txt-0", "b.txt-1"]


def test_folder_without_data_says_what_it_looked_for(tmp_path: Path) -> None:
    """A folder of other files is refused with the formats there are; a format asked for reads files of any name."""
    write_all(tmp_path, {"team": "one\n", "club": "two\n"})
    with pytest.raises(DataError, match=r"holds no data file\. Formats: conll, .*data\.format"):
        read_ids(tmp_path)
    assert read_ids(tmp_path, format="txt") == ["club-0", "team-0"]


def read_pairs(source: Path, targets: Path, **settings: object) -> list[Row]:
    chosen = DataSettings.model_validate({"source": str(source), "target_source": str(targets), **settings})
    return list(read_path(source, chosen, SUMMARIZATION, split="train"))


def test_parallel_text_pairs_line_with_line(tmp_path: Path) -> None:
    """Line n of two text files of any ending, one of them packed, is one row."""
    (tmp_path / "t.en").write_text("one\r\ntwo\r\n", encoding="utf-8")
    (tmp_path / "t.de.gz").write_bytes(gzip.compress(b"eins\nzwei"))
    rows = read_pairs(tmp_path / "t.en", tmp_path / "t.de.gz")
    assert [(row.input, row.target) for row in rows] == [("one", "eins"), ("two", "zwei")]


def test_evaluation_pairs_have_a_target_file_of_their_own(tmp_path: Path) -> None:
    """Each source is paired with its own targets; a source without any is not paired with another's."""
    write_all(tmp_path, {"t.en": "one\n", "t.de": "eins\n", "e.en": "two\n", "e.de": "zwei\n"})
    named = {
        "target_source": str(tmp_path / "t.de"),
        "source": str(tmp_path / "t.en"),
        "eval_source": str(tmp_path / "e.en"),
    }
    both = DataSettings.model_validate({**named, "eval_target_source": str(tmp_path / "e.de")})
    assert [row.target for row in read_path(tmp_path / "t.en", both, SUMMARIZATION, split="train")] == ["eins"]
    assert [row.target for row in read_path(tmp_path / "e.en", both, SUMMARIZATION, split="train")] == ["zwei"]
    with pytest.raises(DataError, match=r'e\.en has the unknown format "\.en".*data\.eval_target_source'):
        list(read_path(tmp_path / "e.en", DataSettings.model_validate(named), SUMMARIZATION, split="train"))


@given(count=st.integers(1, 5), more=st.integers(1, 3), first=st.booleans())
def test_line_counts_that_differ_are_an_error_with_both(
    tmp_path_factory: pytest.TempPathFactory, count: int, more: int, *, first: bool
) -> None:
    """Whichever of two parallel files is longer, no pair is given and both numbers are named."""
    folder = tmp_path_factory.mktemp("pairs")
    counts = [count + more * first, count + more * (not first)]
    write_all(folder, {name: "x\n" * lines for name, lines in zip(("t.en", "t.de"), counts, strict=True)})
    with pytest.raises(DataError, match=rf"t\.en has {counts[0]} lines, but .*t\.de has {counts[1]}"):
        read_pairs(folder / "t.en", folder / "t.de")


def test_only_text_can_be_parallel(tmp_path: Path) -> None:
    """A table or a folder has no lines to pair, and a target file that is not there is named."""
    write_all(tmp_path, {"t.csv": "a\n", "t.de": "b\n", "t.en": "c\n"})
    with pytest.raises(DataError, match=r"t\.csv is no plain text but csv"):
        read_pairs(tmp_path / "t.csv", tmp_path / "t.de")
    with pytest.raises(DataError, match="is no plain text but folder"):
        read_pairs(tmp_path, tmp_path / "t.de")
    with pytest.raises(DataError, match=r"There is no file .*none\.de"):
        read_pairs(tmp_path / "t.en", tmp_path / "none.de")
    assert len(read_pairs(tmp_path / "t.csv", tmp_path / "t.de", format="txt")) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "paragraphs", "qas", "answers", "context", "id", "question", "text"]), inner
        )
    ),
    max_leaves=12,
)
CONTENTS = (
    st.binary(max_size=80)
    | st.text('ab"\t ,\n\r\\\ufeff\x00\u2028{}[]:-', max_size=40).map(str.encode)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"data": [{"paragraphs": value}]}).encode())
    | st.lists(st.sampled_from([b"@highlight\n", b"-DOCSTART- O\n", b"a\tO\n", b"\n", b"a O\n"])).map(b"".join)
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lambda data: gzip.compress(data)[:-5]], ids=["", "gz", "cut"])
@pytest.mark.parametrize("form", FORMATS)
@given(content=CONTENTS, columns=st.none() | st.just(["a", "b"]))
def test_any_bytes_give_records_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory,
    form: str,
    pack: Callable[[bytes], bytes],
    content: bytes,
    columns: list[str] | None,
) -> None:
    """Whatever a file holds, its reader gives mappings of named columns or raises an error of the harness."""
    path = tmp_path_factory.getbasetemp() / ("fuzz" if pack is bytes else "fuzz.gz")
    path.write_bytes(pack(content))
    try:
        records = read(path, format=form, columns=columns)
    except HarnessError:
        return
    assert all(isinstance(name, str) for record in records for name in record)


@given(place=st.integers(0), value=st.integers(0, 255))
def test_damaged_parquet_gives_records_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    """One wrong byte in a Parquet file never ends in an exception of another library."""
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    Dataset.from_list(PAIRS).to_parquet(path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    path.write_bytes(data)
    try:
        read(path)
    except HarnessError:
        return


def test_every_format_has_an_ending_and_every_ending_a_format() -> None:
    """The two tables agree, and each format can be named by its own ending."""
    assert set(ENDINGS.values()) == set(FORMATS)
    assert all(ENDINGS[f".{name}"] == name for name in FORMATS)
