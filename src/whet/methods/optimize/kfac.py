from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeGuard

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from whet.core.batch import Closure
from whet.core.method import Method
from whet.core.search import Search
from whet.core.stages import Optimizes
from whet.methods.optimize.groups import trained_weight, with_rates
from whet.methods.optimize.logits import sampled_label_gradient, steered
from whet.models.net import Net


class KFAC(
    Method, Optimizes, family="optimize", tasks={"image-classification", "text-classification", "audio-classification"}
):
    """Natural gradient with the Fisher information of each layer approximated by the Kronecker product of two small matrices.

    Use when: features have very different scales, or training from scratch with large batches.
    Do not use when: layers are very wide, or batches have only a few samples.
    Source: Martens & Grosse 2015, arXiv:1503.05671; convolutions: Grosse & Martens 2016, arXiv:1602.01407; the bound on the step:
    Ba, Grosse, Martens 2017, "Distributed second-order optimization using Kronecker-factored approximations".
    Deviates: damping is constant. Weights outside linear layers and ungrouped convolutions take plain gradient steps. If a weight
    is computed from another parameter (spectral_norm, weight_noise, mixout), that parameter gets its factors.
    Shapes: for a layer a (B, in) -> s (B, out), the step is G^-1 dW A^-1 with A = mean a a^T and G = mean g g^T, where g are the
    gradients of s for labels sampled from the predictions. A bias is an additional input that is always 1. The positions of a
    sequence or image are summed.
    """

    identity = None
    exceptions = {"identity": "training requires an optimizer", "commutes": "a recipe has exactly one optimizer"}
    conflicts = frozenset({"lora"})  # its factors belong to no layer and would take plain gradient steps

    lr: Annotated[float, Field(gt=0, description="learning rate"), Search(1e-3, 1.0, log=True)] = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1, description="momentum of the natural gradient"), Search(0.0, 0.95)] = (
        0.9
    )
    damping: Annotated[
        float,
        Field(gt=0, description="added to the Fisher information, split between the factors"),
        Search(1e-4, 0.3, log=True),
    ] = 1e-2
    memory: Annotated[
        float, Field(ge=0, lt=1, description="decay of the factors from one update to the next"), Search(0.8, 0.99)
    ] = 0.95
    every: Annotated[int, Field(ge=1, description="steps between updates of the factors"), Search(1, 50)] = 10
    largest_change: Annotated[
        float,
        Field(gt=0, description="bound on lr^2 step . gradient, approximately the change of the predictions in a step"),
        Search(1e-4, 1e-1, log=True),
    ] = 1e-2

    def optimizer(self, groups: list[dict[str, Any]], net: Net) -> torch.optim.Optimizer:
        return _KFAC(with_rates(groups, self.lr), self, net)


Layer = nn.Linear | nn.Conv2d


class _KFAC(torch.optim.Optimizer):
    def __init__(self, groups: list[dict[str, Any]], method: KFAC, net: Net) -> None:
        super().__init__([{**group, "taken": 0} for group in groups], {})
        self._method, self._net = method, net
        trained = {weight for group in groups for weight in group["params"]}
        self._layers = [
            module for module in net.modules() if _has_factors(module) and trained_weight(module) in trained
        ]

    @torch.no_grad()
    def step(self, closure: Closure) -> Tensor:  # type: ignore[override]
        closure = torch.enable_grad()(closure)
        updates, due = divmod(self.param_groups[0]["taken"], self._method.every)
        if due == 0:
            self._update_factors(closure, keep=min(1 - 1 / (updates + 1), self._method.memory))
        loss = closure()
        natural = self._natural()
        for group in self.param_groups:
            group["taken"] += 1
            for weight in group["params"]:
                if weight.grad is not None:
                    state = self.state[weight]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(weight)
                    state["momentum"].mul_(self._method.momentum).add_(natural.get(weight, weight.grad))
                    weight.add_(state["momentum"], alpha=-group["lr"])
        return loss

    def _update_factors(self, closure: Closure, keep: float) -> None:
        """Update the factors of every layer with this batch, for labels sampled from the predictions, and invert them."""
        found: dict[Layer, list[Tensor]] = {}
        handles = [layer.register_forward_hook(_measuring(found)) for layer in self._layers]
        try:
            task = self._net.task
            steered(closure, self._net.head, partial(sampled_label_gradient, task=task))
        finally:
            for handle in handles:
                handle.remove()
        for layer, factors in found.items():
            state = self.state[trained_weight(layer)]
            known = state.get("factors", factors)
            state["factors"] = [old.lerp(new, 1 - keep) for old, new in zip(known, factors)]
            state["inverses"] = _inverses(state["factors"], self._method.damping)

    def _natural(self) -> dict[Tensor, Tensor]:
        """The natural gradient of the weights and biases of the layers, scaled down if the predictions would change too much."""
        found: dict[Tensor, Tensor] = {}
        change = torch.zeros((), dtype=torch.float64, device=self._layers[0].weight.device)
        rates = {weight: group["lr"] for group in self.param_groups for weight in group["params"]}
        for layer in self._layers:
            parts = [part for part in (trained_weight(layer), layer.bias) if part is not None and part.requires_grad]
            gradients = [part.grad.reshape(len(part), -1) for part in parts if part.grad is not None]
            if len(gradients) < len(parts) or "inverses" not in self.state[parts[0]]:
                continue
            gradient = torch.cat(gradients, dim=1)
            inputs_inverse, outputs_inverse = self.state[parts[0]]["inverses"]
            step = outputs_inverse @ gradient @ inputs_inverse
            change += (step * gradient).sum() * rates[parts[0]] ** 2
            for part, piece in zip(parts, step.split([g.shape[1] for g in gradients], dim=1)):
                found[part] = piece.reshape(part.shape)
        shorter = torch.where(change > 0, (self._method.largest_change / change).sqrt().clamp(max=1.0), 1.0)
        return {weight: shorter * step for weight, step in found.items()}


