"""Prompts: nothing of the answer is in them, nothing of the question is cut off, and training sees the same ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence, Row
from harness.checks.overlap import split_words
from harness.checks.prompt_ids import (
    SHORT_TEXTS,
    describe_difference,
    encoded_prompts,
    find_bulk,
    surroundings,
)

LONGEST = 4
"""Long rows whose prompts are compared with those of short texts."""
LOOKED_AT = 100
"""Rows of each split whose prompts are written."""
TELLING = 4
"""Words from which on a text does not stand in a prompt by chance."""
ODD_TEXTS = ("Two  spaces,\ta tab and\na line", " ends with a space ", "naïve café — 😀", "a.b,c;d", "CamelCase x1y2")
"""Texts on which two tokenizers for one vocabulary disagree first."""


@check("I9", "data", needs=("prompt",))
def prompts_hold_no_answers(evidence: Evidence) -> str:
    """No prompt shows the row that it asks about as a solved example, nor the answer."""
    splits = evidence.splits() if evidence.has("splits") else {"rows": evidence.rows()}
    looked_at = 0
    for name, rows in splits.items():
        sample = rows[:LOOKED_AT]
        told = [place for place, row in enumerate(sample) if _tells_answer(evidence, row)]
        looked_at += len(sample)
        if told:
            raise CheckFailed(
                f'{len(told)} of {len(sample)} prompts of the split "{name}" hold the answer of their own row, the '
                f"first is that of row {told[0]}: {str(evidence.column(sample[told[0]], 'target'))[:60]!r}.",
                suspects=("fewshot-demo-is-the-eval-item", "train-eval-exact-overlap"),
                remedy="Draw the solved examples from the training split, and leave out the row that is asked about.",
            )
    return f"{looked_at} prompts"


@check("I13", "tokenization", needs=("tokenizer",))
def long_prompts_keep_both_ends(evidence: Evidence) -> str:
    """In the longest rows too, what stands before and behind the text in the prompt is read."""
    rows = [row for split in evidence.splits().values() for row in split] if evidence.has("splits") else evidence.rows()
    if isinstance(evidence.column(rows[0], "target"), Mapping):
        raise CheckSkipped("answers are places in the text, which cannot be changed without them")
    column = find_bulk(evidence, rows)
    longest = sorted(rows, key=lambda row: len(row[column]))[-LONGEST:]
    lost = {path: _find_lost(evidence, path, longest, column) for path in ("encode", "encode_prompt")}
    found = {path: ends for path, ends in lost.items() if ends}
    if found:
        head = any("first" in ends for ends in found.values())
        ranking = ("eval-context-left-truncated", "prompt-truncated-on-wrong-side")
        if not head or "encode" in found:
            ranking = ranking[::-1]
        told = "; ".join(f"{path} loses {' and '.join(ends.values())}" for path, ends in found.items())
        raise CheckFailed(
            f"In the {len(longest)} rows with most words in the column {column}, up to "
            f"{len(longest[-1][column].split())}, {told}.",
            suspects=ranking if head else ranking[:1],
            remedy="Cut the long text before it is put into the prompt, and never the prompt; count what was cut.",
        )
    paths = [path for path in lost if evidence.has(path)]
    if not paths:
        raise CheckSkipped("the pipeline has no encode and no encode_prompt")
    return f"{' and '.join(paths)}, {len(longest)} rows"


@check("I2", "tokenization", needs=("encode", "encode_prompt", "tokenizer"))
def training_and_generation_prompts_are_the_same(evidence: Evidence) -> str:
    """For the same row, training and generation put the same ids before the answer."""
    tokenizer = evidence.part("tokenizer")
    rows = sorted(evidence.rows(), key=lambda row: len(str(evidence.column(row, "input"))))
    plain, odd = rows[: len(rows) // 2], _odd_rows(evidence, rows)
    for kind, sample in (("own", plain), ("odd", odd)):
        trained = encoded_prompts(evidence, "encode", sample)
        asked = encoded_prompts(evidence, "encode_prompt", sample)
        if len(trained) != len(sample):
            raise CheckSkipped("the labels do not say where a prompt ends, or rows become several features")
        differing = [place for place in range(len(sample)) if trained[place] != asked[place]]
        if differing:
            row = differing[0]
            seen, suspects = describe_difference(
                trained[row],
                asked[row],
                begin=tokenizer.bos_token_id,
                decode=tokenizer.decode,
                prefix=evidence.declared("prefix"),
            )
            if kind == "odd" and suspects[0] != "prompt-completion-boundary-merge":
                suspects = ("slow-fast-tokenizer-mismatch", "train-inference-prompt-skew")
            raise CheckFailed(
                f"The prompts of {len(differing)} of {len(sample)} {kind} rows differ; in row {row} {seen}.",
                suspects=suspects,
                remedy="Build prompts by one function with one tokenizer, and use it in training and in generation.",
            )
    return f"{len(plain)} rows of the pipeline's own and {len(odd)} with odd texts"


@check("I12", "tokenization", needs=("tokenizer",))
def inputs_begin_with_the_prefix(evidence: Evidence) -> str:
    """Every input of training and of generation begins with the declared prefix."""
    prefix = evidence.declared("prefix")
    if not prefix:
        raise CheckSkipped("no prefix is declared")
    rows, decode = evidence.rows(), evidence.part("tokenizer").decode
    wanted = split_words(prefix)
    shown = {
        path: [decode(ids, skip_special_tokens=True) for ids in encoded_prompts(evidence, path, rows)]
        for path in ("encode", "encode_prompt")
        if evidence.has(path)
    }
    if evidence.has("prompt"):
        shown["prompt"] = [_text(evidence.call("prompt", row)) for row in rows]
    for path, texts in shown.items():
        without = [text for text in texts if split_words(text)[: len(wanted)] != wanted]
        if without:
            raise CheckFailed(
                f"{len(without)} of {len(texts)} inputs of {path} do not begin with {prefix!r}; one begins with "
                f"{without[0][:40]!r}. A model that was trained with a prefix does not know what to do without.",
                suspects=("missing-task-prefix",),
                remedy="Put the prefix before each input in one place that training, generation and the base share.",
            )
    return f"{prefix!r} in {', '.join(shown)}"


@check("I13", "tokenization", needs=("generate", "encode_prompt", "make_model", "tokenizer"))
def the_model_reads_whole_prompts(evidence: Evidence) -> str:
    """What the model is given when it generates is what encode_prompt gives, token for token."""
    from harness.checks.readings import reading, strip  # noqa: PLC0415 - checks of text alone need no torch

    tokenizer, rows = evidence.part("tokenizer"), evidence.rows()
    model = evidence.model()
    prompts = [strip(ids, tokenizer.pad_token_id) for ids in encoded_prompts(evidence, "encode_prompt", rows)]
    with reading(model, tokenizer.pad_token_id) as read:
        evidence.generate(model, rows)
    if not read:
        raise CheckSkipped("the model was not called by generate")
    unread = [prompt for prompt in prompts if prompt not in set(read)]
    if unread:
        closest = max(read, key=lambda ids: len(set(ids) & set(unread[0])))
        seen, suspects = describe_difference(
            unread[0], closest, begin=tokenizer.bos_token_id, decode=tokenizer.decode, prefix=None
        )
        if len(closest) < len(unread[0]):
            suspects = ("eval-context-left-truncated", "prompt-truncated-on-wrong-side")
            seen = f"the model read {len(closest)} of its {len(unread[0])} tokens"
        raise CheckFailed(
            f"{len(unread)} of {len(prompts)} prompts did not reach the model as they were encoded; of the first, "
            f"{seen}.",
            suspects=suspects,
            remedy="Refuse a prompt that does not fit, or shorten its text; never cut it silently before generating.",
        )
    return f"{len(prompts)} prompts"


def _tells_answer(evidence: Evidence, row: Row) -> bool:
    """Whether a row's prompt holds its input twice, or its target more often than its input does."""
    prompt = " ".join(split_words(_text(evidence.call("prompt", row))))
    source, target = (" ".join(split_words(_text(evidence.column(row, side)))) for side in ("input", "target"))
    others = " ".join(split_words(_text(row if isinstance(row, Mapping) else vars(row))))
    twice = _is_telling(source) and prompt.count(source) > max(1, source.count(source))
    allowed = others.count(target) - 1 if target else 0
    return twice or (_is_telling(target) and target not in source and prompt.count(target) > allowed)


