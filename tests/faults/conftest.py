"""A process that trains in forks of itself and is killed where a test wants it, for each medium."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import write_images
from tests.end_to_end.test_audio_runs import write_audio
from tests.end_to_end.test_texts import write_texts

# 42 training samples in batches of 8: five steps an epoch, three epochs, a checkpoint every second step.
STEPS, SAVES = 15, 9
_ALL = [
    "dropout", "label_smoothing", {"adamw": {"lr": 0.003}}, "cosine", {"accumulate": {"micro_batch": 4}}, "clip_norm", "ema",
    {"early_stopping": {"patience": 4}}, "balanced_sampler", "temperature_scaling",
]  # fmt: skip
_OF_MEDIUM = {
    "image": [
        "random_resized_crop", "horizontal_flip", "rotate", "brightness", "random_erasing", "mixup",
        {"progressive_resize": {"start_fraction": 0.75}}, "tta",
    ],
    "text": ["random_swap", "random_deletion", "char_swap", "mixup"],
    "audio": ["gain", "add_noise", "time_shift", "spec_augment", "mixup"],
}  # fmt: skip
_NETWORK = {"image": "resnet9_slim", "text": "fast_text", "audio": "audio_cnn"}


class Zygote:
    """Trains and resumes by command; the answer is the exit code of the process that did it."""

    def __init__(self, root: Path) -> None:
        self.data = {
            "image": write_images(root / "images", {"glass": 30, "metal": 18, "paper": 12}),
            "text": write_texts(root / "texts.csv", 20),
            "audio": write_audio(root / "tones", 20),
        }
        self.more = write_images(root / "more", {"any": 25}, seed=7)
        script = Path(__file__).with_name("zygote.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
        )

    def recipe(
        self,
        medium: str,
        loader_threads: int = 2,
        methods: list[Any] | None = None,
        data: dict[str, Any] | None = None,
        **train: Any,
    ) -> dict[str, Any]:
        settings = {
            "budget": "3ep", "batch_size": 8, "precision": "fp32", "seed": 5, "torch_threads": 1,
            "loader_threads": loader_threads, "checkpoint_every": "2st", "validate_every": "4st",
            **({"image_size": 16} if medium == "image" else {}), **train,
        }  # fmt: skip
        return {
            "task": f"{medium}-classification",
            "data": data or {"path": str(self.data[medium])},
            "model": {"architecture": _NETWORK[medium]},
            "train": settings,
            "methods": [*_OF_MEDIUM[medium], *_ALL] if methods is None else methods,
        }

    def train(self, out: Path, medium: str = "image", **command: Any) -> int:
        """kill, mutant, pace, limit, errors: see zygote.py; everything else: see `recipe`."""
        told = {key: command.pop(key) for key in ("kill", "mutant", "pace", "limit", "errors") if key in command}
        return self._do(do="train", out=str(out), recipe=self.recipe(medium, **command), **told)

    def resume(self, out: Path, **told: Any) -> int:
        return self._do(do="resume", out=str(out), **told)

    def whet(self, *words: str | Path, errors: Path, offline: bool = False) -> Command:
        """The command line in a process of its own that need not import anything; its stderr goes to a file."""
        told = self.tell(do="whet", words=list(map(str, words)), errors=str(errors), offline=offline)
        return Command(self, told["pid"], errors)

    def _do(self, **command: Any) -> int:
        return self.tell(**command)["code"]

    def tell(self, **command: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@dataclass
class Command:
    """A command line at work, as far as these tests need a `subprocess.Popen`."""

    zygote: Zygote
    pid: int
    errors: Path

    def poll(self) -> int | None:
        return self.zygote.tell(do="code", pid=self.pid, wait=False)["code"]

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> tuple[int, str]:
        """(its exit code, its stderr), once it is over."""
        return self.zygote.tell(do="code", pid=self.pid, wait=True)["code"], self.errors.read_text()


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    made = Zygote(tmp_path_factory.mktemp("kill"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def whole(zygote, tmp_path_factory):
    """whole(medium): the story of the uninterrupted training."""
    stories: dict[str, dict[str, Any]] = {}

    def told(medium: str) -> dict[str, Any]:
        if medium not in stories:
            out = tmp_path_factory.mktemp("whole") / "run"
            assert zygote.train(out, medium) == 0
            stories[medium] = story(out)
        return stories[medium]

    return told


_MEASURED = ("val", "test", "best_validation", "left_out", "accepted", "pseudo_labels", "guard")
_SECONDS = ("seconds", "total_seconds", "wait_seconds")


def story(out: Path) -> dict[str, Any]:
    """Everything that must be identical: final weights, answers, logged losses and sample order, and all that the last
    checkpoint holds (weights, optimizer, averages, counters)."""
    last = max((out / "checkpoints").glob("step-*"))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    state = json.loads((last / "state.json").read_text())
    counters = next(item for key, item in state["state"]["dict"] if key == "state")
    counters["dict"] = [[key, item] for key, item in counters["dict"] if key not in _SECONDS]
    metrics = json.loads((out / "metrics.json").read_text())
    return {
        "weights": {
            str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted((out / "model").rglob("*")) if file.is_file()
        },
        "tensors": hashlib.sha256((last / "state.safetensors").read_bytes()).hexdigest(),
        "state": state,
        "predictions": (out / "predictions.csv").read_text(),
        "metrics": {key: metrics.get(key) for key in _MEASURED},
        "log": [record for record in log if record["event"] in ("step", "validation")],
        "report": (out / "report.html").read_text(),
    }  # fmt: skip


def killed_and_resumed(
    zygote: Zygote, out: Path, kill: tuple[str, int], medium: str = "image", **given: Any
) -> tuple[dict[str, Any], int]:
    """(the story of a training that was killed there and gone on with, the exit code of what was killed)."""
    shutil.rmtree(out, ignore_errors=True)
    code = zygote.train(out, medium, kill=kill, **given)
    assert code in (0, -9)
    if code == -9:
        assert not (out / "DONE").exists()
        assert zygote.resume(out) == 0
    return story(out), code
