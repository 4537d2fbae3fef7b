"""Tables of settings for the documents, read from ``harness/config.py`` itself.

``python -m harness.report.settings docs/methods/*.md`` puts them between the marks of each page.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from itertools import pairwise
from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from harness.config import Experiment, Settings
from harness.report.markdown import write_table

MARKED = re.compile(r"(<!-- settings: ([a-z]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
"""The place of a table: the name of the group stands in its first line."""
TITLES = ("setting", "default", "meaning")


def fill_settings(text: str) -> str:
    """The text of a page with each table of settings made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{_say_table(found[2])}{found[3]}", text)


def list_settings(group: str) -> list[tuple[str, str, str]]:
    """Name, default and meaning of each setting of a group of the experiment, as ``training``."""
    kind = Experiment.model_fields[group].annotation
    if not (isinstance(kind, type) and issubclass(kind, Settings)):
        raise TypeError(f"{group} is one setting, not a group")
    meanings = _read_docstrings(kind)
    return [
        (f"`{group}.{name}`", _say_default(field), meanings.get(name, "")) for name, field in kind.model_fields.items()
    ]


def _say_table(group: str) -> str:
    if group not in Experiment.model_fields:
        return "None of its own.\n"
    return "\n".join(write_table(TITLES, list_settings(group))) + "\n"


def _say_default(field: FieldInfo) -> str:
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
        page.write_text(fill_settings(page.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
