"""ROUGE beside rouge_score, and encoding beside ``datasets.map``: ratios of processor time, measured in turns.

``python -m harness.benchmark.scoring_speed --outputs FILE --references FILE`` reads a text a line, packed by gzip or
not; without files it takes summaries of the newsroom.
"""

from __future__ import annotations

import gzip
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import datasets
from rouge_score.rouge_scorer import RougeScorer

from harness.config import Experiment, load_experiment
from harness.data.rows import Row
from harness.data.source import load_splits
from harness.forms import choose_form
from harness.metrics.fast_rouge import KINDS
from harness.metrics.metric import Output
from harness.metrics.rouge import Rouge, split_sentences
from harness.tasks import TASKS

ROUNDS = 5


def measure_ratio(ours: Callable[[], object], theirs: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """The median of their processor time over ours; each goes first every other time.

    Other work on the machine stretches the clock, and hardly the processor time.
    """

    def seconds(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    ratios = []
    for number in range(rounds):
        pair = (ours, theirs) if number % 2 else (theirs, ours)
        taken = {work: seconds(work) for work in pair}
        ratios.append(taken[theirs] / taken[ours])
    return statistics.median(ratios)


def measure_rouge(texts: Sequence[str], references: Sequence[str], *, stemmer: bool, again: bool, rounds: int) -> float:
    """How many times as fast as rouge_score the same texts get the same four scores, one reference each.

    Args:
        texts: the outputs.
        references: what they are compared with.
        stemmer: whether words are stemmed.
        again: whether the words are known from an earlier arm; else each is new.
        rounds: how often both are measured.
    """
    rows = [Row(id=str(number), input="", target=reference) for number, reference in enumerate(references)]
    outputs = [Output(text=text) for text in texts]
    library, known = RougeScorer(list(KINDS), use_stemmer=stemmer), Rouge(stemmer=stemmer)
    if again:
        known.score(outputs, rows)

    def by_library() -> None:
        for text, reference in zip(texts, references, strict=True):
            library.score_multi([split_sentences(reference)], split_sentences(text))

    return measure_ratio(
        lambda: (known if again else Rouge(stemmer=stemmer)).score(outputs, rows), by_library, rounds=rounds
    )


def measure_encoding(experiment: Experiment, *, rounds: int = ROUNDS) -> float:
    """How many times as fast as ``datasets.map``, in batches with the fast tokenizer, a form encodes the same rows."""
    task, limits = TASKS[experiment.task], experiment.encoding
    rows, form = load_splits(experiment.data, task).train, choose_form(experiment)
    loaded = form.load(rows)
    tokenizer = loaded.tokenizer
    texts = {"input": [task.write_prompt(row, task.prefix) for row in rows], "target": [row.target for row in rows]}
    held = datasets.Dataset.from_dict(texts)

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        encoded = tokenizer(batch["input"], truncation=True, max_length=limits.max_input_tokens)
        targets = tokenizer(text_target=batch["target"], truncation=True, max_length=limits.max_target_tokens)
        return {**encoded, "labels": targets["input_ids"]}

    def by_map() -> object:
        return held.map(encode, batched=True, remove_columns=list(texts), load_from_cache_file=False)

    for work in (by_map, lambda: form.encode(rows, loaded)):
        work()
    return measure_ratio(lambda: form.encode(rows, loaded), by_map, rounds=rounds)


@click.command()
@click.option("--outputs", type=click.Path(exists=True, path_type=Path), help="Outputs, one a line.")
@click.option("--references", type=click.Path(exists=True, path_type=Path), help="Their references, one a line.")
@click.option("--rounds", default=ROUNDS, show_default=True, help="How often each pair is measured.")
def main(outputs: Path | None, references: Path | None, rounds: int) -> None:
    """Measure how fast texts are scored and rows encoded."""
    if outputs is None or references is None:
        rows = load_splits(
            load_experiment("summarization-full").override({"data.train_rows": 2000}).data, TASKS["summarization"]
        ).train
        texts, targets = [row.target for row in rows[::-1]], [row.target for row in rows]
    else:
        texts, targets = read_lines(outputs), read_lines(references)
    for stemmer in (True, False):
        for again in (False, True):
            ratio = measure_rouge(texts, targets, stemmer=stemmer, again=again, rounds=rounds)
            words = "known words" if again else "new words"
            click.echo(f"ROUGE, {'with' if stemmer else 'without'} stemmer, {words}: {ratio:.1f} times rouge_score")
    datasets.disable_progress_bars()
    for name in ("summarization", "translation", "generation"):
        ratio = measure_encoding(load_experiment(f"{name}-full").override({"data.train_rows": 2000}), rounds=rounds)
        click.echo(f"encoding, {name}: {ratio:.2f} times datasets.map")


def read_lines(path: Path) -> list[str]:
    """The lines of a file, packed or not."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8").splitlines()


if __name__ == "__main__":
    main()
