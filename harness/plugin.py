"""The pytest plugin: choose an experiment, get its run, arms and verdict as fixtures, check or update baselines.

Everything heavy is imported when a fixture is asked for, so a session that uses none of this pays almost nothing.
"""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.arm import Arm
    from harness.baselines import Baseline
    from harness.config import Experiment
    from harness.experiment import Run
    from harness.gate import Finding, Verdict

EXPERIMENT = "harness_experiment"
BASELINES = "harness_baselines"
UPDATE = "harness_update_baselines"
CHECK = "harness_check"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and their ini settings."""
    group = parser.getgroup("harness", "fine-tuning experiments")
    group.addoption(
        "--harness-experiment", dest=EXPERIMENT, metavar="NAME", help="a preset or a file like harness.toml (default: "
        "harness.toml of the root folder, else the preset summarization-full)"
    )  # fmt: skip
    group.addoption(
        "--harness-baselines", dest=BASELINES, metavar="FOLDER", help="where stored arms are (default: baselines)"
    )
    group.addoption(
        "--harness-check", dest=CHECK, action="store_true",
        help="run the experiment and add one test for each of its requirements",
    )  # fmt: skip
    group.addoption(
        "--harness-update-baselines", dest=UPDATE, action="store_true",
        help="store the arms of this session's run as the new baseline",
    )  # fmt: skip
    parser.addini(EXPERIMENT, "a preset or a file like harness.toml")
    parser.addini(BASELINES, "where stored arms are", default="baselines")


@pytest.fixture(scope="session")
def harness_experiment(pytestconfig: pytest.Config) -> Experiment:
    """The experiment of this session."""
    return _load_experiment(pytestconfig)


@pytest.fixture(scope="session")
def harness_run(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The experiment's run: trained and scored once a session, also under xdist."""
    return _run_once(pytestconfig, tmp_path_factory)


@pytest.fixture(scope="session")
def harness_base(harness_run: Run) -> Arm:
    """The base's arm."""
    return harness_run.base


@pytest.fixture(scope="session")
def harness_tuned(harness_run: Run) -> Arm:
    """The tuned model's arm."""
    return harness_run.tuned


@pytest.fixture(scope="session")
def harness_verdict(harness_run: Run) -> Verdict:
    """The verdict over the arms and the stored baseline."""
    return harness_run.verdict


@pytest.fixture(scope="session")
def harness_baseline(pytestconfig: pytest.Config, harness_experiment: Experiment) -> Baseline | None:
    """The stored arms of the experiment, or nothing."""
    from harness.baselines import read_baseline

    return read_baseline(_baselines_folder(pytestconfig), harness_experiment.name)


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--harness-check``, add one test for each requirement of the experiment."""
    if config.getoption(CHECK):
        experiment = _load_experiment(config)
        items.extend(
            RequirementItem.from_parent(session, name=f"{experiment.name}: {sentence}", number=number)
            for number, sentence in enumerate(experiment.gate.require)
        )


class RequirementFailedError(Exception):
    """A requirement does not hold; carries the finding and the printed verdict."""

    def __init__(self, finding: Finding, table: str) -> None:
        super().__init__(finding, table)
        self.finding = finding
        self.table = table


class RequirementItem(pytest.Item):
    """One requirement of the experiment as a test."""

    def __init__(self, *, number: int, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._number = number

    def runtest(self) -> None:
        """Run the experiment, once a session, and look at this requirement."""
        factory: pytest.TempPathFactory = self.config._tmp_path_factory  # type: ignore[attr-defined]  # noqa: SLF001
        run = _run_once(self.config, factory)
        finding = run.verdict.findings[self._number]
        if finding.status != "holds":
            raise RequirementFailedError(finding, _print_run(run))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """A headline, the table and what to do; no traceback, for it is no bug of the test's."""
        from harness.errors import HarnessError

        if isinstance(excinfo.value, RequirementFailedError):
            finding = excinfo.value.finding
            return f'"{finding.sentence}" {finding.status}: {finding.reason}\n\n{excinfo.value.table}'
        if isinstance(excinfo.value, HarnessError):
            return f"{excinfo.typename}: {excinfo.value}"
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the item stands in pytest's reports."""
        return self.path, None, self.name


def _load_experiment(config: pytest.Config) -> Experiment:
    from harness.config import load_experiment
    from harness.errors import UsageError

    choice = config.getoption(EXPERIMENT) or config.getini(EXPERIMENT) or None
    if choice is None and (config.rootpath / "harness.toml").is_file():
        choice = str(config.rootpath / "harness.toml")
    elif choice is not None and (config.rootpath / choice).is_file():
        choice = str(config.rootpath / choice)
    try:
        return load_experiment(choice)
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error


def _baselines_folder(config: pytest.Config) -> Path:
    return config.rootpath / str(config.getoption(BASELINES) or config.getini(BASELINES))


_RUN: pytest.StashKey[Run] = pytest.StashKey()


def _run_once(config: pytest.Config, factory: pytest.TempPathFactory) -> Run:
    """The run of this session: from this process, from another worker's file, or made now."""
    if _RUN not in config.stash:
        worker = getattr(config, "workerinput", None)
        config.stash[_RUN] = _run(config) if worker is None else _run_shared(config, factory.getbasetemp().parent)
    return config.stash[_RUN]


def _run_shared(config: pytest.Config, folder: Path) -> Run:
    """Under xdist the first worker runs and the others read what it wrote into the session's own folder."""
    from filelock import FileLock

    path = folder / "harness-run.pickle"
    with FileLock(folder / "harness-run.lock"):
        if path.is_file():
            shared: Run = pickle.loads(path.read_bytes())  # noqa: S301 - written by this session, in its own folder
            return shared
        run = _run(config)
        path.write_bytes(pickle.dumps(run))
    return run


def _run(config: pytest.Config) -> Run:
    from harness.baselines import read_baseline, store_baseline
    from harness.experiment import judge_again, run

    experiment, folder = _load_experiment(config), _baselines_folder(config)
    update = bool(config.getoption(UPDATE))
    with warnings.catch_warnings():
        # Warnings of the libraries below are not the user's test failures, even under -W error.
        warnings.simplefilter("ignore")
        done = run(experiment, baselines=folder)
    if update:
        store_baseline(folder, base=done.base, tuned=done.tuned)
        done = judge_again(done, read_baseline(folder, experiment.name))
    return done


def _print_run(run: Run) -> str:
    from rich.console import Console

    from harness.report.terminal import print_run

    console = Console(file=io.StringIO(), width=100, no_color=True)
    print_run(run, console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which baseline was updated."""
    if config.getoption(UPDATE) and _RUN in config.stash:
        name = config.stash[_RUN].experiment.name
        terminalreporter.write_line(f"harness: stored the baseline of {name}; look at it with git diff and commit it")
