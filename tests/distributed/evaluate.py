"""Runs some experiments, on however many processes it is started, and writes the arms of each into a folder.

Usage: evaluate.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import harness
from harness import processes

SMALL: dict[str, object] = {
    "data.train_rows": 8,
    "training.epochs": 1,
    "training.batch_size": 6,
    "generation.batch_size": 4,
}
ASKED = {"method": "prompt", "prompt.shots": 1}
"""No weight changes, so that the tuned arm has to be the same as well."""
CASES: dict[str, tuple[str, dict[str, object]]] = {
    "texts": ("summarization-full", {**ASKED, "data.eval_rows": 13, "generation.num_beams": 2}),
    "tokens": ("summarization-full", {**ASKED, "data.eval_rows": 13, "generation.batch_tokens": 600}),
    "one-row": ("summarization-full", {**ASKED, "data.eval_rows": 1}),
    "labels": (
        "sentiment-full",
        {"model.name": "tiny-t5", **ASKED, "data.eval_rows": 13, "prompt.answer": "likeliest"},
    ),
    "tags": ("ner-full", {"data.eval_rows": 13}),
    "spans": ("question-answering-full", {"data.eval_rows": 13}),
    "classes": ("sentiment-full", {"data.eval_rows": 13}),
}


def main(folder: Path) -> None:
    """Run each case."""
    for case, (preset, changes) in CASES.items():
        experiment = harness.load_experiment(preset).override({**SMALL, **changes})
        done = harness.run(experiment, baselines=folder / "none")
        if processes.is_first():
            done.base.write(folder / case / "base")
            done.tuned.write(folder / case / "tuned")
    processes.part()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
