"""Do the labels of text-writing models mean the target, the whole target, and nothing else?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence
from harness.checks.examples import find_failing
from harness.checks.strategies import visible_texts
from harness.checks.supervision import Lesson, encode_lessons, end_tokens, lessons, squeeze, target_texts

EDGES = 3
HALF = "\N{REPLACEMENT CHARACTER}"
"""What a letter of several bytes leaves where it is cut in two."""
Judge = Callable[[Evidence, Sequence[Lesson]], CheckFailed | None]


@check("I4", "labels", needs=("tokenizer",))
def every_row_teaches_something(evidence: Evidence) -> str:
    """Every row has at least one token that the loss learns from."""
    return _judge(evidence, judge_counts)


@check("I4", "labels", needs=("tokenizer",))
def supervised_labels_decode_to_the_target(evidence: Evidence) -> str:
    """What the loss teaches of each row, decoded, is its target and nothing else."""
    return _judge(evidence, judge_texts)


@check("I4", "labels", needs=("tokenizer",))
def every_target_ends_with_one_supervised_eos(evidence: Evidence) -> str:
    """Each target ends with exactly one token that ends an output, and the loss teaches it."""
    return _judge(evidence, judge_ends)


def _judge(evidence: Evidence, judge: Judge) -> str:
    """Judge the user's own rows, then texts in many scripts put into them."""
    own = lessons(evidence)
    failed = judge(evidence, own)
    if failed:
        raise failed
    seen = f"{len(own)} rows, {sum(len(lesson.taught) for lesson in own)} supervised tokens"
    if evidence.has("encode") and all(isinstance(evidence.column(lesson.row, "target"), str) for lesson in own):
        source = evidence.column(own[0].row, "input")

        def attempt(target: str) -> None:
            try:
                found = judge(evidence, _encode_text(evidence, source, target))
            except CheckSkipped:
                return
            if found:
                raise found

        failing = find_failing(visible_texts(), attempt)
        if failing and isinstance(failing.error, CheckFailed):
            error = failing.error
            raise CheckFailed(f"{error.seen} {failing}", suspects=error.suspects, remedy=error.remedy)
        if failing:
            raise failing.error
        seen += ", and texts in many scripts"
    return seen


def _encode_text(evidence: Evidence, source: object, target: str) -> list[Lesson]:
    return evidence.remember(
        f"lesson {target}", lambda: encode_lessons(evidence, evidence.with_texts([(source, target)]))
    )


def judge_counts(evidence: Evidence, rows: Sequence[Lesson]) -> CheckFailed | None:
    """Whether a row teaches nothing, and why."""
    empty = [lesson for lesson in rows if not lesson.taught]
    if not empty:
        return None
    there = sum(_target(evidence, lesson) in _decode(evidence, lesson.read) for lesson in empty)
    if there:
        return CheckFailed(
            f"{len(empty)} of {len(rows)} rows have no supervised token, though the model reads the target in {there}.",
            suspects=("assistant-mask-all-zero", "labels-all-masked-by-truncation"),
            remedy="Look at how labels are masked: a chat template without {% generation %} marks nothing as said.",
        )
    return CheckFailed(
        f"{len(empty)} of {len(rows)} rows have no supervised token, and nothing of the target is in what is read.",
        suspects=("labels-all-masked-by-truncation", "target-truncation-drops-tail"),
        remedy="Raise max_length, cut the prompt and not the target, or filter such rows and say how many.",
    )


def judge_texts(evidence: Evidence, rows: Sequence[Lesson]) -> CheckFailed | None:
    """Whether the texts that are taught differ from the targets, and how."""
    tokenizer = evidence.part("tokenizer")
    judged = [lesson for lesson in rows if lesson.taught]
    if evidence.declared("completion_only") is not True:
        judged = [lesson for lesson in judged if not teaches_everything(lesson)]
    cut = 0
    frames = set()
    for number, lesson in enumerate(judged):
        padding = 0 if tokenizer.pad_token_id in end_tokens(evidence) else lesson.taught.count(tokenizer.pad_token_id)
        if padding:
            return CheckFailed(
                f"Row {number}: {padding} of {len(lesson.taught)} supervised tokens are padding.",
                suspects=("seq2seq-pad-not-masked",),
                remedy="Set the labels of padding to -100, by position where pad and EOS are one token.",
            )
        said, target = _decode(evidence, lesson.taught), _target(evidence, lesson)
        if target in said:
            start = said.find(target)
            frames.add((said[:start], said[start + len(target) :]))
        elif said and target.startswith(said.rstrip(HALF)):
            cut += 1
        else:
            return _say_difference(evidence, number, lesson, said, target)
    if cut == len(judged) > 1:
        names = ("target-truncation-drops-tail", "labels-all-masked-by-truncation")
        return CheckFailed(
            f"All {cut} targets are cut: the labels hold only their beginning.",
            suspects=names if all(lesson.taught for lesson in rows) else names[::-1],
            remedy="Raise the length limit of targets, or look at what is lost behind the limit.",
        )
    return _judge_frames(evidence, judged, frames)


def _judge_frames(evidence: Evidence, rows: Sequence[Lesson], frames: set[tuple[str, str]]) -> CheckFailed | None:
    """What stands around the target may be a frame, the same in every row; else it is prompt."""
    prompts = [_prompt(evidence, lesson) for lesson in rows]
    leaked = any(before and (prompt.endswith(before) or prompt in before) for before, _ in frames for prompt in prompts)
    if len(frames) <= 1 and not leaked:
        return None
    longest = max((before + after for before, after in frames), key=len)
    return CheckFailed(
        f"The loss also teaches what is not the target, {len(frames)} different texts in {len(rows)} rows, such as "
        f"{longest[-60:]!r}.",
        suspects=("prompt-not-masked", "prompt-completion-boundary-merge"),
        remedy="Mask the labels of the prompt with -100; where all is to be learned, do not declare completion_only.",
    )


