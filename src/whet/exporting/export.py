"""`whet export`: from a finished run to a folder that predicts what the run predicts."""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from whet.bundle import Bundle
from whet.bundle.predict import MANIFEST, manifest_digest, some_of, tensor_digest
from whet.core import strict_json
from whet.core.errors import OutputError, ParityError, RecipeError
from whet.core.evidence import Evidence
from whet.core.language import english, in_its_language
from whet.core.method import Method
from whet.core.output import claim, kind_of, put, remove, require_claimable, work_folder, write_whole
from whet.core.run_folder import RunFolder
from whet.exporting.card import model_card
from whet.exporting.compression import INT8_TOLERANCE, Quantized, changed, methods_of, quantized
from whet.exporting.describe import description
from whet.exporting.gate import Parity, pass_gate
from whet.exporting.graph import onnx_model
from whet.exporting.reference import Part, evenly
from whet.exporting.source import Source
from whet.models.front import TextFront
from whet.run import Run
from whet.training.log import Observer
from whet.training.notebook_progress import default_observer

KIND = "bundle"
MODEL, CARD, GOLDEN = "model.onnx", "README.md", "golden"
SCRIPTS, OBJECTS = ("predict.py", "samples.py"), "objects.py"  # the last where objects are predicted


@in_its_language
def export(
    run: str | Path | Run,
    out: str | Path,
    *,
    methods: Sequence[Method] = (),
    tolerance: float = 1.0,
    unsure_below: float = 0.5,
    golden: int = 4,
    data: str | Path | None = None,
    language: str | None = None,
    observer: Observer | None = None,
) -> Bundle:
    """Write the model of a finished run as a bundle: a folder with the ONNX graph of everything that predicts (normalisation,
    networks, test-time augmentation, calibration), bundle.json, predict.py, which needs neither whet nor torch, and README.md.

    The bundle is compared with the run first: the scores of 64 samples with torch in single precision, and the metric of the whole
    test split (or the validation split, if there is no test split) with torch and with the run's record. The samples must therefore
    still be in the run's data. unsure_below: predictions with a lower confidence are marked as unsure. golden: how many of these
    samples are put into the bundle with their scores, so that it can be checked where it is used; 0 leaves all data out. data: the
    new location of the run's data if they were moved; samples are matched by content. language: of the model card.

    methods: of the stage AFTER, such as QuantizeStatic(), which make the exported model smaller; by default those of the recipe.
    tolerance: percentage points of the headline metric that such a method may cost. Otherwise it is undone: the bundle is written
    without it, and bundle.json says why under `compression`.

    out: a new or empty folder, which is written only after all comparisons passed. Raises ParityError where one fails, RunError,
    DataError and OutputError.
    """
    if not 0 <= unsure_below <= 1:
        raise RecipeError(f"unsure_below = {unsure_below}: accepted: a probability from 0 to 1")
    out, watch = Path(out), observer or default_observer()
    source = Source.open(run, data)
    changing, quantizing = methods_of(source.recipe, methods)
    _require_new(out, source.recipe.data.path)
    watch.phase(english("reading the samples of {run}", run=source.folder.name))
    source.part(source.judging)
    limit = tolerance / 100
    compression: list[dict[str, Any]] = []
    if changing:
        watch.phase(english("trying smaller networks"))
        source, compression = changed(source, changing, limit)
    quantizers = [functools.partial(quantized, method, source=source, tolerance=limit) for method in quantizing]
    bundle, _ = write_bundle(
        source, out, watch, quantizers, compression, tolerance=limit, unsure_below=unsure_below, golden=golden
    )
    return bundle


