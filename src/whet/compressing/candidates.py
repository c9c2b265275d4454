"""The models that are tried in place of that of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whet.core.errors import RecipeError
from whet.core.language import Sentence, english
from whet.core.method import Method
from whet.core.recipe import Recipe, parse_method
from whet.core.registry import registry
from whet.core.spec import ModelSpec
from whet.core.task import allowed, problems
from whet.models.build import check_architecture

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
class Plan:
    """A model to make and measure. leave_out: methods of prediction it is measured without. compressing: methods of the stage AFTER
    that are applied to its networks. recipe: of the run that trains it; None for the run's own network. required: whether it is an
    error where it cannot be made."""

    name: str
    words: Sentence
    leave_out: tuple[str, ...] = ()
    compressing: tuple[Method, ...] = ()
    recipe: Recipe | None = None
    required: bool = False


def plans(
    recipe: Recipe, run: str, shares: Sequence[float] | None, students: Sequence[str], budget: str | None
) -> Iterator[Plan]:
    """All models to try. shares: None for the usual ones, where channels can be removed. RecipeError for what does not apply to the
    task of the run."""
    views = tuple(name for name in VIEWS if name in recipe)
    yield Plan("run", english("the run"), required=True)
    if views:
        yield Plan("one-view", english("one view of each sample"), views)
    if _applies("low_rank", recipe):
        for energy in ENERGIES:
            thinner = parse_method({"low_rank": {"energy": energy}})
            words = english("low rank, {energy:g} of the energy", energy=energy)
            yield Plan(f"low-rank-{energy:g}", words, views, (thinner,))
    base = recipe.without(*(name for name in _LEFT_OUT if name in recipe))
    base = base.setting(budget=budget) if budget is not None else base
    if budget is not None and _applies("quantize_aware", recipe) and _applies("from_run", recipe):
        further = parse_method({"from_run": {"run": run}}), parse_method({"quantize_aware": {"share": 1}})
        words = english("the run, trained further with the rounding of int8")
        yield Plan("rounded", words, views, recipe=base.with_methods(*further))
    if taught := _applies("distill", recipe):
        base = base.with_methods(parse_method({"distill": {"teacher": run}}))
    if shares is None:
        shares = SHARES if _applies("prune_structured", recipe) else ()
    for share in shares:
        pruned = base.with_methods(parse_method({"prune_structured": {"run": run, "share": share}}))
        words = english("{share:.0f} % of the channels removed", share=100 * share)
        yield Plan(f"pruned-{100 * share:.0f}", words, views, recipe=pruned)
    for text in students:
        yield _student(text, base, views, taught=taught)


def _applies(name: str, recipe: Recipe) -> bool:
    return allowed(recipe.task, registry().get(name)())


def _student(text: str, base: Recipe, views: tuple[str, ...], *, taught: bool) -> Plan:
    """text: `ARCHITECTURE` or `ARCHITECTURE@PIXELS`."""
    architecture, size = _parts(text)
    check_architecture(architecture, problems()[base.task])
    recipe = base.replace(model=ModelSpec(architecture=architecture))
    if size is not None:
        recipe = recipe.setting(image_size=size, eval_size="auto")
    name = architecture.rstrip("/").rsplit("/", 1)[-1]
    shown = name if size is None else f"{name} at {size} px"
    words = english("{name} taught by the run", name=shown) if taught else english("{name} in its place", name=shown)
    return Plan(f"student-{name}" + (f"-{size}" if size else ""), words, views, recipe=recipe, required=True)


def _parts(text: str) -> tuple[str, int | None]:
    architecture, sign, size = text.rpartition("@")
    if not sign:
        return text, None
    if not architecture or not size.isdecimal():
        raise RecipeError(
            f"student '{text}'; accepted: an architecture, a folder or a hub name, with @PIXELS for its images"
        )
    return architecture, int(size)
