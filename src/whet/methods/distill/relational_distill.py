from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Watches, WrapsLoss
from whet.methods.distill.teacher import Taught, Teacher, TeacherRun, TeacherSize
from whet.models.net import Net


class RelationalDistill(
    Taught,
    Method,
    WrapsLoss,
    Watches,
    family="distill",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train the features of a batch to have the same pairwise distances and angles as those of a trained network.

    Use when: there is a stronger network, of any width and with any classes; together with distill.
    Do not use when: batches have only a few samples; or time is short, because every sample also passes through the teacher.
    Source: Park et al. 2019, arXiv:1904.05068 (RKD-DA).
    Shapes: loss (B,) + distance * mean over the pairs + angle * mean over the triples of each sample (B,), each the Huber loss
    between the relations of student and teacher. Distances are in units of their mean, angles are cosines.
    """

    identity = {"teacher": ""}
    order = 75

    teacher: TeacherRun = ""
    teacher_size: TeacherSize = None
    distance: Annotated[float, Field(ge=0, description="weight of the distances"), Search(1.0, 100.0, log=True)] = 25.0
    angle: Annotated[float, Field(ge=0, description="weight of the angles"), Search(1.0, 200.0, log=True)] = 50.0

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        teacher = Teacher(self.name, self.teacher, net, self.teacher_size)
        if net.backbone_frozen:
            raise NoEffectError("the backbone is frozen: its features cannot change")

        def related(outcome: Outcome) -> Tensor:
            assert outcome.features_BD is not None
            student_BD, teacher_BD = outcome.features_BD, teacher.features(outcome.batch)
            distance_B, angle_B = relational(student_BD, teacher_BD)
            return loss(outcome) + self.distance * distance_B + self.angle * angle_B

        return related


def relational(student_BD: Tensor, teacher_BD: Tensor) -> tuple[Tensor, Tensor]:
    """The differences between student and teacher in the distances from each sample and in the angles at it, (B,) each."""
    distance_BB = F.smooth_l1_loss(_distances(student_BD), _distances(teacher_BD), reduction="none")
    angle_BBB = F.smooth_l1_loss(_angles(student_BD), _angles(teacher_BD), reduction="none")
    return distance_BB.mean(dim=1), angle_BBB.mean(dim=(1, 2))


def _distances(features_BD: Tensor) -> Tensor:
    """Distances between samples, in units of their mean."""
    distance_BB = torch.cdist(features_BD, features_BD, compute_mode="donot_use_mm_for_euclid_dist")
    nonzero_BB = distance_BB > 0
    mean = distance_BB.sum() / nonzero_BB.sum().clamp(min=1)
    return distance_BB / torch.where(mean > 0, mean, 1.0)


def _angles(features_BD: Tensor) -> Tensor:
    """Cosines of the angles at each sample between the directions to any two others, (B, B, B)."""
    difference_BBD = features_BD[None] - features_BD[:, None]
    length_BB1 = difference_BBD.norm(dim=2, keepdim=True)
    direction_BBD = difference_BBD / torch.where(length_BB1 > 0, length_BB1, 1.0)
    return direction_BBD @ direction_BBD.transpose(1, 2)
