"""A run that is killed goes on where it was, and ends as if nothing had happened; other settings are another run."""

from __future__ import annotations

import copy
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest

from harness.atomic import LOCK_FILE, locked
from harness.strategies.curriculum import prepare_curriculum
from harness.strategies.lines import choose_line
from harness.strategies.study import make_study_key
from harness.tuning import Clock
from tests.faults.process import CONTEXT, PATIENCE, die_behind, die_in
from tests.strategies.resumable import fingerprint, settings, teach, work

BOTH = "replay-ewc"
"""Replay and EWC together: the second stage needs the weights, the rows in memory and the Fisher information."""


@cache
def uninterrupted(line: str) -> list[object]:
    """The run that nobody kills."""
    return fingerprint(teach(line))


def kill(folder: Path, prepare: Callable[[], None], line: str = BOTH) -> None:
    """Run it in a process of its own, which kills itself as ``kill -9`` does."""
    child = CONTEXT.Process(target=work, args=(line, folder, prepare))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == -signal.SIGKILL


def finish(folder: Path, line: str = BOTH, *, fresh: bool = False) -> list[str]:
    """Give the same command again, which ends with the same bits; returns what it says of what it found."""
    said: list[str] = []
    assert fingerprint(teach(line, folder, said.append, fresh=fresh)) == uninterrupted(line)
    return [told for told in said if " already (" in told or " on from " in told or "damaged" in told]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is kept of a run that was killed in the training of its second stage; it is copied before it is used."""
    folder = tmp_path_factory.mktemp("killed")
    kill(folder, partial(die_behind, "stage-2/training-1/step-2"))
    return folder


def test_killed_inside_a_later_stage_teaches_no_earlier_one(killed: Path, tmp_path: Path) -> None:
    """Of the first stage nothing is done again, and of the second no step."""
    shutil.copytree(killed, tmp_path / "copy")
    stage = f"{BOTH}, seed 42, stage"
    assert [told.partition(" (")[0] for told in finish(tmp_path / "copy")] == [
        "classification, base: scored already",
        "sentiment, base: scored already",
        f"{stage} 1, training is done already",
        f"{stage} 1, classification, tuned: scored already",
        f"{stage} 1, sentiment, tuned: scored already",
        f"{stage} 2, training goes on from step 2 of 3",
    ]


@pytest.mark.parametrize(
    ("line", "piece", "says"),
    [
        ("joint", "stage-1/training-1/step-3", "stage 1, training goes on from step 3 of 4 ("),
        *(
            pytest.param(line, piece, f"stage {piece[6]}, training goes on from step 1 of 2 (", marks=pytest.mark.slow)
            for line, piece in (
                (BOTH, "stage-1/training-1/step-1"),
                ("adapters", "stage-2/training-1/step-1"),
                ("single", "stage-2/training-1/step-1"),
            )
        ),
    ],
)
def test_killed_inside_a_training_goes_on_from_its_last_step(tmp_path: Path, line: str, piece: str, says: str) -> None:
    """No stage is taught again, and of the one at hand no step: weights, outputs, losses and facts are the same."""
    kill(tmp_path, partial(die_behind, piece), line)
    found = finish(tmp_path, line)
    assert sum(told.startswith(f"{line}, seed 42, {says}") for told in found) == 1
    trainings = [told for told in found if "training is done already" in told]
    assert len(trainings) == int(piece[len("stage-")]) - 1


@pytest.mark.parametrize(
    "prepare",
    [
        partial(die_in, "/classification/base-"),
        partial(die_in, "stage-1/training-1/.trained"),
        partial(die_in, "stage-2/training-1/.step-2"),
        partial(die_behind, "stage-2/training-1/trained"),
        partial(die_in, "stage-2/classification/tuned-"),
    ],
    ids=["base", "weights", "checkpoint", "behind weights", "arm"],
)
@pytest.mark.slow
def test_killed_while_it_writes_leaves_no_half_of_a_piece(tmp_path: Path, prepare: Callable[[], None]) -> None:
    """What was being written is not there, or whole; either way the numbers are the same."""
    kill(tmp_path, prepare)
    finish(tmp_path)
    assert not [path for path in tmp_path.rglob(".*") if path.name.endswith((".new", ".old"))]


def test_a_damaged_stage_is_taught_anew_and_the_next_goes_on(killed: Path, tmp_path: Path) -> None:
    """It is named in one line; its weights come out as they were, so that what was built on them is still right."""
    shutil.copytree(killed, tmp_path / "copy")
    (weights,) = tmp_path.glob("copy/*/*/seed-42/stage-1/training-1/trained/weights.safetensors")
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(bytes(content))
    found = finish(tmp_path / "copy")
    damaged = [told for told in found if "damaged" in told]
    assert len(damaged) == 1
    assert f"{weights.parent} is damaged (weights.safetensors does not match its hash): it is left out" in damaged[0]
    assert not any("training is done already" in told for told in found)
    assert any("stage 2, training goes on from step 2 of 3" in told for told in found)


def test_fresh_begins_anew(killed: Path, tmp_path: Path) -> None:
    """Nothing that was kept is used, and the run ends the same."""
    shutil.copytree(killed, tmp_path / "copy")
    assert finish(tmp_path / "copy", fresh=True) == []


def test_a_second_process_keeps_nothing_and_ends_as_well(tmp_path: Path) -> None:
    """Where another process is at this very run, that is said, and nothing of it is touched."""
    key = make_study_key(prepare_curriculum(settings(), clock=Clock(), say=lambda _: None), [choose_line(BOTH)])
    said: list[str] = []
    with locked(tmp_path / str(key)):
        assert fingerprint(teach(BOTH, tmp_path, said.append)) == uninterrupted(BOTH)
    assert sum("another process is at this very run" in told for told in said) == 1
    assert [path.name for path in tmp_path.rglob("*")] == [key, LOCK_FILE]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"sentiment.training.learning_rate": 2e-3}, False),
        ({"sentiment.data.seed": 1}, False),
        ({"sentiment.head.seed": 1}, False),
        ({"continual.ewc": 7.0}, False),
        ({"gate.level": 0.1, "repeats": 3, "seed": 7, "name": "other", "strategy": "joint"}, True),
    ],
)
def test_key_is_that_of_the_stages(changes: dict[str, object], same: bool) -> None:  # noqa: FBT001 - a parameter
    """Other rates, rows, heads or strengths are another run; the gate and the number of seeds change no stage."""
    lines = [choose_line(BOTH)]
    keys = [
        make_study_key(prepare_curriculum(settings(**given), clock=Clock(), say=lambda _: None), lines)
        for given in ({}, changes)
    ]
    assert (keys[0] == keys[1]) == same


def test_key_knows_lines_rows_base_and_given_adapters_themselves(tmp_path: Path) -> None:
    """Other strategies, a file whose rows changed, a checkpoint or an adapter whose weights did, by the same name."""
    lines = [choose_line(BOTH)]
    (tmp_path / "adapter").mkdir()
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(b"1")
    begun = settings(**{"adapters.begin_from": {"sentiment": str(tmp_path / "adapter")}})
    tasks = prepare_curriculum(begun, clock=Clock(), say=lambda _: None)
    key = make_study_key(tasks, lines)
    first, *rest = tasks.subjects
    rows = (*first.splits.train[:-1], replace(first.splits.train[-1], target="elsewhere"))
    model = copy.deepcopy(first.ready.loaded.model)
    next(model.parameters()).data[0, 0] += 1
    ready = replace(first.ready, loaded=first.ready.loaded.with_weights_of(model))
    for changed in (replace(first, splits=replace(first.splits, train=rows)), replace(first, ready=ready)):
        assert make_study_key(replace(tasks, subjects=(changed, *rest)), lines) != key
    assert make_study_key(tasks, [*lines, choose_line("joint")]) != key
    assert make_study_key(tasks, lines) == key
    weights.write_bytes(b"2")
    assert make_study_key(tasks, lines) != key
