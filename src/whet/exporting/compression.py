"""Smaller models for a bundle: each is tried on validation samples, and its cost is measured on the test samples once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from whet.bundle import Bundle
from whet.core.errors import NoEffectError, RecipeError
from whet.core.evidence import Evidence
from whet.core.language import Sentence, english
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.stages import Changes, Compresses, Quantizes
from whet.core.task import allowed
from whet.exporting.samples import Samples
from whet.exporting.source import Source
from whet.exporting.trial import (
    NAMELESS,
    ROUNDS,
    Candidate,
    Measured,
    Trial,
    best,
    cost_of,
    milliseconds,
    opened,
    predicts,
)  # fmt: skip

INT8_TOLERANCE = 0.05  # of scores that another processor computes again in int8, times 1 + the largest score


@dataclass(frozen=True)
class Quantized:
    """entry: for bundle.json. candidate: the graph to hand over, None where it was undone; then `undone` in the entry says why.
    evidence, metrics: of the candidate."""

    entry: dict[str, Any]
    candidate: Candidate | None = None
    evidence: Evidence | None = None
    metrics: dict[str, Any] | None = None


def methods_of(recipe: Recipe, given: Sequence[Method]) -> tuple[list[Any], list[Any]]:
    """(methods that change the trained networks, methods that quantize the exported graph) of an export: those given, or what the
    recipe says. RecipeError for a method that does not act after training."""
    for method in given:
        if not isinstance(method, Compresses | Quantizes):
            raise RecipeError(f"method '{method.name}' does not act after training, so an export cannot use it")
        if not allowed(recipe.task, method):
            raise RecipeError(f"method '{method.name}' is for {', '.join(sorted(method.tasks))}, not for {recipe.task}")
        if _trains(method) and method.name not in recipe:
            raise RecipeError(f"method '{method.name}' acts in training, and this run was trained without it")
    for method in given:
        if clash := sorted(method.conflicts & {other.name for other in given}):
            raise RecipeError(f"methods '{method.name}' and '{clash[0]}' cannot be combined in one export; keep one")
    changing = [method for method in given if isinstance(method, Compresses)]
    return changing, [method for method in given or recipe.methods if isinstance(method, Quantizes)]


def _trains(method: Method) -> bool:
    """Whether a method quantizes a graph by what it did in training."""
    return isinstance(method, Quantizes) and isinstance(method, Changes)


def quantizer_of(recipe: Recipe) -> str:
    """The name of the method that quantizes a run best: the one it was trained with, dynamic for texts, static for convolutions."""
    if trained := [method.name for method in recipe.methods if _trains(method)]:
        return trained[0]
    return "quantize_dynamic" if recipe.medium == "text" else "quantize_static"


def changed(source: Source, methods: Sequence[Any], tolerance: float) -> tuple[Source, list[dict[str, Any]]]:
    """(the run after these methods, or as it was where they cost more than the tolerance on validation samples; the entries of
    bundle.json)."""
    entry: dict[str, Any] = {
        "method": {method.name: method.settings_dict() for method in methods},
        "tolerance": tolerance,
    }
    try:
        smaller = source.altered(methods)
    except NoEffectError as error:
        return source, [entry | {"undone": str(error)}]
    val, reference, after = source.part("val"), source.reference, smaller.reference
    metric = reference.saved.task.metric(reference.saved.task.headline)
    cost, low, high = cost_of(metric, reference.evidence(val), after.evidence(val))
    sizes = [sum(one.numel() for one in model.saved.predictor.parameters()) for model in (reference, after)]
    entry |= {
        "tried": [{"cost": cost, "low": low, "high": high}],
        "parameters": {"before": sizes[0], "after": sizes[1]},
    }
    if sizes[1] >= sizes[0]:
        return source, [entry | {"undone": english("nothing became smaller")}]
    if cost > tolerance:
        return source, [entry | {"undone": _over(cost, tolerance, english("smaller networks"))}]
    return smaller, [entry]


def quantized(method: Any, bundle: Bundle, before: Evidence, *, source: Source, tolerance: float) -> Quantized:
    """Quantize the graph of a bundle. before: what the bundle predicts for the samples that judge. tolerance: the most that the
    headline metric may become worse, in its unit: on the validation samples the mean may not, on those that judge not with
    certainty."""
    trial = Trial(bundle, source.reference, source.part("val"), source.part("train"), tolerance)
    tried = trial.timed(method.quantize(trial))
    chosen = best(tried, tolerance)
    entry: dict[str, Any] = {
        "method": {method.name: method.settings_dict()},
        "tolerance": tolerance,
        "tried": [one.plain() for one in tried],
    }
    if chosen is None:
        return Quantized(entry | {"undone": str(_reason(tried, trial))})
    return judged(chosen.candidate, entry, bundle, before, source=source, tolerance=tolerance)


def judged(
    candidate: Candidate, entry: dict[str, Any], bundle: Bundle, before: Evidence, *, source: Source, tolerance: float
) -> Quantized:
    """What a graph costs against that of the bundle, on the samples that judge. before: what that of the bundle predicts for them.
    entry: what bundle.json says already."""
    part, reference, task = source.part(source.judging), source.reference, source.reference.saved.task
    metric, test, model = task.metric(task.headline), Samples(bundle, part), (bundle.path / "model.onnx").read_bytes()
    sessions = [opened(one, bundle) for one in (Candidate(NAMELESS, model), candidate)]
    [after] = test.evidence(reference, predicts(sessions[1], bundle))
    cost, low, high = cost_of(metric, before, after)
    first, last = milliseconds(sessions, [test.inputs(ROUNDS)] * 2)
    entry |= {
        "words": str(candidate.words),
        "metric": task.headline,
        "split": part.split,
        "samples": len(after),
        "value": {"before": metric.value(before), "after": metric.value(after)},
        "cost": {"mean": cost, "low": low, "high": high},
        "milliseconds": {"before": first, "after": last},
        "bytes": {"before": len(model), "after": len(candidate.model)},
    }
    if low > tolerance:
        reason = english(
            "on the {split} samples it costs {cost} points, {low} to {high}", split=part.split, cost=_points(cost),
            low=_points(low), high=_points(high),
        )  # fmt: skip
        return Quantized(entry | {"undone": str(reason)})
    return Quantized(entry, candidate, after, task.measure(after))


def _reason(tried: Sequence[Measured], trial: Trial) -> str:
    if not tried:
        return english("the network has no layers that could be quantized")
    least = min(tried, key=lambda one: one.cost)
    return _over(least.cost, trial.tolerance, least.candidate.words)


def _over(cost: float, tolerance: float, words: Sentence) -> str:
    return english(
        "on the validation samples it costs at least {cost} points ({words!t}), more than {tolerance}",
        cost=_points(cost), words=words, tolerance=_points(tolerance),
    )  # fmt: skip


def _points(value: float) -> str:
    return f"{100 * value:.1f}"
