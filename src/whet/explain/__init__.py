"""Why a network answers as it does: heat over pictures and spectrograms, words for and against."""

from whet.explain.evidence import CannotExplain
from whet.explain.images import PictureHeat
from whet.explain.samples import Explanation, explain
from whet.explain.sounds import SoundHeat
from whet.explain.texts import Piece, WordHeat

__all__ = ["CannotExplain", "Explanation", "PictureHeat", "Piece", "SoundHeat", "WordHeat", "explain"]
