"""Tables of settings for the documents, read from the settings' own classes.

``python -m harness.report.settings docs/settings.md docs/*/*.md`` puts them between the marks of each page.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from harness.atomic import write_whole
from harness.config import Experiment, Settings
from harness.multitask import Multitask
from harness.report.markdown import write_table

MARKED = re.compile(r"(<!-- settings: ([a-z.]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
"""The place of a table: the group's name stands in its first line, as ``lora``, ``data.limits`` or ``multitask.joint``;
``experiment`` are the settings that stand in no group."""
OF_TASKS = "multitask."
"""What stands before the name of a group of a run over several tasks."""
WHOLE = "experiment"
TITLES = ("setting", "default", "meaning")


def fill_settings(text: str) -> str:
    """The text of a page with each table of settings made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{_say_table(found[2])}{found[3]}", text)


def list_settings(group: str) -> list[tuple[str, str, str]]:
    """Name, default and meaning of each setting of a group, as ``training`` of an experiment or ``multitask.joint``.

    A group within it has a table of its own.
    """
    kind = _find_group(group)
    if kind is None:
        raise TypeError(f"{group} is one setting, not a group")
    before = "" if group == WHOLE else f"{group.removeprefix(OF_TASKS)}."
    meanings = _read_docstrings(kind)
    return [
        (f"`{before}{name}`", _say_default(field), meanings.get(name, ""))
        for name, field in kind.model_fields.items()
        if not _is_group(field.annotation)
    ]


def _find_group(group: str) -> type[Settings] | None:
    """The class of a group of settings, if it is one."""
    kind: Any = Multitask if group.startswith(OF_TASKS) else Experiment
    for name in () if group == WHOLE else group.removeprefix(OF_TASKS).split("."):
        field = kind.model_fields.get(name)
        if field is None or not _is_group(field.annotation):
            return None
        kind = field.annotation
    return cast("type[Settings]", kind)


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Settings)


def _say_table(group: str) -> str:
    if _find_group(group) is None:
        return "None of its own.\n"
    return "\n".join(write_table(TITLES, list_settings(group))) + "\n"


def _say_default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "none"
    if field.default is PydanticUndefined:
        return "required"
    return "not set" if field.default is None else f"`{str(field.default).lower()}`"


def _read_docstrings(kind: type[Settings]) -> dict[str, str]:
    """The text below each field, in one line."""
    tree = ast.parse(inspect.getsource(sys.modules[kind.__module__]))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    found = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = " ".join(str(ast.literal_eval(below.value)).split())
            found[field.target.id] = text.replace("``", "`").replace("|", "\\|")
    return found


def main(pages: list[str]) -> None:
    """Fill in the pages."""
    for page in map(Path, pages):
        write_whole(page, fill_settings(page.read_text(encoding="utf-8")).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
