"""Renderers of views: each sample is rendered once, with all requested transforms.

`ImageView` defines the rendering order. Colour transforms are composed before they are applied, so nothing is clipped between
them. (A paper that applies its operations in random order differs here; see the methods' cards.)
"""

from whet.render.geometry import warp_boxes, warp_points, warp_polygon
from whet.render.image_cpu import CpuRenderer
from whet.render.shrink import shrink, shrink_factors

__all__ = ["CpuRenderer", "shrink", "shrink_factors", "warp_boxes", "warp_points", "warp_polygon"]
