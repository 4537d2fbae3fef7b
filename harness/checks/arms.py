"""The two arms of a comparison differ in what was declared, the model, and in nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence
from harness.fingerprint import hash_text

LONG_AGO = 1_000_000_000
"""A file's time that no later write would leave in place, in seconds since 1970."""
PROBES = (
    ("The runner ran past the running river.", "Runners run past rivers that run."),
    ("It was the LAST day of MAY.", "it was the last day of may."),
    ("State-of-the-art, isn't it?", "state of the art isn't it"),
    ("Two cats sat here.", "Two cats sat here."),
    ("Nothing in common", "quite another text"),
)
"""References and outputs: words that differ in their endings, in case, in punctuation, not at all, and wholly."""


@check("I9", "comparison", needs=("comparison.arms",))
def arms_are_scored_on_the_same_rows(evidence: Evidence) -> str:
    """Both arms have the same rows in the same order, the same inputs and the same references."""
    base, tuned = arms(evidence)
    compared = []
    for name, suspects, remedy in (
        ("ids", ("different-eval-slice-per-arm", "eval-rows-silently-dropped"), "Score both arms on one list of rows."),
        (
            "inputs",
            ("missing-task-prefix", "train-inference-prompt-skew", "different-eval-slice-per-arm"),
            "Build the prompts of both arms by one function.",
        ),
        (
            "references",
            ("unpinned-dataset-revision", "stale-hub-or-file-cache", "different-eval-slice-per-arm"),
            "Pin the revision of the data, and store its hash with the scores.",
        ),
    ):
        if name not in base or name not in tuned:
            continue
        ours, theirs = list(tuned[name]), list(base[name])
        if ours != theirs:
            _report_rows(name, theirs, ours, suspects, remedy)
        compared.append(f"{len(ours)} {name}")
    lengths = {f"{role} {name}": len(arm[name]) for role, arm in (("base", base), ("tuned", tuned)) for name in
               ("ids", "inputs", "references", "outputs") if name in arm}  # fmt: skip
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise CheckFailed(
            f"The arms do not hold one entry a row: {listed}.",
            suspects=("eval-rows-silently-dropped", "different-eval-slice-per-arm", "empty-predictions-skipped"),
            remedy="Keep a row whose output is empty or failed, and score it as a miss.",
        )
    if not compared:
        raise CheckSkipped("the arms hold no ids, inputs or references")
    return f"equal in both arms: {', '.join(compared)}"


