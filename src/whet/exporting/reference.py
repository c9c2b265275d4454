"""What a run predicts in torch, in single precision: the standard that an exported model is held to."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from torch import Tensor

from whet.bundle import Bundle, Prepared
from whet.core.errors import DataError, RunError
from whet.core.evidence import Evidence
from whet.core.mask_task import MaskTask
from whet.core.run_folder import RunFolder
from whet.core.stages import Compresses
from whet.data.audio import audio_info, decode
from whet.data.loader import chunks
from whet.data.mask_store import MaskStore
from whet.data.table import Table
from whet.evaluate.inference import run_inference
from whet.exporting.graph import WholeModel
from whet.models.fake_quantize import set_exact
from whet.models.front import TextFront
from whet.run_samples import targets_of
from whet.tasks.grouping import detection
from whet.tasks.instance_segmentation import InstanceSegmentation
from whet.training.saved import SavedModel

_THREADS = 2


@dataclass(frozen=True)
class Part:
    """The samples that an export is judged by: a split of the run. label_N: in the order of the run's classes."""

    split: str
    frame: pd.DataFrame
    labels: np.ndarray
    medium: str
    masks: MaskStore | None = None

    @classmethod
    def of(cls, table: Table, split: str, classes: tuple[str, ...]) -> Part:
        part = table.part(split)
        if not len(part):
            raise DataError(
                f"data {table.root} no longer contain the {split} samples of the run, by which an export is checked"
            )
        frame, labels, masks = part.frame, targets_of(part, classes, f"data {table.root}"), None
        if isinstance(part.task, MaskTask):
            numbers = tuple(classes.index(name) for name in part.classes)
            frame = frame.assign(masks=[one.renumbered(numbers) for one in frame["masks"]])
            masks = MaskStore(frame["masks"], part.task.map_of)
        return cls(split, frame, labels, part.medium, masks)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def ids(self) -> np.ndarray:
        return self.frame["id"].to_numpy()

    def content(self, row: int) -> bytes:
        """One sample as a file: its bytes, the text in UTF-8, or its segment of an audio file as WAV."""
        found: Mapping[str, Any] = self.frame.iloc[row]
        if self.medium == "text":
            return str(found["text"]).encode()
        start, end = (_seconds(found, side) for side in ("start", "end"))
        if start is None and end is None:
            return Path(found["path"]).read_bytes()
        path, file = Path(found["path"]), io.BytesIO()
        soundfile.write(file, decode(path, start=start, end=end), audio_info(path).rate, "FLOAT", format="WAV")
        return file.getvalue()

    def maps(self, rows: Sequence[int]) -> list[Any] | None:
        """The masks of these rows in their own size; None for other tasks. DataError where one cannot be read."""
        return None if self.masks is None else [self.masks[row] for row in rows]

    def evidence(self, reference: Reference, rows: np.ndarray, statistics_NS: np.ndarray) -> Evidence:
        """The evidence from the statistics of these rows."""
        task, classes = reference.saved.task, reference.saved.classes
        return task.evidence(classes, self.ids[rows], self.labels[rows], statistics_NS).by_id()


def _seconds(row: Mapping[str, Any], side: str) -> float | None:
    return float(row[side]) if side in row and row[side] == row[side] and row[side] is not None else None


class Reference:
    """The model of a run on the CPU, without autocast, and without the rounding that networks may have been trained with (see
    `simulated`). compressing: methods that are applied to its networks first. leave_out: names of methods of prediction that are
    left out. altered: whether it therefore predicts otherwise than the run."""

    def __init__(
        self, folder: RunFolder, compressing: Sequence[Compresses] = (), leave_out: Collection[str] = ()
    ) -> None:
        self.saved = SavedModel(folder.model, torch.device("cpu"), compressing, leave_out)
        rounds = set_exact(self.saved.predictor, True)
        self.altered = bool(compressing or leave_out or rounds)

    @contextlib.contextmanager
    def simulated(self) -> Iterator[None]:
        """Within the block, networks that were trained with rounding compute with it, as the run does."""
        set_exact(self.saved.predictor, False)
        try:
            yield
        finally:
            set_exact(self.saved.predictor, True)

    def exportable(self, part: Part) -> tuple[WholeModel, Tensor, tuple[int, ...]]:
        """The arguments of `onnx_model` for everything that predicts."""
        saved = self.saved
        model = WholeModel(saved.net.front, saved.predictor, saved.task).eval()
        return model, self._example(part), (0, 1) if part.medium == "text" else (0,)

    def _example(self, part: Part) -> Tensor:
        """Two samples, or one twice."""
        front = self.saved.net.front
        if isinstance(front, TextFront):
            texts = part.frame["text"].tolist()
            longest = sorted(texts, key=len)[-2:]
            return torch.from_numpy(front.tokens.encode([longest[0], longest[-1]], self.saved.size))
        found = list(self.rendered(part.frame.iloc[evenly(len(part), 8)]).values())
        if not found:
            raise RunError(f"none of the first {part.split} samples can be read; {part.ids[0]}")
        return torch.stack([torch.from_numpy(found[0].copy()), torch.from_numpy(found[-1].copy())])

    def outputs(self, batch: np.ndarray) -> np.ndarray:
        """The outputs for rendered samples, float32 (B, …)."""
        net = self.saved.net
        with torch.inference_mode():
            text = isinstance(net.front, TextFront)
            x = net.front(torch.from_numpy(batch)) if text else net.prepare(batch)
            return self.saved.predictor(x).float().numpy()

    def rendered(self, frame: pd.DataFrame) -> dict[int, np.ndarray]:
        """The samples as this run's loader renders them, by row; unreadable ones are left out. Of texts their token ids."""
        saved, found = self.saved, {}
        loader = saved.loader(frame.reset_index(drop=True), _THREADS)
        for batch in loader.batches(chunks(np.arange(len(frame)), 1), saved.size):
            for content, index in zip(batch.content, batch.index_B.tolist()):
                found[index] = (
                    saved.net.front.tokens.encode([content], saved.size)[0]
                    if isinstance(saved.net.front, TextFront)
                    else content
                )
        return found

    def kept(
        self, bundle: Bundle, samples: Sequence[Prepared], outputs: np.ndarray, maps: Sequence[Any] | None
    ) -> Tensor:
        """The statistics of the task for a bundle's outputs for a batch, on the CPU. Objects are found by the bundle itself."""
        task = self.saved.task
        if not isinstance(task, InstanceSegmentation) or maps is None:
            return task.statistics(torch.from_numpy(outputs), maps)
        found_B = [[detection(one) for one in bundle.objects(*each)] for each in zip(samples, outputs, strict=True)]
        return task.statistics_of(found_B, maps, len(self.saved.classes))

    def evidence(self, part: Part) -> Evidence:
        """The evidence of a part's samples that can be read."""
        statistics_NS, row_N, _ = self.statistics(part.frame)
        return part.evidence(self, row_N, statistics_NS)

    def statistics(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
        """(statistics of the task for the samples that can be read, their rows, the reason for the others)."""
        failed: dict[int, str] = {}
        loader = self.saved.loader(frame.reset_index(drop=True), _THREADS)
        found_NS, row_N = run_inference(
            self.saved.net, self.saved.predictor, loader, self.saved.size, contextlib.nullcontext,
            failed.__setitem__, None, self.saved.task.statistics,
        )  # fmt: skip
        order_N = np.argsort(row_N)
        return found_NS.double().numpy()[order_N], row_N[order_N], failed


def evenly(count: int, most: int) -> Sequence[int]:
    """At most this many of the numbers 0 … count - 1, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)).tolist()
