"""The invariants of class ids in a batch: does the model's own config call them what the data calls them?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.errors import LabelError
from harness.tasks.task import Batch


def check_names(names: Mapping[int, str], ids: Mapping[str, int], outputs: int) -> None:
    """Make sure that a config names each class once, and finds it again by its name.

    Args:
        names: id to name, as the config's ``id2label``.
        ids: name to id, as the config's ``label2id``.
        outputs: how many classes the head tells apart.

    Raises:
        LabelError: there are more or fewer names than classes, or a name leads to another class.
    """
    if sorted(names) != list(range(outputs)):
        raise LabelError(
            f"The head tells {outputs} classes apart, and its config names {len(names)}.",
            why="An output could have no name, or a name no output.",
            fix="Set id2label, label2id and num_labels from one list of names.",
        )
    lost = {name: index for index, name in names.items() if ids.get(name) != index} or (ids.keys() - names.values())
    if lost:
        name = min(lost)
        raise LabelError(
            f'The config\'s label2id has {ids.get(name)} for "{name}", its id2label has '
            f"{[index for index, other in names.items() if other == name]}.",
            why="What is learned under one name would be said under another.",
            fix="Build label2id by turning id2label round.",
        )


def check_classes(batch: Batch, targets: Sequence[str], names: Mapping[int, str]) -> None:
    """Check one batch of a classifier.

    1. Each row has one label, a class that the model's config names.
    2. Its name there is the row's target.

    Args:
        batch: ``labels`` (batch,), int64.
        targets: the name of each row's class.
        names: id to name, as the config's ``id2label``.

    Raises:
        LabelError: one of these does not hold.
    """
    labels = batch["labels"]
    if tuple(labels.shape) != (len(targets),):
        raise LabelError(
            f"The labels of {len(targets)} rows have the shape {tuple(labels.shape)}.",
            why="Each row has one class.",
            fix="Give one id a row.",
        )
    pairs = pair_names(targets, labels.tolist(), names)
    misnamed = Counter({(meant, found): count for (meant, found), count in pairs.items() if meant != found})
    if misnamed:
        (meant, found), _ = misnamed.most_common(1)[0]
        raise LabelError(
            f'{misnamed.total()} of {len(targets)} labels mean another class than the target: "{meant}" is "{found}" '
            "in the model's config.",
            why="The model would learn to say one class for another.",
            fix="Take the ids from the config's label2id.",
        )


def check_padding(batch: Batch, inputs: Sequence[Sequence[int]]) -> None:
    """Make sure that the attention mask of each row covers its own tokens, all of them, and nothing else.

    Args:
        batch: ``input_ids`` and ``attention_mask`` (batch, length), int64.
        inputs: the token ids of each row, unpadded.

    Raises:
        LabelError: it does not.
    """
    for number, (ids, mask, meant) in enumerate(
        zip(batch["input_ids"].tolist(), batch["attention_mask"].tolist(), inputs, strict=True)
    ):
        read = [token for token, seen in zip(ids, mask, strict=True) if seen]
        if read != list(meant):
            raise LabelError(
                f"Row {number}: the attention mask covers {len(read)} tokens, not the {len(meant)} of its text.",
                why="The encoder would read padding, or miss text.",
                fix="Let the tokenizer or the collator make the mask.",
            )


def pair_names(meant: Sequence[str], ids: Sequence[int], names: Mapping[int, str]) -> Counter[tuple[str, str]]:
    """How often each name of the data stands for each name of the model.

    Args:
        meant: the data's names.
        ids: what they were encoded as.
        names: id to name, as the config's ``id2label``.
    """
    return Counter((name, names.get(index, f"no class {index}")) for name, index in zip(meant, ids, strict=True))
