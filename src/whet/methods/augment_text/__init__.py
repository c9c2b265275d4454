"""Augmentation methods for text."""
