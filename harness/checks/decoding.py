"""Checks of what becomes of generated tokens: the output is what the model says, no more and no less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.generating import Generation, closing_token, differing, listen, quote, uneven_rows
from harness.checks.oracle import knowing, speaking

LONG = 40
"""Words of the long answer."""


@check("I11", "generation", needs=("generate", "make_model", "tokenizer"))
def an_empty_answer_stays_empty(evidence: Evidence) -> str:
    """A model that stops at once gives an empty output, whatever it has read."""
    model, rows = evidence.model(), uneven_rows(evidence)
    outputs, heard = _say(evidence, model, rows, [closing_token(evidence, model)])
    if any(_least(call) > 0 for call in heard):
        raise CheckSkipped("generation is told to write a least number of tokens")
    wrong = [place for place, output in enumerate(outputs) if output.strip()]
    if not wrong:
        return f"{len(rows)} empty outputs"
    copied = sum(_is_copied(outputs[place], evidence, rows[place]) for place in wrong)
    raise CheckFailed(
        f"The model wrote nothing but its closing token, and yet {len(wrong)} of {len(rows)} outputs are not empty; "
        f"row {wrong[0]}: {quote(outputs[wrong[0]])}. {copied} of them hold words of the row's own input.",
        suspects=("prompt-kept-in-prediction",) if copied else ("dropout-active-in-eval", "prompt-kept-in-prediction"),
        remedy="Cut the generated ids at the padded width of the prompts (input_ids.shape[1]), then decode without "
        "special tokens.",
    )


@check("I11", "generation", needs=("generate", "make_model", "tokenizer"))
def the_output_is_what_the_model_says(evidence: Evidence) -> str:
    """A model that says a text and stops gives that text as output: short or long, whatever it has read."""
    model, rows, tokenizer = evidence.model(), uneven_rows(evidence), evidence.part("tokenizer")
    stop = closing_token(evidence, model)
    limit = evidence.declared("max_new_tokens") or 10_000
    for text in _answers(evidence, rows):
        tokens = tokenizer(text_target=text, add_special_tokens=False)["input_ids"][: limit - 1]
        outputs, heard = _say(evidence, model, rows, [*tokens, stop])
        expected = tokenizer.decode(tokens, skip_special_tokens=True)
        wrong = differing([_plain(expected)] * len(rows), [_plain(output) for output in outputs])
        if wrong:
            output = outputs[wrong[0]]
            what, suspects = _difference(_plain(expected), _plain(output))
            settings = heard[0].settings if heard else {}
            raise CheckFailed(
                f"The model wrote {quote(expected)} ({len(tokens)} tokens) and stopped; in {len(wrong)} of {len(rows)} "
                f"rows the output is {what}: {quote(output)}. Length settings: max_new_tokens "
                f"{settings.get('max_new_tokens')}, max_length {settings.get('max_length')}.",
                suspects=suspects,
                remedy="Pass max_new_tokens as declared (without it generation ends at 20 tokens), cut the prompt off "
                "by its padded width, and keep all other tokens.",
            )
    return f"{len(rows)} rows, answers of {len(text.split())} words and less"


def _difference(said: str, got: str) -> tuple[str, tuple[str, ...]]:
    """What became of an answer, and what does such a thing."""
    if got and said.startswith(got):
        return f"its first {len(got)} of {len(said)} letters", ("eval-generation-length-default-20",)
    if not got:
        return "empty", ("eval-generation-length-default-20", "prompt-kept-in-prediction")
    if said.endswith(got):
        return f"its last {len(got)} of {len(said)} letters", ("prompt-kept-in-prediction",)
    return "more than that" if said in got else "something else", ("prompt-kept-in-prediction",)


@check("I1", "generation", needs=("classify", "encode", "make_model", "tokenizer"))
def a_sure_model_is_classified_right(evidence: Evidence) -> str:
    """A model that is sure of a row's label, written as in training, is read as that label."""
    if not evidence.writes_text(evidence.model()):
        raise CheckSkipped("the model has a head for classes, and writes no label")
    rows = _rows_of_each_label(evidence)
    answers, gold = [], []
    for row in rows:
        model: Any = evidence.model()
        if getattr(model, "generation_config", None) is not None:
            model.generation_config.use_cache = False
        (feature,) = evidence.features([row])
        with knowing(model, _continuation_of(feature)):
            answered = evidence.call("classify", model, [row])
        if not isinstance(answered, Sequence) or len(answered) != 1:
            raise PartError(f"classify returned {answered!r} for one row; expected a list with one label name.")
        answers.append(answered[0])
        gold.append(evidence.column(row, "target"))
    wrong = differing(gold, answers)
    if not wrong:
        return f"{len(set(map(str, gold)))} labels, {len(rows)} rows"
    seen = sorted({f"{gold[place]} as {answers[place]}" for place in wrong})
    raise CheckFailed(
        f"The model was sure of the label, and {len(wrong)} of {len(rows)} rows were read as another: "
        f"{', '.join(seen)}.",
        suspects=("label-verbaliser-token-collision",),
        remedy="Compare the log-likelihood of whole label names, tokenized with the space that they have in training: "
        "first pieces may be shared.",
    )


