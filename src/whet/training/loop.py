"""The training loop. It refers to no method by name; all methods are in the plan."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric, is_wrapped
from torch import Tensor

from whet.core.batch import Batch, Measured, Outcome, Progress, Step
from whet.core.errors import NonFiniteError
from whet.core.language import english
from whet.models.net import Net
from whet.training.checkpoint import CheckpointWriter
from whet.training.forward import forward
from whet.training.log import Observer, RunLog
from whet.training.pace import Pace
from whet.training.plan import Plan
from whet.training.source import Failures, Source
from whet.training.unread import Figures, Unread, advice

Validate = Callable[[dict[str, Tensor]], Measured]
"""Evaluate these weights on the validation samples; `score` is the value to maximize."""


@dataclass
class State:
    """The training state outside the network, optimizer and runtimes.

    total_steps: the number of steps that the budget allows, as currently estimated. validate_steps, checkpoint_steps: the
    intervals in steps. seconds: the time in the loop; total_seconds: the time since the start of the run; both without the work
    of killed processes after their last checkpoint. pace: the state of `whet.training.pace.Pace`; None if the budget is not in
    minutes.
    """

    total_steps: int
    validate_steps: int
    checkpoint_steps: int
    step: int = 0
    best_step: int | None = None
    best_score: float = float("-inf")
    seconds: float = 0.0
    total_seconds: float = 0.0
    wait_seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    pace: dict[str, Any] | None = None


@dataclass
class Training:
    """Everything the loop needs. spent: the seconds since the start of the run, including earlier processes."""

    fabric: Fabric
    net: Net
    plan: Plan
    source: Source
    state: State
    size: int
    validate: Validate
    writer: CheckpointWriter
    log: RunLog
    observer: Observer
    failures: Failures
    spent: Callable[[], float]
    pace: Pace | None = None
    unread: Unread = field(default_factory=Unread)
    resumed: bool = False
    interrupted: Callable[[], bool] = lambda: False
    validate_start: bool = True
    checkpoint_seconds: float = 300.0

    def progress(self, step: int) -> Progress:
        return Progress(step, self.state.total_steps, self.source.steps_per_epoch)

    def state_dict(self) -> dict[str, Any]:
        pace = self.pace.state_dict() if self.pace is not None else None
        return {
            "net": dict(self.net.state_dict()),
            "optimizer": self.plan.optimizer.state_dict(),
            "runtimes": {name: runtime.state_dict() for name, runtime in self.plan.runtimes.items()},
            "state": {**vars(self.state), "failed": dict(self.failures.reasons), "pace": pace},
        }


def restored(plan: Plan, saved: dict[str, Any]) -> State:
    """Load a `Training.state_dict` into the network, optimizer and runtimes of a started plan, and return the rest."""
    plan.net.load_state_dict(saved["net"])
    plan.optimizer.load_state_dict(saved["optimizer"])
    for name, runtime in plan.runtimes.items():
        runtime.load_state_dict(saved["runtimes"][name])
    return State(**saved["state"])


def fit(t: Training) -> None:
    """Train until the last step, until a method stops training, or until interrupted; in the last case the state is saved."""
    state, plan = t.state, t.plan
    model, optimizer = t.fabric.setup(t.source.model, plan.optimizer)
    take_step = plan.stepper(optimizer, t.unread.check)
    began, trained, waited = t.spent(), state.seconds, state.wait_seconds
    last_saved = began
    t.observer.steps(state.step, state.total_steps)
    if t.pace is not None:
        t.pace.begin(state.step, began)
    if not t.resumed:
        if t.validate_start:
            validated(t, t.progress(0))  # evaluates the starting weights: pretrained, or with a fitted head
        save(t)

    while state.step < state.total_steps and not plan.stop and not t.interrupted():
        # One epoch at one image size, starting from the batch where this training stopped.
        epoch, first = divmod(state.step, t.source.steps_per_epoch)
        begin = t.progress(epoch * t.source.steps_per_epoch)
        settings = plan.settings(begin, t.size)
        end = begin.step + t.source.steps_per_epoch
        t.net.train()
        for batch in t.source.batches(begin, settings, first):
            # Forward, backward and optimizer step, wrapped by the GRADIENT methods.
            lr, figures = plan.set_lr(t.progress(state.step)), Figures()
            try:
                loss = stepped(take_step, plan, t.fabric, model, optimizer, batch, t.progress(state.step), figures)
            except NonFiniteError as error:
                raise NonFiniteError(
                    f"step {state.step + 1} of {state.total_steps}: {error}. The step was not applied. {advice(lr)}"
                ) from None
            before, state.step = state.step, min(state.step + settings.batches, end, state.total_steps)
            progress = t.progress(state.step)
            for runtime in plan.runtimes.values():
                runtime.after_step(progress)
            order = zlib.crc32(batch.index_B.tobytes())
            known = {"step": state.step, "epoch": epoch, "loss": None, "lr": lr, "size": settings.size}
            t.unread.add(loss, figures, **known, order=f"{order:08x}")

            # Adjust the number of steps, validate, save, and check for a stop. The state of each step is saved once.
            replanned = False
            if t.unread.due:
                write_steps(t)
                replanned = kept_to_time(t)
            last = state.step == state.total_steps
            if state.step // state.validate_steps > before // state.validate_steps or last:
                validated(t, t.progress(state.step))
                t.net.train()
            state.seconds, state.wait_seconds = trained + t.spent() - began, waited + t.source.wait_seconds
            due = state.step // state.checkpoint_steps > before // state.checkpoint_steps or replanned
            due = due or t.spent() - last_saved > t.checkpoint_seconds
            if due or last or plan.stop or t.interrupted() or state.best_step == state.step:
                save(t)
                last_saved = t.spent()
            if last or plan.stop or t.interrupted():
                break
    t.writer.wait()


def kept_to_time(t: Training) -> bool:
    """Adjust the number of steps if the machine is faster or slower than estimated. Returns whether the number changed."""
    state = t.state
    if t.pace is None or state.step == state.total_steps:
        return False
    total = t.pace.total_steps(t.progress(state.step), t.spent(), state.validate_steps)
    if total == state.total_steps:
        return False
    epochs, before = (steps / t.source.steps_per_epoch for steps in (total, state.total_steps))
    t.log.write("replanned", step=state.step, total_steps=total)
    t.observer.note(
        english("{epochs:.3g} epochs instead of {before:.3g}, to stay within the budget", epochs=epochs, before=before)
    )
    state.total_steps = total
    t.observer.steps(state.step, total)
    return True


def stepped(
    take_step: Step, plan: Plan, fabric: Fabric, model: Any, optimizer: Any, batch: Batch, progress: Progress,
    figures: Figures | None = None,
) -> Tensor:  # fmt: skip
    """Take one step on a batch and return the loss. Random draws of torch in the step (gradient noise, sampled labels) are seeded
    by the step. figures: collects what the methods record."""
    with plan.rng.torch_scope("step", progress.step, fabric.device):
        return take_step(closure_for(plan, fabric, model, optimizer, batch, progress, figures))


def closure_for(
    plan: Plan, fabric: Fabric, model: Any, optimizer: Any, batch: Batch, progress: Progress,
    figures: Figures | None = None,
) -> Callable[[], Tensor]:  # fmt: skip
    """Clear the gradients, run forward and backward, and return the loss. Random draws in the model are seeded by the step, so that
    a closure called twice in one step (line search, sharpness) uses the same dropout mask."""
    parts, whole = plan.parts(batch), batch.weight_B.sum().clamp(min=1e-12)
    weights = [part.weight_B / whole for part in parts]
    bare = model.module if is_wrapped(model) else model
    collected = Figures() if figures is None else figures

    def closure() -> Tensor:
        optimizer.zero_grad()
        losses = []
        with plan.rng.torch_scope("model", progress.step, fabric.device):
            for part, weight_P in zip(parts, weights):
                outputs = forward(plan, model, part)
                with plan.net.hidden_mix(part.hidden_mix):  # also in further forward passes of the loss
                    kept = outputs.features
                    features_BD, maps = (kept.float(), ()) if isinstance(kept, Tensor) else (None, tuple(kept))
                    logits_BK = part.targets.aligned(outputs.logits_BK.float())
                    outcome = Outcome(
                        logits_BK, part, bare, features_BD, progress, fabric.autocast, maps, outputs.views,
                        collected.record,
                    )  # fmt: skip
                    loss_B = plan.loss(outcome)
                loss = (loss_B * weight_P).sum()
                fabric.backward(loss)
                losses.append(loss.detach())
        return torch.stack(losses).sum()

    return closure


def write_steps(t: Training) -> None:
    """Write the steps that are not in the log yet. This waits for the device."""
    for record in t.unread.read():
        t.observer.step(t.log.write("step", **record))


def validated(t: Training, progress: Progress) -> None:
    """Evaluate the weights for prediction, and pass the metrics to the methods, the log and the observer."""
    write_steps(t)
    weights = t.plan.weights(final=False)
    metrics = t.validate(weights)
    for runtime in t.plan.runtimes.values():
        runtime.after_validation(metrics, weights, progress)
    if metrics["score"] > t.state.best_score:
        t.state.best_score, t.state.best_step = metrics["score"], t.state.step
    t.observer.validated(t.log.write("validation", step=t.state.step, **metrics))


def save(t: Training) -> None:
    write_steps(t)
    t.state.total_seconds = t.spent()
    t.writer.save(t.state.step, t.state_dict(), t.log.sync, t.state.best_step)
