"""One run from a recipe to a finished run folder, told in order."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor

from whet.core.batch import Context, Ending, Features, Progress, Settings
from whet.core.duration import Duration
from whet.core.errors import RecipeError, RunError
from whet.core.method import Joins, RangeTest
from whet.core.output import remove
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.run_folder import RunFolder, finished_run, next_name, write_json, write_whole
from whet.data.read import data_path, read_data
from whet.data.table import Table
from whet.evaluate.answer import answer, using_weights
from whet.evaluate.metrics import classification_metrics, probabilities
from whet.explain import Explanation, explain
from whet.models.build import build_net, load_net, save_net
from whet.models.net import Net
from whet.train import finish, resolve
from whet.train.budget import steps_that_fit
from whet.train.checkpoint import CheckpointWriter, checkpoints, newest_good
from whet.train.data_record import check_unchanged, write_data
from whet.train.environment import environment
from whet.train.log import Observer, RunLog
from whet.train.loop import State, Training, Validate, fit
from whet.train.plan import Plan, refuse_one_class, select_rows
from whet.train.rehearsal import Rehearsal
from whet.train.signals import Interrupted, Interrupts
from whet.train.source import (
    Failures,
    FeatureSource,
    PaintedSource,
    Source,
    answering_loader,
    choose_room,
    is_kept,
    training_loader,
)

_TOLD = ("accuracy", "macro_f1", "log_loss", "calibration_error")  # of every validation
_TOLD_OF_LABEL_SETS = (*_TOLD, "hamming_accuracy", "micro_f1", "mean_average_precision")
_MANY = 2000  # validation samples
_TAIL_SECONDS = 5.0  # what saving, the pictures and the report take after the last answer


def train_run(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    observer: Observer | None = None,
    tensorboard: bool = False,
    strict: bool = False,
    started: float | None = None,
) -> RunFolder:
    """Train a recipe into a new run folder (`out`, or the next free name below runs/) and measure it.

    strict: a method that finds nothing to change is an error, not a warning. started: when the work began, on the clock of
    time.monotonic; a budget in minutes counts from there.
    """
    stem = data_path(recipe.data).resolve().stem
    folder = RunFolder(out if out is not None else next_name(Path("runs"), stem))
    folder.require_new(recipe.data.path)
    with _working(folder, observer, started) as job:
        prepared = job.prepare(recipe, strict=strict)  # nothing is written until the settings make sense
        with RunFolder.create(folder.path, recipe.data.path).lock():
            _begin(job, recipe, prepared, tensorboard=tensorboard, strict=strict)
    return folder


def resume_run(path: str | Path, *, observer: Observer | None = None, accept_changed_data: bool = False) -> RunFolder:
    """Go on with a run that was stopped or killed, from its newest good checkpoint, to the same end. A run that was killed
    before its first checkpoint is begun anew."""
    folder = RunFolder.open(path)
    if folder.finished:
        raise RunError(f"{path} is finished; there is nothing to resume")
    with folder.lock(), _working(folder, observer, None) as job:
        if folder.recipe.is_file() and checkpoints(folder.checkpoints):
            _go_on(job, accept_changed_data=accept_changed_data)
        else:
            job.note("stopped before its first checkpoint: begun anew")
            recipe = Recipe.load(folder.asked)
            _begin(job, recipe, job.prepare(recipe, strict=False), tensorboard=False, strict=False)
    return folder


def carry_out(recipe: Recipe, path: Path, observer: Observer | None = None) -> RunFolder:
    """The finished run of this folder: as it is, gone on with from its last checkpoint, or begun."""
    folder = RunFolder(path)
    if folder.finished:
        return folder
    if folder.asked.is_file():
        return resume_run(path, observer=observer)
    return train_run(recipe, path, observer=observer)


def _begin(job: _Job, asked: Recipe, prepared: _Prepared, *, tensorboard: bool, strict: bool) -> None:
    folder, table, net, size = job.folder, prepared.table, prepared.net, prepared.size
    write_whole(folder.asked, asked.to_yaml())
    if folder.log.is_file():  # of a run that was never resolved
        remove(folder.log)
    job.companions(asked)
    recipe = resolve.resolve_threads(prepared.recipe)  # anew: those runs have threads of their own
    save_net(net, folder.model, {})  # resuming then needs neither the hub nor the folder the weights came from
    recipe = resolve.resolve_precision(resolve.resolve_size(recipe, net, size, table), net)
    if line := resolve.unseen_note(recipe, net, table):
        job.note(line)
    plan, fabric = job.plan(recipe, table, net, strict=strict)
    plan.initialise()
    range_tests = job.rehearse(recipe, table, plan, fabric)
    job.tell(plan)
    job.observer.stage("timing a few steps" if recipe.train.budget.is_time else "starting")
    recipe = resolve.resolve_budget(plan.recipe, table, plan, fabric, job.started, _TAIL_SECONDS)
    plan.recipe = recipe
    if recipe.train.budget.is_time and recipe.train.epochs == recipe.train.max_epochs:
        job.observer.note(f"{recipe.train.epochs} epochs, the most that the recipe asks for")
    write_data(folder, table)
    write_json(folder.environment, environment(fabric.device))
    write_whole(folder.recipe, recipe.to_yaml())
    with RunLog(folder.log, tensorboard=folder.path / "tensorboard" if tensorboard else None) as log:
        for test in range_tests:
            log.write("range_test", method=test.schedule.name, lr=test.lr_T, loss=test.loss_T, chosen=test.chosen)
        job.train(table, plan, fabric, log, None)


def _go_on(job: _Job, *, accept_changed_data: bool) -> None:
    folder = job.folder
    job.notes = [record["text"] for record in folder.log_records() if record["event"] == "note"]
    job.noted = len(job.notes)
    job.companions(Recipe.load(folder.asked))
    recipe = resolve.resolve_threads(Recipe.load(folder.recipe))
    table = job.read(recipe)
    for line in check_unchanged(folder, table, accept=accept_changed_data):
        job.note(f"resumed on changed data: {line}")
    state, step, passed = newest_good(folder.checkpoints)
    for line in passed:
        job.note(line)
    plan, fabric = job.plan(recipe, table, load_net(folder.model), strict=False)
    before = folder.read_json(folder.environment)["torch_threads"]
    if before != torch.get_num_threads():
        job.note(f"begun with {before} torch threads, gone on with {torch.get_num_threads()}: the last bits may differ")
    job.note(f"resumed at step {step} of {recipe.train.steps}")
    with RunLog(folder.log, resume_step=step) as log:
        job.train(table, plan, fabric, log, state)


@contextlib.contextmanager
def _working(folder: RunFolder, observer: Observer | None, started: float | None) -> Iterator[_Job]:
    """Signals caught, and the observer told of the end whatever happens."""
    job = _Job(folder, observer or Observer(), time.monotonic() if started is None else started)
    with job.interrupts.caught():
        try:
            yield job
        finally:
            job.observer.end()


@dataclass(frozen=True)
class _Prepared:
    """What is known of a run before anything is written: its data and network, and the recipe as far as they settle it."""

    recipe: Recipe
    table: Table
    net: Net
    size: int


@dataclass
class _Job:
    """What every part of the work needs to say or to ask."""

    folder: RunFolder
    observer: Observer
    started: float
    interrupts: Interrupts = field(default_factory=Interrupts)
    notes: list[str] = field(default_factory=list)
    noted: int = 0  # how many of them stand in the log already
    failures: Failures = field(default_factory=lambda: Failures(1))
    joined: dict[str, list[RunFolder]] = field(default_factory=dict)  # runs that answer beside this one, by method

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.observer.note(text)

    def failed(self, id_: str, reason: str) -> None:
        if self.failures.add(id_, reason):
            self.note(f"left out, it cannot be read: {id_}: {reason}")

    def companions(self, asked: Recipe) -> None:
        """The runs that are to answer beside this one: those that a method names, and those that it wants trained first."""
        for method in asked.methods:
            if isinstance(method, Joins):
                wanted = method.companions(asked)
                self.joined[method.name] = [
                    finished_run(f"{method.name}: '{run}'", run)
                    if isinstance(run, str)
                    else carry_out(run, self.folder.companions / str(number), self.observer)
                    for number, run in enumerate(wanted, start=1)
                ]

    def rehearse(self, recipe: Recipe, table: Table, plan: Plan, fabric: Fabric) -> list[RangeTest]:
        """What some methods can only find out by some steps of training, before it."""

        def trial(factors: Iterable[float]) -> Iterator[tuple[float, float]]:
            self.observer.stage("looking for a learning rate")
            first = plan.settings(Progress(0, 1, 1), recipe.size).size
            return Rehearsal(recipe, plan.net, plan.context, fabric, table.part("train")).try_rates(factors, first)

        found = list(plan.rehearse(trial))
        for test in found:
            self.note(f"{test.schedule.name}: the learning rate is {test.chosen:.3g}")
        return found

    def prepare(self, recipe: Recipe, *, strict: bool) -> _Prepared:
        recipe = resolve.resolve_threads(recipe)
        table = self.read(recipe, strict=strict)
        recipe = recipe.replace(data=recipe.data.replace(**table.columns))  # what evaluate and predict will read, too
        size = resolve.usual_size(recipe, table)
        recipe = resolve.resolve_model(recipe, size, len(table.part("train")))
        with Rng(recipe.train.seed).torch_scope("init"):
            texts, rate = table.part("train").frame.get("text", ()), resolve.usual_rate(recipe, table)
            net, notes = build_net(recipe.model, table.classes, recipe.medium, texts, rate)
        net.spec = replace(net.spec, multi_label=table.multi_label)
        for line in (*table.notes, *notes):
            self.note(line)
        return _Prepared(recipe, table, net, size)

    def read(self, recipe: Recipe, *, strict: bool = False) -> Table:
        self.observer.stage(f"reading {recipe.data.path}")
        table = read_data(recipe.data, int(recipe.train.loader_threads))
        if table.medium != recipe.medium:
            raise RecipeError(
                f"data {recipe.data.path} holds {table.medium}s, but the recipe's task is {recipe.task}; "
                f"give a recipe for {table.medium}s"
            )
        if not recipe.data.answer_test:
            table = table.with_frame(table.frame[table.frame["split"] != "test"])
        refuse_one_class(recipe.methods, table.multi_label)
        chosen, notes = select_rows(recipe.methods, table.part("train").frame, strict=strict)
        table = table.with_frame(pd.concat([chosen, table.frame[table.frame["split"] != "train"]]), *notes)
        self.failures.total = len(table) + len(table.skipped)
        for entry in table.skipped:
            self.failed(entry.id, entry.reason)
        return table

    def plan(self, recipe: Recipe, table: Table, net: Net, *, strict: bool) -> tuple[Plan, Fabric]:
        fabric = resolve.make_fabric(recipe)
        net = net.on(fabric.device)
        train = table.part("train")

        def features(backbone: Any = None, training: bool = False) -> Features:
            self.observer.stage(f"features of {len(train):,} samples")
            backbone = backbone or plan.net.backbone
            if training:
                features_ND, index = self.ask_as_in_training(plan, fabric, train, backbone)
            else:
                features_ND, index = self.ask(plan, fabric, train, backbone)
            groups = train.frame["group"].to_numpy()[index]
            return Features(features_ND, train.targets[torch.from_numpy(index)], index, groups)

        def texts() -> list[str]:
            self.observer.stage(f"learning from {len(train):,} texts")
            return list(train.frame.get("text", ()))

        context = Context(recipe.task, table.classes, train.counts_K, features, table.multi_label, texts)
        plan = Plan(recipe, net, context, strict=strict)
        self.tell(plan)
        return plan, fabric

    def tell(self, plan: Plan) -> None:
        """Which methods found nothing to change, what else became of the recipe, and what there is to tell of the network."""
        for line in (*plan.notes, *plan.weak, *plan.net.notes):
            if line not in self.notes:
                self.note(line)

    def ask(
        self, plan: Plan, fabric: Fabric, table: Table, predictor: Any, batch_size: int | None = None
    ) -> tuple[Tensor, np.ndarray]:
        """(what the predictor makes of every sample, the numbers of those that could be read)."""
        training = plan.net.training
        plan.net.eval()
        ids = table.frame["id"]
        found = answer(
            plan.net, predictor, answering_loader(table, plan.recipe, plan.net), plan.recipe.answer_size, fabric.autocast,
            failed=lambda index, reason: self.failed(ids.iloc[index], reason), batch_size=batch_size,
        )  # fmt: skip
        plan.net.train(training)
        return found

    def ask_as_in_training(self, plan: Plan, fabric: Fabric, table: Table, backbone: Any) -> tuple[Tensor, np.ndarray]:
        """The same in shuffled batches of the training's size, where BatchNorm goes by the batch: of one class each, as the rows
        lie, a batch would have other statistics than any batch of the training."""
        order_N = plan.rng.shuffled("features", 0, len(table))

        def features(x: Tensor) -> Tensor:
            with plan.net.batch_statistics():
                return backbone(x)

        shuffled = table.with_frame(table.frame.iloc[order_N])
        found_ND, index = self.ask(plan, fabric, shuffled, features, int(plan.recipe.train.batch_size))
        rows_N = order_N[index]
        sorted_N = np.argsort(rows_N)
        return found_ND[torch.from_numpy(sorted_N)], rows_N[sorted_N]

    def train(self, table: Table, plan: Plan, fabric: Fabric, log: RunLog, state: dict[str, Any] | None) -> None:
        recipe = plan.recipe
        plan.start()
        source = self.source(table.part("train"), plan, fabric)
        total, per_epoch = int(recipe.train.steps), source.steps_per_epoch
        writer = CheckpointWriter(self.folder.checkpoints, recipe.train.keep_checkpoints)
        training = Training(
            fabric=fabric,
            net=plan.net,
            plan=plan,
            source=source,
            state=State(total_steps=total),
            size=recipe.size,
            validate=self.validator(table.part("val"), plan, fabric, source),
            validate_steps=max(1, Duration.parse(recipe.train.validate_every).steps(per_epoch, total)),
            checkpoint_steps=max(1, Duration.parse(recipe.train.checkpoint_every).steps(per_epoch, total)),
            writer=writer,
            log=log,
            observer=self.observer,
            failures=self.failures,
            interrupted=self.interrupts,
            # Random weights guess; on many samples that costs minutes to see.
            validate_start=plan.net.spec.pretrained or len(table.part("val")) <= _MANY,
            steps_that_fit=partial(
                steps_that_fit, plan, recipe.size, recipe.train.seconds, resolve.most_epochs(recipe)
            ),
        )
        if state is not None:
            training.load_state_dict(state)
        for line in self.notes[self.noted :]:
            log.write("note", text=line)
        try:
            with self.interrupts.noticed():
                fit(training)
        finally:
            writer.close()
            log.close()
        if training.state.step < training.state.total_steps and not plan.stop:
            raise Interrupted(self.interrupts.exit_code())
        self.finish(table, plan, fabric, training)

    def source(self, train: Table, plan: Plan, fabric: Fabric) -> Source:
        if is_kept(plan, plan.net):
            features_ND, index = self.ask(plan, fabric, train, plan.net.backbone)
            return FeatureSource(features_ND, train.with_frame(train.frame.iloc[index]), plan, fabric.device)
        room, line = choose_room(train, plan)
        if line:
            self.note(line)
        return PaintedSource(
            train,
            training_loader(train, plan.recipe, plan.net, room, plan.painted_size),
            plan,
            fabric.device,
            self.failed,
        )

    def validator(self, val: Table, plan: Plan, fabric: Fabric, source: Source) -> Validate:
        kept = self.ask(plan, fabric, val, plan.net.backbone) if isinstance(source, FeatureSource) else None

        def validate(weights: dict[str, Tensor]) -> dict[str, float]:
            with using_weights(plan.net, weights):
                if kept is None:
                    logits, index = self.ask(plan, fabric, val, plan.net)
                else:
                    with torch.inference_mode(), fabric.autocast():
                        logits, index = plan.net.head(kept[0].to(fabric.device)).float().cpu(), kept[1]
            probs_NK = probabilities(logits.double().numpy(), val.multi_label)
            metrics = classification_metrics(probs_NK, val.truth[index], val.classes)
            chosen = _TOLD_OF_LABEL_SETS if val.multi_label else _TOLD
            return {"score": metrics["accuracy"], **{key: metrics[key] for key in chosen}}

        return validate

    def finish(self, table: Table, plan: Plan, fabric: Fabric, training: Training) -> None:
        self.observer.stage("measuring")
        recipe, state = plan.recipe, training.state
        answer_seconds, answered = 0.0, 0

        def ask(part: Table, predictor: Any) -> tuple[Tensor, np.ndarray]:
            nonlocal answer_seconds, answered
            began = time.monotonic()
            found = self.ask(plan, fabric, part, predictor)
            answer_seconds += time.monotonic() - began
            answered += len(found[1])
            return found

        def inputs() -> Iterator[Tensor]:
            progress = training.progress(state.total_steps)
            settings = Settings(plan.settings(progress, training.size).size)
            return (batch.x for batch in training.source.batches(progress, settings, 0))

        last = {name: tensor.clone() for name, tensor in plan.net.state_dict().items()} if plan.answers_anew else None
        plan.conclude(Ending(inputs, training.validate, fabric.autocast))
        predictor, val_answers, members = finish.finish_model(plan, table.part("val"), ask, self.folder, self.joined)
        metrics = finish.measure_parts(table, predictor, ask, self.folder, val_answers)
        train = table.part("train")
        finish.write_samples(plan, train, training_loader(train, recipe, plan.net), self.folder)
        shown = "test" if "test" in metrics else "val"
        if last is not None:
            metrics["answering"] = finish.compare_answering(
                plan, last, table.part(shown), shown, partial(self.ask, plan, fabric), self.folder
            )

        def why(part: Table, class_N: np.ndarray) -> Iterator[tuple[int, Explanation]]:
            loader = answering_loader(part, recipe, plan.net)
            return explain(members, loader, recipe.answer_size, class_N, most_points=finish.FEW_POINTS)

        if reason := finish.write_mistakes(table.part(shown), shown, self.folder, why):
            self.note(f"mistakes are shown without explanations: {reason}")
        metrics["cost"] = {
            "train_seconds": state.seconds,
            "total_seconds": time.monotonic() - self.started,
            "seconds_per_sample": answer_seconds / max(answered, 1),
            "steps": state.step,
            "epochs": state.step / training.source.steps_per_epoch,
            "samples_per_second": state.step * int(recipe.train.batch_size) / max(state.seconds, 1e-9),
            "loader_wait_share": training.source.wait_seconds / max(state.seconds, 1e-9),
            "parameters": sum(p.numel() for p in plan.net.parameters()),
            "trained_parameters": sum(p.numel() for p in plan.net.parameters() if p.requires_grad),
            "peak_memory_mib": finish.peak_memory_mib(),
        }
        metrics["best_validation"] = {"step": state.best_step, "accuracy": state.best_score}
        metrics["left_out"] = [{"id": name, "reason": why} for name, why in sorted(self.failures.reasons.items())]
        metrics["notes"] = self.notes
        if table.multi_label:
            metrics["multi_label"] = True
        metrics["recipe_hash"], metrics["seed"] = recipe.hash, recipe.train.seed
        metrics["asked_hash"] = Recipe.load(self.folder.asked).hash
        write_json(self.folder.metrics, metrics)
        write_whole(self.folder.done, "")
