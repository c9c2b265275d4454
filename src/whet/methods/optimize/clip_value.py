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
    Method,
    WrapsStep,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Clip every element of the gradient to [-max_value, max_value].

    Use when: single weights get very large gradients, and the direction of the gradient may change.
    Do not use when: the direction matters. clip_norm preserves it.
    Source: Mikolov 2012, "Statistical language models based on neural networks", section 3.2.2. As torch's clip_grad_value_.
    """

    identity = None
    exceptions = {"identity": "a bound is never infinite; a very large one changes no gradient"}
    order = 81

    max_value: Annotated[
        float,
        Field(gt=0, description="maximum absolute value of an element of the gradient"),
        Search(0.01, 10.0, log=True),
    ] = 1.0

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        def clip() -> None:
            torch.nn.utils.clip_grad_value_(parameters, self.max_value)

        return step_with_changed_gradients(step, clip)