def _is_telling(text: str) -> bool:
    return len(text.split()) >= TELLING


def _find_lost(evidence: Evidence, path: str, rows: Sequence[Row], column: str) -> dict[str, str]:
    """Which ends of the prompts are missing in some of the rows: "first" and "last", each with what it should be."""
    lost: dict[str, str] = {}
    if not evidence.has(path):
        return lost
    decode, closing = evidence.part("tokenizer").decode, set(evidence.part("tokenizer").all_special_ids)
    for row in rows:
        first, last = surroundings(encoded_prompts(evidence, path, [{**row, column: text} for text in SHORT_TEXTS]))
        prompts = encoded_prompts(evidence, path, [row])
        if path == "encode_prompt" and evidence.has("prompt"):
            begin = " ".join(split_words(_text(evidence.call("prompt", row)))[:TELLING])
            if any(begin not in " ".join(split_words(decode(prompt))) for prompt in prompts):
                lost["first"] = f"the beginning {begin!r}"
        if any(prompt[: len(first)] != first for prompt in prompts):
            lost["first"] = f"the beginning {decode(first)[:60]!r}"
        if not set(last) <= closing and any(prompt[-len(last) :] != last for prompt in prompts):
            lost["last"] = f"the end {decode(last)[-60:]!r}"
    return lost


def _odd_rows(evidence: Evidence, rows: Sequence[Row]) -> list[Row]:
    """Rows of the user's with texts on which tokenizers disagree, special and added tokens among them."""
    added = list(getattr(evidence.part("tokenizer"), "get_added_vocab", dict)())
    texts = [*ODD_TEXTS, *(f"a {token} b{token}c" for token in added[:20])]
    target = evidence.column(rows[0], "target")
    if not isinstance(evidence.column(rows[0], "input"), str):
        return []
    return evidence.with_texts([(text, target) for text in texts])


def _text(value: Any) -> str:
    """What a prompt says, be it a text or a chat."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(_text(entry) for entry in value.values())
    return "\n".join(_text(entry) for entry in value) if isinstance(value, list | tuple) else str(value)
