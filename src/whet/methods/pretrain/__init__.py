"""Learning from samples without labels: methods for the task Pretraining, whose run a later training starts from."""
