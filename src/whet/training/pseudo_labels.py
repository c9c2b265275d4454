"""Pseudo-labels: unlabelled samples that are trained on, with the labels that the run before predicts.

`pseudo_labels/` in the run folder has `labels.npz` (ids, probabilities and weights of the chosen samples), `labels.csv` for people
(every unlabelled sample), for masks a PNG of class numbers for each image, and `labels.json`: how many were chosen of each class
and, where the folder of a sample has the name of a class, how often the label agrees with it. These names are only compared, never
trained on. The samples are in the training part of the table in memory; `data.json` and `splits.csv` do not count them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from whet.core import strict_json
from whet.core.batch import Predictor
from whet.core.language import Sentence, english
from whet.core.mask_task import MaskTask
from whet.core.masks import IGNORE, Masks
from whet.core.media import plural
from whet.core.output import remove
from whet.core.outputs import Outputs, rows_joined
from whet.core.recipe import Recipe
from whet.core.run_folder import RunFolder, write_csv
from whet.core.stages import LabelsByFeatures, LabelsSamples
from whet.core.task import VectorTask
from whet.data.image_loader import ImageLoader
from whet.data.masks.png import NumberFile
from whet.data.masks.write import write_png
from whet.data.table import UNLABELLED, Table
from whet.evaluate.evidence import read_evidence
from whet.evaluate.inference import concatenated, infer_batches
from whet.models.decoders import resized
from whet.models.linear import feature_array
from whet.training.resolve import make_fabric
from whet.training.saved import SavedModel

_RECORD, _ARRAYS, _CELLS = "labels.json", "labels.npz", "labels.csv"
_LEVELS = 1000  # of the confidence of pixels
_PIXELS = 100_000  # of each class, for the choice of the least confidence
_BATCH = 16


def add_pseudo_labels(folder: RunFolder, recipe: Recipe, table: Table) -> tuple[Table, list[Sentence]]:
    """(the samples with those that the recipe's method labels; notes)."""
    method = next((method for method in recipe.methods if isinstance(method, LabelsSamples)), None)
    if method is None or not len(table.part(UNLABELLED)):
        return table, []
    if folder.pseudo_labels.is_dir():  # from a start that was killed
        remove(folder.pseudo_labels, "*")
    folder.pseudo_labels.mkdir(exist_ok=True)
    run = RunFolder(folder.external_models / method.name)
    labeller = _Labeller(run, recipe, table)
    make = _label_masks if isinstance(table.task, MaskTask) else _label_classes
    record = make(folder, method, labeller)
    strict_json.write(folder.pseudo_labels / _RECORD, {"method": method.name, **record})
    return with_pseudo_labels(folder, table), [_note(method.name, record, table)]


def with_pseudo_labels(folder: RunFolder, table: Table) -> Table:
    """The samples with those that were labelled, as training samples."""
    if not (folder.pseudo_labels / _ARRAYS).is_file():
        return table
    with np.load(folder.pseudo_labels / _ARRAYS) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    if not len(found["ids"]):
        return table
    more = table.part(UNLABELLED).frame.set_index("id", drop=False).loc[found["ids"].tolist()].reset_index(drop=True)
    more = more.assign(split="train", label=found["labels"], weight=found["weights"])
    if "probs" in found:
        more = more.assign(probs=pd.Series(list(found["probs"]), dtype=object))
    else:
        numbers = tuple((k, k) for k in (*range(len(table.classes)), IGNORE))
        sizes = [(int(height), int(width)) for height, width in found["sizes"]]
        files = [NumberFile(str(folder.pseudo_labels / name), numbers) for name in found["files"]]
        masks = [Masks(size, class_file=file) for size, file in zip(sizes, files, strict=True)]
        more = more.assign(masks=pd.Series(masks, dtype=object))
    return table.with_frame(pd.concat([table.frame, more], ignore_index=True))


def pseudo_metrics(folder: RunFolder) -> dict[str, Any]:
    """For the metrics of a run: the counts of pseudo-labels by class."""
    path = folder.pseudo_labels / _RECORD
    return {"pseudo_labels": folder.read_json(path)} if path.is_file() else {}


class _Labeller:
    """The network of the run before, and the unlabelled samples."""

    def __init__(self, run: RunFolder, recipe: Recipe, table: Table) -> None:
        self.run, self.recipe = run, recipe
        self.train, self.more = table.part("train"), table.part(UNLABELLED)
        self.task, self.classes = table.task, table.classes
        self._fabric = make_fabric(recipe)
        self._saved = SavedModel(run.model, self._fabric.device)
        self.columns = [self._saved.classes.index(name) for name in table.classes]

    def outputs(self, rows: np.ndarray | None = None) -> Iterator[tuple[Tensor, np.ndarray]]:
        """(outputs with the classes in our order, row numbers), batch by batch; of some rows, or of all."""
        frame = self.more.frame if rows is None else self.more.frame.iloc[rows].reset_index(drop=True)
        for found, index_B in self._inferred(frame, self._saved.predictor):
            yield found[:, self.columns], index_B if rows is None else rows[index_B]

    def features(self, part: Table) -> tuple[Tensor, np.ndarray]:
        """(features (M, D) of the network, the first one where several predict; row numbers)."""
        return concatenated(self._inferred(part.frame, self._saved.net.backbone))

    def _inferred(self, frame: pd.DataFrame, predictor: Predictor) -> Iterator[tuple[Tensor, np.ndarray]]:
        saved = self._saved
        loader = saved.loader(frame, int(self.recipe.train.loader_threads))
        return infer_batches(saved.net, predictor, loader, saved.size, self._fabric.autocast, batch_size=_BATCH)

    def sizes(self, rows: np.ndarray) -> list[tuple[int, int]]:
        """(height, width) of the upright images."""
        paths = self.more.frame["path"].iloc[rows].reset_index(drop=True)
        return [(int(height), int(width)) for height, width in ImageLoader(paths, 1).sizes(np.arange(len(rows)))]

    def temperature(self, method: LabelsSamples) -> float:
        evidence: Any = read_evidence(self.run, "val")
        task = cast(VectorTask, self.task)
        logits = torch.from_numpy(np.log(np.clip(evidence.probs_NK, 1e-12, None)))
        return method.confidence_temperature(Outputs.of(logits, task.targets(evidence.labels, len(evidence.classes))))

    def known(self) -> np.ndarray:
        """The class whose name the folder of a sample has, -1 where there is none, (N,)."""
        numbers = {name: k for k, name in enumerate(self.classes)}
        parents = [PurePosixPath(id_).parts[1:-1] for id_ in self.more.frame["id"]]  # below "unlabelled"
        return np.array([numbers.get(names[-1], -1) if names else -1 for names in parents], dtype=np.int64)


def _label_classes(folder: RunFolder, method: LabelsSamples, labeller: _Labeller) -> dict[str, Any]:
    ids, K = labeller.more.frame["id"].to_numpy(), len(labeller.classes)
    if isinstance(method, LabelsByFeatures):
        temperature, (probs_NK, index_N) = None, _by_features(method, labeller)
    else:
        temperature = labeller.temperature(method)
        logits_NK, index_N = concatenated(labeller.outputs())
        probs_NK = logits_NK.double().div(temperature).softmax(dim=1).numpy()
    order = np.argsort(index_N)
    index_N, probs_NK = index_N[order], probs_NK[order]
    label_N, sure_N = probs_NK.argmax(axis=1), probs_NK.max(axis=1)
    least_K = method.least_confidences([sure_N[label_N == k] for k in range(K)])
    chosen = np.flatnonzero(sure_N >= least_K[label_N])
    targets_MK, weight_M = method.pseudo_targets(probs_NK[chosen])
    np.savez_compressed(
        folder.pseudo_labels / _ARRAYS,
        ids=ids[index_N[chosen]].astype(np.str_), labels=label_N[chosen], probs=targets_MK, weights=weight_M,
    )  # fmt: skip
    cells = zip(ids[index_N], label_N, sure_N, np.isin(np.arange(len(index_N)), chosen), strict=True)
    rows = [[id_, labeller.classes[k], f"{sure:.4f}", int(taken)] for id_, k, sure, taken in cells]
    write_csv(folder.pseudo_labels / _CELLS, ["id", "label", "confidence", "chosen"], rows, exact=True)
    known_M = labeller.known()[index_N[chosen]]
    named, right = known_M >= 0, known_M == label_N[chosen]
    classes = {
        name: {
            "chosen": int((label_N[chosen] == k).sum()),
            "predicted": int((label_N == k).sum()),
            "least_confidence": float(min(1.0, least_K[k])),
            **_agreement(right[named & (label_N[chosen] == k)]),
        }
        for k, name in enumerate(labeller.classes)
    }
    return {
        "chosen": len(chosen), "of": len(ids), **({} if temperature is None else {"temperature": temperature}),
        "classes": classes, **_agreement(right[named]),
    }  # fmt: skip


def _by_features(method: LabelsByFeatures, labeller: _Labeller) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities (M, K), row numbers) of the unlabelled samples."""
    known, row_N = labeller.features(labeller.train)
    unknown, row_M = labeller.features(labeller.more)
    label_NK = labeller.train.targets.probs_BK.numpy()[row_N]
    label_NK = np.concatenate([label_NK, np.zeros((len(row_M), label_NK.shape[1]))])
    return method.labelled_by(feature_array(rows_joined([known, unknown])), label_NK)[len(row_N) :], row_M


def _agreement(right_M: np.ndarray) -> dict[str, Any]:
    """For samples in a folder with the name of a class: their number, and how many of their labels agree."""
    return {"compared": len(right_M), "agree": int(right_M.sum())} if len(right_M) else {}


def _label_masks(folder: RunFolder, method: LabelsSamples, labeller: _Labeller) -> dict[str, Any]:
    """Two passes: the confidences of all pixels by class, then the masks."""
    K = len(labeller.classes)
    counts_KL = np.zeros((K, _LEVELS + 1), dtype=np.int64)
    for outputs, _ in labeller.outputs():
        level, label = _levels(outputs)
        np.add.at(counts_KL, (label.ravel(), level.ravel()), 1)
    middle_L = np.arange(_LEVELS + 1) / _LEVELS
    least_K = method.least_confidences([np.repeat(middle_L, _thinned(counts_L)) for counts_L in counts_KL])
    ids, files, sizes, labelled_K = list[str](), list[str](), list[tuple[int, int]](), np.zeros(K, dtype=np.int64)
    pixels = 0
    for outputs, index_B in labeller.outputs():
        for output_Khw, row, size in zip(outputs, index_B.tolist(), labeller.sizes(index_B), strict=True):
            level_1HW, label_1HW = _levels(resized(output_Khw[None], size))
            label_1HW[level_1HW / _LEVELS < least_K[label_1HW]] = IGNORE
            map_HW = label_1HW[0]
            labelled_K += np.bincount(map_HW.ravel(), minlength=IGNORE + 1)[:K]
            pixels += map_HW.size
            if (map_HW != IGNORE).any():
                ids.append(str(labeller.more.frame["id"].iloc[row]))
                files.append(f"{row:06d}.png")
                sizes.append(size)
                write_png(folder.pseudo_labels / files[-1], map_HW)
    np.savez_compressed(
        folder.pseudo_labels / _ARRAYS,
        ids=np.array(ids, dtype=np.str_), files=np.array(files, dtype=np.str_), sizes=np.array(sizes).reshape(-1, 2),
        labels=np.zeros(len(ids), dtype=np.int64), weights=np.ones(len(ids)),
    )  # fmt: skip
    classes = {
        name: {
            "chosen": int(labelled_K[k]),
            "least_confidence": float(min(1.0, least_K[k])),
        }
        for k, name in enumerate(labeller.classes)
    }
    share = float(labelled_K.sum() / max(1, pixels))
    return {"chosen": len(ids), "of": len(labeller.more), "labelled": share, "classes": classes}


def _levels(outputs_BKhw: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(the confidence of each pixel in _LEVELS steps, its class), uint16 and uint8 (B, h, w)."""
    sure_Bhw, label_Bhw = outputs_BKhw.float().softmax(dim=1).max(dim=1)
    return (sure_Bhw * _LEVELS).numpy().astype(np.uint16), label_Bhw.numpy().astype(np.uint8)


def _thinned(counts_L: np.ndarray) -> np.ndarray:
    """The same distribution with fewer pixels."""
    share = min(1.0, _PIXELS / max(1, int(counts_L.sum())))
    return np.ceil(counts_L * share).astype(np.int64)


def _note(name: str, record: dict[str, Any], table: Table) -> Sentence:
    values = {"method": name, "n": record["chosen"], "of": record["of"], "samples": plural(table.medium)}
    if "labelled" in record:
        return english(
            "{method}: masks for {n:,} of {of:,} unlabelled {samples!t}, {share:.0f} % of their pixels",
            **values, share=100 * record["labelled"],
        )  # fmt: skip
    if not record.get("compared"):
        return english("{method}: labels for {n:,} of {of:,} unlabelled {samples!t}", **values)
    return english(
        "{method}: labels for {n:,} of {of:,} unlabelled {samples!t}; {share:.0f} % of {compared:,} agree with the "
        "name of their folder",
        **values, share=100 * record["agree"] / record["compared"], compared=record["compared"],
    )  # fmt: skip
