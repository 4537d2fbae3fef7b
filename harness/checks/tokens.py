"""Tokens: what begins and ends a sequence, what is lost between text and ids, and whether the model knows the ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence, newsroom_rows
from harness.checks.prompt_ids import encoded_prompts
from harness.checks.supervised import Supervised, letters, supervised_rows

CUT_RATE = 0.05
"""Share of targets that may be cut."""
UNKNOWN_RATE = 0.02
"""Share of supervised tokens that may be unknown."""
PROBES = 6
"""Texts on which a model is probed."""
PROBED = 96
"""Tokens of each."""
TAIL = 3
"""Supervised tokens among which the closing one stands: a template may write a line break behind it."""
PIECE = 12
"""Letters of one token, at most: so many are lost where the border of a mask falls inside one."""


@check("I13", "tokenization", needs=("encode", "tokenizer"))
def targets_are_closed(evidence: Evidence) -> str:
    """The supervised tokens of each row end with the token that ends an output."""
    rows = [row for row in supervised_rows(evidence) if row.ids]
    closing = _closing_tokens(evidence)
    if not closing:
        raise CheckSkipped("neither tokenizer nor model names a token that ends a text")
    # Padding that is supervised is a fault of its own, which the checks of labels see; it hides no end from here.
    pad = evidence.part("tokenizer").pad_token_id if evidence.has("tokenizer") else None
    open_rows = [row for row in rows if not closing & set(_without_padding(row.ids, pad, closing)[-TAIL:])]
    if open_rows:
        at_limit = max(len(row.ids) for row in rows)
        cut = [row for row in open_rows if _is_cut(row) or len(row.ids) == at_limit]
        suspects = ("missing-eos-seq2seq-target", "target-truncation-drops-tail")
        if len(open_rows) < len(rows) and 2 * len(cut) > len(open_rows):
            suspects = suspects[::-1]
        elif open_rows[0].causal:
            unmasked = sum(bool(closing & set(row.input_ids[-TAIL:])) for row in open_rows)
            masked = "eos-masked-because-pad-is-eos"
            suspects = (masked, suspects[0]) if unmasked else (suspects[0], masked)
        raise CheckFailed(
            f"{len(open_rows)} of {len(rows)} targets end without a closing token (their last ids are "
            f"{open_rows[0].ids[-TAIL:]}; expected one of {sorted(closing)}), {len(cut)} of them cut short or as long "
            "as any: the model never learns to stop.",
            suspects=suspects,
            remedy="Let the tokenizer add its closing token (text_target=), and keep it when a target is cut.",
        )
    return f"{len(rows)} rows"


def _without_padding(ids: Sequence[int], pad: int | None, closing: set[int]) -> list[int]:
    """Ids without the padding behind them; where padding is a closing token too, they are left as they are."""
    kept = list(ids)
    while kept and kept[-1] == pad and pad not in closing:
        kept.pop()
    return kept


@check("I13", "tokenization", needs=("tokenizer",))
def sequences_begin_once(evidence: Evidence) -> str:
    """No sequence of training or generation begins with the same special token twice."""
    tokenizer = evidence.part("tokenizer")
    begin = {tokenizer.bos_token_id, tokenizer.cls_token_id} - {None, tokenizer.pad_token_id}
    if not begin:
        raise CheckSkipped("the tokenizer has no token that begins a text")
    rows = evidence.rows()
    paths = [path for path in ("encode", "encode_prompt") if evidence.has(path)]
    if not paths:
        raise CheckSkipped("the pipeline has no encode and no encode_prompt")
    twice: dict[str, int] = {}
    for path in paths:
        ids = (
            [list(feature["input_ids"]) for feature in evidence.features(rows)]
            if path == "encode"
            else encoded_prompts(evidence, path, rows)
        )
        twice[path] = sum(len(entry) > 1 and entry[0] == entry[1] and entry[0] in begin for entry in ids)
    if any(twice.values()):
        ranking = ("double-bos-training", "train-inference-prompt-skew")
        raise CheckFailed(
            "Begin tokens are doubled in "
            + " and ".join(f"{count} of {len(rows)} rows of {path}" for path, count in twice.items())
            + ": the chat template writes one, and the tokenizer adds another.",
            suspects=ranking if twice.get("encode") else ranking[::-1],
            remedy="Tokenize a rendered template with add_special_tokens=False, in training and in generation.",
        )
    return f"{len(rows)} rows of {' and '.join(paths)}"


@check("I13", "tokenization", needs=("encode", "tokenizer"))
def targets_are_not_cut(evidence: Evidence) -> str:
    """The supervised tokens hold whole targets."""
    rows = supervised_rows(evidence)
    cut = [row for row in rows if _is_cut(row)]
    if len(cut) > CUT_RATE * len(rows):
        longest = max(len(row.ids) for row in rows)
        empty = sum(not row.ids for row in cut)
        raise CheckFailed(
            f"{len(cut)} of {len(rows)} targets are cut; none keeps more than {longest} tokens, {empty} keep nothing. "
            f"The first ends with {cut[0].text[-30:]!r} in place of {cut[0].target[-30:]!r}.",
            suspects=("labels-all-masked-by-truncation",)
            if 2 * empty > len(cut)
            else ("target-truncation-drops-tail",),
            remedy="Raise the limit on targets until it cuts none, or leave such rows out and say how many.",
        )
    return f"{len(cut)} of {len(rows)} targets cut"


@check("I4", "tokenization", needs=("encode", "tokenizer"))
def completions_begin_at_a_token_border(evidence: Evidence) -> str:
    """Where the prompt is masked, the mask ends exactly where the completion begins."""
    rows = [row for row in supervised_rows(evidence) if row.causal and len(row.ids) < len(row.input_ids)]
    if not rows:
        raise CheckSkipped("no prompts are masked")
    shifted = [row for row in rows if _shift(row)]
    if shifted:
        raise CheckFailed(
            f"In {len(shifted)} of {len(rows)} rows the mask ends inside a token: the first row's supervised text "
            f"begins with {shifted[0].text[:20]!r}, its completion with {shifted[0].target[:20]!r}.",
            suspects=("prompt-completion-boundary-merge", "labels-shifted-twice"),
            remedy="Tokenize prompt and completion apart and join the ids, or end the prompt without a space.",
        )
    return f"{len(rows)} rows"


@check("I11", "tokenization", needs=("encode", "tokenizer"))
def targets_survive_tokenization(evidence: Evidence) -> str:
    """Line breaks and letters of the targets can be told from their ids."""
    rows = supervised_rows(evidence)
    lined = [row for row in rows if "\n" in row.target.strip()]
    if lined:
        sources = [evidence.column(row.row, "input") for row in lined]
        flat = evidence.with_texts(
            [(source, " ".join(row.target.split())) for source, row in zip(sources, lined, strict=True)]
        )
        lost = sum(one.ids == row.ids for one, row in zip(supervised_rows(evidence, flat), lined, strict=True))
        if lost:
            raise CheckFailed(
                f"{lost} of {len(lined)} targets with line breaks get the same ids as without: no output can have "
                "lines, and metrics that go by line see one.",
                suspects=("newline-lost-in-sentencepiece", "rougelsum-without-newlines"),
                remedy="Write line breaks as a token that was added for it, and turn it back after decoding.",
            )
    tokenizer = evidence.part("tokenizer")
    unknown = tokenizer.unk_token_id
    if unknown in {tokenizer.eos_token_id, tokenizer.pad_token_id}:  # one token for all, as in GPT-2
        unknown = None
    tokens = [token for row in rows for token in row.ids]
    strange = sum(token == unknown for token in tokens) if unknown is not None else 0
    if strange > UNKNOWN_RATE * len(tokens):
        raise CheckFailed(
            f"{strange} of {len(tokens)} supervised tokens are unknown to the tokenizer.",
            suspects=("wrong-tokenizer-for-model",),
            remedy="Use a tokenizer that knows the script of the targets.",
        )
    return f"{len(lined)} of {len(rows)} targets with line breaks, {strange} of {len(tokens)} tokens unknown"


@check("I4", "tokenization", needs=("encode", "tokenizer", "make_model"))
def targets_name_their_language_first(evidence: Evidence) -> str:
    """Targets begin with the token that generation is forced to begin with."""
    model: Any = evidence.model()
    forced = _setting(model, "forced_bos_token_id")
    if forced is None:
        raise CheckSkipped("the model forces no first token")
    rows = supervised_rows(evidence)
    wrong = [row for row in rows if row.ids and (row.ids[0] != forced or row.ids.count(forced) > 1)]
    if wrong:
        name = evidence.part("tokenizer").convert_ids_to_tokens
        raise CheckFailed(
            f"{len(wrong)} of {len(rows)} targets do not begin with {name(forced)!r}, with which every output has to "
            f"begin; the first has {name(wrong[0].ids[:2])} at its start and {name(wrong[0].ids[-2:])} at its end.",
            suspects=("mbart-language-code-wrong",),
            remedy="Set the tokenizer's target language (tgt_lang) and tokenize targets with text_target=.",
        )
    return f"{name_of(evidence, forced)} before {len(rows)} targets"


@check("I14", "tokenization", needs=("make_model", "tokenizer"))
def the_model_knows_the_tokenizer(evidence: Evidence) -> str:
    """A pretrained model is less surprised by text than by random ids."""
    from harness.checks.pretrained_fit import (  # noqa: PLC0415 - checks of text alone need no torch
        TRAINED,
        expected_surprise,
        hide_spans,
        measure_fit,
    )

    model: Any = evidence.model()
    if not evidence.writes_text(model):
        raise CheckSkipped("the model has no language-modelling head")
    tokenizer = evidence.part("tokenizer")
    sources = [evidence.column(row, "input") for row in evidence.rows()]
    texts = (
        [text for text in sources if isinstance(text, str)][:PROBES],
        [row["input"] for row in newsroom_rows(PROBES)],
    )
    special = set(tokenizer.all_special_ids)
    sentinels = tokenizer.convert_tokens_to_ids([f"<extra_id_{number}>" for number in range(20)])
    fits = []
    for probe in texts:
        encoded = [tokenizer(text)["input_ids"][:PROBED] for text in probe]
        pairs: list[tuple[list[int], list[int]]]
        if not evidence.is_encoder_decoder(model):
            pairs = [(ids, []) for ids in encoded]
        elif sentinels[0] not in {None, tokenizer.unk_token_id}:
            plain = [[token for token in ids if token not in special] for ids in encoded]
            pairs = [hide_spans(ids, sentinels, tokenizer.eos_token_id) for ids in plain]
        else:
            pairs = [(ids, ids) for ids in encoded]
        if pairs:
            expected, guess = expected_surprise(model, pairs)
            if expected > TRAINED * guess:
                raise CheckSkipped(f"the model has learned nothing yet (entropy {expected:.2f} of {guess:.2f} nats)")
            fits.append(measure_fit(model, pairs, keep=special | set(sentinels), seed=evidence.seed))
    best = min(fits, key=lambda fit: fit.surprise / fit.at_random)
    if not best.fits:
        raise CheckFailed(
            f"The model expects a surprise of {best.entropy:.2f} nats a token and meets {best.surprise:.2f}: more than "
            f"a guess among all tokens ({best.uniform:.2f}), and as much as for random ids ({best.at_random:.2f}).",
            suspects=("wrong-tokenizer-for-model",),
            remedy="Load tokenizer and model from the same checkpoint, and store the tokenizer's hash with the model.",
        )
    return f"surprise {best.surprise:.2f} nats a token, {best.at_random:.2f} at random ids"


def name_of(evidence: Evidence, token: int) -> str:
    """A token as text."""
    return str(evidence.part("tokenizer").convert_ids_to_tokens(token))


def _closing_tokens(evidence: Evidence) -> set[int]:
    """The ids that end an output, of tokenizer and model."""
    found = {evidence.part("tokenizer").eos_token_id}
    if evidence.has("make_model"):
        ends = _setting(evidence.model(), "eos_token_id")
        found |= set(ends) if isinstance(ends, Sequence) else {ends}
    return {token for token in found if token is not None}


def _setting(model: Any, name: str) -> Any:
    """What the model is told of generation, by its generation config or by its own."""
    configs = (getattr(model, "generation_config", None), getattr(model, "config", None))
    return next((value for value in (getattr(config, name, None) for config in configs) if value is not None), None)


def _is_cut(row: Supervised) -> bool:
    """Whether the supervised text is the beginning of the target and no more."""
    whole, kept = letters(row.target), letters(row.text)
    return len(kept) < len(whole) and whole.startswith(kept)


def _shift(row: Supervised) -> bool:
    """Whether the supervised text lacks the first letters of the target, or has some of the prompt's."""
    whole, kept = letters(row.target), letters(row.text)
    shorter, longer = sorted((whole, kept), key=len)
    return 0 < len(longer) - len(shorter) <= PIECE and longer.endswith(shorter) and not longer.startswith(shorter)
