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
    Method,
    WrapsStep,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Clip the norm of the gradient of all weights together.

    Use when: single batches destabilize the training; transformers; recurrent networks.
    Do not use when: it would clip at every step. The learning rate is then too large.
    Source: Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063.
    """

    identity = None
    exceptions = {"identity": "a bound is never infinite; a very large one changes no gradient"}
    order = 80

    max_norm: Annotated[float, Field(gt=0, description="maximum norm of the gradient"), Search(0.1, 10.0, log=True)] = (
        1.0
    )

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        def clip() -> None:
            torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)

        return step_with_changed_gradients(step, clip)
