from __future__ import annotations

from typing import TYPE_CHECKING

from whet.core.language import english
from whet.core.method import Method
from whet.core.stages import Quantizes

if TYPE_CHECKING:
    from whet.exporting.trial import Measured, Trial


class QuantizeDynamic(
    Method,
    Quantizes,
    family="compress",
    tasks={"image-classification", "text-classification", "audio-classification"},
):
    """Export matrix products and embeddings in 8-bit integers, with the range of activations found anew in every batch.

    Use when: a transformer must be small, or fast on a CPU.
    Do not use when: most of the time is spent in convolutions, which stay in floating point: use quantize_static; or predictions
    run on a GPU or in a browser.
    Source: onnxruntime.quantization, quantize_dynamic; Zafrir et al. 2019, arXiv:1910.06188, for the idea on transformers. Weights
    int8 for each output channel, of 7 bits, which do not overflow on processors without VNNI.
    Shapes: acts on the exported graph; the run itself trains and is measured without it.
    """

    identity = None
    exceptions = {"identity": "rounded weights never equal the trained ones"}
    conflicts = frozenset({"quantize_static"})

    def quantize(self, trial: Trial) -> list[Measured]:
        from whet.exporting.int8 import Graph, dynamic_int8
        from whet.exporting.trial import Candidate

        graph = Graph(trial.model)
        if not graph.products:
            return []
        whole = Candidate(english("int8"), dynamic_int8(graph, ()))
        but_head = Candidate(english("int8, the head in floating point"), dynamic_int8(graph, graph.head))
        return [trial.measured(one) for one in (whole, but_head)]
