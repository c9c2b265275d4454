from __future__ import annotations

from torch import nn

from whet.core.batch import Step
from whet.core.method import Method
from whet.core.stages import WrapsStep
from whet.methods.optimize.changed import step_with_changed_gradients


class GradientCentralization(
    Method, WrapsStep, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Take from the gradient of each output its mean over the inputs.

    Use when: convolutional networks, from scratch or fine-tuned; it costs nothing.
    Do not use when: an output should learn to weigh all its inputs more or less at once.
    Source: Yong et al. 2020, arXiv:2004.01461.
    Shapes: for weights (out, in, …) the gradient's mean over all but the first axis becomes 0; norms and biases are left alone.
    """

    identity = None
    exceptions = {"identity": "it has no strength: means are taken off or not"}
    order = 60

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        def centralize() -> None:
            for parameter in parameters:
                if parameter.ndim > 1 and parameter.grad is not None:
                    parameter.grad -= parameter.grad.mean(dim=tuple(range(1, parameter.ndim)), keepdim=True)

        return step_with_changed_gradients(step, centralize)
