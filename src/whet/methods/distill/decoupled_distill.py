from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Watches, WrapsLoss
from whet.methods.distill.teacher import Taught, Teacher, TeacherRun, TeacherSize
from whet.models.net import Net


class DecoupledDistill(
    Taught,
    Method,
    WrapsLoss,
    Watches,
    family="distill",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Distill separately the teacher's confidence in the target class and its probabilities among the other classes.

    Use when: distill helps, and the teacher is so confident that its predictions contain little information about the other
    classes.
    Do not use when: there are only two classes, which leaves no other classes to compare; or time is short, because every sample
    also passes through the teacher.
    Source: Zhao et al. 2022, arXiv:2203.08679.
    Deviates: without the warm-up of the second part. For a mixed image, each of its classes is a target class with the weight of
    its proportion, which keeps the loss linear in the targets.
    Shapes: loss (B,) + T^2 (target * KL(target class or not) + others * KL(among the others)) (B,), at temperature T.
    """

    one_class = True
    identity = {"teacher": ""}
    order = 70
    conflicts = frozenset({"distill"})

    teacher: TeacherRun = ""
    teacher_size: TeacherSize = None
    temperature: Annotated[
        float,
        Field(gt=0, description="the logits of student and teacher are divided by it"),
        Search(1.0, 20.0, log=True),
    ] = 4.0
    target: Annotated[
        float, Field(ge=0, description="weight of the target class against the others"), Search(0.0, 2.0)
    ] = 1.0
    others: Annotated[
        float, Field(ge=0, description="weight of the comparison among the others"), Search(0.5, 16.0, log=True)
    ] = 8.0

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        teacher = Teacher(self.name, self.teacher, net, self.teacher_size).for_classes(context.classes)

        def distilled(outcome: Outcome) -> Tensor:
            probs_BK = outcome.batch.targets.probs_BK
            # One row for each class with a non-zero target of each sample: one per sample, unless images are mixed.
            row_P, class_P = probs_BK.nonzero(as_tuple=True)
            student_PK, teacher_PK = outcome.logits_BK[row_P], teacher.logits(outcome.batch)[row_P]
            target_P, others_P = decoupled(student_PK / self.temperature, teacher_PK / self.temperature, class_P)
            divergence_P = (
                probs_BK[row_P, class_P] * self.temperature**2 * (self.target * target_P + self.others * others_P)
            )
            return loss(outcome) + torch.zeros_like(outcome.logits_BK).index_put((row_P, class_P), divergence_P).sum(
                dim=1
            )

        return distilled


def decoupled(student_PK: Tensor, teacher_PK: Tensor, class_P: Tensor) -> tuple[Tensor, Tensor]:
    """KL(teacher || student) of this class against all others, and of the others among themselves, (P,) each. With p the
    teacher's probability of the class, the first plus (1 - p) times the second is the KL of the full predictions."""
    target_s, not_s, others_s = _parts(student_PK, class_P)
    target_t, not_t, others_t = _parts(teacher_PK, class_P)
    binary_P = target_t.exp() * (target_t - target_s) + not_t.exp() * (not_t - not_s)
    return binary_P, (others_t.exp() * (others_t - others_s)).sum(dim=1)


def _parts(logits_PK: Tensor, class_P: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log p of the class (P,), log(1 - p) (P,), and the log-probabilities of the others among themselves (P, K - 1)."""
    P, K = logits_PK.shape
    other_PK = torch.arange(K, device=class_P.device) != class_P[:, None]
    others_PL = logits_PK[other_PK].view(P, K - 1)
    total_P = logits_PK.logsumexp(dim=1)
    target_P = logits_PK.gather(1, class_P[:, None])[:, 0] - total_P
    return target_P, others_PL.logsumexp(dim=1) - total_P, F.log_softmax(others_PL, dim=1)
