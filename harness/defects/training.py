"""Defects of the training loop, its checkpoints, its seeds and its evaluation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel, set_seed

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference import causal, loop, selecting, seq2seq
from harness.defects.reference.rows import Row
from harness.defects.reference.trainer import Trained, Trainer, Windows


def with_trainer(clean: Pipeline, kind: type[Trainer], **settings: Any) -> Pipeline:
    """A pipeline that trains with a loop of this kind."""
    parts: dict[str, Any] = {"encode": clean.encode, "collate": clean.collate, "score": clean.evaluate_loss}
    trainer = kind(**parts, **settings)
    return replace(clean, train=trainer, resume=partial(trainer, resume=True))


@defect(
    "grad-accum-mean-of-means",
    "training",
    reference="seq2seq",
    symptom="The loss curve changes with the number of accumulated batches, and short targets weigh too much.",
    source="https://github.com/huggingface/blog/pull/2414",
)
def grad_accum_mean_of_means(clean: Pipeline) -> Pipeline:
    """Each batch of an accumulation window counts alike, however many tokens it has."""

    class MeanOfMeans(Trainer):
        def weigh(self, batch: loop.Batch, batches: Sequence[loop.Batch], accumulation: int) -> float:
            return 1 / len(batches)

    return with_trainer(clean, MeanOfMeans)


@defect(
    "grad-accum-partial-window",
    "training",
    reference="seq2seq",
    symptom="The last optimizer step of each epoch is too small.",
    source="https://github.com/modelscope/ms-swift/pull/10084",
)
def grad_accum_partial_window(clean: Pipeline) -> Pipeline:
    """A last window with fewer batches is still divided by the number of batches of a full one."""

    class FullWindows(Trainer):
        def weigh(self, batch: loop.Batch, batches: Sequence[loop.Batch], accumulation: int) -> float:
            mean_tokens = sum(map(loop.count_supervised, batches)) / len(batches)
            return loop.count_supervised(batch) / mean_tokens / accumulation

    return with_trainer(clean, FullWindows)


@defect(
    "resume-replays-data",
    "training",
    reference="seq2seq",
    symptom="After a restart some rows are seen twice and others never; the loss jumps.",
    source="https://github.com/modelscope/ms-swift/issues/10050",
)
def resume_replays_data(clean: Pipeline) -> Pipeline:
    """A resumed run draws its batches from the first epoch on again."""

    class Replaying(Trainer):
        def remaining(self, windows: Windows, done: int) -> Windows:
            return windows[: len(windows) - done]

    return with_trainer(clean, Replaying)


@defect(
    "lr-schedule-steps-too-fast",
    "training",
    reference="seq2seq",
    symptom="Nothing is learned any more after a part of the run.",
    source="https://github.com/huggingface/accelerate/issues/963",
)
def lr_schedule_steps_too_fast(clean: Pipeline) -> Pipeline:
    """The schedule goes on after every batch, although the optimizer takes a step once a window."""

    class FastSchedule(Trainer):
        def learn(
            self, model: torch.nn.Module, batches: Sequence[loop.Batch], accumulation: int, schedule: Any
        ) -> None:
            for batch in batches:
                torch.autograd.backward(loop.model_loss(model, batch) * self.weigh(batch, batches, accumulation))
                schedule.step()

        def after_step(self, schedule: Any) -> None:
            pass

    return with_trainer(clean, FastSchedule)


@defect(
    "lr-zero-or-warmup-longer-than-run",
    "training",
    reference="seq2seq",
    symptom="The tuned model answers as the base does.",
    source="",
)
def lr_zero_or_warmup_longer_than_run(clean: Pipeline) -> Pipeline:
    """The warm-up was copied from a run of many more steps, so the rate hardly leaves 0."""
    return with_trainer(clean, Trainer, options=loop.Options(warmup_steps=10_000))


@defect(
    "bf16-update-lost",
    "training",
    reference="seq2seq",
    symptom="The loss stays where it was, or falls much more slowly than in float32.",
    source="https://github.com/pytorch/ao/pull/1124",
)
def bf16_update_lost(clean: Pipeline) -> Pipeline:
    """Weights are kept in bfloat16 alone, where a small update rounds to none."""

    class PureHalf(Trainer):
        def prepare(self, model: torch.nn.Module) -> torch.nn.Module:
            return super().prepare(model).to(torch.bfloat16)

        def deliver(self, model: Any, history: Sequence[Mapping[str, float]], best: Mapping[str, Any]) -> Trained:
            return super().deliver(model.float(), history, best)

    slow = 1e-6
    declared = replace(clean.declared, learning_rate=slow)
    return with_trainer(replace(clean, declared=declared), PureHalf, options=loop.Options(learning_rate=slow))


@defect(
    "dropout-active-in-eval",
    "training",
    reference="seq2seq",
    symptom="Scores are lower than they should be and change from one evaluation to the next.",
    source="https://github.com/ipolharvard/ethos-ares/issues/20",
)
def dropout_active_in_eval(clean: Pipeline) -> Pipeline:
    """The model is scored in the mode in which training left it."""

    class Unfinished(Trainer):
        def deliver(self, model: Any, history: Sequence[Mapping[str, float]], best: Mapping[str, Any]) -> Trained:
            return super().deliver(model.train(), history, best)

    def generate(model: PreTrainedModel, rows: Sequence[Row]) -> list[str]:
        batch = seq2seq.prompt_batch(clean.tokenizer, rows)
        with torch.no_grad():
            ids = model.generate(**batch, max_new_tokens=seq2seq.LONGEST, num_beams=1, do_sample=False)
        return [text.strip() for text in clean.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    def evaluate(model: PreTrainedModel, rows: Sequence[Row]) -> dict[str, float]:
        return seq2seq.score_rouge(generate(model, rows), [row["target"] for row in rows])

    return replace(with_trainer(clean, Unfinished), generate=generate, evaluate=evaluate)


@defect(
    "weight-decay-on-norm-and-bias",
    "training",
    reference="seq2seq",
    symptom="Scores stay a little below those that were published.",
    source="https://github.com/huggingface/transformers/pull/18002",
)
def weight_decay_on_norm_and_bias(clean: Pipeline) -> Pipeline:
    """What shall not decay is listed by names of another architecture, and this one's norms are called otherwise."""

    class BertNames(Trainer):
        def make_optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
            no_decay = ["bias", "LayerNorm.weight"]
            decayed: list[torch.nn.Parameter] = []
            others: list[torch.nn.Parameter] = []
            for name, parameter in model.named_parameters():
                (others if any(part in name for part in no_decay) else decayed).append(parameter)
            groups = [
                {"params": decayed, "weight_decay": self.options.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, lr=self.options.learning_rate)

    return with_trainer(clean, BertNames)


@defect(
    "best-checkpoint-wrong-direction",
    "training",
    reference="selecting",
    symptom="The delivered model is the worst of the run.",
    source="https://github.com/huggingface/transformers/pull/31142",
)
def best_checkpoint_wrong_direction(clean: Pipeline) -> Pipeline:
    """The checkpoint with the highest loss is taken for the best one."""

    def choose(history: Sequence[Mapping[str, float]]) -> int:
        return max(range(len(history)), key=lambda place: history[place]["score"])

    return replace(with_trainer(clean, Trainer, choose=choose), choose_checkpoint=choose)


@defect(
    "best-checkpoint-not-loaded",
    "training",
    reference="selecting",
    symptom="The score that is reported is not that of the model that is delivered.",
    source="https://github.com/huggingface/transformers/pull/40221",
)
def best_checkpoint_not_loaded(clean: Pipeline) -> Pipeline:
    """The best score is reported, the last weights are delivered."""

    class KeepsLast(Trainer):
        def deliver(self, model: Any, history: Sequence[Mapping[str, float]], best: Mapping[str, Any]) -> Trained:
            return Trained(model=model, best_score=min((entry["score"] for entry in history), default=None))

    return with_trainer(clean, KeepsLast)


@defect(
    "seed-set-after-model-init",
    "training",
    reference="selecting",
    symptom="Two runs with the same seed give different models.",
    source="https://github.com/huggingface/trl/pull/4887",
)
def seed_set_after_model_init(clean: Pipeline) -> Pipeline:
    """The model gets its random weights first, and the seed is set after that."""
    assert clean.make_model is not None  # noqa: S101 - every reference has one
    config = clean.make_model(0).config

    def make_model(seed: int = 0) -> torch.nn.Module:
        from transformers import LlamaForCausalLM  # noqa: PLC0415 - as in the script of a user

        model: torch.nn.Module = LlamaForCausalLM(config)
        set_seed(seed)
        return model.eval()

    return replace(clean, make_model=make_model)


@defect(
    "compute-metrics-silently-skipped",
    "training",
    reference="seq2seq",
    symptom="The evaluation ends without a score, and early stopping never stops anything.",
    source="https://github.com/huggingface/transformers/issues/21553",
)
def compute_metrics_silently_skipped(clean: Pipeline) -> Pipeline:
    """The targets are looked for in a column that the rows do not have, so nothing is scored."""

    def evaluate(model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8) -> dict[str, float]:
        began = time.perf_counter()
        outputs = seq2seq.generate_texts(clean.tokenizer, model, rows, batch_size=batch_size)
        references = [row["labels"] for row in rows if "labels" in row]
        scores = seq2seq.score_rouge(outputs, references) if references else {}
        seconds = time.perf_counter() - began
        return {**scores, "eval_runtime": seconds, "eval_samples_per_second": len(rows) / seconds}

    return replace(clean, evaluate=evaluate)


@defect(
    "resized-head-reinitialised",
    "training",
    reference="selecting",
    symptom="The loss starts at that of a model that knows nothing.",
    source="https://github.com/huggingface/transformers/pull/45079",
)
def resized_head_reinitialised(clean: Pipeline) -> Pipeline:
    """After tokens were added, the output layer is given fresh random weights."""

    def extend_vocabulary(model: PreTrainedModel) -> PreTrainedModel:
        model = selecting.extend_vocabulary(model)
        torch.nn.init.normal_(model.get_output_embeddings().weight, std=model.config.initializer_range)
        return model

    return replace(clean, extend_vocabulary=extend_vocabulary)


@defect(
    "packing-cross-contamination",
    "training",
    reference="selecting",
    symptom="The model learns to look at rows that have nothing to do with the one it answers.",
    source="https://github.com/meta-pytorch/torchtune/pull/875",
)
def packing_cross_contamination(clean: Pipeline) -> Pipeline:
    """Packed rows see each other, and their positions run on."""

    def pack(features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        ids = selecting.join(features, "input_ids")
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": selecting.join(features, "labels")}

    return replace(clean, pack=pack)


@defect(
    "last-partial-batch-dropped",
    "training",
    reference="selecting",
    symptom="The score depends on the batch size, and small sets lose many of their rows.",
    source="",
)
def last_partial_batch_dropped(clean: Pipeline) -> Pipeline:
    """Training and evaluation leave out the rows behind the last full batch."""

    class FullBatches(Trainer):
        def draw_windows(self, rows: int, seed: int, epochs: int, batch_size: int, accumulation: int) -> Windows:
            windows = super().draw_windows(rows, seed, epochs, batch_size, accumulation)
            full = [[batch for batch in window if len(batch) == batch_size] for window in windows]
            return [window for window in full if window]

    def evaluate(model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8) -> dict[str, float]:
        loader: Any = torch.utils.data.DataLoader(rows, batch_size, drop_last=True, collate_fn=list)  # type: ignore[arg-type]
        outputs, references = [], []
        for batch in loader:
            outputs += causal.generate_texts(clean.tokenizer, model, batch, batch_size=batch_size)
            references += [row["target"] for row in batch]
        return seq2seq.score_rouge(outputs, references) if outputs else {}

    return replace(with_trainer(clean, FullBatches), evaluate=evaluate)


@defect(
    "ddp-eval-duplicates",
    "training",
    reference="selecting",
    symptom="The score depends on the number of processes.",
    source="https://github.com/pytorch/pytorch/issues/25162",
)
def ddp_eval_duplicates(clean: Pipeline) -> Pipeline:
    """Shards are made equally long by repeating the first rows, which are then scored twice."""

    def shard(rows: Sequence[Row], rank: int, world_size: int) -> list[Row]:
        padded = list(rows) + list(rows)[: -len(rows) % world_size]
        return padded[rank::world_size]

    def evaluate(
        model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8, ranks: int = 1
    ) -> dict[str, float]:
        gathered = [row for rank in range(ranks) for row in shard(rows, rank, ranks)]
        return causal.evaluate_rows(clean.tokenizer, model, gathered, batch_size=batch_size)

    return replace(clean, shard=shard, evaluate=evaluate)
