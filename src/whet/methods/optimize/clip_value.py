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


class ClipValue(
    Method, WrapsStep, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Cut every number of the gradient to between two bounds.

    Use when: single weights get very large gradients, and their direction may be lost.
    Do not use when: the direction matters: clip_norm keeps it.
    Source: Mikolov 2012, "Statistical language models based on neural networks", section 3.2.2. As torch's clip_grad_value_.
    """

    identity = None
    exceptions = {"identity": "a bound is never infinite; a very large one leaves every gradient as it is"}
    order = 81

    max_value: Annotated[
        float, Field(gt=0, description="largest size of a number of the gradient"), Search(0.01, 10.0, log=True)
    ] = 1.0

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        def clip() -> None:
            torch.nn.utils.clip_grad_value_(parameters, self.max_value)

        return step_with_changed_gradients(step, clip)
