"""TrashNet, the authors' split, the same pretrained weights: test accuracy against wall time, whet and transformers' Trainer.

Every contender is one whole process, from its start to its test accuracy, loading included; they take turns, seed by seed.
The Trainer: three epochs, Pillow's random crop and flip, AdamW 5e-4, cosine, batch 32, float32, the model's TensorFlow
settings mended by hand (unmended it stays near chance). whet: `--budget` of a third of the Trainer's time, of 5 and of 13
minutes, with its default recipe. A call goes on where the last one stopped.

    python benchmarks/time_to_accuracy.py [--seeds 3] [--fresh] [--only 5m] [--draw]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import record

DATA = record.SHARED / "trashnet"
WEIGHTS = record.SHARED / "weights" / "mobilenet_v1_0.75_224"
LISTS = str(DATA / "one-indexed-files-notrash_{train,val,test}.txt")
SIZE = 224
RESULTS = record.ROOT / "benchmarks" / "results" / "time_to_accuracy.json"


def trainer(seed: int) -> dict:
    """transformers' Trainer, as its examples use it."""
    import torch
    from PIL import Image
    from transformers import AutoModelForImageClassification, Trainer, TrainingArguments

    classes = sorted(path.name for path in DATA.iterdir() if path.is_dir())

    def listed(part: str) -> list[tuple[Path, int]]:
        found = []
        for line in (DATA / f"one-indexed-files-notrash_{part}.txt").read_text().split("\n"):
            if line.strip():
                name = line.split()[0]
                label = next(k for k, c in enumerate(classes) if name.startswith(c))
                found.append((DATA / classes[label] / name, label))
        return found

    class Photos(torch.utils.data.Dataset):
        def __init__(self, part: str, augment: bool) -> None:
            self.rows, self.augment = listed(part), augment

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, index: int) -> dict:
            path, label = self.rows[index]
            with Image.open(path) as opened:
                image = opened.convert("RGB")
            if self.augment:
                width, height = image.size
                while True:
                    area, aspect = np.random.uniform(0.35, 1) * width * height, np.exp(np.random.uniform(-0.288, 0.288))  # noqa: NPY002
                    w, h = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
                    if w <= width and h <= height:
                        break
                x, y = np.random.randint(0, width - w + 1), np.random.randint(0, height - h + 1)  # noqa: NPY002
                image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(x, y, x + w, y + h))
                if np.random.rand() < 0.5:  # noqa: NPY002
                    image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            else:
                image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 127.5 - 1
            return {"pixel_values": torch.from_numpy(pixels), "labels": label}

    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    model = AutoModelForImageClassification.from_pretrained(
        WEIGHTS, num_labels=len(classes), ignore_mismatched_sizes=True, dtype=torch.float32
    )
    model.dropout.p = 0.0
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.1
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, num_train_epochs=3, per_device_train_batch_size=32, per_device_eval_batch_size=32,
            learning_rate=5e-4, lr_scheduler_type="cosine", weight_decay=0.01, seed=seed, save_strategy="no", report_to=[],
            disable_tqdm=True, dataloader_num_workers=2, use_cpu=True, logging_strategy="no",
        )  # fmt: skip
        made = Trainer(model=model, args=arguments, train_dataset=Photos("train", True))
        made.train()
        answers = made.predict(Photos("test", False))
    return {"accuracy": float((answers.predictions.argmax(axis=1) == answers.label_ids).mean())}


