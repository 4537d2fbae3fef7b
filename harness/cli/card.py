"""``harness card``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.say import say


@click.command("card")
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.option(
    "--readme",
    default="README.md",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The model card; made where there is none.",
)
@click.option("--name", help="The model's name; the card's own by default, or else the experiment's.")
def card_command(run_folder: Path, readme: Path, name: str | None) -> None:
    """Write the scores of the run in RUN_FOLDER into a Hugging Face model card.

    They go into the card's metadata, as model-index; its text and its other metadata stay.
    """
    from harness.report.account import as_written, read_account
    from harness.report.model_card import write_card

    account = read_account(run_folder)
    with as_written(run_folder):
        write_card(account, readme, name=name)
    say(f"Written into {readme}")
