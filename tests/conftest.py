"""What many tests need: small images on disk, the shared real data where it is there, and one finished run."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from matplotlib.figure import Figure
from PIL import Image

from whet.cli import main
from whet.core.batch import Batch, Context, Outcome
from whet.core.rng import Rng
from whet.tasks import SINGLE_LABEL

# How long an example takes says how busy the machine is, and no more.
settings.register_profile("whet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whet")

# A full collection walks through every object, and importing makes a million of them: not while the tests are collected, and
# later without those that are there by then.
gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither see nor fill the cache of whoever runs them, and do not depend on their language."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANGUAGE", "en")
        patch.setenv("WHET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """A run sets torch's threads for its whole process, and so for all tests after it."""
    torch.set_num_threads(1)


_paint = Figure.savefig


def _written(figure: Figure, buffer: Any, **_: Any) -> None:
    """The titles, labels and notes of a figure. Its layout takes most of the time of a report."""
    texts = [text.get_text() for text in figure.texts]
    for axes in figure.axes:
        legend = axes.get_legend()
        notes = [*axes.texts, *(legend.get_texts() if legend is not None else ())]
        texts += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(), *(note.get_text() for note in notes)]
    buffer.write(f"<svg>{''.join(f'<text>{escape(text)}</text>' for text in texts)}</svg>")


@pytest.fixture(scope="session", autouse=True)
def _figures_unpainted() -> Iterator[None]:
    """Reports show the texts of their figures alone; `painted` is for tests that look at a figure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _written)
        yield


@pytest.fixture(scope="module")
def painted() -> Iterator[None]:
    """Figures are painted in full, as for people."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _paint)
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the project."""
    if not SHARED.is_dir():
        pytest.skip("the shared real data are not here")
    return SHARED


@pytest.fixture(scope="session")
def mobilenet(shared: Path) -> Path:
    """Real ImageNet weights, the smallest."""
    return shared / "data" / "weights" / "mobilenet_v1_0.25_128"


def write_images(root: Path, counts: dict[str, int], size: tuple[int, int] = (24, 32), seed: int = 0) -> Path:
    """A class folder each: noise around a colour of the class's own, so that there is something to learn."""
    for k, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        rng = Rng(seed).batch(f"images {name}", 0, np.arange(count))
        noise = rng.uniform(0, 120, (*size, 3))
        colour = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200], [180, 180, 30]])[k % 4]
        for i in range(count):
            pixels = np.clip(noise[i] + 0.5 * colour, 0, 255).astype(np.uint8)
            suffix = "jpg" if i % 2 else "png"
            Image.fromarray(pixels).save(
                root / name / f"{i:03d}.{suffix}", **({"quality": 92} if suffix == "jpg" else {})
            )
    return root


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """60 small images in three uneven class folders."""
    return write_images(tmp_path / "images", {"glass": 30, "metal": 18, "paper": 12})


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A smooth colourful image, RGB uint8 (96, 128, 3): real-looking content to warp and colour."""
    y, x = np.mgrid[0:96, 0:128]
    red = 127 + 90 * np.sin(x / 9.0) * np.cos(y / 13.0)
    green = 110 + 100 * np.sin((x + y) / 17.0)
    blue = 60 + 140 * (x / 128) * (y / 96)
    return np.clip(np.stack([red, green, blue], axis=2), 0, 255).astype(np.uint8)


FAST = [
    "train.image_size=32",
    "train.batch_size=8",
    "train.precision=fp32",
    "train.torch_threads=1",  # two test processes share two cores
    "train.loader_threads=2",
]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def whet(*words: str | Path, cwd: Path | None = None) -> Done:
    """Run the command line, in this process: a new one would spend its seconds on importing torch."""
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.setattr(sys, "argv", ["whet", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, stdout.getvalue(), stderr.getvalue())


def train_small(data: Path, out: Path, *words: str, budget: str = "2ep") -> Done:
    """A training of some seconds by the command line."""
    settings = [word for setting in FAST for word in ("--set", setting)]
    return whet("train", data, "--out", out, "--architecture", "resnet9_slim", "--budget", budget, *settings, *words)


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on small images, trained once for all tests that only read it."""
    root = tmp_path_factory.mktemp("finished")
    data = write_images(root / "images", {"glass": 40, "metal": 30, "paper": 20})
    done = train_small(data, root / "run", "--seed", "1", "--json", budget="4ep")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"] == str(root / "run")
    return root / "run"


@pytest.fixture
def outcome():
    """outcome(logits, labels): what a loss is given."""

    def made(logits, labels, model=None):
        logits = torch.as_tensor(logits, dtype=torch.float64)
        targets = SINGLE_LABEL.targets(torch.as_tensor(labels), logits.shape[1])
        given = Batch(torch.zeros(len(logits), 1), targets, np.arange(len(logits)), torch.ones(len(logits)))
        return Outcome(logits, given, model)

    return made


@pytest.fixture
def context():
    """context(counts): a training with so many samples a class."""

    def made(counts=(10, 10), features=None):
        classes = tuple(f"c{k}" for k in range(len(counts)))
        return Context(SINGLE_LABEL, classes, np.array(counts), features or (lambda: None))

    return made


@pytest.fixture
def net():
    """net(features, classes): a small convolutional network with BatchNorm, a head, and weights that are always the same."""
    from torch import nn

    from whet.models.net import Net, NetSpec, new_head

    def made(features=6, classes=3):
        with Rng(0).torch_scope("init"):
            backbone = nn.Sequential(
                nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
                nn.Conv2d(4, features, 3, bias=False), nn.BatchNorm2d(features), nn.ReLU(),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            )  # fmt: skip
            spec = NetSpec("zoo", "bench", tuple("abc"[:classes]), (0.5,) * 3, (0.25,) * 3)
            return Net(spec, backbone, new_head(features, classes))

    return made
