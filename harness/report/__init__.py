"""What a run says of itself: on the terminal, in Markdown, as JSON, on disk."""
