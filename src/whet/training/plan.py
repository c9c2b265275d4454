"""The plan: the methods of a recipe, sorted by stage and bound to one network and one table. It names no method to the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from whet.core.batch import (
    Batch,
    Closure,
    Context,
    FinalizeContext,
    Loss,
    Measured,
    Outcome,
    Predictor,
    Progress,
    Settings,
    Step,
)
from whet.core.errors import NoEffectError, RecipeError
from whet.core.language import Sentence, english
from whet.core.method import Method
from whet.core.recipe import Recipe
from whet.core.rng import Rng
from whet.core.runtime import Runtime
from whet.core.stages import (
    Arranges,
    Changes,
    ChoosesWeights,
    Compresses,
    Divides,
    Finalizes,
    FindsBeforeTraining,
    Initialises,
    KeepsEnsembleMembers,
    Optimizes,
    RangeTest,
    Scales,
    Selects,
    Sets,
    Stage,
    Watches,
    WrapsLoss,
    WrapsPredictor,
    WrapsStep,
    WrapsUpdate,
)
from whet.core.task import Task
from whet.models.ensemble import SideBySide
from whet.models.net import Net
from whet.training.augmentation import Augmentation, informed
from whet.training.crossfit import HALVES, Crossed, chosen_by_validation
from whet.training.unlabelled_views import UnlabelledViews, unlabelled_views

Check = Callable[[Tensor, list[nn.Parameter]], Tensor]


def ordered(methods: tuple[Method, ...]) -> list[Method]:
    """Sort by stage, then by declared order, then by name. The order in the recipe does not matter."""
    stages = list(Stage)
    return sorted(methods, key=lambda method: (stages.index(method.stage), method.order, method.name))


def task_loss(outcome: Outcome) -> Tensor:
    """The task's loss, which LOSS methods wrap, (B,)."""
    targets = outcome.batch.targets
    return targets.task.loss(outcome.logits_BK, targets)


