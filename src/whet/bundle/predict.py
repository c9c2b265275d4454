"""Predict with an exported model: python predict.py FILE …

This file and samples.py are a part of every bundle, and stand alone. They need onnxruntime and NumPy, and Pillow for images,
soundfile for audio clips or tokenizers for texts; objects.py is there where objects are predicted. `Bundle.read(folder)` loads a
bundle, `predict` predicts files or texts in bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING or __package__:
    from whet.bundle.samples import Prepared, Unreadable, most_likely, read_audio, read_image, read_text
else:  # a copy in a bundle
    from samples import Prepared, Unreadable, most_likely, read_audio, read_image, read_text

FORMAT = 1
MANIFEST = "bundle.json"
BATCH = 16
TOLERANCE = 1e-3  # of scores in single precision that are computed again, times 1 + the largest score


class BundleError(Exception):
    """A folder that is no bundle, or whose files were changed or damaged."""


class Bundle:
    """A model with its preprocessing. info: the contents of bundle.json. All methods may be called by several threads at once."""

    def __init__(self, path: Path, info: dict[str, Any], session: Any, tokenizer: Any = None) -> None:
        self.path, self.info, self._session, self._tokenizer = path, info, session, tokenizer
        self.classes: tuple[str, ...] = tuple(info["classes"])
        self.medium: str = info["medium"]
        self.task: str = info["task"]

    @classmethod
    def read(cls, path: str | Path, *, threads: int = 0) -> Self:
        """Load a bundle and verify the checksums of its files. threads: for one batch, 0 for as many as there are cores. Raises
        BundleError, which names the file."""
        path = Path(path)
        info = read_manifest(path)
        contents = {name: _verified(path, name, digest) for name, digest in info["files"].items()}
        tokenizer = None
        if info["medium"] == "text":
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_str(contents["tokenizer.json"].decode())
            tokenizer.no_padding()
            tokenizer.enable_truncation(info["input"]["limit"])
        return cls(path, info, open_session(contents["model.onnx"], info["session"], threads), tokenizer)

    def prepare(self, data: bytes | str) -> Prepared:
        """One sample, the bytes of a file or a text, as the network takes it. Raises Unreadable."""
        settings = self.info["input"]
        if self.medium == "text":
            ids = self._tokenizer.encode(read_text(data)).ids or [settings["unknown_id"]]
            return Prepared(np.array(ids, dtype=np.int64))
        if isinstance(data, str):
            raise Unreadable(f"a text; this bundle predicts {self.medium} files: give their bytes")
        if self.medium == "audio":
            return read_audio(data, settings["rate"], settings["samples"])
        return read_image(data, (settings["height"], settings["width"]), settings["fit"])

    def batch(self, samples: Sequence[Prepared]) -> np.ndarray:
        """Prepared samples in one array, the input of the graph; texts are padded to the longest."""
        if self.medium != "text":
            return np.stack([one.tensor for one in samples])
        settings = self.info["input"]
        longest, multiple = max(len(one.tensor) for one in samples), settings["multiple"]
        width = min(-(-longest // multiple) * multiple, settings["limit"])
        ids_BL = np.full((len(samples), width), settings["pad_id"], dtype=np.int64)
        for row, one in zip(ids_BL, samples):
            row[: len(one.tensor)] = one.tensor
        return ids_BL

    def run(self, samples: Sequence[Prepared]) -> tuple[np.ndarray, np.ndarray]:
        """(scores, probabilities) of one batch, float32 (B, K), or (B, K, h, w) of masks. Of objects there are only the outputs
        from which they follow, (B, C, h, w), in place of both."""
        found = self._session.run([one.name for one in self._session.get_outputs()], {"samples": self.batch(samples)})
        return found[0], found[-1]

    def decide(self, sample: Prepared, probabilities: np.ndarray) -> dict[str, Any]:
        """The prediction from the probabilities of one sample.

        predicted: the class, or the list of labels where a sample may have several. confidence: the probability of the class, or
        of the whole list for independent labels. unsure: whether it is below the bundle's `unsure_below`. probabilities: by class.
        Of masks instead mask: the class number of every pixel, uint8 (H, W) in the size of the image, and shares: of the pixels, by
        class. Of objects see `objects.described`."""
        rule = self.info["decision"]["rule"]
        if rule == "objects":
            return self._described(sample, probabilities)
        if rule == "pixels":
            mask_HW, _ = most_likely(probabilities, self._size(sample))
            share_K = np.bincount(mask_HW.ravel(), minlength=len(self.classes)) / mask_HW.size
            return {"mask": mask_HW, "shares": dict(zip(self.classes, share_K.tolist()))}
        p_K = probabilities.astype(np.float64)
        predicted: Any
        if rule == "largest":
            predicted, confidence = self.classes[int(p_K.argmax())], float(p_K.max())
        else:
            predicted = [name for name, p in zip(self.classes, p_K) if p > 0.5]
            confidence = float(np.maximum(p_K, 1 - p_K).prod())
        return {
            "predicted": predicted,
            "confidence": confidence,
            "unsure": confidence < self.info["decision"]["unsure_below"],
            "probabilities": dict(zip(self.classes, p_K.tolist())),
        }

    def objects(self, sample: Prepared, outputs: np.ndarray) -> list[Any]:
        """All objects (`objects.Object`), whatever their confidence, from the outputs for one sample."""
        return _objects().objects_of(self.info["decision"]["head"], outputs, len(self.classes), self._size(sample))

    def _described(self, sample: Prepared, outputs: np.ndarray) -> dict[str, Any]:
        found, least = self.objects(sample, outputs), self.info["decision"]["least_confidence"]
        described: dict[str, Any] = _objects().described(found, self.classes, least, self._size(sample))
        return described

    def _size(self, sample: Prepared) -> tuple[int, int]:
        height, width = sample.size or sample.tensor.shape[:2]
        return height, width

    def predict(self, inputs: Iterable[bytes | str]) -> list[dict[str, Any]]:
        """A dict for every file (its bytes) or text, in order: that of `decide` and error, ""; or error alone, the reason why it
        cannot be read."""
        found: list[dict[str, Any]] = []
        ready: list[tuple[int, Prepared]] = []
        for number, data in enumerate(inputs):
            try:
                ready.append((number, self.prepare(data)))
                found.append({"error": ""})
            except Unreadable as error:
                found.append({"error": str(error)})
        ready.sort(key=lambda one: len(one[1].tensor))  # texts of similar lengths need less padding
        for start in range(0, len(ready), BATCH):
            several = ready[start : start + BATCH]
            _, probabilities = self.run([one for _, one in several])
            for (number, one), row in zip(several, probabilities):
                found[number] = {**self.decide(one, row), "error": ""}
        return found

    def check_golden(self) -> list[str]:
        """Predict the golden samples again. Returns what differs from the recorded scores, in words: nothing where the bundle works
        here as it did where it was exported."""
        wrong = []
        for golden in self.info["golden"]:
            sample = self.prepare((self.path / golden["file"]).read_bytes())
            expected = np.array(golden["scores"], dtype=np.float32)
            same = tensor_digest(sample) == golden["tensor_sha256"]
            difference = float(np.abs(some_of(self.run([sample])[0][0]) - expected).max())
            if not difference <= self.info["golden_tolerance"] * (1 + float(np.abs(expected).max())):
                where = "from equal tensors" if same else "and so do the decoded and resized tensors"
                wrong.append(f"{golden['file']}: scores differ by up to {difference:.3g}, {where}")
        return wrong


def _objects() -> Any:
    """The module objects.py, which only bundles that predict objects have."""
    return importlib.import_module("whet.bundle.objects" if __package__ else "objects")


def some_of(scores: np.ndarray) -> np.ndarray:
    """At most 512 of the scores of a sample, evenly spaced: all of a vector, some of a mask."""
    return scores.ravel()[:: max(1, scores.size // 256)]


# --- the folder -------------------------------------------------------------------------------------------------------
def read_manifest(path: Path) -> dict[str, Any]:
    """bundle.json, of a known format and with its own checksum verified. Raises BundleError."""
    try:
        info = json.loads((path / MANIFEST).read_bytes())
        digest = info.pop("sha256")
    except FileNotFoundError:
        raise BundleError(f"{path} is not a bundle: it has no {MANIFEST}") from None
    except (ValueError, KeyError, AttributeError, OSError) as error:
        raise BundleError(f"{path / MANIFEST} cannot be read, it was changed or damaged: {error}") from None
    if manifest_digest(info) != digest:
        raise BundleError(f"{path / MANIFEST} was changed or damaged: its SHA-256 is not the recorded one")
    if info["format"] != FORMAT:
        raise BundleError(f"{path / MANIFEST} has format {info['format']}; accepted: {FORMAT}")
    return info


def manifest_digest(info: dict[str, Any]) -> str:
    """The SHA-256 of bundle.json without its entry `sha256`, independent of white space and of the order of keys."""
    return hashlib.sha256(json.dumps(info, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def tensor_digest(sample: Prepared) -> str:
    return hashlib.sha256(np.ascontiguousarray(sample.tensor).tobytes()).hexdigest()


def open_session(model: bytes, settings: dict[str, Any], threads: int = 0) -> Any:
    """The onnxruntime session of a model with the bundle's session options and providers."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    for key, value in settings["config"].items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(model, options, providers=settings["providers"])


