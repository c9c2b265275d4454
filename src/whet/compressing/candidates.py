"""The models that are tried in place of that of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from whet.core.errors import RecipeError
from whet.core.language import Sentence, english
from whet.core.recipe import Recipe
from whet.core.registry import registry
from whet.core.spec import ModelSpec

VIEWS = ("tta",)  # methods that predict a sample several times
ENERGIES = (0.95,)
SHARES = (0.3, 0.5, 0.7)
# Methods that keep layers as they are, fit the head anew, or train several networks: none suits a network that is made smaller.
_LEFT_OUT = (
    "freeze",
    "gradual_unfreeze",
    "linear_probe",
    "linear_probe_then_finetune",
    "deep_ensemble",
    "snapshot",
    "from_run",
)


@dataclass(frozen=True)
class Altered:
    """The run's own network, changed without training. compressing: entries of methods of the stage AFTER."""

    name: str
    words: Sentence
    compressing: tuple[Any, ...] = ()
    leave_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """A smaller network that learns from the run. leave_out: methods of prediction it is measured without."""

    name: str
    words: Sentence
    recipe: Recipe
    leave_out: tuple[str, ...] = ()


def altered(recipe: Recipe) -> Iterator[Altered]:
    """The run's network: as it is, with one view of each sample, with thinner layers."""
    yield Altered("run", english("the run"))
    views = tuple(name for name in VIEWS if name in recipe)
    if views:
        yield Altered("one-view", english("one view of each sample"), leave_out=views)
    for energy in ENERGIES:
        words = english("low rank, {energy:g} of the energy", energy=energy)
        yield Altered(f"low-rank-{energy:g}", words, ({"low_rank": {"energy": energy}},), views)


def trained(
    recipe: Recipe, run: str, shares: Sequence[float], students: Sequence[str], budget: str | None
) -> Iterator[Trained]:
    """Networks with fewer channels, and other networks, each taught by the run."""
    views = tuple(name for name in VIEWS if name in recipe)
    distill = registry().get("distill")(teacher=run)  # type: ignore[call-arg]
    base = recipe.without(*(name for name in _LEFT_OUT if name in recipe))
    base = base.setting(budget=budget) if budget is not None else base
    base = base.with_methods(distill)
    for share in shares:
        pruned = registry().get("prune_structured")(run=run, share=share)  # type: ignore[call-arg]
        words = english("{share:.0f} % of the channels removed", share=100 * share)
        yield Trained(f"pruned-{100 * share:.0f}", words, base.with_methods(pruned), views)
    for text in students:
        architecture, size = _student(text)
        student = base.replace(model=ModelSpec(architecture=architecture))
        if size is not None:
            student = student.setting(image_size=size, eval_size="auto")
        name = architecture.rstrip("/").rsplit("/", 1)[-1]
        words = english("{name} taught by the run", name=name if size is None else f"{name} at {size} px")
        yield Trained(f"student-{name}" + (f"-{size}" if size else ""), words, student, views)


def _student(text: str) -> tuple[str, int | None]:
    """`ARCHITECTURE` or `ARCHITECTURE@PIXELS`."""
    architecture, sign, size = text.rpartition("@")
    if not sign:
        return text, None
    if not architecture or not size.isdecimal():
        raise RecipeError(
            f"student '{text}'; accepted: an architecture, a folder or a hub name, with @PIXELS for its images"
        )
    return architecture, int(size)
