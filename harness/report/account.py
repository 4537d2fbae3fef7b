"""The account of a run: all that its reports show, from the run itself or from the folder it was written to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from harness.arm import Arm
from harness.config import Experiment
from harness.data.rows import Row
from harness.errors import UsageError
from harness.report.checks import CheckLine, read_checks, write_checks
from harness.report.facts import Facts, describe_run
from harness.spool import Spool

if TYPE_CHECKING:
    from harness.experiment import Run
    from harness.probes import CheckResult

NEEDED = ("experiment", "outcome", "passed", "level", "requirements", "comparisons", "arms", "labels", "training")
"""What the facts of a run must hold for a report."""

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class MovedRow:
    """One evaluation row, what both models said, and how its score moved."""

    row: Row
    base: str
    tuned: str
    metric: str
    base_score: float
    tuned_score: float
    lower_is_better: bool = False

    @property
    def delta(self) -> float:
        """Tuned less base, in the metric's unit."""
        return self.tuned_score - self.base_score

    @property
    def gain(self) -> float:
        """How much better tuned is."""
        return -self.delta if self.lower_is_better else self.delta


@dataclass(frozen=True, kw_only=True)
class Account:
    """All that the reports of a run show.

    Args:
        facts: the run as JSON values.
        experiment: what was run.
        base: the base's arm.
        tuned: the tuned model's arm.
        rows: the evaluation rows, in the arms' order.
        losses: the training loss of each step, in nats per token.
        checks: what was checked besides; maybe nothing.
    """

    facts: Facts
    experiment: Experiment
    base: Arm
    tuned: Arm
    rows: Sequence[Row]
    losses: tuple[float, ...]
    checks: tuple[CheckLine, ...] = ()

    @property
    def comparison(self) -> Facts:
        """Tuned against base."""
        comparison: Facts = self.facts["comparisons"][0]
        return comparison

    @property
    def metric(self) -> str | None:
        """The metric by which rows are ranked: the task's headline; nothing where nothing was compared."""
        metrics = [entry["metric"] for entry in self.comparison["metrics"]]
        headline: str = self.facts["headline"]
        return headline if headline in metrics else next(iter(metrics), None)

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """What base and tuned scored by `metric`, row by row: (rows, 2) float64; no columns where there is none."""
        return np.hstack([arm.score_matrix((self.metric,) if self.metric else ()) for arm in (self.base, self.tuned)])

    def moved_rows(self, count: int) -> tuple[MovedRow, ...]:
        """The rows that gained most, then those that lost most, at most ``count`` of each; none that stayed."""
        if self.metric is None:
            return ()
        falls = self.metric in self.base.manifest.lower_is_better
        base, tuned = self.scores.T
        gains = base - tuned if falls else tuned - base
        most, least = (np.argsort(order, kind="stable")[:count].tolist() for order in (-gains, gains))
        shown = [*(place for place in most if gains[place] > 0), *(place for place in least if gains[place] < 0)]
        return tuple(
            MovedRow(
                row=self.rows[place],
                base=self.base.rows[place].output,
                tuned=self.tuned.rows[place].output,
                metric=self.metric,
                base_score=float(base[place]),
                tuned_score=float(tuned[place]),
                lower_is_better=falls,
            )
            for place in shown
        )


def give_account(run: Run, checks: tuple[CheckLine, ...] = ()) -> Account:
    """The account of a run in memory; with the checks that the run itself made, where no others are given."""
    made = () if run.checks is None else tuple(map(_describe_check, run.checks.results))
    return Account(
        facts=describe_run(run),
        experiment=run.experiment,
        base=run.base,
        tuned=run.tuned,
        rows=run.splits.eval,
        losses=run.losses,
        checks=checks or made,
    )


def _describe_check(result: CheckResult) -> CheckLine:
    return CheckLine.model_validate(
        {"name": result.check.name, "status": str(result.status), "seen": result.seen, "remedy": result.remedy}
    )


def write_account(account: Account, folder: Path) -> None:
    """Write what `read_account` reads."""
    account.base.write(folder / "base")
    account.tuned.write(folder / "tuned")
    losses = ({"loss": loss, "step": step} for step, loss in enumerate(account.losses, start=1))
    rows = (
        {"id": row.id, "input": row.input, "references": row.references, "target": row.target} for row in account.rows
    )
    write_lines(folder / "losses.jsonl", losses)
    write_lines(folder / "eval-rows.jsonl", rows)
    write_text(folder / "experiment.json", account.experiment.model_dump_json(indent=2) + "\n")
    write_text(folder / "verdict.json", json.dumps(account.facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if account.checks:
        write_text(folder / "checks.json", write_checks(account.checks))


def read_account(folder: Path) -> Account:
    """The account of a run that was written to disk.

    Raises:
        UsageError: the folder holds no whole run.
        BaselineError: one of its arms is missing or was edited.
    """
    facts = _parse(folder / "verdict.json", json.load)
    if not isinstance(facts, dict) or (missing := [name for name in NEEDED if name not in facts]):
        lacking = ", ".join(missing) if isinstance(facts, dict) else "everything"
        raise _no_run(folder / "verdict.json", f"it lacks {lacking}")
    base, tuned = Arm.read(folder / "base"), Arm.read(folder / "tuned")
    rows = _parse(folder / "eval-rows.jsonl", lambda file: Spool(map(_read_row, _lines(file))))
    if len(rows) != len(base.rows) or any(row.id != one.id for row, one in zip(rows, base.rows, strict=True)):
        raise _no_run(folder / "eval-rows.jsonl", "its rows are not those of the arms")
    return Account(
        facts=facts,
        experiment=_parse(folder / "experiment.json", lambda file: Experiment.model_validate_json(file.read())),
        base=base,
        tuned=tuned,
        rows=rows,
        losses=_parse(folder / "losses.jsonl", lambda file: tuple(float(line["loss"]) for line in _lines(file))),
        checks=read_checks(folder / "checks.json") if (folder / "checks.json").exists() else (),
    )


@contextmanager
def as_written(folder: Path) -> Iterator[None]:
    """Around what shows an account from disk: facts that hold something else than a run writes are a user's error.

    Raises:
        UsageError: they do.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise _no_run(folder / "verdict.json", f"it was edited: {type(error).__name__}: {error}") from error


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with the same line ends on every system; what is no Unicode, as a model may say, becomes "?"."""
    path.write_text(text, encoding="utf-8", errors="replace", newline="\n")


def write_lines(path: Path, lines: Iterable[Facts]) -> None:
    """Write JSON lines as they come, however many, as `write_text` does."""
    with path.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _lines(file: TextIO) -> Iterator[Any]:
    return (json.loads(line) for line in file if line != "\n")


def _read_row(line: Mapping[str, Any]) -> Row:
    return Row(id=line["id"], input=line["input"], target=line["target"], references=tuple(line["references"]))


def _parse(path: Path, read: Callable[[TextIO], T]) -> T:
    try:
        with path.open(encoding="utf-8") as file:
            return read(file)
    except OSError as error:
        raise _no_run(path, str(error.strerror)) from error
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise _no_run(path, f"{type(error).__name__}: {error}") from error


def _no_run(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"{path} is no part of a whole run: {reason}.",
        fix="Name a folder that this version of harness run wrote, as runs/EXPERIMENT/TIME-HASH.",
    )
