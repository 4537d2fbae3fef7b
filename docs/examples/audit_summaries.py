"""The script's own functions, handed to the checks as they are: harness audit audit_summaries.py:pipeline."""

import train_summaries as mine

from harness import Declared, Pipeline
from harness.checks.evidence import newsroom_rows


def splits():
    rows = [{"id": row["id"], "document": row["input"], "summary": row["target"]} for row in newsroom_rows(48)]
    return {"train": rows[:32], "eval": rows[32:]}


pipeline = Pipeline(
    name="summaries",
    declared=Declared(prefix="summarize: ", max_new_tokens=64),
    tokenizer=mine.tokenizer,
    splits=splits,
    read=mine.read,
    encode=mine.encode,
    collate=mine.collate,
    make_model=mine.make_model,
    train=mine.train,
    generate=mine.generate,
    save=lambda model, folder: model.save_pretrained(folder),
    load=mine.AutoModelForSeq2SeqLM.from_pretrained,
)
