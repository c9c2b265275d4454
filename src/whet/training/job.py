"""Train or resume one run, from the recipe to the finished run folder."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from whet.core import strict_json
from whet.core.errors import BusyError, RunError
from whet.core.language import Sentence, english
from whet.core.output import claim, remove
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, finished_run, next_name, write_whole
from whet.core.stages import Follows, UsesExternalModels
from whet.data.read import data_path
from whet.models.build import load_net, save_net
from whet.tracking import RunInfo, Trackers, flat, made
from whet.training import resolve
from whet.training.budget import Clock
from whet.training.checkpoint import checkpoints, newest_good
from whet.training.cost import out_of_memory
from whet.training.data_record import absolute, check_unchanged, moved, write_data
from whet.training.environment import environment
from whet.training.guard import gave_up
from whet.training.log import Observer, RunLog
from whet.training.made_masks import with_made_masks
from whet.training.notebook_progress import default_observer
from whet.training.pseudo_labels import with_pseudo_labels
from whet.training.session import Prepared, Report, Session


def train_run(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    observer: Observer | None = None,
    track: Sequence[str] = (),
    strict: bool = False,
    started: float | None = None,
    report: Report | None = None,
    clock: Clock = time.monotonic,
) -> RunFolder:
    """Train a recipe into a new run folder (`out`, or the next free name in runs/) and evaluate it.

    track: the names of trackers (`whet.tracking`); a resumed run is not tracked. strict: raise an error, not a warning, if a method
    has no effect. started: the start time on the `clock`, from which a budget in minutes counts. report: the function that writes
    the report; the run is finished only after it.
    """
    stem = data_path(recipe.data).resolve().stem
    recipe = recipe.replace(data=absolute(recipe.data))
    folder = RunFolder(out if out is not None else next_name(Path("runs"), stem))
    folder.require_new(*recipe.data.sources)
    tracked = made(track)
    with _working(Session(folder, observer or default_observer(), clock, started, report)) as session:
        session.trackers = Trackers(tracked, session.tracker_failed)
        prepared = session.prepare(recipe, strict=strict)  # nothing is written before the settings are valid
        claim(folder.path, "run", data=recipe.data.sources)
        with folder.lock():
            if folder.begun or folder.finished:
                raise BusyError(f"{folder.path}: another process has started a run in this folder")
            _begin(session, recipe, prepared, strict=strict)
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
    """Resume a run that was stopped or killed from its newest valid checkpoint, and finish it. The result is the same as without
    the interruption. A run that was killed before its first checkpoint is restarted.

    data: the new location of the data if they were moved. Raises RunError if their contents changed, unless accept_changed_data is
    set, and always if the classes changed.
    """
    folder = RunFolder.open(path)
    if folder.finished:
        raise RunError(f"{path} is finished; there is nothing to resume")
    with folder.lock(), _working(Session(folder, observer or default_observer(), clock, None, report)) as session:
        if folder.recipe.is_file() and checkpoints(folder.checkpoints):
            _resume(session, data, accept_changed_data=accept_changed_data)
        else:
            session.note(english("stopped before its first checkpoint; restarted"))
            requested = Recipe.load(folder.requested)
            if data is not None:
                requested = requested.replace(data=moved(requested.data, data))
            prepared = session.prepare(requested, strict=False)
            _begin(session, requested, prepared, strict=False)
    return folder


def resume_or_train(
    recipe: Recipe, path: Path, observer: Observer | None = None, clock: Clock = time.monotonic
) -> RunFolder:
    """Return the finished run of this folder; resume it from its last checkpoint or train it if necessary."""
    folder = RunFolder(path)
    if folder.finished:
        return folder
    if folder.requested.is_file():
        return resume_run(path, recipe.data.path, observer=observer, clock=clock)
    return train_run(recipe, path, observer=observer, clock=clock)


def _train_first(session: Session, recipe: Recipe, name: str, phase: Sentence) -> RunFolder:
    """Train a run that this one depends on, into external_models/<name>."""
    path = session.folder.external_models / name
    if not RunFolder(path).finished:
        session.observer.phase(phase)
    return resume_or_train(recipe, path, session.observer, session.clock)


def _join(session: Session, requested: Recipe) -> None:
    """The runs to combine with this one: runs named by a method, and runs that it requires to be trained first."""
    for method in requested.methods:
        if isinstance(method, UsesExternalModels):
            session.joined[method.name] = [
                finished_run(f"{method.name}: '{run}'", run)
                if isinstance(run, str)
                else _train_first(
                    session,
                    run,
                    str(number),
                    english("{method}: training external model {number}", method=method.name, number=number),
                )
                for number, run in enumerate(method.external_models(requested), start=1)
            ]


def _after_predecessors(session: Session, requested: Recipe, recipe: Recipe) -> Recipe:
    """Train the runs that this recipe depends on, if they are not finished, and return the recipe with references to them."""
    for method in requested.methods:
        if isinstance(method, Follows) and (before := method.predecessor(requested)) is not None:
            run = _train_first(
                session, before, method.name, english("{method}: training the preceding run", method=method.name)
            )
            if method.name in recipe:  # a recipe that was shortened may have lost it
                following = recipe.method(method.name).following(str(run.path))  # type: ignore[attr-defined]
                recipe = recipe.with_methods(following)
    return recipe


def _begin(session: Session, requested: Recipe, prepared: Prepared, *, strict: bool) -> None:
    folder, table, net, size = session.folder, prepared.table, prepared.net, prepared.size
    write_whole(folder.requested, requested.to_yaml())
    if folder.log.is_file():  # from a run that was never resolved
        remove(folder.log)
    _join(session, requested)
    # Set the threads again, because those runs have their own settings.
    recipe = resolve.resolve_threads(_after_predecessors(session, requested, prepared.recipe))
    if folder.external_models.is_dir():  # the phases that follow have the same names as those of the other models
        session.observer.phase(english("training the main model"))
    recipe = resolve.resolve_device(recipe)
    recipe = resolve.resolve_precision(resolve.resolve_size(recipe, net, size, table), net)
    given, table = table, session.pseudo_labelled(recipe, session.made_masks(recipe, table, net))
    if line := resolve.unseen_note(recipe, net, table):
        session.note(line)
    # Resuming does not need the hub or the folder of the pretrained weights. The changes of methods to the weights before the first
    # step are in the first checkpoint, and their results in the recipe.
    save_net(net, folder.start, {})
    ready = session.ready(recipe, table, net, strict=strict)
    if other := resolve.shortened(recipe, table, ready.state):
        recipe, line = other
        session.note(line)
        ready = session.ready(recipe, table, load_net(folder.start), strict=strict)
    if gave_up(folder, recipe):
        ready.state.total_steps = 0
    write_data(folder, given)
    strict_json.write(folder.environment, environment(ready.fabric.device))
    write_whole(folder.recipe, ready.plan.recipe.to_yaml())
    session.trackers.start(RunInfo(folder.name, folder.path, flat(ready.plan.recipe.to_dict())))
    with (
        folder.recording_failure(),
        RunLog(folder.log, trackers=session.trackers) as log,
    ):
        for test in ready.range_tests:
            log.write("range_test", method=test.schedule.name, lr=test.lr_T, loss=test.loss_T, chosen=test.chosen)
        session.train(table, ready.plan, ready.fabric, log, ready.state, ready.pace)


def _resume(session: Session, data: str | Path | None, *, accept_changed_data: bool) -> None:
    folder = session.folder
    session.notes = [record["text"] for record in folder.log_records() if record["event"] == "note"]
    session.noted = len(session.notes)
    requested, recipe = Recipe.load(folder.requested), Recipe.load(folder.recipe)
    if data is not None:
        requested, recipe = (each.replace(data=moved(each.data, data)) for each in (requested, recipe))
    _join(session, requested)
    recipe = resolve.resolve_threads(_after_predecessors(session, requested, recipe))
    table, net = session.read(recipe), load_net(folder.start)
    for line in check_unchanged(folder, table, net.spec.classes, accept=accept_changed_data):
        session.note(english("resumed on changed data: {what!t}", what=line))
    table = with_pseudo_labels(folder, with_made_masks(folder, table))
    for path, given in ((folder.requested, requested), (folder.recipe, recipe)):
        write_whole(path, given.to_yaml())  # with the new location of the data
    saved, step, passed = newest_good(folder.checkpoints)
    for line in passed:
        session.note(line)
    plan, fabric = session.plan(recipe, table, net, strict=False)
    before = folder.read_json(folder.environment)["torch_threads"]
    if before != torch.get_num_threads():
        session.note(
            english(
                "started with {before} torch threads, resumed with {now}: the last bits may differ",
                before=before,
                now=torch.get_num_threads(),
            )
        )
    with folder.recording_failure(), RunLog(folder.log, resume_step=step) as log:
        session.go_on(table, plan, fabric, log, saved)


@contextlib.contextmanager
def _working(session: Session) -> Iterator[Session]:
    """Catch signals, and always call the observer's `end`. Out-of-memory errors get a readable message."""
    with session.interrupts.caught():
        try:
            yield session
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            raise RunError(
                f"out of memory: {str(error).partition(chr(10))[0]}; use a smaller train.batch_size or image size, or the method "
                f"accumulate"
            ) from None
        finally:
            session.trackers.finish(None)  # where the run did not get to its end
            session.observer.end()
