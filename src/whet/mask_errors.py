"""Likely errors in masks, found with the feature maps of a pretrained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from whet.core.errors import RecipeError
from whet.core.language import english
from whet.core.rng import Rng
from whet.core.spec import DataSpec
from whet.data.audit import Finding, Survey
from whet.data.audit.masks.first_model import Cells, cell_shares, check_mask_errors
from whet.data.media import loader_of
from whet.data.split import deal_folds
from whet.evaluate.inference import run_inference
from whet.frozen import frozen_net
from whet.models.maps import Maps
from whet.tasks import SEMANTIC_SEGMENTATION

FOLDS, MOST = 5, 4000  # images
_STRIDES = (8, 16)  # of the maps; cells have the size of the coarser one
_AROUND = 5  # cells: the mean over this neighbourhood is a feature too
_WIDEST = 128  # channels of a map; wider ones are projected at random


def find_mask_errors(survey: Survey, spec: DataSpec, weights: str, threads: int) -> list[Finding]:
    """`check_mask_errors` for all readable images, 4000 of them at most. Duplicates are in one fold."""
    rows = survey.row_R[np.sort(Rng(0).shuffled("mask errors", 0, len(survey.row_R))[:MOST])]
    found = cells_of(survey, rows, spec, weights, threads)
    if found is None:
        text = english("no search for wrong masks: {weights} has no feature maps inside", weights=Path(weights).name)
        return [Finding(english("suspected masks"), "fact", text)]
    cells, rows = found
    unit_R = survey.unit_N[rows]
    if len(np.unique(unit_R)) < 2 * FOLDS:
        return []
    how = english("linear, on feature maps of {weights}", weights=Path(weights).name)
    fold_R = deal_folds(np.zeros(len(rows), np.int64), unit_R, FOLDS)
    return check_mask_errors(cells, fold_R, [survey.id_N[row] for row in rows], survey.table.classes, how)


def cells_of(
    survey: Survey, rows: np.ndarray, spec: DataSpec, weights: str, threads: int
) -> tuple[Cells, np.ndarray] | None:
    """(the cells of these rows, the rows that could be read); None for a network without feature maps."""
    chosen = survey.table.with_frame(survey.table.frame.iloc[rows])
    frozen = frozen_net(chosen, spec, weights, threads)
    try:
        maps = Maps(frozen.net.backbone, weights)
    except RecipeError:
        return None
    shares: list[np.ndarray] = []
    known: list[np.ndarray] = []

    def keep(features_BDhw: Tensor, masks_B: Any) -> Tensor:
        for mask_HW in masks_B:
            one = cell_shares(mask_HW, (features_BDhw.shape[2], features_BDhw.shape[3]), len(chosen.classes))
            shares.append(one[0])
            known.append(one[1])
        return features_BDhw.flatten(2).transpose(1, 2).to(torch.float16).cpu()

    loader = loader_of(chosen.frame, chosen.medium, threads, task=SEMANTIC_SEGMENTATION)
    features_RPD, index_R = run_inference(
        frozen.net, _Described(frozen.net.backbone, maps), loader, frozen.recipe.eval_size, frozen.autocast, keep=keep
    )
    order = np.argsort(index_R)
    cells = Cells(features_RPD.numpy()[order], np.stack(shares)[order], np.stack(known)[order])
    return cells, rows[index_R[order]]


class _Described(nn.Module):
    """The features of the cells of images."""

    def __init__(self, backbone: nn.Module, maps: Maps) -> None:
        super().__init__()
        self.backbone, self._maps = backbone, maps
        self._places = [maps.strides.index(stride) for stride in _STRIDES if stride in maps.strides]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        found = self._maps(self.backbone, x_BCHW)
        return described_cells([found[place] for place in self._places or [len(found) - 1]])


def described_cells(maps: list[Tensor]) -> Tensor:
    """(B, D, h, w): on the grid of the last map, the mean of every map in each cell, and the mean of the last one around it."""
    narrow, (h, w) = [], maps[-1].shape[2:]
    for number, one_BChw in enumerate(maps):
        C = one_BChw.shape[1]
        if C > _WIDEST:
            normal = Rng(number).batch("mask errors", 0, np.arange(C)).normal((_WIDEST,)) / C**0.5
            one_BChw = torch.einsum(
                "bchw,cd->bdhw", one_BChw.float(), torch.from_numpy(normal).to(one_BChw.device).float()
            )
        narrow.append(adaptive_avg_pool2d(one_BChw.float(), (h, w)))
    around = avg_pool2d(narrow[-1], _AROUND, stride=1, padding=_AROUND // 2, count_include_pad=False)
    return torch.cat([*narrow, around], dim=1)
