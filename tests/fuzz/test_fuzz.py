"""Hundreds of damaged inputs of every kind: each ends in a success or in an error of our own, and changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import COMMANDS
from harness.errors import DataError
from harness.gate import ExitCode
from tests.fuzz.commands import make_arguments, make_project
from tests.fuzz.damage import damage
from tests.fuzz.engines import by_hypothesis
from tests.fuzz.targets import TARGETS
from tests.fuzz.trial import Target, Trial

INPUTS = int(os.environ.get("HARNESS_FUZZ_INPUTS", "500"))
TRAINS = {"bench", "calibrate", "defects", "run", "sweep"}
"""Commands that take minutes where their arguments happen to be right."""
CODES = {int(code) for code in ExitCode} - {int(ExitCode.INTERNAL)}


@pytest.mark.fuzz
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_outcome_is_a_success_or_an_error_of_ours(target: Target) -> None:
    """No traceback, no hang, no changed file; some inputs succeed and some are refused, so both ways are walked."""
    tally = by_hypothesis(target, INPUTS)
    assert tally.bugs == {}
    assert tally.outcomes.total() >= INPUTS
    assert tally.outcomes["success"] > 0
    assert len(tally.outcomes) > 1


def call_program(folder: Path, arguments: list[str]) -> int:
    """The program as a real process in a small project: no traceback, no code of a bug."""
    make_project(folder)
    done = subprocess.run(
        [sys.executable, "-m", "harness", *arguments], cwd=folder, capture_output=True, timeout=300, check=False
    )
    assert done.returncode in CODES, done.stderr
    assert b"Traceback" not in done.stderr
    return done.returncode


@pytest.mark.fuzz
@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in TRAINS])
def test_program_itself_ends_with_a_code_of_ours(tmp_path: Path, name: str) -> None:
    """A sample of command lines as real processes, one of each command that does not train."""
    number = list(COMMANDS).index(name)
    arguments = make_arguments(bytes([number, *range(number * 7, number * 7 + 20)]))
    assert arguments[0] == name
    call_program(tmp_path, [text.replace("\0", "") for text in arguments])


@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("baseline verify", 0),
        ("report run", 0),
        ("compare run/tuned run/base", 3),
        ("init new", 0),
        ("audit --list", 0),
    ],
)
def test_command_line_that_nobody_damaged_is_understood(tmp_path: Path, line: str, code: int) -> None:
    """The sample stands for something: the same commands, asked properly, do their work in that very project."""
    assert call_program(tmp_path, line.split()) == code


def test_no_bytes_damage_nothing_and_some_do() -> None:
    """The first input of every target is the seed as it is, and other bytes change it."""
    files = {"a.json": b'{"a": 1}', "b.txt": b"x = 1"}
    assert damage(files, b"") == files
    assert len({repr(damage(files, bytes([place, change, 1, 2, 3]))) for place in (0, 1) for change in range(12)}) > 12


@pytest.mark.parametrize(
    ("planted", "seen"),
    [
        (KeyError("a"), "KeyError in test_fuzz.py:use"),
        (None, "the input was changed"),
        (DataError("damaged.", fix="Mend it."), None),
    ],
)
def test_bug_is_seen(planted: Exception | None, seen: str | None) -> None:
    """A raised error that is none of ours, and a changed file, are finds; an error of ours is none."""

    def use(folder: Path, data: bytes) -> None:
        if planted is not None:
            raise planted
        (folder / "a").write_bytes(b"changed")

    trial = Trial(Target(name="planted", seeds=lambda: [{"a": b"1"}], use=use))
    trial(b"")
    assert [found.partition(": ")[0] for found in trial.tally.bugs] == ([seen] if seen else [])


def test_hang_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not end is stopped, and is a find."""
    monkeypatch.setattr("tests.fuzz.trial.SECONDS", 0.2)

    def use(folder: Path, data: bytes) -> None:
        while True:
            pass

    trial = Trial(Target(name="planted", seeds=lambda: [{"a": b"1"}], use=use))
    trial(b"")
    assert any(found.startswith("hangs") for found in trial.tally.bugs)
