"""The pipeline of an experiment of the harness itself, so that the same checks hold it to the same rules."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from transformers import PreTrainedModel

from harness.checks.own_adapters import with_adapters
from harness.checks.own_rlhf import OwnRlhf
from harness.checks.pipeline import Declared, Pipeline
from harness.checks.report import AuditReport
from harness.checks.suite import audit, load_pipeline
from harness.config import Experiment
from harness.data.columns import Record
from harness.data.rows import Row, Splits
from harness.data.source import load_splits
from harness.experiment import make_course
from harness.forms import Form, choose_form
from harness.forms.writing import Writing
from harness.methods import ASKING, METHODS
from harness.methods.parameter_efficient import PeftMethod
from harness.metrics import METRICS
from harness.metrics.metric import Metric, Output
from harness.metrics.scorer import Scorer, choose_scores
from harness.models.loading import LoadedModel
from harness.tasks import TASKS, Task
from harness.tasks.task import Features, flatten
from harness.training import fine_tune

ROWS = {"train": 200, "eval": 100}
"""How many rows of each split the checks look at, at most."""
KINDS: dict[str, Literal["linear", "cosine", "constant"]] = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant",
    "constant_with_warmup": "constant",
}
"""The schedules of the settings that checks know, in their words."""


def pipeline_of(experiment: Experiment) -> Pipeline:
    """What an experiment does, part by part, as checks take it.

    Raises:
        UsageError: the data or the model cannot be used.
    """
    own = _Own(experiment=experiment, plain=choose_form(experiment))
    training, encoding = experiment.training, own.form.encoding
    pipeline = Pipeline(
        name=experiment.name,
        declared=Declared(
            task=experiment.task,  # type: ignore[arg-type]  # the registry's names are those that checks know
            input_column=own.task.input_columns[0],
            target_column=own.task.target_columns[0],
            group_column=next(iter(own.task.context_columns), None),
            prefix=str(encoding["prefix"]) if "prefix" in encoding and experiment.prompt.template is None else None,
            learning_rate=training.learning_rate,
            schedule=KINDS.get(training.schedule),
            warmup_steps=training.warmup_steps,
            weight_decay=training.weight_decay,
            labels=own.task.name_labels(own.splits.train) or None,
            beta=experiment.rlhf.beta if experiment.method == "rlhf" else None,
        ),
        tokenizer=own.base.tokenizer,
        splits=own.split,
        read=read_records,
        encode=own.encode,
        collate=own.form.make_collator(own.base),
        make_model=own.make_model,
        train=own.train,
        evaluate=own.evaluate,
        save=lambda model, folder: model.save_pretrained(folder),
        load=own.load,
        metric=own.score_texts,
    )
    parts: dict[str, Any] = {**own.form.name_parts(own.predict_texts)}
    if isinstance(own.form, Writing):
        parts |= {"prompt": own.prompt, "encode_prompt": own.encode_prompt}
    if experiment.method in ASKING:
        # What is asked in another way is not trained, or nothing but a soft prompt is.
        parts["train"] = None
    if name_more := MORE_PARTS.get(experiment.method):
        parts |= name_more(own)
    pipeline = replace(pipeline, **parts)
    method = METHODS[experiment.method]
    return with_adapters(pipeline, method, own.form, train=own.train) if isinstance(method, PeftMethod) else pipeline


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON lines file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def list_references(entry: Any) -> list[str]:
    """The references of a target: a text, a list of texts, or a mapping that has them as its ``text``."""
    texts = entry["text"] if isinstance(entry, Mapping) else entry
    return [texts] if isinstance(texts, str) else list(texts) or [""]


@dataclass(frozen=True, kw_only=True)
class _Own:
    """The parts of an experiment over records, as a user's script would have them."""

    experiment: Experiment
    plain: Form
    """How the base is asked."""

    @cached_property
    def form(self) -> Form:
        """How the model is asked by the experiment's method."""
        method = self.experiment.method
        return ASKING[method](self.plain, self.splits.train) if method in ASKING else self.plain

    @property
    def task(self) -> Task:
        return TASKS[self.experiment.task]

    @cached_property
    def splits(self) -> Splits:
        return load_splits(self.experiment.data, self.task)

    @cached_property
    def base(self) -> LoadedModel:
        return self.plain.load(self.splits.train)

    @cached_property
    def scorer(self) -> Scorer:
        return choose_scores(METRICS, self.task.metrics, self.splits.eval)

    def split(self) -> dict[str, list[Record]]:
        """The records of both splits."""
        return {
            "train": [self.task.write(row) for row in self.splits.train[: ROWS["train"]]],
            "eval": [self.task.write(row) for row in self.splits.eval[: ROWS["eval"]]],
        }

    def to_rows(self, records: Sequence[Record]) -> list[Row]:
        return [self.task.read_record(record, number) for number, record in enumerate(records)]

    def encode(self, records: Sequence[Record]) -> list[Features]:
        return flatten(self.form.encode(self.to_rows(records), self.base))

    def prompt(self, record: Record) -> str:
        (text,) = self._writing.write_prompts(self.to_rows([record]), self.base.tokenizer)
        return text

    def encode_prompt(self, records: Sequence[Record]) -> list[list[int]]:
        return [row.input_ids for row in self.form.encode(self.to_rows(records), self.base)]

    @property
    def _writing(self) -> Writing:
        return cast("Writing", self.form)

    def make_model(self, seed: int = 0) -> PreTrainedModel:
        """The base, a new object each time; it comes from a file, so the seed draws nothing."""
        return copy.deepcopy(self.base.model)

    def train(
        self,
        model: PreTrainedModel,
        records: Sequence[Record],
        *,
        seed: int = 0,
        epochs: int = 4,
        batch_size: int = 8,
        accumulation: int = 1,
    ) -> PreTrainedModel:
        rows = self.to_rows(records)
        encoded = self.form.encode(rows, self.base)
        settings = self.experiment.training.model_copy(
            update={"seed": seed, "epochs": epochs, "batch_size": batch_size, "accumulation": accumulation}
        )
        method = METHODS[self.experiment.method]
        if isinstance(method, PeftMethod):
            settings = method.scale_rate(self.experiment, settings)
        course = make_course(self.form, self.base, rows, encoded, self.form.make_collator(self.base))
        return fine_tune(model, course, settings).model

    def predict(self, model: PreTrainedModel, records: Sequence[Record], batch_size: int) -> list[Output]:
        rows = self.to_rows(records)
        loaded = self.base.with_weights_of(model)
        generation = self.experiment.generation.model_copy(update={"batch_size": batch_size})
        form = replace(self.form, experiment=self.experiment.model_copy(update={"generation": generation}))
        return form.predict(loaded, rows, form.encode(rows, loaded), form.resolve(loaded))

    def predict_texts(self, model: PreTrainedModel, records: Sequence[Record], *, batch_size: int = 8) -> list[str]:
        return [output.text for output in self.predict(model, records, batch_size)]

    def evaluate(self, model: PreTrainedModel, records: Sequence[Record], *, batch_size: int = 8) -> dict[str, float]:
        outputs, rows = self.predict(model, records, batch_size), self.to_rows(records)
        return self._mean(Scorer(self._families(rows)), outputs, rows) | {"rows": float(len(outputs))}

    def score_texts(self, outputs: Sequence[Any], references: Sequence[Any]) -> dict[str, float]:
        """The scores that compare texts with references."""
        if any(not isinstance(output, str) for output in outputs):
            # Tags come as lists, and so does the one reference of each row.
            outputs, references = ([" ".join(tags) for tags in side] for side in (outputs, references))
        listed = [list_references(entry) for entry in references]
        rows = [
            Row(id=str(number), input="", target=entry[0], references=tuple(entry))
            for number, entry in enumerate(listed)
        ]
        families = tuple(family for family in self._families(rows) if family.compares)
        return self._mean(Scorer(families), [Output(text=text) for text in outputs], rows)

    def _families(self, rows: Sequence[Row]) -> tuple[Metric, ...]:
        """What can score these rows: checks change them, and the newsroom's facts are those of its own rows."""
        return tuple(family for family in self.scorer.families if family.applies(rows))

    @staticmethod
    def _mean(scorer: Scorer, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, float]:
        return {name: float(scores.mean()) for name, scores in scorer.score(outputs, rows).items()}

    def load(self, folder: Path) -> PreTrainedModel:
        """A saved model."""
        return type(self.base.model).from_pretrained(folder).eval()


def _name_rlhf_parts(own: _Own) -> dict[str, Any]:
    parts = OwnRlhf(form=own.form, base=own.base, rows=own.splits.train).name_parts()
    return {"reinforcement": parts}


MORE_PARTS: dict[str, Callable[[_Own], dict[str, Any]]] = {"rlhf": _name_rlhf_parts}
"""What a method has besides: its name to a function that names the parts."""


def find_pipeline(experiment: Experiment) -> Pipeline:
    """The pipeline that ``checks.pipeline`` names, or else the experiment's own.

    Raises:
        SettingsError: it names none.
        UsageError: the data or the model of the experiment cannot be used.
    """
    place = experiment.checks.pipeline
    return pipeline_of(experiment) if place is None else load_pipeline(place)


def audit_experiment(experiment: Experiment) -> AuditReport:
    """Run all checks on an experiment's pipeline."""
    return audit(find_pipeline(experiment))
