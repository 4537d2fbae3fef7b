"""All checks in the order of the chain, and how they are run on a pipeline."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path

from harness.checks.check import Check, CheckFailed, CheckSkipped, PartError, Result, Stage, Status
from harness.checks.deadline import TimedOut, deadline
from harness.checks.evidence import Evidence
from harness.checks.pipeline import Pipeline
from harness.checks.report import AuditReport
from harness.errors import SettingsError
from harness.registry import unknown_name

MODULES = (
    "splits",
    "loading",
    "prompts",
    "tokens",
    "windows",
    "labels",
    "padding",
    "loss",
    "tags",
    "classes",
    "training_run",
    "accumulation",
    "optimizer",
    "checkpoints",
    "evaluation",
    "packing",
    "seeds",
    "saving",
    "adapters",
    "merging",
    "contrast",
    "preferences",
    "policy",
    "rewards",
    "mixing",
    "replay",
    "consolidation",
    "importance",
    "forgetting",
    "generation",
    "decoding",
    "overfit",
    "metrics",
    "scoring",
    "arms",
    "decisions",
)
"""The modules of this package that hold checks, from the first link of the chain to the last."""

LONGEST = 2000
"""Characters of an error's message that are kept."""
SECONDS = 60.0
"""How long one check may take before it is given up."""


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of the chain."""
    found: list[Check] = []
    for name in MODULES:
        module = importlib.import_module(f"harness.checks.{name}")
        found += [value for value in vars(module).values() if isinstance(value, Check)]
    return tuple(found)


def choose_checks(*, only: Sequence[str] = (), stages: Sequence[Stage] = ()) -> tuple[Check, ...]:
    """The checks with these names or of these stages; all of them where nothing is asked for.

    Raises:
        NameUnknownError: no check has such a name.
    """
    require_names(only)
    return tuple(
        check for check in all_checks() if (not only or check.name in only) and (not stages or check.stage in stages)
    )


def require_names(names: Iterable[str]) -> None:
    """Make sure that each of the names is that of a check.

    Raises:
        NameUnknownError: one is not.
    """
    known = tuple(check.name for check in all_checks())
    for name in names:
        if name not in known:
            raise unknown_name("check", name, known)


def audit(
    pipeline: Pipeline,
    *,
    checks: Sequence[Check] | None = None,
    expected_failures: Mapping[str, str] | None = None,
    seed: int = 0,
    seconds: float = SECONDS,
    say: Callable[[Result], None] = lambda _: None,
) -> AuditReport:
    """Run the checks on a pipeline.

    Args:
        pipeline: the user's parts.
        checks: which checks; all of them by default.
        expected_failures: check name to the reason why it is known to fail; one that passes is reported as stale.
        seed: decides the random choices of the checks.
        seconds: how long one check may take.
        say: is told each result as it comes.

    Raises:
        NameUnknownError: an expected failure names no check.

    Example:
        A metric that always says 50 is seen at once:

        >>> pipeline = Pipeline(metric=lambda outputs, references: {"score": 50.0})
        >>> report = audit(pipeline, checks=choose_checks(only=["perfect-outputs-score-the-maximum"]))
        >>> report.passed, report.bad[0].check.stage
        (False, 'metric')
    """
    chosen = all_checks() if checks is None else tuple(checks)
    expected = dict(expected_failures or {})
    require_names(expected)
    evidence = Evidence(pipeline, seed=seed)
    results = []
    for check in chosen:
        result = expect(run_check(check, evidence, seconds=seconds), expected)
        say(result)
        results.append(result)
    return AuditReport(pipeline=pipeline.name, results=tuple(results))


def run_check(check: Check, evidence: Evidence, *, seconds: float = SECONDS) -> Result:
    """Run one check; whatever the pipeline does, a result comes back."""
    began = time.perf_counter()

    def end(status: Status, seen: str, **more: object) -> Result:
        took = round(time.perf_counter() - began, 3)
        return Result(check=check, status=status, seen=seen, seconds=took, **more)  # type: ignore[arg-type]

    try:
        with _quiet(), deadline(seconds):
            for path in check.needs:
                evidence.part(path)
            return end(Status.PASSED, check.run(evidence))
    except CheckSkipped as skipped:
        return end(Status.SKIPPED, str(skipped))
    except CheckFailed as failed:
        return end(Status.FAILED, failed.seen, suspects=failed.suspects, remedy=failed.remedy)
    except TimedOut as late:
        return end(Status.ERROR, f"no answer within {seconds:g} s", traceback=_users_traceback(late))
    except PartError as error:
        return end(Status.ERROR, str(error), traceback=_users_traceback(error))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a user's part may raise anything, SystemExit included
        return end(Status.ERROR, _say_error(error), traceback=_users_traceback(error))


def expect(result: Result, expected: Mapping[str, str]) -> Result:
    """The result in the light of what the user said beforehand."""
    reason = expected.get(result.check.name)
    if reason is None or result.status is Status.SKIPPED:
        return result
    if result.status is Status.PASSED:
        seen = f'it passes, but is said to fail because "{reason}"'
        remedy = "Take it out of expected_failures."
        return Result(check=result.check, status=Status.STALE, seen=seen, remedy=remedy, seconds=result.seconds)
    seen = f"{reason} ({result.seen})"
    return Result(check=result.check, status=Status.EXPECTED, seen=seen, seconds=result.seconds)


def load_pipeline(place: str) -> Pipeline:
    """The pipeline that ``module:attribute`` or ``path/to/file.py:attribute`` names; a function is called for it.

    Modules beside the file, or in the working folder, can be imported, as they can for a script that is run there.

    Raises:
        SettingsError: there is no such module or attribute, or it is no pipeline.
    """
    module_name, _, attribute = place.rpartition(":")
    if not module_name:
        raise SettingsError(
            f'"{place}" names no pipeline.', fix='Write "module:attribute", as my_project.train:pipeline.'
        )
    beside = str(Path(module_name).resolve().parent) if module_name.endswith(".py") else str(Path.cwd())
    if beside not in sys.path:
        sys.path.insert(0, beside)
    try:
        found = getattr(_import_module(module_name), attribute)
    except Exception as error:  # a user's file may raise anything
        raise SettingsError(
            f'"{place}" cannot be imported: {_say_error(error)}.', fix="Check the name and the folder."
        ) from error
    if not isinstance(found, Pipeline) and callable(found):
        try:
            found = found()
        except Exception as error:
            raise SettingsError(
                f'"{place}" raised {_say_error(error)}.', fix="Name a harness.Pipeline, or a function that returns one."
            ) from error
    if not isinstance(found, Pipeline):
        raise SettingsError(f'"{place}" is a {type(found).__name__}.', fix="It should be a harness.Pipeline.")
    return found


def _import_module(name: str) -> object:
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ImportError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _quiet() -> Iterator[None]:
    """What a pipeline prints as it works, and what its libraries warn of, is not what was asked."""
    with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


def _say_error(error: BaseException) -> str:
    """An exception in one text of bounded length, also where it cannot be turned into one."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a user's exception may be broken itself
        text = "its message cannot be read"
    return f"{type(error).__name__}: {text}"[:LONGEST]


def _users_traceback(error: BaseException) -> str:
    """The traceback without the frames of the checks themselves; nothing where no frame of the user's is left."""
    summary = traceback.TracebackException.from_exception(error)
    here = str(Path(__file__).parent)
    kept = [frame for frame in summary.stack if not frame.filename.startswith(here)]
    if not kept:
        return ""
    summary.stack = traceback.StackSummary.from_list(kept)
    return "".join(summary.format(chain=False))
