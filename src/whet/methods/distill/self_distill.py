from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PrivateAttr
from torch import Tensor

from whet.core.batch import Context, Loss, Outcome
from whet.core.errors import NoEffectError
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.search import Search
from whet.core.stages import Follows, Watches, WrapsLoss
from whet.methods.distill.distill import divergence
from whet.methods.distill.teacher import SameTeacher, Teacher
from whet.methods.ensemble.members import member_recipe
from whet.models.net import Net


class SelfDistill(
    Method,
    WrapsLoss,
    Follows,
    Watches,
    family="distill",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Train the recipe, then train it again from new weights with the first network as the teacher, once per generation.

    Use when: accuracy is worth several times the training time, inference must not become slower, and there is no better network
    to distill from.
    Do not use when: time is short, or there is a stronger teacher. Use distill in that case.
    Source: Furlanello et al. 2018, arXiv:1805.04770 (born-again networks, with the labels beside the teacher).
    Deviates: only the network of the last generation is kept, not the ensemble of all. Each generation has its own seed.
    Shapes: (1 - weight) * loss (B,) + weight * T^2 * KL(teacher || student) (B,), both at temperature T; label by label if
    samples may have several labels. The teacher receives the same view as the student, mixed or not. The generations share a
    budget in minutes equally. A budget in epochs or steps applies to each generation.
    """

    identity = {"generations": 0}
    order = 70
    conflicts = frozenset({"decoupled_distill", "distill"})

    generations: Annotated[
        int,
        Field(ge=0, le=5, description="number of networks trained before this one, each the teacher of the next"),
        Search(1, 3),
    ] = 1
    temperature: Annotated[
        float,
        Field(gt=0, description="the logits of student and teacher are divided by it"),
        Search(1.0, 8.0, log=True),
    ] = 1.0
    weight: Annotated[
        float, Field(ge=0, le=1, description="weight of the teacher; the labels have weight 1 - this"), Search(0.1, 1.0)
    ] = 0.5

    _teacher: str = PrivateAttr("")

    def predecessor(self, recipe: Recipe) -> Recipe | None:
        if self.generations == 0:
            return None
        before = member_recipe(recipe, self.name, 1, self.generations + 1, shares=self.generations)
        return before.with_methods(self.replace(generations=self.generations - 1)) if self.generations > 1 else before

    def following(self, run: str) -> Self:
        copied = self.model_copy()
        copied._teacher = run
        return copied

    def start(self, net: Net, context: Context) -> SameTeacher:
        return SameTeacher(self.name, self._teacher)

    def wrap_loss(self, loss: Loss, net: Net, context: Context) -> Loss:
        if self.generations == 0:
            return loss
        if not self._teacher:
            raise NoEffectError("no generation was trained before this network")
        teacher = Teacher(self.name, self._teacher, net).for_classes(context.classes)

        def distilled(outcome: Outcome) -> Tensor:
            task = outcome.batch.targets.task
            divergence_B = divergence(outcome.logits_BK, teacher.logits(outcome.batch), self.temperature, task)
            return (1 - self.weight) * loss(outcome) + self.weight * divergence_B

        return distilled
