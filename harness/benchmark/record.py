"""A session of measurements: as JSON, stored a device, and judged against what is stored."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.atomic import write_whole
from harness.baselines.store import BENCHMARKS
from harness.benchmark.measure import Timed
from harness.errors import BaselineError
from harness.fingerprint import describe_environment
from harness.gate import EXIT_CODES
from harness.generation import REFERENCE
from harness.requirements import Status
from harness.statistics.median import describe_median

ALLOWANCE = 0.2
"""A ratio may fall by this share of the stored one."""

Record = dict[str, Any]


def make_record(model: str, timed: Sequence[Timed], bandwidth: float) -> Record:
    """A session with its medians and intervals; seconds, bytes, and shares from 0 to 1.

    Args:
        model: its name.
        timed: what was measured.
        bandwidth: bytes a second, see `measure_bandwidth`.
    """
    return {
        "model": model,
        "environment": describe_environment(),
        "bandwidth": bandwidth,
        "results": [_describe(each, bandwidth) for each in timed],
    }


def _describe(timed: Timed, bandwidth: float) -> Record:
    rounds = len(timed.seconds)
    rates = {
        "tokens_per_second": [timed.tokens / seconds for seconds in timed.seconds],
        "rows_per_second": [timed.case.batch / seconds for seconds in timed.seconds],
        "seconds_to_first_token": timed.first,
        "ratio": timed.ratios,
    }
    return {
        "engine": timed.engine,
        **asdict(timed.case),
        "rounds": rounds,
        **{name: asdict(describe_median(values)) for name, values in rates.items()},
        "seconds_per_step": asdict(timed.step_seconds),
        "share_of_roofline": timed.share_of_roofline(bandwidth),
        "peak_bytes": timed.peak,
        "rows_equal": timed.equal,
    }


def place(baselines: Path, record: Record) -> Path:
    """The file of a record's model and device."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", f"{record['model']} {record['environment']['device']}").strip("-").lower()
    return baselines / BENCHMARKS / f"{plain}.json"


def store(baselines: Path, record: Record) -> Path:
    """Write a record as the one that later sessions are judged against."""
    path = place(baselines, record)
    write_whole(path, (json.dumps(record, indent=2, sort_keys=True) + "\n").encode())
    return path


def read_record(path: Path) -> Record:
    """A stored record.

    Raises:
        BaselineError: it cannot be read, or is none.
    """
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        for entry in record["results"]:
            _key(entry)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BaselineError(
            f"{path} is no stored benchmark: {type(error).__name__}: {error}.", fix="Restore it from git."
        ) from error
    return record


def judge(baselines: Path, record: Record) -> tuple[Status, list[str]]:
    """Whether each engine is still as many times faster than the reference as it was, on this device.

    Only ratios are judged, each of two engines in one session: seconds of two sessions are never compared.

    Raises:
        BaselineError: the stored record cannot be read.
    """
    path = place(baselines, record)
    if not path.is_file():
        return Status.NOT_COMPARABLE, [f"not comparable: no benchmark is stored for this model and device ({path})"]
    stored = {_key(entry): entry for entry in read_record(path)["results"]}
    statuses, lines = [Status.HOLDS], []
    for entry in record["results"]:
        if entry["engine"] == REFERENCE:
            continue
        before = stored.get(_key(entry))
        status, line = _judge_entry(entry, before)
        statuses.append(status)
        lines.append(f"{entry['engine']}, batch {entry['batch']}, {entry['beams']} beams: {line}")
    if not lines:
        return Status.NOT_COMPARABLE, ["not comparable: only the reference was measured"]
    return min(statuses, key=list(EXIT_CODES).index), lines


def _judge_entry(entry: Record, before: Record | None) -> tuple[Status, str]:
    ratio = entry["ratio"]
    if before is None:
        return (
            Status.NOT_COMPARABLE,
            "not comparable: this case is not stored for this model and device; --store keeps it",
        )
    least = before["ratio"]["median"] * (1 - ALLOWANCE)
    said = f"{ratio['median']:.2f} times the reference, stored {before['ratio']['median']:.2f}"
    if ratio["median"] >= least:
        return Status.HOLDS, said
    if ratio["high"] >= least:
        return Status.UNDECIDED, f"{said}; undecided, the interval reaches {ratio['high']:.2f}"
    return Status.FAILS, f"{said}; slower, the least allowed is {least:.2f}"


def _key(entry: Record) -> tuple[object, ...]:
    return tuple(entry[name] for name in ("engine", "batch", "beams", "dtype", "source_length", "new_tokens"))
