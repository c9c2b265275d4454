"""One run from a recipe to a finished run folder, told in order."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from whet.core import strict_json
from whet.core.errors import BusyError, RunError
from whet.core.output import claim, remove
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, finished_run, next_name, write_whole
from whet.core.stages import Follows, UsesExternalModels
from whet.data.read import data_path
from whet.models.build import load_net, save_net
from whet.training import resolve
from whet.training.budget import Clock
from whet.training.checkpoint import checkpoints, newest_good
from whet.training.cost import out_of_memory
from whet.training.data_record import absolute, check_unchanged, moved, write_data
from whet.training.environment import environment
from whet.training.log import Observer, RunLog
from whet.training.session import Prepared, Report, Session


def train_run(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    observer: Observer | None = None,
    tensorboard: bool = False,
    strict: bool = False,
    started: float | None = None,
    report: Report | None = None,
    clock: Clock = time.monotonic,
) -> RunFolder:
    """Train a recipe into a new run folder (`out`, or the next free name below runs/) and measure it.

    strict: a method that finds nothing to change is an error, not a warning. started: when the work began, on the `clock`; a budget
    in minutes counts from there. report: writes the report of the run, which is not finished before that.
    """
    stem = data_path(recipe.data).resolve().stem
    recipe = recipe.replace(data=absolute(recipe.data))
    folder = RunFolder(out if out is not None else next_name(Path("runs"), stem))
    folder.require_new(recipe.data.path)
    with _working(Session(folder, observer or Observer(), clock, started, report)) as session:
        prepared = session.prepare(recipe, strict=strict)  # nothing is written until the settings make sense
        claim(folder.path, "run", data=[recipe.data.path])
        with folder.lock():
            if folder.begun or folder.finished:
                raise BusyError(f"{folder.path}: another process began a run there meanwhile")
            _begin(session, recipe, prepared, tensorboard=tensorboard, strict=strict)
    return folder


def resume_run(
    path: str | Path,
    data: str | Path | None = None,
    *,
    observer: Observer | None = None,
    accept_changed_data: bool = False,
    report: Report | None = None,
    clock: Clock = time.monotonic,
) -> RunFolder:
    """Go on with a run that was stopped or killed, from its newest good checkpoint, to the same end, and finish whatever is not.
    A run that was killed before its first checkpoint is begun anew.

    data: where the data lie now, if they were moved. Raises RunError where their contents are not those that the run began with,
    unless accept_changed_data; other classes are always refused.
    """
    folder = RunFolder.open(path)
    if folder.finished:
        raise RunError(f"{path} is finished; there is nothing to resume")
    with folder.lock(), _working(Session(folder, observer or Observer(), clock, None, report)) as session:
        if folder.recipe.is_file() and checkpoints(folder.checkpoints):
            _resume(session, data, accept_changed_data=accept_changed_data)
        else:
            session.note("stopped before its first checkpoint: begun anew")
            asked = Recipe.load(folder.requested)
            if data is not None:
                asked = asked.replace(data=moved(asked.data, data))
            prepared = session.prepare(asked, strict=False)
            _begin(session, asked, prepared, tensorboard=False, strict=False)
    return folder


def resume_or_train(recipe: Recipe, path: Path, observer: Observer | None = None) -> RunFolder:
    """The finished run of this folder: as it is, gone on with from its last checkpoint, or begun."""
    folder = RunFolder(path)
    if folder.finished:
        return folder
    if folder.requested.is_file():
        return resume_run(path, recipe.data.path, observer=observer)
    return train_run(recipe, path, observer=observer)


def _join(session: Session, asked: Recipe) -> None:
    """The runs that are to answer beside this one: those that a method names, and those that it wants trained first."""
    for method in asked.methods:
        if isinstance(method, UsesExternalModels):
            session.joined[method.name] = [
                finished_run(f"{method.name}: '{run}'", run)
                if isinstance(run, str)
                else resume_or_train(run, session.folder.external_models / str(number), session.observer)
                for number, run in enumerate(method.external_models(asked), start=1)
            ]


def _after_predecessors(session: Session, asked: Recipe, recipe: Recipe) -> Recipe:
    """The recipe whose methods know the runs that come before it; these are trained where they are not finished yet."""
    for method in asked.methods:
        if isinstance(method, Follows) and (before := method.predecessor(asked)) is not None:
            run = resume_or_train(before, session.folder.external_models / method.name, session.observer)
            following = recipe.method(method.name).following(str(run.path))  # type: ignore[attr-defined]
            recipe = recipe.with_methods(following)
    return recipe


def _begin(session: Session, asked: Recipe, prepared: Prepared, *, tensorboard: bool, strict: bool) -> None:
    folder, table, net, size = session.folder, prepared.table, prepared.net, prepared.size
    write_whole(folder.requested, asked.to_yaml())
    if folder.log.is_file():  # of a run that was never resolved
        remove(folder.log)
    _join(session, asked)
    # Threads anew: those runs have threads of their own.
    recipe = resolve.resolve_threads(_after_predecessors(session, asked, prepared.recipe))
    recipe = resolve.resolve_device(recipe)
    recipe = resolve.resolve_precision(resolve.resolve_size(recipe, net, size, table), net)
    if line := resolve.unseen_note(recipe, net, table):
        session.note(line)
    # Resuming needs neither the hub nor the folder the weights came from. What methods do to the weights before the first step is
    # in the first checkpoint, and what they find out in the recipe.
    save_net(net, folder.start, {})
    ready = session.ready(recipe, table, net, strict=strict)
    if other := resolve.shortened(recipe, table, ready.state):
        recipe, line = other
        session.note(line)
        ready = session.ready(recipe, table, load_net(folder.start), strict=strict)
    write_data(folder, table)
    strict_json.write(folder.environment, environment(ready.fabric.device))
    write_whole(folder.recipe, ready.plan.recipe.to_yaml())
    with RunLog(folder.log, tensorboard=folder.path / "tensorboard" if tensorboard else None) as log:
        for test in ready.range_tests:
            log.write("range_test", method=test.schedule.name, lr=test.lr_T, loss=test.loss_T, chosen=test.chosen)
        session.train(table, ready.plan, ready.fabric, log, ready.state, ready.pace)


def _resume(session: Session, data: str | Path | None, *, accept_changed_data: bool) -> None:
    folder = session.folder
    session.notes = [record["text"] for record in folder.log_records() if record["event"] == "note"]
    session.noted = len(session.notes)
    asked, recipe = Recipe.load(folder.requested), Recipe.load(folder.recipe)
    if data is not None:
        asked, recipe = (each.replace(data=moved(each.data, data)) for each in (asked, recipe))
    _join(session, asked)
    recipe = resolve.resolve_threads(_after_predecessors(session, asked, recipe))
    table, net = session.read(recipe), load_net(folder.start)
    for line in check_unchanged(folder, table, net.spec.classes, accept=accept_changed_data):
        session.note(f"resumed on changed data: {line}")
    for path, given in ((folder.requested, asked), (folder.recipe, recipe)):
        write_whole(path, given.to_yaml())  # with the new place of the data
    saved, step, passed = newest_good(folder.checkpoints)
    for line in passed:
        session.note(line)
    plan, fabric = session.plan(recipe, table, net, strict=False)
    before = folder.read_json(folder.environment)["torch_threads"]
    if before != torch.get_num_threads():
        session.note(
            f"begun with {before} torch threads, gone on with {torch.get_num_threads()}: the last bits may differ"
        )
    with RunLog(folder.log, resume_step=step) as log:
        session.go_on(table, plan, fabric, log, saved)


@contextlib.contextmanager
def _working(session: Session) -> Iterator[Session]:
    """Signals caught, and the observer told of the end whatever happens. Memory that ran out is an error in plain words."""
    with session.interrupts.caught():
        try:
            yield session
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            raise RunError(
                f"memory ran out: {str(error).partition(chr(10))[0]}; a smaller train.batch_size or image size, or the method "
                f"accumulate, takes less"
            ) from None
        finally:
            session.observer.end()
