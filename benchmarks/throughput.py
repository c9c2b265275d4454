"""Training images a second: whet's step against the plain loop (float32, NCHW, the same network, batch and optimizer).

Each contender runs in a process of its own (whet changes how the process keeps memory), and they take turns.

    python benchmarks/throughput.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import record

BATCH, SIZE, STEPS = 32, 224, 6
WEIGHTS = record.SHARED / "weights" / "mobilenet_v1_0.75_224"
CLASSES = 6


def plain() -> float:
    """What one writes first: the model of transformers, its TensorFlow settings mended, as it comes."""
    import torch
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(
        WEIGHTS, num_labels=CLASSES, ignore_mismatched_sizes=True, dtype=torch.float32
    )
    model.dropout.p = 0.0
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x, y = torch.randn(BATCH, 3, SIZE, SIZE), torch.arange(BATCH) % CLASSES
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(pixel_values=x).logits, y).backward()
        optimizer.step()

    return _rate(step)


def whet() -> float:
    """The step of the loop, as a run makes it."""
    import numpy as np
    import torch

    from whet.core.batch import Batch, Context, Progress
    from whet.core.recipe import Recipe
    from whet.core.spec import ModelSpec
    from whet.models import build_net
    from whet.tasks import SINGLE_LABEL
    from whet.training import resolve
    from whet.training.loop import closure_for
    from whet.training.plan import Plan
    from whet.training.unread import Unread

    recipe = Recipe.from_yaml("methods: [{adamw: {lr: 1.0e-4}}]").setting(
        image_size=SIZE, eval_size=SIZE, batch_size=BATCH
    )
    recipe = resolve.resolve_threads(recipe)
    classes = tuple(f"c{k}" for k in range(CLASSES))
    net, _ = build_net(ModelSpec(architecture=str(WEIGHTS), weights=str(WEIGHTS)), classes)
    recipe = resolve.resolve_precision(recipe, net)
    fabric = resolve.make_fabric(recipe)
    plan = Plan(recipe, net.on(fabric.device), Context(SINGLE_LABEL, classes, np.ones(CLASSES), lambda: None))  # type: ignore[arg-type]
    model, optimizer = fabric.setup(plan.net, plan.optimizer)
    take = plan.stepper(optimizer, Unread().check)
    x = torch.randn(BATCH, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    targets = SINGLE_LABEL.targets(torch.arange(BATCH) % CLASSES, CLASSES)
    batch = Batch(x, targets, np.arange(BATCH), torch.ones(BATCH))
    plan.net.train()
    return _rate(lambda: take(closure_for(plan, fabric, model, optimizer, batch, Progress(0, 1, 1))))


def _rate(step) -> float:
    times = []
    for _ in range(STEPS + 2):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return BATCH / sorted(times[2:])[STEPS // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--contender", choices=("plain", "whet"))
    arguments = parser.parse_args()
    if arguments.contender:
        print(json.dumps({"plain": plain, "whet": whet}[arguments.contender]()))
        return
    rates: dict[str, list[float]] = {"plain": [], "whet": []}
    for _ in range(arguments.repeats):
        for name in rates:
            command = [sys.executable, str(Path(__file__).resolve()), "--contender", name]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rates[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
    ratios = [w / p for p, w in zip(rates["plain"], rates["whet"])]
    results = {
        "images_per_second": {n: record.summary(v) for n, v in rates.items()},
        "whet_times_plain": record.summary(ratios),
    }
    for name, values in results["images_per_second"].items():
        print(f"{name:8s} {values['median']:6.1f} images/s  ({values['min']:.1f} … {values['max']:.1f})")
    print(f"whet / plain {results['whet_times_plain']['median']:.2f}  ({min(ratios):.2f} … {max(ratios):.2f})")
    question = "training steps of mobilenet_v1_0.75_224, batch 32 at 224 px, AdamW, all cores, in turn in processes of their own"
    record.write("throughput", question, results, ("transformers", "lightning-fabric"))


if __name__ == "__main__":
    main()
