"""`whet compress`: smaller and faster models than that of a run, the accuracy of each, and the best that reaches a target."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from whet.bundle import Bundle
from whet.compressing.candidates import Plan, plans
from whet.compressing.target import Target
from whet.core import strict_json
from whet.core.errors import NoEffectError, OutputError, RecipeError
from whet.core.evidence import Evidence
from whet.core.language import Sentence, english, in_its_language
from whet.core.output import claim, require_claimable, work_folder
from whet.core.recipe import parse_method
from whet.core.run_folder import write_csv
from whet.core.stages import Compresses, Quantizes
from whet.core.task import allowed
from whet.evaluate.evidence import joined, read_evidence
from whet.exporting.compression import judged, quantizer_of
from whet.exporting.export import write_bundle, write_draft
from whet.exporting.source import Source
from whet.exporting.trial import ROUNDS, Candidate, Measured, Trial, cost_of, milliseconds, opened
from whet.run import Run
from whet.studies.executor import PlannedRun, refuse_other
from whet.training.job import resume_or_train
from whet.training.log import Observer
from whet.training.notebook_progress import default_observer
from whet.training.signals import Interrupts

_INT8_COST = 0.01  # above it, sensitive layers stay in floating point
KIND, STORY, TABLE, RUNS, BUNDLE = "compress", "compress.json", "models.csv", "runs", "bundle"
_MEASURED = ("name", "value", "cost", "low", "high", "milliseconds", "bytes")


@dataclass(frozen=True)
class Model:
    """A model that was tried. value, cost (against the run, with the ends of its paired 95 % interval): the headline metric on the
    validation samples. milliseconds: of processor time for one sample on one thread. best: no other is both better and faster, or
    better and smaller."""

    name: str
    words: Sentence
    value: float
    cost: float
    low: float
    high: float
    milliseconds: float
    bytes: int
    candidate: Candidate = field(repr=False)
    source: Source = field(repr=False)
    plan: Plan = field(repr=False)
    quantizer: str = ""  # the method that made it, if it is in int8


@dataclass(frozen=True)
class Compression:
    """The result. rows: as in compress.json, one per model. chosen: the name of the best that reaches the target; None where none
    does or there is no target. bundle: its folder. test: what it costs on the test samples, against the run's record."""

    path: Path
    rows: list[dict[str, Any]]
    failed: dict[str, str]
    chosen: str | None
    bundle: Path | None
    test: dict[str, Any] | None
    report: Path
    metric: str


@in_its_language
def compress(
    run: str | Path | Run,
    out: str | Path,
    *,
    target: str | None = None,
    budget: str | None = None,
    shares: Sequence[float] | None = None,
    students: Sequence[str] = (),
    data: str | Path | None = None,
    observer: Observer | None = None,
    language: str | None = None,
) -> Compression:
    """Try smaller models in place of a finished run's: int8, low rank, fewer channels and other networks taught by the run, and
    combinations with int8. Each is measured on the validation samples: metric, time, size. The best that reaches the target is
    written as a bundle, and read once on the test samples.

    out: a new folder, or that of a stopped call, which goes on. target: latency=3ms (processor time for one sample, one thread) or
    size=2MB. budget: of each training; by default that of the run. shares: of the channels to remove, each trained; by default 0.3,
    0.5 and 0.7 where channels can be removed, () for none. students: architectures (see `train`), with @PIXELS for the
    size of their images. data: the new location of the run's data. Raises RecipeError, RunError, DataError and OutputError."""
    out, watch = Path(out), observer or default_observer()
    wanted = None if target is None else Target.parse(target)
    source = Source.open(run, data)
    recipe = source.recipe
    require_claimable(out, KIND, data=recipe.data.sources)
    if (out / STORY).exists():
        raise OutputError(f"{out} already holds a finished compression; choose another --out")
    todo = list(plans(recipe, str(source.folder.path.resolve()), shares, students, budget))
    for plan in todo:
        if plan.recipe is not None:
            refuse_other(PlannedRun(plan.recipe, out / RUNS / plan.name))
    claim(out, KIND, data=recipe.data.sources)
    search = _Search(source, out, watch)
    with Interrupts().caught():
        for number, plan in enumerate(todo, 1):
            watch.phase(
                english("model {number:d} of {total:d}: {words!t}", words=plan.words, number=number, total=len(todo))
            )
            search.attempt(plan)
        search.time_all()
    chosen = None if wanted is None else search.chosen(wanted)
    test = None
    if chosen is not None:
        watch.phase(english("writing the bundle of {name}", name=chosen.name))
        test = search.write(chosen, out / BUNDLE)
    return _write(search, wanted, chosen, test, out)


