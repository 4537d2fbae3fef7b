"""A study on disk: ``runs/NAME/<time>-<hash>/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from harness.fingerprint import hash_json
from harness.report.account import write_text
from harness.report.folder import keep_out_of_git, name_folder, new_run
from harness.report.strategies.facts import describe_study
from harness.report.strategies.markdown import write_study as write_markdown

if TYPE_CHECKING:
    from harness.strategies.study import Study


def write_study(study: Study, runs: Path) -> Path:
    """Write facts, settings, every arm, the losses and the reports; the folder appears as a whole or not at all.

    Returns:
        The new folder.
    """
    from harness.report.strategies.html import write_html  # noqa: PLC0415 - matplotlib is slow to import

    facts = describe_study(study)
    outputs = [
        arm.outputs_hash
        for run in study.runs.values()
        for stages in run.repeats
        for stage in stages
        for arm in stage.arms.values()
    ]
    folder = name_folder(runs / study.multitask.name, hash_json(outputs))
    settings = study.multitask.model_dump_json(indent=2) + "\n"
    with new_run(runs, folder) as fresh:
        write_text(fresh / "study.json", json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
        write_text(fresh / "settings.json", settings)
        write_text(fresh / "report.md", write_markdown(facts))
        write_text(fresh / "report.html", write_html(facts, settings))
        for name, run in study.runs.items():
            for seed, stages in zip(facts["seeds"], run.repeats, strict=True):
                for number, stage in enumerate(stages):
                    place = fresh / name / f"seed-{seed}" / f"stage-{number}"
                    for task, arm in stage.arms.items():
                        arm.write(place / task)
                    losses = "".join(f"{loss!r}\n" for loss in stage.losses)
                    write_text(place / "losses.txt", losses)
    keep_out_of_git(runs)
    return folder