def _rows_of_each_label(evidence: Evidence) -> list[Any]:
    """Up to two rows of each label that there is."""
    chosen: dict[str, list[Any]] = {}
    for row in evidence.rows(64):
        chosen.setdefault(str(evidence.column(row, "target")), []).append(row)
    if len(chosen) < 2:  # noqa: PLR2004 - otherwise nothing can be taken for another
        raise CheckSkipped("the rows have fewer than two labels")
    return [row for rows in list(chosen.values())[:8] for row in rows[:2]]


def _continuation_of(feature: Any) -> Any:
    """A truth for `knowing`: behind the beginning of a training example, its next token."""
    labels = [label for label in feature["labels"] if label >= 0]
    whole = list(feature["input_ids"])

    def truth(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        written = inputs.get("decoder_input_ids", inputs.get("labels"))
        if written is not None:
            offset = 1 if "decoder_input_ids" in inputs else 0
            known = torch.full_like(written, -1)
            for place in range(min(written.shape[1], len(labels))):
                same = (written[:, offset : place + offset] == torch.tensor(labels[:place])).all(1)
                known[:, place] = torch.where(same, labels[place], -1)
            return known
        ids = inputs["input_ids"]
        known = torch.full_like(ids, -1)
        for row, read in enumerate(ids.tolist()):
            padded = int((inputs["attention_mask"][row].cumsum(0) == 0).sum()) if "attention_mask" in inputs else 0
            for place in range(padded, len(read)):
                begun = place + 1 - padded
                if begun < len(whole) and read[padded : place + 1] == whole[:begun]:
                    known[row, place] = whole[begun]
        return known

    return truth


def _say(
    evidence: Evidence, model: torch.nn.Module, rows: Sequence[Any], script: Sequence[int]
) -> tuple[list[str], list[Generation]]:
    """The outputs of a model that says a script, and the calls of ``generate`` that gave them."""
    with speaking(model, script), listen(model) as heard:
        outputs = evidence.generate(model, rows, batch_size=len(rows))
    forced = heard[0].settings.get("forced_bos_token_id") if heard else None
    if forced is None or forced == script[0]:
        return outputs, heard
    # The first step is not the model's to decide, so it has to say its text after that.
    return _say(evidence, model, rows, [forced, *script])


def _answers(evidence: Evidence, rows: Sequence[Any]) -> list[str]:
    """A target of the user's, and a long text of different words."""
    target = evidence.column(rows[0], "target")
    words = " ".join(str(evidence.column(row, "input")) for row in evidence.rows(64)).split()
    different = list(dict.fromkeys(word for word in words if word.isalpha()))
    return [text for text in (target, " ".join(different[:LONG])) if isinstance(text, str) and text.strip()]


def _least(call: Generation) -> int:
    return max(int(call.settings.get(name) or 0) for name in ("min_length", "min_new_tokens"))


def _is_copied(output: str, evidence: Evidence, row: Any) -> bool:
    """Whether an output holds a longer word of the row's input."""
    words = {word for word in str(evidence.column(row, "input")).split() if len(word) > 3}  # noqa: PLR2004 - not "the"
    return any(word in output for word in words)


def _plain(text: str) -> str:
    """A text as far as honest clean-up leaves it alone: without spaces and case."""
    return "".join(text.split()).casefold()
