"""What a run that was killed may go on from: by which key it finds that, and what a method made of the base."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.arm import ModelIdentity
from harness.config import Experiment
from harness.data.rows import Splits, hash_rows
from harness.fingerprint import describe_environment, hash_code, hash_json, hash_text
from harness.lesson import Trained
from harness.methods.method import Adapted, Method
from harness.metrics.metric import Table
from harness.progress import Progress, say_age

if TYPE_CHECKING:
    import torch

TUNED, WEIGHTS_FILE, FACTS_FILE = "tuned", "weights.safetensors", "facts.json"
JUDGED_ONLY = {"gate", "checks", "repeats"}
"""Settings that decide nothing about weights, outputs or scores."""
FACTS = ("losses", "trainable_parameters", "held_out_losses")
ADAPTED = ("facts", "tables", "warnings", "keeps_weights")


def make_key(experiment: Experiment, splits: Splits, base: ModelIdentity, method: Method | None) -> str:
    """What decides how weights, outputs and scores come out, as 16 hex digits.

    Args:
        experiment: its settings, but for those that only judge.
        splits: the rows.
        base: the base's weights and tokenizer.
        method: a user's own, known by its name and the text of its module.
    """
    rewards = [] if ":" not in experiment.rlhf.reward else [_hash_module(experiment.rlhf.reward.partition(":")[0])]
    pairs = [] if experiment.rlhf.pairs is None else [_hash_file(Path(experiment.rlhf.pairs))]
    own = (
        None
        if method is None
        else [method.__module__, getattr(method, "__qualname__", ""), _hash_module(method.__module__)]
    )
    decides = {
        "settings": experiment.model_dump(mode="json", exclude=JUDGED_ONLY),
        "rows": [hash_rows(splits.train), hash_rows(splits.eval)],
        "base": base.model_dump(),
        "method": own,
        "read besides": rewards + pairs,
        "environment": describe_environment(),
        "code": hash_code(),
    }
    return hash_json(decides)[:16]


def recall_tuned(progress: Progress, base: Any, tune: Callable[[], Trained]) -> Trained:
    """What a method made of the base before, or else makes of it now.

    It is kept where it is a model like the base, and nothing of it was kept while it trained: what `fine_tune` kept, it
    finds again by itself, and a method that wraps the model has to do that anyhow.

    Args:
        progress: of this seed.
        base: the base; it is not changed.
        tune: calls the method.
    """
    place = progress.find(TUNED)
    if place is not None:
        progress.say(f"tuned already ({say_age(place)})")
        return _read(place, base)
    trained = tune()
    if _is_like(trained, base) and not progress.numbered("training-"):
        progress.keep(TUNED, lambda fresh: _write(fresh, trained))
    return trained


def _is_like(trained: Any, base: Any) -> bool:
    """Whether the base with other weights would be this very model."""
    if not isinstance(trained, Trained):
        return False  # a method may return anything; whoever called it says that it may not
    model, form = trained.model, getattr(trained, "form", None)
    shapes = [{name: each.shape for name, each in _list_tensors(one).items()} for one in (model, base)]
    return (
        form is None
        and type(model) is type(base)
        and model.config.to_dict() == base.config.to_dict()
        and shapes[0] == shapes[1]
    )


def _write(place: Path, trained: Trained) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415 - torch loads late

    tensors = _list_tensors(trained.model)
    save_file(
        {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}, place / WEIGHTS_FILE
    )
    names = (*FACTS, *ADAPTED) if isinstance(trained, Adapted) else FACTS
    facts = {name: getattr(trained, name) for name in names}
    if "tables" in facts:
        facts["tables"] = [dataclasses.asdict(table) for table in facts["tables"]]
    (place / FACTS_FILE).write_text(json.dumps(facts, default=dict) + "\n", encoding="utf-8")


def _read(place: Path, base: Any) -> Trained:
    import torch  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    model, facts = copy.deepcopy(base), json.loads((place / FACTS_FILE).read_text(encoding="utf-8"))
    tensors = _list_tensors(model)
    with torch.no_grad():
        for name, tensor in load_file(place / WEIGHTS_FILE).items():
            tensors[name].copy_(tensor)
    for name in ("losses", "held_out_losses", "warnings"):
        if name in facts:
            facts[name] = tuple(facts[name])
    if "tables" not in facts:
        return Trained(model=model.eval(), **facts)
    facts["tables"] = tuple(
        Table(
            title=table["title"],
            columns=tuple(table["columns"]),
            rows=tuple(map(tuple, table["rows"])),
            shaded=table["shaded"],
        )
        for table in facts["tables"]
    )
    return Adapted(model=model.eval(), **facts)


def _list_tensors(model: Any) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _hash_module(name: str) -> str:
    """SHA-256 of a module's text; empty where it has none."""
    found = importlib.util.find_spec(name)
    return _hash_file(Path(found.origin)) if found is not None and found.origin else ""


def _hash_file(path: Path) -> str:
    try:
        return hash_text(path.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return ""
