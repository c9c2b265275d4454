from __future__ import annotations

from typing import Annotated

from pydantic import Field

from whet.core.batch import Context
from whet.core.method import Method, Search, Stage
from whet.models.linear import fit_linear
from whet.models.net import Net


class LinearProbeThenFinetune(
    Method,
    stage=Stage.MODEL,
    family="transfer",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Fit the last layer to the frozen features first, to its optimum, then train every weight from there.

    Use when: fine-tuning pretrained weights, most of all when time or samples are few: no step is lost on a random head.
    Do not use when: training from scratch.
    Source: Kumar et al. 2022, arXiv:2202.10054.
    Deviates: the probe is solved as a convex problem (L-BFGS on kept features) instead of trained for some epochs.
    Shapes: one pass of the backbone over the training pictures as they are shown at prediction.
    """

    identity = None
    exceptions = {"identity": "a fitted head is never the same as a random one"}
    conflicts = frozenset({"linear_probe", "head"})

    l2: Annotated[
        float,
        Field(gt=0, description="penalty on the probe's weights, half the squared norm times this"),
        Search(1e-5, 1e-1, log=True),
    ] = 1e-3

    def initialise(self, net: Net, context: Context) -> None:
        features_ND, targets, _ = context.features()
        fit_linear(net.linear, features_ND, targets, self.l2)
