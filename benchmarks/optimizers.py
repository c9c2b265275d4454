"""Every optimizer on two convex problems: how long, and how many steps, to within 1e-6 of scikit-learn's optimum?

A linear head on fixed, standardised features: 768 of an ImageNet MobileNet for TrashNet's 1,768 training photos, and
the 64 pixels of scikit-learn's 1,797 digits. Cross-entropy plus half 1e-3 times the squared weights, the same for all.
Optimizers of first and of second order alike are given all samples in one batch, in float32 and on one thread, by the plan and the
closure of a training, from the same small random weights. Rates do not change over the steps, but for those that fall
within the optimizer itself; decoupled weight decay, which would move the optimum, is off; all else is at its default.
Of each optimizer the best rate counts: of the default times 0.1 … 100 in half decades (and on, where the best lies at
an end); quasi-Newton and Newton steps have a length of their own and take the default. What does not get there in
--steps or --seconds is listed with the gap it reached. The features are kept between calls, and so is what was
measured.

    python benchmarks/optimizers.py [--problem trashnet digits] [--only adam …]
                                    [--steps 5000] [--seconds 10] [--repeats 3] [--fresh]
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import time
from dataclasses import dataclass
from typing import Any

# Before the libraries look: threads that wait for each other cost these small steps more than they save.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from torch import Tensor, nn

import record
from whet.core.batch import Batch, Context, Outcome, Progress
from whet.core.errors import NonFiniteError, RecipeError
from whet.core.method import Method
from whet.core.recipe import Recipe, parse_method
from whet.core.registry import registry
from whet.core.rng import Rng
from whet.core.spec import DataSpec, ModelSpec
from whet.core.stages import Stage
from whet.data.image_loader import ImageLoader
from whet.data.read import read_data
from whet.evaluate.inference import run_inference
from whet.models.build import build_net
from whet.models.net import Net, NetSpec, new_head
from whet.tasks import SINGLE_LABEL
from whet.training import resolve
from whet.training.loop import stepped
from whet.training.plan import Plan
from whet.training.unread import Unread

L2, TARGET = 1e-3, 1e-6
RATES = range(-2, 5)  # of the default rate, in half decades
FURTHER = 3  # half decades the grid may grow by
NEWTON = ("gauss_newton", "lbfgs", "newton_cg")
SECOND_ORDER = (*NEWTON, "kfac", "shampoo", "soap", "sophia")
HOPELESS = 1e3  # a gap that no rate comes back from
DATA = record.SHARED / "trashnet"
WEIGHTS = record.SHARED / "weights" / "mobilenet_v1_0.75_224"


@dataclass(frozen=True)
class Problem:
    """Softmax regression; x_ND float32. `best` is the lowest value of the objective, `peers` what scikit-learn takes for it."""

    name: str
    x_ND: Tensor
    label_N: np.ndarray
    best: float
    peers: dict[str, float]

    @property
    def num_classes(self) -> int:
        return int(self.label_N.max()) + 1

    def gap(self, weights: dict[str, Tensor]) -> float:
        """How far above the optimum the objective lies at these weights, in float64."""
        weight_KD, bias_K = (weights[name].detach().double().numpy() for name in ("head.weight", "head.bias"))
        return objective(self.x_ND.double().numpy(), self.label_N, weight_KD, bias_K) - self.best


def objective(x_ND: np.ndarray, label_N: np.ndarray, weight_KD: np.ndarray, bias_K: np.ndarray) -> float:
    scores_NK = x_ND @ weight_KD.T + bias_K
    scores_NK -= scores_NK.max(axis=1, keepdims=True)
    logs_NK = scores_NK - np.log(np.exp(scores_NK).sum(axis=1, keepdims=True))
    return float(-logs_NK[np.arange(len(x_ND)), label_N].mean() + L2 / 2 * (weight_KD**2).sum())


def problem(name: str, features_ND: np.ndarray, label_N: np.ndarray) -> Problem:
    """With the optimum that scikit-learn finds to the last digits."""
    from sklearn.linear_model import LogisticRegression

    x_ND = (features_ND - features_ND.mean(axis=0)) / features_ND.std(axis=0).clip(min=1e-6)
    x_ND = x_ND.astype(np.float32)
    exact_ND = x_ND.astype(np.float64)
    found = {}
    for solver, tolerance in (("lbfgs", 1e-6), ("newton-cg", 1e-6), ("newton-cg", 1e-10)):
        start = time.perf_counter()
        model = LogisticRegression(C=1 / (len(x_ND) * L2), solver=solver, tol=tolerance, max_iter=10_000)
        model.fit(exact_ND, label_N)
        seconds = time.perf_counter() - start
        value = objective(exact_ND, label_N, model.coef_, model.intercept_)
        found[f"{solver} to {tolerance:g}"] = value, seconds
    best = min(value for value, _ in found.values())
    peers = {solver: seconds for solver, (value, seconds) in found.items() if value - best < TARGET}
    return Problem(name, torch.from_numpy(x_ND), label_N, best, peers)


def digits() -> Problem:
    from sklearn.datasets import load_digits

    pixels_ND, label_N = load_digits(return_X_y=True)
    return problem("digits", pixels_ND, label_N)


def trashnet() -> Problem:
    kept = record.FOLDER / f"trashnet-{WEIGHTS.name}.npz"
    if not kept.is_file():
        lists = str(DATA / "one-indexed-files-notrash_{train,val,test}.txt")
        table = read_data(DataSpec(path=str(DATA), split_files=(lists,))).part("train")
        net, _ = build_net(ModelSpec(architecture=str(WEIGHTS), weights=str(WEIGHTS)), table.classes)
        net = net.on(torch.device("cpu")).eval()
        loader = ImageLoader(table.frame["path"], 2)
        features, index_N = run_inference(net, net.backbone, loader, 224, contextlib.nullcontext)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, features=features.numpy(), labels=table.label_N[index_N])
    with np.load(kept) as found:
        return problem("trashnet", found["features"].astype(np.float64), found["labels"])


def descend(given: Problem, method: Method, most_steps: int, most_seconds: float) -> dict[str, Any]:
    """Until the target, the last step or second, or a loss that is lost: steps, gradients, seconds, gap, and how the gap fell as
    rows of (step, seconds, gap). The clock stands still while the gap is measured, which is at every step at first, then at every
    20th part of the steps taken."""
    N, K = len(given.x_ND), given.num_classes
    classes = tuple(f"c{k}" for k in range(K))
    recipe = Recipe(methods=(method, parse_method({"l2": {"strength": L2}}))).setting(device="cpu", precision="fp32")
    with Rng(0).torch_scope("init"):
        net = Net(
            NetSpec("zoo", "bench", classes, (0.5,) * 3, (0.25,) * 3), nn.Identity(), new_head(given.x_ND.shape[1], K)
        )
    fabric = resolve.make_fabric(recipe)
    counts_K = np.bincount(given.label_N, minlength=K)
    plan = Plan(recipe, net, Context(SINGLE_LABEL, classes, counts_K, lambda: None))  # type: ignore[arg-type, return-value]
    gradients, loss = 0, plan.loss

    def counted(outcome: Outcome) -> Tensor:
        nonlocal gradients
        gradients += 1
        return loss(outcome)

    plan.loss = counted
    plan.start()
    model, optimizer = fabric.setup(plan.net.head, plan.optimizer)
    take_step = plan.stepper(optimizer, Unread().check)
    targets = SINGLE_LABEL.targets(torch.from_numpy(given.label_N), K)
    batch = Batch(given.x_ND, targets, np.arange(N), torch.ones(N))
    step, next_look, seconds, gap = 0, 1, 0.0, given.gap(plan.weights(final=False))
    course = [(step, seconds, gap)]
    while step < most_steps and seconds < most_seconds and TARGET <= gap < HOPELESS:
        start = time.perf_counter()
        plan.set_lr(Progress(step, most_steps, 1))
        try:
            stepped(take_step, plan, fabric, model, optimizer, batch, Progress(step, most_steps, 1))
        except NonFiniteError:
            gap = math.inf
            break
        step += 1
        for runtime in plan.runtimes.values():
            runtime.after_step(Progress(step, most_steps, 1))
        seconds += time.perf_counter() - start
        if step >= next_look or step == most_steps or seconds >= most_seconds:
            gap = given.gap(plan.weights(final=False))
            gap = gap if math.isfinite(gap) else math.inf
            course.append((step, seconds, gap))
            next_look = math.ceil(1.05 * step + 1e-9)
    return {"steps": step, "gradients": gradients, "seconds": seconds, "gap": gap, "course": course}


def measured(given: Problem, name: str, steps: int, seconds: float, repeats: int) -> dict[str, Any]:
    """The best rate of an optimizer, and what came of it."""
    cls = registry().get(name)
    fixed: dict[str, Any] = {"weight_decay": 0.0} if "weight_decay" in cls.model_fields else {}
    if name == "schedule_free":
        fixed["warmup"] = "0st"
    default = cls.model_fields["lr"].default
    tried: dict[int, dict[str, Any]] = {}

    def attempt(half_decades: int) -> None:
        rate = default * 10 ** (half_decades / 2)
        tried[half_decades] = descend(given, cls(lr=rate, **fixed), steps, seconds) | {"lr": rate}

    def rank(half_decades: int) -> tuple[bool, float]:
        found = tried[half_decades]
        return (False, found["steps"]) if found["gap"] < TARGET else (True, found["gap"])

    try:
        for half_decades in (0,) if name in NEWTON else RATES:
            attempt(half_decades)
    except RecipeError as error:
        return {"refused": str(error)}
    best = min(tried, key=rank)
    while name not in NEWTON and best in (min(tried), max(tried)) and len(tried) < len(RATES) + FURTHER:
        attempt(best - 1 if best == min(tried) else best + 1)
        best = min(tried, key=rank)
    runs = [
        tried[best],
        *(descend(given, cls(lr=tried[best]["lr"], **fixed), steps, seconds) for _ in range(repeats - 1)),
    ]
    runs.sort(key=lambda run: run["seconds"])
    middle = runs[len(runs) // 2]
    return {
        "lr": tried[best]["lr"],
        "reached": middle["gap"] < TARGET,
        "steps": middle["steps"],
        "gradients": middle["gradients"],
        "seconds": record.summary([run["seconds"] for run in runs]),
        "gap": middle["gap"],
        "gaps_of_rates": {f"{tried[k]['lr']:.3g}": tried[k]["gap"] for k in sorted(tried)},
        "course": middle["course"],
    }


def table(problems: list[Problem], found: dict[str, dict[str, Any]]) -> str:
    """The fastest first, by the first problem."""
    names = sorted(found, key=lambda name: _order(found[name].get(problems[0].name, {})))
    header = ["optimizer", "order"]
    for given in problems:
        header += [f"{given.name}: rate", "steps", "gradients", "seconds"]
    rows = []
    for name in names:
        row = [name, "second" if name in SECOND_ORDER else "first"]
        for given in problems:
            row += _cells(found[name].get(given.name))
        rows.append(row)
    return record.markdown(header, rows)


def _order(one: dict[str, Any]) -> tuple[int, float]:
    if "gap" not in one:
        return 2, 0.0
    return (0, one["seconds"]["median"]) if one["reached"] else (1, one["gap"])


def _cells(one: dict[str, Any] | None) -> list[str]:
    if one is None:
        return ["", "", "", ""]
    if "refused" in one:
        return ["", "refused", "", ""]
    rate, gradients, seconds = f"{one['lr']:.2g}", str(one["gradients"]), f"{one['seconds']['median']:.2f}"
    if one["reached"]:
        return [rate, str(one["steps"]), gradients, seconds]
    return [rate, f"gap {one['gap']:.1e}", gradients, f"({seconds})"]


def draw(problems: list[Problem], found: dict[str, dict[str, Any]]) -> None:
    """docs/images/optimizers.png: the gap against seconds and against steps."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(problems), 2, figsize=(10.5, 3.6 * len(problems)), layout="constrained", sharey=True, squeeze=False
    )
    strong = dict(zip(SECOND_ORDER, ("#1f7a5c", "#c2571a", "#2f5fb3", "#8b3fa0", "#b3263a", "#7a6a00", "#0f8f9c")))
    shown = [name for name in sorted(found) if any("course" in one for one in found[name].values())]
    others = [name for name in shown if name not in strong]
    palette = plt.get_cmap("tab20")
    for row, given in zip(axes, problems):
        for name in sorted(shown, key=lambda name: name in strong):
            course = np.array(found[name][given.name]["course"], dtype=float)
            style = (
                {"color": strong[name], "linewidth": 1.9}
                if name in strong
                else {"color": palette(others.index(name)), "linewidth": 1.1, "linestyle": (0, (4, 1.5))}
            )
            for axis, place in zip(row, (1, 0)):
                axis.plot(course[1:, place], course[1:, 2].clip(min=TARGET / 10), label=name, **style)
        for axis, unit in zip(row, ("seconds", "steps")):
            axis.set(xscale="log", yscale="log", xlabel=unit, ylim=(TARGET / 3, 5))
            axis.axhline(TARGET, color="#30343a", linewidth=0.8, linestyle=":")
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(color="#eef0f2")
        row[0].set_ylabel(f"{given.name}: loss above the optimum")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=8)
    path = record.ROOT / "docs" / "images" / "optimizers.png"
    figure.savefig(path, dpi=150)
    print(f"written {path.relative_to(record.ROOT)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = [cls.name for cls in registry() if cls.stage is Stage.OPTIMIZER]
    parser.add_argument("--problem", nargs="+", choices=("trashnet", "digits"), default=["trashnet", "digits"])
    parser.add_argument("--only", nargs="+", choices=every, help="some optimizers: to look, not to record")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    arguments = parser.parse_args()
    resolve.resolve_threads(Recipe().setting(torch_threads=1))
    names = arguments.problem if DATA.is_dir() else [name for name in arguments.problem if name != "trashnet"]
    problems = [{"trashnet": trashnet, "digits": digits}[name]() for name in names]
    kept = record.Kept("optimizers", fresh=arguments.fresh)
    found: dict[str, dict[str, Any]] = {}
    for given in problems:
        for name in arguments.only or every:
            piece = f"{given.name} {name} {arguments.steps} {arguments.seconds:g} {arguments.repeats}"
            if piece not in kept:
                kept.keep(piece, measured(given, name, arguments.steps, arguments.seconds, arguments.repeats))
            one = found.setdefault(name, {})[given.name] = kept[piece]
            print(f"{given.name:9s} {name:14s} {'  '.join(_cells(one))}", flush=True)
    print("\n" + table(problems, found))
    for given in problems:
        peers = ", ".join(f"{solver} {seconds:.2f} s" for solver, seconds in given.peers.items())
        print(f"\n{given.name}: optimum {given.best:.6f}; scikit-learn itself gets there by {peers}")
    if arguments.only or len(problems) < 2:
        return
    draw(problems, found)
    results = {
        given.name: {
            "samples": len(given.x_ND),
            "features": given.x_ND.shape[1],
            "classes": given.num_classes,
            "optimum": given.best,
            "scikit_learn_seconds": given.peers,
            "optimizers": {
                name: {key: value for key, value in one[given.name].items() if key != "course"}
                for name, one in found.items()
            },
        }
        for given in problems
    }
    question = (
        f"softmax regression, l2 {L2:g}, all samples in one batch, float32, one thread: steps and seconds to within {TARGET:g} of "
        f"scikit-learn's optimum at the best rate of a grid; at most {arguments.steps} steps or {arguments.seconds:g} s"
    )
    record.write("optimizers", question, results, ("scikit-learn", "lightning-fabric"))


if __name__ == "__main__":
    main()
