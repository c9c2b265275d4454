from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from whet.core.language import english, english_n
from whet.core.method import Method
from whet.core.stages import Quantizes

if TYPE_CHECKING:
    from whet.exporting.int8 import StaticInt8
    from whet.exporting.trial import Candidate, Measured, Trial

_PROBES = 32  # calibration samples by which the sensitivity of a layer is judged


class QuantizeStatic(
    Method,
    Quantizes,
    family="compress",
    tasks={"image-classification", "audio-classification", "semantic-segmentation"},
):
    """Export the network in 8-bit integers, with the range of every activation fixed on training samples.

    Layers stay in floating point where the validation samples ask for it: first only the normalisation and the head, then also
    the first layer, then the most sensitive others.

    Use when: a convolutional network must be small, or fast on a CPU: a quarter of the size, and 1.5 times as fast where it was
    measured (MobileNetV1, a processor without VNNI).
    Do not use when: predictions run on a GPU or in a browser, where int8 gains no time; or for texts: use quantize_dynamic.
    Source: Jacob et al. 2018, arXiv:1712.05877, as in onnxruntime.quantization: activations uint8 by minimum and maximum, weights
    int8 for each channel, of 7 bits, which do not overflow on processors without VNNI.
    Deviates: a layer stays in floating point if that is needed to keep the metric on validation samples within the tolerance of
    the export. Layers are ordered by the change of the scores when only that layer is quantized.
    Shapes: acts on the exported graph; the run itself trains and is measured without it.
    """

    identity = None
    exceptions = {"identity": "rounded weights never equal the trained ones"}
    conflicts = frozenset({"quantize_dynamic"})

    samples: Annotated[int, Field(ge=8, le=10_000, description="training samples that fix the ranges")] = 128

    def quantize(self, trial: Trial) -> list[Measured]:
        from whet.exporting.int8 import Graph, StaticInt8

        graph, inputs = Graph(trial.model), trial.calibration(self.samples)
        if not graph.layers:
            return []
        with StaticInt8(graph, inputs) as quantizer:
            tried = [trial.measured(_candidate(quantizer, number, [0])) for number in (0, 1)]
            if min(one.cost for one in tried) > trial.tolerance:
                order = self._by_sensitivity(trial, quantizer, inputs[:: max(1, len(inputs) // _PROBES)])
                number = 2
                while number <= len(order) // 2 and tried[-1].cost > trial.tolerance:
                    tried.append(trial.measured(_candidate(quantizer, number, order)))
                    number *= 2
        return tried

    def _by_sensitivity(self, trial: Trial, quantizer: StaticInt8, inputs: list[np.ndarray]) -> list[int]:
        """The layers, the most sensitive first; before them the first layer, which is nearly always worth it."""
        from whet.exporting.trial import NAMELESS, Candidate

        exact = trial.scores(Candidate(NAMELESS, trial.model), inputs)
        errors = []
        for layer in quantizer.graph.layers:
            rounded = trial.scores(Candidate(NAMELESS, quantizer.rounded(layer)), inputs)
            errors.append(float(np.square(rounded - exact).mean()))
        return [0, *(number for number in np.argsort(errors)[::-1].tolist() if number)]


def _candidate(quantizer: StaticInt8, number: int, order: list[int]) -> Candidate:
    """The graph in int8 but for the first layers of this order."""
    from whet.exporting.int8 import SESSION_INT8
    from whet.exporting.trial import Candidate

    graph = quantizer.graph
    kept = (graph.preparation | graph.head).union(*(graph.layers[one] for one in order[:number]))
    words = (
        english_n(
            "int8, 1 layer and the head in floating point", "int8, {n} layers and the head in floating point", number
        )
        if number
        else english("int8, the head in floating point")
    )
    return Candidate(words, quantizer.quantized(kept), SESSION_INT8)
