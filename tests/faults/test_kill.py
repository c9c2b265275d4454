"""kill -9 anywhere, resume, and the end is bit-identical (promise T1, first form: images)."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import write_pictures

# 42 training pictures in batches of 8: five steps an epoch, three epochs, a checkpoint every second step.
STEPS, SAVES = 15, 9
METHODS = [
    "random_resized_crop", "horizontal_flip", "rotate", "brightness", "random_erasing", "mixup", "dropout", "label_smoothing",
    {"adamw": {"lr": 0.003}}, "cosine", {"progressive_resize": {"start_fraction": 0.75}}, "clip_norm", "ema",
    {"early_stopping": {"patience": 4}}, "balanced_sampler", "tta", "temperature_scaling",
]  # fmt: skip


class Zygote:
    def __init__(self, data: Path) -> None:
        self.data = data
        script = Path(__file__).with_name("zygote.py")
        self.process = subprocess.Popen(
            [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=data.parent
        )

    def __call__(
        self,
        do: str,
        out: Path,
        kill: tuple[str, int] | None = None,
        loader_threads: int = 2,
        mutant: str | None = None,
    ) -> int:
        command: dict = {"do": do, "out": str(out)}
        if mutant is not None:
            command["mutant"] = mutant
        if do == "train":
            train = {
                "budget": "3ep", "batch_size": 8, "image_size": 32, "precision": "fp32", "seed": 5, "torch_threads": 1,
                "loader_threads": loader_threads, "checkpoint_every": "2st", "validate_every": "4st",
            }  # fmt: skip
            model = {"architecture": "resnet9_slim"}
            command["recipe"] = {"data": {"path": str(self.data)}, "model": model, "train": train, "methods": METHODS}
        if kill is not None:
            command["kill"] = kill
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["code"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def zygote(tmp_path_factory):
    root = tmp_path_factory.mktemp("kill")
    made = Zygote(write_pictures(root / "pictures", {"glass": 30, "metal": 18, "paper": 12}))
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(zygote, tmp_path_factory):
    """The uninterrupted training."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert zygote("train", out) == 0
    return story(out)


def story(out: Path) -> dict:
    """Everything that must be identical: final weights, answers, logged losses and sample order, and all that the last
    checkpoint holds (weights, optimizer, averages, counters)."""
    last = max((out / "checkpoints").glob("step-*"))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    state = json.loads((last / "state.json").read_text())
    seconds = next(item for key, item in state["state"]["dict"] if key == "state")
    seconds["dict"] = [[key, item] for key, item in seconds["dict"] if key != "seconds"]
    return {
        "weights": hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest(),
        "tensors": hashlib.sha256((last / "state.safetensors").read_bytes()).hexdigest(),
        "state": state,
        "predictions": (out / "predictions.csv").read_text(),
        "log": [record for record in log if record["event"] in ("step", "validation")],
    }


def killed_and_resumed(zygote, out, kill):
    shutil.rmtree(out, ignore_errors=True)
    code = zygote("train", out, kill)
    assert code in (0, -9)
    if code == -9:
        assert not (out / "DONE").exists()
        assert zygote("resume", out) == 0
    return story(out), code


def test_there_is_something_to_compare(whole):
    assert [record["step"] for record in whole["log"] if record["event"] == "step"] == list(range(1, STEPS + 1))
    assert len({record["order"] for record in whole["log"] if record["event"] == "step"}) == STEPS
    assert [record["step"] for record in whole["log"] if record["event"] == "validation"] == [0, 4, 8, 12, 15]


@pytest.mark.parametrize(
    "kill",
    [("step", 1), ("step", 4), ("step", 9), ("step", 15), ("half", 1), ("half", 5), ("unnamed", 1), ("unnamed", 3), ("renamed", 1),
     ("renamed", 6), ("finish", 1)],
    ids=lambda kill: f"{kill[0]}-{kill[1]}",
)  # fmt: skip
def test_killed_at_one_of_some_places(zygote, whole, tmp_path, kill):
    found, code = killed_and_resumed(zygote, tmp_path / "run", kill)
    assert code == -9
    assert found == whole


def test_killed_twice(zygote, whole, tmp_path):
    out = tmp_path / "run"
    assert zygote("train", out, ("step", 5)) == -9
    assert zygote("resume", out, ("renamed", 3)) == -9
    assert zygote("resume", out) == 0
    assert story(out) == whole


@pytest.mark.parametrize("mutant", ["global draws", "forgotten averages", "epoch starts over"])
def test_wrong_designs_are_noticed(zygote, tmp_path, mutant):
    """The check above can fail: with each of these a resumed run ends elsewhere."""
    assert zygote("train", tmp_path / "whole", mutant=mutant) == 0
    assert zygote("train", tmp_path / "run", ("step", 9), mutant=mutant) == -9
    assert zygote("resume", tmp_path / "run", mutant=mutant) == 0
    assert story(tmp_path / "run") != story(tmp_path / "whole")


@pytest.mark.slow
def test_killed_at_every_place(zygote, whole, tmp_path):
    """Every step, and every checkpoint half written, not yet renamed, just renamed; each with 1, 2 and 4 loader threads."""
    points = [("step", n) for n in range(1, STEPS + 1)]
    points += [(where, n) for where in ("half", "unnamed", "renamed") for n in range(1, SAVES + 1)]
    points += [("finish", 1)]
    killed = 0
    for threads in (1, 2, 4, 3, 2):
        for kill in points:
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            code = zygote("train", tmp_path / "run", kill, threads)
            killed += code == -9
            if code == -9:
                assert zygote("resume", tmp_path / "run") == 0
            assert story(tmp_path / "run") == whole, (threads, kill)
    assert killed >= 200


@pytest.mark.parametrize("threads", [1, 4])
def test_any_number_of_loader_threads_and_a_second_time(zygote, whole, tmp_path, threads):
    """Promise T18."""
    assert zygote("train", tmp_path / "run", loader_threads=threads) == 0
    assert story(tmp_path / "run") == whole
