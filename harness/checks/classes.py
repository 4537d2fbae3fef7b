"""Do the names of classes mean the same to the data and to the model?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence, Row
from harness.tasks.class_labels import pair_names
from harness.tasks.task import IGNORE_INDEX

EPOCHS = 16
LEARNED = 0.75
"""Where a renaming of the classes gives this accuracy, the classes were learned."""
ROWS = 64


@check("I11", "labels", needs=("encode", "make_model"))
def class_ids_have_the_models_names(evidence: Evidence) -> str:
    """The id that a row's class is encoded as has that very name in the model's config."""
    names = {int(index): str(name) for index, name in _config_names(evidence).items()}
    rows = evidence.rows(ROWS)
    seen: Counter[tuple[str, str]] = Counter()
    for row, feature in zip(rows, evidence.features(rows), strict=True):
        meant = _class_names(evidence, row)
        labels = feature.get("labels", feature.get("label"))
        found: list[Any] = labels if isinstance(labels, list) else [labels]
        found = [label for label in found if label != IGNORE_INDEX]
        if len(found) != len(meant) or not all(isinstance(label, int) for label in found):
            raise CheckSkipped("rows do not have one id for each of their classes")
        seen += pair_names(meant, [int(label) for label in found], names)
    wrong = Counter({pair: count for pair, count in seen.items() if pair[0] != pair[1]})
    if wrong:
        (meant_name, config_name), count = wrong.most_common(1)[0]
        raise CheckFailed(
            f"{wrong.total()} of {seen.total()} labels have another name in the model's config: "
            f'"{meant_name}" is "{config_name}" there, {count} times.',
            suspects=("label-id-order-mismatch",),
            remedy="Build id2label from the data's own list of names, or align_labels_with_mapping.",
        )
    return f"{seen.total()} labels, {len(seen)} classes"


@check("I11", "labels", needs=("encode", "make_model", "train", "classify"))
def what_was_learned_is_named_right(evidence: Evidence) -> str:
    """After training on a set that anything can separate, the classes are called by their own names."""
    rows = _separable_rows(evidence)
    tuned = evidence.train(evidence.model(), rows, epochs=EPOCHS, seed=evidence.seed)
    meant = [evidence.column(row, "target") for row in rows]
    said = evidence.call("classify", tuned, rows)
    if not isinstance(said, Sequence) or len(said) != len(rows):
        raise PartError(f"classify returned a {type(said).__name__}; expected {len(rows)} names of classes.")
    right = sum(name == target for name, target in zip(said, meant, strict=True)) / len(rows)
    renaming = best_renaming(said, meant)
    renamed = sum(renaming.get(name) == target for name, target in zip(said, meant, strict=True)) / len(rows)
    if renamed < LEARNED:
        raise CheckSkipped(f"training on {len(rows)} rows did not teach the classes")
    if right < renamed:
        moved = next((name, target) for name, target in renaming.items() if name != target)
        raise CheckFailed(
            f"After training {100 * right:.0f} % of {len(rows)} rows are named right, and {100 * renamed:.0f} % after "
            f'renaming the classes: what is called "{moved[0]}" is "{moved[1]}".',
            suspects=("label-id-order-mismatch", "label-verbaliser-token-collision"),
            remedy="Take the names of the outputs from the list that made the labels.",
        )
    return f"{100 * right:.0f} % of {len(rows)} rows named right"


def best_renaming(said: Sequence[Any], meant: Sequence[Any]) -> dict[Any, Any]:
    """Which class each name stands for, one to one: the commonest pairs first."""
    renaming: dict[Any, Any] = {}
    for (name, target), _ in Counter(zip(said, meant, strict=True)).most_common():
        if name not in renaming and target not in renaming.values():
            renaming[name] = target
    return renaming


def _config_names(evidence: Evidence) -> Mapping[Any, Any]:
    """The model's names of its classes."""
    names: Mapping[Any, Any] = getattr(getattr(evidence.model(), "config", None), "id2label", None) or {}
    if evidence.writes_text(evidence.model()):
        raise CheckSkipped("the model writes text and has no classes")
    if not names or all(str(name).startswith("LABEL_") for name in names.values()):
        raise CheckSkipped("the model's config does not name its classes")
    return names


def _class_names(evidence: Evidence, row: Row) -> list[str]:
    """The names of a row's class, or of its tags."""
    target = evidence.column(row, "target")
    declared = evidence.declared("labels")
    found = list(target) if isinstance(target, list | tuple) else [target]
    if declared and all(isinstance(entry, int) for entry in found):
        found = [declared[entry] for entry in found]
    if not found or not all(isinstance(entry, str) for entry in found):
        raise CheckSkipped("rows do not name their classes; declare their labels")
    return found


def _separable_rows(evidence: Evidence) -> list[Row]:
    """One text a class."""
    firsts: dict[Any, Row] = {}
    for row in evidence.rows(ROWS):
        target = evidence.column(row, "target")
        if not isinstance(target, str | int):
            raise CheckSkipped("rows have no class")
        firsts.setdefault(target, row)
    if len(firsts) < 2:  # noqa: PLR2004 - one class cannot be mistaken
        raise CheckSkipped("the rows have one class only")
    return list(firsts.values())
