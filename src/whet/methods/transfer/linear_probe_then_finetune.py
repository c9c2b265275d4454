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
    """Fit the last layer to the frozen features first, then train every weight from there.

    Use when: fine-tuning pretrained weights, above all with little time or few samples. No step is spent on a random head.
    Do not use when: training from scratch.
    Source: Kumar et al. 2022, arXiv:2202.10054.
    Deviates: the probe is solved as a convex problem (L-BFGS on cached features) instead of being trained for some epochs. The
    penalty is the one with the best out-of-fold predictions. Features are computed in training mode (BatchNorm uses batch
    statistics).
    Shapes: one forward pass of the backbone over the training samples, preprocessed as at inference.
    """

    identity = None
    exceptions = {"identity": "a fitted head never equals a random one"}
    conflicts = frozenset({"linear_probe", "head"})

    def initialise(self, net: Net, context: Context) -> None:
        features_ND, targets, _, group_N = context.features(training=True)
        fit_best_linear(net.linear, features_ND, targets, folds_of(features_ND, targets, group_N=group_N))
