from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field

from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import with_rates


class Adafactor(
    Method,
    Optimizes,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Adam with factored second moments (one row and one column per matrix), relative step sizes and no momentum.

    Use when: memory is short. The second moments of a matrix take the memory of one row and one column.
    Do not use when: memory suffices. adamw gives slightly better results.
    Source: Shazeer & Stern 2018, arXiv:1804.04235. Uses torch.optim.Adafactor.
    Deviates: epsilon is a lower bound of the divisor instead of being added to the squared gradients, as in torch.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}
    waits = "torch's implementation compares the norms of weights and updates on the host"

    lr: Annotated[
        float,
        Field(
            gt=0,
            description="maximum step relative to the size of a weight tensor; it also decreases as 1 / sqrt(step)",
        ),
        Search(0.0001, 0.1, log=True),
    ] = 0.01
    decay_power: Annotated[
        float, Field(gt=0, le=1, description="decay of the second moments: 1 - step^-power"), Search(0.5, 1.0)
    ] = 0.8
    clip: Annotated[float, Field(ge=1, description="maximum root mean square of the scaled gradient")] = 1.0

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return torch.optim.Adafactor(
            with_rates(groups, self.lr), lr=self.lr, beta2_decay=-self.decay_power, d=self.clip
        )
