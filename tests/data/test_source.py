"""Rows from files, folders and the hub: every format gives the same rows, every fault a clear error."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st

from harness.config import DataSettings
from harness.data.rows import Row
from harness.data.source import further_rows, load_splits, read_source
from harness.errors import ColumnError, DataError, HubError, OverlapError, SettingsError
from harness.tasks.summarization import SUMMARIZATION
from tests.small import PATIENCE

RECORDS = [{"document": f'Text "{n}", with\na break, é and 日本', "summary": f"Sum {n}", "extra": n} for n in range(12)]


def write_csv(folder: Path) -> Path:
    path = folder / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, RECORDS[0].keys())
        writer.writeheader()
        writer.writerows(RECORDS)
    return path


def write_jsonl(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
    return path


def write_parquet(folder: Path) -> Path:
    path = folder / "rows.parquet"
    Dataset.from_list(RECORDS).to_parquet(path)
    return path


def write_dataset(folder: Path) -> Path:
    Dataset.from_list(RECORDS).save_to_disk(folder / "saved")
    return folder / "saved"


def write_dataset_dict(folder: Path) -> Path:
    DatasetDict({"train": Dataset.from_list(RECORDS)}).save_to_disk(folder / "dict")
    return folder / "dict"


def write_folder(folder: Path) -> Path:
    (folder / "many").mkdir()
    write_jsonl(folder / "many")
    return folder / "many"


def read(path: Path, **settings: object) -> list[Row]:
    return list(read_source(str(path), DataSettings.model_validate(settings), SUMMARIZATION, split="train"))


@pytest.mark.parametrize(
    "write", [write_csv, write_jsonl, write_parquet, write_dataset, write_dataset_dict, write_folder]
)
def test_every_format_gives_the_same_rows(write: Callable[[Path], Path], tmp_path: Path) -> None:
    """CSV, JSON lines, Parquet, saved data sets and folders hold the same rows in the same order."""
    expected = [Row(id=str(n), input=str(r["document"]), target=str(r["summary"])) for n, r in enumerate(RECORDS)]
    assert read(write(tmp_path)) == expected


def test_several_files_keep_their_rows_apart(tmp_path: Path) -> None:
    """Rows of two files in one folder have ids of their own, and each file may name its columns its own way."""
    (tmp_path / "a.jsonl").write_text('{"document": "d1", "summary": "s1"}\n', encoding="utf-8")
    (tmp_path / "b.csv").write_text("id,input,target\n7,d2,s2\n", encoding="utf-8")
    assert [(row.id, row.input, row.target) for row in read(tmp_path)] == [
        ("a.jsonl-0", "d1", "s1"),
        ("b.csv-0", "d2", "s2"),
    ]


def test_lists_are_references_and_sentences(tmp_path: Path) -> None:
    """A list of targets is a list of references; a list of input sentences is one input."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"source": ["One.", "Two."], "target": ["A.", "B."]}\n', encoding="utf-8")
    (row,) = read(path, input_columns=["source"])
    assert (row.input, row.target, row.references) == ("One.\nTwo.", "A.", ("A.", "B."))


