"""The pytest plugin: choose an experiment, get its run, arms and verdict as fixtures, check or update baselines.

Everything heavy is imported when a fixture is asked for, so a session that uses none of this pays almost nothing.
"""

from __future__ import annotations

import pickle
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from harness.pytest_baselines import (
    ORPHANS,
    REVIEW_FILE,
    OrphanItem,
    add_baseline_options,
    store_run,
    stores_baselines,
    will_store,
)
from harness.pytest_outcomes import name_outcome, print_outcomes

if TYPE_CHECKING:
    from harness.arm import Arm
    from harness.baselines import Baseline
    from harness.config import Experiment
    from harness.errors import HarnessError
    from harness.experiment import Run
    from harness.gate import Verdict

EXPERIMENT = "harness_experiment"
BASELINES = "harness_baselines"
CHECK = "harness_check"

_BEGAN: pytest.StashKey[float] = pytest.StashKey()


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
    add_baseline_options(group)
    parser.addini(EXPERIMENT, "a preset or a file like harness.toml")
    parser.addini(BASELINES, "where stored arms are", default="baselines")


def pytest_configure(config: pytest.Config) -> None:
    """Note when the session began."""
    config.stash[_BEGAN] = time.time()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remember what earlier sessions stored."""
    if _is_checked(session.config):
        session.config.stash[_EARLIER] = _find_changes(session.config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say which experiment is checked."""
    if not _is_checked(config):
        return None
    return f"harness: experiment {_load_experiment(config).name}, baselines in {_baselines_folder(config)}"


@pytest.fixture(scope="session")
def harness_experiment(pytestconfig: pytest.Config) -> Experiment:
    """The experiment of this session."""
    return _or_fail(lambda: _load_experiment(pytestconfig))


