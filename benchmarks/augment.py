"""Augmenting images on one core: whet against Albumentations and kornia, method by method, policy by policy.

The contenders take turns, batch by batch, so that a machine whose speed drifts is the same for all. Five questions:

path      JPEG bytes of TrashNet (512x384) to a normalised 224 px tensor under the light policy, beside bare decoding; and the same
          from images that the store keeps decoded.
policies  decoded images (512x384) to 224 px, uint8, under whole policies.
methods   224 px to 224 px, uint8, each method alone and always acting.
masks     the same with a mask each, under the policies of segmentation.
curve     the first 1 … 12 methods of a list together, from decoded images.

    python benchmarks/augment.py [--repeats 15] [--part path policies masks methods curve]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2
import kornia.augmentation as K
import numpy as np
import simplejpeg
import torch
from albumentations.pytorch import ToTensorV2

import record
from whet.core.process import keep_freed_memory
from whet.core.recipe import parse_methods
from whet.core.rng import Rng
from whet.data.image import ImageSample
from whet.data.image_loader import MasksBeside, render_images
from whet.data.mask_store import MaskStore
from whet.data.store import Kept
from whet.models.front import normalise
from whet.training.augmentation import Augmentation
from whet.training.plan import ordered

SIZE, BATCH, IMAGE_FILES = 224, 32, 320
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
REFLECT = cv2.BORDER_REFLECT_101

LIGHT = [
    {"random_resized_crop": {"min_area": 0.35}}, "horizontal_flip", {"rotate": {"max_degrees": 15}},
    {"shear": {"max_degrees": 5}}, {"brightness": {"max_change": 0.3}}, {"contrast": {"max_change": 0.3}},
    {"saturation": {"max_change": 0.3}}, {"hue": {"max_shift": 0.1}},
]  # fmt: skip
HEAVY = [
    *(one for one in LIGHT if "hue" not in one),
    {"translate": {"max_fraction": 0.1}}, {"scale": {"max_factor": 1.2}}, {"gamma": {"max_factor": 1.3}},
]  # fmt: skip
FRAME = {"random_resized_crop": {"min_area": 0.35}}


def light() -> list[Any]:
    return [
        A.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1.0)),
        A.HorizontalFlip(),
        A.Affine(rotate=(-15, 15), shear=(-5, 5), border_mode=REFLECT, p=1),
        A.ColorJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.7, 1.3), hue=(-0.1, 0.1), p=1),
    ]


def heavy() -> list[Any]:
    """One transform a method, as one who adds them one by one writes it; the colours share theirs."""
    return [
        A.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1.0)),
        A.HorizontalFlip(),
        A.Rotate((-15, 15), border_mode=REFLECT, p=1),
        A.Affine(shear=(-5, 5), border_mode=REFLECT, p=1),
        A.Affine(translate_percent=(-0.1, 0.1), border_mode=REFLECT, p=1),
        A.Affine(scale=(0.83, 1.2), border_mode=REFLECT, p=1),
        A.ColorJitter(brightness=(0.7, 1.3), contrast=(0.7, 1.3), saturation=(0.7, 1.3), hue=(0, 0), p=1),
        A.RandomGamma((77, 130), p=1),
    ]


def operations() -> list[Any]:
    """What TrivialAugment and RandAugment choose from, as Albumentations has it."""
    jitter = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0), "p": 1}
    return [
        A.NoOp(p=1),
        A.Affine(shear={"x": (-45, 45), "y": 0}, border_mode=REFLECT, p=1),
        A.Affine(shear={"x": 0, "y": (-45, 45)}, border_mode=REFLECT, p=1),
        A.Affine(translate_px={"x": (-32, 32), "y": 0}, border_mode=REFLECT, p=1),
        A.Affine(translate_px={"x": 0, "y": (-32, 32)}, border_mode=REFLECT, p=1),
        A.Rotate((-135, 135), border_mode=REFLECT, p=1),
        *(A.ColorJitter(**{**jitter, key: (0.01, 1.99)}) for key in ("brightness", "contrast", "saturation")),
        A.Sharpen(p=1),
        A.Posterize(num_bits=(2, 8), p=1),
        A.Solarize(p=1),
        A.AutoContrast(p=1),
        A.Equalize(p=1),
    ]


def frame() -> Any:
    return A.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1.0))


POLICIES: dict[str, tuple[list[Any], Callable[[], list[Any]]]] = {
    "light": (LIGHT, light),
    "trivial_augment": ([FRAME, "trivial_augment"], lambda: [frame(), A.OneOf(operations(), p=1)]),
    "rand_augment": ([FRAME, "rand_augment"], lambda: [frame(), A.SomeOf(operations(), n=2, p=1)]),
    "heavy, ten methods": (HEAVY, heavy),
}


def jitter(**changed: tuple[float, float]) -> Any:
    settings = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}
    return A.ColorJitter(**(settings | changed), p=1)  # type: ignore[arg-type]


def holes(count: int, share: float, fill: Any = 0) -> Any:
    return A.CoarseDropout(
        num_holes_range=(count, count),
        hole_height_range=(share, share),
        hole_width_range=(share, share),
        fill=fill,
        p=1,
    )


# whet's method, always acting; Albumentations' own, and kornia's where there is one
METHODS: dict[str, tuple[Any, Callable[[], Any], Callable[[], Any] | None]] = {
    "horizontal_flip": ({"horizontal_flip": {"prob": 1}}, lambda: A.HorizontalFlip(p=1), lambda: K.RandomHorizontalFlip(p=1)),
    "vertical_flip": ({"vertical_flip": {"prob": 1}}, lambda: A.VerticalFlip(p=1), lambda: K.RandomVerticalFlip(p=1)),
    "rotate90": ({"rotate90": {"prob": 1}}, lambda: A.RandomRotate90(p=1), lambda: K.RandomRotation90((1, 3), p=1)),
    "random_crop": (
        {"random_crop": {"padding": 0.125}},
        lambda: A.Compose([A.Pad(28, border_mode=REFLECT, p=1), A.RandomCrop(SIZE, SIZE, p=1)]),
        lambda: K.RandomCrop((SIZE, SIZE), padding=28, padding_mode="reflect", p=1),
    ),
    "random_resized_crop": (FRAME, frame, lambda: K.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1.0), p=1)),
    "center_zoom": ("center_zoom", lambda: A.Affine(scale=(1, 1.3), border_mode=REFLECT, p=1), None),
    "scale": ("scale", lambda: A.Affine(scale=(0.83, 1.2), border_mode=REFLECT, p=1), None),
    "rotate": ("rotate", lambda: A.Rotate((-15, 15), border_mode=REFLECT, p=1), lambda: K.RandomRotation(15.0, p=1)),
    "shear": ("shear", lambda: A.Affine(shear=(-5, 5), border_mode=REFLECT, p=1), lambda: K.RandomShear(5.0, p=1)),
    "translate": (
        "translate",
        lambda: A.Affine(translate_percent=(-0.1, 0.1), border_mode=REFLECT, p=1),
        lambda: K.RandomTranslate((-0.1, 0.1), (-0.1, 0.1), p=1),
    ),
    "perspective": ("perspective", lambda: A.Perspective((0.05, 0.1), p=1), lambda: K.RandomPerspective(0.1, p=1)),
    "elastic": ("elastic", lambda: A.ElasticTransform(p=1), None),
    "grid_distortion": ("grid_distortion", lambda: A.GridDistortion(p=1), None),
    "brightness": ("brightness", lambda: jitter(brightness=(0.7, 1.3)), lambda: K.RandomBrightness((0.7, 1.3), p=1)),
    "contrast": ("contrast", lambda: jitter(contrast=(0.7, 1.3)), lambda: K.RandomContrast((0.7, 1.3), p=1)),
    "saturation": ("saturation", lambda: jitter(saturation=(0.7, 1.3)), lambda: K.RandomSaturation((0.7, 1.3), p=1)),
    "hue": ("hue", lambda: jitter(hue=(-0.1, 0.1)), lambda: K.RandomHue((-0.1, 0.1), p=1)),
    "color_jitter": ("color_jitter", lambda: light()[-1], lambda: K.ColorJitter(0.3, 0.3, 0.3, 0.1, p=1)),
    "grayscale": ({"grayscale": {"prob": 1}}, lambda: A.ToGray(p=1), lambda: K.RandomGrayscale(p=1)),
    "channel_shuffle": ({"channel_shuffle": {"prob": 1}}, lambda: A.ChannelShuffle(p=1), lambda: K.RandomChannelShuffle(p=1)),
    "pca_lighting": ("pca_lighting", lambda: A.FancyPCA(p=1), None),
    "white_balance": ("white_balance", lambda: A.PlanckianJitter(p=1), lambda: K.RandomPlanckianJitter(p=1)),
    "gamma": ("gamma", lambda: A.RandomGamma((77, 130), p=1), lambda: K.RandomGamma((0.77, 1.3), p=1)),
    "posterize": ("posterize", lambda: A.Posterize(num_bits=(4, 8), p=1), lambda: K.RandomPosterize(4.0, p=1)),
    "solarize": ({"solarize": {"prob": 1}}, lambda: A.Solarize(p=1), lambda: K.RandomSolarize(p=1)),
    "equalize": ({"equalize": {"prob": 1}}, lambda: A.Equalize(p=1), lambda: K.RandomEqualize(p=1)),
    "autocontrast": ({"autocontrast": {"prob": 1}}, lambda: A.AutoContrast(p=1), lambda: K.RandomAutoContrast(p=1)),
    "invert": ({"invert": {"prob": 1}}, lambda: A.InvertImg(p=1), lambda: K.RandomInvert(p=1)),
    "gaussian_blur": (
        {"gaussian_blur": {"prob": 1}},
        lambda: A.GaussianBlur(blur_limit=0, sigma_limit=(0.1, 2), p=1),
        None,
    ),
    "motion_blur": (
        {"motion_blur": {"prob": 1}}, lambda: A.MotionBlur((3, 11), p=1), None
    ),
    "sharpen": ("sharpen", lambda: A.Sharpen(p=1), lambda: K.RandomSharpness(p=1)),
    "gaussian_noise": ("gaussian_noise", lambda: A.GaussNoise((0.0, 0.05), p=1), lambda: K.RandomGaussianNoise(std=0.05, p=1)),
    "shot_noise": ({"shot_noise": {"prob": 1}}, lambda: A.ShotNoise(p=1), None),
    "salt_pepper": ("salt_pepper", lambda: A.SaltAndPepper((0, 0.02), p=1), lambda: K.RandomSaltAndPepperNoise((0.0, 0.02), p=1)),
    "random_erasing": (
        {"random_erasing": {"prob": 1}}, lambda: A.Erasing(scale=(0.02, 0.33), fill="random", p=1), lambda: K.RandomErasing(p=1)
    ),
    "cutout": ("cutout", lambda: holes(1, 0.25), None),
    "grid_mask": ({"grid_mask": {"prob": 1}}, lambda: A.GridDropout(ratio=0.5, random_offset=True, p=1), None),
    "hide_and_seek": ({"hide_and_seek": {"prob": 1}}, lambda: holes(5, 0.25), None),
    "jpeg": ({"jpeg": {"prob": 1}}, lambda: A.ImageCompression(quality_range=(30, 95), p=1), None),
    "downscale": ({"downscale": {"prob": 1}}, lambda: A.Downscale(scale_range=(0.33, 0.95), p=1), None),
}  # fmt: skip

# Rendered groups: warp, colour, tone, filter, noise, cover. Twelve methods fall into six of them.
CURVE: list[tuple[Any, Callable[[], Any]]] = [
    (FRAME, frame),
    ("horizontal_flip", lambda: A.HorizontalFlip()),
    *((METHODS[name][0], METHODS[name][1]) for name in (
        "rotate", "shear", "perspective", "brightness", "contrast", "saturation", "hue", "gamma", "gaussian_noise", "cutout"
    )),
]  # fmt: skip

Run = Callable[[list[Any]], object]


def whet(
    specs: Sequence[Any], size: int = SIZE, opened: Callable[[Any], Any] = ImageSample, tensor: bool = False
) -> Run:
    """Batches of what `opened` makes images of, to uint8 or to a normalised tensor."""
    augmentation = Augmentation(ordered(parse_methods(specs)), Rng(0))
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    epoch = iter(range(10**9))

    def run(batch: list[Any]) -> object:
        images = [opened(one) for one in batch]
        rendered = render_images(images, np.arange(len(batch)), size, "squash", augmentation.draw(next(epoch)))
        return normalise(torch.from_numpy(rendered.content), mean, std) if tensor else rendered.content

    return run


def kept(pixels: np.ndarray) -> Kept:
    return Kept(pixels.shape[:2], pixels)


def albumentations(transforms: list[Any], tensor: bool = False) -> Run:
    pipeline = A.Compose([*transforms, *([A.Normalize(MEAN, STD), ToTensorV2()] if tensor else [])])

    def run(batch: list[Any]) -> object:
        images = []
        for one in batch:
            pixels = cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR_RGB) if isinstance(one, bytes) else one
            images.append(pipeline(image=pixels)["image"])
        return torch.stack(images) if tensor else np.stack(images)

    return run


def whet_masks(specs: Sequence[Any]) -> Run:
    """Batches of (image, mask) to uint8, both under one view."""
    augmentation = Augmentation(ordered(parse_methods(specs)), Rng(0))
    epoch = iter(range(10**9))

    def run(batch: list[Any]) -> object:
        masks = MasksBeside(cast(MaskStore, [mask for _, mask in batch]), as_shown=True)
        images = [kept(pixels) for pixels, _ in batch]
        draw = augmentation.draw(next(epoch))
        rendered = render_images(images, np.arange(len(batch)), SIZE, "squash", draw, masks=masks)
        return rendered.content, rendered.masks

    return run


def albumentations_masks(transforms: list[Any]) -> Run:
    pipeline = A.Compose(transforms)

    def run(batch: list[Any]) -> object:
        found = [pipeline(image=pixels, mask=mask) for pixels, mask in batch]
        return np.stack([one["image"] for one in found]), np.stack([one["mask"] for one in found])

    return run


def made_mask(pixels: np.ndarray) -> np.ndarray:
    """Some regions: the image's brightness in eight steps, smoothed."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (31, 31), 0)
    return grey // 32


