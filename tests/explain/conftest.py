"""Small networks taught something that is known to lie in one place."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from whet.core.rng import Rng
from whet.models.net import Net, NetSpec, new_head
from whet.models.zoo import ZOO
from whet.models.zoo_text import TEXT_ZOO


@pytest.fixture(scope="session")
def image_net():
    """image_net("lenet"): a network of the zoo for three classes, with random weights that are always the same."""

    def made(name, classes=("a", "b", "c"), seed=0, **size):
        with Rng(seed).torch_scope("init"):
            backbone, features = ZOO[name](**size)
            net = Net(
                NetSpec("zoo", name, classes, (0.5,) * 3, (0.25,) * 3), backbone, new_head(features, len(classes))
            )
            nn.init.normal_(net.linear.weight, std=0.1)
        return net.eval()

    return made


@pytest.fixture(scope="session")
def text_net():
    """text_net("text_cnn", tokens): the same for texts and two classes."""
    from whet.models.front import TextFront

    def made(name, tokens, classes=("red", "blue"), seed=0, **size):
        with Rng(seed).torch_scope("init"):
            backbone, features = TEXT_ZOO[name](tokens.words, tokens.pad_id, **size)
            net = Net(
                NetSpec("zoo", name, classes, medium="text"),
                backbone,
                new_head(features, len(classes)),
                TextFront(tokens),
            )
            nn.init.normal_(net.linear.weight, std=0.1)
        return net.eval()

    return made


@pytest.fixture(scope="session")
def taught():
    """taught(net, x, labels): the network after some steps of Adam on these samples."""

    def taught(net, x, labels, steps=40, lr=3e-3, batch=32):
        solver = torch.optim.Adam(net.parameters(), lr=lr)
        net.train()
        with Rng(0).torch_scope("taught"):  # dropout draws, too
            for step in range(steps):
                rows = (torch.arange(batch) + step * batch) % len(x)
                solver.zero_grad()
                nn.functional.cross_entropy(net(x[rows]), labels[rows]).backward()
                solver.step()
        net.zero_grad(set_to_none=True)
        return net.eval()

    return taught
