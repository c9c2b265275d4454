from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Watches, WrapsLoss
from whet.core.task import ClassTask
from whet.methods.distill.teacher import Taught, Teacher, TeacherRun, TeacherSize
from whet.models.net import Net


class Distill(
    Taught,
    Method,
    WrapsLoss,
    Watches,
    family="distill",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train on the softened predictions of a trained network in addition to the labels.

    Use when: a larger or better network has been trained on the same classes; or the teacher is an earlier run of this recipe,
    because such a born-again network often outperforms its teacher (Furlanello et al. 2018, arXiv:1805.04770).
    Do not use when: the teacher is no better than the student and of another kind; or time is short, because every sample also
    passes through the teacher.
    Source: Hinton et al. 2015, arXiv:1503.02531; temperature and weight as in Tian et al. 2020, arXiv:1910.10699.
    Shapes: (1 - weight) * loss (B,) + weight * T^2 * KL(teacher || student) (B,), both at temperature T; label by label if
    samples may have several labels. The teacher receives the same view as the student, mixed or not.
    """

    identity = {"teacher": ""}
    order = 70
    conflicts = frozenset({"decoupled_distill"})

    teacher: TeacherRun = ""
    teacher_size: TeacherSize = None
    temperature: Annotated[
        float,
        Field(gt=0, description="the logits of student and teacher are divided by it"),
        Search(1.0, 20.0, log=True),
    ] = 4.0
    weight: Annotated[
        float, Field(ge=0, le=1, description="weight of the teacher; the labels have weight 1 - this"), Search(0.1, 1.0)
    ] = 0.9

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        teacher = Teacher(self.name, self.teacher, net, self.teacher_size).for_classes(context.classes)

        def distilled(outcome: Outcome) -> Tensor:
            teacher_BK = teacher.logits(outcome.batch)
            task = outcome.batch.targets.task
            divergence_B = divergence(outcome.logits_BK, teacher_BK, self.temperature, task)
            return (1 - self.weight) * loss(outcome) + self.weight * divergence_B

        return distilled


def divergence(student_BK: Tensor, teacher_BK: Tensor, temperature: float, task: ClassTask) -> Tensor:
    """T^2 KL(teacher || student) of the predictions at temperature T, (B,). The factor T^2 keeps the size of the gradient."""
    log_s, log_t = task.log_probs(student_BK / temperature), task.log_probs(teacher_BK / temperature)
    return temperature**2 * (log_t.exp() * (log_t - log_s)).flatten(1).sum(dim=1)


def kl(student_BK: Tensor, teacher_BK: Tensor) -> Tensor:
    """KL(teacher || student) of the softmax of these logits, (B,)."""
    log_t_BK = F.log_softmax(teacher_BK, dim=1)
    return (log_t_BK.exp() * (log_t_BK - F.log_softmax(student_BK, dim=1))).sum(dim=1)