def kornia(augmentation: Any) -> Run:
    """Of a whole batch at once, from uint8 as it comes to uint8 again."""

    def run(batch: list[Any]) -> object:
        x_BCHW = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).float() / 255
        return (augmentation(x_BCHW) * 255).round().clamp(0, 255).to(torch.uint8)

    return run


def decoding() -> Run:
    buffer = np.empty(4_000_000, dtype=np.uint8)

    def run(batch: list[Any]) -> object:
        for data in batch:
            simplejpeg.decode_jpeg(data, buffer=buffer)
        return None

    return run


def compared(contenders: dict[str, Run], batches: dict[str, list[list[Any]]], repeats: int) -> dict[str, Any]:
    """Images a second of each, and how many times faster whet was than the others, repeat by repeat. A contender is given the
    batches under its own name, or those under "all"."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    given = {name: batches.get(name, batches.get("all", [])) for name in contenders}
    for name, run in contenders.items():
        run(given[name][0])  # warm up
    count = len(given["whet"])
    for _ in range(repeats):
        taken = dict.fromkeys(contenders, 0.0)
        for number in range(count):
            for name, run in contenders.items():
                start = time.perf_counter()
                run(given[name][number])
                taken[name] += time.perf_counter() - start
        for name, value in taken.items():
            seconds[name].append(value)
    images = sum(len(batch) for batch in given["whet"])
    found: dict[str, Any] = {
        "images_per_second": {
            name: record.summary([images / value for value in values]) for name, values in seconds.items()
        }
    }
    for name in contenders:
        if name != "whet":
            found[f"whet_times_{name}"] = record.summary([a / w for a, w in zip(seconds[name], seconds["whet"])])
    return found


def shown(title: str, found: dict[str, Any]) -> None:
    rates = "  ".join(f"{name} {values['median']:6.0f}/s" for name, values in found["images_per_second"].items())
    times = "  ".join(
        f"{name.removeprefix('whet_times_')} {values['median']:.2f}x ({values['min']:.2f} … {values['max']:.2f})"
        for name, values in found.items() if name.startswith("whet_times_")
    )  # fmt: skip
    print(f"{title:20s} {rates}   against {times}", flush=True)


def main() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, for everyone
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("path", "policies", "masks", "methods", "curve")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--part", nargs="+", choices=parts, default=parts)
    arguments = parser.parse_args()
    repeats = arguments.repeats
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    keep_freed_memory()
    paths = sorted((record.SHARED / "trashnet").glob("*/*.jpg"))
    files = [paths[i].read_bytes() for i in np.linspace(0, len(paths) - 1, IMAGE_FILES).astype(int)]
    decoded = [ImageSample(data).pixels() for data in files]
    small = [cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for pixels in decoded]

    def batched(images: list[Any], limit: int = IMAGE_FILES) -> list[list[Any]]:
        return [images[i : i + BATCH] for i in range(0, limit, BATCH)]

    results = record.earlier("augment")
    if "path" in arguments.part:
        contenders = {
            "whet": whet(LIGHT, tensor=True), "albumentations": albumentations(light(), tensor=True),
            "decoding": decoding(), "store": whet(LIGHT, opened=kept, tensor=True),
        }  # fmt: skip
        batches = {"all": batched(files), "store": batched(decoded)}
        results["path"] = compared(contenders, batches, repeats)
        results["path"]["share_of_bare_decoding"] = results["path"].pop("whet_times_decoding")
        shown("JPEG to tensor", results["path"])
        share = results["path"]["share_of_bare_decoding"]
        print(
            f"{'':20s} {100 * share['median']:.0f} % of bare decoding ({100 * share['min']:.0f} … {100 * share['max']:.0f})"
        )
    if "policies" in arguments.part:
        results["policies"] = {}
        for name, (specs, theirs) in POLICIES.items():
            contenders = {"whet": whet(specs, opened=kept), "albumentations": albumentations(theirs())}
            results["policies"][name] = compared(contenders, {"all": batched(decoded)}, repeats)
            shown(name, results["policies"][name])
    if "masks" in arguments.part:
        results["masks"] = {}
        pairs = [(pixels, made_mask(pixels)) for pixels in decoded]
        for name in ("light", "heavy, ten methods"):
            specs, theirs = POLICIES[name]
            contenders = {"whet": whet_masks(specs), "albumentations": albumentations_masks(theirs())}
            results["masks"][name] = compared(contenders, {"all": batched(pairs)}, repeats)
            shown(f"{name}, masks", results["masks"][name])
    if "methods" in arguments.part:
        results["methods"] = {}
        for name, (spec, theirs, also) in METHODS.items():
            contenders = {"whet": whet([spec], opened=kept), "albumentations": albumentations([theirs()])}
            if also is not None:
                contenders["kornia"] = kornia(also())
            results["methods"][name] = compared(contenders, {"all": batched(small, 96)}, repeats)
            shown(name, results["methods"][name])
    if "curve" in arguments.part:
        results["curve"] = {}
        for count in range(1, len(CURVE) + 1):
            chosen = CURVE[:count]
            contenders = {
                "whet": whet([spec for spec, _ in chosen], opened=kept),
                "albumentations": albumentations([theirs() for _, theirs in chosen]),
            }
            results["curve"][str(count)] = compared(contenders, {"all": batched(decoded, 160)}, repeats)
            shown(f"first {count}", results["curve"][str(count)])
        draw(results["curve"])
    question = (
        "augmenting on one core, contenders in turn: from JPEG bytes, whole policies, single methods, 1 to 12 methods"
    )
    record.write("augment", question, results, ("albumentations", "kornia", "opencv-python-headless", "simplejpeg"))


def draw(curve: dict[str, Any]) -> None:
    """docs/images/cost_by_methods.png"""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    counts = [int(count) for count in curve]
    for name, colour in (("whet", "#1f7a5c"), ("albumentations", "#8a8f98")):
        cost = [1000 / found["images_per_second"][name]["median"] for found in curve.values()]
        axes.plot(counts, cost, color=colour, marker="o", linewidth=2, label=name)
        axes.annotate(
            f"{cost[-1]:.2f} ms", (counts[-1], cost[-1]), (6, -3), textcoords="offset points", color=colour, fontsize=9
        )
    names = [next(iter(spec)) if isinstance(spec, dict) else spec for spec, _ in CURVE]
    axes.set_xticks(counts, [name.replace("_", "\n") for name in names], fontsize=6)
    axes.set(
        ylabel="ms an image, one core",
        ylim=(0, None),
        xlim=(0.6, len(counts) + 1.1),
        xlabel="methods, one added after the other",
    )
    axes.grid(color="#e6e8eb", axis="y")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(record.ROOT / "docs" / "images" / "cost_by_methods.png", dpi=150)


if __name__ == "__main__":
    main()
