from __future__ import annotations

from whet.core.batch import Context
from whet.core.method import Method
from whet.core.stages import Initialises
from whet.models.linear import fit_best_linear, folds_of
from whet.models.net import Net


class LinearProbeThenFinetune(
    Method,
    Initialises,
    family="transfer",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Fit the last layer to the frozen features first, to its optimum, then train every weight from there.

    Use when: fine-tuning pretrained weights, most of all when time or samples are few: no step is lost on a random head.
    Do not use when: training from scratch.
    Source: Kumar et al. 2022, arXiv:2202.10054.
    Deviates: the probe is solved as a convex problem (L-BFGS on kept features) instead of trained for some epochs, under the
    penalty that answers best out of fold; features as the network gives them in training (BatchNorm by the batch).
    Shapes: one pass of the backbone over the training samples as they are shown at prediction.
    """

    identity = None
    exceptions = {"identity": "a fitted head is never the same as a random one"}
    conflicts = frozenset({"linear_probe", "head"})

    def initialise(self, net: Net, context: Context) -> None:
        features_ND, targets, _, group_N = context.features(training=True)
        fit_best_linear(net.linear, features_ND, targets, folds_of(features_ND, targets, group_N=group_N))
