"""The session of one process on a run: shared state, and the phases after the recipe is resolved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import numpy as np
import pandas as pd
from lightning_fabric import Fabric
from torch import Tensor

from whet.core import strict_json
from whet.core.batch import Context, Features, FinalizeContext, Measured, Progress, Settings
from whet.core.errors import DataError, NoEffectError, RecipeError
from whet.core.language import Sentence, english
from whet.core.media import plural
from whet.core.output import remove
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder, write_whole
from whet.core.stages import LabelsSamples, MakesMasks, RangeTest
from whet.core.task import ClassTask, refuse_foreign
from whet.data.label_free import reader_for
from whet.data.table import UNLABELLED, Table
from whet.data.unlabelled import refuse_many_without_label
from whet.evaluate.inference import Keep, as_it_is, concatenated, infer_batches, using_weights
from whet.explain import Explanation, explain
from whet.models.build import build_net
from whet.models.net import Net
from whet.models.on_outputs import behind
from whet.tracking import Trackers, summary_of
from whet.training import finish, resolve
from whet.training.accepted import accepted_metrics, nothing_accepted
from whet.training.budget import Clock
from whet.training.checkpoint import CheckpointWriter
from whet.training.cost import cost_of
from whet.training.crossfit import halves_of
from whet.training.data_record import seen_note
from whet.training.examples import write_examples
from whet.training.feature_map import FeatureWatch, watched, write_feature_map
from whet.training.features import FrozenFeatures, head_of, training_features
from whet.training.groupings import measure_groupings
from whet.training.guard import hand_over, judged
from whet.training.held_out import measured
from whet.training.kept_outputs import Batches
from whet.training.log import Observer, RunLog
from whet.training.loop import State, Training, Validate, fit, restored
from whet.training.made_masks import made_metrics, make_masks
from whet.training.pace import Pace
from whet.training.plan import Plan, select_rows
from whet.training.pseudo_labels import add_pseudo_labels, pseudo_metrics
from whet.training.signals import Interrupted, Interrupts
from whet.training.source import (
    Failures,
    FeatureSource,
    RenderedSource,
    Source,
    batch_shape,
    can_cache_features,
    choose_cache,
    eval_loader,
    training_loader,
)
from whet.training.trial_steps import TrialSteps
from whet.training.unread import Unread, steps_between_reads
from whet.training.worst_images import write_worst_images

_MAX_INITIAL_VALIDATION = 2000  # validation samples

Report = Callable[[RunFolder], object]
"""Writes the report of a run after its metrics."""


@dataclass(frozen=True)
class Prepared:
    """A run before anything is written: its data, network and partly resolved recipe."""

    recipe: Recipe
    table: Table
    net: Net
    size: int


@dataclass(frozen=True)
class Ready:
    """A run that is ready to train, with everything resolved. range_tests: the results of trial steps."""

    plan: Plan
    fabric: Fabric
    range_tests: list[RangeTest]
    state: State
    pace: Pace | None


@dataclass
class Session:
    """The shared state of a process on a run. before: the seconds of earlier processes on the same run."""

    folder: RunFolder
    observer: Observer
    clock: Clock
    started: float | None
    report: Report | None
    before: float = 0.0
    interrupts: Interrupts = field(default_factory=Interrupts)
    notes: list[Sentence] = field(default_factory=list)
    noted: int = 0  # the number of notes already in the log
    failures: Failures = field(default_factory=lambda: Failures(1))
    joined: dict[str, list[RunFolder]] = field(default_factory=dict)  # runs that are combined with this one, by method
    frozen: FrozenFeatures = field(default_factory=FrozenFeatures)
    trackers: Trackers = field(default_factory=Trackers)
    watch: FeatureWatch | None = None  # of the inferences that are under way

    def __post_init__(self) -> None:
        self._from = self.clock() if self.started is None else self.started

    def spent(self) -> float:
        """Seconds since the start of the run."""
        return self.before + self.clock() - self._from

    def note(self, text: Sentence) -> None:
        self.notes.append(text)
        self.observer.note(text)

    def tracker_failed(self, name: str, why: str) -> None:
        self.note(english("the tracker {name} failed and was switched off: {why}", name=name, why=why))

    def failed(self, id_: str, reason: str) -> None:
        if self.failures.add(id_, reason):
            self.note(english("excluded, because it cannot be read: {id}: {reason}", id=id_, reason=reason))

    def trial_steps(self, recipe: Recipe, table: Table, plan: Plan, fabric: Fabric) -> list[RangeTest]:
        """Run the methods that need trial steps before training."""

        def trial(factors: Iterable[float]) -> Iterator[tuple[float, float]]:
            self.observer.phase(english("searching for a learning rate"))
            first = plan.settings(Progress(0, 1, 1), recipe.size).size
            return TrialSteps(recipe, plan.net, plan.context, fabric, table.part("train")).try_rates(factors, first)

        found = list(plan.trial_steps(trial))
        for test in found:
            self.note(english("{method}: the learning rate is {rate:.3g}", method=test.schedule.name, rate=test.chosen))
        return found

    def prepare(self, recipe: Recipe, *, strict: bool) -> Prepared:
        recipe = resolve.resolve_threads(recipe)
        table = self.read(recipe, strict=strict)
        recipe = recipe.replace(data=recipe.data.replace(**table.columns))  # also used by evaluate and predict
        size = resolve.usual_size(recipe, table)
        recipe = resolve.resolve_model(recipe, size, len(table.part("train")), table.task)
        table = replace(table, chosen_task=table.task.with_head(recipe.model.head))
        refuse_foreign(recipe.methods, recipe.task, table.task)
        with Rng(recipe.train.seed).torch_scope("init"):
            texts, rate = table.part("train").frame.get("text", ()), resolve.usual_rate(recipe, table)
            net, notes = build_net(recipe.model, table.classes, recipe.medium, texts, rate, table.task.name)
        for line in (*table.notes, *notes, seen_note(recipe.model.weights, table)):
            if line:
                self.note(line)
        for method in recipe.methods:
            method.require(net)
        return Prepared(recipe, table, net, size)

    def read(self, recipe: Recipe, *, strict: bool = False) -> Table:
        self.observer.phase(english("reading {data}", data=recipe.data.path))
        table = reader_for(recipe.task)(recipe.data, int(recipe.train.loader_threads))
        if table.medium != recipe.medium:
            raise RecipeError(
                f"data {recipe.data.path} contains {plural(table.medium)}, but the recipe's task is {recipe.task}; "
                f"use a recipe for {plural(table.medium)}"
            )
        if not recipe.data.evaluate_test:
            table = table.with_frame(table.frame[table.frame["split"] != "test"])
        table = table.for_problem(recipe.task, recipe.model.head)
        refuse_foreign(recipe.methods, recipe.task, table.task)
        if "masks" in table.frame and recipe.train.fit == "crop":
            raise RecipeError(
                "train.fit = crop: the masks of whole images are predicted; accepted for segmentation: squash"
            )
        chosen, notes = select_rows(recipe.methods, table.part("train").frame, strict=strict)
        table = table.with_frame(pd.concat([chosen, table.frame[table.frame["split"] != "train"]]), *notes)
        for split in ("val", "test"):
            table.part(split).judged_by_masks()
        for split in ("train", "val"):
            if not len(table.part(split)):
                first = "".join(f"; first excluded sample: {one.id}: {one.reason}" for one in table.skipped[:1])
                raise DataError(f"data {recipe.data.path}: no {split} samples are left{first}")
        refuse_many_without_label(recipe.data.path, table)
        self.failures.total = len(table) + len(table.part(UNLABELLED)) + len(table.skipped)
        for entry in table.skipped:
            self.failed(entry.id, entry.reason)
        return table

    def made_masks(self, recipe: Recipe, table: Table, net: Net) -> Table:
        """The samples with masks in place of weaker annotations."""
        if any(isinstance(method, MakesMasks) for method in recipe.methods):
            self.observer.phase(english("making masks of the training images"))
        table, notes = make_masks(self.folder, recipe, table, net.on(resolve.make_fabric(recipe).device))
        for line in notes:
            self.note(line)
        return table

    def pseudo_labelled(self, recipe: Recipe, table: Table) -> Table:
        """The samples with unlabelled ones that a method labels."""
        if any(isinstance(method, LabelsSamples) for method in recipe.methods):
            self.observer.phase(english("labelling {n:,} samples", n=len(table.part(UNLABELLED))))
        table, notes = add_pseudo_labels(self.folder, recipe, table)
        for line in notes:
            self.note(line)
        return table

    def plan(self, recipe: Recipe, table: Table, net: Net, *, strict: bool) -> tuple[Plan, Fabric]:
        fabric = resolve.make_fabric(recipe)
        net = net.on(fabric.device)
        train = table.part("train")

        def features(backbone: Any = None, training: bool = False) -> Features:
            if plan.net.by_pixel:
                raise NoEffectError(
                    f"a head for {table.task.name} predicts from feature maps, not from one vector per image"
                )
            self.observer.phase(english("computing features of {n:,} samples", n=len(train)))
            predict = partial(self.predict, plan, fabric)
            return training_features(plan, train, predict, backbone or plan.net.backbone, training=training)

        def texts() -> list[str]:
            self.observer.phase(english("training on {n:,} texts", n=len(train)))
            return list(train.frame.get("text", ()))

        def unlabelled_features() -> Tensor:
            more = table.part(UNLABELLED)
            self.observer.phase(english("computing features of {n:,} samples", n=len(more)))
            return self.predict(plan, fabric, more, plan.net.backbone)[0]

        context = Context(
            cast(ClassTask, table.task), table.classes, train.counts_K, features, texts,
            unlabelled=len(table.part(UNLABELLED)),
            pixel_counts=(lambda: train.pixel_counts_K) if "masks" in train.frame else None,
            unlabelled_features=unlabelled_features,
        )  # fmt: skip
        plan = Plan(recipe, net, context, strict=strict)
        self.note_plan(plan)
        return plan, fabric

    def ready(self, recipe: Recipe, table: Table, net: Net, *, strict: bool) -> Ready:
        """Prepare the network with the changes of the methods and its starting weights, and convert the budget to steps."""
        plan, fabric = self.plan(recipe, table, net, strict=strict)
        plan.initialise()
        range_tests = self.trial_steps(recipe, table, plan, fabric)
        self.note_plan(plan)
        self.observer.phase(english("timing a few steps") if recipe.train.budget.is_time else english("starting"))
        plan.recipe, state, pace = resolve.resolve_budget(plan.recipe, table, plan, fabric, self.spent, self.clock)
        return Ready(plan, fabric, range_tests, state, pace)

    def note_plan(self, plan: Plan) -> None:
        """Note the methods without effect, other changes of the recipe, and properties of the network."""
        for line in (*plan.notes, *plan.ineffective, *plan.net.notes):
            if line not in self.notes:
                self.note(line)

    def predict(
        self, plan: Plan, fabric: Fabric, table: Table, predictor: Any, batch_size: int | None = None
    ) -> tuple[Tensor, np.ndarray]:
        """(outputs of the predictor, indices of the samples that could be read). A frozen backbone is run once per split."""
        return concatenated(self.outputs(plan, fabric, table, predictor, batch_size), len(table.classes))

    def outputs(
        self, plan: Plan, fabric: Fabric, table: Table, predictor: Any, batch_size: int | None = None
    ) -> Batches:
        """The same batch by batch."""
        net, (inner, changed) = plan.net, behind(predictor)
        if not net.by_pixel and net.backbone_frozen and (inner is net or predictor is net.backbone):

            def joined_features(part: Table, backbone: Any) -> tuple[Tensor, np.ndarray]:
                return concatenated(self._outputs(plan, fabric, part, backbone, None), len(part.classes))

            features_ND, index = self.frozen.of(table, net.backbone, joined_features)
            yield (changed(head_of(net, features_ND, fabric.autocast)) if inner is net else features_ND), index
        else:
            yield from self._outputs(plan, fabric, table, predictor, batch_size)

    def measured_outputs(self, plan: Plan, fabric: Fabric, table: Table, predictor: Any) -> Batches:
        """What the metrics are computed of: for most tasks the outputs."""
        return measured(plan, fabric, table, self.outputs(plan, fabric, table, predictor))

    def logits(self, plan: Plan, fabric: Fabric, predictor: Any, table: Table) -> tuple[Tensor, np.ndarray]:
        """The outputs themselves, also of a task that keeps statistics of them only."""
        return concatenated(self._outputs(plan, fabric, table, predictor, None, as_it_is))

    def _outputs(
        self, plan: Plan, fabric: Fabric, table: Table, predictor: Any, batch_size: int | None, keep: Keep | None = None
    ) -> Batches:
        training, found = plan.net.training, 0
        plan.net.eval()
        ids, reasons = table.frame["id"], {}

        def failed(index: int, reason: str) -> None:
            reasons[ids.iloc[index]] = reason
            self.failed(ids.iloc[index], reason)

        for outputs, index_B in infer_batches(
            plan.net, predictor, eval_loader(table, plan.recipe, plan.net), plan.recipe.eval_size, fabric.autocast,
            failed, batch_size, keep or table.task.statistics,
        ):  # fmt: skip
            found += len(index_B)
            if self.watch is not None:
                self.watch.keep(ids.iloc[index_B], outputs)
            yield outputs, index_B
        plan.net.train(training)
        if reasons and not found:
            parts, (first, *_) = "/".join(sorted(set(table.frame["split"]))), reasons.items()
            raise DataError(
                f"none of the {len(table)} {parts} samples can be read; first error: {first[0]}: {first[1]}"
            )

    def go_on(self, table: Table, plan: Plan, fabric: Fabric, log: RunLog, saved: dict[str, Any]) -> None:
        plan.start()
        state = restored(plan, saved)
        self.before = state.total_seconds
        self.failures.reasons.update(state.failed)
        recipe, pace = plan.recipe, None
        if state.pace is not None:
            _, per_epoch = batch_shape(len(table.part("train")), recipe.train.batch_size)
            most = resolve.most_steps(recipe, per_epoch)
            pace = Pace.from_state(plan, recipe.size, per_epoch, most, state.pace)
        self.note(english("resumed at step {step:d} of {total:d}", step=state.step, total=state.total_steps))
        self._train(table, plan, fabric, log, state, pace, resumed=True)

    def train(self, table: Table, plan: Plan, fabric: Fabric, log: RunLog, state: State, pace: Pace | None) -> None:
        plan.start()
        self._train(table, plan, fabric, log, state, pace, resumed=False)

    def _train(
        self, table: Table, plan: Plan, fabric: Fabric, log: RunLog, state: State, pace: Pace | None, *, resumed: bool
    ) -> None:
        recipe = plan.recipe
        source = self.source(table.part("train"), plan, fabric, state.total_steps)
        writer = CheckpointWriter(self.folder.checkpoints, recipe.train.keep_checkpoints)
        training = Training(
            fabric=fabric,
            net=plan.net,
            plan=plan,
            source=source,
            state=state,
            size=recipe.size,
            validate=self.validator(table.part("val"), plan, fabric),
            writer=writer,
            log=log,
            observer=self.observer,
            failures=self.failures,
            spent=self.spent,
            pace=pace,
            unread=Unread(steps_between_reads(plan, fabric.device)),
            resumed=resumed,
            interrupted=self.interrupts,
            # Random weights predict at chance; validating them on many samples would take minutes.
            validate_start=plan.net.spec.pretrained or len(table.part("val")) <= _MAX_INITIAL_VALIDATION,
        )
        for line in self.notes[self.noted :]:
            log.write("note", text=line)
        try:
            with self.interrupts.noticed():
                fit(training)
        finally:
            writer.close()
            log.close()
        if state.step < state.total_steps and not plan.stop:
            raise Interrupted(self.interrupts.exit_code())
        self.finish(table, plan, fabric, training)

    def source(self, train: Table, plan: Plan, fabric: Fabric, steps: int) -> Source:
        if can_cache_features(plan, plan.net):
            features_ND, index = self.predict(plan, fabric, train, plan.net.backbone)
            return FeatureSource(features_ND, train.with_frame(train.frame.iloc[index]), plan, fabric.device)
        _, per_epoch = batch_shape(len(train), plan.recipe.train.batch_size)
        cache, line = choose_cache(train, plan, -(-steps // per_epoch))
        if line:
            self.note(line)
        return RenderedSource(
            train,
            training_loader(train, plan.recipe, plan.net, cache, plan.rendered_size),
            plan,
            fabric.device,
            self.failed,
        )

    def validator(self, val: Table, plan: Plan, fabric: Fabric) -> Validate:
        half_N = halves_of(val)

        def validate(weights: dict[str, Tensor]) -> Measured:
            with using_weights(plan.net, weights):
                found, index = concatenated(self.measured_outputs(plan, fabric, val, plan.net), len(val.classes))
            evidence, followed = val.evidence(index, found.double().numpy()), val.task.followed

            def metrics_of(rows_M: np.ndarray) -> dict[str, float]:
                metrics = val.task.measure(evidence.rows(rows_M))
                return {"score": val.task.score(metrics), **{key: metrics[key] for key in followed if key in metrics}}

            whole = metrics_of(np.arange(len(index)))

            def of_half(half: int) -> dict[str, float]:
                rows_M = np.flatnonzero(half_N[index] == half)
                return metrics_of(rows_M) if len(rows_M) else whole  # all samples are duplicates of one sample

            return Measured(whole, of_half)

        return validate

    def finish(self, table: Table, plan: Plan, fabric: Fabric, training: Training) -> None:
        """Finish the run after the last step. If the process is killed here, all of it is repeated."""
        self.observer.phase(english("measuring"))
        recipe, state = plan.recipe, training.state
        predict_seconds, predicted = 0.0, 0

        def timed(part: Table, predictor: Any) -> Batches:
            nonlocal predict_seconds, predicted
            began, known = self.clock(), self.frozen.has(part)
            for outputs, index_B in self.outputs(plan, fabric, part, predictor):
                if not known:  # otherwise most of the work is already done
                    predict_seconds += self.clock() - began
                    predicted += len(index_B)
                yield outputs, index_B
                began = self.clock()

        def predict(part: Table, predictor: Any) -> Batches:
            return measured(plan, fabric, part, timed(part, predictor))

        def inputs() -> Iterator[Tensor]:
            progress = training.progress(state.total_steps)
            settings = Settings(plan.settings(progress, training.size).size)
            return (batch.x for batch in training.source.batches(progress, settings, 0))

        last = (
            {name: tensor.clone() for name, tensor in plan.net.state_dict().items()}
            if plan.predicts_otherwise
            else None
        )
        by_half = plan.finalize(FinalizeContext(inputs, training.validate, fabric.autocast))
        predictor, val_outputs, members = finish.finish_model(
            plan, table.part("val"), predict, self.folder, self.joined, by_half
        )
        self.note_plan(plan)  # of the AFTER methods
        shown = "test" if len(table.part("test")) else "val"
        with watched(members[0].net, table.part(shown)) as self.watch:
            metrics = finish.measure_parts(table, predictor, predict, self.folder, val_outputs)
        self.watch, watch = None, self.watch
        train = table.part("train")
        finish.write_samples(plan, train, training_loader(train, recipe, plan.net), self.folder)
        verdict = judged(self.folder, recipe, trained=state.total_steps > 0)
        if verdict is not None:
            metrics["guard"] = verdict.record
            self.note(verdict.note)
        if verdict is not None and verdict.hands_over:
            metrics |= hand_over(verdict.before, self.folder)
        else:
            if recipe.data.evaluate_test:  # otherwise the run is one of many, which nobody looks at alone
                write_feature_map(watch, table.part(shown), shown, self.folder)
            metrics |= self._shown(table, plan, fabric, predictor, members, last, metrics)
        metrics["cost"] = cost_of(training, predict_seconds / max(predicted, 1), self.folder)
        metrics["best_validation"] = {"step": state.best_step, "score": state.best_score}
        metrics["left_out"] = [{"id": name, "reason": why} for name, why in sorted(self.failures.reasons.items())]
        metrics |= made_metrics(self.folder) | pseudo_metrics(self.folder) | accepted_metrics(self.folder)
        if line := nothing_accepted(metrics):
            self.note(line)
        metrics["notes"] = self.notes
        metrics["task"] = table.task.name
        metrics["recipe_hash"], metrics["seed"] = recipe.hash, recipe.train.seed
        metrics["requested_hash"] = Recipe.load(self.folder.requested).hash
        strict_json.write(self.folder.metrics, metrics)
        if self.report is not None:
            self.report(self.folder)
        files = (self.folder.report, self.folder.metrics, self.folder.recipe)
        self.trackers.finish(summary_of(metrics), [path for path in files if path.is_file()])
        write_whole(self.folder.done, "")
        remove(self.folder.start, "*")

    def _shown(
        self, table: Table, plan: Plan, fabric: Fabric, predictor: Any, members: Any, last: dict[str, Tensor] | None,
        metrics: dict[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        """Write the mistakes of the predictor. Returns further metrics. last: the weights after the last step, where the
        predictor differs from them."""
        recipe, found = plan.recipe, dict[str, Any]()
        shown = "test" if "test" in metrics else "val"
        if last is not None:
            found["inference_gain"] = finish.measure_inference_gain(
                plan, last, table.part(shown), shown, partial(self.measured_outputs, plan, fabric), self.folder
            )

        def why(part: Table, class_N: np.ndarray) -> Iterator[tuple[int, Explanation]]:
            loader = eval_loader(part, recipe, plan.net)
            return explain(members, loader, recipe.eval_size, class_N, most_points=finish.FEW_POINTS)

        def kept(part: Table, keep: Keep) -> Batches:
            return self._outputs(plan, fabric, part, predictor, None, keep)

        if "worst_images" in table.task.sections:
            write_worst_images(table.part(shown), shown, self.folder, partial(self.logits, plan, fabric, predictor))
            if recipe.data.evaluate_test:
                found[shown] = metrics[shown] | measure_groupings(table.part(shown), shown, self.folder, kept)
        elif table.task.needs_labels and (reason := finish.write_mistakes(table.part(shown), shown, self.folder, why)):
            self.note(english("the report shows mistakes without explanations: {reason}", reason=reason))
        if "examples" in table.task.sections and recipe.data.evaluate_test:
            write_examples(table.part(shown), shown, self.folder)
        return found
