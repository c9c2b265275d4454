from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from whet.core.batch import Step
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import WrapsStep
from whet.methods.optimize.changed import step_with_changed_gradients


class ClipNorm(
    Method, WrapsStep, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Shorten the gradient to a largest length, all weights together.

    Use when: single batches throw training off; transformers; recurrent networks.
    Do not use when: it acts at every step: then the learning rate is too large.
    Source: Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063.
    """

    identity = None
    exceptions = {"identity": "a bound is never infinite; a very large one leaves every gradient as it is"}
    order = 80

    max_norm: Annotated[
        float, Field(gt=0, description="largest length of the gradient"), Search(0.1, 10.0, log=True)
    ] = 1.0

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        def clip() -> None:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)

        return step_with_changed_gradients(step, clip)
