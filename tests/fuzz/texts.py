"""Targets that are text: settings, series of tasks, arms, baselines, runs, and data of every format."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.arm import MANIFEST_FILE, ROWS_FILE, Arm
from harness.baselines import Baseline, find_orphans, list_baselines, read_baseline, review, say_review, store_baseline
from harness.baselines.approval import APPROVAL_FILE
from harness.comparison import compare
from harness.config import DataSettings, Experiment, GateSettings, load_experiment
from harness.data.files import read_path
from harness.fingerprint import hash_json, hash_text
from harness.multitask import Multitask, load_multitask
from harness.registry import Registry
from harness.report.account import as_written, read_account
from harness.report.folder import write_run
from harness.report.html import write_html
from harness.report.markdown import write_markdown
from harness.report.terminal import render_facts
from harness.requirements import parse_requirement
from harness.tasks import TASKS
from tests.arms import make_arm
from tests.data.test_formats import FILES
from tests.data.test_formats import PAIRS as RECORDS
from tests.fuzz.damage import Files
from tests.fuzz.trial import Target, read
from tests.runs import make_run

SCORES = {"rouge1": [float(n % 7) for n in range(12)], "rougeL": [float(n % 5) for n in range(12)]}
Maker = Callable[[Path], None]


@contextmanager
def _new_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="seed-") as place:
        yield Path(place)


def made_by(*makers: Maker) -> Callable[[], Sequence[Files]]:
    """Seeds, each written by a function into a folder."""

    def make() -> Sequence[Files]:
        seeds = []
        for maker in makers:
            with _new_folder() as folder:
                maker(folder)
                seeds.append(read(folder))
        return seeds

    return make


def _presets(folder: str) -> Sequence[Files]:
    place = resources.files("harness") / "presets" / folder
    return [{"harness.toml": file.read_bytes()} for file in place.iterdir() if file.name.endswith(".toml")]


def seed_settings() -> Sequence[Files]:
    """The presets, and a file that names every setting."""
    every = json.dumps(load_experiment("ner-full").model_dump(mode="json"), indent=2)
    return [*_presets("."), {"experiment.json": every.encode()}]


def use_settings(folder: Path, data: bytes) -> None:
    """Read settings, write them down and back, and understand their requirements."""
    for path in folder.iterdir():
        found = load_experiment(str(path))
        assert Experiment.model_validate_json(found.model_dump_json()) == found
        for sentence in found.gate.require or ():
            parse_requirement(sentence, tuple(SCORES))


def use_series(folder: Path, data: bytes) -> None:
    """Read the settings of several tasks, and change them."""
    found = load_multitask(str(folder / "harness.toml"))
    assert isinstance(found, Multitask)
    found.override({"training.epochs": 1})


def make_baseline(folder: Path) -> None:
    """A stored baseline of two seeds."""
    base, tuned, other = (
        make_arm(
            {name: [score + shift for score in scores] for name, scores in SCORES.items()},
            outputs=[f"{shift} {n}" for n in range(12)],
            role="base" if not shift else "tuned",
            weights=str(shift),
            training={"seed": shift},
        )
        for shift in (0, 3, 4)
    )
    store_baseline(folder, Baseline(base=base, tuned=tuned, others=(other,)), force=True)
    (folder / ".lock").unlink(missing_ok=True)


def use_baseline(folder: Path, data: bytes) -> None:
    """List, read and review it, and look for orphans."""
    find_orphans(folder, {"x"})
    list_baselines(folder)
    stored = read_baseline(folder, "x")
    if stored is not None:
        for found in review(stored, stored, GateSettings(flips=1_000)):
            say_review(found)


def make_arms(folder: Path) -> None:
    """Two arms."""
    make_arm(SCORES).write(folder / "one")
    make_arm(SCORES, outputs=["o"] * 12, role="tuned", weights="w2").write(folder / "two")


def use_arms(folder: Path, data: bytes) -> None:
    """Read and compare them."""
    compare((Arm.read(folder / "one"),), (Arm.read(folder / "two"),), GateSettings(flips=1_000), title="one vs two")


def make_run_folder(folder: Path) -> None:
    """A written run."""
    write_run(make_run([1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 6.0, 8.0, 9.0, 3.0]), folder / "runs")
    place = next((folder / "runs" / "x").iterdir())
    for path in place.iterdir():
        path.rename(folder / path.name)
    for name in ("report.md", "report.html", "ledger.jsonl"):
        (folder / name).unlink()
    shutil.rmtree(folder / "runs")


def use_run_folder(folder: Path, data: bytes) -> None:
    """Read a run and write its reports; the page with its charts, which take long, now and then."""
    account = read_account(folder)
    with as_written(folder):
        write_markdown(account)
        render_facts(account.facts, Console())
        if sum(data) % 32 == 0:
            write_html(account)


def mend_hashes(files: Files) -> Files:
    """Make the hashes of arms right, as a forger would, so that what stands behind them is met."""
    mended = dict(files)
    for name, content in files.items():
        if name.rpartition("/")[2] == MANIFEST_FILE and content is not None:
            rows = files.get(f"{name.removesuffix(MANIFEST_FILE)}{ROWS_FILE}") or b""
            mended[name] = _sign(content, rows_sha256=hash_bytes(rows))
    for name, content in files.items():
        if name.rpartition("/")[2] == APPROVAL_FILE and content is not None:
            place = name.removesuffix(APPROVAL_FILE)
            arms = {
                path.removeprefix(place).removesuffix(f"/{MANIFEST_FILE}"): hash_text(text.decode("utf-8", "replace"))
                for path, text in mended.items()
                if path.endswith(f"/{MANIFEST_FILE}") and text is not None
            }
            mended[name] = _sign(content, arms=arms)
    return mended


def hash_bytes(content: bytes) -> str:
    """SHA-256."""
    return hashlib.sha256(content).hexdigest()


def _sign(content: bytes, **changes: Any) -> bytes:
    try:
        document = json.loads(content)
        if not isinstance(document, dict):
            return content
        document.pop("sha256", None)
        document |= changes
        return json.dumps(document | {"sha256": hash_json(document)}, indent=2).encode()
    except (ValueError, RecursionError):
        return content


DATA_SETTINGS = {**{files[0]: files[2] for files in FILES.values()}}


def seed_data() -> Sequence[Files]:
    """A file of each format, packed ones, Parquet, saved data sets, and parallel text."""
    plain: list[Files] = [{name: text.encode()} for name, text, _, _ in FILES.values()]
    return [*plain, {"both.txt": b"a\nb\n", "both.de": b"c\nd\n"}, *made_by(_make_parquet, _make_saved)()]


def _make_parquet(folder: Path) -> None:
    from pyarrow import Table, parquet

    parquet.write_table(Table.from_pylist(RECORDS), folder / "rows.parquet")


def _make_saved(folder: Path) -> None:
    from datasets import Dataset

    Dataset.from_list(RECORDS).save_to_disk(folder / "saved")


def use_data(folder: Path, data: bytes) -> None:
    """Read every file as rows of a task, which the input chooses."""
    tasks: Registry[Any] = TASKS
    names = list(tasks)
    task = tasks[names[(data[-1] if data else 0) % len(names)]]
    for path in sorted(folder.iterdir()):
        settings: dict[str, Any] = dict(DATA_SETTINGS.get(path.name, {}))
        if path.name == "both.txt":
            settings |= {"source": str(path), "target_source": str(folder / "both.de")}
        for _ in read_path(path, DataSettings.model_validate(settings), task, split="train"):
            pass


TEXTS = (
    Target(name="settings (harness.toml)", seeds=seed_settings, use=use_settings),
    Target(name="settings of several tasks", seeds=lambda: _presets("multitask"), use=use_series),
    Target(name="baselines", seeds=made_by(make_baseline), use=use_baseline),
    Target(name="forged baselines", seeds=made_by(make_baseline), use=use_baseline, mend=mend_hashes),
    Target(name="arms", seeds=made_by(make_arms), use=use_arms),
    Target(name="forged arms", seeds=made_by(make_arms), use=use_arms, mend=mend_hashes),
    Target(name="forged runs", seeds=made_by(make_run_folder), use=use_run_folder, mend=mend_hashes),
    Target(name="data files", seeds=seed_data, use=use_data),
)
