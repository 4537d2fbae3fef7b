"""A training script as many are written: a T5, a hand-written loop, about forty lines. It runs, and the loss falls."""

import copy
import json
import sys
from importlib.resources import files

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

CHECKPOINT = str(files("harness") / "models" / "tiny-t5")
tokenizer = AutoTokenizer.from_pretrained(CHECKPOINT)


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def encode(rows):
    inputs = tokenizer(["summarize: " + row["document"] for row in rows], max_length=512, truncation=True)
    targets = tokenizer(text_target=[row["summary"] for row in rows], max_length=64, padding="max_length")
    return [
        {"input_ids": ids, "labels": labels}
        for ids, labels in zip(inputs["input_ids"], targets["input_ids"], strict=True)
    ]


def collate(features):
    batch = tokenizer.pad({"input_ids": [feature["input_ids"] for feature in features]}, return_tensors="pt")
    return {**batch, "labels": torch.tensor([feature["labels"] for feature in features])}


def make_model():
    return AutoModelForSeq2SeqLM.from_pretrained(CHECKPOINT)


def train(model, rows, epochs=3, seed=0):
    torch.manual_seed(seed)
    tuned = copy.deepcopy(model).train()
    optimizer = torch.optim.AdamW(tuned.parameters(), lr=1e-3, weight_decay=0.0)
    batches = torch.utils.data.DataLoader(encode(rows), batch_size=8, shuffle=True, collate_fn=collate)
    for _ in range(epochs):
        for batch in batches:
            loss = tuned(**batch).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        print(f"loss {loss.item():.3f}", file=sys.stderr)
    return tuned.eval()


def generate(model, rows):
    batch = collate(encode(rows))
    outputs = model.generate(batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=64)
    return tokenizer.batch_decode(outputs, skip_special_tokens=True)


if __name__ == "__main__":
    tuned = train(make_model(), read(sys.argv[1]))
    tuned.save_pretrained("tuned")
