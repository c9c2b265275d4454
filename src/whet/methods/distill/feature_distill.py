from __future__ import annotations

from typing import Annotated, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Changes, Watches, WrapsLoss
from whet.methods.distill.teacher import Taught, Teacher, TeacherRun, TeacherSize
from whet.models.net import Net


class FeatureDistill(
    Taught,
    Method,
    WrapsLoss,
    Changes,
    Watches,
    family="distill",
    tasks={
        "image-classification",
        "text-classification",
        "audio-classification",
        "image-pretraining",
        "text-pretraining",
        "audio-pretraining",
    },
):
    """Train the features to match those of a trained network, up to a linear map that is trained with them (a hint).

    Use when: there is a stronger network, possibly with other classes, or its predictions add little information to the labels. A
    pre-training with it needs no labels: a small network learns the features of a large one from all samples.
    Do not use when: time is short, because every sample also passes through the teacher.
    Source: Romero et al. 2015, arXiv:1412.6550 (FitNets).
    Deviates: the hint is the input of the last layer and is used during the whole training, not in a phase before it. It is
    scaled to a root mean square of 1, so that the weight has the same meaning for every teacher.
    Shapes: loss (B,) + weight * mean over D of (map(features) - teacher's features / their root mean square)^2 (B,). The map is a
    linear layer of the network during training and is not saved with the model.
    """

    identity = {"teacher": ""}
    order = 75

    teacher: TeacherRun = ""
    teacher_size: TeacherSize = None
    weight: Annotated[
        float, Field(ge=0, description="factor on the mean squared error"), Search(0.03, 10.0, log=True)
    ] = 1.0

    def change(self, net: Net, context: Context) -> Net:
        teacher = Teacher(self.name, self.teacher, net, self.teacher_size).net
        hint = nn.utils.skip_init(nn.Linear, net.width, teacher.width, device=net.device)
        # The initial pairing of features is arbitrary, so no random initialization is needed.
        nn.init.eye_(hint.weight)
        nn.init.zeros_(hint.bias)
        net.hint = hint
        return net

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        teacher = Teacher(self.name, self.teacher, net, self.teacher_size)
        if net.backbone_frozen:
            raise NoEffectError("the backbone is frozen: its features cannot change")

        def hinted(outcome: Outcome) -> Tensor:
            teacher_BD = teacher.features(outcome.batch)
            student_BD = cast(nn.Module, net.hint)(outcome.features_BD)
            return loss(outcome) + self.weight * hint_error(student_BD, teacher_BD)

        return hinted


def hint_error(student_BD: Tensor, teacher_BD: Tensor) -> Tensor:
    """Mean squared distance of each sample's features from the teacher's, which are scaled to a root mean square of 1, (B,)."""
    size = teacher_BD.square().mean().sqrt()
    return (student_BD - teacher_BD / torch.where(size > 0, size, 1.0)).square().mean(dim=1)
