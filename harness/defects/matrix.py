"""The matrix: every defect against every check, and every clean pipeline against every check."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from typing import Any

from harness.checks.check import Check, Result, Status
from harness.checks.evidence import Evidence
from harness.checks.pipeline import Pipeline
from harness.checks.report import AuditReport
from harness.checks.suite import all_checks, audit, run_check
from harness.defects.catalogue import NOT_REPRODUCED, all_defects
from harness.defects.clean import CleanPipeline
from harness.defects.defect import Defect
from harness.defects.reference import REFERENCES

CHUNK = 14
"""Audits of one reference that one process does in a row; they share the run of the clean pipeline."""
NAMED_WITHIN = 3
"""A defect counts as named where it is among this many of the first suspects of the whole audit."""


@dataclass(frozen=True, kw_only=True)
class Audited:
    """One audit of the matrix.

    Args:
        name: the defect's, or the clean pipeline's.
        reference: the pipeline that a defect is planted in; nothing for a clean one.
        report: what the audit found.
    """

    name: str
    reference: str | None
    report: AuditReport

    @property
    def caught_by(self) -> tuple[str, ...]:
        """The checks that failed."""
        return tuple(result.check.name for result in self.report.results if result.status is Status.FAILED)

    @property
    def errors(self) -> tuple[str, ...]:
        """The checks that ended with an error of the pipeline's."""
        return tuple(result.check.name for result in self.report.results if result.status is Status.ERROR)

    @property
    def named(self) -> bool:
        """Whether the defect is among the first suspects."""
        return self.name in self.report.suspects[:NAMED_WITHIN]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """All audits.

    Args:
        defects: one audit a defect.
        clean: one audit a clean pipeline and seed.
    """

    defects: tuple[Audited, ...]
    clean: tuple[Audited, ...]

    @property
    def false_alarms(self) -> tuple[tuple[str, str], ...]:
        """(clean pipeline, check) of each check that did not pass, or end as skipped, where nothing is wrong."""
        return tuple((audited.name, name) for audited in self.clean for name in (*audited.caught_by, *audited.errors))

    @property
    def idle_checks(self) -> tuple[str, ...]:
        """Checks that fail on no defect: guards that never fire."""
        fired = {name for audited in self.defects for name in audited.caught_by}
        return tuple(check.name for check in all_checks() if check.name not in fired)

    def as_json(self) -> dict[str, Any]:
        """The matrix as plain values."""
        return {
            "total": len(self.defects) + len(NOT_REPRODUCED),
            "caught": sum(bool(audited.caught_by) for audited in self.defects),
            "named": sum(audited.named for audited in self.defects),
            "false_alarms": len(self.false_alarms),
            "clean_audits": len(self.clean),
            "checks": [check.name for check in all_checks()],
            "idle_checks": list(self.idle_checks),
            "not_reproduced": NOT_REPRODUCED,
            "defects": [describe_audit(audited) for audited in self.defects],
            "clean": [describe_audit(audited) for audited in self.clean],
        }


def describe_audit(audited: Audited) -> dict[str, Any]:
    """One audit as plain values."""
    statuses = {result.check.name: str(result.status) for result in audited.report.results}
    described: dict[str, Any] = {
        "name": audited.name,
        "caught_by": list(audited.caught_by),
        "errors": list(audited.errors),
        "suspects": list(audited.report.suspects[:NAMED_WITHIN]),
        "results": statuses,
    }
    if audited.reference is not None:
        entry = next(entry for entry in all_defects() if entry.name == audited.name)
        described |= {
            "caught": bool(audited.caught_by),
            "named": audited.named,
            "stage": entry.stage,
            "description": entry.description,
            "symptom": entry.symptom,
            "source": entry.source,
            "reference": entry.reference,
        }
    return described


