from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.core.batch import Context
from whet.core.duration import Duration
from whet.core.errors import NoEffectError
from whet.core.language import Sentence, english
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.search import Search
from whet.core.stages import Changes, Fits, Guarded, Shortens
from whet.methods.transfer.freeze import Freeze
from whet.methods.transfer.logistic_regression import LogisticRegression
from whet.models.net import Net

_FEW_EPOCHS, _ONE_PASS = 3, 1
_FROZEN_SHARE = 0.7


class Finetune(
    Method,
    Changes,
    Shortens,
    family="transfer",
    tasks={"image-classification", "semantic-segmentation", "text-classification", "audio-classification"},
):
    """Train every weight of the pretrained network, except those that freeze fixes.

    Use when: there are at least some dozens of samples per class.
    Do not use when: samples are so few that only a linear probe generalizes.
    Source: Yosinski et al. 2014, arXiv:1411.1792.
    """

    identity = {"batch_norm": "update"}
    conflicts = frozenset({"linear_probe", "lora", "adapter", "bitfit"})

    batch_norm: Annotated[
        Literal["update", "keep"],
        Field(
            description="update the BatchNorm statistics on the new samples, or keep the pretrained ones (for small batches)"
        ),
        Search(choices=("update", "keep")),
    ] = "update"

    few_epochs: Annotated[
        Literal["keep", "turn"],
        Field(
            description="if a budget in minutes allows fewer than three epochs: turn freezes more of the network, so that more "
            "epochs fit; below one epoch it fits a logistic regression to the frozen features instead"
        ),
    ] = "keep"

    def steady(self) -> Finetune:
        return self.replace(few_epochs="keep")

    def shortened(self, recipe: Recipe, epochs: float) -> tuple[Recipe, Sentence] | None:
        if self.few_epochs == "keep" or epochs >= _FEW_EPOCHS or recipe.model.weights == "none":
            return None
        if epochs < _ONE_PASS:
            kept = tuple(method for method in recipe.methods if isinstance(method, Fits | Guarded))
            other = recipe.replace(methods=(LogisticRegression(), *kept)).setting(budget=Duration(1, "ep"))
            return other, english("logistic regression on the frozen features replaces fine-tuning")
        share = recipe.method("freeze").settings_dict()["share"] if "freeze" in recipe else 0.0
        if share >= _FROZEN_SHARE:
            return None
        other = recipe.with_methods(Freeze(share=_FROZEN_SHARE))
        return (
            other,
            english(
                "freeze.share = {frozen:g} instead of {share:g}: fewer weights are trained for more epochs",
                frozen=_FROZEN_SHARE,
                share=share,
            ),
        )

    def change(self, net: Net, context: Context) -> Net:
        if self.batch_norm == "keep" and not net.keep_statistics():
            raise NoEffectError("batch_norm: keep, but the model has no BatchNorm layer")
        return net
