"""Scores with known answers: metrics against an independent implementation, losses against a recomputation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.known_scores import entity_scores, label_scores, rouge_means, sentence_bleus
from harness.checks.metrics import reference_sample

CLOSE = 1e-4
"""Scores closer than this, as a share of their range, are equal: libraries round, and smooth in different places."""

TEXTS = (
    (
        "The council of Marl met on Monday. It voted for the bridge.",
        "It voted for the bridge. The council of Marl met on Monday.",
    ),
    ("Two boats were lost at sea near the old harbour.", "Two boats lost at sea near the harbours."),
    ("Prices rose by 3 percent in May.", "In May prices were rising by 3 percent."),
    ("The listen team won a silent cup.", "The silent team won a listen cup."),
    ("A new school opened in the north.", "A school in the north has a new roof."),
)
"""Reference and output; reordered sentences, inflected words, reordered words, anagrams."""
LABELS = (tuple("aaaabbbcccccd"), tuple("aabbbbacccadd"))
TAGS = (
    (["B-X", "I-X", "O", "B-Y"], ["O", "B-X", "I-X", "O"], ["B-Y", "B-Y", "O", "O"]),
    (["I-X", "I-X", "O", "B-Y"], ["O", "B-X", "I-X", "O"], ["B-Y", "I-Y", "O", "O"]),
)
"""Gold tags and tags of which the first entity starts with I-, which the strict scheme does not count."""


@check("I11", "metric", needs=("metric",))
def known_scores_are_reproduced(evidence: Evidence) -> str:
    """ROUGE, BLEU, accuracy and F1 agree with independent implementations on texts made for the purpose."""
    references = reference_sample(evidence)
    meant: list[Any]
    said: list[Any]
    if isinstance(references[0], str):
        pairs = _as_labels(references) if _are_labels(references) else TEXTS
        meant, said = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        meant, said = [list(tags) for tags in TAGS[0]], [list(tags) for tags in TAGS[1]]
    found = evidence.score("metric", said, meant)
    agreed = []
    for name, value in found.items():
        known = _known(name, said, meant)
        if not known:
            continue
        if not any(_equal(value, 100 * score) for score in known.values()):
            nearest = sorted(known.items(), key=lambda entry: abs(100 * entry[1] - value))[:3]
            near = ", ".join(f"{100 * score:.2f} ({which})" for which, score in nearest)
            raise CheckFailed(
                f"{name} of a known set of {len(said)} outputs is {value:.4f}; independently computed: {near}.",
                suspects=_name_difference(name, value, found, said, meant),
                remedy="Compare with the field's library on the same texts: what each row scores, how rows become one "
                "number, and how texts are cut into words and sentences.",
            )
        agreed.append(f"{name} {value:.2f}")
    if not agreed:
        raise CheckSkipped(f"no known answers for {', '.join(found) or 'nothing'}")
    return f"as independently computed: {', '.join(agreed)}"


@check("I11", "metric", needs=("metric",))
def sentences_are_split_for_rougelsum(evidence: Evidence) -> str:
    """RougeLsum sees the sentences of a text, so reordered ones cost less than in rougeL."""
    references = reference_sample(evidence)
    if not isinstance(references[0], str) or not any(re.search(r"[.!?]\s+\S", text) for text in references):
        raise CheckSkipped("the references have one sentence each")
    meant, said = TEXTS[0]
    found = {name.lower(): value for name, value in evidence.score("metric", [said, said], [meant, meant]).items()}
    if "rougelsum" not in found or "rougel" not in found:
        raise CheckSkipped("no rougeL and rougeLsum are computed")
    if _equal(found["rougelsum"], found["rougel"]):
        raise CheckFailed(
            f"rougeL and rougeLsum are both {found['rougel']:.2f} for two sentences in another order.",
            suspects=("rougelsum-without-newlines", "newline-lost-in-sentencepiece"),
            remedy="Put each sentence on a line of its own before rougeLsum, in outputs and references alike.",
        )
    return f"reordered sentences: rougeL {found['rougel']:.2f}, rougeLsum {found['rougelsum']:.2f}"


@check("I3", "metric", needs=("evaluate_loss", "make_model"))
def evaluation_loss_does_not_depend_on_batches(evidence: Evidence) -> str:
    """The evaluation loss is the same for every batch size and order of rows."""
    evidence.require("evaluate_loss", "batch_size")
    rows = _ragged_rows(evidence)
    model = evidence.model()

    def measure(chosen: Sequence[Any], batch_size: int) -> float:
        value = evidence.call("evaluate_loss", model, list(chosen), batch_size=batch_size)
        if not isinstance(value, int | float):
            raise PartError(f"evaluate_loss returned a {type(value).__name__}; expected a number.")
        return float(value)

    whole = measure(rows, len(rows))
    seen = {size: measure(rows, size) for size in (1, 3)} | {len(rows): whole}
    turned = measure(rows[::-1], 3)
    apart = [size for size, value in seen.items() if not math.isclose(value, whole, rel_tol=CLOSE)]
    if apart or not math.isclose(turned, seen[3], rel_tol=CLOSE):
        # Alone, no row is padded; and if each row then has its due weight, only padding is left to blame.
        alone = [measure([row], 1) for row in rows]
        mean_of_rows = math.isclose(seen[1], sum(alone) / len(alone), rel_tol=1e-6)
        same_row = measure([rows[0]] * 3, 3), measure([rows[0]] * 3, 2)
        padded = measure([rows[0], rows[-1]], 2), measure([rows[0], rows[-1]], 1)
        pads_matter = mean_of_rows is False or not math.isclose(*same_row, rel_tol=CLOSE)
        suspects = ("loss-mean-of-batch-means", "perplexity-counts-padding", "last-partial-batch-dropped")
        if pads_matter and not math.isclose(*padded, rel_tol=CLOSE):
            suspects = ("perplexity-counts-padding", "loss-mean-of-batch-means", "seq2seq-pad-not-masked")
        listed = ", ".join(f"{value:.5f} at batch size {size}" for size, value in seen.items())
        raise CheckFailed(
            f"The evaluation loss of {len(rows)} rows is {listed}, and {turned:.5f} in reverse order at batch size 3.",
            suspects=suspects,
            remedy="Sum the loss over supervised tokens and divide once by their number; give padding the label -100.",
        )
    return f"{len(rows)} rows: {whole:.5f} at batch sizes 1, 3 and {len(rows)}"


@check("I11", "metric", needs=("aggregate",))
def subtasks_are_averaged_as_declared(evidence: Evidence) -> str:
    """Scores of unequal subtasks are averaged over rows or over subtasks, as declared."""
    declared = evidence.declared("metric_average")
    if declared is None:
        raise CheckSkipped("declared.metric_average is not set")
    scores = {"large": [100.0] * 9 + [0.0], "small": [0.0, 0.0]}
    every = [score for rows in scores.values() for score in rows]
    expected = {"micro": sum(every) / len(every), "macro": sum(sum(r) / len(r) for r in scores.values()) / len(scores)}
    found = float(evidence.call("aggregate", scores))
    if not _equal(found, expected[declared]):
        raise CheckFailed(
            f"Two subtasks of 10 rows (mean 90) and 2 rows (mean 0) become {found:.2f}; declared is {declared}, "
            f"{expected[declared]:.2f}.",
            suspects=("subtask-average-changed", "loss-mean-of-batch-means"),
            remedy="Average over all rows (micro) or over subtasks (macro), and say which in the metric's signature.",
        )
    return f"{declared}: {found:.2f}"


@check("I11", "metric", needs=("extract",))
def right_answers_are_extracted_from_any_wording(evidence: Evidence) -> str:
    """A right answer is credited however it is worded."""
    credited = {
        answer: [form for form in _wordings(answer) if _credits(evidence, form, answer)] for answer in ("42", "B")
    }
    answer = max(credited, key=lambda answer: len(credited[answer]))
    forms = _wordings(answer)
    if len(credited[answer]) < len(forms) * 3 / 4:
        missed = [form for form in forms if form not in credited[answer]]
        raise CheckFailed(
            f"Of {len(forms)} wordings of the answer {answer!r} {len(credited[answer])} are credited; missed are "
            f"{', '.join(map(repr, missed[:4]))}.",
            suspects=("answer-extraction-format-sensitive",),
            remedy="Take the last answer-like thing of the text, or report how often none is found, for each arm.",
        )
    return f"{len(credited[answer])} of {len(forms)} wordings of {answer!r} are credited"


def _wordings(answer: str) -> list[str]:
    frames = (
        "{}", "{}.", "The answer is {}.", "the answer is {}", "Answer: {}", "#### {}", "**{}**", "So it is {}.",
        "\\boxed{{{}}}", "Therefore, the answer is **{}**.", "Final answer: {}", "I think the result is {}.",
        "Let me think. First we look at it closely.\nThe answer is {}", "= {}", "Result = {}", "It must be {}!",
        "({})", "The correct answer is: {}", "That gives {}.", "Thus {}",
    )  # fmt: skip
    return [frame.format(answer) for frame in frames]


def _credits(evidence: Evidence, text: str, answer: str) -> bool:
    found = evidence.call("extract", text)
    return found is not None and str(found).strip().strip(".").lower() == answer.lower()


def _known(name: str, said: Sequence[Any], meant: Sequence[Any]) -> dict[str, float]:
    """What a score of this name may be, 0 to 1, under each convention of the field."""
    name = name.lower().replace("-", "").replace("_", "")
    if not isinstance(meant[0], str):
        return entity_scores(said, meant) if name.endswith("f1") else {}
    if name in {"rouge1", "rouge2", "rougel", "rougelsum"}:
        return rouge_means(name, said, meant)
    if name.endswith("bleu"):
        return sentence_bleus(said, meant)
    return label_scores(name, said, meant) if _are_labels(meant) else {}


def _name_difference(
    name: str, value: float, found: Mapping[str, float], said: Sequence[Any], meant: Sequence[Any]
) -> tuple[str, ...]:
    """Which fault gives this value."""
    lower = name.lower()
    if not isinstance(meant[0], str):
        return ("seqeval-lenient-default", "f1-of-averaged-precision-recall")
    if "bleu" in lower:
        on_characters = sentence_bleus([" ".join(text) for text in said], [" ".join(text) for text in meant])
        nearer = min(abs(value - 100 * score) for score in on_characters.values())
        expected = min(abs(value - 100 * score) for score in sentence_bleus(said, meant).values())
        if nearer < expected:
            return ("bleu-on-characters", "bleu-tokenisation-mismatch", "bleu-references-transposed")
        return ("bleu-references-transposed", "bleu-tokenisation-mismatch", "bleu-on-characters")
    if lower.endswith("sum"):
        return ("rougelsum-without-newlines", "f1-of-averaged-precision-recall", "rouge-bootstrap-not-mean")
    return ("f1-of-averaged-precision-recall", "rouge-bootstrap-not-mean", "metric-state-shared-or-stale")


def _are_labels(references: Sequence[Any]) -> bool:
    """Whether texts are class names: single words, some of which occur again."""
    return all(isinstance(text, str) and " " not in text.strip() for text in references) and (
        len(set(references)) < len(references)
    )


def _as_labels(references: Sequence[str]) -> list[tuple[str, str]]:
    """The known set of labels, with the user's own names."""
    names = sorted(set(references))
    place: Callable[[str], str] = lambda letter: names[(ord(letter) - ord("a")) % len(names)]  # noqa: E731
    return [(place(meant), place(said)) for meant, said in zip(*LABELS, strict=True)]


def _ragged_rows(evidence: Evidence) -> list[Any]:
    """Rows of unequal length, the shortest first, as many as make a short last batch."""
    rows = evidence.rows()[:7]
    try:
        long = " ".join(str(evidence.column(row, "target")) for row in rows[:2])
        shorter = [(evidence.column(row, "input"), str(evidence.column(row, "target")).split()[0]) for row in rows[:2]]
        extra = evidence.with_texts([*shorter, (evidence.column(rows[0], "input"), long)])
        evidence.features(extra)
    except Exception:  # noqa: BLE001 - targets that are classes or tags cannot be made longer
        extra = []
    return [*extra, *rows][:7]


def _equal(value: float, percent: float) -> bool:
    """Whether a score is the expected one, be it reported as a share or in percent."""
    return any(math.isclose(value, percent * unit, rel_tol=CLOSE, abs_tol=CLOSE * 100 * unit) for unit in (1.0, 0.01))