def make_matrix(
    defects: Sequence[Defect],
    clean: Sequence[CleanPipeline],
    *,
    workers: int | None = None,
    say: Callable[[Audited], None] = lambda _: None,
) -> Matrix:
    """Audit each defect and each clean pipeline, in several processes.

    Args:
        defects: which defects.
        clean: which clean pipelines.
        workers: how many processes; as many as there are processors by default.
        say: is told each audit when its process is done with it.
    """
    by_reference: dict[str, list[CleanPipeline | str]] = {}
    for pipeline in clean:
        # A shape stands for itself, whereas a reference is audited where its defects are.
        by_reference.setdefault(pipeline.reference or pipeline.name, []).append(pipeline)
    for entry in defects:
        by_reference.setdefault(entry.reference, []).append(entry.name)
    done: dict[str, Audited] = {}
    with ProcessPoolExecutor(
        workers or os.cpu_count(), mp_context=get_context("spawn"), initializer=_prepare_worker
    ) as pool:
        tasks = []
        for entries in sorted(by_reference.values(), key=len, reverse=True):
            chunks = (entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK))
            tasks += [pool.submit(audit_each, chunk) for chunk in chunks]
        try:
            for task in as_completed(tasks):
                for audited in task.result():
                    done[audited.name] = audited
                    say(audited)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Matrix(
        defects=tuple(done[entry.name] for entry in defects), clean=tuple(done[entry.name] for entry in clean)
    )


def audit_each(entries: Sequence[CleanPipeline | str]) -> list[Audited]:
    """Audit several clean pipelines and defects, which go by their names, one after another."""
    known = {entry.name: entry for entry in all_defects()}
    return [
        Audited(name=entry, reference=known[entry].reference, report=audit_defect(known[entry]))
        if isinstance(entry, str)
        else Audited(name=entry.name, reference=None, report=audit_clean(entry))
        for entry in entries
    ]


def audit_clean(entry: CleanPipeline) -> AuditReport:
    """Audit a clean pipeline; what is found of a reference serves its defects as well."""
    if entry.reference is not None:
        return _clean_run(entry.reference).report()
    return audit(entry.make(), seed=entry.seed)


def audit_defect(entry: Defect) -> AuditReport:
    """Audit a defect.

    A check that looks at none of the parts that the defect changed must say what it says of the clean pipeline, so
    there its result is taken from a run that was made once.
    """
    clean = _clean_run(entry.reference)
    planted = entry.plant(clean.pipeline)
    evidence = Evidence(planted)
    results = []
    for check in all_checks():
        unchanged = not _changed(check.needs, clean.pipeline, planted)
        if unchanged:
            result, parts = clean.result(check)
            unchanged = not _changed(parts, clean.pipeline, planted)
        results.append(result if unchanged else run_check(check, evidence))
    return AuditReport(pipeline=entry.name, results=tuple(results))


class _CleanRun:
    """The results of checks on a clean pipeline, each with the parts that it looked at; made when asked for."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._evidence = Evidence(pipeline)
        self._results: dict[str, tuple[Result, frozenset[str]]] = {}

    def result(self, check: Check) -> tuple[Result, frozenset[str]]:
        """A check's result and the parts that it looked at."""
        if check.name not in self._results:
            with self._evidence.keep_book() as book:
                found = run_check(check, self._evidence)
            self._results[check.name] = found, frozenset(book)
        return self._results[check.name]

    def report(self) -> AuditReport:
        """The whole audit."""
        return AuditReport(pipeline=self.pipeline.name, results=tuple(self.result(check)[0] for check in all_checks()))


@cache
def _clean_run(reference: str) -> _CleanRun:
    return _CleanRun(REFERENCES[reference])


def _changed(parts: Iterable[str], one: Pipeline, other: Pipeline) -> bool:
    return any(not _same(one.part(path), other.part(path)) for path in parts)


def _same(one: object, other: object) -> bool:
    """Functions are the same where they are one object; declared values where they are equal."""
    return one is other or (not callable(one) and isinstance(one, str | int | float | tuple | dict) and one == other)


def _prepare_worker() -> None:
    import torch  # noqa: PLC0415 - it is the worker that needs it

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
