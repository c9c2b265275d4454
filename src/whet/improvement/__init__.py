"""`whet improve`: check the data, study techniques, train and compare recipes, and report the gain."""

from whet.improvement.pipeline import Improvement, improve

__all__ = ["Improvement", "improve"]
