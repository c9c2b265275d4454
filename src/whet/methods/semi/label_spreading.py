from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from whet.core.batch import Context
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Initialises, Optimizes
from whet.methods.semi.spreading import certainty, neighbour_graph, spread
from whet.methods.transfer.logistic_regression import AtOptimum, LogisticRegression
from whet.models.linear import feature_array, fit_best_linear, fit_linear, folds_of
from whet.models.net import Net


class LabelSpreading(
    Method,
    Optimizes,
    Changes,
    Initialises,
    family="semi",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Freeze the backbone, spread labels to unlabelled samples over a graph of neighbours, and fit the last layer to all.

    Use when: you want the baseline that any semi-supervised training must beat, in the time of one pass over the samples.
    Do not use when: the features do not separate the classes, or most unlabelled samples are of other classes.
    Source: Zhou et al. 2004, "Learning with local and global consistency"; as labels with weights by their entropy: Iscen et al.
    2019, arXiv:1904.04717.
    Deviates: a logistic regression on the spread labels predicts new samples, not the graph, so the model keeps no training
    samples. Its penalty is chosen on the labelled samples.
    Shapes: cosine similarities of features (N + M, D) to the power of 3, symmetric -> (1 - alpha)(I - alpha S)^-1 Y, (M, K) ->
    weights (K, D) and biases (K,). An unlabelled sample has the weight 1 - entropy / log K. Training steps change no weights.
    """

    identity = None
    exceptions = {
        "identity": "training requires an optimizer",
        "commutes": "a recipe has exactly one optimizer",
    }
    conflicts = LogisticRegression.conflicts | {"label_propagation", "pseudo_label", "noisy_student"}
    learns_unlabelled = True
    one_class = True

    neighbors: Annotated[
        int, Field(ge=1, description="neighbours of each sample in the graph"), Search(5, 50, log=True)
    ] = 10
    alpha: Annotated[
        float, Field(gt=0, lt=1, description="how far labels spread, 0 to 1; nearly 1 is far"), Search(0.5, 0.99)
    ] = 0.9

    def change(self, net: Net, context: Context) -> Net:
        if not any(True for _ in net.backbone.parameters()):
            raise NoEffectError("the backbone has no weights to freeze")
        net.freeze(net.backbone)
        return net

    def initialise(self, net: Net, context: Context) -> None:
        features_ND, targets, _, group_N = context.features()
        l2 = fit_best_linear(net.linear, features_ND, targets, folds_of(features_ND, targets, group_N=group_N))
        if context.unlabelled_features is None or not context.unlabelled:
            return
        every = torch.cat([features_ND, context.unlabelled_features()])
        N, K = len(features_ND), targets.num_classes
        label_NK = np.concatenate([targets.probs_BK.numpy(), np.zeros((len(every) - N, K))])
        graph = neighbour_graph(feature_array(every), self.neighbors, 3.0)
        probs_MK = spread(graph, label_NK, self.alpha)[N:]
        both = targets.having(torch.from_numpy(np.concatenate([label_NK[:N], probs_MK])).float())
        weight_N = torch.from_numpy(np.concatenate([np.ones(N), certainty(probs_MK)]))
        fit_linear(net.linear, every, both, l2, weight_N=weight_N)

    def optimizer(self, groups: list[dict[str, Any]], net: Any) -> torch.optim.Optimizer:
        return AtOptimum([{**group, "lr": group["lr_scale"]} for group in groups])
