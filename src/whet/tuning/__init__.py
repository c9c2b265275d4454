"""Hyperparameter search with short runs, and a confirmation of the best trial with new seeds."""
