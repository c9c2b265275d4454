"""Corrects settings that were converted wrongly from TensorFlow. Each correction is reported in a note.

transformers' MobileNetV1 and V2 use TensorFlow's BatchNorm decay (0.9997, 0.997) as torch's momentum, so that the running
statistics are those of the last batch alone, and TensorFlow's keep probability (0.999, 0.8) as torch's dropout probability. Plain
fine-tuning then stays near chance.
"""

from __future__ import annotations

from torch import Tensor, nn

from whet.core.language import Sentence, english

MOMENTUM = 0.1  # torch's default; TensorFlow's 0.0003 is too slow for a fine-tuning of some hundred steps


def mend(model: nn.Module) -> list[Sentence]:
    """Correct the model in place and return notes on the corrections."""
    notes: list[Sentence] = []
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and (m.momentum or 0) > 0.5]
    if norms:
        notes.append(
            english(
                "{n} BatchNorm layers came with momentum {momentum:g}, TensorFlow's decay; set to {usual:g}",
                n=len(norms),
                momentum=norms[0].momentum,
                usual=MOMENTUM,
            )
        )
        for norm in norms:
            norm.momentum = MOMENTUM
    drops = [m for m in model.modules() if isinstance(m, nn.modules.dropout._DropoutNd) and m.p >= 0.8]
    if drops:
        notes.append(
            english(
                "a dropout of {p:g} is TensorFlow's keep probability; switched off (method 'dropout' adds one)",
                p=drops[0].p,
            )
        )
        for drop in drops:
            drop.p = 0.0
        if getattr(model, "config", None) is not None and hasattr(model.config, "classifier_dropout_prob"):
            model.config.classifier_dropout_prob = 0.0
    return notes


def spare_lone_values(backbone: nn.Module) -> None:
    """Make BatchNorm layers use their running statistics where a batch has one value per channel (a batch of one with a 1 x 1 map),
    because a single value has no variance and torch raises an error."""
    for norm in backbone.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.register_forward_pre_hook(_before)
            norm.register_forward_hook(_after)


def _before(norm: nn.Module, inputs: tuple[Tensor]) -> None:
    x = inputs[0]
    norm.lone = norm.training and x.numel() == x.shape[1]  # type: ignore[assignment]
    if norm.lone:
        norm.eval()


def _after(norm: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
    if norm.lone:
        norm.train()
