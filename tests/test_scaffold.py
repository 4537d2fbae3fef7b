"""``harness init``: what it writes works at once, and nothing is ever overwritten."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from harness.config import load_experiment, parse_experiment
from harness.errors import UsageError
from harness.requirements import parse_requirement
from harness.scaffold import FILES, IGNORED, name_after, write_project
from tests.test_cli import call

BIN = Path(sys.executable).parent


def test_files_say_what_they_should(tmp_path: Path) -> None:
    """Six files; the settings load under the folder's name, and every requirement is understood."""
    folder = tmp_path / "my summaries"
    assert sorted(path.relative_to(folder).as_posix() for path in write_project(folder)) == sorted(FILES)
    experiment = load_experiment(str(folder / "harness.toml"))
    assert experiment.name == "my-summaries"
    kinds = [parse_requirement(sentence, ("rouge1",)).kind for sentence in experiment.gate.require]
    assert kinds == ["beat", "no-regression", "no-drift"]
    assert "harness baseline accept my-summaries" in (folder / "baselines" / "README.md").read_text(encoding="utf-8")
    assert not [path for path in folder.rglob("*") if path.is_file() and "{" in path.read_text(encoding="utf-8")
                and path.suffix in {".toml", ".md", ".yml"}]  # fmt: skip


