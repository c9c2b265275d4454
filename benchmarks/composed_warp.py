"""How sharp an image stays: many small rotations composed into one warp, against one resampling after another.

scikit-learn's sample photograph is turned by 2.5 degrees 1 … 12 times, both ways, and compared with the ideal: the same turn by
quintic splines on the image itself. PSNR within the disc that never leaves the frame. Writes docs/images/composed_warp.png.

    python benchmarks/composed_warp.py
"""

from __future__ import annotations

import cv2
import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from sklearn.datasets import load_sample_image

import record
from whet.core.view import ImageView
from whet.methods.augment_image.rotate import rotated
from whet.render import CpuRenderer

SIDE, DEGREES, TIMES = 224, 2.5, 12


def rendered(view: ImageView, pixels: np.ndarray) -> np.ndarray:
    out = np.empty_like(pixels)
    CpuRenderer(view).render(0, pixels, out)
    return out


def empty() -> ImageView:
    return ImageView.whole([(SIDE, SIDE)], (SIDE, SIDE))


def ideal(pixels: np.ndarray, degrees: float) -> np.ndarray:
    turned = ndimage.rotate(pixels.astype(float), degrees, axes=(0, 1), reshape=False, order=5, mode="mirror")
    return turned.clip(0, 255)


def psnr(pixels: np.ndarray, reference: np.ndarray, inside: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / ((pixels - reference)[inside] ** 2).mean()))


def main() -> None:
    whole = load_sample_image("china.jpg")
    pixels = np.ascontiguousarray(whole[60 : 60 + 2 * SIDE, 100 : 100 + 2 * SIDE])
    pixels = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    inside = np.hypot(x, y) < SIDE / 2 - 4
    turn = np.array([DEGREES])
    results: dict[str, dict[str, float]] = {}
    view, after_another = empty(), pixels
    for count in range(1, TIMES + 1):
        view = rotated(view, turn)
        after_another = rendered(rotated(empty(), turn), after_another)
        composed, reference = rendered(view, pixels), ideal(pixels, count * DEGREES)
        results[str(count)] = {
            "composed_db": psnr(composed, reference, inside),
            "one_after_another_db": psnr(after_another, reference, inside),
        }
        print(f"{count:2d} turns   " + "   ".join(f"{key} {value:.1f}" for key, value in results[str(count)].items()))
    draw(
        results,
        [("ideal", reference.round().astype(np.uint8)), ("one warp", composed), ("12 resamplings", after_another)],
    )
    question = f"PSNR against the ideal after 1 … {TIMES} turns of {DEGREES} degrees, composed and one after another"
    record.write("composed_warp", question, results, ("opencv-python-headless", "scipy"))


def draw(results: dict[str, dict[str, float]], images: list[tuple[str, np.ndarray]]) -> None:
    figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.5), width_ratios=(1.5, 1, 1, 1), layout="constrained")
    counts = [int(count) for count in results]
    for key, colour, label in (
        ("composed_db", "#1f7a5c", "one warp"),
        ("one_after_another_db", "#8a8f98", "one after another"),
    ):
        axes[0].plot(
            counts, [found[key] for found in results.values()], color=colour, marker="o", markersize=4, label=label
        )
    axes[0].set(xlabel="turns of 2.5°", ylabel="PSNR, dB", xticks=(1, 4, 8, 12))
    axes[0].spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    part = slice(SIDE // 2 - 40, SIDE // 2 + 40)
    for axis, (title, pixels) in zip(axes[1:], images):
        axis.imshow(pixels[part, part], interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    figure.savefig(record.ROOT / "docs" / "images" / "composed_warp.png", dpi=150)


if __name__ == "__main__":
    main()
