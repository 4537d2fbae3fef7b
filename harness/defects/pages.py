"""The matrix as JSON, as a table for the README, as an HTML page with a heat map, and what each check caught."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from harness.defects.matrix import Matrix

MARKS = {"passed": "·", "failed": "■", "error": "!", "skipped": ""}
MEANINGS = {
    "failed": "the check failed: it saw the defect",
    "passed": "the check passed",
    "error": "a part of the pipeline raised",
    "skipped": "the check does not apply",
}


def write_pages(matrix: Matrix, folder: Path) -> None:
    """Write ``matrix.json``, ``matrix.md``, ``matrix.html`` and ``caught.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    content = matrix.as_json()
    _write(folder / "matrix.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    _write(folder / "matrix.md", write_table(content))
    _write(folder / "matrix.html", write_heat_map(content))
    _write(folder / "caught.json", json.dumps(list_caught(content), indent=1) + "\n")


def list_caught(content: dict[str, Any]) -> dict[str, list[str]]:
    """For each check the defects on which it fails."""
    return {
        check: [entry["name"] for entry in content["defects"] if check in entry["caught_by"]]
        for check in content["checks"]
    }


def write_table(content: dict[str, Any]) -> str:
    """Caught and named by stage, as a Markdown table, and what is missing."""
    stages = list(dict.fromkeys(entry["stage"] for entry in content["defects"]))
    lines = ["| stage | defects | caught | named in the first three |", "|---|---:|---:|---:|"]
    for stage in stages:
        of_stage = [entry for entry in content["defects"] if entry["stage"] == stage]
        caught, named = (sum(entry[name] for entry in of_stage) for name in ("caught", "named"))
        lines.append(f"| {stage} | {len(of_stage)} | {caught} | {named} |")
    lines.append(f"| **all** | **{content['total']}** | **{content['caught']}** | **{content['named']}** |")
    alarms = f"False alarms on {content['clean_audits']} clean pipelines: {content['false_alarms']}."
    missing = [f"Not reproduced: {name}, because {reason}" for name, reason in content["not_reproduced"].items()]
    return "\n".join([*lines, "", alarms, *missing]) + "\n"


def write_heat_map(content: dict[str, Any]) -> str:
    """The matrix as a page of its own that needs no network; every text in it is escaped."""
    pages = Environment(loader=PackageLoader("harness.defects"), autoescape=True, trim_blocks=True)
    used = [name for name in content["checks"] if any(_applies(entry, name) for entry in content["defects"])]
    stages: dict[str, list[dict[str, Any]]] = {}
    for entry in content["defects"]:
        stages.setdefault(entry["stage"], []).append(entry)
    return pages.get_template("matrix.html").render(
        matrix=content, stages=stages, checks=used, marks=MARKS, meanings=MEANINGS
    )


def _applies(entry: dict[str, Any], check: str) -> bool:
    return bool(entry["results"].get(check, "skipped") != "skipped")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
