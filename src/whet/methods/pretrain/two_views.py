"""What the methods that compare two views of each sample share: projections, the pairs of a batch, and the watch for collapse."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from whet.core.batch import Context, Progress
from whet.core.errors import CollapseError
from whet.core.runtime import Runtime
from whet.core.stages import Changes, Watches
from whet.methods.pretrain.pretext import Pretext

TASKS = frozenset({"image-pretraining", "text-pretraining", "audio-pretraining"})
_LEAST_DEVIATION = 0.01  # of directions drawn at random; random weights give 0.03 and more, training at least half
_LEAST_FEATURE_DEVIATION = 0.005  # features of a rectified layer point in similar directions, so less is normal


class TwoViews(Changes, Watches):
    """A method that shows each sample in two views, drawn by the SAMPLE methods of the recipe, and compares their embeddings."""

    @property
    def copies(self) -> int:
        return 2

    @property
    def copies_differ(self) -> bool:
        return True

    def start(self, net: Any, context: Context) -> Runtime:
        return CollapseWatch(net.pretext)


class CollapseWatch(Runtime):
    """Stops the training where all samples have the same embeddings or features. It looks at every validation."""

    def __init__(self, pretext: Pretext) -> None:
        self._pretext = pretext

    def after_validation(self, metrics: Mapping[str, float], weights: dict[str, Tensor], progress: Progress) -> None:
        embeddings, features = float(self._pretext.deviation), float(metrics["feature_deviation"])
        if embeddings < _LEAST_DEVIATION:
            self._refuse("embeddings of the last batch", embeddings, progress.step)
        if features < _LEAST_FEATURE_DEVIATION:
            self._refuse("features of the held-out samples", features, progress.step)

    def _refuse(self, what: str, found: float, step: int) -> None:
        raise CollapseError(
            f"pre-training has collapsed: after step {step} the {what} are nearly the same for all samples (their deviation is "
            f"{found:.4f}; 1 is that of directions drawn at random), so nothing can be learned from them. Use a lower learning "
            "rate (--lr), a larger batch (--batch-size), stronger augmentation, or pretrained weights (--weights)"
        )


def partner(z_BD: Tensor) -> Tensor:
    """The rows of the other view: (2 N, …), all samples once and then all again -> the same with the halves exchanged."""
    return z_BD.roll(len(z_BD) // 2, dims=0)


def mlp(widths: list[int], *, norm: bool = True, norm_last: bool = False) -> nn.Sequential:
    """Linear layers with ReLU between them, each after a BatchNorm with `norm`. norm_last: a BatchNorm without scale and shift
    after the last layer."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs, bias=not norm), *([nn.BatchNorm1d(outputs)] if norm else []), nn.ReLU()]
    layers.append(nn.Linear(widths[-2], widths[-1], bias=not norm_last))
    return nn.Sequential(*layers, *([nn.BatchNorm1d(widths[-1], affine=False)] if norm_last else []))
