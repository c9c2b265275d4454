"""Paints a whole batch at once with torch, on any device: the same picture as the CPU painter within a small tolerance."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from whet.core.view import ImageView
from whet.render.image_cpu import MEAN_ROWS, SMOOTH
from whet.render.noise import pixel_noise
from whet.render.tone import autocontrast_table, equalize_table


def paint_batch(view: ImageView, pixels: list[np.ndarray], device: torch.device | str = "cpu") -> torch.Tensor:
    """Paint every sample of the view from its source pixels (H, W, 3) uint8, whole or shrunk -> uint8 (B, h, w, 3)."""
    x_BCHW = _warp(view, pixels, torch.device(device))
    for filter_ in view.filters:
        x_BCHW = _sharpen(x_BCHW, _to(filter_.strength_B, x_BCHW))
    if view.colour_B37 is not None:
        colour = _to(view.colour_B37, x_BCHW)
        mean_B3 = x_BCHW[:, :, ::MEAN_ROWS].mean(dim=(2, 3))
        offset = colour[:, :, 6] + torch.einsum("bij,bj->bi", colour[:, :, 3:6], mean_B3)
        x_BCHW = torch.einsum("bij,bjhw->bihw", colour[:, :, :3], x_BCHW) + offset[:, :, None, None]
        x_BCHW = x_BCHW.round().clamp(0, 255)
    for tone in view.tones:
        x_BCHW = _toned(x_BCHW, tone)
    x_BHWC = x_BCHW.permute(0, 2, 3, 1).contiguous().to(torch.uint8)
    for cover in view.covers:
        _covered(x_BHWC, cover)
    return x_BHWC


def _to(array: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32).to(like.device)


def _warp(view: ImageView, pixels: list[np.ndarray], device: torch.device) -> torch.Tensor:
    """One bilinear `grid_sample` over the padded batch; positions beyond a picture's edge are mirrored back into it."""
    B, (height, width) = len(view), view.size
    tall, wide = max(p.shape[0] for p in pixels), max(p.shape[1] for p in pixels)
    source = torch.zeros((B, tall, wide, 3), dtype=torch.uint8)
    for i, image in enumerate(pixels):
        source[i, : image.shape[0], : image.shape[1]] = torch.from_numpy(np.ascontiguousarray(image))
    source_BCHW = source.to(device).permute(0, 3, 1, 2).to(torch.float32)

    size_B2 = np.array([image.shape[:2] for image in pixels], dtype=np.float64)
    scale = np.concatenate([(size_B2 / view.source_size_B2)[:, ::-1], np.ones((B, 1))], axis=1)
    # float64: a warp's entries span thousands of pixels, and a position is needed to a hundredth of one.
    warp = torch.as_tensor(view.warp_B33 * scale[:, :, None], device=device)
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=torch.float64) + 0.5,
        torch.arange(width, device=device, dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    grid = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    point = torch.einsum("bij,hwj->bhwi", warp, grid)
    limit = torch.as_tensor(size_B2[:, ::-1].copy(), device=device)[:, None, None, :] - 1  # last pixel number, x then y
    place = _mirror(point[..., :2] / point[..., 2:] - 0.5, limit)
    extent = torch.tensor([max(wide - 1, 1), max(tall - 1, 1)], device=device)
    sampled = F.grid_sample(
        source_BCHW,
        (place / extent * 2 - 1).to(torch.float32),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    return sampled.round()


def _mirror(place: torch.Tensor, limit: torch.Tensor) -> torch.Tensor:
    """Reflect positions into 0 … limit about the first and last pixel's centre."""
    period = (2 * limit).clamp(min=1)
    place = place.abs() % period
    return torch.where(limit == 0, torch.zeros_like(place), torch.minimum(place, period - place))


def _sharpen(x_BCHW: torch.Tensor, strength_B: torch.Tensor) -> torch.Tensor:
    kernel = torch.as_tensor(SMOOTH, device=x_BCHW.device).expand(3, 1, 3, 3)
    smooth = x_BCHW.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(x_BCHW, kernel, groups=3)
    s = strength_B[:, None, None, None]
    return ((1 + s) * x_BCHW - s * smooth.round()).round().clamp(0, 255)


def _toned(x_BCHW: torch.Tensor, tone) -> torch.Tensor:
    levels = x_BCHW.to(torch.int64)
    if tone.table_BC256 is not None:
        table = np.asarray(tone.table_BC256, dtype=np.float64)
    else:
        make = equalize_table if tone.adaptive == "equalize" else autocontrast_table
        counts = torch.zeros((*x_BCHW.shape[:2], 256), device=x_BCHW.device)
        counts.scatter_add_(2, levels.flatten(2), torch.ones_like(x_BCHW).flatten(2))
        table = np.stack([make(histogram) for histogram in counts.cpu().numpy()])
    plain = np.broadcast_to(np.arange(256.0), table.shape)
    table = np.where(np.asarray(tone.where_B)[:, None, None], np.clip(np.rint(table), 0, 255), plain)
    return _to(table, x_BCHW).gather(2, levels.flatten(2)).view_as(x_BCHW)


def _covered(x_BHWC: torch.Tensor, cover) -> None:
    for i, box in enumerate(cover.box_B4.astype(int).tolist()):
        x0, y0, x1, y1 = box
        if x1 <= x0 or y1 <= y0:
            continue
        if cover.fill == "noise":
            noise = pixel_noise(int(cover.key_B[i]), (x0, y0, x1, y1))
            x_BHWC[i, y0:y1, x0:x1] = torch.from_numpy(noise).to(x_BHWC.device)
        elif cover.fill == "mean":
            x_BHWC[i, y0:y1, x0:x1] = x_BHWC[i].to(torch.float32).mean(dim=(0, 1)).round().to(torch.uint8)
        else:
            x_BHWC[i, y0:y1, x0:x1] = 0
