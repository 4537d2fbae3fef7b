"""A conditional random field on any token classifier of transformers.

The body and its classifier keep their names, and the field is one more module, ``crf``: a plain checkpoint loads into
it, what it saves loads as a plain token classifier too, and adapters find the layers that they look for. The config
names the architecture and the tags, so a saved tagger is loaded from its folder alone.

Source: Huang, Xu and Yu 2015, "Bidirectional LSTM-CRF models for sequence tagging": the network scores each tag at each
word, and the field scores their order.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from transformers import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING, AutoConfig, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput

from harness.errors import ModelError
from harness.models.crf import LinearChainCrf

IGNORE_INDEX = -100


class CrfTagger:
    """Mixed into a token classifier, gives it the loss of a field over the pieces that have a label.

    A piece without one (-100) is left out before anything is scored.

    Args:
        config: of the token classifier; ``id2label`` names the tags.
    """

    crf: LinearChainCrf

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)  # type: ignore[call-arg]  # the token classifier's
        self.crf = LinearChainCrf.for_bio([config.id2label[index] for index in range(config.num_labels)])

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **inputs: Any,
    ) -> TokenClassifierOutput:
        """The scores of the tags at each piece, and with labels the loss.

        Args:
            input_ids: (batch, length) int64.
            attention_mask: (batch, length) int64.
            labels: (batch, length) int64, -100 at everything but the first piece of a word.
            num_items_in_batch: how many labels the loss is a mean over, where gradients of several batches are summed.
            inputs: what else the token classifier takes.

        Returns:
            ``logits`` (batch, length, tags) float; ``loss``, the negative log-likelihood of the rows' tags in nats per
            word, so that it compares with a softmax's and does not grow with the length of the rows.
        """
        inputs["return_dict"] = True
        output = super().forward(input_ids=input_ids, attention_mask=attention_mask, **inputs)  # type: ignore[misc]
        if labels is not None:
            mask = labels != IGNORE_INDEX
            count = mask.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
            # As an attribute alone, transformers 4 would not find it among the entries.
            output["loss"] = -self.crf.log_likelihood(output.logits, labels, mask).sum() / count
        return output

    def _init_weights(self, module: torch.nn.Module) -> None:
        if isinstance(module, LinearChainCrf):
            module.reset_parameters()
        else:
            super()._init_weights(module)  # type: ignore[misc]


class AutoCrfTagger:
    """Makes taggers as the auto classes of transformers make models."""

    @staticmethod
    def from_config(config: PretrainedConfig) -> PreTrainedModel:
        """A tagger with random weights."""
        tagger: PreTrainedModel = choose_class(config)(config)
        return tagger

    @staticmethod
    def from_pretrained(path: str, **options: Any) -> Any:
        """Load a body, a token classifier or a saved tagger; what it lacks is drawn anew.

        Args:
            path: a folder or hub id.
            options: as for ``from_pretrained`` of transformers.

        Raises:
            ModelError: transformers has no token classifier of this kind.
        """
        places = {
            name: options[name] for name in ("revision", "local_files_only", "trust_remote_code") if name in options
        }
        return choose_class(AutoConfig.from_pretrained(path, **places)).from_pretrained(path, **options)


def choose_class(config: PretrainedConfig) -> type[PreTrainedModel]:
    """The class of taggers for a config: its token classifier with a field.

    Raises:
        ModelError: transformers has no token classifier of this kind.
    """
    if type(config) not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
        raise ModelError(
            f'transformers has no token classifier for models of the type "{config.model_type}".',
            why="The field needs scores of the tags at each token.",
            fix="Give an encoder such as BERT, RoBERTa, DistilBERT, ELECTRA or DeBERTa.",
        )
    return _add_field(MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING[type(config)])


@cache
def _add_field(classifier: type[PreTrainedModel]) -> type[PreTrainedModel]:
    return type(f"Crf{classifier.__name__}", (CrfTagger, classifier), {"__module__": __name__})
