"""Inference with a finished run: loading, preprocessing and prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import scipy.sparse
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from sklearn.preprocessing import normalize
from torch import Tensor

from whet.core.errors import DataError, RunError
from whet.core.mask_task import MaskTask
from whet.core.process import hush_fabric, keep_freed_memory, one_thread_after_fork
from whet.core.run_folder import RunFolder
from whet.core.task import VectorTask
from whet.data.image import decode
from whet.evaluate.inference import prepared, run_inference
from whet.explain import Explanation, explain
from whet.models.linear import SparseFeatures
from whet.segments import SegmentedImage
from whet.training.precision import has_bf16
from whet.training.saved import SavedModel

_LOADER_THREADS = 2
_MASKS_AT_ONCE = 4


def _enlarged(x_BCHW: Tensor) -> Tensor:
    """The middle seven eighths of each side, at the size of the whole."""
    height, width = x_BCHW.shape[2:]
    top, left = height // 16, width // 16
    middle = x_BCHW[:, :, top : height - top, left : width - left]
    return F.interpolate(middle, size=(height, width), mode="bilinear", antialias=True)


_VIEWS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x,
    lambda x: x.flip(3),
    _enlarged,
    lambda x: _enlarged(x.flip(3)),
)


class InferenceModel:
    """Predicts the rows of a data frame (`path` or `text`). Rows with a reason in the optional column `error` are skipped. Raises
    RunError if the run is not finished."""

    def __init__(self, folder: RunFolder) -> None:
        if not folder.finished:
            raise RunError(f"{folder.path} is not finished; continue it with: whet train --resume {folder.path}")
        keep_freed_memory()
        one_thread_after_fork()
        hush_fabric()
        device = Fabric(accelerator="auto", devices=1).device
        self._saved = SavedModel(folder.model, device)
        self.classes, self.task = self._saved.classes, self._saved.task
        bf16 = self._saved.precision == "bf16" and has_bf16(device)
        self._fabric = Fabric(accelerator="auto", devices=1, precision="bf16-mixed" if bf16 else "32-true")

    def statistics(self, frame: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
        """(the statistics of the task for each row, float64 (N, S); an error or '' for each row). Rows with an error are NaN."""
        errors = list(frame["error"]) if "error" in frame else [""] * len(frame)
        row_M = _tried(frame)

        def failed(index: int, reason: str) -> None:
            errors[row_M[index]] = reason

        saved, found_NS = self._saved, np.full((len(frame), 0), np.nan)
        if len(row_M):
            loader = saved.loader(_rows(frame, row_M), _LOADER_THREADS)
            found, index_M = run_inference(
                saved.net,
                saved.predictor,
                loader,
                saved.size,
                self._fabric.autocast,
                failed,
                None,
                self.task.statistics,
            )
            found_NS = np.full((len(frame), found.shape[1]), np.nan)
            found_NS[row_M[index_M]] = found.double().numpy()
        return found_NS, errors

    def probabilities(self, frame: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
        """(probabilities (N, K), an error or '' for each row), of a task with classes. Rows with an error are NaN."""
        found_NS, errors = self.statistics(frame)
        probs_NK = np.full((len(frame), len(self.classes)), np.nan)
        read = np.array([not error for error in errors], dtype=bool)
        if read.any():
            probs_NK[read] = cast(VectorTask, self.task).probabilities(found_NS[read])
        return probs_NK, errors

    def features(self, frame: pd.DataFrame) -> Any:
        """The features of the first network, rows of length 1, float32 (N, D); a sparse matrix where most are zero. All rows must
        be readable."""
        backbone = self._saved.net.backbone
        found = self._outputs(frame, backbone.sparse if isinstance(backbone, SparseFeatures) else backbone)
        if found.is_sparse:
            indices, values = found.coalesce().indices().numpy(), found.coalesce().values().numpy()
            return normalize(scipy.sparse.csr_matrix((values, indices), shape=tuple(found.shape)))
        return normalize(found.numpy())

    def committee(self, frame: pd.DataFrame) -> np.ndarray:
        """Probabilities (M, N, K) that may disagree: of the members of an ensemble, before any calibration; for images and one
        network, of the predictor for four views: as it is, mirrored, and both enlarged by an eighth. All rows must be readable.
        Raises RunError for one network of another medium."""
        saved = self._saved
        if len(saved.members) > 1:
            predictors: list[Callable[[Tensor], Tensor]] = list(saved.members)
        elif saved.net.spec.medium == "image":
            predictors = [lambda x, view=view: saved.predictor(view(x)) for view in _VIEWS]  # type: ignore[misc]
        else:
            raise RunError(
                "this run has one network, which cannot disagree with itself; give several runs, or an ensemble of them"
            )
        probabilities = cast(VectorTask, self.task).probabilities
        return np.stack([probabilities(self._outputs(frame, one).double().numpy()) for one in predictors])

    def _outputs(self, frame: pd.DataFrame, predictor: Callable[[Tensor], Tensor]) -> Tensor:
        """The outputs for all rows, in their order."""
        failed: dict[int, str] = {}
        saved = self._saved
        loader = saved.loader(frame.reset_index(drop=True), _LOADER_THREADS)
        found, index_N = run_inference(
            saved.net, predictor, loader, saved.size, self._fabric.autocast, failed.__setitem__
        )
        if failed:
            row, reason = min(failed.items())
            raise DataError(f"{frame['path'].iloc[row]}: {reason}")
        return found.index_select(0, torch.from_numpy(np.argsort(index_N)))

    def shares(self, frame: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
        """(the share of each class in the predicted mask (N, K), an error or '' for each row). Rows with an error are NaN."""
        shares_NK, errors = np.full((len(frame), len(self.classes)), np.nan), []
        for row, one in enumerate(self.segmented(frame)):
            errors.append(one.error)
            if one.found is not None:
                shares_NK[row] = [float((one.found.map_HW == k).mean()) for k in range(len(self.classes))]
        return shares_NK, errors

    def segmented(self, frame: pd.DataFrame) -> Iterator[SegmentedImage]:
        """The predicted masks of images, in the order of the rows, a batch at a time."""
        errors = dict(enumerate(frame["error"])) if "error" in frame else {}
        names, paths = list(frame["name"]), list(frame["path"])
        row_M, saved, task = _tried(frame), self._saved, cast(MaskTask, self.task)
        reasons: dict[int, str] = {}
        loader = saved.loader(_rows(frame, row_M), _LOADER_THREADS)
        following = 0
        for x, rendered in prepared(saved.net, loader, saved.size, reasons.__setitem__, _MASKS_AT_ONCE):
            with torch.inference_mode(), self._fabric.autocast():
                outputs_BChw = saved.predictor(x).float().cpu().numpy()
            for outputs_Chw, index in zip(outputs_BChw, rendered.index_B.tolist()):
                row = int(row_M[index])
                for skipped in range(following, row):
                    yield self._not_segmented(names[skipped], errors.get(skipped) or reasons[_place(row_M, skipped)])
                following = row + 1
                pixels = decode(Path(paths[row]).read_bytes())
                found = task.predicted(outputs_Chw, pixels.shape[:2])
                yield SegmentedImage(names[row], "", found, pixels, task.counts_objects)
        for skipped in range(following, len(frame)):
            yield self._not_segmented(names[skipped], errors.get(skipped) or reasons[_place(row_M, skipped)])

    def _not_segmented(self, name: str, error: str) -> SegmentedImage:
        return SegmentedImage(name, error, objects=cast(MaskTask, self.task).counts_objects)

    def explanations(
        self, frame: pd.DataFrame, class_N: Sequence[int] | np.ndarray
    ) -> Iterator[tuple[int, Explanation]]:
        """Explain these classes for the rows: yields row numbers and explanations of the rows that can be read."""
        saved, row_M = self._saved, _tried(frame)
        if not len(row_M):
            return
        loader = saved.loader(_rows(frame, row_M), _LOADER_THREADS)
        for index, explanation in explain(saved.members, loader, saved.size, np.asarray(class_N)[row_M]):
            yield int(row_M[index]), explanation

    def prediction(self, probs_K: np.ndarray) -> tuple[str | list[str], float]:
        """(the predicted class, or the list of labels for multi-label data; its probability)."""
        return cast(VectorTask, self.task).prediction(probs_K, self.classes)


def _tried(frame: pd.DataFrame) -> np.ndarray:
    """The row numbers without an error."""
    return np.flatnonzero(frame["error"] == "") if "error" in frame else np.arange(len(frame))


def _place(row_M: np.ndarray, row: int) -> int:
    return int(np.searchsorted(row_M, row))


def _rows(frame: pd.DataFrame, row_M: np.ndarray) -> pd.DataFrame:
    return frame.iloc[row_M].reset_index(drop=True)
