"""The reference of all checks, a page for the documents, made from their code and from what the matrix measured.

``python -m harness.defects.checks_page docs/checks.md`` writes it. The defects that a check catches are those of
``docs/defects/caught.json``, which ``harness defects --write docs/defects`` writes beside the matrix.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path

from harness.atomic import write_whole
from harness.checks.check import Check
from harness.checks.suite import all_checks
from harness.printable import escape

PACKAGE = "harness.checks"
CAUGHT = Path("defects") / "caught.json"
"""Beside the page: check to the defects that it was seen to catch."""
SLOT = "…"
"""Stands for what a message fills in."""
HEAD = """# The checks

{count} black-box checks, in the order of the chain from data to verdict: a broken link breaks those behind it, so begin
with the first that fails. Each entry says what holds where the check passes, which parts of a
[`Pipeline`](audit.md#hand-over-what-you-have) it needs (without them it is skipped, and says so), which bugs of the
[catalogue](defects/matrix.html) it was measured to catch, and what it tells you to do.

`harness audit PLACE --check NAME` runs one of them, `--stage STAGE` those of a stage; `harness defects --list` tells
what the bugs are. This page is made by `python -m harness.defects.checks_page docs/checks.md`.
"""


def write_checks_page(caught: Mapping[str, Sequence[str]]) -> str:
    """The whole page as Markdown.

    Args:
        caught: for each check the defects that it catches.
    """
    parts = [HEAD.format(count=len(all_checks()))]
    for stage, checks in groupby(sorted(all_checks(), key=_stage_order), key=lambda check: check.stage):
        parts.append(f"\n## Stage {stage}\n")
        parts += [_describe(check, caught.get(check.name, ())) for check in checks]
    return "".join(parts)


def find_remedies(check: Check) -> tuple[str, ...]:
    """What a check may tell its user to do: each text that its code gives as ``remedy``, in the order of the code.

    The functions and constants of the checks' package that the check's function uses are looked into as well.
    """
    module = check.run.__module__.rpartition(".")[2]
    return tuple(dict.fromkeys(_walk(module, check.run.__name__, set())))


def _stage_order(check: Check) -> int:
    stages = list(dict.fromkeys(each.stage for each in all_checks()))
    return stages.index(check.stage)


def _describe(check: Check, defects: Sequence[str]) -> str:
    lines = [f"\n### {check.name}\n", f"\n{check.claim}.\n"]
    lines.append(f"\n- **Needs:** {', '.join(f'`{part}`' for part in check.needs) or 'nothing'}\n")
    lines.append(f"- **Catches:** {', '.join(f'`{name}`' for name in defects) or 'none of the catalogue'}\n")
    remedies = find_remedies(check)
    if len(remedies) == 1:
        lines.append(f"- **What to do:** {remedies[0]}\n")
    else:
        lines.append("- **What to do,** by what was seen:\n")
        lines += [f"  - {remedy}\n" for remedy in remedies]
    return "".join(lines)


def _walk(module: str, name: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """The remedies in one definition, and in those that it names."""
    definitions, imports = _read_module(module)
    module, name = imports.get(name, (module, name))
    definitions, _ = _read_module(module)
    if (module, name) in seen or name not in definitions:
        return
    seen.add((module, name))
    for node in ast.walk(definitions[name]):
        if isinstance(node, ast.keyword) and node.arg == "remedy":
            yield from _say_texts(node.value)
        elif isinstance(node, ast.Name):
            yield from _walk(module, node.id, seen)


def _say_texts(value: ast.expr) -> Iterator[str]:
    """The text, or the texts that it is chosen from, with a slot for what is filled in; none where it comes in."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield escape(value.value)
    elif isinstance(value, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else SLOT for part in value.values]
        yield escape("".join(map(str, parts)))
    elif isinstance(value, ast.IfExp):
        yield from _say_texts(value.body)
        yield from _say_texts(value.orelse)


@cache
def _read_module(name: str) -> tuple[dict[str, ast.stmt], dict[str, tuple[str, str]]]:
    """What a module of the checks defines, and what it imports from another: name to (module, name there)."""
    file = resources.files(PACKAGE) / f"{name}.py"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            definitions |= {target.id: node for target in targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}."):
            home = (node.module or "").rpartition(".")[2]
            imports |= {alias.asname or alias.name: (home, alias.name) for alias in node.names}
    return definitions, imports


def main(pages: list[str]) -> None:
    """Write the page."""
    for page in map(Path, pages):
        caught = json.loads((page.parent / CAUGHT).read_text(encoding="utf-8"))
        write_whole(page, write_checks_page(caught).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
