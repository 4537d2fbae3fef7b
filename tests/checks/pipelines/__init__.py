"""Pipelines as strangers write them."""
