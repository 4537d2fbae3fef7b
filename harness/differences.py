"""What two arms differ in: what forbids a comparison, and what may explain one."""

from __future__ import annotations

from harness.arm import Arm, Manifest
from harness.config import TrainingSettings


def find_differences(candidate: Arm, against: Arm) -> tuple[str, ...]:
    """Why two arms cannot be compared."""
    ours, theirs = candidate.manifest.comparable, against.manifest.comparable
    found = [] if candidate.rows and against.rows else ["rows (one of the arms has none)"]
    for name, value in ours.items():
        if value == theirs[name]:
            continue
        if isinstance(value, dict) and isinstance(other := theirs[name], dict):
            parts = [
                f"{key}: {value.get(key)} against {other.get(key)}"
                for key in sorted({*value, *other})
                if value.get(key) != other.get(key)
            ]
            found.append(f"{name} ({'; '.join(parts)})")
        else:
            shared = len({(row.id, row.hash) for row in candidate.rows} & {(row.id, row.hash) for row in against.rows})
            found.append(f"{name} ({shared} of {len(candidate.rows)} rows are the same)")
    return tuple(found)


def _describe_training(manifest: Manifest) -> dict[str, str]:
    rows = (manifest.train_rows or "")[:8]
    # An arm that was stored before a setting existed was made as its default makes it now.
    every = {**TrainingSettings().model_dump(), **manifest.training}
    settings = {name: str(value) for name, value in every.items()}
    return {"method": str(manifest.method), "training rows": rows, **settings}


def find_circumstances(candidate: Arm, against: Arm) -> tuple[str, ...]:
    """What differs of all that was not asked to be equal; nothing of the training where only one arm was trained."""
    ours, theirs = candidate.manifest, against.manifest
    pairs = [(ours.environment, theirs.environment)]
    if ours.training and theirs.training:
        pairs.append((_describe_training(ours), _describe_training(theirs)))
    return tuple(
        f"{name} {then.get(name, 'none')} → {now.get(name, 'none')}"
        for now, then in pairs
        for name in sorted({*now, *then})
        if now.get(name) != then.get(name)
    )
