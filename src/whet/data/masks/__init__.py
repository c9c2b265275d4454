"""Reads and writes masks: one file for each format. `read_masks` recognises the format."""

from whet.core.mask_spec import MaskSpec
from whet.data.masks.data import MaskData, MaskImage
from whet.data.masks.detect import detect, read_masks

__all__ = ["MaskData", "MaskImage", "MaskSpec", "detect", "read_masks"]
