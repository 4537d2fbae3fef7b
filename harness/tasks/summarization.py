"""Summarization: a short text that says what a long one says."""

from harness.tasks.text_to_text import TextToText

SUMMARIZATION = TextToText(name="summarization", prefix="summarize: ", metric="rouge")