def whet(seed: int, budget: str) -> dict:
    out = Path(tempfile.mkdtemp()) / "run"
    command = [
        str(Path(sys.executable).with_name("whet")), "train", str(DATA), "--split-file", LISTS, "--weights", str(WEIGHTS),
        "--budget", budget, "--seed", str(seed), "--out", str(out), "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    metrics = json.loads(done.stdout)
    shutil.rmtree(out.parent)
    cost = metrics["cost"]
    return {
        "accuracy": metrics["test"]["accuracy"],
        "validation": metrics["val"]["accuracy"],
        "epochs": cost["epochs"],
        "images_per_second": cost["samples_per_second"],
        "loader_wait_share": cost["loader_wait_share"],
        "peak_memory_mib": cost["peak_memory_mib"],
    }


def measured(name: str, seed: int, budget: str = "") -> dict:
    """One contender in a process of its own, timed from outside."""
    start = time.monotonic()
    if name == "trainer":
        command = [sys.executable, str(Path(__file__).resolve()), "--contender", "trainer", "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.strip().splitlines()[-1])
    else:
        found = whet(seed, budget)
    found |= {"seed": seed, "budget": budget, "seconds": time.monotonic() - start}
    print(f"seed {seed}  {name:18s} {100 * found['accuracy']:5.2f} %  {found['seconds']:5.0f} s", flush=True)
    return found


def draw() -> None:
    """docs/images/time_to_accuracy.png from the last results."""
    import matplotlib.pyplot as plt

    results = json.loads(RESULTS.read_text())["results"]
    figure, axes = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    for kind, colour, label in (("whet", "#1f7a5c", "whet"), ("trainer", "#8a8f98", "transformers Trainer, 3 epochs")):
        groups = sorted(
            (r for name, r in results.items() if name.startswith(kind)), key=lambda r: r["seconds"]["median"]
        )
        minutes = [group["seconds"]["median"] / 60 for group in groups]
        accuracy = [100 * group["accuracy_mean"] for group in groups]
        axes.errorbar(
            minutes, accuracy, yerr=[100 * (group["accuracy_std"] or 0) for group in groups],
            color=colour, marker="o", markersize=7, linewidth=2, capsize=4, label=label,
        )  # fmt: skip
        for x, y in zip(minutes, accuracy):
            axes.annotate(f"{y:.1f} %", (x, y), textcoords="offset points", xytext=(8, -14), color=colour, fontsize=9)
    axes.set(xlabel="minutes, whole process on two cores", ylabel="test accuracy, %", xlim=(0, None))
    axes.grid(color="#e6e8eb")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    path = record.ROOT / "docs" / "images" / "time_to_accuracy.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=150)
    print(f"written {path.relative_to(record.ROOT)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--contender", choices=("trainer",))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("5m", "13m"), help="one budget, and no peer: to look, not to record")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls measured")
    parser.add_argument("--draw", action="store_true", help="only draw the image of the last results")
    arguments = parser.parse_args()
    if arguments.draw:
        draw()
        return
    if arguments.contender:
        print(json.dumps(trainer(arguments.seed)))
        return
    if arguments.only:
        for seed in range(arguments.seeds):
            measured(f"whet {arguments.only}", seed, arguments.only)
        return
    runs: dict[str, list[dict]] = {name: [] for name in ("trainer", "whet third", "whet 5m", "whet 13m")}
    if RESULTS.is_file() and not arguments.fresh:
        runs |= {name: group["runs"] for name, group in json.loads(RESULTS.read_text())["results"].items()}
    for seed in range(arguments.seeds):
        for name in ("trainer", "whet 13m", "whet 5m", "whet third"):
            if seed in [run["seed"] for run in runs[name]]:
                continue  # measured by an earlier call
            third = sum(run["seconds"] for run in runs["trainer"] if run["seed"] == seed) / 3
            budget = {"whet third": f"{int(third)}s", "whet 5m": "5m", "whet 13m": "13m"}.get(name, "")
            runs[name].append(measured(name, seed, budget))
            write(runs)  # what is measured is kept


def write(runs: dict[str, list[dict]]) -> None:
    results = {}
    for name, found in runs.items():
        if not found:
            continue
        accuracy = np.array([run["accuracy"] for run in found])
        spread = float(accuracy.std(ddof=1)) if len(accuracy) > 1 else None
        results[name] = {
            "accuracy_mean": float(accuracy.mean()), "accuracy_std": spread,
            "seconds": record.summary([run["seconds"] for run in found]), "runs": found,
        }  # fmt: skip
    question = (
        "TrashNet, authors' split (1768/328/431), mobilenet_v1_0.75_224: test accuracy by whole-process wall time"
    )
    packages = ("transformers", "accelerate", "lightning-fabric", "opencv-python-headless")
    record.write("time_to_accuracy", question, results, packages)
    draw()


if __name__ == "__main__":
    main()
