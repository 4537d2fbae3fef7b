"""Clean pipelines: small, quick, and right as far as anyone knows; defects are planted in them.

They are written as a careful user would write them, in plain torch and transformers, and know nothing of the checks.
"""

from harness.checks.pipeline import Pipeline
from harness.registry import Registry

PLACES = {
    "seq2seq": "harness.defects.reference.seq2seq:PIPELINE",
    "causal": "harness.defects.reference.causal:PIPELINE",
    "assistant": "harness.defects.reference.assistant:PIPELINE",
    "classifier": "harness.defects.reference.classifier:PIPELINE",
    "tagger": "harness.defects.reference.tagger:PIPELINE",
    "reader": "harness.defects.reference.reader:PIPELINE",
    "guarded": "harness.defects.reference.guarded:PIPELINE",
    "scores": "harness.defects.reference.scores:PIPELINE",
    "fewshot": "harness.defects.reference.fewshot:PIPELINE",
    "chat": "harness.defects.reference.chat:PIPELINE",
    "pretrained": "harness.defects.reference.pretrained:PIPELINE",
    "selecting": "harness.defects.reference.selecting:PIPELINE",
    "lora": "harness.defects.reference.lora:SEQ2SEQ",
    "lora-causal": "harness.defects.reference.lora:CAUSAL",
    "lora-classifier": "harness.defects.reference.lora:CLASSIFIER",
    "multitask": "harness.defects.reference.multitask:PIPELINE",
    "verbaliser": "harness.defects.reference.verbaliser:PIPELINE",
    "translator": "harness.defects.reference.translator:PIPELINE",
    "reinforcement": "harness.defects.reference.reinforcement:PIPELINE",
    "reward": "harness.defects.reference.reinforcement:REWARD_PIPELINE",
    "translation-scores": "harness.defects.reference.scores:TRANSLATION",
}
NAMES = tuple(PLACES)
REFERENCES: Registry[Pipeline] = Registry("reference pipeline", PLACES)

__all__ = ["NAMES", "REFERENCES"]
