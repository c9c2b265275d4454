"""Semantic segmentation of waste in the same minutes: whet against a plain U-Net and SegFormer-B0.

waste_seg (194 training, 42 validation, 52 test photos, 11 classes with background), all at 256 px, one process after the other:

whet        the default recipe, MobileNetV2 with ImageNet weights, `--budget` minutes in all
unet        the same weights below a U-Net of plain convolutions: AdamW, cosine, cross-entropy, crops, flips and colours of
            Albumentations
segformer   transformers' SegFormer-B0 with random weights (no pretrained ones are at hand), trained likewise

The learning rate of both peers is the best of three on the validation photos, each tried for a third of the minutes with seed 0.
Mean IoU is counted over all test pixels in the masks' own size, for all by the same code; the difference of whet and each peer is
paired by photo, with its 95 % interval.

    python benchmarks/segmentation.py [--budget 10m] [--seeds 3] [--only whet unet segformer] [--fresh]

A call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import numpy as np
import torch
from torch import Tensor, nn

import record
from whet.core.duration import Duration
from whet.core.spec import DataSpec, ModelSpec
from whet.data.image import decode
from whet.data.read import read_data
from whet.data.table import Table
from whet.evaluate.compare import difference
from whet.evaluate.evidence import read_evidence
from whet.models import hub
from whet.models.decoders import resized
from whet.models.maps import Maps
from whet.recipes import default
from whet.tasks import SEMANTIC_SEGMENTATION as TASK
from whet.tasks.semantic_segmentation import MaskEvidence
from whet.training.job import train_run

DATA, WEIGHTS = record.SHARED / "waste_seg", record.SHARED / "weights" / "mobilenet_v2_1.0_224"
SIZE, BATCH, RATES = 256, 8, (1e-4, 3e-4, 1e-3)


class PlainUNet(nn.Module):
    """The usual U-Net decoder: upsample, join, two 3x3 convolutions with BatchNorm."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = hub.build(ModelSpec(architecture=str(WEIGHTS), weights=str(WEIGHTS)), ("a", "b"))[0].backbone
        self.maps = Maps(self.backbone, "mobilenet_v2")
        deep, steps = self.maps.channels[-1], []
        for channels, width in zip(self.maps.channels[-2::-1], (256, 128, 64, 32)):
            steps.append(nn.Sequential(*_convolution(deep + channels, width), *_convolution(width, width)))
            deep = width
        self.steps, self.classifier = nn.ModuleList(steps), nn.Conv2d(deep, classes, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        *skips, x = self.maps(self.backbone, x_BCHW * 2 - 1)
        for step, skip in zip(self.steps, reversed(skips)):
            x = step(torch.cat([resized(x, skip.shape[2:]), skip], dim=1))
        return self.classifier(x)


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class SegFormer(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        from transformers import SegformerConfig, SegformerForSemanticSegmentation

        config = SegformerConfig()
        config.num_labels = classes
        self.model = SegformerForSemanticSegmentation(config)
        self.mean, self.std = (
            torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.model((x_BCHW - self.mean) / self.std).logits


PEERS: dict[str, Callable[[int], nn.Module]] = {"unet": PlainUNet, "segformer": SegFormer}


def samples(part: Table) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(decode(Path(row.path).read_bytes()), row.masks.class_map()) for row in part.frame.itertuples()]


def evidence(model: nn.Module, part: Table, pairs: list[tuple[np.ndarray, np.ndarray]]) -> MaskEvidence:
    resize, stats = A.Resize(SIZE, SIZE), []
    model.eval()
    for pixels, mask in pairs:
        x = torch.from_numpy(resize(image=pixels)["image"]).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            stats.append(TASK.statistics(model(x), [mask]))
    return TASK.evidence(part.classes, part.frame["id"].to_numpy(), part.labels, torch.cat(stats).numpy())


def trained(name: str, table: Table, seconds: float, rate: float, seed: int) -> tuple[nn.Module, int]:
    """(the network after so many seconds of training, its number of steps)."""
    torch.manual_seed(seed)
    draws = np.random.default_rng(seed)
    augment = A.Compose(
        [A.RandomResizedCrop((SIZE, SIZE), scale=(0.3, 1.0)), A.HorizontalFlip(), A.ColorJitter(p=0.8)], seed=seed
    )
    began, pairs = time.monotonic(), samples(table.part("train"))
    model = PEERS[name](len(table.classes)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    steps, order = 0, np.empty(0, dtype=np.int64)
    while (share := (time.monotonic() - began) / seconds) < 1:
        if len(order) < BATCH:
            order = np.concatenate([order, draws.permutation(len(pairs))])
        rows, order = order[:BATCH], order[BATCH:]
        made = [augment(image=pairs[row][0], mask=pairs[row][1]) for row in rows]
        x = torch.from_numpy(np.stack([one["image"] for one in made])).permute(0, 3, 1, 2).float() / 255
        y = torch.from_numpy(np.stack([one["mask"] for one in made])).long()
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 20 * share) * (0.5 + 0.5 * math.cos(math.pi * share))
        optimizer.zero_grad()
        nn.functional.cross_entropy(resized(model(x), (SIZE, SIZE)), y, ignore_index=255).backward()
        optimizer.step()
        steps += 1
    return model, steps


def peer(name: str, table: Table, seconds: float, seed: int, kept: record.Kept) -> dict[str, Any]:
    place = f"{name} rate {seconds:g}"
    if place not in kept:
        val = table.part("val")
        scores = {
            rate: TASK.metrics["mean_iou"].value(
                evidence(trained(name, table, seconds / 3, rate, 0)[0], val, samples(val))
            )
            for rate in RATES
        }
        kept.keep(place, max(scores, key=lambda rate: scores[rate]))
    test = table.part("test")
    model, steps = trained(name, table, seconds, kept[place], seed)
    found = evidence(model, test, samples(test))
    return {"rate": kept[place], "steps": steps, **_counts(found)}


def whet(table: Table, budget: str, seed: int) -> dict[str, Any]:
    spec, model = DataSpec(path=str(DATA)), ModelSpec(architecture=str(WEIGHTS), weights=str(WEIGHTS))
    recipe = default(spec, model, task="semantic-segmentation").replace(data=spec, model=model)
    recipe = recipe.setting(budget=Duration.parse(budget), image_size=SIZE, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        run = train_run(recipe, Path(folder) / "run")
        steps = run.read_json(run.metrics)["cost"]["steps"]
        return {"steps": steps, **_counts(read_evidence(run, "test"))}


def _counts(found: Any) -> dict[str, Any]:
    return {
        "mean_iou": TASK.metrics["mean_iou"].value(found), "ids": found.ids.tolist(),
        "counts": found.counts_NKK.tolist(), "edges": found.edges_NK4.tolist(),
    }  # fmt: skip


def _evidence(classes: tuple[str, ...], one: dict[str, Any]) -> MaskEvidence:
    arrays = {"counts_NKK": np.array(one["counts"]), "edges_NK4": np.array(one["edges"])}
    return TASK.read_evidence(classes, np.array(one["ids"]), arrays).by_id()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=["whet", *PEERS], default=["whet", *PEERS])
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    kept, table = record.Kept("segmentation", fresh=arguments.fresh), read_data(DataSpec(path=str(DATA)))
    seconds = Duration.parse(arguments.budget).seconds
    for seed in range(arguments.seeds):
        for name in arguments.only:
            place = f"{name} {arguments.budget} {seed}"
            if place not in kept:
                found = (
                    whet(table, arguments.budget, seed) if name == "whet" else peer(name, table, seconds, seed, kept)
                )
                kept.keep(place, found)
            print(f"{place}: mean IoU {100 * kept[place]['mean_iou']:.1f} %, {kept[place]['steps']} steps", flush=True)
    everyone = {
        name: [kept[f"{name} {arguments.budget} {seed}"] for seed in range(arguments.seeds)] for name in arguments.only
    }
    results: dict[str, Any] = {
        name: {"mean_iou": [run["mean_iou"] for run in runs], "steps": [run["steps"] for run in runs]}
        for name, runs in everyone.items()
    }
    for name in set(everyone) - {"whet"} if "whet" in everyone else ():
        pairs = [[_evidence(table.classes, run) for run in everyone[one]] for one in (name, "whet")]
        results[name]["whet_minus_it"] = asdict(difference(TASK.metrics["mean_iou"], *pairs))
    record.write_parts(
        "segmentation", __doc__.splitlines()[0], {arguments.budget: results}, ("transformers", "albumentations")
    )


if __name__ == "__main__":
    main()