@pytest.fixture(scope="session")
def harness_run(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The experiment's run: trained and scored once a session, also under xdist."""
    return _or_fail(lambda: _run_once(pytestconfig, tmp_path_factory))


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

    return _or_fail(lambda: read_baseline(_baselines_folder(pytestconfig), harness_experiment.name))


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """With ``--harness-check``, add one test for each requirement of the experiment."""
    if _is_checked(config):
        from harness.preparation import list_sentences

        experiment = _load_experiment(config)
        items.extend(
            RequirementItem.from_parent(session, name=f"{experiment.name}: {sentence}", number=number)
            for number, sentence in enumerate(list_sentences(experiment))
        )
    if config.getoption(ORPHANS):
        place, project = _baselines_folder(config), _project_folder(config)
        experiment = _load_experiment(config)
        items.append(
            OrphanItem.from_parent(
                session, name="no orphans", baselines=place, project=project, experiment=experiment.name
            )
        )


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """Give each verdict an outcome of its own."""
    return name_outcome(report)


class RequirementItem(pytest.Item):
    """One requirement of the experiment as a test."""

    def __init__(self, *, number: int, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self._number = number

    def runtest(self) -> None:
        """Run the experiment, once a session, and look at this requirement."""
        factory: pytest.TempPathFactory = self.config._tmp_path_factory  # type: ignore[attr-defined]  # noqa: SLF001
        run = _or_fail(lambda: _run_once(self.config, factory))
        from harness.report.facts import describe_run
        from harness.report.junit import list_properties
        from harness.report.terminal import say_run

        self.user_properties.extend(list_properties(describe_run(run), self._number))
        finding = run.verdict.findings[self._number]
        if finding.status != "holds":
            headline = f'"{finding.sentence}" {finding.status}: {finding.reason}'
            # No traceback: it is no bug of the test's.
            pytest.fail(f"{headline}\n\n{say_run(run, width=100)}", pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the item stands in pytest's reports."""
        return self.path, None, self.name


T = TypeVar("T")


def _or_fail(action: Callable[[], T]) -> T:
    """Do it; an error of the harness fails the test with its message, which needs no traceback."""
    from harness.errors import HarnessError

    try:
        return action()
    except HarnessError as error:
        message = f"{type(error).__name__}: {error}"
    # Out here, so that pytest does not print the message a second time as the cause of the failure.
    return pytest.fail(message, pytrace=False)


def _is_checked(config: pytest.Config) -> bool:
    return bool(config.getoption(CHECK)) or stores_baselines(config)


def _project_folder(config: pytest.Config) -> Path:
    """The nearest folder, from pytest's root upwards, that has a harness.toml; the root where none has."""
    folders = (config.rootpath, *config.rootpath.parents)
    return next((folder for folder in folders if (folder / "harness.toml").is_file()), config.rootpath)


def _load_experiment(config: pytest.Config) -> Experiment:
    from harness.config import load_experiment
    from harness.errors import UsageError

    folder = _project_folder(config)
    choice = str(config.getoption(EXPERIMENT) or config.getini(EXPERIMENT) or "harness.toml")
    try:
        if (folder / choice).is_file():
            return load_experiment(str(folder / choice))
        return load_experiment(None if choice == "harness.toml" else choice)
    except (UsageError, OSError) as error:
        raise pytest.UsageError(str(error)) from error


def _baselines_folder(config: pytest.Config) -> Path:
    return _project_folder(config) / str(config.getoption(BASELINES) or config.getini(BASELINES))


_EARLIER: pytest.StashKey[set[Path]] = pytest.StashKey()
_RUN: pytest.StashKey[Run | HarnessError] = pytest.StashKey()


def _run_once(config: pytest.Config, factory: pytest.TempPathFactory) -> Run:
    """The run of this session, or the error it ended with: from this process, from another worker, or made now."""
    if _RUN not in config.stash:
        worker = getattr(config, "workerinput", None)
        config.stash[_RUN] = _try_run(config) if worker is None else _run_shared(config, factory.getbasetemp().parent)
    ended = config.stash[_RUN]
    if isinstance(ended, Exception):
        raise ended
    return ended


def _run_shared(config: pytest.Config, folder: Path) -> Run | HarnessError:
    """Under xdist the first worker runs and the others read what it wrote into the session's own folder."""
    from filelock import FileLock

    path = folder / "harness-run.pickle"
    with FileLock(folder / "harness-run.lock"):
        if not path.is_file():
            path.write_bytes(pickle.dumps(_try_run(config)))
        ended: Run | HarnessError = pickle.loads(path.read_bytes())  # noqa: S301 - written by this very session
    return ended


def _try_run(config: pytest.Config) -> Run | HarnessError:
    from harness.errors import HarnessError

    try:
        return _run(config)
    except HarnessError as error:
        return error


def _run(config: pytest.Config) -> Run:
    from harness.atomic import write_whole
    from harness.baselines import read_baseline
    from harness.checks.own import audit_experiment
    from harness.experiment import run
    from harness.report.account import give_account
    from harness.report.folder import write_run
    from harness.report.markdown import append_summary

    experiment, folder = _load_experiment(config), _baselines_folder(config)
    runs = _project_folder(config) / "runs"
    stores = will_store(config, folder, experiment.name, runs)
    with warnings.catch_warnings():
        # Warnings of the libraries below are not the user's test failures, even under -W error.
        warnings.simplefilter("ignore")
        done = run(experiment, baselines=folder, audit=audit_experiment)
    changes = ""
    if stores:
        done, changes = store_run(config, folder, done, read_baseline(folder, experiment.name), runs)
    if _is_checked(config):
        written = write_run(done, runs)
        append_summary(give_account(done))
        if changes:
            write_whole(written / REVIEW_FILE, changes.encode())
    return done


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what each requirement lacks, where the run is, and what was stored."""
    if not _is_checked(config):
        return
    print_outcomes(terminalreporter)
    runs = _project_folder(config) / "runs" / _load_experiment(config).name
    if _is_of_this_session(runs, config):
        terminalreporter.write_line(f"harness: the run's outputs and report are in {runs}")
    earlier = config.stash[_EARLIER]
    for path in sorted(_find_changes(config) - earlier):
        changes = path.read_text(encoding="utf-8")
        terminalreporter.write_line(f"harness: {changes}Look at it with git, and commit it.")


def _find_changes(config: pytest.Config) -> set[Path]:
    """What sessions stored, as the process that ran wrote it down: under xdist that is another one."""
    return set((_project_folder(config) / "runs").glob(f"*/*/{REVIEW_FILE}"))


def _is_of_this_session(folder: Path, config: pytest.Config) -> bool:
    """Whether the folder was written since the session began, by this process or by a worker."""
    return folder.is_dir() and folder.stat().st_mtime >= config.stash[_BEGAN]
