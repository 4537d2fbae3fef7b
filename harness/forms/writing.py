"""What the forms that write text share: prompts, engines, and the likelihood of the targets."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from transformers import PreTrainedTokenizerBase

from harness.data.rows import NAMED, Row
from harness.errors import DataError, EmptyTargetError
from harness.forms.form import Form
from harness.forms.likelihood import measure_likelihood
from harness.forms.verbaliser import choose_labels
from harness.generation import ENGINES
from harness.generation.engine import Resolved, resolve_settings
from harness.metrics.metric import Output
from harness.models.loading import LoadedModel, load_model
from harness.tasks.task import EncodedRow

IDS_ALONE = {"split_special_tokens": True, "return_attention_mask": False, "return_token_type_ids": False}
"""How texts are tokenized: special tokens in them are text, and nothing is made beside the ids."""
Count = Callable[[Sequence[Row], Sequence[str]], list[int]]
"""From rows and a prompt for each to the number of tokens that the model would read, were nothing cut."""
Ask = Callable[[Sequence[Row], Count], list[str]]
"""From rows to a prompt for each."""


@dataclass(frozen=True, kw_only=True)
class Writing(Form):
    """A form whose outputs are texts.

    Args:
        ask: writes the prompts; by default the task does.
        labels: the outputs that there can be, of which the likeliest is chosen; where there are none, outputs are
            generated.
    """

    ask: Ask | None = None
    labels: tuple[str, ...] = ()

    auto_class: ClassVar[str]
    """The class of transformers that loads the model."""

    def load(self, rows: Sequence[Row]) -> LoadedModel:
        """Load the experiment's model; it has its head already."""
        return load_model(self.experiment.model, auto_class=self.auto_class)

    @property
    def prefix(self) -> str:
        """What stands before each input."""
        prefix = self.experiment.encoding.prefix
        return self.task.prefix if prefix is None else prefix

    @property
    def encoding(self) -> dict[str, bool | int | str]:
        """The settings that decide how a row is encoded."""
        settings = self.experiment.encoding
        return {
            "prefix": self.prefix,
            "max_input_tokens": settings.max_input_tokens,
            "max_target_tokens": settings.max_target_tokens,
        }

    def write_prompts(self, rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase) -> list[str]:
        """What the model is asked, row by row."""
        if self.ask is None:
            return [self.task.write_prompt(row, self.prefix) for row in rows]
        return self.ask(rows, lambda asked, prompts: [len(ids) for ids in self.read(asked, prompts, tokenizer)])

    @abstractmethod
    def read(self, rows: Sequence[Row], prompts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
        """The ids of each row's prompt, whole."""

    def write_targets(self, rows: Sequence[Row]) -> list[str]:
        """What it should write, row by row."""
        return [self.task.write_target(row) for row in rows]

    def require_texts(self, encoded: Sequence[EncodedRow], special: set[int], targets: Sequence[list[int]]) -> None:
        """Make sure that every row has something to read and something to learn.

        Args:
            encoded: the rows.
            special: ids that are no text.
            targets: the ids of each row's target.

        Raises:
            DataError: no token of an input is left.
            EmptyTargetError: no token of a target is left; the message names the rows.
        """
        unread = [row.id for row in encoded if special.issuperset(row.input_ids)]
        if unread:
            raise DataError(
                f"{len(unread)} of {len(encoded)} rows have nothing to read{self._say_rows('input', unread)}",
                fix="Raise encoding.max_input_tokens, or drop these rows.",
            )
        empty = [row.id for row, ids in zip(encoded, targets, strict=True) if special.issuperset(ids)]
        if empty:
            raise EmptyTargetError(
                f"{len(empty)} of {len(encoded)} rows have nothing to learn{self._say_rows('target', empty)}",
                why="The model would learn to say nothing.",
                fix="Raise encoding.max_target_tokens, or drop these rows.",
            )

    def _say_rows(self, side: str, ids: Sequence[str]) -> str:
        name = f"max_{side}_tokens"
        limit = getattr(self.experiment.encoding, name)
        return (
            f": no token of the {side} is left beside EOS (encoding.{name} = {limit}): rows {', '.join(ids[:NAMED])}."
        )

    def resolve(self, loaded: LoadedModel) -> Resolved:
        """The generation settings, every default filled in."""
        return resolve_settings(loaded.model, self.experiment.generation)

    def name_parts(self, predict: Callable[..., list[str]]) -> dict[str, Callable[..., Any]]:
        """Outputs are generated, or chosen from the labels."""
        return {"classify" if self.labels else "generate": predict}

    def predict(
        self, loaded: LoadedModel, rows: Sequence[Row], encoded: Sequence[EncodedRow], settings: Resolved
    ) -> list[Output]:
        """Choose the labels, or generate the texts and measure the targets' likelihood where a metric asks for it."""
        if self.labels:
            return choose_labels(self, loaded, rows)
        generation = self.experiment.generation
        written = ENGINES[str(settings["engine"])](
            loaded.model,
            loaded.tokenizer,
            encoded,
            settings,
            batch_size=generation.batch_size,
            batch_tokens=generation.batch_tokens,
        )
        texts = [self.task.read_output(text) for text in written]
        if "perplexity" not in self.task.metrics:
            return [Output(text=text) for text in texts]
        measured = measure_likelihood(
            loaded.model, encoded, self.make_collator(loaded), batch_size=generation.batch_size
        )
        return [
            Output(text=text, nats=nats, tokens=tokens) for text, (nats, tokens) in zip(texts, measured, strict=True)
        ]


def cut(ids: Sequence[int], limit: int) -> list[int]:
    """At most ``limit`` ids; what is cut is the text before the closing token (EOS), never that token."""
    return [*ids] if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]
