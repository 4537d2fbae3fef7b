"""An arm: one model scored on one set of rows, with its manifest, its outputs and its scores of every row."""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, SkipValidation, ValidationError, model_validator

from harness.config import Settings
from harness.errors import BaselineError
from harness.fingerprint import hash_file, hash_json, hash_list
from harness.spool import Spool
from harness.views import VIEWS

MANIFEST_FILE = "manifest.json"
ROWS_FILE = "rows.jsonl"
SCORE_DIGITS = 4
"""Scores are kept to this many decimals, so that an arm in memory equals the same arm read from disk."""

TOLERANCE = 1e-3
"""How far the mean of rounded row scores may lie from the rounded mean."""

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
    inputs_cut: int = 0
    """How many evaluation rows were longer than the model may read."""
    rows: str
    """SHA-256 over the ids and contents of the evaluated rows, in order."""
    train_rows: str | None = None
    """The same over the training rows; nothing for the base."""
    data: dict[str, Any] = Field(default_factory=dict)
    """The data settings: source, columns, numbers of rows, seed."""
    encoding: dict[str, bool | int | str]
    generation: dict[str, int | float | str | bool | list[int] | None]
    """The resolved generation settings, engine included."""
    engine: dict[str, str] = Field(default_factory=dict)
    """How the engine was chosen, where the settings left that open: each engine's name to what was found of it."""
    metrics: dict[str, str]
    """Each metric's signature: what it is, its version and its options."""
    lower_is_better: tuple[str, ...] = Field((), strict=False)
    """The metrics of which less is better."""
    relative: tuple[str, ...] = Field((), strict=False)
    """The metrics that know no percent points: of these a point of difference is a percent of the score."""
    training: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, str]
    scores: dict[str, float]
    """Mean over the rows, in the metric's unit: percent points, but for perplexity."""

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
    """One model scored on one set of rows, which may be on disk."""

    manifest: Manifest
    rows: Annotated[Sequence[ScoredRow], SkipValidation]

    @model_validator(mode="after")
    def _rows_are_those_of_the_manifest(self) -> Self:
        totals = dict.fromkeys(self.manifest.metrics, 0.0)

        def look() -> Iterator[tuple[str, str]]:
            for row in self.rows:
                for metric in totals:
                    totals[metric] += row.scores.get(metric, math.nan)
                yield row.id, row.hash

        if hash_ids(look()) != self.manifest.rows:
            raise ValueError("its rows are not those that the manifest names")
        for metric, total in totals.items():
            mean = round(total / max(len(self.rows), 1), SCORE_DIGITS)
            stated = self.manifest.scores.get(metric, math.nan)
            if not abs(mean - stated) < TOLERANCE:
                raise ValueError(f"the mean of its rows' {metric} is {mean}, and the manifest says {stated}")
        return self

    @property
    def outputs_hash(self) -> str:
        """SHA-256 over all outputs, in order."""
        return hash_list(row.output for row in self.rows)

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        return VIEWS["arm"](self)

    def score_matrix(self, metrics: tuple[str, ...]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """Scores as (rows, metrics) float64."""
        scores = (row.scores[metric] for row in self.rows for metric in metrics)
        return np.fromiter(scores, np.float64, len(self.rows) * len(metrics)).reshape(len(self.rows), len(metrics))

    def write(self, folder: Path) -> None:
        """Write the arm into a folder as sorted JSON and JSON lines, one row a line."""
        folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with (folder / ROWS_FILE).open("wb") as file:
            for row in self.rows:
                line = json.dumps(row.model_dump(), sort_keys=True, ensure_ascii=False).encode() + b"\n"
                digest.update(line)
                file.write(line)
        content = {"manifest": self.manifest.model_dump(), "rows_sha256": digest.hexdigest()}
        content["sha256"] = hash_json(content)
        text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / MANIFEST_FILE).write_text(text, encoding="utf-8", newline="\n")

    @classmethod
    def read(cls, folder: Path) -> Arm:
        """Read an arm that `write` wrote.

        Raises:
            BaselineError: a file is missing, damaged, or was edited; the message names it.
        """
        manifest_path, rows_path = folder / MANIFEST_FILE, folder / ROWS_FILE
        content = _read_json(manifest_path)
        try:
            _require_file(rows_path)
            rows_hash = hash_file(rows_path)
        except OSError as error:
            raise _unreadable(rows_path, error) from None
        _require(content.pop("sha256", None) == hash_json(content), manifest_path)
        _require(content.get("rows_sha256") == rows_hash, rows_path)
        try:
            with rows_path.open("rb") as lines:
                rows = Spool(ScoredRow.model_validate_json(line) for line in lines)
            return cls(manifest=Manifest.model_validate(content["manifest"]), rows=rows)
        except (ValidationError, KeyError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "the manifest is missing"
            raise BaselineError(
                f"{folder} is no whole arm: {reason}.",
                why="It was edited, or written by another version of the harness.",
                fix="Restore it from git, or accept a new run in its place.",
            ) from error


def hash_ids(rows: Iterable[tuple[str, str]]) -> str:
    """SHA-256 over the (id, content hash) of rows, in order."""
    return hash_list(rows)


def mean_score(values: Sequence[float]) -> float:
    """The mean over rows, as a manifest keeps it; 0 where there are no rows."""
    return round(sum(values) / len(values), SCORE_DIGITS) if values else 0.0


def _read_text(path: Path) -> str:
    try:
        _require_file(path)
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _require_file(path: Path) -> None:
    """A pipe or a device may have no end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("it is no file")


def _unreadable(path: Path, error: Exception) -> BaselineError:
    seen = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
    return BaselineError(f"{path} {seen}.", fix="Restore it from git, or accept a new run.")


def _read_json(path: Path) -> dict[str, object]:
    try:
        content = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
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
