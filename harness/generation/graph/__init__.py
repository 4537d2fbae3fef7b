"""The engine "graph": our own decoder for encoder-decoder models.

The beams of a row share its cross-attention cache, no cache is ever reordered, and a step waits for nothing on the
host, so that on a GPU it is captured as a CUDA graph.
"""
