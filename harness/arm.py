"""An arm: one model scored on one set of rows, with its manifest, its outputs and its scores of every row."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from harness.config import Settings
from harness.errors import BaselineError
from harness.fingerprint import hash_json, hash_text

MANIFEST_FILE = "manifest.json"
ROWS_FILE = "rows.jsonl"
SCORE_DIGITS = 4
"""Scores are kept to this many decimals, so that an arm in memory equals the same arm read from disk."""

Role = Literal["base", "tuned"]


class ModelIdentity(Settings):
    """Which weights made the outputs."""

    name: str
    weights: str
    """SHA-256 over all parameters and buffers."""
    tensors: int
    parameters: int
    tokenizer: str
    """SHA-256 of the tokenizer's vocabulary and rules."""


class Manifest(Settings):
    """What made an arm. Two arms can be compared where ``comparable`` is equal."""

    experiment: str
    role: Role
    task: str
    method: str | None = None
    """How the weights were changed; nothing for the base."""
    model: ModelIdentity
    rows: str
    """SHA-256 over the ids and contents of the evaluated rows, in order."""
    train_rows: str | None = None
    """The same over the training rows; nothing for the base."""
    data: dict[str, Any] = Field(default_factory=dict)
    """The data settings: source, columns, numbers of rows, seed."""
    encoding: dict[str, int | str]
    generation: dict[str, int | float | str | bool | None]
    """The resolved generation settings, engine included."""
    metrics: dict[str, str]
    """Each metric's signature: what it is, its version and its options."""
    training: dict[str, int | float | str | bool] = Field(default_factory=dict)
    environment: dict[str, str]
    scores: dict[str, float]
    """Mean over the rows, in the metric's unit (percent points for ROUGE)."""

    @property
    def comparable(self) -> dict[str, object]:
        """What must be equal for a comparison to mean anything."""
        return {
            "rows": self.rows,
            "encoding": self.encoding,
            "generation settings": self.generation,
            "metric signatures": self.metrics,
        }


class ScoredRow(Settings):
    """One row's output and its scores."""

    id: str
    hash: str
    """SHA-256 of the row's content: input, target and references."""
    output: str
    scores: dict[str, float]


class Arm(Settings):
    """One model scored on one set of rows."""

    manifest: Manifest
    rows: tuple[ScoredRow, ...]

    @property
    def outputs_hash(self) -> str:
        """SHA-256 over all outputs, in order."""
        return hash_json([row.output for row in self.rows])

    def score_matrix(self, metrics: tuple[str, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Scores as (rows, metrics) float64."""
        return np.array([[row.scores[metric] for metric in metrics] for row in self.rows], dtype=np.float64)

    def write(self, folder: Path) -> None:
        """Write the arm as sorted JSON and JSON lines, one row a line; the folder is replaced as a whole."""
        lines = "".join(_dump_line(row.model_dump()) for row in self.rows)
        content = {"manifest": self.manifest.model_dump(), "rows_sha256": hash_text(lines)}
        content["sha256"] = hash_json(content)
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = folder.with_name(f".{folder.name}.{os.getpid()}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        (fresh / ROWS_FILE).write_text(lines, encoding="utf-8", newline="\n")
        (fresh / MANIFEST_FILE).write_text(
            json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n"
        )
        _swap(fresh, folder)

    @classmethod
    def read(cls, folder: Path) -> Arm:
        """Read an arm that `write` wrote.

        Raises:
            BaselineError: a file is missing, damaged, or was edited; the message names it.
        """
        manifest_path, rows_path = folder / MANIFEST_FILE, folder / ROWS_FILE
        content = _read_json(manifest_path)
        lines = _read_text(rows_path)
        _require(content.pop("sha256", None) == hash_json(content), manifest_path)
        _require(content.get("rows_sha256") == hash_text(lines), rows_path)
        try:
            rows = tuple(ScoredRow.model_validate_json(line) for line in lines.split("\n")[:-1])
            return cls(manifest=Manifest.model_validate(content["manifest"]), rows=rows)
        except (ValidationError, KeyError) as error:
            raise BaselineError(
                f"{folder} was written by another version of the harness.", fix="Accept a new run in its place."
            ) from error


def _dump_line(row: Mapping[str, object]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n"


def _swap(fresh: Path, folder: Path) -> None:
    """Put ``fresh`` where ``folder`` is."""
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise BaselineError(f"{path} is missing.", fix="Restore it from git, or accept a new run.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(
            f"{path} cannot be read: {error}.", fix="Restore it from git, or accept a new run."
        ) from error


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise BaselineError(f"{path} is damaged: {error}.", fix="Restore it from git, or accept a new run.") from error
    _require(isinstance(content, dict), path)
    return dict(content)


def _require(intact: bool, path: Path) -> None:  # noqa: FBT001 - a condition, not an option
    if not intact:
        raise BaselineError(
            f"{path} does not match its own hash: it was edited or cut short.",
            why="A baseline that anybody can change proves nothing.",
            fix="Restore it from git, or accept a new run.",
        )
