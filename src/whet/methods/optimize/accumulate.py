from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.stages import Divides


class Accumulate(
    Method,
    Divides,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Process a batch in parts and sum their gradients, so that a step needs the memory of one part only.

    Use when: the batch size that trains well does not fit into memory.
    Do not use when: the batch fits. Parts take time and change nothing except BatchNorm, which uses the statistics of each part.
    Source: Ott et al. 2018, arXiv:1806.00187 (section 3.1); Goyal et al. 2017, arXiv:1706.02677.
    Shapes: (B, …) -> parts of nearly equal size, at most micro_batch samples each. The gradient is that of the whole batch.
    """

    identity = {"micro_batch": 0}
    conflicts = frozenset({"manifold_mixup"})  # it mixes samples of different parts inside the network

    micro_batch: Annotated[int, Field(ge=0, description="samples per forward pass; 0: the whole batch")] = 16

    def parts(self, samples: int) -> int:
        return math.ceil(samples / self.micro_batch) if self.micro_batch else 1
