"""The one way to print on the command line: what stands in texts of models and data commands no terminal."""

from __future__ import annotations

import click

from harness.printable import printable


def say(text: str, *, err: bool = False) -> None:
    """Print a line; of several lines each keeps its own."""
    click.echo(printable(text), err=err)
