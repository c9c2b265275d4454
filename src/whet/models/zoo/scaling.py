"""The number of channels of a layer in a scaled network."""

from __future__ import annotations


def multiple_of_eight(channels: float) -> int:
    """The nearest multiple of eight, at least eight, and at most a tenth below `channels`. Source: the rule of MobileNet's and
    EfficientNet's published code."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