def test_workflow_and_tox_run_the_tests(tmp_path: Path) -> None:
    """The workflow may only read, installs before it tests, keeps the reports; tox runs pytest alone."""
    write_project(tmp_path)
    workflow = yaml.safe_load((tmp_path / ".github" / "workflows" / "fine-tuning.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["verdict"]["steps"]
    assert [step["run"].split()[0] for step in steps if "run" in step] == ["python", "pytest"]
    assert steps[-1]["with"]["path"] == "runs"
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(tmp_path / "tox.ini", encoding="utf-8")
    assert settings["testenv:finetune"]["commands"] == "pytest {posargs}"
    assert "finetune-harness" in settings["testenv:finetune"]["deps"].split()


@pytest.mark.parametrize("place", [*(place for place in FILES if place != IGNORED), "tests", ".github/workflows"])
def test_nothing_is_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    """One file in the way, or a file where a folder is needed: it is named, the code is 2, and nothing is written."""
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "init") == 2
    assert place in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
    assert path.read_text(encoding="utf-8") == "mine"


def test_git_keeps_baselines_and_leaves_out_runs(tmp_path: Path) -> None:
    """Under the new .gitignore git sees the stored arms, and neither runs nor what Python and the lock leave behind."""
    write_project(tmp_path)
    project = Project(tmp_path)
    for place in (
        "runs/proj/1/report.md",
        "baselines/proj/base/rows.jsonl",
        "baselines/.lock",
        "tests/__pycache__/a.pyc",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("", encoding="utf-8")
    code, output = project.run("git init -q && git add . && git ls-files")
    assert code == 0, output
    assert sorted(output.split()) == sorted([*FILES, "baselines/proj/base/rows.jsonl"])


def test_a_gitignore_of_ones_own_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most repositories have one: it is left as it is, the other files are written, and the lines to add are said."""
    (tmp_path / IGNORED).write_text("*.log\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "init") == 0
    said = capsys.readouterr().out
    assert (tmp_path / IGNORED).read_text(encoding="utf-8") == "*.log\n"
    assert "Left as it is: .gitignore; it should leave out runs/, and keep baselines/" in said
    assert f"Written: {IGNORED}" not in said
    assert all((tmp_path / place).is_file() for place in FILES)


@pytest.mark.parametrize("missing", [True, False])
def test_next_steps_fit_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, missing: bool
) -> None:
    """Into another folder, without git or without pytest: there is a line for each, and none for what is there."""
    monkeypatch.chdir(tmp_path)
    if missing:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    else:
        (tmp_path / ".git").mkdir()
    assert call(monkeypatch, "init", *["my project"] * missing) == 0
    said = capsys.readouterr().out
    for command in ("cd 'my project'", "pip install pytest", "git init"):
        assert (f"\n  {command} " in said) is missing, command
    assert [line.split("  ")[1] for line in said.splitlines() if line.startswith("  ")][-6:] == [
        "edit harness.toml", "harness run", "pytest", "git add . && git commit", "pytest --harness-update-baselines",
        "git add baselines && git commit",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a/b", '"', "a\nb", "", "\udc80", "con"])
def test_name_that_no_experiment_can_have_is_refused(tmp_path: Path, name: str) -> None:
    """It would stand in a harness.toml that cannot be read; nothing is written."""
    with pytest.raises(UsageError, match="experiment"):
        write_project(tmp_path / "project", name=name)
    assert not (tmp_path / "project").exists()


def test_failure_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the third file cannot be written, the first two are gone again."""
    real, opened = Path.open, []

    def full(path: Path, mode: str = "r", *arguments: object, **options: object) -> object:
        opened.extend([path] * (mode == "x"))
        if len(opened) == 3:
            raise OSError(28, "No space left on device", str(path))
        return real(path, mode, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(UsageError, match="No space left"):
        write_project(tmp_path / "project")
    monkeypatch.undo()
    assert len(opened) == 3
    assert not [path for path in (tmp_path / "project").rglob("*") if path.is_file()]


@given(name=st.text(max_size=120).filter(lambda name: "/" not in name and "\0" not in name))
@example("NUL")
@example("com1.txt")
@example("a" * 99 + ".b")
def test_any_folder_gives_a_name(name: str) -> None:
    """Whatever a folder is called, the experiment gets a name that the settings accept."""
    assert parse_experiment({"name": name_after(Path("/parent") / name)}, where="the test").name


class Project:
    """A project folder under git, in which commands run as a user's would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"CI", "PYTEST_ADDOPTS"}},
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",  # beside other work, two threads wait for each other most of the time
        }

    def run(self, command: str, **variables: str) -> tuple[int, str]:
        """The exit code and all output of a shell command."""
        environment = self.environment | variables
        shell = ["bash", "-c", command]
        done = subprocess.run(shell, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def commit(self) -> None:
        """Commit everything."""
        self.run("git init -q; git add -A; git -c user.name=t -c user.email=t@example.org commit -qm work")

    def replace(self, old: str, new: str) -> None:
        """Edit harness.toml."""
        path = self.folder / "harness.toml"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.slow
def test_project_is_green_then_red_when_spoiled_then_green_when_updated(tmp_path: Path) -> None:
    """As a user does it, by the commands that the files name, each in a process of its own."""
    project = Project(tmp_path / "project")
    project.folder.mkdir()
    assert project.run("harness init")[0] == 0
    code, output = project.run("pytest -rs")
    assert code == 0, output
    assert "2 passed, 1 skipped" in output
    assert "no baseline is stored: pytest --harness-update-baselines" in output
    # What follows is of the baselines, and fewer rows show it as well.
    for old, new in (("train_rows = 128", "train_rows = 64"), ("eval_rows = 64", "eval_rows = 24")):
        project.replace(old, new)
    project.replace("epochs = 6", "epochs = 5")
    project.commit()
    code, output = project.run("pytest --harness-update-baselines")
    assert code == 0, output
    project.commit()

    project.replace("epochs = 5", "epochs = 2")
    project.commit()
    code, output = project.run("pytest")
    assert code == 1, output
    assert "tuned vs stored tuned: regressed" in " ".join(output.split())
    assert "\u2717 no metric may regress against the stored baseline" in output
    assert "1 failed, 2 passed" in output

    code, output = project.run('pytest --harness-update-baselines --harness-why "fewer epochs"')
    assert code == 0, output
    project.commit()
    workflow = yaml.safe_load(
        (project.folder / ".github" / "workflows" / "fine-tuning.yml").read_text(encoding="utf-8")
    )
    (command,) = [
        step["run"] for step in workflow["jobs"]["verdict"]["steps"] if "pytest" in step.get("run", "").split()[:1]
    ]
    code, output = project.run(command, CI="true")
    assert code == 0, output
    assert "6 passed" in output
    assert (project.folder / "runs" / "junit.xml").is_file()
    assert project.run("git status --porcelain --untracked-files=all") == (0, "")


@pytest.mark.slow
def test_ci_fails_where_nothing_is_stored(tmp_path: Path) -> None:
    """Without a baseline there is nothing to compare with: in CI that is no pass, and no skip either."""
    project = Project(tmp_path)
    project.run("harness init")
    project.replace("epochs = 6", "epochs = 1")
    for old, new in (("train_rows = 128", "train_rows = 8"), ("eval_rows = 64", "eval_rows = 4")):
        project.replace(old, new)
    code, output = project.run("pytest -k worse", CI="true")
    assert code == 1, output
    assert "no baseline is stored: pytest --harness-update-baselines" in output