FAULTS: dict[str, tuple[str, str | None, dict[str, object], type[Exception], str]] = {
    "missing file": ("rows.csv", None, {}, DataError, "There is no file"),
    "empty file": ("rows.csv", "", {}, DataError, "is empty"),
    "header alone": ("rows.csv", "input,target\n", {}, DataError, "holds no rows"),
    "no such column": ("rows.csv", "text,label\na,b\n", {}, ColumnError, "looked for target.*it has text, label"),
    "asked column": ("rows.csv", "input,target\na,b\n", {"input_columns": ["body"]}, ColumnError, "looked for body"),
    "empty cell": (
        "rows.csv",
        "input,target\na,b\nc, \n",
        {},
        DataError,
        r'row 2 \(counted from 1\): column "target" is empty',
    ),
    "short line": ("rows.csv", "input,target\na\n", {}, DataError, "line 2: the number of cells"),
    "long line": ("rows.csv", "input,target\na,b,c\n", {}, DataError, "line 2: the number of cells"),
    "open quote": ("rows.csv", 'input,target\n"a,b\n', {}, DataError, "after line 1.*open quote"),
    "broken JSON": ("rows.jsonl", '{"input": "a", "target": "b"}\n{"input\n', {}, DataError, "line 2 is not JSON"),
    "column twice": ("rows.csv", "input,target,target\na,b,c\n", {}, DataError, "names a column twice"),
    "half an emoji": ("rows.jsonl", '{"input": "\\ud83d", "target": "b"}\n', {}, DataError, "half of a character"),
    "endless number": ("rows.jsonl", '{"input": ' + "9" * 5000 + "}\n", {}, DataError, "line 1 is not JSON"),
    "JSON list": ("rows.jsonl", "[1, 2]\n", {}, DataError, "line 1 is no JSON object"),
    "number cell": ("rows.jsonl", '{"input": "a", "target": 3}\n', {}, DataError, "no text but int: 3"),
    "null cell": ("rows.jsonl", '{"input": null, "target": "b"}\n', {}, DataError, 'column "input" is empty'),
    "unknown format": ("rows.xlsx", "x", {}, DataError, "unknown format"),
    "not Parquet": ("rows.parquet", "x", {}, DataError, "cannot be read"),
    "nothing left": ("rows.csv", "input,target\na, \n", {"drop_empty": True}, DataError, "0 rows after drop_empty"),
}


@pytest.mark.parametrize(("name", "content", "settings", "error", "message"), FAULTS.values(), ids=FAULTS)
def test_fault_gives_a_clear_error(
    name: str, content: str | None, settings: dict[str, object], error: type[Exception], message: str, tmp_path: Path
) -> None:
    """What is wrong with a file is said with its name, line and remedy."""
    path = tmp_path / name
    if content is not None:
        path.write_text(content, encoding="utf-8")
    chosen = DataSettings.model_validate({"source": str(path), "train_rows": 1, "eval_rows": 1, **settings})
    with pytest.raises(error, match=message):
        load_splits(chosen, SUMMARIZATION)


def test_not_utf8_is_a_clear_error(tmp_path: Path) -> None:
    """A Latin-1 file is named, not decoded to rubbish."""
    path = tmp_path / "rows.csv"
    path.write_bytes("input,target\ncaf\xe9,b\n".encode("latin-1"))
    with pytest.raises(DataError, match="readable UTF-8 text"):
        read(path)


def test_too_few_rows_is_an_error(tmp_path: Path) -> None:
    """Never are fewer rows evaluated than asked for."""
    with pytest.raises(DataError, match="has 12 rows, but 13 are asked for"):
        load_splits(DataSettings(source=str(write_csv(tmp_path)), train_rows=10, eval_rows=3), SUMMARIZATION)


def test_splits_are_drawn_once_and_apart(tmp_path: Path) -> None:
    """The asked numbers of rows, no row in both, the same again with the same seed, others with another."""
    settings = DataSettings(source=str(write_csv(tmp_path)), train_rows=8, eval_rows=4, seed=1)
    splits = load_splits(settings, SUMMARIZATION)
    assert (len(splits.train), len(splits.eval)) == (8, 4)
    assert not {row.id for row in splits.train} & {row.id for row in splits.eval}
    assert load_splits(settings, SUMMARIZATION) == splits
    assert load_splits(settings.model_copy(update={"seed": 2}), SUMMARIZATION) != splits


