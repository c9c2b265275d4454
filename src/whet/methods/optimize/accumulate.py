from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from whet.core.method import Method
from whet.core.stages import Divides


class Accumulate(
    Method, Divides, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Let a batch pass the network in parts whose gradients add up, so that it needs the memory of one part only.

    Use when: the batch that trains well does not fit into memory.
    Do not use when: it fits: parts cost time and change nothing but BatchNorm, which sees the parts alone.
    Source: Ott et al. 2018, arXiv:1806.00187 (section 3.1); Goyal et al. 2017, arXiv:1706.02677.
    Shapes: (B, …) -> parts of nearly one size, at most micro_batch samples each; the gradient is that of the whole batch.
    """

    identity = {"micro_batch": 0}
    conflicts = frozenset({"manifold_mixup"})  # which mixes samples of different parts inside the network

    micro_batch: Annotated[int, Field(ge=0, description="samples that pass at once; 0: the whole batch")] = 16

    def parts(self, samples: int) -> int:
        return math.ceil(samples / self.micro_batch) if self.micro_batch else 1
