"""What a run that was killed may go on from: by which key it finds that, and what a method made of the base."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.arm import ModelIdentity
from harness.config import Experiment
from harness.data.rows import Splits, hash_rows
from harness.fingerprint import describe_environment, hash_code, hash_file, hash_json, list_versions
from harness.lesson import Trained
from harness.methods.method import Adapted, Method
from harness.metrics.metric import Table
from harness.progress import Progress, say_age

if TYPE_CHECKING:
    import torch

TUNED, ADAPTED_FILE = "tuned", "adapted.json"
JUDGED_ONLY: dict[str, Any] = {"gate": {"require"}, "checks": True, "repeats": True}
"""Settings that decide nothing of what is kept. Level and flips do: of the engine, and of what a method found."""
OF_A_METHOD = {"name", "method", "training", "lora", "adapters", "prompt", "rlhf"}
"""Settings that change neither rows nor base."""
ADAPTED = ("facts", "tables", "warnings", "keeps_weights")


def make_key(tasks: Sequence[tuple[Experiment, Splits, ModelIdentity]], way: object) -> str | None:
    """What decides how weights, outputs and scores come out, as 16 hex digits; nothing where that is not known.

    Args:
        tasks: of each its settings, but for those that only judge, its rows, and the base's weights and tokenizer.
        way: what else decides how they are learned, for JSON; nothing where that is not known.
    """
    circumstances = describe_circumstances([experiment for experiment, _, _ in tasks])
    if way is None or None in circumstances.values():
        return None
    decides = {
        "tasks": [
            {
                "settings": experiment.model_dump(mode="json", exclude=JUDGED_ONLY),
                "rows": [hash_rows(splits.train), hash_rows(splits.eval)],
                "base": base.model_dump(),
            }
            for experiment, splits, base in tasks
        ],
        "way": way,
        "circumstances": circumstances,
    }
    return hash_json(decides)[:16]


def describe_circumstances(experiments: Sequence[Experiment]) -> dict[str, str | None]:
    """What decides how experiments come out beside settings, rows and base.

    Returns:
        The environment, and hashes of the harness's own code, of all packages' versions, and of the files that a method
        reads; nothing in the place of the last where the text of one is not known.
    """
    files = [found for experiment in experiments for found in _hash_files(experiment)]
    return {
        **describe_environment(),
        "code": hash_code(),
        "packages": hash_json(list_versions()),
        "files read besides": None if None in files else hash_json(files),
    }


def _hash_files(experiment: Experiment) -> list[str | None]:
    """The pairs and the reward of a method that reads them."""
    if experiment.method != "rlhf":
        return []
    rlhf = experiment.rlhf
    module, _, attribute = rlhf.reward.partition(":")
    return [
        "" if rlhf.pairs is None else hash_if_readable(Path(rlhf.pairs)),
        "" if not attribute else _hash_module(module),
    ]


def hash_method(method: Method | None) -> str | None:
    """Of the text of a user's module and of the method's name there; nothing where that name is not the method.

    A partial, a bound method or a function within a function has arguments that no text shows. Without a method of the
    user's own it is empty: the settings name one.
    """
    if method is None:
        return ""
    module, name = getattr(method, "__module__", None), getattr(method, "__qualname__", "")
    found: Any = sys.modules.get(module or "")
    for part in name.split("."):
        found = getattr(found, part, None)
    text = _hash_module(method.__module__) if found is method else None
    return text and hash_json([module, name, text])


def _hash_module(name: str) -> str | None:
    """SHA-256 of a module's text; nothing where it has none, as ``__main__`` in a notebook."""
    if name in sys.modules:
        origin = getattr(sys.modules[name], "__file__", None)
    else:
        try:
            found = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            return None
        origin = found and found.origin
    return hash_if_readable(Path(origin)) if origin else None


def hash_if_readable(path: Path) -> str | None:
    """SHA-256 of a file; nothing where it cannot be read."""
    try:
        return hash_file(path)
    except OSError:
        return None


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
    from harness.checkpoints import write_trained  # noqa: PLC0415 - torch loads late

    write_trained(place, trained, _list_tensors(trained.model))
    if isinstance(trained, Adapted):
        facts = {name: getattr(trained, name) for name in ADAPTED}
        facts["tables"] = [dataclasses.asdict(table) for table in trained.tables]
        (place / ADAPTED_FILE).write_text(json.dumps(facts, default=dict) + "\n", encoding="utf-8")


def _read(place: Path, base: Any) -> Trained:
    from harness.checkpoints import read_trained  # noqa: PLC0415

    model = copy.deepcopy(base)
    trained = read_trained(place, model, _list_tensors(model))
    if not (place / ADAPTED_FILE).is_file():
        return trained
    facts = json.loads((place / ADAPTED_FILE).read_text(encoding="utf-8"))
    facts["warnings"] = tuple(facts["warnings"])
    facts["tables"] = tuple(
        Table(
            title=table["title"],
            columns=tuple(table["columns"]),
            rows=tuple(map(tuple, table["rows"])),
            shaded=table["shaded"],
        )
        for table in facts["tables"]
    )
    return Adapted(**vars(trained), **facts)


def _list_tensors(model: Any) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
