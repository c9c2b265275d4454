"""Draw, paint and train with one method at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from whet.core.batch import Batch, Context, Outcome, Progress
from whet.core.rng import Rng
from whet.core.targets import Targets
from whet.core.view import ImageView
from whet.render import CpuPainter, shrink, shrink_factors


@pytest.fixture
def draw():
    """draw(method, B, source, size): the view that a method draws for B samples of one source size."""

    def drawn(method, B=4000, source=(96, 128), size=(96, 128), seed=0, fit="squash"):
        view = ImageView.whole([source] * B, size, fit)
        return method.draw(view, Rng(seed).batch(method.name, 0, np.arange(B)))

    return drawn


@pytest.fixture
def paint():
    """paint(view, pixels): sample 0 of the view."""

    def painted(view, pixels):
        out = np.empty((*view.size, 3), dtype=np.uint8)
        CpuPainter(view).paint(0, shrink(pixels, pixels.shape[:2], shrink_factors(view)[0]), out)
        return out

    return painted


@pytest.fixture
def one():
    """one(pixels): the empty view of one picture at its own size."""
    return lambda pixels: ImageView.whole([pixels.shape[:2]], pixels.shape[:2])


@pytest.fixture
def batch():
    """batch(B, K): a batch of distinct pictures with certain targets."""

    def made(B=8, K=4, size=(12, 16)):
        pixels = Rng(3).batch("x", 0, np.arange(B)).normal((3, *size))
        targets = Targets.from_labels(torch.arange(B) % K, K)
        return Batch(torch.from_numpy(pixels).float(), targets, np.arange(B), torch.ones(B))

    return made


@pytest.fixture
def outcome():
    """outcome(logits, labels): what a loss is given."""

    def made(logits, labels, model=None):
        logits = torch.as_tensor(logits, dtype=torch.float64)
        targets = Targets.from_labels(torch.as_tensor(labels), logits.shape[1])
        given = Batch(torch.zeros(len(logits), 1), targets, np.arange(len(logits)), torch.ones(len(logits)))
        return Outcome(logits, given, model)

    return made


@pytest.fixture
def context():
    """context(counts): a training with so many samples a class."""

    def made(counts=(10, 10), features=None):
        classes = tuple(f"c{k}" for k in range(len(counts)))
        return Context("image-classification", classes, np.array(counts), features or (lambda: None))

    return made


@pytest.fixture
def progress():
    return lambda step, total=100, per_epoch=10: Progress(step, total, per_epoch)


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


@pytest.fixture
def descend():
    """descend(optimizer_method, weight, gradient_of, steps): the weight after so many steps with the method's optimizer."""

    def descended(method, start, gradient_of, steps, decay=True):
        weight = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        optimizer = method.optimizer([{"params": [weight], "lr_scale": 1.0, "decay": decay}])
        for _ in range(steps):
            weight.grad = gradient_of(weight.detach())
            optimizer.step()
        return weight.detach().numpy()

    return descended
