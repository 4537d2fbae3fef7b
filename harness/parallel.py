"""Training on several processes: a step sees the rows and takes the mean loss that it would in one process alone."""

from __future__ import annotations

from typing import Any

import torch
from accelerate import PartialState
from accelerate.data_loader import prepare_data_loader
from accelerate.utils import DistributedType
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from transformers import PreTrainedModel, Trainer

from harness import processes
from harness.early_stopping import count_labels
from harness.errors import SettingsError
from harness.steps import pad_alike
from harness.tasks.task import Batch, Features

COUNTED = "counted"
"""The name under which a batch says how many of the step's labels are this process's."""


class ParallelTrainer(Trainer):  # type: ignore[misc]  # the base class is untyped
    """Shares each batch among the processes, and weighs each process's mean loss by its labels.

    `Trainer` alone would fill the last batch of an epoch up with rows that were seen, and take the mean over processes
    of their means. Gradients are shared as it shares them: it puts the model into torch's DistributedDataParallel, or
    shards it.

    Args:
        ordered: whether the examples are taken as they come.
        options: those of `Trainer`; the batch size is that of all processes together.
    """

    def __init__(self, *, ordered: bool, **options: Any) -> None:
        super().__init__(**options)
        self._ordered = ordered
        # No model is told how many labels a step has, and `Trainer` is not to divide by the number of batches.
        self.model_accepts_loss_kwargs = True

    def get_train_dataloader(self) -> Any:
        """Every process goes through the same batches, and collates its part of each."""
        sampler = (SequentialSampler if self._ordered else RandomSampler)(self.train_dataset)
        loader = DataLoader(
            self.train_dataset,
            batch_size=self.args.per_device_train_batch_size,
            sampler=sampler,
            collate_fn=self._collate_own,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return prepare_data_loader(
            loader,
            device=self.accelerator.device,
            num_processes=1,
            process_index=0,
            put_on_device=True,
            use_seedable_sampler=True,
            data_seed=self.args.data_seed,
        )

    def _collate_own(self, features: list[Features]) -> Batch:
        """This process's rows of the padded batch: the loss of a span sees the padding.

        Where a batch has fewer rows than there are processes, some get a row that counts nothing.
        """
        if len(features) <= processes.number():
            return {**self.data_collator(features[:1]), COUNTED: torch.tensor(0)}
        padded = self.data_collator(features)
        own = {name: values[processes.number() :: processes.count()].contiguous() for name, values in padded.items()}
        return {**own, COUNTED: torch.tensor(self._count(own))}

    def _count(self, batch: Batch) -> int:
        """How many labels the mean loss of a batch is taken over."""
        if self.model.can_generate() and not self.model.config.is_encoder_decoder:
            # A causal model predicts each token but the first.
            batch = {**batch, "labels": batch["labels"][:, 1:]}
        return count_labels(batch)

    def get_batch_samples(self, *args: Any) -> tuple[list[Batch], Any]:
        """The batches of a step and its labels in all processes: the loss is a mean over all of them."""
        samples, _ = super().get_batch_samples(*args)
        return pad_alike(samples, self.processing_class), self._sum(sum(sample[COUNTED] for sample in samples))

    def compute_loss(self, model: Any, inputs: Batch, *, num_items_in_batch: Any = None) -> Any:
        """This process's share of the mean loss, times the processes, as their gradients will be averaged."""
        counted = inputs.pop(COUNTED)
        loss = super().compute_loss(model, inputs, num_items_in_batch=None)
        return loss * (counted / num_items_in_batch * processes.count())

    def _sum(self, count: torch.Tensor) -> torch.Tensor:
        return self.accelerator.reduce(count.to(self.accelerator.device).clone(), reduction="sum")  # type: ignore[no-any-return]


def require_shardable() -> None:
    """Make sure that weights can be divided among the processes.

    Raises:
        SettingsError: there is one process, or they compute on CPUs.
    """
    if processes.count() == 1 or PartialState().distributed_type == DistributedType.MULTI_CPU:
        seen = "there is one process" if processes.count() == 1 else "the processes compute on CPUs"
        raise SettingsError(
            f'training.sharding is "full", and {seen}.',
            why="accelerate divides the weights of a model among several GPUs, and leaves them whole anywhere else.",
            fix='Start several processes on GPUs with torchrun, or set training.sharding = "none".',
        )


def make_whole(model: PreTrainedModel, sharded: PreTrainedModel) -> PreTrainedModel:
    """Give ``model`` the weights of a trained one of which each process has a part; all processes have to ask."""
    model.load_state_dict(get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True)))
    return model
