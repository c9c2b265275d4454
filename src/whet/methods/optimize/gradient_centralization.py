from __future__ import annotations

from torch import nn

from whet.core.batch import Step
from whet.core.method import Method
from whet.core.stages import WrapsStep
from whet.methods.optimize.changed import step_with_changed_gradients


class GradientCentralization(
    Method,
    WrapsStep,
    family="optimize",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Subtract the mean over the inputs from the gradient of each output.

    Use when: training or fine-tuning convolutional networks. It costs nothing.
    Do not use when: an output should be able to increase or decrease the weights of all its inputs together.
    Source: Yong et al. 2020, arXiv:2004.01461.
    Shapes: for weights (out, in, …) the mean of the gradient over all axes but the first becomes 0. Norms and biases do not
    change.
    """

    identity = None
    exceptions = {"identity": "it has no strength: means are either subtracted or not"}
    order = 60

    def wrap_step(self, step: Step, parameters: list[nn.Parameter]) -> Step:
        def centralize() -> None:
            for parameter in parameters:
                if parameter.ndim > 1 and parameter.grad is not None:
                    parameter.grad -= parameter.grad.mean(dim=tuple(range(1, parameter.ndim)), keepdim=True)

        return step_with_changed_gradients(step, centralize)