def write_bundle(
    source: Source, out: Path, watch: Observer, quantizers: Sequence[Callable[[Bundle, Evidence], Quantized]],
    compression: list[dict[str, Any]], *, tolerance: float, unsure_below: float = 0.5, golden: int = 4,
) -> tuple[Bundle, Evidence]:  # fmt: skip
    """Write a bundle that passed the gate. Returns it with what it predicts for the samples that judge. quantizers: tried in turn
    on the bundle in single precision, given that with what it predicts for these. compression: the
    entries of bundle.json on what was done to the networks before; tolerance: see `pass_gate`. Other arguments: see `export`."""
    part, altered = source.part(source.judging), source.reference.altered
    out.parent.mkdir(parents=True, exist_ok=True)
    with work_folder(out) as work:
        claim(work, KIND)
        watch.phase(english("exporting to ONNX"))
        info = write_draft(work, source, unsure_below)
        bundle = Bundle.read(work)
        watch.phase(english("comparing {n:,} samples with the run", n=len(part)))
        parity = pass_gate(bundle, source.reference, part, source.folder, tolerance if altered else 0.0)
        info |= _measured(source.folder, parity, source.reference.saved.precision)
        info["compression"], evidence = compression, parity.evidence
        for quantizer in quantizers:
            watch.phase(english("trying int8"))
            found = quantizer(bundle, evidence)
            info["compression"].append(found.entry)
            if found.candidate is not None and found.evidence is not None:
                evidence = found.evidence
                info["metrics"]["exported"] = {"dtype": "int8", **(found.metrics or {})}
                info |= {"session": found.candidate.session(info), "golden_tolerance": INT8_TOLERANCE}
                write_whole(work / MODEL, found.candidate.model)
                write_manifest(work, info)
                bundle = Bundle.read(work)
        info["golden"] = _write_golden(work, bundle, part, golden)
        write_whole(work / CARD, model_card(info, source.folder.name))
        write_manifest(work, info)
        if wrong := Bundle.read(work).check_golden():
            raise ParityError(f"the bundle does not repeat its own scores: {'; '.join(wrong)}")
        put(work, out)
    return Bundle.read(out), evidence


def _require_new(out: Path, data: str | None) -> None:
    require_claimable(out, KIND, data=[data])
    if out.exists() and kind_of(out) is not None:
        raise OutputError(f"{out} already holds a bundle; choose another --out")


def write_draft(folder: Path, source: Source, unsure_below: float = 0.5) -> dict[str, Any]:
    """Write a bundle without what is measured: model.onnx, tokenizer.json for texts, the scripts and bundle.json, whose contents
    are returned."""
    reference = source.reference
    saved = reference.saved
    write_whole(folder / MODEL, onnx_model(*reference.exportable(source.part(source.judging))))
    if isinstance(saved.net.front, TextFront):
        saved.net.front.tokens.save(folder)
        remove(folder / "tokenizer_config.json")
    info = description(saved, source.recipe.task, unsure_below)
    for name in (*SCRIPTS, *([OBJECTS] if info["decision"]["rule"] == "objects" else [])):
        write_whole(folder / name, importlib.resources.files("whet.bundle").joinpath(name).read_bytes())
    write_manifest(folder, info)
    return info


def _measured(folder: RunFolder, parity: Parity, precision: str) -> dict[str, Any]:
    """The entries of bundle.json on what was measured."""
    recorded = folder.read_json(folder.metrics)[parity.split]
    return {
        "metrics": {
            "split": parity.split,
            "headline": parity.metric,
            "exported": {"dtype": "fp32", **parity.exported},
            "recorded": {
                "dtype": precision,
                **{name: recorded[name] for name in parity.exported if name in recorded},
            },
        },
        "parity": parity.plain(),
    }


def _write_golden(folder: Path, bundle: Bundle, part: Part, count: int) -> list[dict[str, Any]]:
    """Copy some samples into the bundle, and return their tensors' digests and their scores."""
    found: list[dict[str, Any]] = []
    if count:
        (folder / GOLDEN).mkdir(exist_ok=True)
    for row in evenly(len(part), count):
        content = part.content(row)
        name = f"{GOLDEN}/{len(found)}{_suffix(part, row)}"
        sample = bundle.prepare(content)
        scores, probabilities = bundle.run([sample])
        write_whole(folder / name, content)
        decided = bundle.decide(sample, probabilities[0])
        shown: dict[str, Any] = {
            key: decided[key] for key in ("predicted", "confidence", "shares", "counts") if key in decided
        }
        digest, some = tensor_digest(sample), some_of(scores[0]).tolist()
        found.append({"file": name, "tensor_sha256": digest, "scores": some, **shown})
    return found


def _suffix(part: Part, row: int) -> str:
    if part.medium == "text":
        return ".txt"
    sample = part.frame.iloc[row]
    cut = "start" in part.frame and (sample["start"] == sample["start"] or sample["end"] == sample["end"])
    return ".wav" if cut else Path(sample["path"]).suffix.lower()


def write_manifest(folder: Path, info: dict[str, Any]) -> None:
    """Write bundle.json with the checksums of all other files in the folder, and its own."""
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST and not path.name.startswith(".")
    }
    whole = json.loads(strict_json.dumps({"golden": [], **info, "files": files}))
    strict_json.write(folder / MANIFEST, {**whole, "sha256": manifest_digest(whole)})
