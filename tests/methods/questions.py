"""What a LOSS method is asked about: samples, a model that answers, and a model that remembers what it was asked."""

import numpy as np
import torch
from torch import nn

from whet.core.batch import Batch, Outcome
from whet.core.rng import Rng
from whet.tasks import SINGLE_LABEL


class Watched(nn.Module):
    """A model that remembers what it was asked."""

    def __init__(self, model):
        super().__init__()
        self.model, self.asked = model, []

    def forward(self, x):
        self.asked.append(x.detach().clone())
        return self.model(x)


def question(model, x, labels=None):
    labels = torch.arange(len(x)) % 3 if labels is None else labels
    batch = Batch(x, SINGLE_LABEL.targets(labels, 3), np.arange(len(x)), torch.ones(len(x)))
    return Outcome(model(x), batch, model)


def images(B=12):
    with Rng(2).torch_scope("x"):
        return torch.empty(B, 3, 10, 10).normal_()


def sharp(net):
    """A network whose answers differ: a fresh head gives nearly the same probability to every class."""
    with torch.no_grad():
        net.head.weight.mul_(100)
    return net.eval()
