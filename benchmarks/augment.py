"""From JPEG bytes to a normalised tensor under one policy, on one core: whet against Albumentations, and against bare decoding.

The contenders take turns, batch by batch, so that a machine whose speed drifts is the same for all. Policy: random resized crop
0.35 … 1 to 224, flip, rotate ±15°, shear ±5°, brightness, contrast and saturation ±0.3, hue ±0.1, normalise.

    python benchmarks/augment.py [--repeats 15]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

import cv2
import numpy as np
import simplejpeg
import torch

import record
from whet.core.process import keep_freed_memory
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.data.image import Picture
from whet.data.loader import paint_pictures
from whet.models.net import normalise
from whet.train.plan import ordered

SIZE, BATCH, PICTURES = 224, 32, 320
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
POLICY = """
methods:
  - random_resized_crop: {min_area: 0.35}
  - horizontal_flip
  - rotate: {max_degrees: 15}
  - shear: {max_degrees: 5}
  - brightness: {max_change: 0.3}
  - contrast: {max_change: 0.3}
  - saturation: {max_change: 0.3}
  - hue: {max_shift: 0.1}
"""


def whet() -> Callable[[list[bytes]], object]:
    methods, rng = ordered(Recipe.from_yaml(POLICY).methods), Rng(0)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    epoch = iter(range(10**9))

    def run(batch: list[bytes]) -> object:
        number = next(epoch)

        def draw(view, index_B):
            for method in methods:
                view = method.draw(view, rng.batch(method.name, number, index_B))
            return view

        painted = paint_pictures([Picture(data) for data in batch], np.arange(len(batch)), SIZE, "squash", draw)
        return normalise(torch.from_numpy(painted.images_BHWC), mean, std)

    return run


def albumentations() -> Callable[[list[bytes]], object]:
    import albumentations as A
    from albumentations.pytorch import ToTensorV2

    pipeline = A.Compose(
        [
            A.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1.0)),
            A.HorizontalFlip(),
            A.Affine(rotate=(-15, 15), shear=(-5, 5), border_mode=cv2.BORDER_REFLECT_101, p=1),
            A.ColorJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.7, 1.3), hue=(-0.1, 0.1), p=1),
            A.Normalize(MEAN, STD),
            ToTensorV2(),
        ]
    )

    def run(batch: list[bytes]) -> object:
        images = []
        for data in batch:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
            images.append(pipeline(image=pixels)["image"])
        return torch.stack(images)

    return run


def decoding() -> Callable[[list[bytes]], object]:
    buffer = np.empty(4_000_000, dtype=np.uint8)

    def run(batch: list[bytes]) -> object:
        for data in batch:
            simplejpeg.decode_jpeg(data, buffer=buffer)
        return None

    return run


def main() -> None:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, for everyone
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    keep_freed_memory()
    paths = sorted((record.SHARED / "trashnet").glob("*/*.jpg"))
    chosen = [paths[i].read_bytes() for i in np.linspace(0, len(paths) - 1, PICTURES).astype(int)]
    batches = [chosen[i : i + BATCH] for i in range(0, PICTURES, BATCH)]
    contenders = {"whet": whet(), "albumentations": albumentations(), "decoding": decoding()}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run(batches[0])  # warm up
    for _ in range(repeats):
        taken = dict.fromkeys(contenders, 0.0)
        for batch in batches:
            for name, run in contenders.items():
                start = time.perf_counter()
                run(batch)
                taken[name] += time.perf_counter() - start
        for name, value in taken.items():
            seconds[name].append(value)
    rates = {name: [PICTURES / value for value in values] for name, values in seconds.items()}
    against = [a / w for a, w in zip(seconds["albumentations"], seconds["whet"])]
    share = [d / w for d, w in zip(seconds["decoding"], seconds["whet"])]
    results = {
        "pictures_per_second": {name: record.summary(values) for name, values in rates.items()},
        "whet_times_albumentations": record.summary(against),
        "whet_share_of_bare_decoding": record.summary(share),
    }
    for name, values in results["pictures_per_second"].items():
        print(f"{name:16s} {values['median']:7.0f} pictures/s  ({values['min']:.0f} … {values['max']:.0f})")
    for name in ("whet_times_albumentations", "whet_share_of_bare_decoding"):
        print(f"{name:28s} {results[name]['median']:.2f}  ({results[name]['min']:.2f} … {results[name]['max']:.2f})")
    question = (
        "JPEG bytes of TrashNet (512x384) to a normalised 224 px tensor under one policy, one core, contenders in turn"
    )
    record.write("augment", question, results, ("albumentations", "opencv-python-headless", "simplejpeg"))


if __name__ == "__main__":
    main()
