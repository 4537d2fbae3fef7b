"""What workers do, on the real thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.baselines.store import read_run
from harness.errors import UsageError
from harness.experiment import run
from harness.sweeps.cells import list_groups
from harness.sweeps.work import CellOrder, LookOrder, Seen, look, pack, run_cell, threads_of, unpack
from tests.small import SMALL, count_scored
from tests.sweeps.by_hand import small_sweep

CIRCUMSTANCES = ("code", "packages", "files read besides")


@pytest.fixture(scope="module")
def seen() -> tuple[LookOrder, Seen]:
    """What a worker sees of the small summarization, with one method that wants to write and one that does not fit."""
    changes = {name: value for name, value in SMALL.items() if name != "gate.require"} | {"training.epochs": 1}
    (group,) = list_groups(small_sweep(methods=["full", "lora"], seeds=[3], set=changes))
    order = LookOrder(group=group, threads=1)
    return order, look(order)


def order_cell(seen: tuple[LookOrder, Seen], method: str = "full") -> CellOrder:
    """The order of the cell of one method."""
    looked, found = seen
    cell = next(cell for cell in looked.group.cells if cell.method == method)
    return CellOrder(cell=cell, sources=found.sources[method], circumstances=found.circumstances[method], threads=1)


def test_cell_is_the_run_that_it_would_be_alone(seen: tuple[LookOrder, Seen], tmp_path: Path) -> None:
    """Same weights, outputs and scores, bit for bit, and all that the reports of a run are made from."""
    order = order_cell(seen)
    unpack(run_cell(order), tmp_path)
    kept = read_run(tmp_path, order.cell.experiment.name)
    with threads_of(1):
        alone = run(order.cell.experiment, baselines=tmp_path / "none")
    assert kept.tuned.manifest == alone.tuned.manifest
    assert kept.tuned.outputs_hash == alone.tuned.outputs_hash
    assert kept.base.outputs_hash == alone.base.outputs_hash
    assert {path.name for path in tmp_path.iterdir()} == {
        "base", "tuned", "eval-rows.jsonl", "experiment.json", "ledger.jsonl", "losses.jsonl", "verdict.json",
    }  # fmt: skip


def test_worker_scores_a_base_once(
    seen: tuple[LookOrder, Seen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next cell of the same task and model has the base's arm of the last one, under its own name."""
    run_cell(order_cell(seen))
    scored = count_scored(monkeypatch)
    order = order_cell(seen, "lora")
    unpack(run_cell(order), tmp_path)
    assert len(scored) == 1
    kept = read_run(tmp_path, order.cell.experiment.name)
    with threads_of(1):
        alone = run(order.cell.experiment, baselines=tmp_path / "none")
    assert (kept.base.manifest, kept.base.outputs_hash) == (alone.base.manifest, alone.base.outputs_hash)
    assert (kept.tuned.manifest, kept.tuned.outputs_hash) == (alone.tuned.manifest, alone.tuned.outputs_hash)


def test_worker_of_another_kind_is_refused(seen: tuple[LookOrder, Seen]) -> None:
    """Other libraries are seen before the run, another base after it; neither becomes a cell."""
    order = order_cell(seen)
    with pytest.raises(UsageError, match=r"torch: .* here, 0\.4 there"):
        run_cell(replace(order, circumstances={**order.circumstances, "torch": "0.4"}))
    with pytest.raises(UsageError, match=r"code: [0-9a-f]{64} here, other there"):
        run_cell(replace(order, circumstances={**order.circumstances, "code": "other"}))
    with pytest.raises(UsageError, match="evaluation rows"):
        run_cell(replace(order, sources={**order.sources, "evaluation rows": "others"}))


def test_key_knows_all_that_decides_a_cell(seen: tuple[LookOrder, Seen]) -> None:
    """Settings, rows, base, environment, code, packages and files; the same of all gives the same key."""
    order = order_cell(seen)
    changed: list[Callable[[], CellOrder]] = [
        lambda: replace(
            order, cell=replace(order.cell, experiment=order.cell.experiment.override({"training.epochs": 9}))
        ),
        lambda: replace(order, sources={**order.sources, "training rows": "others"}),
        lambda: replace(order, sources={**order.sources, "base": {"weights": "others"}}),
        lambda: replace(order, circumstances={**order.circumstances, "device": "another"}),
        lambda: order_cell(seen, "lora"),
        *(
            lambda name=name: replace(order, circumstances={**order.circumstances, name: "others"})
            for name in CIRCUMSTANCES
        ),
    ]
    keys = [order.key, *(change().key for change in changed)]
    assert len(set(keys)) == len(keys)
    assert order_cell(seen).key == order.key
    assert set(CIRCUMSTANCES) < set(order.circumstances)


def test_key_knows_the_pairs_that_rlhf_reads(tmp_path: Path) -> None:
    """Other pairs under the same name are another cell of rlhf, and the same of a method that does not read them."""
    pairs = tmp_path / "pairs.csv"
    changes = {"data.train_rows": 16, "data.eval_rows": 8, "rlhf.pairs": str(pairs), "rlhf.algorithm": "dpo"}
    (group,) = list_groups(small_sweep(methods=["full", "rlhf"], seeds=[3], set=changes))
    keys = []
    for chosen in ("good", "better"):
        lines = [f"Question {number}?,{chosen},bad" for number in range(40)]
        pairs.write_text("\n".join(["prompt,chosen,rejected", *lines]) + "\n", encoding="utf-8")
        order = LookOrder(group=group, threads=1)
        found = look(order)
        assert not found.unfit
        keys.append([order_cell((order, found), method).key for method in ("full", "rlhf")])
    assert keys[0][0] == keys[1][0]
    assert keys[0][1] != keys[1][1]


def test_what_does_not_fit_is_seen_before_anything_trains() -> None:
    """A task that a model cannot do, and a method that it cannot have, with the reason; what is wrong is an error."""
    few = {"data.train_rows": 16, "data.eval_rows": 8}
    (group,) = list_groups(small_sweep(models=["tiny-bert"], set=few))
    assert set(look(LookOrder(group=group, threads=1)).unfit) == {"full", "lora"}
    (group,) = list_groups(small_sweep(tasks=["ner"], methods=["full", "prompt"], set=few))
    found = look(LookOrder(group=group, threads=1))
    assert set(found.sources) == {"full"}
    assert "cannot be prompted" in found.unfit["prompt"] or "prompt" in found.unfit["prompt"]
    (group,) = list_groups(small_sweep(set={"data.source": "/no/such/rows.csv"}))
    with pytest.raises(UsageError, match=r"rows\.csv"):
        look(LookOrder(group=group, threads=1))


@settings(max_examples=10)
@given(files=st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True), st.binary(), max_size=5))
def test_folder_travels_whole(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is unpacked is what was packed, empty files too."""
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    kept = {name: content for name, content in files.items() if not any(n.startswith(f"{name}/") for n in files)}
    for name, content in kept.items():
        (one / name).parent.mkdir(parents=True, exist_ok=True)
        (one / name).write_bytes(content)
    unpack(pack(one), other)
    assert {
        path.relative_to(other).as_posix(): path.read_bytes() for path in other.rglob("*") if path.is_file()
    } == kept
