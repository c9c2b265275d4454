"""The modules of a pretext task."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Pretext(nn.Module):
    """The modules of a pretext task, which train with the network and are not saved with the model. deviation: that of the
    embeddings of the last training batch, NaN before the first."""

    deviation: Tensor

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.register_buffer("deviation", torch.tensor(float("nan")), persistent=False)

    def watch(self, z_BD: Tensor) -> None:
        """Remember how far the embeddings of a training batch differ from each other."""
        if self.training:
            self.deviation.copy_(deviation(z_BD.detach().float()))


def deviation(z_BD: Tensor) -> Tensor:
    """The standard deviation of embeddings scaled to length 1, mean over their D numbers, as a share of 1/sqrt(D): about 1 for
    directions drawn at random, 0 where all are equal. Source: Chen & He 2021, section 4.1."""
    return F.normalize(z_BD, dim=1).std(dim=0, correction=0).mean() * z_BD.shape[1] ** 0.5
