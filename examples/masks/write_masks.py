"""Write pictures of cans (discs) and bottles (bars) on a noisy floor, with the class of every pixel: images/, masks/, classes.txt.

python examples/masks/write_masks.py FOLDER
whet check FOLDER --out checked
whet train FOLDER --architecture resnet9_slim --weights none --image-size 64 --epochs 20 --out run
whet predict run FOLDER/images --out predicted
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COUNT, SIDE = 120, 96
CLASSES = ("background", "can", "bottle")
COLOURS = ((112, 108, 100), (186, 62, 52), (60, 120, 88))


def write_masks(folder: Path, count: int = COUNT) -> None:
    draws = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    for number in range(count):
        mask = Image.new("L", (SIDE, SIDE))
        pen = ImageDraw.Draw(mask)
        for _ in range(draws.integers(1, 4)):
            x, y, size = draws.integers(10, SIDE - 10, 2).tolist() + [int(draws.integers(7, 15))]
            if draws.random() < 0.5:
                pen.ellipse((x - size, y - size, x + size, y + size), fill=1)
            else:
                along = draws.uniform(0, np.pi)
                dx, dy = 1.6 * size * np.cos(along), 1.6 * size * np.sin(along)
                pen.line((x - dx, y - dy, x + dx, y + dy), fill=2, width=max(4, size // 2))
        classes = np.asarray(mask)
        shade = 1 + 0.25 * draws.standard_normal((3, 1, 1))  # of each class in this picture
        pixels = np.array(COLOURS)[classes] * shade[classes, 0] + draws.normal(0, 14, (SIDE, SIDE, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{number:03d}.png")
        mask.save(folder / "masks" / f"{number:03d}.png")


if __name__ == "__main__":
    write_masks(Path(sys.argv[1]))
