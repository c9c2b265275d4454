"""bundle.json: what a bundle predicts, how samples are prepared, and what was measured."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

from whet import __version__
from whet.bundle.predict import FORMAT, TOLERANCE
from whet.core.language import Sentence, english
from whet.exporting.graph import INPUT, OPSET
from whet.models.front import AudioFront, TextFront
from whet.models.tokens import MULTIPLE
from whet.tasks.instance_evidence import WORKING_SCORE
from whet.training.saved import SavedModel

# Threads that wait actively for the next operator would take the cores of a server.
SESSION = {"config": {"session.intra_op.allow_spinning": "0"}, "providers": ["CPUExecutionProvider"]}
_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "Pillow", "soundfile", "tokenizers")


def description(saved: SavedModel, problem: str, unsure_below: float) -> dict[str, Any]:
    """Everything but files, metrics and golden samples."""
    spec, task = saved.net.spec, saved.task
    return {
        "format": FORMAT,
        "problem": problem,
        "task": task.name,
        "medium": spec.medium,
        "classes": list(saved.classes),
        "input": {"name": INPUT, **_input(saved)},
        "outputs": _outputs(saved),
        "decision": {"rule": task.decision, "unsure_below": unsure_below, **_decision(saved)},
        "session": SESSION,
        "opset": OPSET,
        "golden_tolerance": TOLERANCE,
        "compression": [],
        "architecture": spec.architecture,
        "parameters": sum(parameter.numel() for parameter in saved.predictor.parameters()),
        "versions": {"whet": __version__, "python": platform.python_version(), **_versions()},
    }


_PROBABILITIES = {
    "largest": "softmax of the scores, float32 (batch, classes)",
    "each above 0.5": "sigmoid of the scores, float32 (batch, classes)",
    "pixels": "softmax of the scores over the classes, float32 (batch, classes, rows, columns), coarser than the image",
}
_OBJECTS = {
    "centre_offset": "(batch, classes + 3, rows, columns): logits of the classes, heat of centres, offsets (y, x) to the centre",
    "cond_inst": "(batch, channels, rows, columns): logits of the classes of objects, logit of the quality of the mask, then 169 "
    "parameters of a network for the mask of the object there and 8 features of the pixel, of each view or network",
    "own": "(batch, queries, rows, columns): in the first rows of a query the number of its logits, and these, the last for no "
    "object; then the logits of its mask",
}
_DECISIONS: dict[str, dict[str, Any]] = {
    "largest": {
        "words": english("the class with the largest probability"),
        "unsure": english("where the probability of the class is below {limit}", limit="unsure_below"),
    },
    "each above 0.5": {
        "words": english("every class with a probability above 0.5"),
        "unsure": english(
            "where the product of the probabilities of all decisions is below {limit}", limit="unsure_below"
        ),
    },
    "pixels": {
        "words": english(
            "for every pixel of the image the class with the largest probability, interpolated bilinearly to its size"
        ),
        "unsure": "",
    },
}


def _outputs(saved: SavedModel) -> dict[str, str]:
    if saved.task.decision == "objects":
        return {"scores": f"{_OBJECTS[saved.net.spec.head]}, float32"}
    return {
        "scores": "logits of the classes, or log-probabilities of an average, calibrated",
        "probabilities": _PROBABILITIES[saved.task.decision],
    }


def _decision(saved: SavedModel) -> dict[str, Any]:
    if saved.task.decision != "objects":
        return _DECISIONS[saved.task.decision]
    return {
        "head": saved.net.spec.head,
        "least_confidence": WORKING_SCORE,
        "words": english(
            "the objects that objects.py finds in the outputs of the head {head}, each with class, confidence, box and mask, with "
            "a confidence of at least {least}",
            head=saved.net.spec.head,
            least=WORKING_SCORE,
        ),
        "unsure": "",
    }


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _PACKAGES}


def _input(saved: SavedModel) -> dict[str, Any]:
    front, size = saved.net.front, saved.size
    if isinstance(front, TextFront):
        return {
            "dtype": "int64",
            "shape": ["batch", "length"],
            "limit": size,
            "multiple": MULTIPLE,
            "pad_id": front.tokens.pad_id,
            "unknown_id": front.tokens.unknown_id,
            "words": english(
                "token ids of tokenizer.json, the first {limit}, with its special tokens; padded with {pad} to the longest of the "
                "batch, rounded up to a multiple of {multiple}; a text without tokens is the id {unknown}",
                limit=size,
                pad=front.tokens.pad_id,
                multiple=MULTIPLE,
                unknown=front.tokens.unknown_id,
            ),
        }
    if isinstance(front, AudioFront):
        samples = max(1, round(size * front.rate / 1000))
        return {
            "dtype": "float32",
            "shape": ["batch", samples],
            "rate": front.rate,
            "samples": samples,
            "words": english(
                "a mono wave at {rate} Hz, {samples} samples ({seconds:g} s): channels averaged, a longer clip cut to its middle, "
                "a shorter one followed by silence; spectrogram and normalisation are in the graph",
                rate=front.rate,
                samples=samples,
                seconds=samples / front.rate,
            ),
        }
    return {
        "dtype": "uint8",
        "shape": ["batch", size, size, 3],
        "height": size,
        "width": size,
        "fit": saved.fit,
        "words": _pixels(size, saved.fit),
    }


def _pixels(side: int, fit: str) -> Sentence:
    if fit == "squash":
        return english(
            "RGB pixels 0 … 255 of {side} x {side}, rows first; upright, on white where transparent; the whole image, its sides "
            "scaled separately; reduced by whole factors (JPEG decoder, areas), then bilinear with half-pixel centres; the "
            "normalisation is in the graph; predict.py has the exact rule",
            side=side,
        )
    return english(
        "RGB pixels 0 … 255 of {side} x {side}, rows first; upright, on white where transparent; the largest centred square; "
        "reduced by whole factors (JPEG decoder, areas), then bilinear with half-pixel centres; the normalisation is in the graph; "
        "predict.py has the exact rule",
        side=side,
    )
