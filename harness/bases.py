"""Base arms that this process has scored: the next run with the same base, asked in the same way, takes its arm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from harness.arm import Arm
from harness.config import Experiment
from harness.data.rows import Splits, hash_rows
from harness.fingerprint import describe_environment, hash_json
from harness.resuming import JUDGED_ONLY, OF_A_METHOD

if TYPE_CHECKING:
    from harness.generation.auto import Choice
    from harness.generation.engine import Resolved
    from harness.models.loading import LoadedModel

MOST = 8
"""Arms that are kept; their rows are on disk."""


class Bases:
    """Base arms, each by a hash of all that decides it but the code, which is one in one process."""

    def __init__(self) -> None:
        self._arms: dict[str, Arm] = {}

    def recall(self, key: str | None, score: Callable[[], Arm]) -> Arm:
        """The arm that was scored under this key, or a new one; the one longest not asked for makes room for it."""
        if key is None:
            return score()
        arm = self._arms.pop(key, None) or score()
        self._arms[key] = arm
        if len(self._arms) > MOST:
            del self._arms[next(iter(self._arms))]
        return arm


def recall_base(
    bases: Bases | None,
    score: Callable[[], Arm],
    *,
    experiment: Experiment,
    splits: Splits,
    loaded: LoadedModel,
    settings: Resolved,
    choice: Choice | None,
) -> tuple[Arm, str]:
    """The base's arm under the experiment's name, scored now or before.

    Args:
        bases: those that were scored before; without them it is scored now.
        score: makes the arm.
        experiment: what is run.
        splits: its rows.
        loaded: the base.
        settings: of the generation, the engine settled.
        choice: how the engine was chosen, where it was: what was measured for that decides no output.

    Returns:
        The arm, and in a few words for which other experiment it was scored, if it was.
    """
    if bases is None:
        return score(), ""
    arm = bases.recall(make_base_key(experiment, splits, loaded, settings), score)
    name = arm.manifest.experiment
    changes = {"experiment": experiment.name, "engine": choice.describe() if choice else {}}
    own = arm.model_copy(update={"manifest": arm.manifest.model_copy(update=changes)})
    return own, "" if name == experiment.name else f" (scored for {name})"


def make_base_key(experiment: Experiment, splits: Splits, loaded: LoadedModel, settings: Resolved) -> str | None:
    """What decides a base's outputs and scores, as a hash; nothing where a part of it cannot be told.

    Args:
        experiment: its settings count, but for those of the method and those that only judge.
        splits: the evaluation rows are asked and scored; a head's labels come from the training rows.
        loaded: the base; its config and all rules of its tokenizer count as well as its weights.
        settings: of the generation, the engine settled.
    """
    rules: Any = getattr(loaded.tokenizer, "backend_tokenizer", None)
    if rules is None:  # a tokenizer in Python says nowhere all that it does
        return None
    besides = {**JUDGED_ONLY, **dict.fromkeys(OF_A_METHOD, True)}
    model = loaded.model
    decides = {
        "settings": experiment.model_dump(mode="json", exclude=besides),
        "rows": [hash_rows(splits.train), hash_rows(splits.eval)],
        "model": loaded.identify().model_dump(),
        "configs": [str(model.config), str(getattr(model, "generation_config", None))],
        "tokenizer": [rules.to_str(), repr(loaded.tokenizer), repr(loaded.tokenizer.chat_template)],
        "generation": settings,
        "environment": describe_environment(),
    }
    return hash_json(decides)
