"""``harness audit`` and ``harness defects`` as a user calls them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import main
from tests.small import SMALL
from tests.test_plugin import write_experiment

PIPELINES = """
import time
from harness import Declared, Pipeline

ROWS = [{"id": str(n), "input": f"in {n}", "target": f"text number {n}"} for n in range(6)]


def metric(outputs, references):
    return {"em": sum(map(str.__eq__, outputs, references)) / len(references)}


def raises(outputs, references):
    raise KeyError("no such column")


def splits():
    return {"train": ROWS[:4], "eval": ROWS[4:]}


clean = Pipeline(name="mine", splits=splits, metric=metric)
broken = Pipeline(name="mine", splits=splits, metric=metric, declared=Declared(metric_range=(0.0, 100.0)))
crashing = Pipeline(splits=splits, metric=raises)
hanging = Pipeline(splits=lambda: time.sleep(60))
empty = Pipeline()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(PIPELINES, encoding="utf-8")
    return tmp_path


@dataclass(frozen=True)
class Done:
    """How a call of the program ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The program in this process: starting Python anew and importing torch would take most of the time."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def call(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["harness", *args])
        sys.modules.pop("mine", None)
        code = int(main())
        return Done(code, *capfd.readouterr())

    return call


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["mine:clean", "--stage", "metric"], 0, ["✓ perfect-outputs-score-the-maximum", "mine: "]),
        (["mine.py:clean", "--check", "same-texts-score-the-same"], 0, ["✓ same-texts-score-the-same"]),
        (
            ["mine:broken", "--stage", "metric"],
            1,
            ["likely:     unit-mismatch", "what to do:", "Most likely: unit-mismatch"],
        ),
        (
            ["mine:broken", "--stage", "metric", "--expect", "perfect-outputs-score-the-maximum=old reports"],
            0,
            ["x perfect-outputs-score-the-maximum: old reports"],
        ),
        (["mine:crashing", "--stage", "metric"], 6, ["KeyError: 'no such column'", "in raises"]),
        (["mine:hanging", "--seconds", "0.5", "--stage", "data"], 6, ["no answer within 0.5 s"]),
        (["mine:empty"], 4, ["nothing could be checked"]),
    ],
    ids=["clean", "file", "broken", "expected", "crashing", "hanging", "empty"],
)
def test_audit_prints_each_check_and_ends_with_its_code(
    run: Callable[..., Done], args: list[str], code: int, words: list[str]
) -> None:
    """The report is on the terminal, and the exit code says how it went."""
    done = run("audit", *args)
    assert done.returncode == code, done.stdout + done.stderr
    for word in words:
        assert word in done.stdout
    assert "harness/checks/" not in done.stdout


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (["mine"], "names no pipeline"),
        (["mine:nothing"], "cannot be imported"),
        (["no_such_file.py:clean"], "there is no file"),
        (["mine:ROWS"], "is a list"),
        (["mine:clean", "--check", "perfect-output-scores"], "Did you mean"),
        (["mine:clean", "--expect", "perfect-outputs-score-the-maximum"], "gives no reason"),
        (["mine:clean", "--expect", "nothing=such"], "There is no check"),
        (["--task", "sumarization"], 'Did you mean "summarization"'),
        (["mine:clean", "--task", "ner"], "mine:clean is a pipeline of its own"),
    ],
)
def test_mistakes_get_one_message(run: Callable[..., Done], args: list[str], word: str) -> None:
    """A user's mistake is one message with its remedy, exit code 2, no traceback."""
    done = run("audit", *args)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_audit_as_json(run: Callable[..., Done], folder: Path) -> None:
    """``--json`` prints one object, with status and suspects of each check."""
    done = run("audit", "mine:broken", "--stage", "metric", "--json")
    report = json.loads(done.stdout)
    assert (report["passed"], report["pipeline"]) == (False, "mine")
    found = {result["check"]: result for result in report["results"]}
    assert found["perfect-outputs-score-the-maximum"]["suspects"] == ["unit-mismatch-percent-fraction"]


