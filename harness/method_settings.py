"""The settings of each method that has some of its own."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from harness.settings import Count, Settings

PLACES = ("input", "context")
"""What a template of a prompt has places for."""


class LoraSettings(Settings):
    """Low-rank changes of the layers' matrices: W + scale B A, where B and A are all that learns."""

    rank: Count = 8
    """The rank of the change: how many columns B has."""
    alpha: float = Field(16.0, gt=0)
    """The change is scaled by alpha / rank."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """The share of inputs to the change that are dropped in training."""
    targets: Literal["auto", "all-linear"] | Annotated[tuple[str, ...], Field(min_length=1, strict=False)] = (
        "all-linear"
    )
    """Which layers: all linear ones but the output, those that PEFT takes for the architecture, or ends of names."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank) instead (Kalajdzievski 2023), so that high ranks learn as fast as low ones."""
    dora: bool = False
    """Learn each column's length apart from its direction (Liu et al. 2024)."""
    quantization: Literal["none", "nf4"] = "none"
    """``nf4`` keeps the frozen linear layers in four bits (QLoRA, Dettmers et al. 2023); bitsandbytes has to run."""
    learning_rate_factor: float = Field(10.0, gt=0)
    """Times ``training.learning_rate``, which is meant for all weights: the best rate of LoRA is about ten times that
    of full fine-tuning (Schulman and others 2025, "LoRA Without Regret"). Set 1 to give the rate itself there."""

    @property
    def way(self) -> str:
        """What the field calls it."""
        return "lora" if self.quantization == "none" else "qlora"


class AdapterSettings(Settings):
    """Bottleneck layers behind sublayers: h + up(activation(down(h))), and they are all that learns."""

    placement: Literal["houlsby", "pfeiffer"] = "houlsby"
    """Behind attention and feed-forward (Houlsby et al. 2019), or behind feed-forward only (Pfeiffer et al. 2021)."""
    reduction_factor: Count = 4
    """The width of the model divided by that of the bottleneck."""
    activation: str = "relu"
    """A name that transformers knows, as ``gelu``."""
    targets: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = None
    """Ends of the names of the layers that get a bottleneck, in place of those that ``placement`` finds."""
    learning_rate_factor: float = Field(5.0, gt=0)
    """Times ``training.learning_rate``, which is meant for all weights. Set 1 to give the rate itself there."""


class PromptSettings(Settings):
    """How a model is asked that is not trained, or of which nothing but a soft prompt is."""

    variant: Literal["text", "prompt-tuning", "prefix-tuning"] = "text"
    """A text that anybody can read; or vectors that are trained, before the input or before each layer."""
    template: str | None = None
    """What is asked, with ``{input}`` and maybe ``{context}``; the task's own prompt where this is not set."""
    shots: int = Field(0, ge=0, le=1_000)
    """How many solved training rows (demonstrations) stand before the question."""
    choose: Literal["random", "similar"] = "random"
    """Demonstrations are drawn by ``training.seed`` for each question, or those that share its rare words are taken."""
    order: Literal["best-last", "best-first"] = "best-last"
    """Where the demonstration stands that is most similar, or was drawn first."""
    max_prompt_tokens: Count | None = None
    """Longer prompts lose demonstrations, the worst first; by default ``encoding.max_input_tokens``."""
    answer: Literal["likeliest", "likeliest-per-token", "written"] = "likeliest"
    """Where targets are labels: the one whose whole name the model finds likeliest, in sum or as a mean over its
    tokens, or whatever the model writes."""
    virtual_tokens: int = Field(20, ge=1, le=10_000)
    """The length of a soft prompt."""

    @property
    def way(self) -> str:
        """What the field calls it: zero-shot, few-shot, or the variant."""
        if self.variant != "text":
            return self.variant
        return "few-shot" if self.shots else "zero-shot"

    @model_validator(mode="after")
    def _template_can_be_filled(self) -> Self:
        if self.template is not None:
            require_places(self.template)
        return self

    @model_validator(mode="after")
    def _soft_prompts_are_no_text(self) -> Self:
        if self.variant != "text" and (self.shots or self.template is not None):
            raise ValueError(f'shots and template need variant = "text", and variant is {self.variant}')
        return self


class RlhfSettings(Settings):
    """Learning from preferences, or from a reward."""

    algorithm: Literal["rloo", "dpo"] = "rloo"
    """``rloo`` samples answers and learns from their rewards, ``dpo`` learns from pairs of answers."""
    supervised_epochs: Count = 6
    """Epochs of full fine-tuning before; what is learned then is the reference."""
    held_out: float = Field(0.25, gt=0, lt=1)
    """The share of training rows that nothing is learned from: reward, KL and task metric are measured on them."""
    reward: str = Field("facts", min_length=1)
    """``model`` (learned from pairs), ``rouge``, ``length``, ``facts``, or ``module:attribute``."""
    pairs: str | None = Field(None, min_length=1)
    """A file with the columns prompt, chosen and rejected; by default the newsroom makes the pairs."""
    beta: float = Field(0.05, ge=0, le=1e3)
    """What a nat of KL from the reference costs, in the reward's unit; of DPO the strength of its margin."""
    samples: int = Field(4, ge=2, le=1024)
    """Answers to each prompt of a step."""
    batch_size: Count = 8
    """Prompts, or pairs, of a step."""
    steps: Count = 30
    """How often answers are drawn and learned from, or batches of pairs of DPO."""
    updates: Count = 2
    """Updates from the answers of one step, of ``rloo``."""
    learning_rate: float = Field(5e-4, ge=0, le=1e6)
    """That of the policy; it falls linearly."""
    reward_epochs: Count = 4
    """Epochs over the pairs that the reward model learns from."""
    max_new_tokens: Count = 64
    """Where an answer is broken off."""


def require_places(template: str) -> None:
    """Make sure that a template can be filled.

    Raises:
        ValueError: it has other places than ``{input}`` and ``{context}``, or none for the input.
    """
    parts = list(Formatter().parse(template))
    places = [name for _, name, _, _ in parts if name is not None]
    wrong = [name for _, name, form, turn in parts if name is not None and (name not in PLACES or form or turn)]
    if wrong:
        raise ValueError(
            f"template has the place {{{wrong[0]}}}; known are {{input}} and {{context}}, and {{{{ for a plain brace"
        )
    if "input" not in places:
        raise ValueError("template has no {input}, so that every row would be asked the same")
