"""The straight path of a sweep: look, run what is not done yet, run again what failed, report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.atomic import locked
from harness.errors import UsageError
from harness.preparation import Say
from harness.report.facts import Facts
from harness.report.folder import require_writable
from harness.sweeps.plan import Plan, plan_sweep
from harness.sweeps.results import describe_sweep
from harness.sweeps.runner import Ended, Runner, Work
from harness.sweeps.settings import Sweep
from harness.sweeps.store import Store
from harness.sweeps.work import CellOrder, run_cell


@dataclass(frozen=True, kw_only=True)
class SweepRun:
    """What a sweep left behind.

    Args:
        folder: where its cells and reports are.
        facts: the report as JSON values.
    """

    folder: Path
    facts: Facts

    @property
    def complete(self) -> bool:
        """Whether every cell that fits is done."""
        return not self.facts["failed"]


def run_sweep(
    sweep: Sweep, runner: Runner, *, runs: Path, work: Work = run_cell, say: Say = lambda _: None
) -> SweepRun:
    """Run every cell that is not done yet, and report on all of them.

    A cell is done when its folder is there, which is named by the hash of all that decides the cell; so the same call
    goes on where an earlier one was stopped. Cells that failed then are tried again.

    Args:
        sweep: the settings.
        runner: runs the cells.
        runs: the folder that holds the folder of the sweep.
        work: runs a cell; returns its folder as `run_cell` does.
        say: is told what happens, a line a cell.

    Raises:
        UsageError: a setting is wrong, nothing fits, another process is at work in the folder, or it cannot be written.
    """
    require_writable(runs, sweep.name)
    store = Store(runs / sweep.name)
    plan = plan_sweep(sweep, runner, say=say)
    require_cells(plan)
    with locked(store.folder, wait=False):
        store.recover()
        run_orders(plan.orders, sweep, runner, store, work=work, say=say)
        facts = describe_sweep(sweep, plan, store)
        write_reports(facts, sweep, store)
    return SweepRun(folder=store.folder, facts=facts)


def require_cells(plan: Plan) -> None:
    """Make sure that there is anything to run.

    Raises:
        UsageError: there is not.
    """
    if plan.orders:
        return
    reasons = [str(failure) for _, failure in plan.refused] or [entry.reason for entry in plan.unfit]
    raise UsageError(
        f"None of the cells of this sweep can be run. {reasons[0]}", fix="Name other tasks, models or methods."
    )


def run_orders(
    orders: Mapping[str, CellOrder], sweep: Sweep, runner: Runner, store: Store, *, work: Work, say: Say
) -> None:
    """Run what is not done, then what failed once more, as often as the sweep allows."""
    todo = {key: order for key, order in orders.items() if not store.is_done(key)}
    done = len(orders) - len(todo)
    if done:
        say(f"{done} of {len(orders)} cells are done already")
    try:
        for tries in range(1, sweep.retries + 2):
            again: dict[str, CellOrder] = {}
            for key, ended in runner.run(work, todo):
                order = todo[key]
                if ended.failure is None:
                    store.keep(order, ended)
                    done += 1
                    say(f"[{done}/{len(orders)}] {order.cell}: {_say_done(store, key, ended)}")
                    continue
                store.keep_error(order, ended)
                last = ended.failure.usage or tries > sweep.retries
                say(f"{order.cell} failed{'' if last else ', and is tried again later'}: {ended.failure}")
                if not last:
                    again[key] = order
            if not again:
                return
            todo = again
    except KeyboardInterrupt:
        say(f"{done} of {len(orders)} cells are done; the same command goes on from there.")
        raise


def write_reports(facts: Facts, sweep: Sweep, store: Store) -> None:
    """Write ``report.json``, ``report.md`` and ``report.html``."""
    from harness.report.sweeps.html import write_html  # noqa: PLC0415 - templates are slow to import
    from harness.report.sweeps.markdown import write_markdown  # noqa: PLC0415

    settings = json.dumps(sweep.model_dump(mode="json"), indent=2, ensure_ascii=False)
    store.write("report.json", facts)
    store.write_whole("report.md", write_markdown(facts))
    store.write_whole("report.html", write_html(facts, settings))


def _say_done(store: Store, key: str, ended: Ended) -> str:
    verdict = store.read_verdict(key)
    metrics = verdict["comparisons"][0]["metrics"]
    entry = next((entry for entry in metrics if entry["metric"] == verdict["headline"]), None)
    scores = "" if entry is None else f"{entry['metric']} {entry['against']:.2f} → {entry['candidate']:.2f}, "
    return f"{scores}{verdict['outcome']} ({ended.seconds:.1f} s)"
