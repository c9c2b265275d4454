"""Do the 95 % intervals of metrics of masks cover the truth 95 % of the time? Samples of real per-image evidence.

The evidence of all held-out images (validation and test) of a run is the population, and its metric the truth. Samples of so many
images are drawn with replacement; counted is how often the interval of a sample covers the truth: that of one run, and that of the
difference of two runs, of the strong and of the plain recipe, paired by image.

    python benchmarks/mask_intervals.py [--budget 5m] [--images 40 80] [--draws 1000] [--only waste_seg nuclei] [--fresh]

A call goes on where the last one stopped.
"""

from __future__ import annotations

import argparse
import shutil
from typing import Any

import numpy as np

import record
from whet.core.duration import Duration
from whet.core.run_folder import RunFolder
from whet.core.spec import DataSpec, ModelSpec
from whet.core.task import Task
from whet.evaluate.compare import difference
from whet.evaluate.evidence import Evidence, read_evidence
from whet.evaluate.rates import jackknife_interval
from whet.recipes import default
from whet.tasks import INSTANCE_SEGMENTATION, SEMANTIC_SEGMENTATION
from whet.training.job import train_run

WEIGHTS = str(record.SHARED / "weights" / "mobilenet_v1_0.5_160")
DATA: dict[str, tuple[Task, tuple[str, ...]]] = {
    "waste_seg": (SEMANTIC_SEGMENTATION, ("mean_iou", "dice", "boundary_f", "pixel_accuracy")),
    "nuclei": (INSTANCE_SEGMENTATION, ("mask_ap", "ap50", "panoptic_quality")),
}
SIZE, MARGIN = 192, (0.92, 0.98)


def held_out(name: str, kind: str, budget: str, *, fresh: bool) -> Evidence:
    """The evidence of the validation and test images of a run that is trained once."""
    place = record.FOLDER / "mask_intervals" / f"{name}-{kind}-{budget}"
    if fresh and place.exists():
        shutil.rmtree(place)  # of this script alone
    if not (place.is_dir() and RunFolder(place).finished):
        shutil.rmtree(place, ignore_errors=True)
        task, _ = DATA[name]
        spec, model = DataSpec(path=str(record.SHARED / name)), ModelSpec(architecture=WEIGHTS, weights=WEIGHTS)
        recipe = default(spec, model, task=task.name, plain=kind == "plain").replace(data=spec, model=model)
        train_run(recipe.setting(budget=Duration.parse(budget), image_size=SIZE, eval_size=SIZE), place)
    run = RunFolder(place)
    return joined(read_evidence(run, "val"), read_evidence(run, "test"))


def joined(one: Evidence, other: Evidence) -> Evidence:
    """The images of both."""
    arrays = {key: np.concatenate([array, other.arrays[key]]) for key, array in one.arrays.items() if key != "ids"}
    return one.task.read_evidence(one.classes, np.concatenate([one.ids, other.ids]), arrays)


def measured(name: str, images: int, draws: int, runs: list[Evidence]) -> dict[str, Any]:
    """The coverage of both intervals by metric, and the mean width of that of one run."""
    task, metrics = DATA[name]
    draws_of, found = np.random.default_rng(0), {}
    for metric in metrics:
        value = task.metrics[metric].value
        truth, other = (value(run) for run in runs)
        one_run, paired, widths, undefined = 0, 0, [], 0
        for _ in range(draws):
            chosen = draws_of.integers(len(runs[0]), size=images)
            samples = [run.rows(chosen) for run in runs]
            within = jackknife_interval(value, samples[0])
            if within is None:
                undefined += 1
                continue
            one_run += within[0] <= truth <= within[1]
            widths.append(within[1] - within[0])
            gain = difference(task.metrics[metric], [samples[1]], [samples[0]])
            paired += gain.low <= truth - other <= gain.high
        counted = draws - undefined
        found[metric] = {
            "truth": truth, "truth_of_difference": truth - other, "covered": one_run / counted, "width": float(np.mean(widths)),
            "difference_covered": paired / counted, "without_interval": undefined,
        }  # fmt: skip
        print(
            f"{name}, {images} images, {metric}: {one_run / counted:.1%} of one run, {paired / counted:.1%} of the difference "
            f"{100 * (truth - other):+.1f} points",
            flush=True,
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--images", type=int, nargs="+", default=[40, 80])
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--fresh", action="store_true", help="train anew")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for name in arguments.only:
        runs = [held_out(name, kind, arguments.budget, fresh=arguments.fresh) for kind in ("strong", "plain")]
        assert (runs[0].ids == runs[1].ids).all()
        results[name] = {
            f"{images} images": measured(name, images, arguments.draws, runs) for images in arguments.images
        }
    outside = [
        f"{name}, {images}, {metric}, {kind}: {share[kind]:.1%}"
        for name, by_images in results.items()
        for images, by_metric in by_images.items()
        for metric, share in by_metric.items()
        for kind in ("covered", "difference_covered")
        if not MARGIN[0] <= share[kind] <= MARGIN[1]
    ]
    print("outside of 92 to 98 %: " + ("; ".join(outside) or "none"))
    record.write_parts("mask_intervals", __doc__.splitlines()[0], results, ("pycocotools",))


if __name__ == "__main__":
    main()
