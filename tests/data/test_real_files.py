"""Real files as their authors publish them: read whole, with the counts that are known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.files import read_path, read_records
from harness.tasks.summarization import SUMMARIZATION


def read(path: Path, **settings: object) -> list[Record]:
    return list(read_records(path, DataSettings.model_validate(settings)))


@pytest.mark.parametrize(
    ("name", "sentences", "tokens"),
    [
        ("emerging.dev.conll", 1_009, 15_733),
        ("wnut17train_1000.conll", 1_000, 19_534),
        ("emerging.test.annotated", 1_287, 23_394),
    ],
)
def test_wnut_is_read_sentence_by_sentence(shared_data: Path, name: str, sentences: int, tokens: int) -> None:
    """WNUT-17 has the published numbers of sentences and tokens, and tags of its six types alone."""
    records = read(shared_data / "wnut17" / name)
    assert len(records) == sentences
    assert sum(len(record["tokens"]) for record in records) == tokens
    assert all(len(record["tokens"]) == len(record["tags"]) > 0 for record in records)
    types = {"corporation", "creative-work", "group", "location", "person", "product"}
    assert {tag.partition("-")[2] for record in records for tag in record["tags"]} == types | {""}
    assert not any(len(token.split()) != 1 for record in records for token in record["tokens"])


@pytest.mark.parametrize("team", ["uh_ritual", "flytxt", "drexel_cci"])
def test_submissions_hold_the_tokens_of_the_test_set(shared_data: Path, team: str) -> None:
    """Files without an ending and with CRLF are read by data.format: the same sentences as the gold file."""
    gold = read(shared_data / "wnut17" / "emerging.test.annotated")
    submitted = read(shared_data / "wnut17" / "submissions" / team, format="conll")
    assert [record["tokens"] for record in submitted] == [record["tokens"] for record in gold]


def test_conlleval_example_has_four_columns(shared_data: Path) -> None:
    """The example of conlleval, separated by blanks, gives its 961 tokens and the last column as tags."""
    path = shared_data / "reference-vectors" / "conlleval" / "ground_truth.txt"
    records = read(path, format="conll")
    assert sum(len(record["tokens"]) for record in records) == 961
    assert records[0]["tags"][:3] == ["I-NP", "I-NP", "I-NP"]


def test_stories_are_rows(shared_data: Path) -> None:
    """A folder of 12 stories gives 12 rows with article and highlights, and each record its file's stem as id."""
    folder = shared_data / "cnn-dailymail"
    rows = list(read_path(folder, DataSettings(source=str(folder)), SUMMARIZATION, split="train"))
    assert len({row.id for row in rows}) == len(rows) == 12
    assert not any("@highlight" in row.input + row.target for row in rows)
    assert sum(len(row.target.split("\n")) for row in rows) == 35
    (record,) = read(folder / "017d27d00eb43678c15cb4a8dd4723a035323219.story")
    assert record["id"] == "017d27d00eb43678c15cb4a8dd4723a035323219"
    assert record["article"].endswith("E-mail to a friend")
    assert record["highlights"].split("\n")[0] == "President Bush to address the Veterans of Foreign Wars on Wednesday"


def test_squad_1_1_is_read_question_by_question(shared_data: Path) -> None:
    """2,396 questions, each with at least one answer that stands in its context where the file says."""
    records = read(shared_data / "squad" / "dev-v1.1_partA.json")
    assert len({record["id"] for record in records}) == len(records) == 2_396
    for record in records:
        answers = record["answers"]
        assert len(answers["text"]) == len(answers["answer_start"]) > 0
        for text, start in zip(answers["text"], answers["answer_start"], strict=True):
            assert record["context"][start : start + len(text)] == text


def test_squad_2_0_has_questions_without_an_answer(shared_data: Path) -> None:
    """The fixture's impossible question has no answer, its plausible answers notwithstanding."""
    records = read(shared_data / "squad" / "squad2_fixture.json")
    unanswered = [record for record in records if not record["answers"]["text"]]
    assert "This is an unanswerable question?" in {record["question"] for record in unanswered}
    assert 0 < len(unanswered) < len(records)


def test_frank_is_a_list_of_records(shared_data: Path) -> None:
    """A plain list in a JSON file gives its 671 objects."""
    assert len(read(shared_data / "frank" / "human_annotations_validation.json")) == 671


def test_vader_is_a_table_without_a_head(shared_data: Path) -> None:
    """2,500 tweets with CRLF and quotes in them: three columns, scores from -4 to 4."""
    path = shared_data / "vader" / "tweets_GroundTruth_2500.txt"
    records = read(path, columns=["id", "score", "text"])
    assert [record["id"] for record in records] == [str(number) for number in range(1, 2_501)]
    assert all(-4 <= float(record["score"]) <= 4 and "\r" not in record["text"] for record in records)
    assert any('"' in record["text"] for record in records)


@pytest.mark.parametrize("language", ["deu", "fra"])
def test_ntrex_is_parallel_text(shared_data: Path, language: str) -> None:
    """1,000 pairs, the first of them the known one, with no CR left over."""
    folder = shared_data / "ntrex"
    settings = DataSettings(
        source=str(folder / "newstest2019-src.eng.0001-1000.txt"),
        target_source=str(folder / f"newstest2019-ref.{language}.0001-1000.txt"),
    )
    rows = list(read_path(Path(settings.source), settings, SUMMARIZATION, split="train"))
    assert len(rows) == 1_000
    assert rows[0].input == "Welsh AMs worried about 'looking like muppets'"
    assert not any("\r" in row.input + row.target for row in rows)


def test_packed_translations_are_read(shared_data: Path) -> None:
    """The 3,004 segments of a packed WMT17 system pair with those of the packed reference."""
    folder = shared_data / "wmt17-en-de"
    settings = DataSettings(
        source=str(folder / "uedin-nmt.4722.de.gz"), target_source=str(folder / "reference.de.gz"), format="txt"
    )
    assert len(list(read_path(Path(settings.source), settings, SUMMARIZATION, split="train"))) == 3_004
    assert len(read(folder / "reference.de.gz", format="txt")) == 3_004


def test_banking77_has_77_intents(shared_data: Path) -> None:
    """The whole test file: 3,080 texts, 40 of each intent."""
    counts = Counter(record["category"] for record in read(shared_data / "banking77" / "test.csv"))
    assert (len(counts), set(counts.values())) == (77, {40})


def test_wikitext_is_plain_text(shared_data: Path) -> None:
    """600 lines, of which the blank ones are left out."""
    records = read(shared_data / "wikitext-2" / "valid_600.txt")
    assert len(records) == 393
    assert all(record["text"].strip() for record in records)
