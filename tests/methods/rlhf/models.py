"""What the tests of learning from preferences share: the embedded models with rows as token ids."""

from __future__ import annotations

from harness.data.rows import Row
from harness.data.source import load_splits
from harness.forms import Form, choose_form
from harness.models.loading import LoadedModel
from tests.small import small_experiment


def load(name: str = "tiny-t5", **changes: object) -> tuple[Form, LoadedModel, list[Row]]:
    """The form of summarization for a model, the model, and its training rows."""
    form = choose_form(small_experiment(**{"model.name": name, "method": "rlhf", **changes}))
    rows = load_splits(form.experiment.data, form.task).train
    return form, form.load(rows), list(rows)
