"""The main job: from a folder to a better model, what helped, and how much better it is."""

from whet.improvement.pipeline import Improvement, improve

__all__ = ["Improvement", "improve"]
