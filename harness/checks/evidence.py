"""What the checks look at: the pipeline's parts, called as they are, and what was computed from them once.

Evidence also keeps book of which parts a check has looked at. Two pipelines that share all of those parts must give
the same result, which lets the matrix of defects and checks be made in minutes.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from harness.checks.check import CheckSkipped, PartError
from harness.checks.pipeline import INPUT_COLUMNS, TARGET_COLUMNS, Pipeline
from harness.data.newsroom import draw_event, write_document, write_summary

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
Row = Any
Feature = Mapping[str, Any]

SAMPLE = 8
"""Rows that most checks look at."""


class Evidence:
    """The parts of one pipeline and what was computed from them.

    Args:
        pipeline: what is audited.
        seed: decides every random choice of the checks.
    """

    def __init__(self, pipeline: Pipeline, *, seed: int = 0) -> None:
        self.pipeline = pipeline
        self.seed = seed
        self._memory: dict[str, tuple[Any, frozenset[str]]] = {}
        self._books: list[set[str]] = []

    # Keeping book

    @contextmanager
    def keep_book(self) -> Iterator[set[str]]:
        """The names of the parts that are looked at within the block, filled as it runs."""
        book: set[str] = set()
        self._books.append(book)
        try:
            yield book
        finally:
            self._books.pop()
            if self._books:
                self._books[-1] |= book

    def remember(self, key: str, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, computed once; later uses count as looking at the same parts."""
        if key not in self._memory:
            with self.keep_book() as book:
                value = compute()
            self._memory[key] = value, frozenset(book)
        value, parts = self._memory[key]
        self._note(parts)
        return value

    def _note(self, parts: frozenset[str] | set[str]) -> None:
        if self._books:
            self._books[-1] |= parts

    # Parts

    def has(self, path: str) -> bool:
        """Whether a part was given."""
        self._note({path})
        return self.pipeline.part(path) is not None

    def part(self, path: str) -> Any:
        """A part.

        Raises:
            CheckSkipped: it was not given.
        """
        if not self.has(path):
            raise CheckSkipped(f"the pipeline has no {path}")
        return self.pipeline.part(path)

    def declared(self, name: str) -> Any:
        """What the user declared, or nothing."""
        self._note({f"declared.{name}"})
        return getattr(self.pipeline.declared, name)

    def accepts(self, path: str, option: str) -> bool:
        """Whether a part takes this keyword."""
        parameters = _parameters(self.part(path))
        return option in parameters or any(entry.kind is entry.VAR_KEYWORD for entry in parameters.values())

    def require(self, path: str, *options: str) -> None:
        """Make sure that a part takes these keywords.

        Raises:
            CheckSkipped: it does not.
        """
        missing = [option for option in options if not self.accepts(path, option)]
        if missing:
            raise CheckSkipped(f"{path} takes no {' and no '.join(missing)}")

    def call(self, path: str, *args: Any, **options: Any) -> Any:
        """Call a part with those of the options that it takes.

        Raises:
            PartError: it is no function.
        """
        if not callable(self.part(path)):
            raise PartError(f"{path} is a {_describe(self.part(path))}; expected a function.")
        accepted = {name: value for name, value in options.items() if self.accepts(path, name)}
        return self.part(path)(*args, **accepted)

    # Rows

    def splits(self) -> dict[str, list[Row]]:
        """The user's splits, as lists."""

        def read() -> dict[str, list[Row]]:
            splits = self.call("splits")
            if not isinstance(splits, Mapping):
                raise PartError(f"splits returned a {type(splits).__name__}; expected a mapping of names to rows.")
            return {str(name): list(rows) for name, rows in splits.items()}

        return self.remember("splits", read)

    def rows(self, count: int = SAMPLE) -> list[Row]:
        """Training rows of the user's, or news items where the pipeline has no splits."""
        if not self.has("splits"):
            return newsroom_rows(count, self.seed)
        splits = self.splits()
        rows = splits.get("train") or next((rows for rows in splits.values() if rows), [])
        if not rows:
            raise PartError("splits returned no rows.")
        return rows[:count]

    def column(self, row: Row, side: str) -> Any:
        """What a row holds as its ``input``, ``target``, ``id`` or ``group``; nothing where it has none."""
        name = self.column_name(row, side)
        return None if name is None else read_column(row, name)

    def column_name(self, row: Row, side: str) -> str | None:
        """Where a row keeps its ``input``, ``target``, ``id`` or ``group``."""
        declared: str | None = self.declared(f"{side}_column")
        if declared is not None:
            return declared
        usual = {"input": INPUT_COLUMNS, "target": TARGET_COLUMNS, "id": ("id", "guid", "idx", "uid"), "group": ()}
        return next((name for name in usual[side] if read_column(row, name) is not None), None)

    def with_texts(self, pairs: Sequence[tuple[Any, Any]]) -> list[Row]:
        """Rows like the user's with other inputs and targets.

        Raises:
            CheckSkipped: the rows are no mappings, or it is not known which columns hold input and target.
        """
        model = self.rows(1)[0]
        names = self.column_name(model, "input"), self.column_name(model, "target")
        if not isinstance(model, Mapping) or None in names:
            raise CheckSkipped("it is not known where a row keeps its input and its target; declare the columns")
        return [{**model, names[0]: source, names[1]: target} for source, target in pairs]

    # From rows to batches

    def features(self, rows: Sequence[Row], **options: Any) -> list[dict[str, Any]]:
        """The user's encoding of rows, as plain lists.

        Raises:
            PartError: encode returned something else than a list of mappings.
        """
        encoded = self.call("encode", list(rows), **options)
        if isinstance(encoded, Mapping):
            columns = {name: list(values) for name, values in encoded.items()}
            lengths = {len(values) for values in columns.values()}
            if len(lengths) != 1:
                raise PartError(f"encode returned columns of unequal lengths {sorted(lengths)}.")
            encoded = [{name: values[row] for name, values in columns.items()} for row in range(lengths.pop())]
        if not isinstance(encoded, Sequence) or not all(isinstance(entry, Mapping) for entry in encoded):
            raise PartError(f"encode returned a {_describe(encoded)}; expected a list of mappings, one a feature.")
        return [{name: _as_list(value) for name, value in entry.items()} for entry in encoded]

    def batch(self, features: Sequence[Feature]) -> dict[str, torch.Tensor]:
        """The user's batch of features; only its tensors."""
        import torch  # noqa: PLC0415 - checks of data alone need no torch

        batch = self.call("collate", [dict(feature) for feature in features])
        if not isinstance(batch, Mapping):
            raise PartError(f"collate returned a {_describe(batch)}; expected a mapping of names to tensors.")
        return {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}

    # Models

    def model(self, seed: int = 0) -> torch.nn.Module:
        """A fresh copy of the user's base, in eval mode."""
        made = self.remember(f"model {seed}", lambda: self.call("make_model", seed=seed))
        import torch  # noqa: PLC0415

        if not isinstance(made, torch.nn.Module):
            raise PartError(f"make_model returned a {_describe(made)}; expected a torch module.")
        fresh: torch.nn.Module = copy.deepcopy(made)
        fresh.eval()
        return fresh

    def loss(self, model: torch.nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        """The user's loss of a batch: a scalar tensor."""
        import torch  # noqa: PLC0415

        if self.has("loss"):
            loss = self.call("loss", model, dict(batch))
        else:
            output = model(**batch)
            loss = output["loss"] if isinstance(output, Mapping) else getattr(output, "loss", None)
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
            raise PartError(f"The loss is a {_describe(loss)}; expected a tensor with one value.")
        return loss.reshape(())

    def is_encoder_decoder(self, model: torch.nn.Module) -> bool:
        """Whether a model reads with an encoder and writes with a decoder."""
        return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))

    def writes_text(self, model: torch.nn.Module) -> bool:
        """Whether a model has a language-modelling head."""
        can_generate = getattr(model, "can_generate", None)
        return callable(can_generate) and bool(can_generate())

    def train(self, model: torch.nn.Module, rows: Sequence[Row], **options: Any) -> torch.nn.Module:
        """Let the user train, and take the model out of what comes back."""
        tuned: torch.nn.Module = trained_model(self.call("train", model, list(rows), **options))
        return tuned

    def generate(self, model: torch.nn.Module, rows: Sequence[Row], **options: Any) -> list[str]:
        """The user's outputs.

        Raises:
            PartError: they are no texts.
        """
        outputs = self.call("generate", model, list(rows), **options)
        if (
            isinstance(outputs, str)
            or not isinstance(outputs, Sequence)
            or not all(isinstance(o, str) for o in outputs)
        ):
            raise PartError(f"generate returned a {_describe(outputs)}; expected a list of texts, one a row.")
        return list(outputs)

    def score(self, path: str, outputs: Sequence[Any], references: Sequence[Any]) -> dict[str, float]:
        """The values of a metric part, numbers only."""
        found = self.call(path, list(outputs), list(references))
        if isinstance(found, int | float):
            found = {"score": found}
        if not isinstance(found, Mapping):
            raise PartError(f"{path} returned a {_describe(found)}; expected a mapping of names to numbers.")
        return {str(name): float(value) for name, value in found.items() if isinstance(value, int | float)}


def trained_model(trained: Any) -> Any:
    """The model in what a train part returned: the model itself, or an object that holds it as ``.model``."""
    import torch  # noqa: PLC0415

    if not hasattr(trained, "state_dict") and hasattr(trained, "model"):
        trained = trained.model
    if not isinstance(trained, torch.nn.Module):
        raise PartError(f"train returned a {_describe(trained)}; expected a model, or an object with .model.")
    return trained


def newsroom_rows(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Generated news items with their summaries, as mappings with ``id``, ``input`` and ``target``."""
    events = (draw_event(seed, index) for index in range(count))
    return [
        {"id": event.key, "input": write_document(event).text, "target": write_summary(event).text} for event in events
    ]


def read_column(row: Row, name: str) -> Any:
    """A column of a row, be it a mapping or an object; nothing where it is not there."""
    return row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)


def _parameters(part: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(part).parameters
    except (TypeError, ValueError):
        return {}


def _as_list(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _describe(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} of shape {tuple(shape)}" if shape is not None else type(value).__name__
