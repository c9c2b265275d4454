"""Whether two states of the code train the same networks: weights, predictions and metrics of four short runs.

    python benchmarks/same_results.py --out before.json                          # in the old state
    python benchmarks/same_results.py --out after.json --against before.json     # in the new one

The runs: images, texts and audio clips with one label each, and images with several; with augmentation, mixing, an average of
weights and a calibrated prediction. Exit status 1 where anything differs.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from whet.core.recipe import Recipe
from whet.training.job import train_run

COMMON = [{"adamw": {"lr": 2e-3}}, "one_cycle", "ema", {"label_smoothing": {"epsilon": 0.1}}, "temperature_scaling"]
TRAIN = {"budget": "2ep", "batch_size": 16, "loader_threads": 1, "torch_threads": 1, "precision": "fp32", "seed": 3}
COLOURS = {"blue": (50, 60, 220), "green": (40, 200, 60), "red": (220, 40, 40)}
WORDS = {"glass": ("bottle", "jar", "flask"), "metal": ("can", "tin", "foil"), "paper": ("letter", "journal", "box")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        found = {name: trained(recipe, Path(work) / "runs" / name) for name, recipe in recipes(Path(work)).items()}
    options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if options.against is not None:
        before = json.loads(options.against.read_text(encoding="utf-8"))
        sys.exit(compared(before, found))


def compared(before: dict[str, Any], after: dict[str, Any]) -> int:
    """Print what differs; 1 where something does."""
    for name, old in before.items():
        differ = [key for key in old if old[key] != after[name][key]]
        print(f"{name:<15} {'the same' if not differ else 'differs: ' + ', '.join(differ)}")
        for key in differ:
            print(f"    {key}: {old[key]} -> {after[name][key]}")
    return int(before != after)


def trained(recipe: Recipe, folder: Path) -> dict[str, Any]:
    train_run(recipe, folder)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    measures = ("accuracy", "macro_f1", "log_loss", "calibration_error")
    return {
        "weights": [hashed(file) for file in sorted((folder / "model").rglob("*.safetensors"))],
        "predictions": hashed(folder / "predictions.csv"),
        **{part: {key: metrics[part][key] for key in measures} for part in ("val", "test")},
    }


def hashed(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def recipes(work: Path) -> dict[str, Recipe]:
    images, sets = write_images(work / "images"), write_images(work / "sets", several=True)
    of_images = ["random_crop", "mixup"]
    return {
        "image": recipe("image", images, "resnet9_slim", of_images, image_size=32),
        "several labels": recipe("image", sets, "resnet9_slim", [*of_images, "tta"], image_size=32),
        "text": recipe("text", write_texts(work / "texts.csv"), "fast_text", ["random_deletion"]),
        "audio": recipe("audio", write_clips(work / "clips"), "audio_cnn", ["time_mask", "mixup"], clip_seconds=0.5),
    }


def recipe(medium: str, data: Path, architecture: str, methods: list[str], **settings: Any) -> Recipe:
    return Recipe.from_dict(
        {
            "task": f"{medium}-classification",
            "data": {"path": str(data)},
            "model": {"architecture": architecture, "weights": "none"},
            "train": {**TRAIN, **settings},
            "methods": [*COMMON, *methods],
        }
    )


def write_images(folder: Path, count: int = 160, *, several: bool = False) -> Path:
    """Squares of a colour on noise, in class folders; several: any number of colours, named in a table. The folder or the table."""
    draws, rows = np.random.default_rng(1), []
    for number in range(count):
        pixels = draws.integers(40, 160, (32, 32, 3)).astype(np.uint8)
        first = list(COLOURS)[number % len(COLOURS)]
        names = [name for name in COLOURS if draws.random() < 0.4] if several else [first]
        for place, name in enumerate(names):
            pixels[4 + 9 * place : 12 + 9 * place, 10:22] = COLOURS[name]
        file = folder / ("" if several else first) / f"{number:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
        rows.append([file.name, json.dumps(names)])
    if several:
        with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerows([["file", "label"], *rows])
    return folder / "labels.csv" if several else folder


def write_texts(file: Path, count: int = 300) -> Path:
    draws, classes = np.random.default_rng(2), list(WORDS)
    rows = []
    for number in range(count):
        name = classes[number % len(classes)]
        words = [*draws.choice(["an", "old", "thing", "lies", "here"], 4), draws.choice(WORDS[name]), str(number)]
        rows.append([" ".join(draws.permutation(words)), name])
    with file.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([["text", "label"], *rows])
    return file


def write_clips(folder: Path, count: int = 90, rate: int = 16000) -> Path:
    """Half a second of a tone in noise, its pitch by the class."""
    draws, time = np.random.default_rng(3), np.arange(rate // 2) / rate
    for number in range(count):
        name, pitch = (("low", 220.0), ("middle", 880.0), ("high", 2200.0))[number % 3]
        signal = 0.3 * np.sin(2 * np.pi * pitch * draws.uniform(0.95, 1.05) * time) + 0.1 * draws.standard_normal(
            len(time)
        )
        file = folder / name / f"{number:03d}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(file), "wb") as clip:
            clip.setparams((1, 2, rate, len(time), "NONE", ""))
            clip.writeframes((signal.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return folder


if __name__ == "__main__":
    main()