@pytest.mark.slow
def test_defects_as_json(run: Callable[..., Done], folder: Path) -> None:
    """``harness defects NAME --json`` has the counts and one entry a defect; the pages are written where asked."""
    done = run("defects", "best-of-n-seeds-reported", "--no-clean", "--json", "--write", "pages", "--workers", "1")
    content = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {"total", "caught", "named", "false_alarms"} <= set(content)
    assert [entry["name"] for entry in content["defects"]] == ["best-of-n-seeds-reported"]
    assert "[1/1] best-of-n-seeds-reported: caught by several-seeds-are-summed-up-fairly, named" in done.stderr
    written = sorted(path.name for path in (folder / "pages").iterdir())
    assert written == ["caught.json", "matrix.html", "matrix.json", "matrix.md"]


def test_unknown_defect_is_named(run: Callable[..., Done]) -> None:
    """A typo in a defect's name gets the nearest one, exit code 2."""
    done = run("defects", "best-of-n-seed-reported")
    assert done.returncode == 2
    assert 'Did you mean "best-of-n-seeds-reported"?' in done.stderr


@pytest.mark.parametrize(("name", "code", "status"), [("broken", 1, "fails"), ("clean", 0, "holds")])
def test_checks_are_a_requirement_of_a_run(
    run: Callable[..., Done], folder: Path, name: str, code: int, status: str
) -> None:
    """``every check must pass`` audits the pipeline that harness.toml names, and the report says what was found."""
    settings = {**SMALL, "checks.pipeline": f"mine.py:{name}", "gate.require": ["every check must pass"]}
    write_experiment(folder, settings)
    done = run("run", "harness.toml")
    assert done.returncode == code, done.stdout + done.stderr
    (written,) = (folder / "runs" / "mine").iterdir()
    verdict = json.loads((written / "verdict.json").read_text(encoding="utf-8"))
    assert [found["status"] for found in verdict["requirements"]] == [status]
    checks = json.loads((written / "checks.json").read_text(encoding="utf-8"))
    assert {"perfect-outputs-score-the-maximum"} <= {check["name"] for check in checks}
    assert ("Mend what the checks found" in done.stdout) is (status == "fails")


def test_json_is_pure_whatever_the_pipeline_writes(run: Callable[..., Done], folder: Path) -> None:
    """What a part writes to the file descriptor of standard output does not get between the lines of the JSON."""
    noisy = PIPELINES + "import os\n\ndef loud(outputs, references):\n    os.write(1, b'noise')\n"
    noisy += "    return metric(outputs, references)\n\nloud_one = Pipeline(splits=splits, metric=loud)\n"
    (folder / "mine.py").write_text(noisy, encoding="utf-8")
    done = run("audit", "mine:loud_one", "--stage", "metric", "--json")
    assert json.loads(done.stdout)["passed"] is True


def test_broken_exceptions_and_factories_are_the_users_mistakes(run: Callable[..., Done], folder: Path) -> None:
    """An exception that cannot be printed is an error of its check, a factory that raises one of usage."""
    broken = PIPELINES + "\nclass Odd(Exception):\n    def __str__(self):\n        raise ValueError\n\n"
    broken += "def odd(outputs, references):\n    raise Odd\n\nodd_one = Pipeline(splits=splits, metric=odd)\n"
    broken += "number = Pipeline(splits=splits, metric=3)\n\ndef make():\n    raise KeyError('column')\n"
    (folder / "mine.py").write_text(broken, encoding="utf-8")
    for place, code, word in (
        ("odd_one", 6, "its message cannot be read"),
        ("number", 6, "metric is a int; expected a function"),
        ("make", 2, "raised KeyError: 'column'"),
    ):
        done = run("audit", f"mine:{place}", "--stage", "metric")
        assert done.returncode == code
        assert word in done.stdout + done.stderr
        assert "bug in the harness" not in done.stderr


@pytest.mark.parametrize("line", ["x = (", "raise ValueError('no data here')", "open('no-such-file')"])
def test_file_that_cannot_be_run_is_the_users_mistake(run: Callable[..., Done], folder: Path, line: str) -> None:
    """Whatever a user's file raises when it is imported is one message and exit code 2, by file and by module."""
    (folder / "half_done.py").write_text(line + "\n", encoding="utf-8")
    for place in ("half_done.py:P", "half_done:P"):
        done = run("audit", place)
        assert done.returncode == 2, done.stderr
        assert "cannot be imported" in done.stderr
        assert "Traceback" not in done.stderr