def test_separate_evaluation_file(tmp_path: Path) -> None:
    """Evaluation rows may come from a file of their own; common rows are an error unless duplicates are dropped."""
    train, evaluation = tmp_path / "train.csv", tmp_path / "eval.csv"
    train.write_text("input,target\na,1\nb,2\n", encoding="utf-8")
    evaluation.write_text("input,target\nA!,1\nc,3\n", encoding="utf-8")
    settings = DataSettings(source=str(train), eval_source=str(evaluation), train_rows=2, eval_rows=1)
    with pytest.raises(OverlapError):
        load_splits(settings.model_copy(update={"eval_rows": 2}), SUMMARIZATION)
    deduplicated = load_splits(settings.model_copy(update={"deduplicate": True}), SUMMARIZATION)
    assert [row.input for row in deduplicated.eval] == ["c"]


def test_split_of_a_dataset_dict(tmp_path: Path) -> None:
    """A saved DatasetDict gives the split that was asked for, or names those it has."""
    halves = {"train": Dataset.from_list(RECORDS[:6]), "test": Dataset.from_list(RECORDS[6:])}
    DatasetDict(halves).save_to_disk(tmp_path / "dict")
    settings = DataSettings(source=str(tmp_path / "dict"), eval_split="test", train_rows=6, eval_rows=6)
    assert {row.target for row in load_splits(settings, SUMMARIZATION).eval} == {r["summary"] for r in RECORDS[6:]}
    with pytest.raises(DataError, match=r'no split "dev".*train, test'):
        load_splits(settings.model_copy(update={"eval_split": "dev"}), SUMMARIZATION)


def test_hub_that_never_answers_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch, silent_hub: str) -> None:
    """A hub data set with the hub out of reach is an error within two seconds, not after a minute of retries."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", silent_hub)
    began = time.perf_counter()
    with pytest.raises(
        HubError, match=r'"EdinburghNLP/xsum" is no local path.*did not answer within 1 s.*data\.source'
    ):
        load_splits(DataSettings(source="EdinburghNLP/xsum"), SUMMARIZATION)
    assert time.perf_counter() - began < PATIENCE


def test_hub_that_refuses_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the network says no at once, so does the harness, and the message holds the network's own reason."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    # Nobody listens on port 1.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:1")
    began = time.perf_counter()
    with pytest.raises(HubError, match=r"the hub cannot be reached \(.*refused"):
        load_splits(DataSettings(source="EdinburghNLP/xsum"), SUMMARIZATION)
    assert time.perf_counter() - began < 0.4 * PATIENCE


def test_offline_switch_is_honoured() -> None:
    """With HF_HUB_OFFLINE set the hub is not even asked."""
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        load_splits(DataSettings(source="EdinburghNLP/xsum"), SUMMARIZATION)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip), min_size=2, max_size=6)
)
def test_json_lines_keep_every_text(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    """Any text survives the file, odd line breaks and all."""
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    lines = [json.dumps({"input": text, "target": text}, ensure_ascii=False) + "\n" for text in texts]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    assert [row.input for row in read(path)] == texts


def test_fewer_rows_keep_the_proportion(tmp_path: Path) -> None:
    """Where fewer rows are allowed, both splits shrink alike and none is empty."""
    settings = DataSettings(source=str(write_csv(tmp_path)), train_rows=200, eval_rows=100, allow_fewer=True)
    splits = load_splits(settings, SUMMARIZATION)
    assert (len(splits.train), len(splits.eval)) == (8, 4)


def test_further_rows_stand_in_neither_split() -> None:
    """The newsroom goes on where the splits end; no other source can."""
    settings = DataSettings(train_rows=5, eval_rows=3)
    splits = load_splits(settings, SUMMARIZATION)
    further = further_rows(settings, SUMMARIZATION, 4)
    assert [row.id for row in further] == [f"newsroom-{settings.seed}-{place}" for place in range(8, 12)]
    assert not {row.input for row in further} & {row.input for row in (*splits.train, *splits.eval)}
    with pytest.raises(SettingsError, match=r"rlhf\.prompts to 0"):
        further_rows(DataSettings(source="rows.jsonl"), SUMMARIZATION, 4)