@check("I12", "comparison", needs=("comparison.arms",))
def arms_are_decoded_alike(evidence: Evidence) -> str:
    """Both arms were generated and cleaned up with the same settings."""
    base, tuned = arms(evidence)
    ours, theirs = dict(tuned.get("generation", {})), dict(base.get("generation", {}))
    different = [
        f"{name} {theirs.get(name)} against {ours.get(name)}"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    seen = [f"{len(ours)} generation settings"] if ours or theirs else []
    if evidence.has("comparison.postprocess") or evidence.has("comparison.base_postprocess"):
        texts = [text for pair in PROBES for text in pair] + [" ".join(["word"] * 300), "One.\nTwo.\n\nThree.", "  x  "]
        texts += [*map(str, base.get("outputs", ())), *map(str, tuned.get("outputs", ()))]
        apart = [
            text
            for text in texts
            if _clean(evidence, "base_postprocess", text) != _clean(evidence, "postprocess", text)
        ]
        if apart:
            before, after = (_clean(evidence, name, apart[0]) for name in ("base_postprocess", "postprocess"))
            different.append(
                f"post-processing makes {before[:40]!r} of {apart[0][:40]!r} for base, {after[:40]!r} for tuned"
            )
        seen.append(f"post-processing of {len(texts)} texts")
    if different:
        raise CheckFailed(
            f"The arms are decoded in different ways: {'; '.join(different)}.",
            suspects=("different-decoding-per-arm", "sampling-leaks-into-eval", "eval-generation-length-default-20"),
            remedy="Resolve the generation settings once, and generate and clean up both arms with them.",
        )
    if not seen:
        raise CheckSkipped("the arms hold no generation settings, and no post-processing is given")
    return f"equal in both arms: {', '.join(seen)}"


@check("I12", "comparison", needs=("comparison.arms",))
def arms_are_scored_by_the_same_metric(evidence: Evidence) -> str:
    """Both arms were scored by one metric with the same options."""
    base, tuned = arms(evidence)
    signatures = dict(base.get("signatures", {})), dict(tuned.get("signatures", {}))
    apart: list[str] = []
    if evidence.has("comparison.base_metric") and evidence.has("metric"):
        for meant, said in PROBES:
            theirs = evidence.score("comparison.base_metric", [said, said], [meant, meant])
            ours = evidence.score("metric", [said, said], [meant, meant])
            moved = [
                name for name in theirs if name in ours and not math.isclose(theirs[name], ours[name], abs_tol=1e-9)
            ]
            if moved:
                name = moved[0]
                apart.append(
                    f"{name} of {said!r} against {meant!r}: {theirs[name]:.4g} for base, {ours[name]:.4g} for tuned"
                )
        suspects = _name_metric_difference(apart)
    elif signatures == ({}, {}):
        raise CheckSkipped("the arms hold no metric signatures, and no base_metric is given")
    if signatures[0] != signatures[1]:
        apart.append(f"signatures {signatures[0]} against {signatures[1]}")
        suspects = _name_metric_difference(apart)
    if apart:
        raise CheckFailed(
            f"The arms are scored in different ways: {'; '.join(apart)}.",
            suspects=suspects,
            remedy="Score both arms by one function, and store its signature (name, version, options) with the scores.",
        )
    return "one metric for both arms"


@check("I2", "comparison", needs=("comparison.arms",))
def reported_scores_are_those_of_the_outputs(evidence: Evidence) -> str:
    """What is reported for an arm is the mean of its rows, or the metric of its outputs, in the declared unit."""
    found = 0
    declared = evidence.declared("metric_range")
    for role, arm in zip(("base", "tuned"), arms(evidence), strict=True):
        for name, value in dict(arm.get("reported", {})).items():
            expected = _recompute(evidence, arm, name)
            if expected is not None and not math.isclose(value, expected, rel_tol=1e-3, abs_tol=1e-3):
                factor = value / expected if expected else math.nan
                unit = 50 < factor < 200 or 50 < 1 / (factor or 1) < 200  # noqa: PLR2004 - the two units differ by 100
                suspects = ("different-eval-slice-per-arm", "rouge-bootstrap-not-mean", "best-of-n-seeds-reported")
                raise CheckFailed(
                    f"For {role} {name} is reported as {value:.4g}; its outputs score {expected:.4g}.",
                    suspects=("unit-mismatch-percent-fraction", *suspects[:2]) if unit else suspects,
                    remedy="Report what the stored rows score, in one unit; percent points are usual.",
                )
            if declared is not None and not declared[0] <= value <= declared[1]:
                raise CheckFailed(
                    f"For {role} {name} is reported as {value:.4g}, outside of the declared {declared[0]:g} to "
                    f"{declared[1]:g}.",
                    suspects=("unit-mismatch-percent-fraction",),
                    remedy="Report every metric in one unit, and declare its range.",
                )
            found += 1
    found += _check_thresholds(evidence, declared)
    if not found:
        raise CheckSkipped("the arms report no scores, and no threshold is given")
    return f"{found} numbers in their unit"


@check("I12", "comparison", needs=("comparison.arms",))
def arms_are_two_models(evidence: Evidence) -> str:
    """Base and tuned say something different in at least one row."""
    base, tuned = arms(evidence)
    if not base.get("outputs") or not tuned.get("outputs"):
        raise CheckSkipped("the arms hold no outputs")
    same = sum(one == other for one, other in zip(base["outputs"], tuned["outputs"], strict=False))
    if same == len(base["outputs"]) == len(tuned["outputs"]):
        raise CheckFailed(
            f"All {same} outputs of base and tuned are equal, so every difference is exactly 0.",
            suspects=("base-model-mutated-in-place", "adapter-keys-silently-ignored", "adapter-still-on-for-baseline"),
            remedy="Load a fresh base for its scores; a trainer or an adapter changes the object that it is given.",
        )
    return f"{len(base['outputs']) - same} of {len(base['outputs'])} outputs differ"


@check("I12", "comparison", needs=("comparison.evaluate",))
def evaluation_leaves_the_baseline_alone(evidence: Evidence) -> str:
    """Evaluating against a stored baseline does not write to it."""
    import os  # noqa: PLC0415 - for the times of files alone

    with TemporaryDirectory(prefix="harness-") as name:
        folder = Path(name)
        evidence.call("comparison.evaluate", folder)
        before = {path: hash_text(path.read_bytes().hex()) for path in sorted(folder.rglob("*")) if path.is_file()}
        if not before:
            raise CheckSkipped("evaluate stores no baseline in an empty folder")
        for path in before:
            os.utime(path, (LONG_AGO, LONG_AGO))
        evidence.call("comparison.evaluate", folder)
        changed = [
            path.relative_to(folder)
            for path, content in before.items()
            if not path.is_file() or hash_text(path.read_bytes().hex()) != content or path.stat().st_mtime != LONG_AGO
        ]
    if changed:
        raise CheckFailed(
            f"A second evaluation wrote {len(changed)} of the {len(before)} files that the first one had stored: "
            f"{', '.join(map(str, changed[:3]))}.",
            suspects=("baseline-silently-refreshed",),
            remedy="Write a baseline in a step of its own that a person asks for, and keep it in version control.",
        )
    return f"{len(before)} stored files untouched by a second evaluation"


def arms(evidence: Evidence) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Base and tuned, as the user holds them.

    Raises:
        PartError: they are no mappings with the keys "base" and "tuned".
    """

    def make() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        found = evidence.call("comparison.arms")
        if not isinstance(found, Mapping) or not {"base", "tuned"} <= set(found):
            raise PartError('arms should return a mapping with "base" and "tuned", each a mapping.')
        return found["base"], found["tuned"]

    return evidence.remember("arms", make)


def _report_rows(name: str, theirs: Sequence[Any], ours: Sequence[Any], suspects: tuple[str, ...], remedy: str) -> None:
    """Say how two lists differ that should be equal."""
    shared = len(set(map(str, ours)) & set(map(str, theirs)))
    counts = f"base has {len(theirs)}, tuned {len(ours)}, {shared} are in both"
    if name == "ids" and set(map(str, ours)) < set(map(str, theirs)):
        suspects = suspects[::-1]
    place = next((row for row, (one, other) in enumerate(zip(theirs, ours, strict=False)) if one != other), len(ours))
    example = (
        f"; first in row {place}: {str(theirs[place])[:60]!r} against {str(ours[place])[:60]!r}"
        if place < min(len(ours), len(theirs))
        else ""
    )
    raise CheckFailed(f"The arms differ in their {name}: {counts}{example}.", suspects=suspects, remedy=remedy)


def _clean(evidence: Evidence, name: str, text: str) -> str:
    return str(evidence.call(f"comparison.{name}", text)) if evidence.has(f"comparison.{name}") else text


def _name_metric_difference(apart: Sequence[str]) -> tuple[str, ...]:
    """Stems alone, or also case and punctuation."""
    text = " ".join(apart).lower()
    stems = "stem" in text or (len(apart) == 1 and PROBES[0][1].lower() in text)
    names = ("rouge-stemmer-differs", "bleu-tokenisation-mismatch")
    rouge_only = "rouge" in text and "bleu" not in text
    return names if stems or rouge_only else names[::-1]


def _recompute(evidence: Evidence, arm: Mapping[str, Any], name: str) -> float | None:
    """An arm's score from its rows, or from its outputs; nothing where neither is possible."""
    if evidence.has("metric") and arm.get("outputs") and arm.get("references"):
        found = evidence.score("metric", arm["outputs"], arm["references"])
        if name in found:
            return found[name]
    rows = dict(arm.get("scores", {})).get(name)
    return sum(rows) / len(rows) if rows else None


def _check_thresholds(evidence: Evidence, declared: tuple[float, float] | None) -> int:
    """A threshold must be of the size of what it is compared with."""
    if not evidence.has("comparison.threshold") or declared is None:
        return 0
    thresholds: Mapping[str, float] = evidence.part("comparison.threshold")
    low, high = declared
    for name, value in thresholds.items():
        share = (abs(value) - low) / (high - low)
        if share > 1 or 0 < share < 0.01:  # noqa: PLR2004 - the two units differ by a factor of 100
            raise CheckFailed(
                f"The threshold for {name} is {value:g}, and the metric goes from {low:g} to {high:g}: the gate would "
                f"{'never' if share > 1 else 'always'} be passed.",
                suspects=("unit-mismatch-percent-fraction",),
                remedy="Write thresholds in the unit of the metric.",
            )
    return len(thresholds)