class Plan:
    """One recipe bound to one network. `ineffective` lists the methods without effect and the reasons; `notes` lists other changes
    of the recipe."""

    def __init__(self, recipe: Recipe, net: Net, context: Context, *, strict: bool = False) -> None:
        self.recipe = recipe
        self.net = net
        self.rng = Rng(recipe.train.seed)
        self.context = context = replace(context, rng=self.rng)
        self.methods = ordered(recipe.methods)
        self.augmentation = Augmentation([informed(method, net.front) for method in self.methods], self.rng)
        self.ineffective: list[Sentence] = []
        self.notes: list[Sentence] = []
        self._strict = strict
        self.unlabelled = UnlabelledViews()
        self._use_unlabelled()
        self._scales: list[Scales] = [m for m in self.methods if isinstance(m, Scales)]
        for method in self.methods:
            self._take_over(method)

        for method in self.methods:
            if isinstance(method, Changes) and method.name not in self.net.changed_by:
                with self.rng.torch_scope(f"change {method.name}", device=self.net.device):
                    self.net = self._try(method, partial(method.change, self.net, context), self.net)
                self.net.changed_by.add(method.name)
        self.net = self.net.on(net.device)  # including layers added by methods
        self.net.apply_freezing()

        self._arranges: list[tuple[Method, Arranges]] = [(m, m) for m in self.methods if isinstance(m, Arranges)]
        self._sets = [m for m in self.methods if isinstance(m, Sets)]
        self._divides = [m for m in self.methods if isinstance(m, Divides)]
        self.loss: Loss = task_loss
        for method in self.methods:
            if isinstance(method, WrapsLoss):
                self.loss = self._try(method, partial(method.wrap_loss, self.loss, self.net, context), self.loss)
        high_res = [method.high_res_size or 0 for method in self.methods]
        self.high_res_size = max(high_res, default=0) if net.spec.medium == "image" else 0
        self.optimizer = self._optimizer(self.net)
        self.base_lrs = [group["lr"] for group in self.optimizer.param_groups]
        self.runtimes: dict[str, Runtime] = {}

    def _try(self, method: Method, call: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return call()
        except NoEffectError as error:
            if self._strict:
                raise
            if (line := _without_effect(method, error)) not in self.ineffective:
                self.ineffective.append(line)
            return otherwise

    def _use_unlabelled(self) -> None:
        wanted = {method.name: method.unlabelled(self.recipe.task) for method in self.methods}
        requests = {name: request for name, request in wanted.items() if request is not None}
        count = self.context.unlabelled
        if count and not requests and not any(method.learns_unlabelled for method in self.methods):
            self.notes.append(
                english("{n:,} unlabelled samples are not used: no method of the recipe learns from them", n=count)
            )
        if not count:
            for method in self.methods:
                if method.name in requests or method.learns_unlabelled:
                    self._try(method, _without_unlabelled, None)
            return
        self.unlabelled = unlabelled_views(requests, self.methods, ordered, self.rng, self.net.front)

    @property
    def rendered_size(self) -> int:
        """The size of rendered samples: the recipe's, or a larger one required by a method."""
        return max(self.recipe.size, self.high_res_size)

    # --- DATA -----------------------------------------------------------------------------------------------------------
    def order(self, progress: Progress, label_N: np.ndarray) -> np.ndarray:
        """The sample indices of the epoch that starts at this progress."""
        order = self.rng.shuffled("order", progress.epoch, len(label_N))
        for method, arranges in self._arranges:
            rng = self.rng.batch(method.name, progress.epoch, np.arange(len(order)))
            order = self._try(method, partial(arranges.arrange, order, label_N, progress, rng), order)
        return order

    # --- MODEL, OPTIMIZER, SCHEDULE ---------------------------------------------------------------------------------
    def initialise(self) -> None:
        """Initialise the weights, only at a fresh start."""
        for method in self.methods:
            if isinstance(method, Initialises):
                with self.rng.torch_scope(f"initialise {method.name}", device=self.net.device):
                    self._try(method, partial(method.initialise, self.net, self.context), None)

    def trial_steps(self, trial: Callable[[Iterable[float]], Iterator[tuple[float, float]]]) -> Iterator[RangeTest]:
        """Run the methods that need trial steps before training. Each of them is replaced by its resolved version, in the recipe
        too."""
        for method in self.methods:
            trial_steps = partial(method.trial_steps, trial) if isinstance(method, FindsBeforeTraining) else None
            found = self._try(method, trial_steps, None) if trial_steps else None
            if found is not None:
                self._put(found.schedule)
                yield found

    def _take_over(self, method: Method) -> None:
        for other in self.methods:
            rest = method.take_over(other)
            if rest is not None:
                before, after = other.settings_dict(), rest.settings_dict()
                changed = [
                    f"{key} = {after[key]} instead of {before[key]}" for key in after if after[key] != before[key]
                ]
                values = {"method": method.name, "other": other.name, "settings": ", ".join(changed)}
                self.notes.append(english("{method} overrides settings of {other}: {settings}", **values))
                self._put(rest)

    def _put(self, method: Method) -> None:
        def put(methods: Sequence[Any]) -> list[Any]:
            return [method if getattr(m, "name", None) == method.name else m for m in methods]

        self.recipe = self.recipe.replace(methods=tuple(put(self.recipe.methods)))
        self.methods, self._scales = put(self.methods), put(self._scales)

    def start(self) -> None:
        """Start the STEP methods. The weights are now the starting weights of training."""
        started: list[tuple[Method, Runtime]] = []
        context = replace(self.context, optimizer=self._optimizer)
        for method in self.methods:
            if isinstance(method, Watches):
                with self.rng.torch_scope(f"start {method.name}", device=self.net.device):
                    runtime = method.start(self.net, context)
                    if chosen_by_validation(method, runtime):
                        runtime = Crossed(runtime, [method.start(self.net, context) for _ in range(HALVES)])
                    started.append((method, runtime))
        self.runtimes = {method.name: runtime for method, runtime in started}
        self._arranges += [(method, runtime) for method, runtime in started if isinstance(runtime, Arranges)]
        self._scales += [runtime for runtime in self.runtimes.values() if isinstance(runtime, Scales)]
        for runtime in self.runtimes.values():
            if isinstance(runtime, WrapsLoss):
                self.loss = runtime.wrap_loss(self.loss, self.net, self.context)

    def _optimizer(self, net: Net) -> torch.optim.Optimizer:
        """The recipe's optimizer for this network, or for a network with the same parameter names."""
        found = [m for m in self.methods if isinstance(m, Optimizes)]
        if len(found) != 1:
            named = ", ".join(m.name for m in found) or "none"
            raise RecipeError(
                f"a recipe needs exactly one optimizer; this one has {named} (accepted: sgd, adamw, lbfgs, …)"
            )
        groups: dict[tuple[float, bool], dict[str, Any]] = {}
        for name, parameter in net.named_parameters():
            if parameter.requires_grad:
                scale, decay = net.lr_scale.get(name, 1.0), parameter.ndim > 1
                group = groups.setdefault((scale, decay), {"params": [], "lr_scale": scale, "decay": decay})
                group["params"].append(parameter)
        if not groups:
            raise RecipeError("all weights of the model are frozen; there is nothing to train")
        return found[0].optimizer(list(groups.values()), net)

    def set_lr(self, progress: Progress) -> float:
        """Set the learning rate of every parameter group for the next step and return the largest."""
        factor = 1.0
        for schedule in self._scales:
            factor *= schedule.factor(progress)
        for group, base in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = base * factor
        return max(self.base_lrs) * factor

    def settings(self, progress: Progress, size: int) -> Settings:
        """The settings of the epoch that starts at this progress. size: the recipe's size."""
        settings = Settings(size)
        for method in self._sets:
            settings = method.settings(progress, settings)
        return settings

    # --- LOSS, GRADIENT, STEP ---------------------------------------------------------------------------------------
    def parts(self, batch: Batch) -> list[Batch]:
        """The batch as one part, or split into parts of nearly equal size. The copies of a sample stay in one part."""
        copies = self.augmentation.copies
        samples = len(batch) // copies
        count = min(samples, max((method.parts(len(batch)) for method in self._divides), default=1))
        if count <= 1 or batch.hidden_mix:  # samples that are mixed inside the network must be in one part
            return [batch]
        if copies == 1:  # slices, which stay channels last
            parts = [batch.rows(rows) for rows in _slices(samples, count)]
        else:
            row_CN = torch.arange(len(batch)).view(copies, samples)
            parts = [batch.rows(part_CP.flatten()) for part_CP in row_CN.tensor_split(count, dim=1)]
        if (more := batch.unlabelled) is None:
            return parts
        slices = _slices(len(more), count)
        return [part.replace(unlabelled=more.rows(rows)) for part, rows in zip(parts, slices, strict=True)]

    @property
    def own_forward(self) -> bool:
        """Whether the losses pass the samples through the network themselves, so that a step needs no other pass."""
        losses = [method for method in self.methods if isinstance(method, WrapsLoss)]
        return bool(losses) and all(method.own_forward for method in losses)

    def stepper(self, optimizer: Any, check: Check) -> Step:
        """The step function of the optimizer, wrapped by every GRADIENT method and by the runtimes of STEP methods that request
        it. check: called with the loss and the parameters before the optimizer changes a weight; returns the loss."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]

        def plain(closure: Closure) -> Tensor:
            return optimizer.step(lambda: check(closure(), parameters))

        step: Step = plain
        # The first is outermost, next to the closure.
        for wrapper in reversed([*self.methods, *self.runtimes.values()]):
            if isinstance(wrapper, WrapsStep):
                step = wrapper.wrap_step(step, parameters)
            if isinstance(wrapper, WrapsUpdate):
                step = wrapper.wrap_update(step, self.optimizer)
        return step

    @property
    def stop(self) -> bool:
        return any(runtime.stop for runtime in self.runtimes.values())

    # --- PREDICT ----------------------------------------------------------------------------------------------------
    def weights(self, *, final: bool, half: int | None = None) -> dict[str, Tensor]:
        """The weights for prediction: the training weights, unless a method chooses others. half: the weights chosen on this half
        of the validation samples."""
        weights = dict(self.net.state_dict())
        for method in self.methods:
            if isinstance(method, ChoosesWeights):
                weights = method.weights(weights, self._runtime(method, half), final)
        return weights

    def _runtime(self, method: Method, half: int | None = None) -> Runtime | None:
        runtime = self.runtimes.get(method.name)
        return runtime.of(half) if isinstance(runtime, Crossed) else runtime

    @property
    def finalizes(self) -> bool:
        """Whether a pass over the data follows training."""
        return any(isinstance(method, Finalizes) for method in self.methods)

    @property
    def predicts_otherwise(self) -> bool:
        """Whether prediction differs from a forward pass with the last weights."""
        return any(Stage.PREDICT in method.stages() for method in self.methods)

    def finalize(self, context: FinalizeContext) -> list[dict[str, Tensor]]:
        """Finalize the network after training: load the weights for prediction and update what depends on them. If the weights are
        chosen by validation, return the weights chosen on each half of its samples; else return an empty list."""
        last = _copied(self.net)
        chosen = any(isinstance(runtime, Crossed) for runtime in self.runtimes.values())

        def validate(weights: dict[str, Tensor]) -> Measured:
            nonlocal chosen
            chosen = True
            return context.validate(weights)

        self._finalize_part(replace(context, validate=validate), None)
        if not chosen:
            return []
        final, halves = _copied(self.net), []
        for half in range(HALVES):
            self.net.load_state_dict(last)
            self._finalize_part(replace(context, validate=partial(_of_half, context.validate, half)), half)
            halves.append(_copied(self.net))
        self.net.load_state_dict(final)
        return halves

    def _finalize_part(self, context: FinalizeContext, half: int | None) -> None:
        self.net.load_state_dict(self.weights(final=True, half=half))
        self.net.eval()
        for method in self.methods:
            if isinstance(method, Finalizes):
                method.finalize(self.net, self._runtime(method, half), context)

    def compressed(self, net: Net) -> Net:
        """A network with the final weights after the AFTER methods."""
        for method in self.methods:
            if isinstance(method, Compresses):
                net = self._try(method, partial(method.compress, net, self.context), net)
        return net

    def ensemble_members(self) -> list[dict[str, Tensor]]:
        """Additional weights of the network, which are averaged with the final ones with equal weight."""
        found = [m.ensemble_members(self._runtime(m)) for m in self.methods if isinstance(m, KeepsEnsembleMembers)]
        return [weights for several in found for weights in several]


def select_rows(
    methods: tuple[Method, ...], rows: pd.DataFrame, *, strict: bool = False
) -> tuple[pd.DataFrame, list[Sentence]]:
    """The training rows selected by the DATA methods, and a note for each method that changed their number or had no effect."""
    notes: list[Sentence] = []
    for method in ordered(methods):
        if isinstance(method, Selects):
            before = len(rows)
            try:
                rows = method.select(rows)
            except NoEffectError as error:
                if strict:
                    raise
                notes.append(_without_effect(method, error))
            if len(rows) != before:
                values = {"method": method.name, "before": before, "after": len(rows)}
                notes.append(english("{method}: {before:d} training rows became {after:d}", **values))
    return rows, notes


def _slices(count: int, parts: int) -> list[slice]:
    return [slice(start, end) for start, end in pairwise(count * part // parts for part in range(parts + 1))]


def _without_unlabelled() -> None:
    raise NoEffectError("no unlabelled samples are given (--unlabelled, data.unlabelled)")


def _without_effect(method: Method, error: NoEffectError) -> Sentence:
    return english("{method} has no effect here: {reason}", method=method.name, reason=error)


def wrap_predictor(
    methods: Sequence[Method],
    predictor: Predictor,
    fitted: dict[str, Any],
    task: Task,
    external_models: Mapping[str, Sequence[Predictor]] = MappingProxyType({}),
) -> Predictor:
    """Wrap the predictor by these PREDICT methods in order."""
    for method in methods:
        if others := external_models.get(method.name):
            predictor = SideBySide([predictor, *others], task)
        if isinstance(method, WrapsPredictor):
            predictor = method.wrap_predictor(predictor, fitted.get(method.name, {}), task)
    return predictor


def _copied(net: Net) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}


def _of_half(validate: Callable[[dict[str, Tensor]], Measured], half: int, weights: dict[str, Tensor]) -> Measured:
    found = validate(weights).half(half)
    return Measured(found, lambda _: found)
