"""Explanations of predictions: heat maps for images and spectrograms, word attributions for texts."""

from whet.explain.audio import AudioHeat
from whet.explain.evidence import CannotExplain
from whet.explain.images import ImageHeat
from whet.explain.samples import Explanation, explain
from whet.explain.texts import Piece, WordHeat

__all__ = ["AudioHeat", "CannotExplain", "Explanation", "ImageHeat", "Piece", "WordHeat", "explain"]
