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
    """Train the same recipe first, then again from a new start with that network as the teacher, as often as there are generations.

    Use when: accuracy is worth several times the training, prediction must cost no more than now, and there is no better network
    to learn from.
    Do not use when: time is short, or a stronger teacher is there: distill then learns more.
    Source: Furlanello et al. 2018, arXiv:1805.04770 (born-again networks, with the labels beside the teacher).
    Deviates: one network is kept, that of the last generation, not the ensemble of all. Each generation has its own seed.
    Shapes: (1 - weight) * loss (B,) + weight * T^2 * KL(teacher || student) (B,), both at temperature T; label by label where
    several may be true. The teacher sees the student's own view, mixed or not. A budget in minutes is shared evenly by the
    generations; one in epochs or steps is each generation's own.
    """

    identity = {"generations": 0}
    order = 70
    conflicts = frozenset({"decoupled_distill", "distill"})

    generations: Annotated[
        int,
        Field(ge=0, le=5, description="networks trained before this one, each the teacher of the next"),
        Search(1, 3),
    ] = 1
    temperature: Annotated[
        float, Field(gt=0, description="both logits are divided by it"), Search(1.0, 8.0, log=True)
    ] = 1.0
    weight: Annotated[
        float, Field(ge=0, le=1, description="share of the teacher; the labels have the rest"), Search(0.1, 1.0)
    ] = 0.5

    _teacher: str = PrivateAttr("")

    def predecessor(self, recipe: Recipe) -> Recipe | None:
        if self.generations == 0:
            return None
        before = member_recipe(recipe, self.name, 1, self.generations + 1, shares=self.generations)
        return before.with_methods(self.replace(generations=self.generations - 1)) if self.generations > 1 else before

    def following(self, run: str) -> Self:
        told = self.model_copy()
        told._teacher = run
        return told

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
            apart_B = divergence(outcome.logits_BK, teacher.logits(outcome.batch), self.temperature, task)
            return (1 - self.weight) * loss(outcome) + self.weight * apart_B

        return distilled
