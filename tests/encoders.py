"""Small encoders without a head, as checkpoints."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedTokenizerFast

from harness.defects.reference.models import make_bert
from harness.defects.reference.tokenizers import encoder_tokenizer


def save_encoder(folder: Path, **changes: object) -> str:
    """A small BERT with random weights and its tokenizer, saved as a checkpoint without a head; its path."""
    made = encoder_tokenizer()
    # A generic tokenizer of transformers 5 gives segments only where it is told to, as one of the class of BERT does.
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=made.backend_tokenizer, **made.special_tokens_map, model_input_names=names
    )
    make_bert("BertForMaskedLM", tokenizer, 0, **changes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
