"""Class ids: the model's config calls each id what the data calls it, and masks leave padding out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import LabelError
from harness.tasks.class_labels import check_classes, check_names, check_padding
from harness.tasks.task import Batch

NAMES = {0: "a", 1: "b", 2: "c"}
INPUTS = [[2, 7, 3], [2, 0, 8, 9, 3]]
TARGETS = ["b", "c"]


def make_batch() -> Batch:
    """Two rows, the first padded; the second has the pad token inside its text."""
    return {
        "input_ids": torch.tensor([[2, 7, 3, 0, 0], [2, 0, 8, 9, 3]]),
        "attention_mask": torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]),
        "labels": torch.tensor([1, 2]),
    }


def check(batch: Batch) -> None:
    check_classes(batch, TARGETS, NAMES)
    check_padding(batch, INPUTS)


def classes_swapped(batch: Batch) -> None:
    batch["labels"] = batch["labels"].flip(0)


def ids_from_one(batch: Batch) -> None:
    batch["labels"] += 1


def label_masked(batch: Batch) -> None:
    batch["labels"][0] = -100


def label_a_token(batch: Batch) -> None:
    batch["labels"] = batch["labels"][:, None].expand(2, 5)


def row_lost(batch: Batch) -> None:
    batch["labels"] = batch["labels"][:1]


def mask_of_ones(batch: Batch) -> None:
    batch["attention_mask"].fill_(1)


def mask_by_pad_token(batch: Batch) -> None:
    batch["attention_mask"] = (batch["input_ids"] != 0).long()


def text_cut(batch: Batch) -> None:
    batch["input_ids"], batch["attention_mask"] = batch["input_ids"][:, :4], batch["attention_mask"][:, :4]


BUGS: list[Callable[[Batch], None]] = [
    classes_swapped, ids_from_one, label_masked, label_a_token, row_lost, mask_of_ones, mask_by_pad_token, text_cut,
]  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(bug: Callable[[Batch], None]) -> None:
    """Each way to spoil a batch goes red, and the same batch unspoilt is green."""
    batch = make_batch()
    check(batch)
    bug(batch)
    with pytest.raises(LabelError):
        check(batch)


def test_message_names_the_commonest_mistake() -> None:
    """The message says how many labels are wrong, what was meant and what the model calls it."""
    batch = {"labels": torch.tensor([0, 0, 1])}
    with pytest.raises(LabelError, match=r'2 of 3 labels mean another class than the target: "b" is "a"'):
        check_classes(batch, ["b", "b", "b"], NAMES)


@given(st.permutations(["a", "b", "c"]))
def test_names_and_ids_must_agree(names: list[str]) -> None:
    """Two tables that were built from lists in different order are caught; from the same list they pass."""
    ids = {name: index for index, name in enumerate(names)}
    if names == list(NAMES.values()):
        check_names(NAMES, ids, 3)
    else:
        with pytest.raises(LabelError, match="label2id has"):
            check_names(NAMES, ids, 3)


@pytest.mark.parametrize(
    ("names", "ids", "outputs"),
    [
        (NAMES, {"a": 0, "b": 1, "c": 2}, 4),
        ({1: "a", 2: "b"}, {"a": 1, "b": 2}, 2),
        (NAMES, {"a": 0, "b": 1}, 3),
        ({0: "a", 1: "a"}, {"a": 1}, 2),
        (NAMES, {"a": 0, "b": 1, "c": 2, "d": 2}, 3),
    ],
)
def test_incomplete_names_are_found(names: dict[int, str], ids: dict[str, int], outputs: int) -> None:
    """A class without a name, a name without a class, and one name for two classes are refused."""
    with pytest.raises(LabelError):
        check_names(names, ids, outputs)
