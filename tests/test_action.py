"""The composite GitHub Action: its steps, read from action.yml, do what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.small import LEARNS
from tests.test_plugin import write_experiment

ROOT = Path(__file__).parents[1]


def read_steps() -> dict[str, dict[str, Any]]:
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return {step.get("name", step.get("uses")): step for step in action["runs"]["steps"]}


def run_step(name: str, folder: Path, **variables: str) -> tuple[int, str, dict[str, str]]:
    """Run a step's shell as GitHub does (bash -e -o pipefail): exit code, what it printed, and its outputs."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    outputs = temporary / "outputs"
    outputs.write_text("", encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RUNNER_TEMP": str(temporary),
        "GITHUB_OUTPUT": str(outputs),
        "GITHUB_ACTION_PATH": str(ROOT),
        **variables,
    }
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", read_steps()[name]["run"]]
    done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = outputs.read_text(encoding="utf-8").splitlines()
    return done.returncode, done.stdout + done.stderr, dict(line.split("=", 1) for line in lines)


def test_inputs_are_never_read_as_shell() -> None:
    """No step's shell holds an expression: what users give comes through the environment."""
    steps = read_steps()
    assert set(steps["Run"]["env"]) == {"EXPERIMENT", "ARGUMENTS"}
    assert not [name for name, step in steps.items() if "${{" in step.get("run", "")]


@pytest.mark.slow
def test_run_step_gives_verdict_folder_and_summary(tmp_path: Path) -> None:
    """A run that passes: code 0, its outcome and folder as outputs, and the report in the job's summary."""
    write_experiment(tmp_path, LEARNS)
    summary = tmp_path / "summary.md"
    code, printed, outputs = run_step("Run", tmp_path, EXPERIMENT="", ARGUMENTS="", GITHUB_STEP_SUMMARY=str(summary))
    assert code == 0, printed
    assert outputs["outcome"] == "improved"
    verdict = json.loads((Path(outputs["folder"]) / "verdict.json").read_text(encoding="utf-8"))
    assert (verdict["experiment"], verdict["passed"]) == ("mine", True)
    assert summary.read_text(encoding="utf-8").startswith("# mine: improved")


def test_outcome_is_that_of_the_run_itself(tmp_path: Path) -> None:
    """An earlier use of the action in the same job leaves no verdict that a later one would find."""
    old = tmp_path / "temporary" / "harness-runs" / "z" / "run"
    old.mkdir(parents=True)
    (old / "verdict.json").write_text('{"outcome": "improved"}', encoding="utf-8")
    code, printed, outputs = run_step("Run", tmp_path, EXPERIMENT="none.toml", ARGUMENTS="")
    assert code == 2, printed
    assert outputs == {}
    assert read_steps()["Keep the reports"]["with"]["name"] == "${{ inputs.artifact }}"


@pytest.mark.slow
def test_run_step_fails_with_the_verdicts_own_code(tmp_path: Path) -> None:
    """A run with a requirement that cannot be compared ends with code 4, and its outputs are there all the same."""
    write_experiment(tmp_path, {**LEARNS, "data.train_rows": 8, "data.eval_rows": 4})
    (tmp_path / "harness.toml").rename(tmp_path / "other file.toml")
    arguments = '--set=gate.require=["base must not drift"]\n\n--set=training.epochs=1\n'
    code, printed, outputs = run_step("Run", tmp_path, EXPERIMENT="other file.toml", ARGUMENTS=arguments)
    assert code == 4, printed
    assert (Path(outputs["folder"]) / "report.html").is_file()


def test_run_step_takes_hostile_inputs_for_names(tmp_path: Path) -> None:
    """A name with shell in it is an unknown name: code 2, nothing ran, no outputs."""
    code, printed, outputs = run_step("Run", tmp_path, EXPERIMENT="$(touch hacked); `touch hacked`", ARGUMENTS="")
    assert (code, outputs) == (2, {}), printed
    assert not (tmp_path / "hacked").exists()


@pytest.mark.slow
def test_install_step_installs_all_that_is_needed(tmp_path: Path) -> None:
    """Into a fresh environment pip installs the repository itself, with its templates and its program."""
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=True)
    path = f"{fresh / 'bin'}{os.pathsep}{os.environ['PATH']}"
    # The dependencies are those of the environment that tests; to fetch them once more would prove nothing.
    code, printed, _ = run_step("Install", tmp_path, PIP_NO_DEPS="1", PATH=path)
    assert code == 0, printed
    (installed,) = fresh.glob("lib/python*/site-packages/harness")
    for place in ("report/templates/report.html", "project/harness.toml.in", "presets/summarization-full.toml"):
        assert (installed / place).is_file()
    assert (fresh / "bin" / "harness").is_file()


@pytest.mark.parametrize("name", ["outcome", "folder"])
def test_outputs_are_those_of_the_run_step(name: str) -> None:
    """What the action promises is what its step writes."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert action["outputs"][name]["value"] == f"${{{{ steps.run.outputs.{name} }}}}"
    assert f"{name}=" in read_steps()["Run"]["run"]
