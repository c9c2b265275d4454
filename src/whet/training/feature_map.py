"""The samples in two dimensions, by the features that the network had for them while they were predicted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import scipy.sparse
import torch
import torch.nn.functional as F
from torch import Tensor

from whet.core import strict_json
from whet.core.output import empty
from whet.core.run_folder import RunFolder
from whet.data.table import Table
from whet.evaluate.reduce import reduced
from whet.models.front import AudioFront, Front, ImageFront
from whet.models.linear import feature_array
from whet.models.net import Net
from whet.training.sample_files import coloured_spectrogram

MOST, LEAST = 1000, 12  # samples
_TILE, _SMALL_TILE, _MANY = 64, 48, 500  # pixels of a small image, and beyond how many samples it is smaller
_QUALITY = 72
_LETTERS = 160
_PERPLEXITY, _ITERATIONS, _START = 30.0, 500, 1e-4


class FeatureWatch:
    """Collects features and small images of some samples while a network predicts them, so that no further pass is needed."""

    def __init__(self, net: Net, ids: Sequence[str], tile: int) -> None:
        self._front, self._wanted, self.tile = net.front, set(ids), tile
        self._seen: tuple[Tensor, Tensor] | None = None
        self.features: dict[str, Any] = {}
        self.images: dict[str, np.ndarray] = {}

    def notice(self, module: torch.nn.Module, inputs: tuple[Any, ...], features: Any) -> None:
        """A forward hook. Of several views of a batch the first is kept, which is the unchanged one."""
        if self._seen is None and isinstance(features, Tensor):
            self._seen = inputs[0], features

    def keep(self, ids_B: Sequence[str], outputs: Tensor) -> None:
        """The samples of the batch that was predicted. outputs: they are features themselves if they are sparse."""
        seen, self._seen = self._seen, None
        rows = [row for row, id_ in enumerate(ids_B) if id_ in self._wanted]
        features = outputs if outputs.is_sparse else seen[1] if seen is not None else None
        if features is None or features.ndim != 2 or len(features) != len(ids_B) or not rows:
            return
        names = [list(ids_B)[row] for row in rows]
        chosen = features.detach().index_select(0, torch.tensor(rows, device=features.device)).float().cpu()
        self.features.update(zip(names, feature_array(chosen)))
        if seen is not None and len(seen[0]) == len(ids_B):
            self.images.update(zip(names, small_images(self._front, seen[0][rows], self.tile)))


@contextlib.contextmanager
def watched(net: Net, part: Table) -> Iterator[FeatureWatch | None]:
    """Watch a network while it predicts these samples, evenly spaced ones if there are many; None where there is nothing to show:
    few samples, or a network that predicts pixels."""
    if net.by_pixel or len(part) < LEAST or "feature_map" not in part.task.sections:
        yield None
        return
    rows = np.unique(np.linspace(0, len(part) - 1, min(MOST, len(part))).round().astype(int))
    watch = FeatureWatch(net, part.frame["id"].iloc[rows].tolist(), _TILE if len(rows) <= _MANY else _SMALL_TILE)
    hook = net.backbone.register_forward_hook(watch.notice)
    try:
        yield watch
    finally:
        hook.remove()


def small_images(front: Front, inputs_B: Tensor, tile: int) -> list[np.ndarray]:
    """Inputs of a network as images, RGB uint8 (tile, tile, 3); none for texts and waves."""
    if isinstance(front, ImageFront):
        small = F.interpolate(inputs_B.float(), size=(tile, tile), mode="bilinear", antialias=True)
        pixels = (255 * (small * front.std + front.mean)).round().clamp(0, 255).to(torch.uint8)
        return list(pixels.permute(0, 2, 3, 1).cpu().numpy())
    if isinstance(front, AudioFront) and inputs_B.ndim == 4:
        mel_BLM = (inputs_B[:, 0].float() * front.std + front.mean).cpu().numpy()
        return [
            cv2.resize(coloured_spectrogram(mel_LM), (tile, tile), interpolation=cv2.INTER_AREA) for mel_LM in mel_BLM
        ]
    return []


def write_feature_map(watch: FeatureWatch | None, part: Table, split: str, folder: RunFolder) -> None:
    """Write feature_map/: the positions of the samples in two ways, with small images or the first words. Nothing where the
    network gave no features."""
    empty(folder.feature_map)
    if watch is None or len(watch.features) < LEAST:
        return
    folder.feature_map.mkdir()
    ids = [id_ for id_ in part.frame["id"].tolist() if id_ in watch.features]
    rows = [watch.features[id_] for id_ in ids]
    components_N2, neighbours_N2 = positions(
        scipy.sparse.vstack(rows).tocsr() if scipy.sparse.issparse(rows[0]) else np.stack(rows)
    )
    found: dict[str, Any] = {
        "split": split, "ids": ids, "components": components_N2.round(4).tolist(), "neighbours": neighbours_N2.round(3).tolist(),
    }  # fmt: skip
    if "text" in part.frame:
        texts = part.frame.set_index("id")["text"].loc[ids]
        found["texts"] = [text if len(text) <= _LETTERS else text[:_LETTERS] + " …" for text in texts]
    elif len(watch.images) == len(watch.features):
        found["tile"], found["columns"] = watch.tile, int(np.ceil(np.sqrt(len(ids))))
        _write_sheet([watch.images[id_] for id_ in ids], found["columns"], folder)
    strict_json.write(folder.feature_map / "map.json", found)


def positions(features_ND: Any) -> tuple[np.ndarray, np.ndarray]:
    """(the first two principal components, t-SNE of the first 64 that starts there), each (N, 2).
    Source: van der Maaten, Hinton 2008, "Visualizing data using t-SNE"; start: Kobak, Linderman 2021."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    space_NC = reduced(features_ND, seed=0)
    first_N2 = np.pad(space_NC, ((0, 0), (0, max(0, 2 - space_NC.shape[1]))))[:, :2]
    start_N2 = (_START * first_N2 / max(first_N2[:, 0].std(), 1e-12)).astype(np.float32)
    perplexity = min(_PERPLEXITY, (len(space_NC) - 1) / 3)
    with threadpool_limits(1):  # sums over threads would depend on their number
        tsne = TSNE(perplexity=perplexity, init=start_N2, max_iter=_ITERATIONS, random_state=0)
        return first_N2, tsne.fit_transform(space_NC.astype(np.float32))


def _write_sheet(images: list[np.ndarray], columns: int, folder: RunFolder) -> None:
    """All small images in one JPEG file, row by row."""
    tile = images[0].shape[0]
    sheet = np.zeros((-(-len(images) // columns) * tile, columns * tile, 3), dtype=np.uint8)
    for number, pixels in enumerate(images):
        y, x = tile * (number // columns), tile * (number % columns)
        sheet[y : y + tile, x : x + tile] = pixels
    data = cv2.imencode(".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    (folder.feature_map / "sheet.jpg").write_bytes(data.tobytes())
