"""Smaller and faster models: fewer weights, fewer bits."""
