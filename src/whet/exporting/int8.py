"""8-bit integer forms of an ONNX graph, by onnxruntime's quantizer, with the parts that must stay in floating point."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from whet.core.output import write_whole
from whet.exporting.graph import INPUT

# Without this, onnxruntime quantizes the nodes again that were left in floating point between quantized ones.
SESSION_INT8 = {"optimization.disable_specified_optimizers": "WeightBiasQuantization"}
_WEIGHTED = frozenset(("Conv", "Gemm", "MatMul", "ConvTranspose"))
_LEVELS = 64  # of 7 bits, on each side of zero
_ON_LEVEL = 0.01  # of a level: how far weights in single precision are from the level that they were rounded to
_LARGEST_BIAS = 2**30
_ACTIVATIONS = frozenset(("Clip", "Relu", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu", "Mul", "Tanh", "Gelu"))


class Graph:
    """An ONNX graph and what its nodes are for. All names are those of nodes."""

    def __init__(self, model: bytes) -> None:
        import onnx

        self.content = model
        graph = onnx.load_from_string(model).graph
        self.nodes = list(graph.node)
        self._constants = {one.name for one in graph.initializer}
        self._made_by = {name: node for node in self.nodes for name in node.output}
        self._used_by: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self._used_by.setdefault(name, []).append(node)

    def weighted(self, node: Any) -> bool:
        """Whether a node multiplies by weights."""
        return node.op_type in _WEIGHTED and node.input[1] in self._constants

    @property
    def products(self) -> list[str]:
        """The matrix products with constant weights."""
        return [node.name for node in self.nodes if node.op_type in ("MatMul", "Gemm") and self.weighted(node)]

    @cached_property
    def head(self) -> frozenset[str]:
        """The last nodes with weights and everything after them: scores, averages, probabilities."""
        before: set[str] = set()  # values from which a node with weights is reached
        found = set()
        for node in reversed(self.nodes):
            if not any(name in before for name in node.output):
                found.add(node.name)
            if self.weighted(node) or any(name in before for name in node.output):
                before.update(node.input)
        return frozenset(found)

    @cached_property
    def preparation(self) -> frozenset[str]:
        """Everything before the first nodes with weights: the normalisation. Of sounds everything up to the logarithm."""
        logarithms = [node for node in self.nodes if node.op_type == "Log" and node.name not in self.head]
        if logarithms:
            return frozenset(node.name for node in self._upstream(logarithms))
        after: set[str] = set()
        found = set()
        for node in self.nodes:
            if self.weighted(node) or any(name in after for name in node.input):
                after.update(node.output)
            else:
                found.add(node.name)
        return frozenset(found)

    def _upstream(self, nodes: Sequence[Any]) -> list[Any]:
        found, waiting = {}, list(nodes)
        while waiting:
            node = waiting.pop()
            if node.name not in found:
                found[node.name] = node
                waiting += [self._made_by[name] for name in node.input if name in self._made_by]
        return list(found.values())

    @cached_property
    def layers(self) -> list[frozenset[str]]:
        """The nodes with weights between preparation and head, each with the activation that follows it, in order."""
        outside = self.head | self.preparation
        found = []
        for node in self.nodes:
            if self.weighted(node) and node.name not in outside:
                layer, last = {node.name}, node
                while len(users := self._used_by.get(last.output[0], [])) == 1 and users[0].op_type in _ACTIVATIONS:
                    last = users[0]
                    layer.add(last.name)
                found.append(frozenset(layer))
        return found


class StaticInt8:
    """Static quantization: activations by the range they have on calibration samples, uint8 with a zero point; weights int8,
    symmetric, with a scale for every output channel. One calibration serves any number of graphs.

    Weights take 7 of the 8 bits: without VNNI instructions, processors add pairs of products in 16 bits, which overflow with 8.

    samples: inputs of the graph, each a batch of one. Used in a `with` block, at whose end its temporary files are removed."""

    def __init__(self, graph: Graph, samples: Sequence[np.ndarray]) -> None:
        self.graph, self._samples = graph, samples
        self._folder = tempfile.TemporaryDirectory(prefix="whet-int8-")
        write_whole(Path(self._folder.name) / "float.onnx", graph.content)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()

    def quantized(self, kept_float: Collection[str]) -> bytes:
        """The graph with all nodes in int8 but these, and those whose type has no int8 form."""
        import importlib

        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType

        quantize = importlib.import_module("onnxruntime.quantization.quantize")  # the package hides it by a function
        samples = self._samples

        class Reader(CalibrationDataReader):
            def __init__(self) -> None:
                self._rest = iter(samples)

            def get_next(self) -> dict[str, np.ndarray] | None:
                found = next(self._rest, None)
                return None if found is None else {INPUT: found}

        source, cache, out = (Path(self._folder.name) / name for name in ("float.onnx", "ranges.json", "int8.onnx"))
        with _quiet():
            quantize.quantize_static(
                source, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=sorted(kept_float),
                calibration_cache_path=cache,
            )  # fmt: skip
        return out.read_bytes()

    def rounded(self, layer: Collection[str]) -> bytes:
        """The float graph where these nodes alone compute with rounded weights and inputs, as they would in int8. Only after
        `quantized`, which finds the ranges."""
        import importlib

        import onnx
        from onnx import helper, numpy_helper

        load = importlib.import_module("onnxruntime.quantization.quantize").load_tensors_data
        ranges = load(Path(self._folder.name) / "ranges.json")
        model = onnx.load_from_string(self.graph.content)
        tensors = {one.name: one for one in model.graph.initializer}
        inserted: list[Any] = []
        for place, node in enumerate(model.graph.node):
            if node.name not in layer or node.op_type not in _WEIGHTED:
                continue
            weight = numpy_helper.to_array(tensors[node.input[1]])
            model.graph.initializer.append(numpy_helper.from_array(_rounded(weight, node), f"{node.name}_rounded"))
            node.input[1] = f"{node.name}_rounded"
            low, high = (float(np.ravel(one)[0]) for one in ranges[node.input[0]].range_value)
            low, high = min(low, 0.0), max(high, 0.0)
            scale = np.float32((high - low) / 255 or 1.0)
            names = [f"{node.name}_{what}" for what in ("scale", "zero", "int8", "input")]
            model.graph.initializer.append(numpy_helper.from_array(np.array(scale), names[0]))
            model.graph.initializer.append(numpy_helper.from_array(np.array(round(-low / scale), np.uint8), names[1]))
            inserted += [
                (place, helper.make_node("QuantizeLinear", [node.input[0], *names[:2]], [names[2]])),
                (place, helper.make_node("DequantizeLinear", [names[2], *names[:2]], [names[3]])),
            ]
            node.input[0] = names[3]
        for place, new in reversed(inserted):
            model.graph.node.insert(place, new)
        return model.SerializeToString()


def _rounded(weight: np.ndarray, node: Any) -> np.ndarray:
    """Weights rounded to 7 bits with a scale for every output channel."""
    scale = _scales(weight, _channel(weight, node))
    return (np.round(weight / scale) * scale).astype(weight.dtype)


def _channel(weight: np.ndarray, node: Any) -> int:
    """The axis of the output channels: the first of a Conv, of others the last (or the first, where they are transposed)."""
    transposed = any(one.name == "transB" and one.i for one in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else (1 if node.op_type == "ConvTranspose" else weight.ndim - 1)


def _scales(weight: np.ndarray, channel: int) -> np.ndarray:
    """The scale of every output channel, with the number of axes of the weights."""
    others = tuple(axis for axis in range(weight.ndim) if axis != channel)
    return np.maximum(np.abs(weight).max(axis=others, keepdims=True), 1e-12) / _LEVELS


def stored_as_int8(model: bytes) -> bytes | None:
    """The graph of a network that was trained with rounding (`whet.models.fake_quantize`), with its weights in int8. Nothing is
    rounded anew: a layer is stored so if its input is rounded in the graph and its weights lie on the levels of 7 bits. None where
    there is no such layer."""
    import onnx

    graph = onnx.load_from_string(model)
    trained = _TrainedInt8(graph.graph)
    for node in graph.graph.node:
        trained.store(node)
    return trained.finished(graph) if trained.made else None


class _TrainedInt8:
    """Replaces float weights and biases of an ONNX graph by integers that are dequantized."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._tensors = {one.name: one for one in graph.initializer}
        self._made_by = {name: node for node in graph.node for name in node.output}
        self.made: dict[str, Any] = {}  # the new nodes, by the name of their output

    def store(self, node: Any) -> None:
        given = self._made_by.get(node.input[0]) if len(node.input) > 1 else None
        if node.op_type not in _WEIGHTED or given is None or given.op_type != "DequantizeLinear":
            return
        constants = (*node.input[1:], given.input[1])
        if node.op_type == "ConvTranspose" or not all(name in self._tensors for name in constants):
            return
        weight, input_scale = self._value(node.input[1]), float(self._value(given.input[1]))
        channel = _channel(weight, node)
        scales = _scales(weight, channel)
        levels = weight / scales
        if np.abs(levels - np.round(levels)).max() > _ON_LEVEL:
            return
        if len(node.input) > 2:
            bias = self._value(node.input[2])
            # Weights that are nothing beside their bias get coarser levels, so that the bias fits into 32 bits.
            least = np.abs(bias) / (input_scale * _LARGEST_BIAS)
            scales = np.maximum(scales, least.reshape(scales.shape))
            levels = weight / scales
            bias_scales = np.ravel(scales).astype(np.float32) * np.float32(input_scale)
            name = f"{node.input[2]}_of_{given.input[1]}"
            node.input[2] = self._dequantized(name, bias / bias_scales, np.int32, bias_scales, 0)
        name = f"{node.input[1]}_of_{given.input[1]}"
        node.input[1] = self._dequantized(name, levels, np.int8, np.ravel(scales).astype(np.float32), channel)

    def _value(self, name: str) -> np.ndarray:
        from onnx import numpy_helper

        return numpy_helper.to_array(self._tensors[name])

    def _dequantized(self, name: str, levels: np.ndarray, dtype: Any, scales: np.ndarray, axis: int) -> str:
        """The name of a value that is these levels times their scales."""
        from onnx import helper, numpy_helper

        names = [f"{name}_{what}" for what in ("levels", "scales", "zeros")]
        if f"{name}_float" not in self.made:
            values = (np.round(levels).astype(dtype), scales, np.zeros(len(scales), dtype))
            self._graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in zip(names, values))
            self.made[f"{name}_float"] = helper.make_node(
                "DequantizeLinear", names, [f"{name}_float"], f"{name}_dequantize", axis=axis
            )
        return f"{name}_float"

    def finished(self, model: Any) -> bytes:
        """The file, without the floats that nothing uses any more."""
        for node in self.made.values():
            self._graph.node.insert(0, node)
        used = {name for node in self._graph.node for name in node.input}
        kept = [one for one in self._graph.initializer if one.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)
        return model.SerializeToString()


def dynamic_int8(graph: Graph, kept_float: Collection[str]) -> bytes:
    """Dynamic quantization of embeddings and of matrix products with constant weights: int8 weights with a scale for every output
    channel, of 7 bits (see `StaticInt8`), activations by the range that they have in each batch."""
    import importlib

    from onnxruntime.quantization import QuantType

    quantize = importlib.import_module("onnxruntime.quantization.quantize")
    with tempfile.TemporaryDirectory(prefix="whet-int8-") as folder, _quiet():
        source, out = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        write_whole(source, graph.content)
        quantize.quantize_dynamic(
            source, out, op_types_to_quantize=["MatMul", "Gemm", "Gather"], per_channel=True, reduce_range=True,
            weight_type=QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
            # A Gemm is made a MatMul first, of this name.
            nodes_to_exclude=[*sorted(kept_float), *(f"{name}_MatMul" for name in sorted(kept_float))],
        )  # fmt: skip
        return out.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantizer's advice, which it logs at the root."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
