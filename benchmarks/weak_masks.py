"""What weaker annotations cost: the mean IoU or AP50 from boxes, points and classes of images, as a share of that from masks.

waste_seg          194 training, 42 validation, 52 test photos, 11 classes with background: mean IoU of classes
woosong_trashbags  97, 29 and 44 street photos with 970 waste bags, split by pile: AP50 of objects, by the head cond_inst

The default recipe with MobileNetV2 and ImageNet weights, the same seeds and the same budget for all. Only the training photos have
the weaker annotation (`data.masks.supervision`), made from their masks:

masks        all pixels
box_fill     the boxes of the objects, taken for masks
grabcut      the boxes, with the object that GrabCut finds in each
points       a point in each object and one on the background
color_pairs  the points, and the colours of neighbouring pixels
whole_image  the classes of each photo, taken for masks of the whole photo
ellipse      the classes, taken for masks of an ellipse in the middle
cam_to_mask  the classes, by a classifier's activation maps and a cut; its two trainings share the budget
box_inst     the boxes, by the projections of masks and the colours of neighbouring pixels (objects only)

For each: the mean IoU of every step of the made masks with the real ones of the training photos, and the score of the network on
the test photos. Of objects, box_fill, grabcut and box_inst are measured.

    python benchmarks/weak_masks.py [--data waste_seg] [--budget 10m] [--seeds 3] [--size 256] [--only masks grabcut …] [--fresh]

A call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import record
from whet.core.duration import Duration
from whet.core.method import Method
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.methods import BoxFill, CamToMask, ColorPairs, Grabcut, LabelFill
from whet.recipes import default
from whet.training.job import train_run

WEIGHTS = record.SHARED / "weights" / "mobilenet_v2_1.0_224"
WAYS: dict[str, tuple[str, tuple[Method, ...]]] = {
    "masks": ("masks", ()),
    "box_fill": ("boxes", (BoxFill(),)),
    "grabcut": ("boxes", (Grabcut(),)),
    "points": ("points", ()),
    "color_pairs": ("points", (ColorPairs(),)),
    "whole_image": ("labels", (LabelFill(shape="image"),)),
    "ellipse": ("labels", (LabelFill(),)),
    "cam_to_mask": ("labels", (CamToMask(),)),
    "box_inst": ("boxes", (ColorPairs(),)),
}


@dataclass(frozen=True)
class Source:
    path: Path
    task: str
    head: str
    metrics: tuple[str, ...]  # the first one judges
    ways: tuple[str, ...]


SOURCES = {
    "waste_seg": Source(
        record.SHARED / "waste_seg", "semantic-segmentation", "auto", ("mean_iou",), tuple(WAYS)[:-1]
    ),
    "woosong_trashbags": Source(
        record.SHARED / "woosong_trashbags" / "annotations_polygons.json", "instance-segmentation", "cond_inst",
        ("ap50", "mask_ap"), ("masks", "box_fill", "grabcut", "box_inst"),
    ),
}  # fmt: skip


def trained(source: Source, way: str, budget: str, size: int, seed: int) -> dict[str, Any]:
    supervision, methods = WAYS[way]
    spec = DataSpec.model_validate({"path": str(source.path), "masks": {"supervision": supervision}})
    model = ModelSpec(architecture=str(WEIGHTS), weights=str(WEIGHTS), head=source.head)
    recipe = default(spec, model, task=source.task).replace(data=spec, model=model).with_methods(*methods)
    length = Duration.parse(budget)
    if way == "cam_to_mask" and not length.is_time:  # a budget in minutes is shared by the method itself
        length = Duration(length.value / 2, length.unit)
    recipe = recipe.setting(budget=length, image_size=size, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        run = train_run(recipe, Path(folder) / "run")
        metrics = run.read_json(run.metrics)
        scores = {name: metrics["test"][name] for name in source.metrics}
        return {**scores, "steps": metrics["cost"]["steps"], "made": _made(run)}


def _made(run: RunFolder) -> list[dict[str, Any]]:
    """The steps of the masks that were made, those of the first round first."""
    before = [
        _made(RunFolder(path)) for path in sorted(run.external_models.glob("*")) if RunFolder(path).metrics.is_file()
    ]
    here = run.read_json(run.metrics).get("made_masks", {})
    return [*(one for several in before for one in several), *(method["steps"] for method in here.values())]


def summary(source: Source, runs: list[dict[str, Any]], full: list[dict[str, Any]]) -> dict[str, Any]:
    found = {key: [run[key] for run in runs] for key in (*source.metrics, "steps")}
    share = statistics.mean(found[source.metrics[0]]) / statistics.mean(run[source.metrics[0]] for run in full)
    return {**found, "share_of_masks": share, "made": [run["made"] for run in runs]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=list(SOURCES), default="waste_seg")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--only", nargs="+", choices=list(WAYS))
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    source, kept = SOURCES[arguments.data], record.Kept("weak_masks", fresh=arguments.fresh)
    circumstances = f"{arguments.data} {arguments.budget} {arguments.size}px"
    seeds, ways = range(arguments.seeds), ["masks", *(way for way in arguments.only or source.ways if way != "masks")]
    for seed in seeds:
        for way in ways:
            place = f"{way} {circumstances} {seed}"
            if place not in kept:
                kept.keep(place, trained(source, way, arguments.budget, arguments.size, seed))
            scores = ", ".join(f"{name} {100 * kept[place][name]:.1f} %" for name in source.metrics)
            print(f"{place}: {scores}, {kept[place]['steps']} steps", flush=True)
            for steps in kept[place]["made"]:
                print(f"    made masks: {steps}", flush=True)
    everyone = {way: [kept[f"{way} {circumstances} {seed}"] for seed in seeds] for way in ways}
    results = {way: summary(source, runs, everyone["masks"]) for way, runs in everyone.items()}
    record.write_parts("weak_masks", __doc__.splitlines()[0], {circumstances: results}, ())


if __name__ == "__main__":
    main()
