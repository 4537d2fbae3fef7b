"""The errors of the harness: one tree, each with its meaning, common causes and fix.

::

    HarnessError
    ├── UsageError                what was asked for cannot be done
    │   ├── SettingsError         a setting is unknown or has a wrong value
    │   ├── NameUnknownError      no task, method, engine, metric or preset has this name
    │   ├── DataError             the rows cannot be read or used
    │   │   ├── ColumnError       a column is not there
    │   │   ├── EmptyTargetError  a row has nothing to learn
    │   │   └── OverlapError      rows stand in two splits
    │   ├── ModelError            the model cannot be found or is of the wrong kind
    │   ├── UnfitError            the method does not fit the model, the rows or the settings
    │   ├── BusyError             another process is at work in the same place
    │   ├── HubError              the model hub cannot be reached
    │   ├── BaselineError         a stored arm is missing or damaged
    │   └── ProcessError          of several processes one is lost, or has come to something else
    ├── TrainingError             fine-tuning failed
    │   ├── LabelError            the labels do not mean the targets
    │   └── NonFiniteLossError    the loss became infinite or not a number
    └── IdentityError             what should be two models is one
        ├── BaseChangedError      training changed the base
        ├── SameWeightsError      base and tuned have equal weights
        └── StrayWeightsError     weights moved that are not saved with the adapter
"""

from __future__ import annotations

from harness.printable import printable


def first_line(error: BaseException) -> str:
    """What an error of a library says first, without a full stop; the rest of its lines are advice, or a traceback."""
    return next(iter(str(error).strip().splitlines()), "no reason given").rstrip(".")


class HarnessError(Exception):
    """Every error that the harness raises on purpose.

    Args:
        seen: what was seen, with numbers.
        why: why it matters; may be left out where that is plain.
        fix: what to do about it.

    Example:
        >>> print(HarnessError("3 rows are empty.", why="They teach nothing.", fix="Take them out."))
        3 rows are empty. They teach nothing. Take them out.
    """

    def __init__(self, seen: str, *, fix: str, why: str = "") -> None:
        super().__init__(seen, why, fix)
        self.seen = seen
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return printable(" ".join(part for part in (self.seen, self.why, self.fix) if part))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.seen, self.why, self.fix)


def _rebuild(kind: type[HarnessError], seen: str, why: str, fix: str) -> HarnessError:
    return kind(seen, why=why, fix=fix)


class UsageError(HarnessError):
    """What was asked for cannot be done.

    Causes: a typo, a missing file, a setting out of range. Fix: the message names it. Nothing has been written.
    """


class SettingsError(UsageError):
    """A setting is unknown or has a wrong value.

    Causes: a typo in ``harness.toml`` or in ``--set``. Fix: use the name or value that the message suggests.
    """


class NameUnknownError(UsageError):
    """No task, method, engine, metric or preset has this name.

    Causes: a typo, or a name from a newer version. Fix: use one of the names that the message lists.
    """


class DataError(UsageError):
    """The rows cannot be read or used.

    Causes: a missing, empty or damaged file, or fewer rows than asked for. Fix: the message names file and line.
    """


class ColumnError(DataError):
    """A column is not there.

    Causes: another data set than expected, a typo. Fix: set ``data.input_columns`` and ``data.target_columns``.
    """


class EmptyTargetError(DataError):
    """A row has nothing to learn: no token is left of its target.

    Causes: empty targets in the data, a ``max_target_tokens`` that is too small. Fix: drop the row or raise the limit.
    """


class OverlapError(DataError):
    """The same row stands in the training and in the evaluation split, so its score shows memory, not skill.

    Causes: duplicates in the source, two files with common rows. Fix: ``data.deduplicate = true``.
    """


class ModelError(UsageError):
    """The model cannot be found, or is of a kind that the task cannot use.

    Causes: a wrong path, an incomplete folder. Fix: give a folder with ``config.json`` and weights, or a known name.
    """


class UnfitError(UsageError):
    """The method does not fit the model, the rows or its settings; seen before anything is scored.

    Causes: a head where the method needs text, layers that are not there. Fix: what the message
    says, or another method.
    """


class BusyError(UsageError):
    """Another process is at work in the same place.

    Causes: the same command was started twice. Fix: wait until the other has ended, or choose another folder.
    """


class HubError(UsageError):
    """A hub name was given and the hub cannot be reached.

    Causes: no network, offline mode, a typo in a local path. Fix: give a local path, or go online once.
    """


class BaselineError(UsageError):
    """A stored arm is missing, damaged or was edited.

    Causes: a file changed by hand, a half-finished merge. Fix: restore it from git, or accept a new run.
    """


class ProcessError(UsageError):
    """Of several processes one is lost, or has come to something else than the others.

    Causes: it was killed or ran out of memory; a method of one's own that does not share its gradients. Fix: start the
    same command again, or in one process.
    """


class TrainingError(HarnessError):
    """Fine-tuning failed."""


class LabelError(TrainingError):
    """The labels do not mean the targets: the loss would teach something else.

    Causes: padding that is not masked, EOS masked with it, labels shifted twice. Fix: the message says which.
    """


class NonFiniteLossError(TrainingError):
    """The loss became infinite or not a number, so the weights are worthless from that step on.

    Causes: a learning rate that is too high, half precision, a row without labels. Fix: lower ``learning_rate``.
    """


class IdentityError(HarnessError):
    """What should be two models is one, so comparing them says nothing."""


class BaseChangedError(IdentityError):
    """Training changed the weights of the base it was given.

    Causes: a trainer trains the object that it is handed. Fix: hand it a copy, or let the harness fine-tune.
    """


class SameWeightsError(IdentityError):
    """Base and tuned have equal weights.

    Causes: the base was trained in place, the learning rate was 0, the wrong checkpoint was loaded. Fix: load a fresh
    base, and look at the loss curve.
    """


class StrayWeightsError(IdentityError):
    """Training moved weights of the base that are not saved with the adapter.

    Causes: a layer that was left unfrozen. Fix: freeze all that is not the adapter, or save it with the adapter.
    """
