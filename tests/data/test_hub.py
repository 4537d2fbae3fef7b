"""Hub data sets: loaded by ``datasets`` from a hub or from the cache, with clear errors where not."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.config import DataSettings
from harness.data.hub import find_strangers, is_cached
from harness.data.source import load_splits
from harness.errors import DataError
from harness.tasks.summarization import SUMMARIZATION
from tests.hub_server import serve_hub

NAME = "owner/news"
Read = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """The folder of a data set on the hub, with two splits."""
    folder = tmp_path / "hub" / "datasets" / NAME
    folder.mkdir(parents=True)
    for split, start in (("train", 0), ("test", 10)):
        lines = [f"document {number},summary {number}\n" for number in range(start, start + 10)]
        (folder / f"{split}.csv").write_text("document,summary\n" + "".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def read(data_set: Path, tmp_path: Path) -> Iterator[Read]:
    """Reads a split of it."""
    with serve_hub(tmp_path / "hub") as hub:
        yield lambda split, **how: hub.call("tests.data.read_hub", NAME, split, home=tmp_path / "home", **how)


def test_split_is_read_in_its_order_and_then_from_the_cache(read: Read) -> None:
    """The rows of the asked split, as they stand; the second time without a network."""
    for offline in (False, True):
        done = read("test", offline=offline)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == [[f"document {number}", f"summary {number}"] for number in range(10, 20)]


def test_unknown_split_is_named(read: Read) -> None:
    """The message holds data set, split and what to set."""
    done = read("dev")
    assert done.returncode == 1
    assert f'DataError: Split "dev" of the data set "{NAME}" (newest) cannot be loaded' in done.stderr
    assert "data.split" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("hop", ["", "zip://*.csv::"], ids=["file", "archive"])
def test_data_set_that_names_files_of_this_machine_is_refused(
    read: Read, data_set: Path, tmp_path: Path, hop: str
) -> None:
    """A card says from which files the rows come, and may name others than the data set's own."""
    secret = tmp_path / "secret.csv"
    secret.write_text("document,summary\nyours,alone\n", encoding="utf-8")
    if hop:
        with zipfile.ZipFile(tmp_path / "secret.zip", "w") as archive:
            archive.write(secret, "secret.csv")
        secret = tmp_path / "secret.zip"
    card = f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: test\n    path: {hop}{secret}\n---\n"
    (data_set / "README.md").write_text(card, encoding="utf-8")
    done = read("test")
    assert done.returncode == 1
    assert f'DataError: The data set "{NAME}" names files that are not its own. ' in done.stderr
    assert "yours" not in done.stdout + done.stderr


def test_own_files_are_those_below_the_data_set() -> None:
    """On the hub, at any commit, in an archive or not; nothing beside it that begins alike."""
    base = "hf://datasets/owner/news@0a1b"
    own = [f"{base}/data/test.csv", f"zip://a/b.csv::{base}/all.zip", f"{base}/refs%2Fconvert%2Fparquet/0.parquet"]
    others = [
        "hf://datasets/owner/newsroom@0a1b/test.csv",
        "hf://datasets/other/news@0a1b/test.csv",
        f"{base}/../../../other/private@main/x.csv",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://example.org/x.csv",
        "zip://x.csv::/home/you/all.zip",
        f"{base}/all.zip::file:///etc/passwd",
    ]
    assert find_strangers(own, NAME) == []
    assert find_strangers(others, NAME) == others


def test_data_set_that_is_not_cached_needs_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set in the local cache is not refused for want of a network; another one is."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    (tmp_path / "owner___news").mkdir()
    assert is_cached("owner/news")
    assert not is_cached("owner/other")
    with pytest.raises(DataError, match="cannot be loaded"):
        load_splits(DataSettings(source="owner/news"), SUMMARIZATION)
