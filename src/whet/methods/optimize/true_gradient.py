"""Methods that change the gradient, so that a closure no longer returns the gradient of its loss. The curvature cannot be
computed from such gradients."""

from __future__ import annotations

BENDS_GRADIENTS = frozenset(
    ("clip_norm", "clip_value", "adaptive_clip", "gradient_centralization", "gradient_noise", "sam", "asam", "awp")
)
