"""Independent scores of outputs, under each convention that the field knows: pure functions, shares from 0 to 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

BINARY = 2
"""With so many classes, F1 may mean that of one of them."""


def rouge_means(kind: str, outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """The mean ROUGE F-measure of the rows, with and without stemming, sentences split for rougeLsum.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries", by the library rouge_score.
    """
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - checks of other stages do without

    name = {"rougel": "rougeL", "rougelsum": "rougeLsum"}.get(kind, kind)
    found = {}
    for stemmer in (True, False):
        scorer = RougeScorer([name], use_stemmer=stemmer)
        scores = [
            scorer.score(_lines(reference), _lines(output))[name].fmeasure
            for output, reference in zip(outputs, references, strict=True)
        ]
        found["with stemmer" if stemmer else "without stemmer"] = sum(scores) / len(scores)
    return found


def sentence_bleus(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Corpus BLEU under each tokenizer, with and without case, and the mean of the rows' BLEU.

    Source: Post 2018, "A Call for Clarity in Reporting BLEU Scores", by the library sacrebleu.
    """
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415

    found = {}
    for tokenizer in ("13a", "intl", "none"):
        for lowercase in (False, True):
            key = tokenizer + ", lower case" * lowercase
            corpus = BLEU(tokenize=tokenizer, lowercase=lowercase)
            found[key] = corpus.corpus_score(list(outputs), [list(references)]).score / 100
            scorer = BLEU(tokenize=tokenizer, lowercase=lowercase, effective_order=True)
            rows = [
                scorer.sentence_score(output, [reference]).score / 100
                for output, reference in zip(outputs, references, strict=True)
            ]
            found[f"{key}, mean of rows"] = sum(rows) / len(rows)
    return found


def label_scores(name: str, outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Accuracy, precision, recall or F1 of class names, averaged in each usual way; nothing for another name.

    Source: Sokolova and Lapalme 2009, "A systematic analysis of performance measures for classification tasks".
    """
    matched = Counter(output for output, reference in zip(outputs, references, strict=True) if output == reference)
    said, meant = Counter(outputs), Counter(references)
    accuracy = sum(matched.values()) / len(references)
    if name.endswith(("accuracy", "exactmatch")):
        return {"accuracy": accuracy}
    kind = next((kind for kind in ("precision", "recall", "f1") if name.endswith(kind)), None)
    if kind is None:
        return {}
    below: dict[str, float] = {
        label: {"precision": said[label], "recall": count, "f1": (said[label] + count) / 2}[kind]
        for label, count in meant.items()
    }
    each = {label: matched[label] / number if number else 0.0 for label, number in below.items()}
    everything = set(said) | set(meant)
    return {
        "micro": accuracy,
        "macro over gold classes": sum(each.values()) / len(each),
        "macro over all classes": sum(each.values()) / len(everything),
        "weighted": sum(each[label] * count for label, count in meant.items()) / len(references),
        **({f"of {label}": score for label, score in each.items()} if len(everything) == BINARY else {}),
    }


def entity_scores(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """F1 over entities, strict BIO: an entity starts with B-, and counts where type and both ends are right.

    Over all entities, and averaged over the types of the references.

    Source: Nakayama 2018, seqeval, mode "strict" with scheme IOB2.
    """
    said = {(row, *entity) for row, tags in enumerate(outputs) for entity in _entities(tags)}
    meant = {(row, *entity) for row, tags in enumerate(references) for entity in _entities(tags)}
    kinds = sorted({entity[1] for entity in meant})
    each = {
        kind: _f1({entity for entity in said if entity[1] == kind}, {entity for entity in meant if entity[1] == kind})
        for kind in kinds
    }
    return {
        "strict": _f1(said, meant),
        "strict, macro": sum(each.values()) / len(each) if each else 0.0,
    }


def _f1(said: set[tuple[int, str, int, int]], meant: set[tuple[int, str, int, int]]) -> float:
    return 2 * len(said & meant) / (len(said) + len(meant)) if said or meant else 0.0


def _entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """(type, start, end) of each entity that starts with B-."""
    found, start = [], None
    for place, tag in enumerate([*tags, "O"]):
        if start is not None and tag != f"I-{tags[start][2:]}":
            found.append((tags[start][2:], start, place))
            start = None
        if tag.startswith("B-"):
            start = place
    return found


def _lines(text: str) -> str:
    return text.replace(". ", ".\n")
