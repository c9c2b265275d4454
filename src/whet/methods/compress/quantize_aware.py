from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from torch import nn

from whet.core.batch import Context, Progress
from whet.core.errors import NoEffectError
from whet.core.language import english
from whet.core.method import Method
from whet.core.runtime import Runtime
from whet.core.search import Search
from whet.core.stages import Changes, Quantizes, Watches
from whet.models.fake_quantize import find_points, quantize, quantize_activations, simulation_of
from whet.models.net import Net

if TYPE_CHECKING:
    from whet.exporting.trial import Measured, Trial

_STATISTICS = 0.5  # of the training with rounding, after which the statistics of BatchNorm stay


class QuantizeAware(
    Method,
    Changes,
    Watches,
    Quantizes,
    family="compress",
    tasks={"image-classification", "audio-classification", "semantic-segmentation"},
):
    """Train the last part with weights and activations rounded as in 8-bit integers, and export these integers.

    The run predicts, and is validated and measured, with this rounding throughout.

    Use when: the network is exported in int8, and quantize_static, which trains nothing, costs too much accuracy or leaves many
    layers in floating point. A finished run is trained further with from_run and share: 1.
    Do not use when: predictions run on a GPU or in a browser, where int8 gains no time; or for texts: use quantize_dynamic.
    Source: Jacob et al. 2018, arXiv:1712.05877; Krishnamoorthi 2018, arXiv:1806.08342.
    Deviates: BatchNorm is not folded into the weights before they are rounded. Each output channel has its own scale, so the factor
    of BatchNorm does not change which level a weight is rounded to. Statistics of BatchNorm follow the batches until half of the
    training with rounding is over, and then stay. The first convolution and the last layer stay in floating point. Weights take 7
    of the 8 bits, which do not overflow on processors without VNNI.
    Shapes: activations are rounded to 256 levels between moving averages of the smallest and the largest value of the batches, from
    the first step on (decay 0.99); weights to 129 levels, symmetric, by the largest of each output channel. The gradient passes
    through unchanged, but is zero outside the range of an activation. The exported graph has these very scales and zero points.
    """

    identity = {"share": 0.0}
    order = 44  # after layers are added and weights parametrised, before layers are frozen
    conflicts = frozenset(
        ("quantize_static", "quantize_dynamic", "low_rank", "prune_magnitude", "linear_probe", "lora", "adapter")
    )
    found_by_run = frozenset({"places"})

    share: Annotated[
        float,
        Field(ge=0, le=1, description="share of the training, at its end, that computes with rounding"),
        Search(0.1, 0.6),
    ] = 0.3
    places: Annotated[
        dict[str, Literal["before", "after"]],
        Field(description="modules before or after which a tensor is rounded; found and stored with the network"),
    ] = {}

    def change(self, net: Net, context: Context) -> Net:
        if self.share == 0:
            return net
        if self.places:
            quantize_activations(net, self.places)
            net.built_with(self)
            return net
        points = find_points(net)
        if not points.weights:
            raise NoEffectError("the network has no convolution and no linear layer between the first and the last")
        quantize(net, points)
        net.built_with(self.replace(places=dict(points.activations)))
        net.notes.append(english("quantize_aware: {n:d} layers compute in int8", n=len(points.weights)))
        return net

    def start(self, net: Net, context: Context) -> _Rounding:
        return _Rounding(net, self.share)

    def quantize(self, trial: Trial) -> list[Measured]:
        from whet.exporting.int8 import SESSION_INT8, stored_as_int8
        from whet.exporting.trial import Candidate

        model = stored_as_int8(trial.simulated())
        if model is None:
            return []
        return [trial.measured(Candidate(english("int8, as trained"), model, SESSION_INT8))]


class _Rounding(Runtime):
    """Begins to round, and later keeps the statistics of BatchNorm."""

    def __init__(self, net: Net, share: float) -> None:
        self._net, self._share = net, share
        self._simulation = simulation_of(net)  # None where the method has no effect
        self._rounds = self._keeps = False
        self._begin(rounds=share == 1, keeps=False)

    def after_step(self, progress: Progress) -> None:
        left = 1 - progress.fraction
        self._begin(rounds=left <= self._share, keeps=left <= _STATISTICS * self._share)

    def _begin(self, *, rounds: bool, keeps: bool) -> None:
        if self._simulation is None:
            return
        if rounds:
            self._rounds = self._simulation.on = True
        if keeps and not self._keeps:
            self._keeps = True
            self._net.eval_only += [m for m in self._net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
            self._net.train(self._net.training)

    def state_dict(self) -> dict[str, Any]:
        return {"rounds": self._rounds, "keeps": self._keeps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._begin(rounds=state["rounds"], keeps=state["keeps"])
