from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import nn

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes
from whet.models.net import Net


class Dropout(
    Method, Changes, family="regularize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Set random features before the last layer to zero during training and scale up the rest.

    Use when: the training score is much higher than the validation score.
    Do not use when: the model underfits or training is very short.
    Source: Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".
    Shapes: features (B, D) -> features (B, D). The mask depends only on (seed, step).
    """

    identity = {"prob": 0.0}

    prob: Annotated[float, Field(ge=0, lt=1, description="fraction of features to drop"), Search(0.05, 0.6)] = 0.2

    def change(self, net: Net, context: Context) -> Net:
        if self.prob > 0:
            net.head = nn.Sequential(nn.Dropout(self.prob), net.head)
        return net
