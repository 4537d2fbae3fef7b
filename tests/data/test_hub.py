"""Hub data sets: loaded by ``datasets``, from the cache where they are there, with clear errors where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import DataSettings
from harness.data.hub import is_cached, read_hub
from harness.data.source import load_splits
from harness.errors import DataError
from harness.tasks.summarization import SUMMARIZATION

# datasets 4 leaves the CSV open until it is collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A data set in the layout of a hub repository, which ``datasets`` loads by the same call as one of the hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.data.hub.require_hub", lambda *_, **__: None)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "owner" / "news"
    folder.mkdir(parents=True)
    for split, start in (("train", 0), ("test", 10)):
        lines = [f"document {number},summary {number}\n" for number in range(start, start + 10)]
        (folder / f"{split}.csv").write_text("document,summary\n" + "".join(lines), encoding="utf-8")
    return "owner/news"


def test_split_is_read_in_its_order(data_set: str) -> None:
    """The rows of the asked split, as they stand."""
    rows = list(read_hub(data_set, DataSettings(), SUMMARIZATION, split="test"))
    assert [row.input for row in rows] == [f"document {number}" for number in range(10, 20)]
    assert rows[3].target == "summary 13"


def test_unknown_split_is_named(data_set: str) -> None:
    """The message holds data set, split and what to set."""
    with pytest.raises(DataError, match=r'Split "dev" of the data set "owner/news" .*data\.split'):
        list(read_hub(data_set, DataSettings(), SUMMARIZATION, split="dev"))


def test_cached_data_set_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set in the local cache is not refused for want of a network; another one is."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    (tmp_path / "owner___news").mkdir()
    assert is_cached("owner/news")
    assert not is_cached("owner/other")
    with pytest.raises(DataError, match="cannot be loaded"):
        load_splits(DataSettings(source="owner/news"), SUMMARIZATION)
