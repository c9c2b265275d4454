"""Training: the loop, checkpoints, and budgets in time or epochs."""
