"""Renders a whole batch with torch, on any device: the same image as the CPU renderer within a small tolerance."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from whet.core.view import Cover, Filter, ImageView, Noise, Tone
from whet.render.codec import coded
from whet.render.image_cpu import MEAN_ROWS, SMOOTH
from whet.render.kernels import gaussian_kernel, gaussian_size, motion_kernel
from whet.render.noise import bank_rows, normal_bank, pixel_noise, uniform_bank
from whet.render.tone import autocontrast_table, equalize_table


def render_batch(view: ImageView, pixels: list[np.ndarray], device: torch.device | str = "cpu") -> torch.Tensor:
    """Render every sample of the view from its source pixels (H, W, 3) uint8, full size or shrunk -> uint8 (B, h, w, 3)."""
    x_BCHW = _warp(view, pixels, torch.device(device))
    for filter_ in view.filters:
        x_BCHW = _FILTERS[filter_.kind](x_BCHW, filter_)
    if view.colour_B37 is not None:
        colour = _to(view.colour_B37, x_BCHW)
        mean_B3 = x_BCHW[:, :, ::MEAN_ROWS].mean(dim=(2, 3))
        offset = colour[:, :, 6] + torch.einsum("bij,bj->bi", colour[:, :, 3:6], mean_B3)
        x_BCHW = torch.einsum("bij,bjhw->bihw", colour[:, :, :3], x_BCHW) + offset[:, :, None, None]
        x_BCHW = x_BCHW.round().clamp(0, 255)
    for tone in view.tones:
        x_BCHW = _toned(x_BCHW, tone)
    for noise in view.noises:
        x_BCHW = _noised(x_BCHW, noise)
    x_BHWC = x_BCHW.permute(0, 2, 3, 1).contiguous().to(torch.uint8)
    for cover in view.covers:
        _covered(x_BHWC, cover)
    if view.codecs or view.foreign:
        x_BHWC = _on_the_host(x_BHWC, view)
    if not view.blends:
        return x_BHWC
    left_B = np.ones(len(view))
    total = torch.zeros_like(x_BHWC, dtype=torch.float32)
    for blend in view.blends:
        weight = _to(blend.weight_B, total)[:, None, None, None]
        total += weight * render_batch(blend.view, pixels, device)
        left_B = left_B - blend.weight_B
    return (total + _to(left_B, total)[:, None, None, None] * x_BHWC).round().clamp(0, 255).to(torch.uint8)


def _to(array: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32).to(like.device)


def _warp(view: ImageView, pixels: list[np.ndarray], device: torch.device) -> torch.Tensor:
    """One bilinear `grid_sample` over the padded batch; positions beyond an image's edge are reflected."""
    tall, wide = max(p.shape[0] for p in pixels), max(p.shape[1] for p in pixels)
    source = torch.zeros((len(view), tall, wide, 3), dtype=torch.uint8)
    for i, image in enumerate(pixels):
        source[i, : image.shape[0], : image.shape[1]] = torch.from_numpy(np.ascontiguousarray(image))
    source_BCHW = source.to(device).permute(0, 3, 1, 2).to(torch.float32)

    size_B2 = np.array([image.shape[:2] for image in pixels], dtype=np.float64)
    limit = torch.as_tensor(size_B2[:, ::-1].copy(), device=device)[:, None, None, :] - 1  # last pixel number, x then y
    place = _mirror(_shown_points(view, size_B2, device) - 0.5, limit)
    extent = torch.tensor([max(wide - 1, 1), max(tall - 1, 1)], device=device)
    sampled = F.grid_sample(
        source_BCHW,
        (place / extent * 2 - 1).to(torch.float32),
        mode="bilinear",
        padding_mode="border",
        align_corners=True,
    )
    return sampled.round()


