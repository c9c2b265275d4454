"""Augmentation methods for audio."""
