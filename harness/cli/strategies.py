"""``harness run --strategy``: several tasks on one model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from harness.cli.run import ALL, Places, quiet_libraries
from harness.cli.say import say
from harness.errors import SettingsError
from harness.multitask import DEFAULT_PRESET, Multitask, load_multitask, multitask_presets


def require_no_others(named: Mapping[str, object]) -> None:
    """Make sure that nothing was named that belongs to a run of one task.

    Raises:
        SettingsError: something was.
    """
    for option, value in named.items():
        if value:
            raise SettingsError(
                f"--{option} belongs to a run of one task, and --strategy asks for several.",
                fix="Leave it out; --set TASK.NAME=VALUE changes a setting of one task, --set NAME=VALUE of all.",
            )


def choose_multitask(choice: str | None, tasks: str | None, model: str | None) -> Multitask:
    """The settings that were asked for: a file or a preset; without either the preset of the model."""
    names = None if tasks is None else [name.strip() for name in tasks.split(",") if name.strip()]
    if choice is not None or model is None:
        return load_multitask(choice or DEFAULT_PRESET, tasks=names)
    fitting = (preset for preset in multitask_presets() if load_multitask(preset).tasks[0].model.name == model)
    return load_multitask(next(fitting, DEFAULT_PRESET), tasks=names)


def run_strategies(multitask: Multitask, strategy: str, *, places: Places, document: Path | None, as_json: bool) -> int:
    """Run a strategy, or all, write the folder, print what came of it; returns the exit code."""
    from harness.strategies.lines import choose_line, list_lines

    lines = list_lines() if strategy == ALL else (choose_line(strategy),)
    quiet_libraries()
    from rich.console import Console

    from harness.report.folder import require_writable
    from harness.report.several import require_place, write_tables
    from harness.report.strategies.facts import describe_study
    from harness.report.strategies.folder import write_study
    from harness.report.strategies.tables import tabulate_study
    from harness.report.strategies.terminal import print_study
    from harness.strategies.study import run_study

    if document is not None:
        require_place(document)
    require_writable(places.runs, multitask.name)
    with places.open_unfinished(multitask.name) as unfinished:
        study = run_study(multitask, lines, unfinished=unfinished, say=lambda line: say(line, err=True))
        folder = write_study(study, places.runs)
        unfinished.forget()
    facts = describe_study(study)
    if as_json:
        say(json.dumps({**facts, "folder": str(folder)}, indent=2, ensure_ascii=False))
    else:
        print_study(facts, Console())
    if document is not None:
        write_tables(tabulate_study(facts), document)
    say(f"Written to {folder}", err=True)
    return study.exit_code