def render_masks(
    view: ImageView, masks: list[np.ndarray], outside: int, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """The masks (H, W) of the samples, in full source size, as the view shows them, with the nearest pixel -> (B, h, w) of the
    masks' dtype. outside: the value of pixels that show nothing of the source, as in `render.masks.warped_mask`."""
    device = torch.device(device)
    size_B2 = np.array([mask.shape[:2] for mask in masks], dtype=np.float64)
    if (size_B2 != view.source_size_B2).any():
        raise ValueError("masks and images differ in size")
    place_BHW2 = _shown_points(view, size_B2, device).floor().long()
    rendered = []
    for mask, place_HW2 in zip(masks, place_BHW2):
        (height, width), (x_HW, y_HW) = mask.shape, place_HW2.unbind(dim=-1)
        inside = (x_HW >= 0) & (x_HW < width) & (y_HW >= 0) & (y_HW < height)
        source = torch.from_numpy(np.ascontiguousarray(mask)).to(device)
        shown = source[y_HW.clamp(0, height - 1), x_HW.clamp(0, width - 1)]
        rendered.append(torch.where(inside, shown, torch.full_like(shown, outside)))
    return torch.stack(rendered)


def _shown_points(view: ImageView, size_B2: np.ndarray, device: torch.device) -> torch.Tensor:
    """The source point (x, y) of every output pixel, (B, h, w, 2), in pixels of sources of these sizes."""
    B, (height, width) = len(view), view.size
    scale = np.concatenate([(size_B2 / view.source_size_B2)[:, ::-1], np.ones((B, 1))], axis=1)
    # float64: a warp spans thousands of pixels, and positions must be exact to a hundredth of a pixel.
    warp = torch.as_tensor(view.warp_B33 * scale[:, :, None], device=device)
    y, x = torch.meshgrid(
        torch.arange(height, device=device, dtype=torch.float64) + 0.5,
        torch.arange(width, device=device, dtype=torch.float64) + 0.5,
        indexing="ij",
    )
    grid = torch.stack([x, y, torch.ones_like(x)], dim=-1).expand(B, -1, -1, -1)
    if view.flow_BNN2 is not None:
        flow = torch.as_tensor(view.flow_BNN2, dtype=torch.float32, device=device).permute(0, 3, 1, 2)
        flow = F.interpolate(flow, (height, width), mode="bicubic", align_corners=False)
        grid = torch.cat([grid[..., :2] + flow.permute(0, 2, 3, 1), grid[..., 2:]], dim=-1)
    point = torch.einsum("bij,bhwj->bhwi", warp, grid)
    return point[..., :2] / point[..., 2:]


def _mirror(place: torch.Tensor, limit: torch.Tensor) -> torch.Tensor:
    """Reflect positions into 0 … limit about the first and last pixel's centre."""
    period = (2 * limit).clamp(min=1)
    place = place.abs() % period
    return torch.where(limit == 0, torch.zeros_like(place), torch.minimum(place, period - place))


def _sharpen(x_BCHW: torch.Tensor, filter_: Filter) -> torch.Tensor:
    kernel = torch.as_tensor(SMOOTH, device=x_BCHW.device).expand(3, 1, 3, 3)
    smooth = x_BCHW.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(x_BCHW, kernel, groups=3)
    s = _to(filter_.strength_B, x_BCHW)[:, None, None, None]
    return ((1 + s) * x_BCHW - s * smooth.round()).round().clamp(0, 255)


def _gaussian(x_BCHW: torch.Tensor, filter_: Filter) -> torch.Tensor:
    some = np.flatnonzero(filter_.strength_B)
    if not len(some):
        return x_BCHW
    size = max(gaussian_size(float(sigma)) for sigma in filter_.strength_B[some])
    lines = np.stack([gaussian_kernel(float(sigma), size) for sigma in filter_.strength_B[some]])
    kernels = lines[:, :, None] * lines[:, None, :]
    return _convolved(x_BCHW, some, kernels)


def _motion(x_BCHW: torch.Tensor, filter_: Filter) -> torch.Tensor:
    some = np.flatnonzero(filter_.strength_B)
    if not len(some):
        return x_BCHW
    assert filter_.angle_B is not None
    size = 2 * math.ceil(float(filter_.strength_B[some].max()) / 2) + 1
    pairs = zip(filter_.strength_B[some].tolist(), filter_.angle_B[some].tolist())
    return _convolved(x_BCHW, some, np.stack([motion_kernel(length, angle, size) for length, angle in pairs]))


def _convolved(x_BCHW: torch.Tensor, some: np.ndarray, kernels_Nkk: np.ndarray) -> torch.Tensor:
    """Convolve each of these samples with its own kernel, reflected at the border."""
    N, (height, width), reach = len(some), x_BCHW.shape[2:], kernels_Nkk.shape[1] // 2
    rows, columns = (_mirrored(n, reach, x_BCHW.device) for n in (height, width))
    padded = x_BCHW[torch.from_numpy(some).to(x_BCHW.device)][:, :, rows][:, :, :, columns]
    kernel = _to(kernels_Nkk, x_BCHW).repeat_interleave(3, dim=0)[:, None]
    done = F.conv2d(padded.reshape(1, 3 * N, *padded.shape[2:]), kernel, groups=3 * N).view(N, 3, height, width)
    out = x_BCHW.clone()
    out[torch.from_numpy(some).to(out.device)] = done.round().clamp(0, 255)
    return out


def _mirrored(size: int, reach: int, device: torch.device) -> torch.Tensor:
    """Line numbers -reach … size - 1 + reach, reflected at the border; `reach` may exceed the image size."""
    place = torch.arange(-reach, size + reach, device=device, dtype=torch.float64)
    return _mirror(place, torch.tensor(size - 1, device=device, dtype=torch.float64)).long()


_FILTERS = {"sharpen": _sharpen, "gaussian": _gaussian, "motion": _motion}


def _toned(x_BCHW: torch.Tensor, tone: Tone) -> torch.Tensor:
    levels = x_BCHW.to(torch.int64)
    if tone.table_BC256 is not None:
        table = np.asarray(tone.table_BC256, dtype=np.float64)
    else:
        make = equalize_table if tone.adaptive == "equalize" else autocontrast_table
        counts = torch.zeros((*x_BCHW.shape[:2], 256), device=x_BCHW.device)
        counts.scatter_add_(2, levels.flatten(2), torch.ones_like(x_BCHW).flatten(2))
        table = np.stack([make(histogram) for histogram in counts.cpu().numpy()])
    table = np.where(np.asarray(tone.where_B)[:, None, None], np.clip(np.rint(table), 0, 255), np.arange(256.0))
    table_B3L = _to(table, x_BCHW).expand(len(x_BCHW), 3, 256)
    return table_B3L.gather(2, levels.flatten(2)).view_as(x_BCHW)


def _noised(x_BCHW: torch.Tensor, noise: Noise) -> torch.Tensor:
    height, width = x_BCHW.shape[2:]
    salt = noise.kind == "salt_pepper"
    length = width if salt else 3 * width
    bank = torch.from_numpy(uniform_bank() if salt else normal_bank()).to(x_BCHW.device)
    place = torch.from_numpy(np.stack([bank_rows(int(key), height, length) for key in noise.key_B])).to(bank.device)
    drawn = bank.unfold(0, length, 1)[place]
    strength = _to(noise.strength_B, x_BCHW)[:, None, None, None]
    if salt:
        drawn = drawn[:, None]
        x_BCHW = torch.where(drawn < strength / 2, torch.zeros_like(x_BCHW), x_BCHW)
        return torch.where(drawn > 1 - strength / 2, torch.full_like(x_BCHW, 255), x_BCHW)
    drawn = drawn.view(len(drawn), height, width, 3).permute(0, 3, 1, 2)
    spread = (strength * x_BCHW).sqrt() if noise.kind == "shot" else strength
    return (x_BCHW + spread * drawn).round().clamp(0, 255)


def _covered(x_BHWC: torch.Tensor, cover: Cover) -> None:
    for i, boxes in enumerate(cover.box_BN4.astype(int).tolist()):
        seen = x_BHWC[i, ::MEAN_ROWS].to(torch.float32)
        mean = seen.mean(dim=(0, 1)).round().to(torch.uint8) if cover.fill == "mean" else 0
        for x0, y0, x1, y1 in boxes:
            if x1 <= x0 or y1 <= y0:
                continue
            if cover.fill == "noise":
                noise = pixel_noise(int(cover.key_B[i]), y1 - y0, x1 - x0)
                x_BHWC[i, y0:y1, x0:x1] = torch.from_numpy(noise).to(x_BHWC.device)
            else:
                x_BHWC[i, y0:y1, x0:x1] = mean


def _on_the_host(x_BHWC: torch.Tensor, view: ImageView) -> torch.Tensor:
    """Apply codecs and other libraries' transforms, which need the CPU."""
    images = x_BHWC.cpu().numpy()
    for i in range(len(view)):
        for codec in view.codecs:
            images[i] = coded(codec, i, images[i])
        for foreign in view.foreign:
            images[i] = foreign.transform(images[i].copy(), int(foreign.key_B[i]))
    return torch.from_numpy(images).to(x_BHWC.device)
