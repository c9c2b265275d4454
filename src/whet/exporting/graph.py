"""Everything that predicts as one ONNX graph: rendered samples -> scores and probabilities."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from whet.core.errors import RunError, WhetError
from whet.core.task import Task
from whet.exporting.operations import DECOMPOSED
from whet.models.front import Front

OPSET = 18
INPUT, OUTPUTS = "samples", ("scores", "probabilities")


class WholeModel(nn.Module):
    """Rendered samples (see `Front.whole`) -> (scores, the outputs of the predictor; their probabilities), both float32. For
    objects there are only scores."""

    def __init__(self, front: Front, predictor: nn.Module, task: Task) -> None:
        super().__init__()
        self.front, self.predictor, self.task = front.whole(), predictor, task

    def forward(self, samples: Tensor) -> tuple[Tensor, ...]:
        scores = self.predictor(self.front(samples)).float()
        return (scores,) if self.task.decision == "objects" else (scores, self.task.probs(scores))


def onnx_model(model: nn.Module, example: Tensor, dynamic: tuple[int, ...]) -> bytes:
    """The ONNX file of a module in evaluation mode. example: a batch of at least two samples. dynamic: the axes of any length, the
    batch first. RunError where torch cannot export the network."""
    model = _prepared(model)
    axes = dict.fromkeys(dynamic, torch.export.Dim.DYNAMIC)
    try:
        with _quiet(), torch.no_grad():
            exported = torch.export.export(model, (example,), dynamic_shapes=(axes,), strict=False)
            if any(node.target in DECOMPOSED for node in exported.graph.nodes):
                exported = exported.run_decompositions(DECOMPOSED)
            program = torch.onnx.export(
                exported, (), dynamo=True, external_data=False, opset_version=OPSET, verbose=False,
                input_names=[INPUT], output_names=list(OUTPUTS[: len(exported.graph_signature.user_outputs)]), optimize=True,
            )  # fmt: skip
    except WhetError:
        raise
    except (
        RuntimeError,
        ValueError,
    ) as error:  # what torch.export and torch.onnx raise for a network that they cannot follow
        raise RunError(f"torch cannot export this network to ONNX: {str(error).strip().splitlines()[0]}") from None
    assert program is not None
    return _named(program.model_proto, dynamic).SerializeToString()


def _prepared(model: nn.Module) -> nn.Module:
    """A copy in which modules that have a simpler form for prediction with fixed weights (`fixed`) are replaced by it."""
    model = copy.deepcopy(model)
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if callable(fixed := getattr(child, "fixed", None)):
                setattr(parent, name, fixed())
    return model


def _named(model: Any, dynamic: tuple[int, ...]) -> Any:
    """The model with its axes of any length named, `batch` first, and without the shapes of inner values, which are those of the
    example."""
    from whet import __version__

    del model.graph.value_info[:]
    shape = model.graph.input[0].type.tensor_type.shape
    names = {shape.dim[axis].dim_param: name for axis, name in zip(dynamic, ("batch", "length"))}
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = names.get(dim.dim_param, dim.dim_param)
    model.producer_name, model.producer_version = "whet", __version__
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:  # where in the source each came from, larger than some models
        del node.metadata_props[:]
        node.doc_string = ""
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings and log messages, which speak of its own implementation."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels):
            one.setLevel(level)
