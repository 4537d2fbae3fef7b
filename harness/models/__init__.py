"""The tiny checkpoints, the recipe that made them, and loading by name, path or hub id."""
