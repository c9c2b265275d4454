"""Augmentation methods for images."""
