"""Fuzz, and write the table of counts: ``python -m tests.fuzz --inputs 10000 --document docs/fuzzing.md``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.engines import ENGINES
from tests.fuzz.targets import TARGETS, find_target
from tests.fuzz.trial import Tally, Trial

BEGIN, END = "<!-- fuzzing -->", "<!-- end -->"
HEAD = ["| target | engine | inputs | success | refused, by error | bugs | s |", "|---|---|---:|---:|---|---:|---:|"]


def say_tally(name: str, engine: str, tally: Tally) -> str:
    """A line of the table."""
    refused = [(kind, count) for kind, count in tally.outcomes.most_common() if kind not in {"success", "bug", "hang"}]
    said = ", ".join(f"{kind} {count:,}" for kind, count in refused)
    return (
        f"| {name} | {engine} | {tally.outcomes.total():,} | {tally.outcomes['success']:,} | {said} "
        f"| {len(tally.bugs)} | {tally.seconds:.0f} |"
    )


def put_lines(document: Path, lines: list[str]) -> None:
    """Put lines into the table of a document: one that is there gives way to a new one of its target and engine."""
    before, begin, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    inside, end, after = rest.partition(END)
    known = {tuple(line.split(" | ")[:2]): line for line in inside.splitlines()[2:] if line.startswith("| ")}
    known |= {tuple(line.split(" | ")[:2]): line for line in lines}
    table = "\n".join([*HEAD, *(known[key] for key in sorted(known))])
    document.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")


def main() -> int:
    """Fuzz what was asked for; 1 where a bug was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", action="append", choices=[target.name for target in TARGETS], default=[])
    parser.add_argument("--engine", choices=list(ENGINES), default="hypothesis")
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--document", type=Path, help="put the counts into its table")
    parser.add_argument("--again", help="one input of --target, as a bug names it")
    options = parser.parse_args()
    names = options.target or [target.name for target in TARGETS]
    if options.again is not None:
        trial = Trial(find_target(names[0]))
        trial(bytes.fromhex(options.again))
        print(trial.tally)
        return bool(trial.tally.bugs)
    found = False
    for name in names:
        began = time.monotonic()
        tally = ENGINES[options.engine](find_target(name), options.inputs)
        line = say_tally(name, options.engine, tally)
        print(f"{line} in all {time.monotonic() - began:.0f} s", flush=True)
        for seen, data in tally.bugs.items():
            found = True
            print(f"  {seen}\n    again: python -m tests.fuzz --target '{name}' --again '{data}'", flush=True)
        if options.document is not None:
            put_lines(options.document, [line])
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
