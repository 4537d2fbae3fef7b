"""Does what is learned come back: a few rows, learned by heart, are written again and ended?

The training's own loss says whether the rows were learned at all; a rate too low for that is no fault, and the check
then does not apply. Where they were, and another text is written, training and generation do not fit together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence, Row, trained_model
from harness.checks.recorded_run import model_to_train, train
from harness.checks.recorder import IGNORED, record, without_dropout

ROWS = 4
EPOCHS = (60, 120)
"""The second is tried where the first was not enough."""
LEARNED = 0.1
"""Mean loss, in nats per token, below which rows are known by heart."""
SHORT = 20
"""The default length of `generate` in transformers."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What an output has of its target, and what that tells.

    Args:
        seen: in a few words.
        suspects: the likely defects.
        remedy: what to do.
    """

    seen: str
    suspects: tuple[str, ...]
    remedy: str


NO_END = Fault(
    seen="goes on after its target",
    suspects=("missing-eos-seq2seq-target", "eos-masked-because-pad-is-eos", "target-truncation-drops-tail"),
    remedy="Teach the end: each target's labels close with exactly one EOS that is not masked, not even as padding.",
)
TRAINED_END = Fault(
    seen="goes on after its target, though its labels close with EOS",
    suspects=("prompt-kept-in-prediction", "sampling-leaks-into-eval", "wrong-tokenizer-for-model"),
    remedy="Compare the EOS of the labels with eos_token_id of the generation settings.",
)
CUT = Fault(
    seen="ends before its target does",
    suspects=("eval-generation-length-default-20", "target-truncation-drops-tail"),
    remedy="Set max_new_tokens, and see that no target is cut in encoding.",
)
PROMPT = Fault(
    seen="repeats the input before the target",
    suspects=("prompt-kept-in-prediction", "prompt-not-masked"),
    remedy="Cut the prompt's tokens off what generate returns.",
)
NO_BEGINNING = Fault(
    seen="lacks the beginning of its target",
    suspects=("t5-manual-shift-drops-first-token", "labels-shifted-twice", "train-generate-decoder-start-mismatch"),
    remedy="Leave the shifting to the model: give it labels, and no decoder_input_ids of your own.",
)
OTHER_IN_BATCH = Fault(
    seen="is another than the row gets alone",
    suspects=("right-padding-in-decoder-only-batch", "attention-mask-missing", "encoder-decoder-left-padded"),
    remedy="Pad prompts of a decoder on the left, and give generate the attention mask.",
)
OTHER = Fault(
    seen="is another text",
    suspects=("labels-shifted-twice", "train-generate-decoder-start-mismatch", "train-inference-prompt-skew"),
    remedy="Compare the ids that training reads with those that generation begins with, token by token.",
)


@check("I8", "training", needs=("make_model", "train", "generate"))
def rows_learned_by_heart_are_written_again(evidence: Evidence) -> str:
    """Rows that were learned by heart are generated again, to the end and no further."""
    evidence.require("train", "epochs")
    rows = evidence.rows(ROWS)
    targets = [evidence.column(row, "target") for row in rows]
    if not all(isinstance(target, str) for target in targets):
        raise CheckSkipped("the targets are no texts")
    for epochs in EPOCHS:
        model, first, loss = learn(evidence, rows, epochs)
        outputs = evidence.generate(model, rows)
        pairs = list(zip(rows, outputs, targets, strict=False))
        wrong = [pair for pair in pairs if normalise(pair[1]) not in possible_texts(evidence, pair[2])]
        if len(outputs) == len(rows) and len(wrong) < len(rows) / 2:
            return f"{len(rows) - len(wrong)} of {len(rows)} rows come back at a loss of {loss:.2g}"
        if not LEARNED < loss < first / 2:
            break
    if loss > LEARNED:
        raise CheckSkipped(f"after {epochs} epochs the loss of {len(rows)} rows is {loss:.2g}, from {first:.2g}")
    row, output, target = (wrong or pairs)[0]
    fault = find_fault(evidence, model, row, output, target)
    raise CheckFailed(
        f"{len(wrong)} of {len(rows)} rows do not come back, though their loss is {loss:.2g}: an output {fault.seen} "
        f'(target "{target[:60]}", output "{output[:120]}").',
        suspects=fault.suspects,
        remedy=fault.remedy,
    )


def learn(evidence: Evidence, rows: Sequence[Row], epochs: int) -> tuple[torch.nn.Module, float, float]:
    """A model that was trained on a few rows, with its first and last loss, as far as it was asked for them."""
    model = model_to_train(evidence)
    with without_dropout(model), record(model) as recording:
        tuned = trained_model(train(evidence, model, rows, epochs=epochs, batch_size=len(rows)))
    losses = [call.loss for call in recording.learning_calls if call.loss is not None]
    if losses:
        return tuned.eval(), losses[0], losses[-1]
    with torch.no_grad():
        loss = evidence.loss(tuned.eval(), evidence.batch(evidence.features(rows)))
    return tuned, float("inf"), float(loss)


def find_fault(evidence: Evidence, model: torch.nn.Module, row: Row, output: str, target: str) -> Fault:
    """What is wrong with an output that is not its target."""
    wrote, wanted = normalise(output), normalise(target)
    source = normalise(str(evidence.column(row, "input")))
    if source and source[:SHORT] in wrote.partition(wanted)[0]:
        return PROMPT
    if wrote.startswith(wanted):
        return _fault_of_the_end(evidence, row)
    if wrote and wanted.startswith(wrote):
        return CUT
    if wrote and wanted.endswith(wrote):
        return NO_BEGINNING
    if normalise(evidence.generate(model, [row])[0]) == wanted:
        return OTHER_IN_BATCH
    return OTHER


def _fault_of_the_end(evidence: Evidence, row: Row) -> Fault:
    """Follow the EOS from the features to the batch: the first of them that lacks it."""
    if not (evidence.has("tokenizer") and evidence.has("encode")):
        return NO_END
    end = evidence.part("tokenizer").eos_token_id
    features = evidence.features([row])
    if not _closes(features[0].get("labels") or features[0].get("input_ids", ()), end):
        return NO_END
    if evidence.has("collate") and not _closes(evidence.batch(features)["labels"][0].tolist(), end):
        first, second, *others = NO_END.suspects
        return replace(NO_END, suspects=(second, first, *others))
    return TRAINED_END


def _closes(labels: Sequence[int], end: int) -> bool:
    supervised = [label for label in labels if label != IGNORED]
    return bool(supervised) and supervised[-1] == end


def normalise(text: str) -> str:
    """A text with single spaces."""
    return " ".join(text.split())


def possible_texts(evidence: Evidence, target: str) -> set[str]:
    """A target, and what is left of it in its tokens: some tokenizers lose capitals, accents or unknown signs."""
    texts = {normalise(target)}
    if evidence.has("tokenizer"):
        tokenizer = evidence.part("tokenizer")
        ids = tokenizer(text_target=target)["input_ids"]
        texts.add(normalise(tokenizer.decode(ids, skip_special_tokens=True)))
    return texts
