"""From the data settings to the two splits."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Reader, Teller
from harness.data.files import read_path
from harness.data.hub import read_hub
from harness.data.known_labels import put_new_labels_first, require_known_labels
from harness.data.newsroom import draw_event
from harness.data.rows import Row, Splits, draw_rows, drop_duplicates, find_cut
from harness.errors import DataError, SettingsError
from harness.hub import looks_like_hub_name
from harness.spool import Spool

NEWSROOM = "newsroom"


def load_splits(settings: DataSettings, reader: Teller) -> Splits:
    """Read the rows, draw the asked number of each split by the seed, and make sure that the splits share no row.

    Args:
        settings: where the rows come from, and how many.
        reader: makes them; a task.

    Raises:
        DataError: a source cannot be read or has too few rows, or its labels cannot be learned.
        OverlapError: a row stands in both splits.
        HubError: a hub data set was asked for and the hub cannot be reached.
    """
    of_one_source = settings.eval_source is None and settings.eval_split is None
    if of_one_source or {settings.source, settings.eval_source or settings.source} == {NEWSROOM}:
        count = settings.train_rows + settings.eval_rows
        drawn = put_new_labels_first(_draw(settings, reader, settings.source, settings.split, count), settings, reader)
        # Where there are fewer rows than asked for, both splits shrink alike.
        train_rows = find_cut(drawn, len(drawn) * settings.train_rows // count)
        train: Sequence[Row] = drawn[:train_rows]
        evaluation = drawn[train_rows:]
    else:
        train = tuple(_draw(settings, reader, settings.source, settings.split, settings.train_rows))
        evaluation = _draw(
            settings,
            reader,
            settings.eval_source or settings.source,
            settings.eval_split or settings.split,
            settings.eval_rows,
            apart_from=train if settings.deduplicate else (),
        )
    splits = Splits(train=tuple(train), eval=evaluation)
    require_known_labels(splits, settings, reader)
    return splits


def _draw(
    settings: DataSettings, reader: Teller, source: str, split: str, count: int, *, apart_from: Sequence[Row] = ()
) -> Spool[Row]:
    """``count`` rows of a source, drawn by the seed, none of them among ``apart_from``."""
    if source == NEWSROOM:
        return newsroom_rows(reader, count, settings.seed)
    rows = read_source(source, settings, reader, split=split)
    if settings.deduplicate:
        rows = drop_duplicates(rows, apart_from=apart_from)
    drawn = draw_rows(rows, count, seed=settings.seed)
    # Both splits need a row, however few are allowed.
    if len(drawn) < (min(count, 2) if settings.allow_fewer else count):
        filters = [name for name in ("deduplicate", "drop_empty") if getattr(settings, name)]
        raise DataError(
            f"{source} has {len(drawn)} rows{' after ' + ' and '.join(filters) if filters else ''}, "
            f"but {count} are asked for.",
            fix="Lower data.train_rows or data.eval_rows, set data.allow_fewer = true, or give more rows.",
        )
    return drawn


def read_source(source: str, settings: DataSettings, reader: Reader, *, split: str) -> Iterator[Row]:
    """All rows of a file, a folder or a hub data set, in their order."""
    path = Path(os.path.expanduser(source))  # noqa: PTH111 - Path.expanduser fails for unknown users
    # "rows.csv" is a file that is not there; "owner/news-v1.5" may be a data set.
    if path.exists() or not looks_like_hub_name(source) or path.suffix[1:].isalpha():
        return read_path(path, settings, reader, split=split)
    return read_hub(source, settings, reader, split=split)


def newsroom_rows(reader: Teller, count: int, seed: int) -> Spool[Row]:
    """Generated events as a task tells them; row ``n`` is the same however many are asked for."""
    return Spool(reader.tell(draw_event(seed, index)) for index in range(count))


def further_rows(settings: DataSettings, reader: Teller, count: int) -> Sequence[Row]:
    """Rows of the newsroom that stand behind those of both splits, and so in neither.

    Raises:
        SettingsError: the rows come from elsewhere, where none can be written at will.
    """
    if settings.source != NEWSROOM:
        raise SettingsError(
            f'{count} rows beside both splits are asked for, and "{settings.source}" is no newsroom that writes them.',
            fix="Set rlhf.prompts to 0: the inputs of the training rows are answered.",
        )
    taken = settings.train_rows + settings.eval_rows
    return newsroom_rows(reader, taken + count, settings.seed)[taken:]