class _Search:
    """The models that were measured so far, in `models`; those that could not be made, with the reason, in `failed`."""

    def __init__(self, source: Source, out: Path, watch: Observer) -> None:
        self.source, self.out, self.watch = source, out, watch
        self.metric = source.reference.saved.task.metric(source.reference.saved.task.headline)
        self.models: list[Model] = []
        self.failed: dict[str, str] = {}
        self._before: Evidence | None = None
        self._timed: list[tuple[Any, list[np.ndarray]]] = []  # a session and some inputs of each model

    def attempt(self, plan: Plan) -> None:
        """Make and measure a model."""
        try:
            source = self._made(plan)
        except (NoEffectError, RecipeError) as error:
            if plan.required:
                raise
            self.failed[plan.name] = str(error)
            self.watch.note(english("{name} is left out: {why}", name=plan.name, why=error))
            return
        with _draft(source, self.out) as bundle:
            trial = Trial(bundle, source.reference, source.part("val"), source.part("train"), _INT8_COST)
            self._keep(plan.name, trial.measured(Candidate(plan.words, trial.model)), plan, source, trial)
            method = parse_method(quantizer_of(source.recipe))
            if not isinstance(method, Quantizes) or not allowed(source.recipe.task, method):
                return
            for number, found in enumerate(method.quantize(trial), 1):
                words = english("{words!t}, then {form!t}", words=plan.words, form=found.candidate.words)
                found = replace(found, candidate=replace(found.candidate, words=words))
                name = f"{plan.name}-int8" + (f"-{number}" if number > 1 else "")
                self._keep(name, found, plan, source, trial, method.name)

    def _made(self, plan: Plan) -> Source:
        if plan.recipe is not None:
            source = Source.open(resume_or_train(plan.recipe, self.out / RUNS / plan.name, self.watch).path)
        else:
            source = self.source
        methods = [method for method in plan.compressing if isinstance(method, Compresses)]
        return source.altered(methods, plan.leave_out) if methods or plan.leave_out else source

    def _keep(
        self, name: str, found: Measured, plan: Plan, source: Source, trial: Trial, quantizer: str = ""
    ) -> None:  # fmt: skip
        self._before = self._before or found.evidence
        cost, low, high = cost_of(self.metric, self.compared, found.evidence)
        self._timed.append((opened(found.candidate, trial.bundle), trial.val.inputs(ROUNDS)))
        self.models.append(
            Model(
                name, found.candidate.words, found.value, cost, low, high, 0.0, found.size, found.candidate, source, plan,
                quantizer,
            )
        )  # fmt: skip

    @property
    def compared(self) -> Evidence:
        """What the run predicts for the validation samples."""
        assert self._before is not None
        return self._before

    def time_all(self) -> None:
        """Time all models, in turn."""
        times = milliseconds([session for session, _ in self._timed], [inputs for _, inputs in self._timed])
        self.models = [replace(one, milliseconds=time) for one, time in zip(self.models, times)]
        self._timed.clear()

    def chosen(self, target: Target) -> Model | None:
        """The best on the validation samples of those that reach the target; of equals the fastest."""
        able = [one for one in self.models if target.reached(one.milliseconds, one.bytes)]
        return min(able, key=lambda one: (one.cost, one.milliseconds), default=None)

    def write(self, model: Model, place: Path) -> dict[str, Any]:
        """Write a model as a bundle. Returns what it costs on the samples that judge, against the record of the run."""
        source, plan, quantizers = model.source, model.plan, []
        if model.quantizer:
            entry = {"method": {model.quantizer: {}}, "tried": []}
            quantizers = [functools.partial(judged, model.candidate, entry, source=source, tolerance=float("inf"))]
        entries = []
        if plan.compressing or plan.leave_out or plan.recipe is not None:
            entries.append(
                {
                    "method": {method.name: method.settings_dict() for method in plan.compressing},
                    "words": str(plan.words),
                    "left_out": list(plan.leave_out),
                    "parameters": {"before": _parameters(self.source), "after": _parameters(source)},
                }
            )
        _, after = write_bundle(source, place, self.watch, quantizers, entries, tolerance=float("inf"))
        before = read_evidence(self.source.folder, source.judging)
        cost, low, high = cost_of(self.metric, *joined([before, after], [self.source.folder.name, model.name]).evidence)
        return {
            "split": source.judging,
            "samples": len(after),
            "before": self.metric.value(before),
            "after": self.metric.value(after),
            "cost": cost,
            "low": low,
            "high": high,
        }


@contextmanager
def _draft(source: Source, out: Path) -> Iterator[Bundle]:
    """A bundle that exists only within the block."""
    with work_folder(out / "draft") as work:
        claim(work, "bundle")
        write_draft(work, source)
        yield Bundle.read(work)


def _parameters(source: Source) -> int:
    return sum(one.numel() for one in source.reference.saved.predictor.parameters())


def _rows(models: Sequence[Model], target: Target | None) -> list[dict[str, Any]]:
    """One row per model, the fastest first."""
    rows = []
    for one in sorted(models, key=lambda one: one.milliseconds):
        row = {key: getattr(one, key) for key in _MEASURED} | {"words": str(one.words)}
        row["best"] = not any(_dominates(other, one) for other in models)
        row["reached"] = None if target is None else target.reached(one.milliseconds, one.bytes)
        rows.append(row)
    return rows


def _dominates(one: Model, other: Model) -> bool:
    """Whether a model is nowhere behind another, and somewhere ahead."""
    pairs = [(one.cost, other.cost), (one.milliseconds, other.milliseconds), (one.bytes, other.bytes)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _write(
    search: _Search, target: Target | None, chosen: Model | None, test: dict[str, Any] | None, out: Path
) -> Compression:
    from whet.report import build_compression

    rows = _rows(search.models, target)
    write_csv(out / TABLE, list(rows[0]), [[str(value) for value in row.values()] for row in rows])
    story = {
        "name": search.source.folder.name,
        "metric": search.metric.title,
        "is_share": search.metric.is_share,
        "samples": len(search.compared),
        "target": None if target is None else {"text": target.text, "what": target.what, "limit": target.limit},
        "models": rows,
        "failed": search.failed,
        "chosen": None if chosen is None else chosen.name,
        "bundle": None if chosen is None else BUNDLE,
        "test": test,
    }
    strict_json.write(out / STORY, story)
    bundle = None if chosen is None else out / BUNDLE
    name = None if chosen is None else chosen.name
    return Compression(out, rows, search.failed, name, bundle, test, build_compression(out), search.metric.title)