def _say_difference(evidence: Evidence, number: int, lesson: Lesson, said: str, target: str) -> CheckFailed:
    """A failure for a target that is not in what is taught."""
    seen = f"Row {number}: the supervised labels say {said[:60]!r}, the target is {target[:60]!r}."
    if said and target.endswith(said):
        lost = target[: -len(said)]
        seq2seq = not set(lesson.taught) <= set(lesson.read)
        names = ("t5-manual-shift-drops-first-token", "prompt-completion-boundary-merge")
        return CheckFailed(
            f"{seen} The beginning, {lost[:30]!r}, is never learned.",
            suspects=names if seq2seq else names[::-1],
            remedy="Give labels as they are and let the model shift them; find the prompt's end by offsets.",
        )
    return CheckFailed(
        seen,
        suspects=("wrong-tokenizer-for-model", "slow-fast-tokenizer-mismatch", "newline-lost-in-sentencepiece"),
        remedy="Tokenize the target with text_target= and with the tokenizer that the model was made for.",
    )


def judge_ends(evidence: Evidence, rows: Sequence[Lesson]) -> CheckFailed | None:
    """Whether the end of an output is not taught exactly once for each text."""
    tokenizer, ends = evidence.part("tokenizer"), end_tokens(evidence)
    if not ends:
        raise CheckSkipped("neither the tokenizer nor the model names a token that ends an output")
    judged = [
        lesson for lesson in rows if lesson.taught and _target(evidence, lesson) in _decode(evidence, lesson.taught)
    ]
    counts = [sum(token in ends for token in lesson.taught) for lesson in judged]
    texts = [len(target_texts(evidence, lesson.row)) for lesson in judged]
    missing = [
        lesson
        for lesson, count in zip(judged, counts, strict=True)
        if not count and not _closes(tokenizer, lesson.taught)
    ]
    if missing:
        masked = any(_ends_unheard(lesson, ends) or _encode_ends(evidence, lesson, ends) for lesson in missing)
        names = ("eos-masked-because-pad-is-eos", "missing-eos-seq2seq-target")
        where = "it is in the text, but masked" if masked else "it is not in the text at all"
        return CheckFailed(
            f"{len(missing)} of {len(judged)} rows never teach EOS ({tokenizer.eos_token!r}): {where}.",
            suspects=names if masked else names[::-1],
            remedy="Close each target with EOS, and mask padding by position, not by the value of pad.",
        )
    many = [
        (count, wanted)
        for count, wanted, lesson in zip(counts, texts, judged, strict=True)
        if count > wanted and not teaches_everything(lesson)
    ]
    if many:
        count, wanted = max(many)
        return CheckFailed(
            f"{len(many)} of {len(judged)} rows teach EOS more than once, up to {count} times for {wanted} texts.",
            suspects=("seq2seq-pad-not-masked",),
            remedy="Mask padding in the labels with -100, and let only one place add EOS.",
        )
    return None


def teaches_everything(lesson: Lesson) -> bool:
    """Whether a decoder-only row is learned as a whole; a token or two may be missing at both ends."""
    size = len(lesson.taught)
    return len(lesson.read) - size <= EDGES and any(
        lesson.read[start : start + size] == lesson.taught for start in range(EDGES)
    )


def _closes(tokenizer: object, ids: Sequence[int]) -> bool:
    """Whether ids end with a special token, white space behind it aside: chat templates have ends of their own."""
    special = set(getattr(tokenizer, "all_special_ids", ())) | set(getattr(tokenizer, "added_tokens_decoder", ()))
    decode = getattr(tokenizer, "decode", str)
    rest = list(ids)
    while rest and rest[-1] not in special and not decode([rest[-1]]).strip():
        rest.pop()
    return bool(rest) and rest[-1] in special


def _ends_unheard(lesson: Lesson, ends: set[int]) -> bool:
    """Whether the model reads an end behind what it is taught."""
    tail = lesson.taught[-8:]
    return any(
        lesson.read[start : start + len(tail)] == tail and lesson.read[start + len(tail)] in ends
        for start in range(len(lesson.read) - len(tail))
    )


def _encode_ends(evidence: Evidence, lesson: Lesson, ends: set[int]) -> bool:
    """Whether encode gives labels with an end, so that collate must have masked it."""
    if not evidence.has("encode"):
        return False
    return any(ends & set(feature.get("labels") or ()) for feature in evidence.features([lesson.row]))


def _prompt(evidence: Evidence, lesson: Lesson) -> str:
    """What the model is asked, as far as it is known as a text."""
    asked = evidence.call("prompt", lesson.row) if evidence.has("prompt") else None
    return squeeze(asked if isinstance(asked, str) else str(evidence.column(lesson.row, "input")))


def _decode(evidence: Evidence, ids: Sequence[int]) -> str:
    return squeeze(evidence.part("tokenizer").decode([token for token in ids if token >= 0], skip_special_tokens=True))


def _target(evidence: Evidence, lesson: Lesson) -> str:
    """The target as this tokenizer can write it."""
    tokenizer = evidence.part("tokenizer")
    texts = target_texts(evidence, lesson.row)
    written = [tokenizer(text_target=text)["input_ids"] for text in texts]
    return squeeze("".join(tokenizer.decode(ids, skip_special_tokens=True) for ids in written))