def _verified(path: Path, name: str, digest: str) -> bytes:
    try:
        content = (path / name).read_bytes()
    except OSError as error:
        raise BundleError(f"{path / name} cannot be read: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise BundleError(f"{path / name} was changed or damaged: its SHA-256 is not that in {MANIFEST}")
    return content


# --- the command ------------------------------------------------------------------------------------------------------
def main() -> int:
    parser = argparse.ArgumentParser(description="Predict files with the model in this folder.")
    parser.add_argument("inputs", nargs="+", help="files; with --text, texts")
    parser.add_argument("--bundle", type=Path, default=Path(__file__).resolve().parent, help="the folder of the model")
    parser.add_argument("--text", action="store_true", help="the inputs are texts, not files")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--masks",
        type=Path,
        help="a folder for the masks of a segmentation, as PNG files of class numbers, or of the numbers of objects",
    )
    given = parser.parse_args()
    try:
        bundle = Bundle.read(given.bundle)
        samples = given.inputs if given.text else [Path(name).read_bytes() for name in given.inputs]
    except (BundleError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    found = [{"input": name, **one} for name, one in zip(given.inputs, bundle.predict(samples))]
    for number, one in enumerate(found):
        for kind in {"mask", "ids"} & one.keys():
            mask_HW = one.pop(kind)
            if given.masks is not None:
                one[kind] = _written(mask_HW, given.masks / f"{number}-{Path(one['input']).stem}.png")
    if given.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for one in found:
            print(f"{one['input']}\t{one['error'] or _line(one)}")
    return int(all(one["error"] for one in found))


def _written(mask_HW: np.ndarray, path: Path) -> str:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask_HW).save(path)
    return str(path)


def _line(found: dict[str, Any]) -> str:
    if "shares" in found:
        return ", ".join(f"{name} {100 * share:.1f} %" for name, share in found["shares"].items() if share)
    if "counts" in found:
        return ", ".join(f"{count} {name}" for name, count in found["counts"].items() if count) or "no objects"
    predicted = found["predicted"] if isinstance(found["predicted"], str) else ", ".join(found["predicted"]) or "none"
    return f"{predicted}\t{100 * found['confidence']:.1f} %{'  (unsure)' if found['unsure'] else ''}"


if __name__ == "__main__":
    sys.exit(main())
