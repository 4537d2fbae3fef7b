"""Loading without the advice of transformers between our lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Hide bars that do not go to a terminal, and the report of tensors that are missing or left over.

    What is missing of a body is an error of ours, and what is missing of a head is drawn and counted.
    """
    hide = logging.is_progress_bar_enabled() and not sys.stderr.isatty()
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    if hide:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if hide:
            logging.enable_progress_bar()
