"""Arms made by hand, for tests of what happens after generation."""

from __future__ import annotations

from collections.abc import Sequence

from harness.arm import Arm, Manifest, ModelIdentity, Role, ScoredRow, hash_ids, mean_score


def make_arm(
    scores: Sequence[float] | dict[str, Sequence[float]],
    *,
    outputs: Sequence[str] | None = None,
    role: Role = "base",
    weights: str = "w",
    experiment: str = "x",
    ids: Sequence[str] | None = None,
    **changes: object,
) -> Arm:
    """An arm with these scores: of rouge1, or of several metrics."""
    columns = scores if isinstance(scores, dict) else {"rouge1": scores}
    count = len(next(iter(columns.values())))
    outputs = [f"output {number}" for number in range(count)] if outputs is None else outputs
    ids = [str(number) for number in range(count)] if ids is None else ids
    manifest = Manifest(
        experiment=experiment,
        role=role,
        task="summarization",
        model=ModelIdentity(name="m", weights=weights, tensors=1, parameters=1, tokenizer="t"),
        rows=hash_ids([(entry, f"hash-{entry}") for entry in ids]),
        encoding={"prefix": "p", "max_input_tokens": 1, "max_target_tokens": 1},
        generation={"engine": "transformers", "num_beams": 1},
        metrics={name: f"{name}|signature" for name in columns},
        environment={"python": "3"},
        scores={name: mean_score(values) for name, values in columns.items()},
    )
    rows = tuple(
        ScoredRow(
            id=ids[number],
            hash=f"hash-{ids[number]}",
            output=outputs[number],
            scores={name: float(values[number]) for name, values in columns.items()},
        )
        for number in range(count)
    )
    return Arm(manifest=manifest.model_copy(update=changes), rows=rows)
