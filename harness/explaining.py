"""What is wrong with some settings, in plain words, with the nearest known name for a typo."""

from __future__ import annotations

import difflib
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from harness.errors import SettingsError
from harness.settings import Settings


def explain_problems(error: ValidationError, settings: type[Settings], *, where: str) -> SettingsError:
    """What is wrong with some settings, each problem in plain words."""
    problems = [_explain(cast("dict[str, Any]", problem), settings) for problem in error.errors()]
    return SettingsError(
        f"{len(problems)} wrong setting{'s' * (len(problems) > 1)} in {where}: " + "; ".join(problems) + ".",
        fix="Nothing was run.",
    )


def _explain(problem: dict[str, Any], settings: type[Settings]) -> str:
    """One problem in plain words, with the nearest known name for a typo."""
    path = [str(part) for part in problem["loc"]]
    where = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _known_names(settings, path[:-1])
        close = difflib.get_close_matches(path[-1], known, n=1)
        suggestion = f'did you mean "{close[0]}"?' if close else f"known are: {', '.join(known)}"
        return f'"{where}" is unknown ({suggestion})'
    if problem["type"] == "tuple_type":
        return f'"{where}" is {problem["input"]!r}: it should be a list, as ["..."]'
    if problem["type"] == "value_error":
        return (f'"{where}": ' if where else "") + str(problem["ctx"]["error"])
    if problem["type"] == "missing":
        return f'"{where}" is missing'
    return f'"{where}" is {problem["input"]!r}: {problem["msg"][0].lower()}{problem["msg"][1:]}'


def _known_names(settings: type[BaseModel], groups: list[str]) -> list[str]:
    for group in groups:
        annotation = settings.model_fields[group].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        settings = annotation
    return list(settings.model_fields)
