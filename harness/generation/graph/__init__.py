"""The engine "graph": our own decoding of T5 and of causal models.

The beams of a row share one cache, no cache is ever reordered, and a step waits for nothing on the host, so that on a
GPU it is captured as a CUDA graph.
"""
