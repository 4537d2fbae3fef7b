"""Learning from preferences and from rewards (RLHF)."""
