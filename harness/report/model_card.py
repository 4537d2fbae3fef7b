"""The results of a run in a Hugging Face model card: ``model-index`` in its metadata, where the hub reads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData, metadata_load

from harness.atomic import write_whole
from harness.errors import UsageError
from harness.hub import looks_like_hub_name
from harness.printable import escape
from harness.report.markdown import write_metrics
from harness.report.wording import LEGEND, say_headline

if TYPE_CHECKING:
    from harness.report.account import Account


def write_card(account: Account, readme: Path, *, name: str | None = None) -> None:
    """Write a run's scores into a model card.

    Scores of the same task, data and metric take the place of older ones; other results, other metadata and the text
    of a card that exists stay.

    Args:
        account: the run.
        readme: the card; it is made where there is none.
        name: the model's name; by default the one that the card has, or else the experiment's.

    Raises:
        UsageError: the file is no model card, or holds the results of several models.
    """
    card = _read_card(readme) if readme.exists() else _new_card(account)
    results = list_results(account)
    replaced = {_key(result) for result in results}
    data = cast("ModelCardData", card.data)
    kept = [result for result in data.eval_results or () if _key(result) not in replaced]
    data.model_name = name or data.model_name or account.facts["experiment"]
    data.eval_results = [*kept, *results]
    content = str(card)
    # Read once more, as the hub will: what it would refuse must not be written.
    ModelCard(content)
    # Line ends are the card's own, so they are written as they are.
    write_whole(readme, content.encode("utf-8", "replace"))


def list_results(account: Account) -> list[EvalResult]:
    """The tuned model's score of each metric, with what it was compared to."""
    data = account.experiment.data
    results = []
    for entry in account.comparison["metrics"]:
        compared: dict[str, Any] = {
            "base": entry["against"],
            "delta": entry["delta"],
            "interval": entry["interval"],
            "p_adjusted": entry["p_adjusted"],
            "rows": account.comparison["rows"],
            "rows_sha256": account.tuned.manifest.rows,
            "signature": account.tuned.manifest.metrics[entry["metric"]],
        }
        results.append(
            EvalResult(
                task_type=account.experiment.task,
                dataset_type=Path(data.eval_source or data.source).name,
                dataset_name=data.eval_source or data.source,
                dataset_split=data.eval_split,
                dataset_revision=data.revision,
                metric_type=entry["metric"],
                metric_name=f"{entry['metric']}, tuned against base",
                metric_value=entry["candidate"],
                metric_args=compared,
            )
        )
    return results


def _key(result: EvalResult) -> tuple[object, ...]:
    return (
        result.task_type, result.dataset_type, result.dataset_name, result.dataset_config, result.dataset_split,
        result.metric_type,
    )  # fmt: skip


def _read_card(readme: Path) -> ModelCard:
    try:
        card: ModelCard = ModelCard.load(readme)
        models = [entry["name"] for entry in (metadata_load(readme) or {}).get("model-index") or ()]
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(
            f"{readme} cannot be read as a model card: {error}.",
            fix="Mend the block between the --- lines, or move it.",
        ) from error
    if len(models) > 1:
        raise UsageError(
            f"{readme} holds the results of {len(models)} models: {', '.join(map(str, models))}.",
            why="huggingface_hub would write them all under one name.",
            fix="Give each model a card of its own.",
        )
    return card


def _new_card(account: Account) -> ModelCard:
    facts, comparison, name = account.facts, account.comparison, account.tuned.manifest.model.name
    metadata = ModelCardData(
        library_name="transformers",
        pipeline_tag=account.experiment.task,
        metrics=list(account.tuned.manifest.metrics),
        base_model=name if "/" in name and looks_like_hub_name(name) and not Path(name).exists() else None,
    )
    title, headline = escape(facts["experiment"]), escape(say_headline(comparison, facts["headline"]))
    text = "\n".join([f"# {title}", "", headline, "", *write_metrics(facts), "", LEGEND, ""])
    return ModelCard(f"---\n{metadata.to_yaml()}\n---\n{text}")
