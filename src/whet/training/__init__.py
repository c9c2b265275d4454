"""Training: one readable loop, checkpoints that survive kill -9, budgets in time or epochs."""