def _has_factors(module: nn.Module) -> TypeGuard[Layer]:
    return isinstance(module, nn.Linear) or (
        isinstance(module, nn.Conv2d) and module.groups == 1 and module.padding_mode == "zeros"
    )


def _measuring(found: dict[Layer, list[Tensor]]) -> Callable[..., None]:
    """A forward hook that stores the two factors of a layer in `found`. If a closure runs the network several times, the last run
    counts."""

    def hook(layer: Layer, inputs: tuple[Tensor], outputs: Tensor) -> None:
        def store_factors(gradient: Tensor) -> None:
            B = len(gradient)
            rows = _input_rows(layer, inputs[0].detach()), _output_rows(layer, gradient)
            rows_a, rows_g = (row.to(trained_weight(layer).dtype) for row in rows)
            positions = len(rows_g) / B
            # The loss is a mean over the batch: the gradient of one sample is B times as large.
            found[layer] = [rows_a.T @ rows_a / B, rows_g.T @ rows_g * (B / positions)]

        if outputs.requires_grad:
            outputs.register_hook(store_factors)

    return hook


def _input_rows(layer: Layer, inputs: Tensor) -> Tensor:
    """The input of the layer at each position of each sample: (B * positions, in), plus a 1 if the layer has a bias."""
    if isinstance(layer, nn.Conv2d):
        padded = F.pad(inputs, layer._reversed_padding_repeated_twice)
        patches = F.unfold(padded, layer.kernel_size, layer.dilation, stride=layer.stride)
        rows = patches.transpose(1, 2).flatten(0, 1)
    else:
        rows = inputs.flatten(0, -2)
    return F.pad(rows, (0, 1), value=1.0) if _bias_trained(layer) else rows


def _bias_trained(layer: Layer) -> bool:
    return layer.bias is not None and layer.bias.requires_grad


def _output_rows(layer: Layer, gradient: Tensor) -> Tensor:
    """The gradients at each position of each sample: (B * positions, out)."""
    return (
        gradient.flatten(2).transpose(1, 2).flatten(0, 1) if isinstance(layer, nn.Conv2d) else gradient.flatten(0, -2)
    )


def _inverses(factors: list[Tensor], damping: float) -> list[Tensor]:
    """(A + pi sqrt(damping))^-1 and (G + sqrt(damping) / pi)^-1, where pi is the root of the ratio of their mean eigenvalues."""
    sizes = [factor.trace().clamp(min=1e-12) / len(factor) for factor in factors]
    pi = (sizes[0] / sizes[1]).sqrt()
    shares = [pi * damping**0.5, damping**0.5 / pi]
    return [
        torch.linalg.inv(factor + share * torch.eye(len(factor), dtype=factor.dtype, device=factor.device)).contiguous()
        for factor, share in zip(factors, shares)
    ]
